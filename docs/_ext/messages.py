"""``{messages}``: every error of the package with every message it is raised with."""

from __future__ import annotations

from collections.abc import Iterator

from docutils import nodes
from markdown_text import escaped
from raised import GAP, Message, error_classes, messages
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective


class Messages(SphinxDirective):
    """A section for each error: its exit code, what it means, its messages."""

    def run(self) -> list[nodes.Node]:
        """Write the page's Markdown, and have it read."""
        text = '\n'.join(_listed(messages()))
        return self.parse_text_to_nodes(text, allow_section_headings=True)


def _listed(found: dict[str, list[Message]]) -> Iterator[str]:
    for error in error_classes():
        meaning = (error.__doc__ or '').partition('\n')[0]
        yield from (f'### {error.__name__}', '', f'{meaning} Exit code {error.exit_code}.', '')
        for message in found.get(error.__name__, []):
            remedy = '' if message.remedy in {'', GAP} else f' — {escaped(message.remedy)}'
            yield f'* *{escaped(message.what.strip())}*{remedy}'
        yield ''


def setup(app: Sphinx) -> dict[str, bool]:
    """Tell Sphinx."""
    app.add_directive('messages', Messages)
    return {'parallel_read_safe': True}
