"""Facts for the text of a methods section, and the publications it cites.

>>> list(works(['ASLPrep', 'mine']))[-1]
'aslprep'
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import yaml

from modelarrayio_bids.__about__ import NAME, URL, __version__
from modelarrayio_bids.reports.findings.output_folder import Output
from modelarrayio_bids.runtime.data_files import data_text
from modelarrayio_bids.runtime.grouping import grouped

# In a table, where there is nothing to say.
_NONE = 'n/a'


def works(pipelines: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Return what is to be cited where these programs made the images: by key."""
    known = yaml.safe_load(data_text('citations.yaml'))
    return {
        work['key']: work
        for work in known
        if 'pipelines' not in work or any(_is_of(work, name) for name in pipelines)
    }


def is_pipeline(name: str) -> bool:
    """Return whether a dataset is called as a program that has a publication is."""
    return any('pipelines' in work for work in works([name]).values())


def _is_of(work: Mapping[str, Any], pipeline: str) -> bool:
    return pipeline.casefold().startswith(tuple(work['pipelines']))


def done(
    outputs: Sequence[Output],
    people: str,
    pipelines: Sequence[str],
    results: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """Return what the text says, by the parameters of its template.

    Parameters
    ----------
    outputs : sequence of Output
        Outputs to describe.
    people : str
        Number of participants and visits, in words.
    pipelines : sequence of str
        Programs that made the images.
    results : sequence of dict, optional
        A row for each term, as ``columns.yaml`` describes them.
    """
    formulas = grouped((row['formula'].partition('~')[2].strip(), row) for row in results)
    asked = {
        one.known['GroupMaskThreshold'] for one in outputs if 'GroupMaskThreshold' in one.known
    }
    return {
        'works': works(pipelines),
        'scalars': list(dict.fromkeys(output.title for output in outputs)),
        'people': people,
        'pipelines': pipelines,
        'program': f'{NAME} {__version__} ({URL})',
        'thresholds': [f'{100 * threshold:g}%' for threshold in sorted(asked)],
        'models': [
            {'formula': f'~ {model}', 'images': _images(rows)}
            for model, rows in formulas.items()
            if model
        ],
        'corrections': sorted({row['correction'] for row in results} - {_NONE}),
        'resampled': any('Resampling' in output.said for output in outputs),
    }


def _images(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return how many images an element's model is of, in all rows."""
    least, most = min(row['n_min'] for row in rows), max(row['n_max'] for row in rows)
    return f'{most}' if least == most else f'{least} to {most}'


def family_first(author: str) -> str:
    """Return an author as BibTeX has it, for whom ``others`` is a word of its own.

    >>> family_first('de la Vega A'), family_first('others')
    ('de la Vega, A', 'others')
    """
    return ', '.join(author.rpartition(' ')[::2]) if ' ' in author else author


def listed(words: Sequence[str]) -> str:
    """Return words as in a sentence.

    >>> listed(['a']), listed(['a', 'b', 'c'])
    ('a', 'a, b and c')
    """
    if len(words) < 2:
        return ''.join(words)
    return f'{", ".join(words[:-1])} and {words[-1]}'
