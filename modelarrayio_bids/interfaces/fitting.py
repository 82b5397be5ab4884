"""The interface that writes scripts for R."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from nipype.interfaces.base import BaseInterfaceInputSpec, InputMultiObject, TraitedSpec, traits

from modelarrayio_bids.derivatives.rscripts.fit_script import FitScript
from modelarrayio_bids.interfaces.base import Directory, File, LibraryInterface
from modelarrayio_bids.runtime.locations import location


class _WriteFitScriptsInputSpec(BaseInterfaceInputSpec):
    bids_dir = Directory(exists=True, mandatory=True, desc='BIDS dataset of the study')
    output_dir = Directory(exists=True, mandatory=True, desc='folder that all files are in')
    cohort_files = InputMultiObject(File(exists=True), mandatory=True, desc='cohort CSVs')
    store_files = InputMultiObject(
        File(exists=True), hash_files=False, mandatory=True, desc='HDF5 file of each'
    )
    script_files = InputMultiObject(
        File, hash_files=False, mandatory=True, desc='R script to write for each'
    )
    sidecar_files = InputMultiObject(
        File(exists=True), desc='those of the cohorts tell levels of phenotypes: to be there first'
    )
    n_cores = traits.Int(1, usedefault=True, desc='processors that R may use')


class _WriteFitScriptsOutputSpec(TraitedSpec):
    out_files = traits.List(File(exists=True), desc='scripts; scripts that were edited are kept')


class WriteFitScripts(LibraryInterface):
    """Write an R script for each HDF5 file that fits a first model with ModelArray."""

    input_spec = _WriteFitScriptsInputSpec
    output_spec = _WriteFitScriptsOutputSpec

    def _call(self, _folder: Path) -> dict[str, Any]:
        inputs = self.inputs
        folders = location(inputs.bids_dir), Path(inputs.output_dir)
        # Nipype's pools may be given more threads than there are.
        cores = min(inputs.n_cores, os.cpu_count() or 1)
        files = zip(inputs.cohort_files, inputs.store_files, inputs.script_files, strict=True)
        for cohort, store, script in files:
            made = Path(cohort), Path(store)
            FitScript(*folders, *made, n_cores=cores).write(Path(script))
        return {'out_files': inputs.script_files}
