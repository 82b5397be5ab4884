"""Workflows of the interfaces, made by factories: plain files in, plain files out."""

from modelarrayio_bids.workflows.export import init_export_wf
from modelarrayio_bids.workflows.group import init_modelarray_wf
from modelarrayio_bids.workflows.model import init_model_wf

__all__ = ['init_export_wf', 'init_model_wf', 'init_modelarray_wf']
