"""Pictures and tables for a page and for the folder ``figures``."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from importlib.resources import files
from itertools import chain, count
from pathlib import Path
from typing import Any

import yaml
from jinja2.environment import TemplateStream

from modelarrayio_bids.derivatives.bids.json_files import write_json
from modelarrayio_bids.derivatives.bids.output_names import sidecar
from modelarrayio_bids.derivatives.outputs.statmaps import label
from modelarrayio_bids.reports.figures.style import Picture
from modelarrayio_bids.reports.findings.output_folder import Output
from modelarrayio_bids.reports.findings.results_table import read_table
from modelarrayio_bids.runtime.atomic import replacing

FOLDER = 'figures'


@dataclass(frozen=True)
class Part:
    """A part of a page.

    Parameters
    ----------
    pictures : list of Picture
        Figures.
    links : list of tuple
        Names of files, and where they are.
    rows : list of tuple
        A table's.
    note : str
        A sentence above.
    """

    pictures: list[Picture] = field(default_factory=list)
    links: list[tuple[str, str]] = field(default_factory=list)
    rows: list[tuple[Any, ...]] = field(default_factory=list)
    note: str = ''


class Album:
    """The folder of figures and tables beside a page.

    Parameters
    ----------
    output_dir : pathlib.Path
        Folder of the page.
    """

    def __init__(self, output_dir: Path) -> None:
        self.folder = output_dir / FOLDER
        self._taken: set[str] = set()

    def add(self, picture: Picture, name: str) -> Picture:
        """Write a picture, and return it with the place of its file.

        Raises
        ------
        OutputError
            If it cannot be written.
        """
        path = self._path(name, picture.extension)
        with replacing(path) as partial:
            partial.write_bytes(picture.data)
        return replace(picture, href=f'{FOLDER}/{path.name}')

    def table(self, rows: Iterable[Mapping[str, Any]], name: str, kind: str = '') -> str:
        """Write rows of one form as TSV, what its columns are in a JSON file beside it.

        Parameters
        ----------
        rows : iterable of dict
            By column.
        name : str
            Its name, without an extension.
        kind : str, optional
            One of the tables that ``columns.yaml`` describes.

        Returns
        -------
        str
            The file, from the page.
        """
        path, rows = self._path(name, '.tsv'), list(rows)
        with replacing(path) as partial, open(partial, 'w', newline='', encoding='utf-8') as file:
            columns = list(dict.fromkeys(column for row in rows for column in row))
            writer = csv.DictWriter(file, columns, delimiter='\t', lineterminator='\n')
            writer.writeheader()
            writer.writerows(rows)
        if kind:
            described = column_texts()[kind].items()
            write_json({name: {'Description': text} for name, text in described}, sidecar(path))
        return f'{FOLDER}/{path.name}'

    def page(self, page: TemplateStream, name: str) -> str:
        """Write a page, a piece at a time, and return its file, from the page of the report.

        Raises
        ------
        OutputError
            If it cannot be written.
        """
        path = self._path(name, '.html')
        with replacing(path) as partial:
            page.dump(str(partial), 'utf-8')
        return f'{FOLDER}/{path.name}'

    def read(self, name: str) -> list[dict[str, str]]:
        """Return the rows of a table; none where there is no such file."""
        return read_table(self.folder / f'{name}.tsv')

    def _path(self, name: str, extension: str) -> Path:
        """Return a file that nothing else has: ``dki_fa`` and ``dkiFa`` have one label."""
        what, suffix = name.rsplit('_', 1)
        names = (f'{what}{number}_{suffix}{extension}' for number in chain([''], count(2)))
        # Some file systems are case-insensitive.
        path = self.folder / next(one for one in names if one.casefold() not in self._taken)
        self._taken.add(path.name.casefold())
        return path


@cache
def column_texts() -> dict[str, dict[str, str]]:
    """Return what the columns of tables are, by the table's kind."""
    text = files('modelarrayio_bids').joinpath('data', 'report', 'columns.yaml').read_text('utf-8')
    known: dict[str, dict[str, str]] = yaml.safe_load(text)
    return known


def figure_name(output: Output, what: str, suffix: str = 'plot') -> str:
    """Return the name of a figure by BIDS: entities of its file, the scalar, what it shows.

    >>> from modelarrayio_bids.derivatives.bids.output_names import Outputs
    >>> from modelarrayio_bids.cohort import Cohort
    >>> files = Outputs(Path('dki_fa'), 'space-MNI_desc-parcels')
    >>> figure_name(Output(Path(), files, Cohort((), ()), {}, {}), 'mean')
    'space-MNI_param-dkiFa_desc-parcelsMean_plot'
    """
    entities = [part for part in output.files.stem.split('_') if part]
    kind = next((part.removeprefix('desc-') for part in entities if part.startswith('desc-')), '')
    named = [part for part in entities if not part.startswith('desc-')]
    desc = kind + what[0].upper() + what[1:] if kind else what
    scalar = label(' '.join(output.folders))
    return '_'.join([*named, f'param-{scalar}', f'desc-{desc}', suffix])
