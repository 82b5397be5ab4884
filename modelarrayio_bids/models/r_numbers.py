"""Numbers as R reads them in a table."""

from __future__ import annotations

import math
import re

# Digits of ASCII alone, and an exponent that may lack its own. Of hexadecimal numbers the whole
# ones: R itself takes 0x1.8 for 24.
_DECIMAL = re.compile(r'([+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+))(?:[eE]([+-]?[0-9]*))?')
_WHOLE_HEXADECIMAL = re.compile(r'[+-]?0[xX][0-9A-Fa-f]+')
_NOT_FINITE = re.compile(r'[+-]?(NaN|nan|(?i:inf|infinity))')
_BLANKS = ' \t\n\v\f\r'


def r_number(text: str) -> float | None:
    """Return the number that ``read.csv`` makes of a cell; None if it makes none.

    As ``type.convert`` of R 4.2 does: unlike ``float``, without underscores and without the digits
    of other scripts.

    >>> r_number(' 31.5'), r_number('1e5'), r_number('0x1F'), r_number('-Inf')
    (31.5, 100000.0, 31.0, -inf)
    >>> r_number('1_000'), r_number('\N{FULLWIDTH DIGIT TWO}'), r_number('90+'), r_number('')
    (None, None, None, None)
    """
    text = text.strip(_BLANKS)
    if decimal := _DECIMAL.fullmatch(text):
        digits, exponent = decimal.groups(default='0')
        return float(f'{digits}e{exponent if exponent.strip("+-") else 0}')
    if _NOT_FINITE.fullmatch(text):
        return float(text)
    return _hexadecimal(text) if _WHOLE_HEXADECIMAL.fullmatch(text) else None


def _hexadecimal(text: str) -> float:
    try:
        return float.fromhex(text)
    except OverflowError:
        return -math.inf if text.startswith('-') else math.inf


def number_text(value: float) -> str:
    """Return a number as R's ``as.character`` and ``deparse`` write it, to 15 digits.

    As few digits as say the same, with an exponent where that is shorter (R's ``?print.default``,
    ``scipen = 0``).

    >>> [number_text(value) for value in (100.0, 1e5, 123456.0, 0.1 + 0.2, 1e-4, 0.00012)]
    ['100', '1e+05', '123456', '0.3', '1e-04', '0.00012']
    """
    if not math.isfinite(value):
        return 'NaN' if math.isnan(value) else ('Inf' if value > 0 else '-Inf')
    mantissa, exponent = f'{value:.14e}'.split('e')
    mantissa = mantissa.rstrip('0').rstrip('.')
    decimals = max(len(mantissa.lstrip('-').replace('.', '')) - 1 - int(exponent), 0)
    fixed = f'{value:.{decimals}f}'
    scientific = f'{mantissa}e{exponent}'
    return fixed if len(fixed) <= len(scientific) else scientific
