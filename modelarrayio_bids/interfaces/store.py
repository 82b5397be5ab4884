"""Into the HDF5 file, and out of it."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from nipype.interfaces.base import (
    BaseInterfaceInputSpec,
    Directory,
    File,
    InputMultiObject,
    OutputMultiObject,
    TraitedSpec,
    isdefined,
    traits,
)

from modelarrayio_bids.cohort import Cohort
from modelarrayio_bids.conversion.build import assemble, is_up_to_date, to_modelarray
from modelarrayio_bids.derivatives.outputs.statmaps import StatMapNaming
from modelarrayio_bids.interfaces.base import LibraryInterface
from modelarrayio_bids.interfaces.rows import row_blocks
from modelarrayio_bids.results.export import ExportOptions, Naming, ResultNaming, export_results
from modelarrayio_bids.runtime.resources import MIB, Resources, peak_bytes
from modelarrayio_bids.spaces import References, space_of
from modelarrayio_bids.store.chunks import DEFAULT_CHUNK_BYTES
from modelarrayio_bids.store.writer import COMPRESSIONS, DTYPES, Layout

logger = logging.getLogger(__name__)


class _ReferencesInputSpec(BaseInterfaceInputSpec):
    mask = traits.Either(None, File(exists=True), desc='group mask, for voxels; None for others')
    index_file = File(exists=True, desc='index image of a fixel directory')
    directions_file = File(exists=True, desc='directions image of a fixel directory')
    example_file = File(exists=True, desc='CIFTI image that says which elements there are')


def _references(inputs: _ReferencesInputSpec, chosen: str | None = None) -> References:
    named = (inputs.mask, inputs.index_file, inputs.directions_file, inputs.example_file)
    mask, index, directions, example = (
        Path(path) if isdefined(path) and path is not None else None for path in named
    )
    return References(mask, index, directions, example, chosen)


class _ToModelArrayInputSpec(_ReferencesInputSpec):
    cohort_file = File(exists=True, mandatory=True, desc='one row per image')
    table_file = traits.Str(
        hash_files=False, desc='copy of the cohort to write as soon as the HDF5 file is there'
    )
    scalar_columns = InputMultiObject(traits.Str, desc='columns of paths of a wide cohort')
    map = traits.Str(desc='map to take of images with several, by name or number')
    out_file = traits.Str(
        'modelarray.h5', usedefault=True, hash_files=False, desc='HDF5 file to write'
    )
    dtype = traits.Enum(*DTYPES, usedefault=True, desc='type of the values')
    compression = traits.Enum(*COMPRESSIONS, usedefault=True, desc='filter R can read')
    compression_level = traits.Range(low=0, high=9, desc="zlib's level (default: ISA-L)")
    shuffle = traits.Bool(True, usedefault=True, desc='order bytes before compression')
    chunk_voxels = traits.Int(0, usedefault=True, desc='elements of a chunk; 0: by size')
    target_chunk_mb = traits.Float(
        DEFAULT_CHUNK_BYTES / MIB, usedefault=True, desc='size of a chunk in MiB'
    )
    overwrite = traits.Bool(False, usedefault=True, desc='replace a file that holds results')
    keep = traits.Bool(
        False, usedefault=True, desc='keep a file that is there and was made of the same images'
    )
    summaries = traits.Bool(
        False, usedefault=True, desc='keep summaries of subjects and elements, for a report'
    )
    num_threads = traits.Int(1, usedefault=True, nohash=True, desc='read and compress in threads')
    mem_mb = traits.Int(nohash=True, desc='memory the run may use')
    blocks_dir = traits.Str(desc='folder with the row blocks of the cohort, read before')
    n_blocks = traits.Int(0, usedefault=True, desc='how many; 0: by their size')
    row_files = InputMultiObject(
        File(exists=True), hash_files=False, desc='row blocks that have to be there first'
    )


class _ToModelArrayOutputSpec(TraitedSpec):
    out_file = File(exists=True, desc='HDF5 file that ModelArray opens')
    # Not undefined: a MapNode drops what is, and the others would move up.
    seconds = traits.Either(None, traits.Float, desc='that it took; None of a file that was kept')
    peak_mb = traits.Either(None, traits.Float, desc='most memory the process held, in MiB')


class ToModelArray(LibraryInterface):
    """Write the images of a cohort to one HDF5 file."""

    input_spec = _ToModelArrayInputSpec
    output_spec = _ToModelArrayOutputSpec

    def _call(self, folder: Path) -> dict[str, Any]:
        results = self._build(folder)
        if isdefined(self.inputs.table_file):
            # Not before: of a run that fails, the earlier file and its table go on together.
            Cohort.from_csv(self.inputs.cohort_file).to_csv(self.inputs.table_file)
        return results

    def _build(self, folder: Path) -> dict[str, Any]:
        inputs = self.inputs
        given = self.given('scalar_columns', 'compression_level', 'mem_mb', 'map')
        memory = given['mem_mb'] * MIB if 'mem_mb' in given else None
        resources = Resources(inputs.num_threads, memory)
        cohort = Cohort.from_csv(inputs.cohort_file, given.get('scalar_columns', ()))
        layout = Layout(
            inputs.dtype,
            inputs.compression,
            given.get('compression_level'),
            inputs.shuffle,
            inputs.chunk_voxels,
            inputs.target_chunk_mb * MIB,
        )
        space = space_of(cohort.sources(), _references(inputs, given.get('map')))
        if inputs.keep and is_up_to_date(cohort, space, folder / inputs.out_file, layout):
            logger.info('Kept, made of the same images by an earlier run: %s', inputs.out_file)
            return {'out_file': str(folder / inputs.out_file), 'seconds': None, 'peak_mb': None}
        began = time.monotonic()
        make: Callable[..., Path] = to_modelarray
        if isdefined(inputs.blocks_dir):
            make = partial(assemble, row_blocks=row_blocks(inputs, cohort, space, layout))
        out_file = make(
            cohort,
            space,
            folder / inputs.out_file,
            layout=layout,
            resources=resources,
            overwrite=inputs.overwrite,
            summaries=inputs.summaries,
        )
        seconds, peak = time.monotonic() - began, peak_bytes() / MIB
        return {'out_file': str(out_file), 'seconds': seconds, 'peak_mb': peak}


class _ExportResultsInputSpec(_ReferencesInputSpec):
    in_file = File(exists=True, mandatory=True, desc='HDF5 file with results of ModelArray')
    analysis_name = traits.Str(mandatory=True, desc='name the analysis was given in R')
    output_dir = traits.Str(
        'results', usedefault=True, hash_files=False, desc='folder for the images'
    )
    bids_root = Directory(
        desc='BIDS dataset that the file is in: names and sidecars by BIDS (default: names of R)'
    )
    compress = traits.Bool(True, usedefault=True, desc='.nii.gz rather than .nii')
    log_p = traits.Bool(False, usedefault=True, desc='write -log10 p beside each p-value')
    outside = traits.Enum('zero', 'nan', usedefault=True, desc='value outside the group mask')
    num_threads = traits.Int(1, usedefault=True, nohash=True, desc='compress in threads')
    mem_mb = traits.Int(nohash=True, desc='memory the run may use')


class _ExportResultsOutputSpec(TraitedSpec):
    out_files = OutputMultiObject(File(exists=True), desc='one image per result and companion')


class ExportResults(LibraryInterface):
    """Write every result of an analysis as an image."""

    input_spec = _ExportResultsInputSpec
    output_spec = _ExportResultsOutputSpec

    def _call(self, folder: Path) -> dict[str, Any]:
        inputs = self.inputs
        fill = math.nan if inputs.outside == 'nan' else 0.0
        images = export_results(
            inputs.in_file,
            inputs.analysis_name,
            folder / inputs.output_dir,
            _references(inputs),
            ExportOptions(
                *(inputs.compress, inputs.log_p, fill, inputs.num_threads, self._naming()),
                memory=inputs.mem_mb * MIB if isdefined(inputs.mem_mb) else None,
            ),
        )
        return {'out_files': [str(path) for path in images]}

    def _naming(self) -> Naming:
        if not isdefined(self.inputs.bids_root):
            return ResultNaming()
        return StatMapNaming.of(self.inputs.in_file, self.inputs.bids_root)
