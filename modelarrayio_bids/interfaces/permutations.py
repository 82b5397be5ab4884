"""Permutations made on several machines."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from nipype.interfaces.base import TraitedSpec, traits

from modelarrayio_bids.interfaces.base import File, LibraryInterface
from modelarrayio_bids.interfaces.elements import (
    MadeBlocksInputSpec,
    ModelBlocksOutputSpec,
    ModelsInputSpec,
    as_lists,
    models_of,
)
from modelarrayio_bids.interfaces.models import ModelInputSpec, ModelInterface
from modelarrayio_bids.runtime.grouping import grouped


class _PlanPermutationBlocksInputSpec(ModelsInputSpec):
    n_blocks = traits.Range(low=1, mandatory=True, desc='blocks of permutations of each file')


class _PlanPermutationBlocksOutputSpec(ModelBlocksOutputSpec):
    block = traits.List(traits.Tuple(traits.Int, traits.Int), desc='number of each, and of all')


class PlanPermutationBlocks(LibraryInterface):
    """Divide the permutations of models into blocks for several machines."""

    input_spec = _PlanPermutationBlocksInputSpec
    output_spec = _PlanPermutationBlocksOutputSpec

    def _call(self, _folder: Path) -> dict[str, Any]:
        n_blocks = self.inputs.n_blocks
        rows = [
            {'block': (number, n_blocks), **model}
            for model in models_of(self.inputs)
            for number in range(n_blocks)
        ]
        return as_lists(rows)


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
        fit = self._fit()
        out_file = folder / 'null_maxima.npy'
        np.save(out_file, fit.null_distribution(self.inputs.block, self.resources()))
        return {'out_file': str(out_file)}


class _GatherPermutationBlocksOutputSpec(TraitedSpec):
    null_files = traits.List(traits.List(File(exists=True)), desc='blocks of each HDF5 file')


class GatherPermutationBlocks(LibraryInterface):
    """Find the blocks of permutations of each HDF5 file."""

    input_spec = MadeBlocksInputSpec
    output_spec = _GatherPermutationBlocksOutputSpec

    def _call(self, _folder: Path) -> dict[str, Any]:
        inputs = self.inputs
        blocks = grouped(zip(inputs.block_of, inputs.block_files, strict=True))
        return {'null_files': [blocks.get(store, []) for store in inputs.in_files]}
