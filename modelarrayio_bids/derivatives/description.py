"""What makes our output folder a BIDS derivative: its description, and what validators skip."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from modelarrayio_bids.__about__ import NAME, URL, __version__
from modelarrayio_bids.derivatives.dataset import DESCRIPTION, Dataset
from modelarrayio_bids.formats.atomic import replacing

BIDS_VERSION = '1.10.0'
#: Set by the container's recipe, so that outputs say which image made them.
CONTAINER_TAG = 'MODELARRAYIO_CONTAINER_TAG'
CONTAINER_TYPE = 'MODELARRAYIO_CONTAINER_TYPE'

#: Names BIDS has no rule for.
_IGNORED = (
    '*.h5',
    '*_modelarray.json',
    '*_cohort.csv',
    '*_cohort.json',
    '*_coverage.nii.gz',
    '*_coverage.json',
    '*_mask.nii.gz',
    '*_mask.json',
    '*_statmap.*',
    '*.html',
    'figures/',
    'logs/',
    'masks/',
)


def write_description(
    output_dir: Path, datasets: Iterable[Dataset], bids_dir: Path, scalars: Iterable[str]
) -> Path:
    """Write ``dataset_description.json`` and ``.bidsignore``, over those of an earlier run.

    Parameters
    ----------
    output_dir : pathlib.Path
        Where to.
    datasets : iterable of Dataset
        What was looked into.
    bids_dir : pathlib.Path
        The study.
    scalars : iterable of str
        Names of the scalars' folders, which BIDS has no rule for.

    Returns
    -------
    pathlib.Path
        The description.

    Raises
    ------
    OutputError
        If they cannot be written.
    """
    links = {dataset.name: dataset.root.as_uri() for dataset in datasets}
    description = {
        'Name': f'{NAME}: group files for ModelArray',
        'BIDSVersion': BIDS_VERSION,
        'DatasetType': 'derivative',
        'GeneratedBy': [software()],
        'SourceDatasets': [{'URL': url} for url in _sources(links.values(), bids_dir)],
        'DatasetLinks': links,
    }
    path = output_dir / DESCRIPTION
    write_json(description, path)
    _write_ignored(output_dir, scalars)
    return path


def complete_description(output_dir: Path, bids_dir: Path, folders: Iterable[str]) -> None:
    """After further outputs: what they need in ``.bidsignore``, and a description if there is none.

    Parameters
    ----------
    output_dir, bids_dir : pathlib.Path
        As for :func:`write_description`.
    folders : iterable of str
        Names of the folders written to.

    Raises
    ------
    OutputError
        If they cannot be written.
    """
    if (output_dir / DESCRIPTION).exists():
        _write_ignored(output_dir, folders)
    else:
        write_description(output_dir, (), bids_dir, folders)


def _write_ignored(output_dir: Path, folders: Iterable[str]) -> None:
    with replacing(output_dir / '.bidsignore') as partial:
        partial.write_text('\n'.join((*_IGNORED, *_folders(output_dir, folders))) + '\n', 'utf-8')


def _folders(output_dir: Path, scalars: Iterable[str]) -> list[str]:
    """The scalars' folders, of this run and of earlier ones; the validator wants no slash after."""
    earlier = (path.parent.name for path in output_dir.glob('*/*_modelarray.h5'))
    return [f'/{name}' for name in sorted({*scalars, *earlier})]


def software() -> dict[str, Any]:
    """An entry of BIDS' ``GeneratedBy``: we, and the container we run in, where there is one."""
    entry: dict[str, Any] = {'Name': NAME, 'Version': __version__, 'CodeURL': URL}
    if tag := os.environ.get(CONTAINER_TAG):
        entry['Container'] = {'Type': os.environ.get(CONTAINER_TYPE, 'docker'), 'Tag': tag}
    return entry


def write_json(content: Mapping[str, Any], path: Path) -> None:
    """Write a sidecar, whole or not at all."""
    with replacing(path) as partial:
        partial.write_text(json.dumps(content, indent=2, ensure_ascii=False) + '\n', 'utf-8')


def _sources(roots: Iterable[str], bids_dir: Path) -> list[str]:
    return list(dict.fromkeys([bids_dir.absolute().as_uri(), *roots]))
