"""Facts about a fitted model that the HDF5 file keeps beside the results.

>>> from modelarrayio_bids.store import schema
>>> told = '{"response": "FA", "columns": ["(Intercept)", "age"], "n_images": 20}'
>>> facts = ModelFacts.of({schema.FORMULA_ATTRIBUTE: 'FA ~ age', schema.MODEL_ATTRIBUTE: told})
>>> facts.df_residual, facts.sidecar_of('age.p.value.fdr')
(18, {'Contrast': 'age', 'StatisticType': 't'})
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
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
    numerator_df : dict of int
        Coefficients that each F test is about, by its name.
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
    numerator_df: Mapping[str, int] = field(default_factory=dict)
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
            numerator_df=told.get('numerator_df', {}),
            fewest=told.get('num_subj_lthr_abs', 0),
            smallest_share=told.get('num_subj_lthr_rel', 0),
        )

    @property
    def df_residual(self) -> int:
        """Residual degrees of freedom where every image of the model has a value."""
        return self.n_images - (len(self.columns) - len(self.aliased))

    @property
    def degrees_of_freedom(self) -> dict[str, dict[str, int]]:
        """By term, and by the name that R's ``glance`` would give them."""
        n_estimated = len(self.columns) - len(self.aliased)
        of_model = n_estimated - (INTERCEPT in self.columns)
        return {
            _MODEL: {f'{_MODEL}.df': of_model, f'{_MODEL}.df.residual': self.df_residual},
            **{term: {f'{term}.df': number} for term, number in self.numerator_df.items()},
        }

    def sidecar_of(self, result: str) -> dict[str, str]:
        """Return what a sidecar says of one result, nothing of one that no test is about.

        Parameters
        ----------
        result : str
            Its name, such as ``age.p.value.fdr``.

        Returns
        -------
        dict of str
            ``Contrast``, in coefficients or terms (not of the whole model); of a statistic and of
            its p values also ``StatisticType``, ``t`` or ``F``.
        """
        contrasts = self._contrasts()
        term = max((one for one in contrasts if result.startswith(f'{one}.')), key=len, default='')
        if not term:
            return {}
        contrast, kind = contrasts[term]
        is_test = result == f'{term}.statistic' or result.startswith(f'{term}.p.value')
        return {
            **({'Contrast': contrast} if contrast else {}),
            **({'StatisticType': kind} if is_test else {}),
        }

    def _contrasts(self) -> dict[str, tuple[str, str]]:
        """Return what is tested, and by which statistic, by what names of results begin with."""
        coefficients = {_INTERCEPT if name == INTERCEPT else name: name for name in self.columns}
        anova = {f'{term}{_ANOVA}': term for term in self.terms}
        tested = {name: text for name, text in anova.items() if name in self.numerator_df}
        return {
            _MODEL: ('', 'F'),
            **{name: (text, 't') for name, text in {**coefficients, **self.contrasts}.items()},
            **{name: (text, 'F') for name, text in {**tested, **self.f_tests}.items()},
        }


def joined(slices: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """Return what slices of an analysis say of their model; nothing unless all say the same.

    >>> slices = [{'formula': 'y ~ x', 'model': '{}', 'not_fitted': '{"constant response": 2}'}] * 2
    >>> joined(slices)
    {'formula': 'y ~ x', 'model': '{}', 'not_fitted': '{"constant response": 4}'}
    """
    names = schema.FORMULA_ATTRIBUTE, schema.MODEL_ATTRIBUTE
    said = {tuple(one.get(name, '') for name in names) for one in slices}
    if len(said) != 1 or '' in (shared := said.pop()):
        return {}
    counts: Counter[str] = Counter()
    for one in slices:
        counts.update(_object(one.get(schema.NOT_FITTED_ATTRIBUTE, '')))
    return {
        **dict(zip(names, shared, strict=True)),
        schema.NOT_FITTED_ATTRIBUTE: json.dumps(counts),
    }


def _object(text: str) -> dict[str, Any]:
    """Return a JSON object; empty if the text is none."""
    try:
        read = json.loads(text)
    except ValueError:
        return {}
    return read if isinstance(read, dict) else {}
