"""F tests of several coefficients, among them the analysis of variance of type II.

Coefficients are tested together after all other columns of a model: what they add to the sum of
squares is compared with the residual variance of the whole model.

Type II tests each term after all others but those that contain it (marginality): age after sex,
but not after age:sex (Fox, "Applied Regression Analysis and Generalized Linear Models", section
8.2; ``car::Anova``). The model it is tested in lacks the containing terms.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from modelarrayio_bids.models.design import Design

#: Return those of some columns of a design that are independent of the ones before them.
Independent = Callable[[Sequence[int]], list[int]]


@dataclass(frozen=True)
class JointTest:
    """An F test.

    Parameters
    ----------
    name : str
        Name of the results.
    columns : tuple of int
        Independent columns of the design, ascending: the model that it is made in.
    tested : tuple of int
        Columns whose coefficients are tested; none if the term is collinear with other terms.
        Contrasts are numbered after all columns of the design: see :func:`.contrasts.factors_of`.
    """

    name: str
    columns: tuple[int, ...]
    tested: tuple[int, ...]

    @classmethod
    def after_others(
        cls, name: str, others: Sequence[int], asked: Sequence[int], independent: Independent
    ) -> JointTest:
        """Return the test of what some columns add to others."""
        columns = sorted(independent([*others, *asked]))
        return cls(name, tuple(columns), tuple(column for column in columns if column in asked))


def type_two(design: Design, independent: Independent) -> list[JointTest]:
    """Return the test of each term of a design."""
    tests = []
    for term in design.terms:
        own = design.columns(term)
        left_out = {*own, *(c for other in design.containing(term) for c in design.columns(other))}
        others = [column for column in range(len(design.names)) if column not in left_out]
        tests.append(JointTest.after_others(f'{term}.anova', others, own, independent))
    return tests
