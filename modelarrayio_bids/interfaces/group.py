"""The public interfaces as the group level uses them: table and HDF5 file appear together.

Of a run that fails, the HDF5 file of an earlier run and its cohort CSV go on together. So cohorts
are collected into the node's folder, and copied beside each HDF5 file as soon as that is whole.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from nipype.interfaces.base import InputMultiObject, traits

from modelarrayio_bids.cohort import Cohort
from modelarrayio_bids.conversion.build import assemble
from modelarrayio_bids.interfaces.base import Directory, File
from modelarrayio_bids.interfaces.cohort import CollectCohort, CollectCohortOutputSpec
from modelarrayio_bids.interfaces.rows import row_blocks
from modelarrayio_bids.interfaces.store import ToModelArray, ToModelArrayInputSpec
from modelarrayio_bids.spaces import ElementSpace
from modelarrayio_bids.store.chunk_layout import Layout


class _StageCohortsOutputSpec(CollectCohortOutputSpec):
    final_cohort_files = traits.List(
        File, desc='where each cohort CSV goes, once its HDF5 file is there'
    )


class StageCohorts(CollectCohort):
    """Find scalar maps and masks; write the cohort CSVs into the node's folder."""

    output_spec = _StageCohortsOutputSpec

    def _call(self, folder: Path) -> dict[str, Any]:
        results = super()._call(folder)
        output_dir = Path(results['output_dir'])
        staged = [Path(path).relative_to(folder) for path in results['cohort_files']]
        return results | {'final_cohort_files': [str(output_dir / path) for path in staged]}

    def cohort_paths(self, paths: Sequence[Path], output_dir: Path, folder: Path) -> list[Path]:
        """Return the same paths below the node's folder."""
        return [folder / path.relative_to(output_dir) for path in paths]


class _BuildStoreInputSpec(ToModelArrayInputSpec):
    final_cohort_file = File(
        mandatory=True,
        hash_files=False,
        desc='copy of the cohort to write as soon as the HDF5 file is there',
    )
    blocks_dir = Directory(desc='folder with the row blocks of the cohort, read before')
    n_blocks = traits.Int(0, usedefault=True, desc='row blocks of the cohort; 0: by their size')
    in_files = InputMultiObject(
        File(exists=True), hash_files=False, desc='row blocks that have to be there first'
    )


class BuildStore(ToModelArray):
    """Write the images of a cohort to one HDF5 file, of row blocks if they were read before."""

    input_spec = _BuildStoreInputSpec

    def _call(self, folder: Path) -> dict[str, Any]:
        results = super()._call(folder)
        Cohort.from_csv(self.inputs.cohort_file).to_csv(self.inputs.final_cohort_file)
        return results

    def builder(self, cohort: Cohort, space: ElementSpace, layout: Layout) -> Callable[..., Path]:
        """Return the function that assembles row blocks, where there are some."""
        if self.path('blocks_dir') is None:
            return super().builder(cohort, space, layout)
        blocks = row_blocks(self.inputs, cohort, space, self.resources(), layout)
        return partial(assemble, row_blocks=blocks)
