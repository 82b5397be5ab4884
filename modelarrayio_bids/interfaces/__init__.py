"""The library as Nipype interfaces: each reads its traits, calls the library once, sets results.

What only the group level's own wiring needs is in :mod:`~modelarrayio_bids.interfaces.rows`, and no
part of the public names below.
"""

from modelarrayio_bids.interfaces.cohort import CollectCohort, WriteSidecars
from modelarrayio_bids.interfaces.fitting import WriteFitScripts
from modelarrayio_bids.interfaces.masks import GroupMask
from modelarrayio_bids.interfaces.models import FitModel
from modelarrayio_bids.interfaces.report import MakeReport
from modelarrayio_bids.interfaces.store import ExportResults, ToModelArray

__all__ = [
    'CollectCohort',
    'ExportResults',
    'FitModel',
    'GroupMask',
    'MakeReport',
    'ToModelArray',
    'WriteFitScripts',
    'WriteSidecars',
]
