"""Models fitted on several machines: blocks of elements, or of permutations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from nipype.interfaces.base import BaseInterfaceInputSpec, InputMultiObject, TraitedSpec, traits

from modelarrayio_bids.errors import SchemaError
from modelarrayio_bids.interfaces.base import File, LibraryInterface
from modelarrayio_bids.interfaces.models import ModelInputSpec, ModelInterface
from modelarrayio_bids.results.merge import merge_results
from modelarrayio_bids.results.values import block_width
from modelarrayio_bids.runtime.grouping import grouped
from modelarrayio_bids.store.reader import StoreReader


class _ModelsInputSpec(BaseInterfaceInputSpec):
    in_files = InputMultiObject(
        File(exists=True), hash_files=False, mandatory=True, desc='HDF5 files with scalars'
    )
    cohort_files = InputMultiObject(File(exists=True), mandatory=True, desc='cohort of each')
    formula = InputMultiObject(traits.Str, mandatory=True, desc='the model, or one for each')
    n_blocks = traits.Range(low=1, mandatory=True, desc='blocks of each file')


class _ModelBlocksOutputSpec(TraitedSpec):
    in_files = traits.List(File, desc='HDF5 file of each block')
    cohort_files = traits.List(File, desc='cohort of each block')
    formula = traits.List(traits.Str, desc='model of each block')
    identities = traits.List(traits.Str, desc='of what the HDF5 file of each block was made')


class _PlanElementBlocksOutputSpec(_ModelBlocksOutputSpec):
    elements = traits.List(traits.Tuple(traits.Int, traits.Int), desc='elements of each block')
    out_files = traits.List(File, desc='HDF5 file for the results of each block')


class PlanElementBlocks(LibraryInterface):
    """Divide the elements of HDF5 files into blocks for several machines."""

    input_spec = _ModelsInputSpec
    output_spec = _PlanElementBlocksOutputSpec

    def _call(self, folder: Path) -> dict[str, Any]:
        return _as_lists(
            [
                {'elements': span, 'out_files': str(folder / f'{number}_{span[0]}.h5'), **model}
                for number, model in enumerate(_models_of(self.inputs))
                for span in _spans(model['in_files'], self.inputs.n_blocks)
            ]
        )


class _JoinElementBlocksInputSpec(BaseInterfaceInputSpec):
    in_files = InputMultiObject(
        File(exists=True), hash_files=False, mandatory=True, desc='HDF5 files with scalars'
    )
    block_files = InputMultiObject(
        File(exists=True), mandatory=True, desc='results of the blocks of all files, in order'
    )
    block_of = InputMultiObject(File, mandatory=True, desc='HDF5 file with the scalar of each')
    analysis_name = traits.Str(mandatory=True, desc='name of the results')
    overwrite = traits.Bool(False, usedefault=True, desc='replace an analysis of that name')
    num_threads = traits.Int(
        1, usedefault=True, nohash=True, desc='inflate and compress in threads'
    )


class _JoinElementBlocksOutputSpec(TraitedSpec):
    out_files = traits.List(File(exists=True), desc='HDF5 files with the results')


class JoinElementBlocks(LibraryInterface):
    """Join the results of blocks of elements, p values adjusted over all of them."""

    input_spec = _JoinElementBlocksInputSpec
    output_spec = _JoinElementBlocksOutputSpec

    def _call(self, _folder: Path) -> dict[str, Any]:
        inputs = self.inputs
        blocks = grouped(zip(inputs.block_of, inputs.block_files, strict=True))
        for store in inputs.in_files:
            merge_results(
                blocks.get(store, []),
                [inputs.analysis_name],
                inputs.analysis_name,
                store,
                overwrite=inputs.overwrite,
                resources=self.resources(),
            )
        return {'out_files': list(inputs.in_files)}


class _PlanPermutationBlocksOutputSpec(_ModelBlocksOutputSpec):
    block = traits.List(traits.Tuple(traits.Int, traits.Int), desc='number of each, and of all')


class PlanPermutationBlocks(LibraryInterface):
    """Divide the permutations of models into blocks for several machines."""

    input_spec = _ModelsInputSpec
    output_spec = _PlanPermutationBlocksOutputSpec

    def _call(self, _folder: Path) -> dict[str, Any]:
        n_blocks = self.inputs.n_blocks
        return _as_lists(
            [
                {'block': (number, n_blocks), **model}
                for model in _models_of(self.inputs)
                for number in range(n_blocks)
            ]
        )


class _PermuteModelInputSpec(ModelInputSpec):
    block = traits.Tuple(
        traits.Int, traits.Int, mandatory=True, desc='number of the block, and of all'
    )


class _PermuteModelOutputSpec(TraitedSpec):
    out_file = File(exists=True, desc='greatest statistic of each labelling, (n_tests, n): .npy')


class PermuteModel(ModelInterface):
    """Make a block of the permutations of a model, over all elements."""

    input_spec = _PermuteModelInputSpec
    output_spec = _PermuteModelOutputSpec

    def _call(self, folder: Path) -> dict[str, Any]:
        out_file = folder / 'null_maxima.npy'
        np.save(out_file, self._fit().null_distribution(self.inputs.block, self.resources()))
        return {'out_file': str(out_file)}


def _models_of(inputs: Any) -> Iterator[dict[str, str]]:
    """Yield HDF5 file, cohort, formula and identity of each model, by names of outputs."""
    formulas = list(inputs.formula)
    if len(formulas) == 1:
        formulas *= len(inputs.in_files)
    for store, cohort, formula in zip(inputs.in_files, inputs.cohort_files, formulas, strict=True):
        with StoreReader(Path(store)) as reader:
            # Another one with other values; with every change where the file does not tell.
            identity = reader.identity or str(Path(store).stat().st_mtime_ns)
        yield {
            'in_files': store,
            'cohort_files': cohort,
            'formula': formula,
            'identities': identity,
        }


def _as_lists(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """Return the outputs of blocks, of which each has the same, as a list for each output."""
    return {name: [row[name] for row in rows] for name in rows[0]}


def _spans(store: str, n_blocks: int) -> list[tuple[int, int]]:
    """Return the first element and the end of each block, as alike as they can be."""
    with StoreReader(Path(store)) as reader:
        if not reader.scalars:
            raise SchemaError('holds no scalar', store, 'Give a file made by to-modelarray.')
        scalar = reader.scalar(reader.scalars[0])
        n_elements, width = scalar.shape[1], block_width(scalar)
    n_parts = -(-n_elements // width)
    ends = [min(n_elements, width * (n_parts * n // n_blocks)) for n in range(n_blocks + 1)]
    return [(first, end) for first, end in pairwise(ends) if first < end]
