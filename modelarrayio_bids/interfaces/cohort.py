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

from modelarrayio_bids.derivatives.bids.description import write_description
from modelarrayio_bids.derivatives.bids.json_files import read_json, write_json
from modelarrayio_bids.derivatives.bids.filters import BidsFilters
from modelarrayio_bids.derivatives.bids.naming import sidecar
from modelarrayio_bids.derivatives.cohorts.collect import Collection, collect
from modelarrayio_bids.derivatives.cohorts.grids import POLICIES
from modelarrayio_bids.derivatives.cohorts.groups import ScalarGroup
from modelarrayio_bids.derivatives.cohorts.mask_matching import SOURCES
from modelarrayio_bids.derivatives.cohorts.request import Request
from modelarrayio_bids.derivatives.outputs.sidecars import sidecars
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
    exclude_participant_label = InputMultiObject(traits.Str, desc='participants not wanted')
    scalars = InputMultiObject(traits.Str, desc='the only scalars wanted: names or shell patterns')
    space = InputMultiObject(traits.Str, desc='the only spaces wanted: names or shell patterns')
    bids_filters = traits.Dict(desc='conditions on "scalar" and "mask" images, by entity')
    mask = File(exists=True, desc='mask that serves every volume')
    mask_source = InputMultiObject(
        traits.Enum(*SOURCES), desc='the only kinds of masks allowed: rungs of the ladder'
    )
    group_mask_file = File(exists=True, desc='the group mask itself, on the grid of the images')
    on_grid_mismatch = traits.Enum(
        *POLICIES, usedefault=True, desc='what becomes of images on another grid than the others'
    )
    phenotypes = InputMultiObject(
        File(exists=True), desc='tables besides participants.tsv and sessions.tsv'
    )
    require = InputMultiObject(traits.Str, desc='phenotypes without which an image is left out')
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
    staged = traits.Bool(
        False, usedefault=True, desc="write cohort CSVs in the node's folder: see table_files"
    )
    num_threads = traits.Int(1, usedefault=True, nohash=True, desc='make masks in threads')


class _CollectCohortOutputSpec(TraitedSpec):
    bids_dir = Directory(exists=True, desc='as given, absolute')
    output_dir = Directory(exists=True, desc='folder for the outputs, absolute')
    scalars = traits.List(traits.Str, desc='names, one per scalar and space')
    cohort_files = traits.List(File(exists=True), desc='cohort CSV of each')
    table_files = traits.List(
        traits.Str,
        desc='where the cohort CSV of each goes: with staged, once its HDF5 file is there',
    )
    group_mask_files = traits.List(
        traits.Str, desc='where the group mask of each goes, if it has one'
    )
    coverage_files = traits.List(traits.Str, desc='where the coverage map of each goes')
    store_files = traits.List(traits.Str, desc='where the HDF5 file of each goes')
    script_files = traits.List(traits.Str, desc='where the R script that fits each goes')
    left_out = traits.Dict(traits.Str, traits.Int, desc='how many images are not used, by reason')
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
        collection = collection.reconciled()
        if not inputs.overwrite:
            collection.check_added(output_dir)
        scalars = [group.scalar for group in collection.groups]
        write_description(output_dir, collection.datasets, Path(inputs.bids_dir), scalars)
        outputs = [group.outputs(output_dir) for group in collection.groups]
        tables = [files.cohort for files in outputs]
        if inputs.staged:
            tables = [folder / table.relative_to(output_dir) for table in tables]
        contents: dict[str, Any] = {}
        for group, table in zip(collection.groups, tables, strict=True):
            contents |= self._write(group, collection, output_dir, table)
        write_json(contents, folder / 'sidecars.json')
        return {
            'bids_dir': str(Path(inputs.bids_dir).absolute()),
            'output_dir': str(output_dir),
            'scalars': scalars,
            'cohort_files': list(map(str, tables)),
            'table_files': [str(files.cohort) for files in outputs],
            'group_mask_files': [str(files.group_mask) for files in outputs],
            'coverage_files': [str(files.coverage) for files in outputs],
            'store_files': [str(files.store) for files in outputs],
            'script_files': [str(files.fit_script) for files in outputs],
            'left_out': {reason: out.count for reason, out in collection.left_out.items()},
            'sidecars_file': str(folder / 'sidecars.json'),
        }

    def _request(self, output_dir: Path) -> Request:
        given = self.given('datasets', 'bids_filters', 'mask', 'group_mask_file')
        return Request(
            Path(self.inputs.bids_dir),
            output_dir,
            datasets={name: Path(root) for name, root in given.get('datasets', {}).items()},
            participants=self._several('participant_label'),
            sessions=self._several('session_label'),
            excluded=self._several('exclude_participant_label'),
            scalars=self._several('scalars'),
            spaces=self._several('space'),
            bids_filters=BidsFilters.from_dict(given.get('bids_filters', {})),
            mask=Path(given['mask']).absolute() if 'mask' in given else None,
            mask_sources=self._several('mask_source'),
            group_mask=Path(given['group_mask_file']) if 'group_mask_file' in given else None,
            on_grid_mismatch=self.inputs.on_grid_mismatch,
            phenotypes=tuple(Path(path).absolute() for path in self._several('phenotypes')),
            required=self._several('require'),
            recipes=tuple(Path(path).absolute() for path in self._several('recipes')),
        )

    def _several(self, name: str) -> tuple[str, ...]:
        return tuple(self.given(name).get(name, ()))

    def _write(
        self, group: ScalarGroup, collection: Collection, output_dir: Path, table: Path
    ) -> dict[str, Any]:
        outputs, threads = group.outputs(output_dir), self.inputs.num_threads
        cohort = group.write_cohort(outputs, collection.phenotypes, threads, table)
        threshold = None if self.given('mask', 'group_mask_file') else self.inputs.threshold
        found = sidecars(group, outputs, cohort, collection, threshold)
        return {str(path): content for path, content in found.items()}


class _WriteSidecarsInputSpec(BaseInterfaceInputSpec):
    sidecars_file = File(exists=True, mandatory=True, desc='JSON of sidecar path to content')
    described = InputMultiObject(
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
    """Write the sidecars of files that are there by now."""

    input_spec = _WriteSidecarsInputSpec
    output_spec = _WriteSidecarsOutputSpec

    def _call(self, _folder: Path) -> dict[str, Any]:
        contents = json.loads(Path(self.inputs.sidecars_file).read_text('utf-8'))
        building = self._building()
        for path, content in contents.items():
            write_json(content | building.get(path, {}), Path(path))
        return {'out_files': list(contents)}

    def _building(self) -> dict[str, dict[str, Any]]:
        """By sidecar: what it took to build the file it describes, now or when that was."""
        measured = self.given('seconds', 'peak_mb')
        if len(measured) < 2:
            return {}
        costs = zip(measured['seconds'], measured['peak_mb'], strict=True)
        found: dict[str, dict[str, Any]] = {}
        for file, (seconds, peak) in zip(self.inputs.described, costs, strict=True):
            path = sidecar(Path(file))
            if seconds is not None:
                cost = {'Seconds': round(seconds, 1), 'PeakMemoryMB': round(peak)}
                found[str(path)] = {'Building': cost}
            else:
                earlier = read_json(path)
                found[str(path)] = {key: earlier[key] for key in ('Building',) if key in earlier}
        return found
