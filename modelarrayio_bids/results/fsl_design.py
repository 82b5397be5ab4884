"""Designs in FSL's files, as formulas and their tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self

import numpy as np

from modelarrayio_bids.errors import FormatError, UsageError
from modelarrayio_bids.formats.vest import VestMatrix, read_vest
from modelarrayio_bids.models.formula.syntax import quoted_name
from modelarrayio_bids.models.options import ModelOptions
from modelarrayio_bids.results.matched_rows import MatchedRows
from modelarrayio_bids.runtime.text_format import count


@dataclass(frozen=True, eq=False)
class FSLDesign:
    """A design in FSL's files.

    Parameters
    ----------
    matrix : VestMatrix
        The columns, a row for each image.
    names : tuple of str
        Names of the columns: ``EV1``, or from ``/EVTitle1``.
    contrasts, f_tests : dict of str
        Combinations of columns, and contrasts tested together, by name.
    blocks : VestMatrix, optional
        The block of exchangeability of each image, a column.
    files : dict of str
        Paths by ending: ``mat``, ``con``, ``fts``, ``grp``.
    """

    matrix: VestMatrix
    names: tuple[str, ...]
    contrasts: Mapping[str, str] = field(default_factory=dict)
    f_tests: Mapping[str, str] = field(default_factory=dict)
    blocks: VestMatrix | None = None
    files: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        mat: Path | str,
        con: Path | str | None = None,
        fts: Path | str | None = None,
        grp: Path | str | None = None,
    ) -> Self:
        """Read the files of a design.

        Raises
        ------
        FormatError
            If one is not a VEST file, or they do not fit each other.
        UsageError
            If F tests have no contrasts.
        """
        given = {'mat': mat, 'con': con, 'fts': fts, 'grp': grp}
        read = {ending: read_vest(path) for ending, path in given.items() if path is not None}
        matrix, n_columns = read['mat'], read['mat'].matrix.shape[1]
        names = matrix.names('EVTitle', 'EV', n_columns)
        contrasts = _contrasts(read.get('con'), names, matrix)
        return cls(
            *(matrix, tuple(names), contrasts),
            f_tests=_f_tests(read.get('fts'), list(contrasts)),
            blocks=_blocks(read.get('grp'), matrix),
            files={ending: str(each.path.absolute()) for ending, each in read.items()},
        )

    def formula(self, response: str) -> str:
        """Return the formula of the columns, without an intercept.

        Raises
        ------
        FormatError
            If a column is called as the response.
        """
        if response in self.names:
            raise FormatError(
                f'calls a column {response}, as the scalar', self.matrix.path, 'Change /EVTitle.'
            )
        return f'{quoted_name(response)} ~ 0 + {" + ".join(map(quoted_name, self.names))}'

    def options(self, options: ModelOptions) -> ModelOptions:
        """Return options with the contrasts, F tests and blocks of the files.

        Raises
        ------
        UsageError
            If options have others of the same name, or other blocks, or nothing is permuted.
        """
        for own, others in ((self.contrasts, options.contrasts), (self.f_tests, options.f_tests)):
            if twice := own.keys() & others.keys():
                raise UsageError(
                    f'{min(twice)} is also defined in the design files',
                    remedy='Choose another name.',
                )
        options = replace(
            options,
            contrasts={**self.contrasts, **options.contrasts},
            f_tests={**self.f_tests, **options.f_tests},
        )
        if self.blocks is None:
            return options
        if options.exchangeability:
            raise UsageError(
                'blocks are given twice, by --exchangeability and --design-grp',
                remedy='Leave one of them out.',
            )
        if not options.permutations:
            raise UsageError(
                '--design-grp has no effect without --permutations',
                remedy='Give for example --permutations 5000, or omit the option.',
            )
        shuffle = options.shuffle or 'within'
        return replace(options, exchangeability=self.blocks.path.name, shuffle=shuffle)

    def beside(self, phenotypes: MatchedRows) -> MatchedRows:
        """Return phenotypes with the columns of the design, and its blocks.

        Raises
        ------
        FormatError
            If there are not as many rows as images.
        """
        n_rows, n_images = len(self.matrix.matrix), len(phenotypes.listed)
        if n_rows != n_images:
            raise FormatError(
                f'has {count(n_rows, "row")} for {count(n_images, "image")} of '
                f'{phenotypes.response}',
                self.matrix.path,
                'Give a row for each image in the order of the cohort, or without one of the file.',
            )
        places = phenotypes.places
        columns = dict(zip(self.names, _texts(self.matrix, places), strict=True))
        if self.blocks is not None:
            columns[self.blocks.path.name] = next(_texts(self.blocks, places))
        return replace(phenotypes, table=phenotypes.table.assign(**columns))

    def described(self) -> str:
        """Describe the files in a line."""
        return f'FSL design: {", ".join(Path(path).name for path in self.files.values())}'


def _contrasts(read: VestMatrix | None, names: list[str], matrix: VestMatrix) -> dict[str, str]:
    """Return the contrasts by name, in columns."""
    if read is None:
        return {}
    if read.matrix.shape[1] != len(names):
        raise FormatError(
            f'has contrasts of {count(read.matrix.shape[1], "column")}, and {matrix.path} has '
            f'{len(names)}',
            read.path,
            'Give the contrasts of this design.',
        )
    titles = read.names('ContrastName', 'C', len(read.matrix))
    if zero := [title for title, row in zip(titles, read.matrix, strict=True) if not row.any()]:
        raise FormatError(f'contrast {zero[0]} is 0', read.path, 'Leave it out.')
    return {title: _combination(row, names) for title, row in zip(titles, read.matrix, strict=True)}


def _combination(row: np.ndarray, names: list[str]) -> str:
    """Return a contrast as text.

    >>> _combination(np.array([1, -0.5, 0]), ['EV1', 'EV2', 'EV3'])
    'EV1 - 0.5*EV2'
    """
    parts = [
        f'{"-" if factor < 0 else "+"} '
        + f'{abs(factor):.17g}*' * (abs(factor) != 1)
        + quoted_name(name)
        for factor, name in zip(row.tolist(), names, strict=True)
        if factor
    ]
    return ' '.join(parts).removeprefix('+ ')


def _f_tests(read: VestMatrix | None, contrasts: list[str]) -> dict[str, str]:
    """Return which contrasts each F test has."""
    if read is None:
        return {}
    if not contrasts:
        raise UsageError('F tests need contrasts', read.path, 'Give --design-con design.con.')
    if read.matrix.shape[1] != len(contrasts):
        raise FormatError(
            f'is about {count(read.matrix.shape[1], "contrast")}, and there are {len(contrasts)}',
            read.path,
            'Give the F tests of these contrasts.',
        )
    if not (np.isin(read.matrix, (0, 1)).all() and read.matrix.any(axis=1).all()):
        raise FormatError('has a row that is not of 0 and 1', read.path, '1 is for a contrast.')
    titles = read.names('FTestName', 'F', len(read.matrix))
    return {
        title: ' + '.join(f'`{contrasts[place]}`' for place in np.flatnonzero(row))
        for title, row in zip(titles, read.matrix, strict=True)
    }


def _blocks(read: VestMatrix | None, matrix: VestMatrix) -> VestMatrix | None:
    if read is not None and read.matrix.shape != (len(matrix.matrix), 1):
        rows, columns = read.matrix.shape
        raise FormatError(
            f'has {count(rows, "row")} of {count(columns, "number")}, and {matrix.path} has '
            f'{count(len(matrix.matrix), "row")}',
            read.path,
            'Give the group of each image, one number a row.',
        )
    return read


def _texts(matrix: VestMatrix, places: np.ndarray) -> Iterator[list[str]]:
    """Yield columns as the cells of a table."""
    yield from ([repr(value) for value in column] for column in matrix.matrix[places].T.tolist())
