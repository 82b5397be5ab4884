"""Analysis of variance of type II: the F test of each term, as ``car::Anova`` makes it.

A term is tested after all others but those that contain it (marginality): age after sex, but not
after age:sex (Fox, "Applied Regression Analysis and Generalized Linear Models", section 8.2). Its
sum of squares is that of the term's coefficients in the model without the containing terms; it is
compared with the residual variance of the whole model.
"""

from __future__ import annotations

from dataclasses import dataclass

from modelarrayio_bids.models.design import Design


@dataclass(frozen=True)
class TermTest:
    """The test of a term.

    Parameters
    ----------
    term : str
        Its label.
    columns : tuple of int
        The columns of the model it is tested in, ascending.
    tested : tuple of int
        Those of them that are the term's.
    """

    term: str
    columns: tuple[int, ...]
    tested: tuple[int, ...]


def type_two(design: Design, estimated: list[int]) -> list[TermTest]:
    """Return the test of each term that has a coefficient of its own.

    Parameters
    ----------
    design : Design
        The model.
    estimated : list of int
        Its columns without aliased ones.
    """
    tests = []
    for term in design.terms:
        without = {column for other in design.containing(term) for column in design.columns(other)}
        columns = tuple(column for column in estimated if column not in without)
        tested = tuple(column for column in design.columns(term) if column in columns)
        if tested:
            tests.append(TermTest(term, columns, tested))
    return tests
