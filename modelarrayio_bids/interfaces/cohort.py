"""From BIDS datasets to cohorts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from nipype.interfaces.base import (
    BaseInterfaceInputSpec,
    Directory,
    File,
    InputMultiObject,
    OutputMultiObject,
    TraitedSpec,
    traits,
)

from modelarrayio_bids.derivatives.collect import Collection, Request, collect
from modelarrayio_bids.derivatives.description import write_description, write_json
from modelarrayio_bids.derivatives.filters import BidsFilters
from modelarrayio_bids.derivatives.groups import ScalarGroup
from modelarrayio_bids.derivatives.participants import Participants
from modelarrayio_bids.derivatives.sidecars import sidecars
from modelarrayio_bids.interfaces.base import LibraryInterface
from modelarrayio_bids.masks import DEFAULT_THRESHOLD


class _CollectCohortInputSpec(BaseInterfaceInputSpec):
    bids_dir = Directory(exists=True, mandatory=True, desc='BIDS dataset of the study')
    output_dir = Directory(desc='folder for the outputs (default: the working folder)')
    datasets = traits.Dict(
        traits.Str, Directory(exists=True), desc='derivatives to look into, by name'
    )
    participant_label = InputMultiObject(traits.Str, desc='the only participants wanted')
    session_label = InputMultiObject(traits.Str, desc='the only sessions wanted')
    scalars = InputMultiObject(traits.Str, desc='the only scalars wanted: names or shell patterns')
    bids_filters = traits.Dict(desc='conditions on "scalar" and "mask" images, by entity')
    mask = File(exists=True, desc='mask that serves every volume')
    database_dir = Directory(nohash=True, desc='where indexes are kept for other runs')
    recipes = InputMultiObject(File(exists=True), desc='recipes of your own (YAML), which win')
    threshold = traits.Range(
        low=0.0,
        high=1.0,
        value=DEFAULT_THRESHOLD,
        exclude_low=True,
        usedefault=True,
        desc='fraction of subjects a voxel of the group mask needs, for the sidecars',
    )
    overwrite = traits.Bool(
        False, usedefault=True, desc='go on where an HDF5 file of an earlier run holds results'
    )
    num_threads = traits.Int(1, usedefault=True, nohash=True, desc='make masks in threads')


class _CollectCohortOutputSpec(TraitedSpec):
    scalars = traits.List(traits.Str, desc='names, one per scalar and space')
    cohort_files = traits.List(File(exists=True), desc='cohort CSV of each')
    group_mask_files = traits.List(
        traits.Str, desc='where the group mask of each goes, if it has one'
    )
    coverage_files = traits.List(traits.Str, desc='where the coverage map of each goes')
    store_files = traits.List(traits.Str, desc='where the HDF5 file of each goes')
    sidecars_file = File(exists=True, desc='JSON of sidecar path to content')


class CollectCohort(LibraryInterface):
    """Find scalar maps and masks in BIDS derivatives; write a cohort CSV per scalar and space."""

    input_spec = _CollectCohortInputSpec
    output_spec = _CollectCohortOutputSpec

    def _call(self, folder: Path) -> dict[str, Any]:
        inputs = self.inputs
        given = self.given('output_dir')
        output_dir = Path(given.get('output_dir', folder)).absolute()
        collection = collect(self._request(output_dir))
        collection.check_outputs(output_dir, overwrite=inputs.overwrite)
        collection.check()
        scalars = [group.scalar for group in collection.groups]
        write_description(output_dir, collection.datasets, Path(inputs.bids_dir), scalars)
        participants = collection.participants()
        contents: dict[str, Any] = {}
        for group in collection.groups:
            contents |= self._write(group, collection, participants, output_dir)
        write_json(contents, folder / 'sidecars.json')
        outputs = [group.outputs(output_dir) for group in collection.groups]
        return {
            'scalars': scalars,
            'cohort_files': [str(files.cohort) for files in outputs],
            'group_mask_files': [str(files.group_mask) for files in outputs],
            'coverage_files': [str(files.coverage) for files in outputs],
            'store_files': [str(files.store) for files in outputs],
            'sidecars_file': str(folder / 'sidecars.json'),
        }

    def _request(self, output_dir: Path) -> Request:
        inputs = self.inputs
        given = self.given('datasets', 'bids_filters', 'mask', 'database_dir')
        several = self.given('participant_label', 'session_label', 'scalars', 'recipes')
        return Request(
            Path(inputs.bids_dir),
            output_dir,
            {name: Path(root) for name, root in given.get('datasets', {}).items()},
            tuple(several.get('participant_label', ())),
            tuple(several.get('session_label', ())),
            tuple(several.get('scalars', ())),
            BidsFilters.from_dict(given.get('bids_filters', {})),
            Path(given['mask']).absolute() if 'mask' in given else None,
            Path(given['database_dir']).absolute() if 'database_dir' in given else None,
            tuple(Path(path).absolute() for path in several.get('recipes', ())),
        )

    def _write(
        self,
        group: ScalarGroup,
        collection: Collection,
        participants: Participants,
        output_dir: Path,
    ) -> dict[str, Any]:
        outputs = group.outputs(output_dir)
        cohort = group.write_cohort(outputs, participants, self.inputs.num_threads)
        threshold = None if self.given('mask') else self.inputs.threshold
        found = sidecars(group, outputs, cohort, collection.datasets, threshold)
        return {str(path): content for path, content in found.items()}


class _WriteSidecarsInputSpec(BaseInterfaceInputSpec):
    sidecars_file = File(exists=True, mandatory=True, desc='JSON of sidecar path to content')
    described = InputMultiObject(
        File(exists=True), mandatory=True, desc='the files that have to be there first'
    )


class _WriteSidecarsOutputSpec(TraitedSpec):
    out_files = OutputMultiObject(File(exists=True), desc='the sidecars')


class WriteSidecars(LibraryInterface):
    """Write the sidecars of files that are there by now."""

    input_spec = _WriteSidecarsInputSpec
    output_spec = _WriteSidecarsOutputSpec

    def _call(self, _folder: Path) -> dict[str, Any]:
        contents = json.loads(Path(self.inputs.sidecars_file).read_text('utf-8'))
        for path, content in contents.items():
            write_json(content, Path(path))
        return {'out_files': list(contents)}
