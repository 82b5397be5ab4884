"""Plain text, in Markdown."""

from __future__ import annotations

import re


def escaped(text: str) -> str:
    """Return text whose characters mean themselves."""
    return re.sub(r'([\\`*_{}\[\]<>#|$])', r'\\\1', text)
