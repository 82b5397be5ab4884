"""The contract of a kind of model.

A kind is a class in one file. It has a name, says in a line what it is, which statistics it has and
which notation of formulas it takes, and makes a :class:`~..base.ElementwiseModel` of a design.
Command lines, results, sidecars, reports and Nipype learn of it from here.

Files of kinds are loaded for ``--help``: they import arithmetic where they need it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

from modelarrayio_bids.errors import UsageError

if TYPE_CHECKING:
    import numpy as np

    from modelarrayio_bids.models.base import ElementwiseModel
    from modelarrayio_bids.models.design import Design
    from modelarrayio_bids.models.formula.terms import Terms
    from modelarrayio_bids.models.options import ModelOptions


class ModelKind(ABC):
    """A kind of model that can be fitted at every element."""

    #: Name for ``--method``, after R's function if there is one; the default name of results
    #: unless they are given a name.
    name: ClassVar[str]
    #: Description in words: "linear model".
    noun: ClassVar[str]
    #: A line of help.
    help: ClassVar[str]
    #: Functions and operators of formulas that ask for it, of :data:`~.formula.terms.SMOOTHS` and
    #: :data:`~.formula.terms.BARS`.
    notation: ClassVar[frozenset[str]] = frozenset()
    #: Statistics of a coefficient, and the default ones.
    term_statistics: ClassVar[tuple[str, ...]]
    default_term_statistics: ClassVar[tuple[str, ...]]
    #: Statistics of the model, and the default ones.
    model_statistics: ClassVar[tuple[str, ...]] = ()
    default_model_statistics: ClassVar[tuple[str, ...]] = ()
    #: Statistics that other kinds do not have, described for sidecars of maps: endings of results.
    own_statistics: ClassVar[Mapping[str, str]] = {}
    #: What of ``contrasts``, ``f_tests``, ``anova``, ``effect_sizes``, ``permutations``,
    #: ``weights``, ``offset`` and ``scalars`` (other scalars on the right-hand side) it takes; the
    #: rest is refused. Models of a kind that takes permutations have a ``permutation_test``.
    takes: ClassVar[frozenset[str]] = frozenset()

    def check(self, terms: Terms) -> None:  # noqa: B027 - most kinds have nothing to check
        """Check that a formula is one of this kind.

        Raises
        ------
        FormulaError
            If its smooths or random effects are others than this kind fits.
        """

    @abstractmethod
    def model(
        self, design: Design, options: ModelOptions, weights: np.ndarray | None
    ) -> ElementwiseModel:
        """Make the model of a design.

        Parameters
        ----------
        design : Design
            The columns of the model. Smooths and random effects are in ``design.special``, values
            of their variables in ``design.variables``.
        options : ModelOptions
            Options with the statistics to write; never None.
        weights : numpy.ndarray or None
            (n_table_rows,) float64; NaN where blank.
        """

    def build(
        self, design: Design, options: ModelOptions, weights: np.ndarray | None = None
    ) -> ElementwiseModel:
        """Make the model of a design, if options and design are such as this kind takes.

        Raises
        ------
        UsageError
            If something is asked for that this kind of model does not have.
        """
        settled = self.settled(options)
        self._refuse(
            {
                'weights': weights is not None,
                'offset': design.offset is not None,
                'scalars': any(design.scalars),
            }
        )
        return self.model(design, settled, weights)

    def settled(self, options: ModelOptions) -> ModelOptions:
        """Return options with this kind's statistics.

        Raises
        ------
        UsageError
            If options name a statistic, or ask for a test, that this kind does not have.
        """
        self._refuse({
            name: bool(getattr(options, name))
            for name in ('contrasts', 'f_tests', 'anova', 'effect_sizes', 'permutations')
        })  # fmt: skip
        return replace(
            options,
            method=self.name,
            full_outputs=False,
            var_terms=_chosen(
                *(options, 'var_terms', self.term_statistics, self.default_term_statistics)
            ),
            var_model=_chosen(
                *(options, 'var_model', self.model_statistics, self.default_model_statistics)
            ),
        )

    def _refuse(self, asked: Mapping[str, bool]) -> None:
        for name, is_asked in asked.items():
            if is_asked and name not in self.takes:
                article = 'an' if self.noun[0] in 'aeiou' else 'a'
                raise UsageError(
                    f'{article} {self.noun} has no {ASKED[name]} here',
                    remedy='Leave that out.',
                )


#: What models may take beside terms of columns, in words.
ASKED = {
    'contrasts': 'contrasts',
    'f_tests': 'F tests',
    'anova': 'analysis of variance',
    'effect_sizes': 'effect sizes',
    'permutations': 'permutations',
    'weights': 'weights',
    'offset': 'offset',
    'scalars': 'covariates that differ by element',
}


def _chosen(
    options: ModelOptions, name: str, known: tuple[str, ...], default: tuple[str, ...]
) -> tuple[str, ...]:
    if options.full_outputs:
        return known
    given = getattr(options, name)
    return default if given is None else checked_choice(given, known, name)


def checked_choice(given: Sequence[str], known: Sequence[str], field_name: str) -> tuple[str, ...]:
    """Return the chosen names, each once.

    Raises
    ------
    UsageError
        If one is not known; the known ones are listed.
    """
    unknown = [name for name in given if name not in known]
    if unknown:
        raise UsageError(
            f'--{field_name.replace("_", "-")}: {", ".join(map(repr, unknown))} is not known',
            remedy=f'Choose among {", ".join(known)}.',
        )
    return tuple(dict.fromkeys(given))
