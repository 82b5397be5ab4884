"""Which statistics of a model are wanted, and at which elements."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from modelarrayio_bids.models.adjustment import METHODS
from modelarrayio_bids.models.kinds.base import checked_choice


@dataclass(frozen=True)
class ModelOptions:
    """Which statistics are wanted, and at which elements.

    Parameters
    ----------
    method : str
        Name of the kind of model (:data:`~.kinds.KINDS`); blank for the one that the formula asks
        for.
    var_terms, var_model : tuple of str, optional
        Statistics of each coefficient and of the model, in the order of the results; by default
        those that the kind of model proposes.
    full_outputs : bool
        Whether all of both are wanted.
    correct_p_value_terms, correct_p_value_model : tuple of str
        Methods of R's ``p.adjust``; ``none`` does nothing. Contrasts and F tests are adjusted as
        terms are.
    num_subj_lthr_abs, num_subj_lthr_rel : float
        An element is fitted if more images than this, and more than this share of all images,
        are finite there.
    contrasts, f_tests : mapping
        Combinations of coefficients, and terms or coefficients tested together, by name.
    anova : bool
        Whether to test each term (type II).
    effect_sizes : bool
        Whether to add standardised coefficients, partial R² and Cohen's f².
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

    def __post_init__(self) -> None:
        for name in ('correct_p_value_terms', 'correct_p_value_model'):
            object.__setattr__(self, name, checked_choice(getattr(self, name), METHODS, name))

    def fewest(self, n_images: int) -> float:
        """Return the number of images that an element needs more of."""
        return max(n_images * self.num_subj_lthr_rel, self.num_subj_lthr_abs)
