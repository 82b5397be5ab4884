"""Interfaces that collect cohorts and write their sidecars."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nipype.interfaces.base import (
    BaseInterfaceInputSpec,
    InputMultiObject,
    OutputMultiObject,
    TraitedSpec,
    traits,
)

from modelarrayio_bids.derivatives.bids.description import write_description
from modelarrayio_bids.derivatives.bids.json_files import read_json, write_json
from modelarrayio_bids.derivatives.bids.output_names import sidecar
from modelarrayio_bids.derivatives.cohorts.collect import collect
from modelarrayio_bids.derivatives.cohorts.collection import Collection
from modelarrayio_bids.derivatives.cohorts.columns import said_of_repeats
from modelarrayio_bids.derivatives.cohorts.grids import POLICIES
from modelarrayio_bids.derivatives.cohorts.groups import ScalarGroup
from modelarrayio_bids.derivatives.cohorts.mask_matching import SOURCES
from modelarrayio_bids.derivatives.cohorts.request import INPUTS, Request
from modelarrayio_bids.derivatives.cohorts.unchanged import is_unchanged
from modelarrayio_bids.derivatives.outputs.sidecars import sidecars
from modelarrayio_bids.interfaces.base import Directory, File, LibraryInterface
from modelarrayio_bids.interfaces.masks import fraction_of_masks
from modelarrayio_bids.interfaces.store import ToModelArray
from modelarrayio_bids.runtime.locations import location
from modelarrayio_bids.runtime.overwriting import refuse_inputs

logger = logging.getLogger(__name__)


class _CollectCohortInputSpec(BaseInterfaceInputSpec):
    bids_dir = Directory(exists=True, mandatory=True, desc='BIDS dataset of the study')
    output_dir = Directory(desc='folder for the outputs (default: the working folder)')
    datasets = traits.Dict(
        traits.Str, Directory(exists=True), desc='derivatives to look into, by name'
    )
    participant_label = InputMultiObject(traits.Str, desc='the only participants wanted')
    session_label = InputMultiObject(traits.Str, desc='the only sessions wanted')
    exclude_participant_label = InputMultiObject(traits.Str, desc='participants not wanted')
    scalars = InputMultiObject(traits.Str, desc='the only scalars wanted: names or shell patterns')
    space = InputMultiObject(traits.Str, desc='the only spaces wanted: names or shell patterns')
    bids_filters = traits.Dict(desc='conditions on "scalar" and "mask" images, by entity')
    in_mask = File(exists=True, desc='mask that serves every volume')
    mask_source = InputMultiObject(traits.Enum(*SOURCES), desc='the only kinds of masks allowed')
    group_mask_file = File(exists=True, desc='the group mask itself, on the grid of the images')
    on_grid_mismatch = traits.Enum(
        *POLICIES, usedefault=True, desc='what becomes of images on another grid than the others'
    )
    phenotypes = InputMultiObject(
        File(exists=True), desc='tables besides participants.tsv and sessions.tsv'
    )
    required_columns = InputMultiObject(
        traits.Str, desc='phenotypes without which an image is left out'
    )
    recipes = InputMultiObject(File(exists=True), desc='recipes of your own (YAML), which win')
    images = InputMultiObject(
        traits.Str, desc='images by patterns of their paths, NAME=PATTERN, in place of recipes'
    )
    masks = InputMultiObject(traits.Str, desc='masks of these images by patterns of their paths')
    images_space = traits.Str(desc='the space of these images (default: unknown)')
    threshold = fraction_of_masks(
        'fraction of subjects a voxel of the group mask needs, for the sidecars'
    )
    overwrite = traits.Bool(
        False, usedefault=True, desc='go on where an HDF5 file of an earlier run holds results'
    )
    needed_columns = traits.List(
        traits.Str,
        [],
        usedefault=True,
        desc='columns that a formula will name: an error without them',
    )
    warn_of_repeats = traits.Bool(
        True, usedefault=True, desc='warn of several images of one participant'
    )
    num_threads = traits.Int(1, usedefault=True, nohash=True, desc='make masks in threads')


class CollectCohortOutputSpec(TraitedSpec):
    """The cohorts that were found, and the paths of their outputs."""

    # No Directory: of an address Nipype would make a path in the node's folder.
    bids_dir = traits.Str(desc='as given, absolute')
    output_dir = Directory(exists=True, desc='folder for the outputs, absolute')
    scalars = traits.List(traits.Str, desc='names, one per scalar and space')
    cohort_files = traits.List(File(exists=True), desc='cohort CSV of each')
    group_mask_files = traits.List(File, desc='where the group mask of each goes, if it has one')
    coverage_files = traits.List(File, desc='where the coverage map of each goes')
    store_files = traits.List(File, desc='where the HDF5 file of each goes')
    script_files = traits.List(File, desc='where the R script that fits each goes')
    left_out = traits.Dict(traits.Str, traits.Int, desc='how many images are not used, by reason')
    sidecars_file = File(exists=True, desc='JSON of sidecar path to content')


class CollectCohort(LibraryInterface):
    """Find scalar maps and masks in BIDS derivatives; write a cohort CSV per scalar and space."""

    input_spec = _CollectCohortInputSpec
    output_spec = CollectCohortOutputSpec

    def _call(self, folder: Path) -> dict[str, Any]:
        inputs = self.inputs
        output_dir = self.path('output_dir') or folder
        collection = collect(Request.of(**self.given(*INPUTS) | {'output_dir': output_dir}))
        collection.require_columns(inputs.needed_columns)
        refuse_inputs(collection.files_written(output_dir), collection.files_read())
        collection = collection.reconciled()
        collection.check_outputs(
            output_dir,
            overwrite=inputs.overwrite,
            is_kept=lambda group: is_unchanged(
                group,
                output_dir,
                layout=ToModelArray().layout(),
                threshold=inputs.threshold,
                group_mask=self.path('group_mask_file'),
                threads=inputs.num_threads,
            ),
        )
        scalars = [group.scalar for group in collection.groups]
        write_description(output_dir, collection.datasets, location(inputs.bids_dir), scalars)
        outputs = [group.outputs(output_dir) for group in collection.groups]
        tables = self.cohort_paths([files.cohort for files in outputs], output_dir, folder)
        contents: dict[str, Any] = {}
        for group, table in zip(collection.groups, tables, strict=True):
            contents |= self._write(group, collection, output_dir, table)
        write_json(contents, folder / 'sidecars.json')
        return {
            'bids_dir': inputs.bids_dir,
            'output_dir': str(output_dir),
            'scalars': scalars,
            'cohort_files': list(map(str, tables)),
            'group_mask_files': [str(files.group_mask) for files in outputs],
            'coverage_files': [str(files.coverage) for files in outputs],
            'store_files': [str(files.store) for files in outputs],
            'script_files': [str(files.fit_script) for files in outputs],
            'left_out': {reason: len(paths) for reason, paths in collection.left_out.items()},
            'sidecars_file': str(folder / 'sidecars.json'),
        }

    def cohort_paths(self, paths: Sequence[Path], output_dir: Path, folder: Path) -> Sequence[Path]:
        """Return where cohort CSVs are written whose place in the outputs these paths are."""
        return paths

    def _write(
        self, group: ScalarGroup, collection: Collection, output_dir: Path, table: Path
    ) -> dict[str, Any]:
        outputs, threads = group.outputs(output_dir), self.inputs.num_threads
        cohort = group.write_cohort(outputs, collection.phenotypes, threads, table)
        if self.inputs.warn_of_repeats and (said := said_of_repeats(cohort)):
            logger.warning('%s', said)
        threshold = None if self.given('in_mask', 'group_mask_file') else self.inputs.threshold
        found = sidecars(group, outputs, cohort, collection, threshold)
        return {str(path): content for path, content in found.items()}


class _WriteSidecarsInputSpec(BaseInterfaceInputSpec):
    sidecars_file = File(exists=True, mandatory=True, desc='JSON of sidecar path to content')
    in_files = InputMultiObject(
        File(exists=True), mandatory=True, desc='the files that have to be there first'
    )
    seconds = traits.List(
        traits.Either(None, traits.Float), desc='that each took; None: as was said before'
    )
    peak_mb = traits.List(
        traits.Either(None, traits.Float), desc='most memory each took; None: as was said before'
    )


class _WriteSidecarsOutputSpec(TraitedSpec):
    out_files = OutputMultiObject(File(exists=True), desc='the sidecars')


class WriteSidecars(LibraryInterface):
    """Write the sidecars of finished files."""

    input_spec = _WriteSidecarsInputSpec
    output_spec = _WriteSidecarsOutputSpec

    def _call(self, _folder: Path) -> dict[str, Any]:
        contents = json.loads(Path(self.inputs.sidecars_file).read_text('utf-8'))
        building = self._building()
        for path, content in contents.items():
            write_json(content | building.get(path, {}), Path(path))
        return {'out_files': list(contents)}

    def _building(self) -> dict[str, dict[str, Any]]:
        """Return by sidecar the cost of building the file it describes, now or when that was."""
        measured = self.given('seconds', 'peak_mb')
        # They differ between two runs of the same, which that variable is to make alike.
        if len(measured) < 2 or 'SOURCE_DATE_EPOCH' in os.environ:
            return {}
        costs = zip(measured['seconds'], measured['peak_mb'], strict=True)
        found: dict[str, dict[str, Any]] = {}
        for file, (seconds, peak) in zip(self.inputs.in_files, costs, strict=True):
            path = sidecar(Path(file))
            if seconds is not None:
                cost = {'Seconds': round(seconds, 1), 'PeakMemoryMB': round(peak)}
                found[str(path)] = {'Building': cost}
            else:
                earlier = read_json(path)
                found[str(path)] = {key: earlier[key] for key in ('Building',) if key in earlier}
        return found
