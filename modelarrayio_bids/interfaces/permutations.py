"""Permutations made on several machines."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from nipype.interfaces.base import BaseInterfaceInputSpec, InputMultiObject, TraitedSpec, traits

from modelarrayio_bids.interfaces.base import File, LibraryInterface
from modelarrayio_bids.interfaces.elements import ModelsInputSpec, models_of
from modelarrayio_bids.interfaces.models import ModelInputSpec, ModelInterface


class _PlanPermutationBlocksInputSpec(ModelsInputSpec):
    n_blocks = traits.Range(low=1, mandatory=True, desc='blocks of permutations of each file')


class _PlanPermutationBlocksOutputSpec(TraitedSpec):
    in_files = traits.List(File, desc='HDF5 file of each block')
    cohort_files = traits.List(File, desc='cohort of each block')
    formula = traits.List(traits.Str, desc='model of each block')
    block = traits.List(traits.Tuple(traits.Int, traits.Int), desc='number of each, and of all')
    identities = traits.List(traits.Str, desc='of what the HDF5 file of each block was made')


class PlanPermutationBlocks(LibraryInterface):
    """Divide the permutations of models into blocks for several machines."""

    input_spec = _PlanPermutationBlocksInputSpec
    output_spec = _PlanPermutationBlocksOutputSpec

    def _call(self, _folder: Path) -> dict[str, Any]:
        planned: dict[str, list] = {name: [] for name in self.output_spec().trait_get()}
        for model in models_of(self.inputs):
            for number in range(self.inputs.n_blocks):
                planned['block'].append((number, self.inputs.n_blocks))
                for name, value in model.items():
                    planned[name].append(value)
        return planned


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


class _GatherPermutationBlocksInputSpec(BaseInterfaceInputSpec):
    in_files = InputMultiObject(
        File(exists=True), hash_files=False, mandatory=True, desc='HDF5 files with scalars'
    )
    block_files = InputMultiObject(File(exists=True), mandatory=True, desc='blocks, in order')
    block_of = InputMultiObject(File, mandatory=True, desc='HDF5 file with the scalar of each')


class _GatherPermutationBlocksOutputSpec(TraitedSpec):
    null_files = traits.List(traits.List(File(exists=True)), desc='blocks of each HDF5 file')


class GatherPermutationBlocks(LibraryInterface):
    """Find the blocks of permutations of each HDF5 file."""

    input_spec = _GatherPermutationBlocksInputSpec
    output_spec = _GatherPermutationBlocksOutputSpec

    def _call(self, _folder: Path) -> dict[str, Any]:
        inputs = self.inputs
        pairs = list(zip(inputs.block_files, inputs.block_of, strict=True))
        return {
            'null_files': [
                [block for block, owner in pairs if owner == store] for store in inputs.in_files
            ]
        }
