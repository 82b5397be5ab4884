"""``{rules}``: every rule of ``modelarrayio validate``, with what a breach does in R."""

from __future__ import annotations

from collections.abc import Iterator

from docutils import nodes
from markdown_text import escaped
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from modelarrayio_bids.store.validation import RULES, Severity

_TITLES = {Severity.ERROR: 'Errors', Severity.WARNING: 'Warnings', Severity.NOTE: 'Notes'}


class Rules(SphinxDirective):
    """A table for each severity."""

    def run(self) -> list[nodes.Node]:
        """Write the page's Markdown, and have it read."""
        text = '\n'.join(_listed())
        return self.parse_text_to_nodes(text, allow_section_headings=True)


def _listed() -> Iterator[str]:
    for severity, title in _TITLES.items():
        yield from (f'### {title}', '', '| rule | asks that | otherwise, in R |', '|---|---|---|')
        for rule in RULES.values():
            if rule.severity == severity:
                yield f'| `{rule.id}` | {escaped(rule.asks)} | {escaped(rule.in_r)} |'
        yield ''


def setup(app: Sphinx) -> dict[str, bool]:
    """Tell Sphinx."""
    app.add_directive('rules', Rules)
    return {'parallel_read_safe': True}
