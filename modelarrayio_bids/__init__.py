"""BIDS derivatives to ModelArray's HDF5, and its results back to images.

A :class:`Cohort` lists images, an element space says which elements they share,
:func:`to_modelarray` makes the HDF5 file, :func:`export_results` writes an analysis back as images.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from modelarrayio_bids.__about__ import __version__

if TYPE_CHECKING:
    from modelarrayio_bids.cohort import Cohort, Source
    from modelarrayio_bids.conversion.append import append_sources
    from modelarrayio_bids.conversion.build import to_modelarray
    from modelarrayio_bids.errors import ModelArrayIOError
    from modelarrayio_bids.masks import group_mask
    from modelarrayio_bids.results.export import export_results
    from modelarrayio_bids.results.merge import merge_results
    from modelarrayio_bids.spaces import References, VoxelSpace, space_of

__all__ = [
    'Cohort',
    'ModelArrayIOError',
    'References',
    'Source',
    'VoxelSpace',
    '__version__',
    'append_sources',
    'export_results',
    'group_mask',
    'merge_results',
    'space_of',
    'to_modelarray',
]

# Loaded when first asked for: `import modelarrayio_bids` costs nothing.
_HOMES = {
    'Cohort': 'cohort',
    'ModelArrayIOError': 'errors',
    'References': 'spaces',
    'Source': 'cohort',
    'VoxelSpace': 'spaces',
    'append_sources': 'conversion.append',
    'export_results': 'results.export',
    'group_mask': 'masks',
    'merge_results': 'results.merge',
    'space_of': 'spaces',
    'to_modelarray': 'conversion.build',
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    return getattr(importlib.import_module(f'{__name__}.{_HOMES[name]}'), name)


def __dir__() -> list[str]:
    return sorted(__all__)
