"""The interface that makes the group mask."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nipype.interfaces.base import BaseInterfaceInputSpec, InputMultiObject, TraitedSpec, traits

from modelarrayio_bids.cohort import Cohort
from modelarrayio_bids.interfaces.base import File, LibraryInterface
from modelarrayio_bids.masks import DEFAULT_THRESHOLD, group_mask
from modelarrayio_bids.runtime.locations import location
from modelarrayio_bids.runtime.overwriting import refuse_inputs


def fraction_of_masks(desc: str) -> traits.Range:
    """Return an input that is above 0 and at most 1."""
    bounds = {'low': 0.0, 'high': 1.0, 'exclude_low': True}
    return traits.Range(value=DEFAULT_THRESHOLD, **bounds, usedefault=True, desc=desc)


class _GroupMaskInputSpec(BaseInterfaceInputSpec):
    cohort_file = File(
        exists=True, mandatory=True, xor=['in_files'], desc='cohort CSV with source_mask_file'
    )
    in_files = InputMultiObject(
        File(exists=True), mandatory=True, xor=['cohort_file'], desc='one mask per image'
    )
    threshold = fraction_of_masks('fraction of the masks a voxel needs')
    group_mask_file = File(exists=True, desc='the group mask itself, instead of the threshold')
    num_threads = traits.Int(1, usedefault=True, nohash=True, desc='read in threads')
    # An output that is there already must not change the node's hash: hash_files=False.
    out_mask = File(
        hash_files=False,
        desc="group mask to write (default: group_mask.nii.gz in the node's folder)",
    )
    out_coverage = File(
        hash_files=False,
        desc="coverage map to write (default: coverage.nii.gz in the node's folder)",
    )


class _GroupMaskOutputSpec(TraitedSpec):
    # None rather than undefined: a MapNode drops what is undefined, and the rest moves up.
    out_mask = traits.Either(
        None, File(exists=True), desc='voxels that enough masks have, uint8; None without masks'
    )
    out_coverage = traits.Either(
        None, File(exists=True), desc='in how many masks each voxel is, int32; None without masks'
    )


class GroupMask(LibraryInterface):
    """Make the group's mask: the voxels that enough of the masks have.

    A cohort without a column of masks, of CIFTI files or fixels, has no group mask either.
    """

    input_spec = _GroupMaskInputSpec
    output_spec = _GroupMaskOutputSpec

    def _call(self, folder: Path) -> dict[str, Any]:
        inputs = self.inputs
        mask = self.path('out_mask') or folder / 'group_mask.nii.gz'
        coverage = self.path('out_coverage') or folder / 'coverage.nii.gz'
        masks = self._masks()
        if masks is None:
            return {'out_mask': None, 'out_coverage': None}
        refuse_inputs([mask, coverage], [*masks, self.path('group_mask_file')])
        group_mask(
            *(masks, mask, inputs.threshold, coverage, inputs.num_threads),
            given=self.path('group_mask_file'),
        )
        return {'out_mask': str(mask), 'out_coverage': str(coverage)}

    def _masks(self) -> list[Path] | None:
        given = self.given('cohort_file', 'in_files')
        if 'in_files' in given:
            return [location(path) for path in given['in_files']]
        cohort = Cohort.from_csv(given['cohort_file'])
        if not cohort.has_masks:
            return None
        return [source.mask for source in cohort.sources() if source.mask is not None]
