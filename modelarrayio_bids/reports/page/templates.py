"""Templates of pages and of what is cited; scripts and styles that a page holds."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from functools import cache
from typing import Self

from jinja2 import Environment

from modelarrayio_bids.reports.page.methods import family_first, listed
from modelarrayio_bids.runtime.data_files import data_text, templates
from modelarrayio_bids.runtime.text_format import count


@cache
def environment() -> Environment:
    """Return the templates of pages and of what is cited."""
    return templates(
        'report',
        listed=listed,
        family_first=family_first,
        count=count,
        thousands='{:,}'.format,
    )


@dataclass(frozen=True)
class Script:
    """A script inside a page.

    Parameters
    ----------
    text : str
        JavaScript.
    digest : str
        Source that a Content-Security-Policy allows, and with it no other script.
    """

    text: str
    digest: str

    @classmethod
    @cache
    def of(cls, *names: str) -> Self:
        """Join files of ``data/report``."""
        text = '\n' + '\n'.join(data_text('report', name) for name in names)
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode('ascii')
        return cls(text, f"'sha256-{digest}'")
