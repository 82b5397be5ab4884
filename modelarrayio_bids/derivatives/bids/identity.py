"""What a dataset says of itself in ``dataset_description.json``, read leniently.

The file helps, and nothing depends on it: one that is damaged or odd is named, and the dataset is
taken for what its folder is called.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from modelarrayio_bids.__about__ import NAME
from modelarrayio_bids.derivatives.bids.json_files import parse_json
from modelarrayio_bids.errors import ModelArrayIOError

DESCRIPTION = 'dataset_description.json'

#: Programs that ``GeneratedBy`` names in raw datasets, lower case: converters from scanners'
#: formats (https://bids.neuroimaging.io/tools/converters.html).
CONVERTERS = frozenset(
    {'heudiconv', 'dcm2niix', 'dcm2bids', 'bidscoin', 'ezbids', 'bidskit', 'bidsme', 'data2bids'}
    | {'bids-converter', 'bidsify', 'dicom2bids', 'bids manager', 'bids-manager', 'mne-bids'}
    | {'pet2bids', 'dcm2niix4pet', 'brkraw', 'bruker2nifti', 'reproin', 'xnat2bids', 'fw-heudiconv'}
    | {'horos-bids', 'dac2bids', 'bidsconvertr'}
)


@dataclass(frozen=True)
class Identity:
    """The description of a dataset.

    Parameters
    ----------
    description : dict
        The file's content; empty where there is none that can be used.
    problem : str
        Why the file cannot be used, or blank.
    """

    description: Mapping[str, Any] = field(default_factory=dict)
    problem: str = ''

    @classmethod
    def read(cls, root: Path) -> Identity:
        """Read the description of a dataset, if it has one."""
        if not os.path.lexists(root / DESCRIPTION):
            return cls()
        try:
            content = parse_json(root / DESCRIPTION)
        except ModelArrayIOError as error:
            return cls(problem=error.what)
        return cls(content) if isinstance(content, dict) else cls(problem='is not a JSON object')


def generators(description: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the names of the programs that made a dataset, however they are written.

    >>> generators({'GeneratedBy': [{'Name': 'fMRIPrep'}]}), generators({'GeneratedBy': 'XCP-D'})
    (('fMRIPrep',), ('XCP-D',))
    """
    return tuple(
        name
        for key in ('GeneratedBy', 'PipelineDescription')
        for name in _program_names(description.get(key))
    )


def is_derivative(description: Mapping[str, Any]) -> bool:
    """Return whether a description is that of a derivative: it says so, or names a pipeline."""
    kind = description.get('DatasetType')
    if isinstance(kind, str) and kind.lower() in {'derivative', 'raw'}:
        return kind.lower() == 'derivative'
    return any(name.lower() not in CONVERTERS for name in generators(description))


def is_own_output(root: Path) -> bool:
    """Return whether this program wrote a folder, as the folder says."""
    return NAME in generators(Identity.read(root).description)


def _program_names(entry: object) -> Iterator[str]:
    if isinstance(entry, str) and entry.strip():
        yield entry
    elif isinstance(entry, Mapping):
        yield from _program_names(entry.get('Name'))
    elif isinstance(entry, list):
        for one in entry:
            yield from _program_names(one)
