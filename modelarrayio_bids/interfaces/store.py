"""Interfaces that write the HDF5 file and export its results."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nipype.interfaces.base import InputMultiObject, OutputMultiObject, TraitedSpec, traits

from modelarrayio_bids.cohort import Cohort
from modelarrayio_bids.conversion.build import is_up_to_date, to_modelarray
from modelarrayio_bids.derivatives.outputs.statmaps import StatMapNaming
from modelarrayio_bids.interfaces.base import Directory, File, LibraryInterface, ResourcesInputSpec
from modelarrayio_bids.results.export import ExportOptions, ResultNaming, export_results
from modelarrayio_bids.runtime.overwriting import refuse_inputs
from modelarrayio_bids.runtime.resources import MIB, peak_bytes
from modelarrayio_bids.spaces import ElementSpace, References, space_of
from modelarrayio_bids.spaces.input_files import files_read
from modelarrayio_bids.store.chunk_layout import COMPRESSIONS, DEFAULT_CHUNK_BYTES, DTYPES, Layout

logger = logging.getLogger(__name__)


class ReferencesInputSpec(ResourcesInputSpec):
    """The inputs that define the elements, and what reading them may take."""

    in_mask = traits.Either(None, File(exists=True), desc='group mask, for voxels; None for others')
    index_file = File(exists=True, desc='index image of a fixel directory')
    directions_file = File(exists=True, desc='directions image of a fixel directory')
    example_file = File(exists=True, desc='image that says which elements there are')


def references(interface: LibraryInterface, chosen: str | None = None) -> References:
    """Return the files that an interface's inputs name."""
    names = ('in_mask', 'index_file', 'directions_file', 'example_file')
    mask, index, directions, example = map(interface.path, names)
    return References(mask, index, directions, example, chosen)


class ToModelArrayInputSpec(ReferencesInputSpec):
    """The inputs of an HDF5 file."""

    cohort_file = File(exists=True, mandatory=True, desc='one row per image')
    scalar_columns = InputMultiObject(traits.Str, desc='columns of paths of a wide cohort')
    map = traits.Str(desc='map to take of images with several, by name or number')
    # An output that is there already must not change the node's hash: hash_files=False.
    out_file = File(
        hash_files=False, desc="HDF5 file to write (default: modelarray.h5 in the node's folder)"
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
    reuse_existing = traits.Bool(
        False, usedefault=True, desc='keep a file that is there and was made of the same images'
    )
    summaries = traits.Bool(
        False, usedefault=True, desc='keep summaries of subjects and elements, for a report'
    )


class _ToModelArrayOutputSpec(TraitedSpec):
    out_file = File(exists=True, desc='HDF5 file that ModelArray opens')
    # Not undefined: a MapNode drops undefined values, and the others would move up.
    seconds = traits.Either(None, traits.Float, desc='that it took; None of a file that was kept')
    peak_mb = traits.Either(None, traits.Float, desc='most memory the process held, in MiB')


class ToModelArray(LibraryInterface):
    """Write the images of a cohort to one HDF5 file."""

    input_spec = ToModelArrayInputSpec
    output_spec = _ToModelArrayOutputSpec

    def _call(self, folder: Path) -> dict[str, Any]:
        resources = self.resources()
        out_file = self.path('out_file') or folder / 'modelarray.h5'
        given = self.given('scalar_columns', 'map')
        cohort = Cohort.from_csv(self.inputs.cohort_file, given.get('scalar_columns', ()))
        layout, named = self.layout(), references(self, given.get('map'))
        read = [Path(self.inputs.cohort_file), *files_read(cohort.sources(), named)]
        refuse_inputs([out_file], read)
        space = space_of(cohort.sources(), named)
        if self.inputs.reuse_existing and is_up_to_date(cohort, space, out_file, layout):
            logger.info('Kept, made of the same images by an earlier run: %s', out_file)
            return {'out_file': str(out_file), 'seconds': None, 'peak_mb': None}
        began = time.monotonic()
        self.builder(cohort, space, layout)(
            cohort,
            space,
            out_file,
            layout=layout,
            resources=resources,
            overwrite=self.inputs.overwrite,
            summaries=self.inputs.summaries,
        )
        seconds, peak = time.monotonic() - began, peak_bytes() / MIB
        return {'out_file': str(out_file), 'seconds': seconds, 'peak_mb': peak}

    def builder(self, cohort: Cohort, space: ElementSpace, layout: Layout) -> Callable[..., Path]:
        """Return the function of the library that makes the file."""
        return to_modelarray

    def layout(self) -> Layout:
        """Return how the inputs say that values are stored."""
        inputs = self.inputs
        return Layout(
            inputs.dtype,
            inputs.compression,
            self.given('compression_level').get('compression_level'),
            inputs.shuffle,
            inputs.chunk_voxels,
            inputs.target_chunk_mb * MIB,
        )


class _ExportResultsInputSpec(ReferencesInputSpec):
    in_file = File(exists=True, mandatory=True, desc='HDF5 file with results of ModelArray')
    analysis_name = traits.Str(mandatory=True, desc='name the analysis was given in R')
    output_dir = Directory(
        hash_files=False,
        desc="folder for the images (default: results in the node's folder; with bids_root, a "
        'folder beside the HDF5 file, named by BIDS)',
    )
    bids_root = Directory(
        desc='BIDS dataset that the file is in: names and sidecars by BIDS (default: names of R)'
    )
    compress = traits.Bool(True, usedefault=True, desc='.nii.gz rather than .nii')
    log_p = traits.Bool(False, usedefault=True, desc='write -log10 p beside each p-value')
    outside = traits.Enum('zero', 'nan', usedefault=True, desc='value outside the group mask')


class _ExportResultsOutputSpec(TraitedSpec):
    out_files = OutputMultiObject(File(exists=True), desc='one image per result and companion')


class ExportResults(LibraryInterface):
    """Write every result of an analysis as an image."""

    input_spec = _ExportResultsInputSpec
    output_spec = _ExportResultsOutputSpec

    def _call(self, folder: Path) -> dict[str, Any]:
        inputs, root = self.inputs, self.path('bids_root')
        by_bids = None if root is None else StatMapNaming.of(inputs.in_file, root)
        default = folder / 'results' if by_bids is None else by_bids.folder(inputs.analysis_name)
        fill = math.nan if inputs.outside == 'nan' else 0.0
        naming = by_bids or ResultNaming()
        images = export_results(
            inputs.in_file,
            inputs.analysis_name,
            self.path('output_dir') or default,
            references(self),
            ExportOptions(
                *(inputs.compress, inputs.log_p, fill, inputs.num_threads, naming),
                memory=self.resources().memory,
            ),
        )
        return {'out_files': [str(path) for path in images]}
