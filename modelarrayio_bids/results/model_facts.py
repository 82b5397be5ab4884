"""Facts about a fitted model that the HDF5 file keeps beside the results.

>>> from modelarrayio_bids.store import schema
>>> told = '{"response": "FA", "columns": ["(Intercept)", "age"], "n_images": 20}'
>>> facts = ModelFacts.of({schema.FORMULA_ATTRIBUTE: 'FA ~ age', schema.MODEL_ATTRIBUTE: told})
>>> facts.formula, facts.df_residual, facts.contrast_of('age'), facts.statistic_of('age')
('FA ~ age', 18, 'age', 't')
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from modelarrayio_bids.models.design import INTERCEPT
from modelarrayio_bids.store import schema

# What ModelArray calls the intercept, and the whole model.
_INTERCEPT, _MODEL = 'Intercept', 'model'
_ANOVA = '.anova'


@dataclass(frozen=True)
class ModelFacts:
    """A model as the HDF5 file describes it.

    Parameters
    ----------
    formula : str
        In R's words.
    response : str
        The scalar that was modelled.
    columns, terms, aliased : tuple of str
        Columns of the design, terms of the formula, and columns that have no results because the
        others determine them.
    n_images : int
        Images in the model: an element has fewer where some have no value.
    left_out : dict of int
        Images without a covariate, by its column.
    not_fitted : dict of int
        Elements without all results, by reason.
    weights : str
        Column of the weights; blank without.
    cohort : str
        The table with the covariates.
    contrasts, f_tests : dict of str
        Combinations and joint tests of coefficients, by name.
    fewest : float
        An element is fitted if more images than this have a value.
    smallest_share : float
        And more than this share of all images.
    """

    formula: str
    response: str
    columns: tuple[str, ...]
    terms: tuple[str, ...] = ()
    aliased: tuple[str, ...] = ()
    n_images: int = 0
    left_out: Mapping[str, int] = field(default_factory=dict)
    not_fitted: Mapping[str, int] = field(default_factory=dict)
    weights: str = ''
    cohort: str = ''
    contrasts: Mapping[str, str] = field(default_factory=dict)
    f_tests: Mapping[str, str] = field(default_factory=dict)
    fewest: float = 0
    smallest_share: float = 0

    @classmethod
    def of(cls, described: Mapping[str, str]) -> Self | None:
        """Read what an analysis says of itself; None of one that was not made by ``fit``.

        Parameters
        ----------
        described : dict of str
            See :meth:`.StoreReader.described`.
        """
        told = _object(described.get(schema.MODEL_ATTRIBUTE, ''))
        if schema.FORMULA_ATTRIBUTE not in described or not told:
            return None
        return cls(
            formula=described[schema.FORMULA_ATTRIBUTE],
            response=told.get('response', ''),
            columns=tuple(told.get('columns', ())),
            terms=tuple(told.get('terms', ())),
            aliased=tuple(told.get('aliased', ())),
            n_images=told.get('n_images', 0),
            left_out=told.get('left_out', {}),
            not_fitted=_object(described.get(schema.NOT_FITTED_ATTRIBUTE, '')),
            weights=told.get('weights') or '',
            cohort=told.get('cohort', ''),
            contrasts=told.get('contrasts', {}),
            f_tests=told.get('f_tests', {}),
            fewest=told.get('num_subj_lthr_abs', 0),
            smallest_share=told.get('num_subj_lthr_rel', 0),
        )

    @property
    def df_residual(self) -> int:
        """Residual degrees of freedom where every image of the model has a value."""
        return self.n_images - (len(self.columns) - len(self.aliased))

    def contrast_of(self, term: str) -> str:
        """Return which coefficients the results of a term are about, or blank.

        Parameters
        ----------
        term : str
            As in the names of results: a coefficient, a contrast, an F test.
        """
        if term in self.contrasts or term in self.f_tests:
            return self.contrasts.get(term) or self.f_tests[term]
        if self._is_anova(term):
            return term.removesuffix(_ANOVA)
        column = INTERCEPT if term == _INTERCEPT else term
        return column if column in self.columns else ''

    def statistic_of(self, term: str) -> str:
        """Return ``t`` or ``F``, the distribution of a term's statistic; blank if not known."""
        if term == _MODEL or term in self.f_tests or self._is_anova(term):
            return 'F'
        return 't' if self.contrast_of(term) else ''

    def _is_anova(self, term: str) -> bool:
        return term.endswith(_ANOVA) and term.removesuffix(_ANOVA) in self.terms


def _object(text: str) -> dict[str, Any]:
    """Return a JSON object; empty if the text is none."""
    try:
        read = json.loads(text)
    except ValueError:
        return {}
    return read if isinstance(read, dict) else {}
