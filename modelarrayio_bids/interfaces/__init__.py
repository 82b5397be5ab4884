"""The library as Nipype interfaces: each reads its traits, calls the library once, sets results.

Belongs here: traits, and how errors pass through Nipype. Nodes of blocks for a cluster (``rows``,
``elements``, ``permutations``) are wiring of the workflows, and no part of the public names below.
Does not: what nodes are connected to (``workflows``).
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
