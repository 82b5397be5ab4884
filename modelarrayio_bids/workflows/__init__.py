"""Workflows of the interfaces, made by factories: plain files in, plain files out.

Belongs here: nodes and their connections, and where they run.
Does not: work on data (``interfaces`` call the library), options of a command line (``cli``).
"""

from modelarrayio_bids.workflows.export import init_export_wf
from modelarrayio_bids.workflows.group import init_modelarray_wf
from modelarrayio_bids.workflows.model import init_model_wf

__all__ = ['init_export_wf', 'init_model_wf', 'init_modelarray_wf']
