"""Models fitted at every element."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
from nipype.interfaces.base import InputMultiObject, TraitedSpec, traits

from modelarrayio_bids.interfaces.base import File, LibraryInterface, ResourcesInputSpec
from modelarrayio_bids.models.options import SHUFFLES, ModelOptions
from modelarrayio_bids.results.model_fit import ModelFit

_DEFAULTS = ModelOptions()
_TEXTS = (traits.Str, traits.Str)


class ModelInputSpec(ResourcesInputSpec):
    """Inputs that define a model and its statistics."""

    # The results go into it: what it holds must not change the node's hash.
    in_file = File(exists=True, hash_files=False, mandatory=True, desc='HDF5 file with the scalar')
    in_identity = traits.Str(desc='of what in_file was made: another one is fitted anew')
    cohort_file = File(exists=True, mandatory=True, desc='cohort CSV with the covariates')
    formula = traits.Str(mandatory=True, desc="the model in R's words, such as FA ~ age + sex")
    method = traits.Str(desc='kind of model, where the formula does not say: lm, ...')
    var_terms = InputMultiObject(traits.Str, desc='statistics of each coefficient')
    var_model = InputMultiObject(traits.Str, desc='statistics of the whole model')
    full_outputs = traits.Bool(False, usedefault=True, desc='all statistics of both')
    correct_p_value_terms = InputMultiObject(
        traits.Str, desc='methods that adjust p values of coefficients over elements'
    )
    correct_p_value_model = InputMultiObject(
        traits.Str, desc='methods that adjust p values of the model over elements'
    )
    num_subj_lthr_abs = traits.Float(
        _DEFAULTS.num_subj_lthr_abs, usedefault=True, desc='an element needs more images than this'
    )
    num_subj_lthr_rel = traits.Range(
        low=0.0,
        high=1.0,
        value=_DEFAULTS.num_subj_lthr_rel,
        usedefault=True,
        desc='and more than this share of all images',
    )
    weights = traits.Str(desc='column of weights')
    contrasts = traits.Dict(
        *_TEXTS, {}, usedefault=True, desc='combinations of coefficients, by name'
    )
    f_tests = traits.Dict(
        traits.Str,
        traits.Str,
        {},
        usedefault=True,
        desc='terms, coefficients or contrasts tested together, by name',
    )
    anova = traits.Bool(False, usedefault=True, desc='also the type II F test of each term')
    effect_sizes = traits.Bool(False, usedefault=True, desc='also effect sizes')
    allow_repeated = traits.Bool(
        False, usedefault=True, desc='accept several images of one participant as independent'
    )
    permutations = traits.Int(
        0, usedefault=True, desc='labellings of a permutation test over all elements; 0 for none'
    )
    seed = traits.Int(0, usedefault=True, desc='of the permutations')
    exchangeability = traits.Str(desc='column of the blocks in which images are exchangeable')
    shuffle = traits.Enum(
        *SHUFFLES, desc='what changes places: images within blocks, whole blocks, or both'
    )


class _FitModelInputSpec(ModelInputSpec):
    analysis_name = traits.Str(desc="name of the results in the file (default: the method's)")
    null_files = InputMultiObject(
        File(exists=True), desc='null distributions from permutations that were made before'
    )
    elements = traits.Tuple(
        traits.Int, traits.Int, desc='fit these elements alone: the first, and the end (excluded)'
    )
    out_file = File(
        hash_files=False,
        desc='HDF5 file of the results alone (default: in_file takes them beside what it holds)',
    )
    overwrite = traits.Bool(False, usedefault=True, desc='replace an analysis of that name')
    reuse_existing = traits.Bool(
        False, usedefault=True, desc='keep an analysis that the same model has made'
    )


class _FitModelOutputSpec(TraitedSpec):
    out_file = File(exists=True, desc='HDF5 file with the results')
    analysis_name = traits.Str(desc='name of the results in it')


class ModelInterface(LibraryInterface):
    """An interface about a model that its inputs describe."""

    def _fit(self) -> ModelFit:
        """Return the model, ready to be fitted."""
        inputs = self.inputs
        given = self.given(*(option.name for option in fields(ModelOptions)))
        return ModelFit.of(
            inputs.in_file,
            inputs.formula,
            inputs.cohort_file,
            ModelOptions(**{name: _plain(value) for name, value in given.items()}),
            weights=self.given('weights').get('weights'),
            allow_repeated=inputs.allow_repeated,
        )


class FitModel(ModelInterface):
    """Fit a model at every element of an HDF5 file."""

    input_spec = _FitModelInputSpec
    output_spec = _FitModelOutputSpec

    def _call(self, _folder: Path) -> dict[str, Any]:
        inputs, fit = self.inputs, self._fit()
        elements = self.given('elements').get('elements')
        written = self.path('out_file') or Path(inputs.in_file)
        analysis = self.given('analysis_name').get('analysis_name') or fit.kind.name
        if not (inputs.reuse_existing and fit.is_up_to_date(analysis)):
            fit.run(
                analysis,
                output=self.path('out_file'),
                elements=None if elements is None else range(*elements),
                overwrite=inputs.overwrite,
                null=_joined(self.given('null_files').get('null_files', ())),
                resources=self.resources(),
            )
        return {'out_file': str(written), 'analysis_name': analysis}


def _plain(value: Any) -> Any:
    """Return a list or a dictionary of Nipype's as options have it."""
    if isinstance(value, dict):
        return dict(value)
    return tuple(value) if isinstance(value, list) else value


def _joined(null_files: Sequence[str]) -> np.ndarray | None:
    """Return the null distributions of all labellings; None without any."""
    if not null_files:
        return None
    return np.concatenate([np.load(file) for file in null_files], axis=1)
