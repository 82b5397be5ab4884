"""What was done, as a methods section would say it: text to start from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib.resources import files
from string import Template

from modelarrayio_bids.__about__ import NAME, URL, __version__
from modelarrayio_bids.reports.findings.output_folder import Output
from modelarrayio_bids.reports.page.citations import works


def methods(outputs: Sequence[Output], people: str, pipelines: Sequence[str]) -> list[str]:
    """The paragraphs, citations in brackets.

    Parameters
    ----------
    outputs : sequence of Output
        What was made.
    people : str
        How many participants and visits.
    pipelines : sequence of str
        Programs that made the images.
    """
    said = {
        'scalars': listed(list(dict.fromkeys(output.title for output in outputs))),
        'people': people,
        'pipelines': listed(pipelines) or 'other programs',
        'program': f'{NAME} {__version__} ({URL})',
        'thresholds': ' or '.join(_thresholds(outputs)),
        **{work.key: f'({work.short})' for work in works(pipelines)},
    }
    text = files('modelarrayio_bids').joinpath('data', 'report', 'methods.txt').read_text('utf-8')
    of_topic = dict(zip(('all', 'masks', 'grids'), text.strip().split('\n\n'), strict=True))
    return [
        ' '.join(Template(of_topic[topic]).substitute(said).split()) for topic in _topics(outputs)
    ]


def _topics(outputs: Sequence[Output]) -> Iterator[str]:
    yield 'all'
    if _thresholds(outputs):
        yield 'masks'
    if any('Resampling' in output.said for output in outputs):
        yield 'grids'


def _thresholds(outputs: Sequence[Output]) -> list[str]:
    """Of the group masks, in percent, each once."""
    found = {output.known['GroupMaskThreshold'] for output in outputs
             if 'GroupMaskThreshold' in output.known}  # fmt: skip
    return [f'{100 * threshold:g}%' for threshold in sorted(found)]


def listed(words: Sequence[str]) -> str:
    """Words as in a sentence.

    >>> listed(['a']), listed(['a', 'b', 'c'])
    ('a', 'a, b and c')
    """
    if len(words) < 2:
        return ''.join(words)
    return f'{", ".join(words[:-1])} and {words[-1]}'
