"""``{interface}`` and ``{workflow}``: Nipype objects, drawn and listed from themselves.

Nipype's own ``write_graph`` needs the program dot. Ours are chains with a few far-reaching
connections: one column with arcs beside it shows them, and is a few lines of SVG.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from docutils import nodes
from markdown_text import escaped
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

WIDTH, HEIGHT, GAP = 170, 30, 26
#: Points to the right by which an arc leaves the column, for each node that it passes.
BULGE = 34


class Interface(SphinxDirective):
    """The inputs and outputs of an interface, by its name in ``modelarrayio_bids.interfaces``."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Write the page's Markdown, and have it read."""
        return self.parse_text_to_nodes('\n'.join(_interface(self.arguments[0])))


def _interface(name: str) -> Iterator[str]:
    interface = getattr(importlib.import_module('modelarrayio_bids.interfaces'), name)
    yield from ('```{py:class} modelarrayio_bids.interfaces.' + name, '', interface.__doc__, '')
    yield from ('| | | |', '|---|---|---|')
    for trait, spec in _traits(interface.input_spec()):
        mandatory = ', mandatory' if spec.mandatory else ''
        yield f'| `{trait}` | input{mandatory} | {escaped(spec.desc or "")} |'
    for trait, spec in _traits(interface.output_spec()):
        yield f'| `{trait}` | output | {escaped(spec.desc or "")} |'
    yield '```'


def _traits(spec: Any) -> list[tuple[str, Any]]:
    return [(name, spec.trait(name)) for name in spec.copyable_trait_names()]


class WorkflowGraph(SphinxDirective):
    """A workflow, by one of this module's examples: its picture and its connections."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Draw it, and list what goes where."""
        workflow = example(self.arguments[0])
        picture = nodes.raw('', svg(workflow), format='html')
        table = '\n'.join(_connections(workflow))
        return [picture, *self.parse_text_to_nodes(table)]


#: The function that builds each example, and its arguments.
EXAMPLES: dict[str, tuple[str, dict[str, Any]]] = {
    'group': ('init_modelarray_wf', {}),
    'group-in-blocks': ('init_modelarray_wf', {'blocks_dir': 'work/row_blocks'}),
    'model': ('init_model_wf', {}),
    'model-in-blocks': ('init_model_wf', {'n_blocks': 4}),
    'export': ('init_export_wf', {}),
}


def example(name: str) -> Any:
    """Return one of :data:`EXAMPLES`, built."""
    from modelarrayio_bids import workflows

    function, arguments = EXAMPLES[name]
    return getattr(workflows, function)(**arguments)


#: A connection in the script that ``Workflow.export`` writes.
_CONNECT = re.compile(r'(\w+)\.connect\((\w+), "(\w+)", (\w+), "(\w+)"\)')


def connections(workflow: Any) -> list[tuple[str, str, list[tuple[str, str]]]]:
    """From which node to which, and the names of what goes: sorted as the nodes run."""
    with TemporaryDirectory() as folder:
        lines = workflow.export(str(Path(folder, 'workflow.py')))
    found: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for connected in filter(None, map(_CONNECT.fullmatch, lines)):
        prefix = f'{connected[1]}_'
        ends = connected[2].removeprefix(prefix), connected[4].removeprefix(prefix)
        found.setdefault(ends, []).append((connected[3], connected[5]))
    order = _order(found)
    edges = [(start, end, fields) for (start, end), fields in found.items()]
    return sorted(edges, key=lambda edge: (order.index(edge[0]), order.index(edge[1])))


def _order(edges: Iterable[tuple[str, str]]) -> list[str]:
    """Names of the nodes: each after those it waits for, the outputs last."""
    import networkx as nx

    graph = nx.DiGraph(list(edges))
    return list(
        nx.lexicographical_topological_sort(graph, key=lambda name: (name == 'outputnode', name))
    )


def _connections(workflow: Any) -> Iterator[str]:
    yield from ('', '| from | to | |', '|---|---|---|')
    for start, end, fields in connections(workflow):
        goes = ', '.join(
            f'`{one}`' if one == other else f'`{one}` → `{other}`' for one, other in fields
        )
        yield f'| `{start}` | `{end}` | {goes} |'


def svg(workflow: Any) -> str:
    """The picture: nodes in one column as they run, connections to the next straight."""
    edges = connections(workflow)
    order = _order((start, end) for start, end, _ in edges)
    parts = [_box(row, workflow.get_node(name)) for row, name in enumerate(order)]
    for start, end, _ in edges:
        parts.append(_arrow(order.index(start), order.index(end)))
    width, height = WIDTH + BULGE * len(order), len(order) * (HEIGHT + GAP)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="-2 -2 {width + 4} {height}" '
        f'width="{width}" role="img" aria-label="{workflow.name}" fill="none" '
        'stroke="currentColor" font-family="monospace" font-size="13">'
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" '
        'markerHeight="8" orient="auto"><path d="M0,0 L8,4 L0,8 z" fill="currentColor"/>'
        f'</marker></defs>{"".join(parts)}</svg>'
    )


def _box(row: int, node: Any) -> str:
    """A node; one that runs once for each scalar has a second frame."""
    top = row * (HEIGHT + GAP)
    frame = f'<rect x="0" y="{top}" width="{WIDTH}" height="{HEIGHT}" rx="5"/>'
    if getattr(node, 'iterfield', None):
        frame += f'<rect x="3" y="{top + 3}" width="{WIDTH - 6}" height="{HEIGHT - 6}" rx="3"/>'
    label = f'<text x="{WIDTH / 2}" y="{top + 20}" text-anchor="middle" fill="currentColor" '
    return f'{frame}{label}stroke="none">{node.name}</text>'


def _arrow(start: int, end: int) -> str:
    bottom, top = start * (HEIGHT + GAP) + HEIGHT, end * (HEIGHT + GAP)
    if end == start + 1:
        path = f'M{WIDTH / 2},{bottom} V{top}'
    else:
        far = WIDTH + BULGE * (end - start)
        # Leaves below, arrives above the middle: arrows of one node stay apart.
        leave, arrive = bottom - 6, top + 4 + 20 / (end - start)
        path = f'M{WIDTH},{leave} C{far},{leave} {far},{arrive} {WIDTH},{arrive}'
    return f'<path d="{path}" marker-end="url(#tip)"/>'


def setup(app: Sphinx) -> dict[str, bool]:
    """Tell Sphinx."""
    app.add_directive('interface', Interface)
    app.add_directive('workflow', WorkflowGraph)
    return {'parallel_read_safe': True}
