"""Kinds of models by name. A new kind is a file and a line here."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from modelarrayio_bids.models.base import ElementwiseModel
from modelarrayio_bids.models.linear import LinearModel

#: What makes a model of a design, options of its own kind, and weights.
KINDS: Mapping[str, Callable[..., ElementwiseModel]] = {
    'lm': LinearModel,
}
