"""Contrasts and F tests that the options request for a design."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from modelarrayio_bids.errors import UsageError
from modelarrayio_bids.models.anova import JointTest, type_two
from modelarrayio_bids.models.contrasts import Contrast, columns_to_test, factors_of
from modelarrayio_bids.models.design import Design
from modelarrayio_bids.models.options import ModelOptions
from modelarrayio_bids.models.rank import independent_columns
from modelarrayio_bids.models.system import Sample
from modelarrayio_bids.runtime.text_format import count, some


@dataclass(frozen=True, eq=False)
class RequestedTests:
    """Tests of a model that were asked for.

    Parameters
    ----------
    design : Design
        The columns.
    sample : Sample
        The rows.
    options : ModelOptions
        Contrasts and tests by name.
    """

    design: Design
    sample: Sample
    options: ModelOptions

    @property
    def aliased(self) -> tuple[str, ...]:
        """Coefficients of columns collinear with other columns."""
        names = self.design.names
        estimated = self.sample.independent(range(len(names)))
        return tuple(name for column, name in enumerate(names) if column not in estimated)

    def check_size(self) -> None:
        """Check that there are coefficients, and more images than these.

        Raises
        ------
        UsageError
            If not.
        """
        n, names = len(self.sample.rows), self.design.names
        if not names:
            raise UsageError('the model has no coefficients', remedy='Add a term to the formula.')
        p = len(names) - len(self.aliased)
        if n <= p:
            raise UsageError(
                f'{count(p or len(names), "coefficient")} cannot be tested with '
                f'{count(n, "image")}',
                remedy='Use fewer terms, or more images.',
            )

    def contrasts(self) -> list[Contrast]:
        """Read the contrasts.

        Raises
        ------
        UsageError
            If one has a name that is not a coefficient, or is not estimable.
        """
        return [self._contrast(*item) for item in self.options.contrasts.items()]

    def joint_tests(self) -> list[JointTest]:
        """Read the F tests, and make those of terms.

        Raises
        ------
        UsageError
            If one has a name that is not in the model, or is not estimable.
        """
        tests = [self._f_test(*item) for item in self.options.f_tests.items()]
        if self.options.anova:
            tests += type_two(self.design, self.sample.independent)
        return tests

    def _contrast(self, name: str, text: str) -> Contrast:
        contrast = Contrast.parse(name, text, self.design.names)
        if not self.sample.is_estimable(contrast.factors):
            raise self._not_estimable(f'contrast {name}: {text!r}')
        return contrast

    def _f_test(self, name: str, text: str) -> JointTest:
        asked = columns_to_test(name, text, self.design, [*self.options.contrasts])
        if asked[-1] >= len(self.design.names):
            return self._test_of_contrasts(name, text, asked)
        others = [column for column in range(len(self.design.names)) if column not in asked]
        test = JointTest.after_others(name, others, asked, self.sample.independent)
        if not test.tested:
            raise self._not_estimable(f'F test {name}: {text!r}')
        return test

    def _test_of_contrasts(self, name: str, text: str, asked: Sequence[int]) -> JointTest:
        """Return the test of contrasts, those that follow from others left out."""
        factors = factors_of(asked, self.contrasts(), len(self.design.names))
        if not all(map(self.sample.is_estimable, factors)):
            raise self._not_estimable(f'F test {name}: {text!r}')
        estimated = self.sample.independent(range(len(self.design.names)))
        tested = (asked[place] for place in independent_columns(factors.T))
        return JointTest(name, tuple(estimated), tuple(tested))

    def _not_estimable(self, what: str) -> UsageError:
        return UsageError(
            f'{what} is not estimable',
            remedy=f'Other terms explain {some(self.aliased)} completely: leave terms out.',
        )
