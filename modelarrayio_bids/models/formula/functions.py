"""The functions that a formula may call.

Each is a function of Python whose parameters are called as R's are, with ``_`` for ``.``
(``include_lowest`` for ``include.lowest``); a call of any other is refused by name.
"""

from __future__ import annotations

from collections.abc import Callable

from modelarrayio_bids.models.formula.bases import BASES
from modelarrayio_bids.models.formula.factors import FACTORS
from modelarrayio_bids.models.formula.numeric import NUMERIC
from modelarrayio_bids.models.formula.values import Value

#: Functions by R's names.
FUNCTIONS: dict[str, Callable[..., Value]] = {**NUMERIC, **FACTORS, **BASES}
