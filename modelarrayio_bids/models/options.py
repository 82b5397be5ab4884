"""Options of a model: statistics wanted, and elements fitted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from modelarrayio_bids.errors import UsageError
from modelarrayio_bids.models.adjustment import METHODS
from modelarrayio_bids.models.kinds.base import checked_choice

#: Permutation schemes for images in blocks.
SHUFFLES = ('within', 'whole', 'both')


@dataclass(frozen=True)
class ModelOptions:
    """Statistics wanted, and elements fitted.

    Parameters
    ----------
    method : str
        Name of the kind of model (:data:`~.kinds.KINDS`); blank for the one that the formula asks
        for.
    var_terms, var_model : tuple of str, optional
        Statistics of each coefficient and of the model, in the order of the results; by default
        those that the kind of model proposes.
    full_outputs : bool
        Write all statistics of both.
    correct_p_value_terms, correct_p_value_model : tuple of str
        Methods of R's ``p.adjust``; ``none`` does nothing. Contrasts and F tests are adjusted as
        terms are.
    num_subj_lthr_abs, num_subj_lthr_rel : float
        An element is fitted if more images than this, and more than this share of all images,
        are finite there.
    contrasts, f_tests : mapping
        Combinations of coefficients, and terms, coefficients or contrasts tested together, by name.
    anova : bool
        Test each term (type II).
    effect_sizes : bool
        Add effect sizes, which depend on the kind of model.
    permutations : int
        Labellings of a permutation test, the unpermuted one included; 0 for no test.
    seed : int
        Seed of the permutations.
    exchangeability : str
        Column of the blocks of exchangeability; blank if all images are exchangeable, or for the
        groups of a random intercept.
    shuffle : str
        Permutation of images in blocks: one of :data:`SHUFFLES`, or blank for whole blocks if
        the design is the same within each, and else within blocks; for groups of a random
        intercept blank is both.
    """

    method: str = ''
    var_terms: tuple[str, ...] | None = None
    var_model: tuple[str, ...] | None = None
    full_outputs: bool = False
    correct_p_value_terms: tuple[str, ...] = ('fdr',)
    correct_p_value_model: tuple[str, ...] = ('fdr',)
    num_subj_lthr_abs: float = 10
    num_subj_lthr_rel: float = 0.2
    contrasts: Mapping[str, str] = field(default_factory=dict)
    f_tests: Mapping[str, str] = field(default_factory=dict)
    anova: bool = False
    effect_sizes: bool = False
    permutations: int = 0
    seed: int = 0
    exchangeability: str = ''
    shuffle: str = ''

    def __post_init__(self) -> None:
        for name in ('correct_p_value_terms', 'correct_p_value_model'):
            object.__setattr__(self, name, checked_choice(getattr(self, name), METHODS, name))
        self._check_permutations()

    def _check_permutations(self) -> None:
        if self.permutations < 0 or self.permutations == 1:
            raise UsageError(
                f'--permutations: {self.permutations} are too few for a p value',
                remedy='Give for example 5000, or omit the option.',
            )
        if self.seed < 0:
            raise UsageError(f'--seed: {self.seed} is negative', remedy='Give 0 or more.')
        if self.shuffle:
            checked_choice([self.shuffle], SHUFFLES, 'shuffle')
        for name in ('exchangeability', 'shuffle'):
            if getattr(self, name) and not self.permutations:
                raise UsageError(
                    f'--{name} has no effect without --permutations',
                    remedy='Give for example --permutations 5000.',
                )

    def fewest(self, n_images: int) -> float:
        """Return the number of images that an element needs more of."""
        return max(n_images * self.num_subj_lthr_rel, self.num_subj_lthr_abs)
