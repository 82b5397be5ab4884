"""Scales: colours that stand for values.

>>> Scale.of(np.array([1.0, 2, 3]), 'thickness (mm)').described()
'Colour map: viridis, from 1.04 to 2.96.'
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from modelarrayio_bids.reports.figures.style import DIVERGING, ONE_SIDED

#: Percentiles of the values that the colours span: a few outliers do not make a map pale.
SPANNED = (2, 98)
# 10 ** digits must be finite as a float.
_MOST_DIGITS = 300


@dataclass(frozen=True)
class Scale:
    """Colours that stand for values.

    Parameters
    ----------
    low, high : float
        Values at the ends of the colour map; values beyond have the same colours.
    label : str
        Name of the values, with units: ``cbf (mL/100 g/min)``.
    colours : str, optional
        A colour map's name.
    """

    low: float
    high: float
    label: str
    colours: str = ONE_SIDED

    @classmethod
    def of(cls, values: np.ndarray, label: str) -> Scale:
        """Return the scale of some values: symmetric about 0 where they are of both signs."""
        # The span of float32's largest values is more than it can hold.
        finite = values[np.isfinite(values)].astype(np.float64)
        if not finite.size:
            return cls(0, 1, label)
        low, high = np.percentile(finite, SPANNED).tolist()
        if low < 0 < high:
            return cls.symmetric(max(-low, high), label)
        if low == high:
            # Everything is one value: it gets the middle.
            apart = abs(low) / 2 or 1.0
            low, high = low - apart, high + apart
        return cls(_rounded(low, math.floor), _rounded(high, math.ceil), label)

    @classmethod
    def symmetric(cls, end: float, label: str) -> Scale:
        """Return one from minus to plus a number, with white for 0."""
        end = _rounded(end, math.ceil) or 1.0
        return cls(-end, end, label, DIVERGING)

    def share(self, values: np.ndarray) -> np.ndarray:
        """Return where values, float64, lie between the ends: from 0 to 1, NaN for NaN."""
        # Half first: the span of float64's largest values is more than it can hold.
        span = self.high / 2 - self.low / 2
        return ((values / 2 - self.low / 2) / span).clip(0, 1)

    def extend(self, values: np.ndarray) -> str:
        """Return matplotlib's word for the ends beyond which some values lie.

        >>> Scale(0, 1, 'FA').extend(np.array([0.5, 1.5]))
        'max'
        """
        values = values.astype(np.float64)
        below, above = bool((values < self.low).any()), bool((values > self.high).any())
        return {(0, 0): 'neither', (1, 0): 'min', (0, 1): 'max'}.get((below, above), 'both')

    def described(self) -> str:
        """Describe map and limits."""
        return f'Colour map: {self.colours}, from {number(self.low)} to {number(self.high)}.'


def number(value: float) -> str:
    """Return a number with three digits, for people.

    >>> number(12345.6), number(0.012345), number(-7.104), number(2e-9), number(float('nan'))
    ('12,346', '0.0123', '-7.1', '2e-09', 'nan')
    """
    if 1000 <= abs(value) < 1e7:
        return f'{value:,.0f}'
    return f'{value + 0:.3g}'


def cell(value: float) -> str:
    """Return a number in a TSV of BIDS: ``n/a`` where there is none; an infinite one is a number.

    >>> cell(0.1 + 0.2), cell(float('nan')), cell(float('-inf'))
    ('0.3', 'n/a', '-inf')
    """
    return 'n/a' if math.isnan(value) else f'{value:.7g}'


def _rounded(value: float, towards: Callable[[float], int]) -> float:
    """Round to three digits, those that are printed."""
    if not value:
        return 0.0
    digits = min(2 - math.floor(math.log10(abs(value))), _MOST_DIGITS)
    # Whole numbers, up to the precision of float32, are kept.
    return round(towards(round(value * 10.0**digits, 3)) / 10.0**digits, max(digits, 0))
