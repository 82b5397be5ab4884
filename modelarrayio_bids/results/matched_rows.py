"""Rows of a cohort that are matched with the images in an HDF5 file, by the names of sources.

ModelArray's contract is the same: the order of a cohort does not matter, the names in
``source_file`` do.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from modelarrayio_bids.cohort import MISSING, SCALAR, SOURCE, SUBJECT_COLUMNS, read_rows
from modelarrayio_bids.errors import CohortError, UsageError, raise_problems
from modelarrayio_bids.runtime.text_format import count, some

if TYPE_CHECKING:
    import pandas as pd

# Columns that tell the images of one participant apart.
_VISIT_COLUMNS = ('session_id', 'run_id')
_GIVE = 'Give the cohort that the HDF5 file was made of'


@dataclass(frozen=True)
class MatchedRows:
    """Rows of a cohort for the images of one scalar.

    Parameters
    ----------
    table : pandas.DataFrame
        A row for each image, in the order of the file; cells are text, missing ones NaN.
    cohort : pandas.DataFrame
        All rows of the cohort, as they are written.
    response : str
        The scalar.
    path : pathlib.Path
        The cohort.
    """

    table: pd.DataFrame
    cohort: pd.DataFrame
    response: str
    path: Path

    @classmethod
    def of(cls, path: Path, response: str, names: Sequence[str]) -> MatchedRows:
        """Read a cohort, and match its rows with the images of a scalar.

        Parameters
        ----------
        path : pathlib.Path
            A cohort: long (``scalar_name``, ``source_file``), wide (a column of paths for each
            scalar), or with ``source_file`` alone, as R's phenotypes.
        response : str
            The scalar.
        names : sequence of str
            Names of the sources in the file.

        Raises
        ------
        CohortError
            If an image has no row, or several.
        """
        import pandas as pd  # noqa: PLC0415 - costs more than reading a small file

        _, columns, cells = read_rows(path)
        cohort = pd.DataFrame(cells, columns=list(columns), dtype='object')
        found = _rows_of(cohort, response, names, path)
        missing = found.apply(lambda column: column.str.strip().isin(MISSING))
        return cls(found.mask(missing), cohort, response, path)

    @classmethod
    def of_names(cls, path: Path, response: str, names: Sequence[str]) -> MatchedRows:
        """Return rows that hold nothing but the names of the sources of a scalar.

        Parameters
        ----------
        path : pathlib.Path
            The file that covariates come from, for messages.
        response, names
            See :meth:`of`.
        """
        import pandas as pd  # noqa: PLC0415 - costs more than reading a small file

        table = pd.DataFrame({SOURCE: list(names)}, dtype='object')
        return cls(table, table, response, path)

    @property
    def listed(self) -> list[str]:
        """Names of the scalar's sources in the order of the cohort."""
        return _sources(self.cohort, self.response, self.path).tolist()

    @property
    def places(self) -> np.ndarray:
        """Place of each image among :attr:`listed`: (n_images,) int."""
        places = {name: place for place, name in enumerate(self.listed)}
        return np.array([places[name] for name in _sources(self.table, self.response, self.path)])

    def covariates(self, scalars: Iterable[str]) -> pd.DataFrame:
        """Return the table without the columns of paths that a wide cohort has for scalars."""
        if SOURCE in self.table:
            return self.table
        return self.table.drop(columns=[name for name in scalars if name in self.table])

    def rows_of(self, scalar: str, names: Sequence[str]) -> np.ndarray:
        """Match another scalar's images with the rows of the table.

        Parameters
        ----------
        scalar : str
            Its name.
        names : sequence of str
            Names of the sources in the file.

        Returns
        -------
        numpy.ndarray
            (n_images,) int: the row of the scalar's values for each row of the table, -1 where
            there is none.

        Raises
        ------
        CohortError
            If no image of the scalar belongs to any row, or several to one.
        """
        places = {name: row for row, name in enumerate(names)}
        partners = _partners(self.cohort, self.table, scalar, self.path)
        rows = np.array([places.get(name, -1) for name in partners])
        if (rows < 0).all():
            raise CohortError(
                f'no image of {scalar} belongs to an image of {self.response}',
                self.path,
                'Give rows of both scalars with the same participant_id, or a column of paths '
                'for each.',
            )
        return rows

    def require_one_row_each(self, rows: np.ndarray, groups: np.ndarray | None = None) -> None:
        """Refuse several images of one participant, whose values are not independent.

        Parameters
        ----------
        rows : numpy.ndarray
            (n_rows,) int: the rows of the table that are in the model.
        groups : numpy.ndarray, optional
            (n_rows,) int: groups of images that the model takes for dependent. If these are the
            participants, several images are not a mistake.

        Raises
        ------
        UsageError
            With the ways out.
        """
        subject, images = self.images_of_participants(rows)
        if not subject:
            return
        if groups is not None and _are_one_to_one(self.table[subject].iloc[rows], groups):
            return
        repeated = sorted(name for name, number in images.items() if number > 1)
        if repeated:
            raise UsageError(
                f'{count(len(repeated), "participant")} {"has" if len(repeated) == 1 else "have"} '
                f'several images ({some(repeated, most=3)}), and this model takes them for '
                'independent ones',
                self.path,
                f'Add a random intercept to the formula, (1 | {subject}), or fit one session at a '
                'time, or say that it is meant: --allow-repeated.',
            )

    def images_of_participants(self, rows: np.ndarray) -> tuple[str, Mapping[str, int]]:
        """Return the column of participants, blank without one, and the images of each.

        Parameters
        ----------
        rows : numpy.ndarray
            (n_rows,) int: the rows of the table that are in the model.
        """
        subject = next((column for column in SUBJECT_COLUMNS if column in self.table), '')
        return subject, Counter(self.table[subject].iloc[rows].dropna() if subject else ())


def _are_one_to_one(names: pd.Series, groups: np.ndarray) -> bool:
    pairs = set(zip(names, groups.tolist(), strict=True))
    return len(pairs) == names.nunique() == len(set(groups.tolist()))


def _rows_of(cohort: pd.DataFrame, scalar: str, names: Sequence[str], path: Path) -> pd.DataFrame:
    """Return the rows of a scalar's images, in the order of ``names``."""
    sources = _sources(cohort, scalar, path)
    known = cohort.loc[sources.index].set_axis(sources, axis='index')
    lacking = [name for name in names if name not in known.index]
    twice = sorted(set(sources[sources.duplicated()]) & set(names))
    lacked = f'{count(len(lacking), "image")} of {scalar}: {some(lacking, most=3)}'
    remedy = f'{_GIVE}, each image by the name it has there.'
    raise_problems([
        *([CohortError(f'has no row for {lacked}', path, remedy)] if lacking else ()),
        *(CohortError(f'has several rows for {name}', path, 'Leave one.') for name in twice),
    ])  # fmt: skip
    return known.loc[list(names)].reset_index(drop=True)


def _sources(cohort: pd.DataFrame, scalar: str, path: Path) -> pd.Series:
    """Return the names of a scalar's sources, by row of the cohort."""
    mine = cohort
    if SCALAR in mine and SOURCE in mine:
        mine = mine[mine[SCALAR].str.strip() == scalar]
    column = SOURCE if SOURCE in mine else scalar
    if column not in mine:
        raise CohortError(
            f'has neither a column {SOURCE} nor one named {scalar}', path, f'{_GIVE}.'
        )
    return mine[column].str.strip()


def _partners(cohort: pd.DataFrame, table: pd.DataFrame, scalar: str, path: Path) -> Iterable[str]:
    """Return the name of another scalar's image for each row of the table, blank without one."""
    if scalar in table:
        return table[scalar].str.strip()
    if SCALAR not in cohort:
        return table[SOURCE].str.strip()
    keys = [c for c in (*SUBJECT_COLUMNS, *_VISIT_COLUMNS) if c in cohort]
    theirs = cohort[cohort[SCALAR].str.strip() == scalar]
    if not keys or theirs.empty:
        return table[SOURCE].str.strip()
    if theirs.duplicated(keys).any():
        raise CohortError(
            f'has several rows of {scalar} for one {" and ".join(keys)}',
            path,
            'Add a column that distinguishes them, such as session_id, or leave one of them.',
        )
    found = table[keys].merge(theirs[[*keys, SOURCE]], on=keys, how='left', validate='m:1')
    return found[SOURCE].fillna('').str.strip()
