"""Row blocks: the rows of a cohort, read by nodes on several machines.

No public interfaces: their inputs are the group level's own wiring.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from nipype.interfaces.base import BaseInterfaceInputSpec, InputMultiObject, TraitedSpec, traits

from modelarrayio_bids.cohort import Cohort
from modelarrayio_bids.conversion.row_blocks import RowBlock, plan_row_blocks
from modelarrayio_bids.conversion.row_reader import checked_sources
from modelarrayio_bids.errors import ModelArrayIOError, raise_problems
from modelarrayio_bids.interfaces.base import Directory, File, LibraryInterface, ResourcesInputSpec
from modelarrayio_bids.runtime.locations import location
from modelarrayio_bids.runtime.resources import Resources
from modelarrayio_bids.spaces import ElementSpace, References, space_of
from modelarrayio_bids.store.chunk_layout import Layout

logger = logging.getLogger(__name__)


class _RowBlocksInputSpec(ResourcesInputSpec):
    blocks_dir = Directory(mandatory=True, desc='folder for row blocks, seen by every machine')
    n_blocks = traits.Int(0, usedefault=True, desc='row blocks of a cohort; 0: by their size')


class _PlanRowBlocksInputSpec(_RowBlocksInputSpec):
    cohort_files = InputMultiObject(File(exists=True), mandatory=True, desc='cohorts to read')
    in_masks = traits.List(
        traits.Either(None, File(exists=True)), mandatory=True, desc='group mask of each, or None'
    )


class _PlanRowBlocksOutputSpec(TraitedSpec):
    cohort_files = traits.List(File(exists=True), desc='of each row block, its cohort')
    masks = traits.List(
        traits.Either(None, File(exists=True)),
        desc='of each row block, the group mask of its cohort, or None',
    )
    numbers = traits.List(traits.Int, desc='of each row block, its number in the cohort, from 0')


class PlanRowBlocks(LibraryInterface):
    """Check the headers of all cohorts, and say which row blocks are still to be read.

    If there are none, the first one is returned, because Nipype's plugins need something to map.
    """

    input_spec = _PlanRowBlocksInputSpec
    output_spec = _PlanRowBlocksOutputSpec

    def _call(self, _folder: Path) -> dict[str, Any]:
        planned: list[tuple[str, str | None, int]] = []
        missing: list[tuple[str, str | None, int]] = []
        problems: list[ModelArrayIOError] = []
        for cohort_file, mask in zip(self.inputs.cohort_files, self.inputs.in_masks, strict=True):
            cohort, space = _cohort_and_space(cohort_file, mask)
            problems += checked_sources(cohort.sources(), space, self.inputs.num_threads)[1]
            if not problems:
                blocks = row_blocks(self.inputs, cohort, space, self.resources())
                for number, block in enumerate(blocks):
                    planned.append((cohort_file, mask, number))
                    if not block.is_done:
                        missing.append(planned[-1])
        raise_problems(problems)
        if kept := len(planned) - len(missing):
            logger.info('Kept from an earlier run: %d of %d row blocks', kept, len(planned))
        cohort_files, masks, numbers = zip(*(missing or planned[:1]), strict=True)
        return {'cohort_files': list(cohort_files), 'masks': list(masks), 'numbers': list(numbers)}


class _ReadRowBlockInputSpec(_RowBlocksInputSpec):
    cohort_file = File(exists=True, mandatory=True, desc='one row per image')
    in_mask = traits.Either(None, File(exists=True), desc='group mask, for voxels; None for others')
    number = traits.Int(mandatory=True, desc='which of the row blocks, from 0')


class _ReadRowBlockOutputSpec(TraitedSpec):
    out_file = File(exists=True, desc='values of some rows')


class ReadRowBlock(LibraryInterface):
    """Read some rows of a cohort into a file; one that is there from before is kept."""

    input_spec = _ReadRowBlockInputSpec
    output_spec = _ReadRowBlockOutputSpec

    @property
    def what(self) -> str:
        """The row block in a message."""
        return f'row block {self.inputs.number + 1} of {self.inputs.cohort_file}'

    def _call(self, _folder: Path) -> dict[str, Any]:
        resources = self.resources()
        cohort, space = _cohort_and_space(self.inputs.cohort_file, self.path('in_mask'))
        block = row_blocks(self.inputs, cohort, space, resources)[self.inputs.number]
        return {'out_file': str(block.read(space, resources))}


def _cohort_and_space(cohort_file: str, mask: str | Path | None) -> tuple[Cohort, ElementSpace]:
    """Return a cohort of one scalar, and its elements."""
    cohort = Cohort.from_csv(cohort_file)
    return cohort, space_of(cohort.sources(), References(mask=location(mask) if mask else None))


def row_blocks(
    inputs: BaseInterfaceInputSpec,
    cohort: Cohort,
    space: ElementSpace,
    resources: Resources,
    layout: Layout = Layout(),
) -> list[RowBlock]:
    """Return the row blocks that an interface's inputs speak of."""
    folder, memory = Path(inputs.blocks_dir), resources.memory
    return plan_row_blocks(
        cohort.sources(), space, layout, folder, n_blocks=inputs.n_blocks, memory=memory
    )
