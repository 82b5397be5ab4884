"""Facts about a fitted model that the HDF5 file keeps beside the results.

>>> from modelarrayio_bids.store import schema
>>> told = '{"response": "FA", "tested": {"age": {"contrast": "age", "statistic": "t"}}}'
>>> facts = ModelFacts.of({schema.FORMULA_ATTRIBUTE: 'FA ~ age', schema.MODEL_ATTRIBUTE: told})
>>> facts.response, facts.sidecar_of('age.p.value.fdr')
('FA', {'Contrast': 'age', 'StatisticType': 't'})
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Self

from modelarrayio_bids.models.adjustment import FWE
from modelarrayio_bids.models.base import MODEL, Hypothesis
from modelarrayio_bids.runtime.text_format import count
from modelarrayio_bids.store import schema


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
    phenotypes : str
        Digest of the covariates' values, see :meth:`.ModelFit.digest`; blank of older files.
    design_files : dict of str
        Paths of FSL's design files by ending; empty of a model that a formula asked for.
    contrasts, f_tests : dict of str
        Combinations and joint tests of coefficients, by name.
    tested : dict of Hypothesis
        Hypotheses, by what names of results begin with.
    particulars : tuple of str
        Further facts on the model, each as ``name: value``.
    summarised : tuple of str
        Results that no test decides, whose distribution over elements tells of the model.
    kind : str
        Name of the kind of model, see :data:`.models.kinds.KINDS`.
    fewest : float
        An element is fitted if more images than this have a value.
    smallest_share : float
        And more than this share of all images.
    permutation : dict
        Facts on the permutations, see :meth:`.PermutationTest.facts`, with the ``seed`` and the
        column ``exchangeability``; empty without permutations.
    """

    formula: str
    response: str = ''
    columns: tuple[str, ...] = ()
    terms: tuple[str, ...] = ()
    aliased: tuple[str, ...] = ()
    n_images: int = 0
    left_out: Mapping[str, int] = field(default_factory=dict)
    not_fitted: Mapping[str, int] = field(default_factory=dict)
    weights: str = ''
    cohort: str = ''
    phenotypes: str = ''
    design_files: Mapping[str, str] = field(default_factory=dict)
    contrasts: Mapping[str, str] = field(default_factory=dict)
    f_tests: Mapping[str, str] = field(default_factory=dict)
    tested: Mapping[str, Hypothesis] = field(default_factory=dict)
    kind: str = ''
    particulars: tuple[str, ...] = ()
    summarised: tuple[str, ...] = ()
    fewest: float = 0
    smallest_share: float = 0
    permutation: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, described: Mapping[str, str]) -> Self | None:
        """Read what an analysis says of itself; None of one that was not made by ``fit``.

        Parameters
        ----------
        described : dict of str
            See :meth:`.StoreReader.described`.
        """
        told = object_of(described.get(schema.MODEL_ATTRIBUTE, ''))
        if schema.FORMULA_ATTRIBUTE not in described or not told:
            return None
        known = {each.name for each in fields(cls)}
        plain = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in told.items()
            if name in known and value is not None
        }
        return cls(
            **{
                **plain,
                'formula': described[schema.FORMULA_ATTRIBUTE],
                'not_fitted': object_of(described.get(schema.NOT_FITTED_ATTRIBUTE, '')),
                'tested': {
                    name: Hypothesis(**each) for name, each in told.get('tested', {}).items()
                },
                'fewest': told.get('num_subj_lthr_abs', 0),
                'smallest_share': told.get('num_subj_lthr_rel', 0),
                'permutation': _permutation(told),
            }
        )

    @property
    def df_residual(self) -> float | None:
        """Residual degrees of freedom where every image has a value; None if the model has none."""
        model = self.tested.get(MODEL)
        return None if model is None else model.df.get(f'{MODEL}.df.residual')

    @property
    def degrees_of_freedom(self) -> dict[str, dict[str, float]]:
        """Degrees of freedom by term, and by the name in R's ``glance``."""
        return {name: dict(tested.df) for name, tested in self.tested.items() if tested.df}

    @property
    def permutation_method(self) -> str:
        """Tell how images were permuted, in a sentence; blank without permutations."""
        made = self.permutation
        if not made:
            return ''
        what = 'sign flips' if made['flips_signs'] else 'permutations'
        number = f'{made["n_labellings"]:,}'
        which = f'all {number} {what}' if made['is_exact'] else f'{number} random {what}'
        blocks = {
            'within': ' of images within {} blocks of {}',
            'whole': ' of {} whole blocks of {}',
            'both': ' of images within {} blocks of {}, and of the blocks',
        }.get(made['shuffle'], '')
        of_model = f' of {made["model"]}' if made.get('model') else ''
        fixed = f', {count(made["n_fixed"], "image")} never moved' if made.get('n_fixed') else ''
        seed = '' if made['is_exact'] else f', seed {made["seed"]}'
        return (
            f'Freedman and Lane{of_model}, {which}'
            + blocks.format(made['n_blocks'], made['exchangeability'])
            + f'{seed}{fixed}; the greatest statistic over all elements corrects p.'
        )

    def sidecar_of(self, result: str) -> dict[str, Any]:
        """Return what a sidecar says of one result, nothing of one that no test is about.

        Parameters
        ----------
        result : str
            Its name, such as ``age.p.value.fdr``.

        Returns
        -------
        dict of str
            ``Contrast``, in coefficients or terms (not of the whole model); of a statistic and of
            its p values also ``StatisticType``, ``t`` or ``F``; of a p value that permutations
            correct also ``Permutations``.
        """
        term = max(
            (name for name in self.tested if result.startswith(f'{name}.')), key=len, default=''
        )
        if not term:
            return {}
        tested = self.tested[term]
        is_test = result == f'{term}.statistic' or result.startswith(f'{term}.p.value')
        return {
            **({'Contrast': tested.contrast} if tested.contrast else {}),
            **({'StatisticType': tested.statistic} if is_test and tested.statistic else {}),
            **({'Permutations': self._permutations()} if result.endswith(f'.{FWE}') else {}),
        }

    def _permutations(self) -> dict[str, Any]:
        """Return what a sidecar says of permutations."""
        made = self.permutation
        told = {
            'FittedModel': made.get('model'),
            'NumberOfLabellings': made.get('n_labellings'),
            'IsExact': made.get('is_exact'),
            'SignFlips': made.get('flips_signs'),
            'Seed': made.get('seed'),
            'ExchangeabilityBlocks': made.get('exchangeability'),
            'Shuffle': made.get('shuffle'),
            'FixedImages': made.get('n_fixed') or None,
        }
        return {name: value for name, value in told.items() if value not in {None, ''}}


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
        counts.update(object_of(one.get(schema.NOT_FITTED_ATTRIBUTE, '')))
    return {
        **dict(zip(names, shared, strict=True)),
        schema.NOT_FITTED_ATTRIBUTE: json.dumps(counts),
    }


def _permutation(told: Mapping[str, Any]) -> dict[str, Any]:
    made = told.get('permutation')
    if not isinstance(made, dict):
        return {}
    return {**made, **{name: told.get(name, '') for name in ('seed', 'exchangeability')}}


def object_of(text: str) -> dict[str, Any]:
    """Return a JSON object; empty if the text is none."""
    try:
        read = json.loads(text)
    except ValueError:
        return {}
    return read if isinstance(read, dict) else {}
