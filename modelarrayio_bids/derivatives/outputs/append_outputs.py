"""Files that go with an HDF5 file of the group level when images are added to it.

R wants the cohort beside the file to list its images, no more and no less; what says of which
images the file is, and the script that fits a model to them, follow.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from modelarrayio_bids.cohort import MASK, SOURCE, Cohort
from modelarrayio_bids.derivatives.bids.dataset import Dataset
from modelarrayio_bids.derivatives.bids.description import linked, software, study_of
from modelarrayio_bids.derivatives.bids.json_files import read_json, write_json
from modelarrayio_bids.derivatives.bids.output_names import STORE_NAME, Outputs, sidecar
from modelarrayio_bids.derivatives.bids.uris import Uris
from modelarrayio_bids.derivatives.rscripts.fit_script import FitScript
from modelarrayio_bids.spaces.input_files import image_files
from modelarrayio_bids.store.reader import StoreReader

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class AppendOutputs:
    """A cohort of the group level, and the images to add.

    Parameters
    ----------
    outputs : Outputs
        The HDF5 file and what is beside it.
    held : Cohort
        The images it has by now.
    added : Cohort
        Sources to add, with absolute paths.
    """

    outputs: Outputs
    held: Cohort
    added: Cohort

    @classmethod
    def of(cls, store: Path, added: Cohort, origin: Path | None = None) -> AppendOutputs | None:
        """Return what goes with an HDF5 file; None if it is not of the group level.

        Parameters
        ----------
        store : pathlib.Path
            The file.
        added : Cohort
            The images to add.
        origin : pathlib.Path, optional
            The file to which they are added, if it is another.

        Raises
        ------
        FormatError, CohortError
            If the cohort beside it, or what describes that, cannot be used.
        """
        outputs, before = Outputs.beside(store), Outputs.beside(origin or store)
        if not store.name.endswith(STORE_NAME) or not before.cohort.is_file():
            return None
        if not Dataset('', store.parent, read_json(sidecar(before.cohort))).is_own_output:
            what = '%s: nothing beside it says that the group level made it, and it stays as it is'
            logger.warning(what, before.cohort)
            return None
        return cls(outputs, Cohort.from_csv(before.cohort), _in_full(added))

    @cached_property
    def cohort(self) -> Cohort:
        """Return all images; blank where either cohort has no such column.

        Rows of images that are held already are left as they are: of a run that was interrupted.

        Raises
        ------
        DuplicateSourceError
            If nothing tells a new image of somebody from an old one.
        """
        known = {row[SOURCE] for row in self.held.rows}
        new = [row for row in self.added.rows if row[SOURCE] not in known]
        columns = dict.fromkeys([*self.held.columns, *self.added.columns])
        rows = [
            {column: row.get(column, '') for column in columns} for row in (*self.held.rows, *new)
        ]
        return Cohort.from_rows(rows, self.held.folder, str(self.outputs.cohort))

    def files(self) -> list[Path]:
        """Return the files beside the HDF5 file that may be written."""
        found = [self.outputs.cohort, self.outputs.store]
        return [*found, *map(sidecar, found), self.outputs.fit_script]

    def check(self) -> None:
        """Look, before anything is written, at all that is needed; errors as :meth:`of`.

        Raises
        ------
        DuplicateSourceError
            As :attr:`cohort`.
        InvalidDatasetError
            If the description of the output folder cannot be used.
        """
        _ = self.cohort, self._sidecars, self._study

    def is_half_done(self) -> bool:
        """Return whether the file has all the images and the cohort does not yet."""
        names = {row[SOURCE] for row in self.added.rows}
        if not self.outputs.store.is_file() or names <= {row[SOURCE] for row in self.held.rows}:
            return False
        with StoreReader(self.outputs.store) as store:
            return all(
                source.scalar in store.scalars and source.name in store.scalar(source.scalar).names
                for source in self.added.sources()
            )

    def write(self, n_cores: int) -> None:
        """Write the cohort, what sidecars say of sources, and the script if there is one.

        Parameters
        ----------
        n_cores : int
            Cores that R may use.

        Raises
        ------
        OutputError
            If something cannot be written.
        """
        path, n_held = self.outputs.cohort, len(self.held.rows)
        self.cohort.to_csv(path)
        logger.info('Wrote %s: %d rows and %d more', path, n_held, len(self.cohort.rows) - n_held)
        for file, content in self._sidecars.items():
            write_json(content, file)
        script = self.outputs.fit_script
        if self._study is not None and script.exists():
            files = path.absolute(), self.outputs.store.absolute()
            made = FitScript(self._study, self._root, *files, n_cores=n_cores)
            logger.info('Wrote %s', made.write(script.absolute()))

    @property
    def _root(self) -> Path:
        """The output folder of the group level."""
        return self.outputs.folder.absolute().parent

    @cached_property
    def _study(self) -> Path | None:
        return study_of(self._root)

    @cached_property
    def _sidecars(self) -> dict[Path, dict[str, Any]]:
        """Existing sidecars, with the new sources."""
        uris = Uris(self._root, linked(self._root)).of(
            file for source in self.added.sources() for file in image_files(source)
        )
        paths = [sidecar(self.outputs.cohort), sidecar(self.outputs.store)]
        found = {path: said for path in paths if (said := read_json(path))}
        return {
            path: {
                **said,
                'Sources': list(dict.fromkeys([*said.get('Sources', ()), *uris])),
                'GeneratedBy': [software()],
            }
            for path, said in found.items()
        }


def _in_full(cohort: Cohort) -> Cohort:
    """Return a cohort whose paths are absolute, as the group level writes them."""
    rows = []
    for row, source in zip(cohort.rows, cohort.sources(), strict=True):
        paths = {SOURCE: _absolute(source.path)}
        if source.mask is not None:
            paths[MASK] = _absolute(source.mask)
        rows.append({**row, **paths})
    return Cohort(cohort.columns, tuple(rows), cohort.folder)


def _absolute(path: Path) -> str:
    """Return a path in full, without ``..``; a link, as DataLad's files are, keeps its name."""
    return str(path.parent.resolve() / path.name if '..' in path.parts else path.absolute())
