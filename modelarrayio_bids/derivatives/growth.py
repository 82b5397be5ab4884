"""What goes with an HDF5 file of the group level when images are added to it.

R wants the cohort beside the file to list its images, no more and no less; what says of which
images the file is, and the script that fits a model to them, follow.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from modelarrayio_bids.cohort import MASK, SOURCE, Cohort, Source
from modelarrayio_bids.derivatives.description import (
    linked,
    read_json,
    software,
    study_of,
    write_json,
)
from modelarrayio_bids.derivatives.fit_script import FitScript
from modelarrayio_bids.derivatives.naming import STORE_ENDING, Outputs, sidecar
from modelarrayio_bids.derivatives.uris import Uris

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Growth:
    """A cohort of the group level, and the images to come.

    Parameters
    ----------
    outputs : Outputs
        The HDF5 file and what is beside it.
    held : Cohort
        The images it has by now.
    added : Cohort
        Those to come. Their paths are in full where those of the others are.
    """

    outputs: Outputs
    held: Cohort
    added: Cohort

    @classmethod
    def of(cls, store: Path, added: Cohort) -> Growth | None:
        """That of an HDF5 file; None beside one that is not of the group level.

        Raises
        ------
        FormatError, CohortError
            If the cohort beside it cannot be used.
        """
        outputs = Outputs.beside(store)
        is_ours = store.name.endswith(STORE_ENDING.removeprefix('_'))
        if not is_ours or not outputs.cohort.is_file():
            return None
        held = Cohort.from_csv(outputs.cohort)
        in_full = all(Path(row[SOURCE]).is_absolute() for row in held.rows)
        return cls(outputs, held, _in_full(added) if in_full else added)

    @cached_property
    def cohort(self) -> Cohort:
        """All of them; what either does not say of its images is blank.

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

    def check(self) -> None:
        """See, before anything is written, that both make one cohort; errors as :attr:`cohort`."""
        _ = self.cohort

    def write(self, n_cores: int) -> None:
        """Write the cohort, what sidecars say of sources, and the script if there is one.

        Parameters
        ----------
        n_cores : int
            That R may use.

        Raises
        ------
        FormatError
            If a sidecar cannot be read.
        OutputError
            If something cannot be written.
        """
        path = self.outputs.cohort
        more = len(self.cohort.rows) - len(self.held.rows)
        self.cohort.to_csv(path)
        logger.info('Wrote %s: %d rows and %d more', path, len(self.held.rows), more)
        for file in (path, self.outputs.store):
            self._describe(sidecar(file), self.added.sources())
        self._write_script(n_cores)

    @property
    def _root(self) -> Path:
        """The output folder of the group level."""
        return self.outputs.folder.absolute().parent

    def _describe(self, path: Path, sources: Iterable[Source]) -> None:
        said = read_json(path)
        if not said:
            return
        uris = Uris(self._root, linked(self._root)).of(source.path for source in sources)
        every = list(dict.fromkeys([*said.get('Sources', ()), *uris]))
        write_json({**said, 'Sources': every, 'GeneratedBy': [software()]}, path)

    def _write_script(self, n_cores: int) -> None:
        script, study = self.outputs.fit_script, study_of(self._root)
        if study is None or not script.exists():
            return
        files = self.outputs.cohort.absolute(), self.outputs.store.absolute()
        written = FitScript(study, self._root, *files, n_cores=n_cores).write(script.absolute())
        logger.info('Wrote %s', written)


def _in_full(cohort: Cohort) -> Cohort:
    """A cohort whose paths are absolute."""
    rows = []
    for row, source in zip(cohort.rows, cohort.sources(), strict=True):
        paths = {SOURCE: str(source.path.absolute())}
        if source.mask is not None:
            paths[MASK] = str(source.mask.absolute())
        rows.append({**row, **paths})
    return Cohort(cohort.columns, tuple(rows), cohort.folder)
