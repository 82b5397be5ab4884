"""The description of our output folder as a BIDS derivative, and its ``.bidsignore``.

The description is written anew by every run. Of an earlier one it keeps the ``DatasetLinks`` that
sidecars in the folder still use in their BIDS URIs, so that these go on resolving.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from modelarrayio_bids.__about__ import NAME, URL, __version__
from modelarrayio_bids.derivatives.bids.dataset import DESCRIPTION, Dataset
from modelarrayio_bids.derivatives.bids.json_files import read_json, write_json
from modelarrayio_bids.derivatives.bids.uris import path_of
from modelarrayio_bids.errors import InvalidDatasetError, UsageError
from modelarrayio_bids.runtime.atomic import replacing
from modelarrayio_bids.runtime.data_files import data_table

logger = logging.getLogger(__name__)

BIDS_VERSION = '1.10.0'
#: Set by the container's recipe, so that outputs say which image made them.
CONTAINER_TAG = 'MODELARRAYIO_CONTAINER_TAG'
#: Set inside a container by what runs it, to its image: one made for Docker does not tell.
RUN_BY = {'APPTAINER_CONTAINER': 'apptainer', 'SINGULARITY_CONTAINER': 'singularity'}
_NAME_IN_URI = re.compile(r'"bids:([^:"]+):')


def write_description(
    output_dir: Path, datasets: Iterable[Dataset], bids_dir: Path, scalars: Iterable[str]
) -> Path:
    """Write ``dataset_description.json`` and ``.bidsignore``, over those of an earlier run.

    Parameters
    ----------
    output_dir : pathlib.Path
        Folder to write to.
    datasets : iterable of Dataset
        Datasets that were searched.
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
    datasets = list(datasets)
    links = {dataset.name: dataset.root.as_uri() for dataset in datasets}
    links = _links_in_use(output_dir, links) | links
    description = {
        'Name': f'{NAME}: group files for ModelArray',
        'BIDSVersion': BIDS_VERSION,
        'DatasetType': 'derivative',
        'GeneratedBy': [software()],
        'SourceDatasets': _sources(bids_dir, links.values(), datasets),
        'DatasetLinks': links,
    }
    path = output_dir / DESCRIPTION
    write_json(description, path)
    _write_ignored(output_dir, scalars)
    return path


def complete_description(output_dir: Path, bids_dir: Path, folders: Iterable[str]) -> None:
    """Update ``.bidsignore`` and the version in the description after further outputs.

    Sources and links of an earlier one are kept; that of another program is let be.

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
    if not (output_dir / DESCRIPTION).exists():
        write_description(output_dir, (), bids_dir, folders)
        return
    earlier = Dataset.at(output_dir)
    if earlier.is_own_output:
        refreshed = {**earlier.description, 'GeneratedBy': [software()]}
        write_json(refreshed, output_dir / DESCRIPTION)
    _write_ignored(output_dir, folders)


def _write_ignored(output_dir: Path, folders: Iterable[str]) -> None:
    earlier = (path.parent.name for path in output_dir.glob('*/*_modelarray.h5'))
    # Validators want no slash after a folder.
    scalars = [f'/{name}' for name in sorted({*folders, *earlier})]
    patterns = [*data_table('bids_names.toml')['ignored'], *scalars]
    with replacing(output_dir / '.bidsignore') as partial:
        partial.write_text('\n'.join(patterns) + '\n', 'utf-8')


def software() -> dict[str, Any]:
    """Return our entry of BIDS' ``GeneratedBy``, with the container we run in, if any."""
    entry: dict[str, Any] = {'Name': NAME, 'Version': __version__, 'CodeURL': URL}
    if we_run_in := container():
        entry['Container'] = we_run_in
    return entry


def container() -> dict[str, str] | None:
    """Return type and tag of the container we run in, as BIDS wants them; None outside."""
    tag = os.environ.get(CONTAINER_TAG)
    if not tag:
        return None
    run_by = next((kind for name, kind in RUN_BY.items() if name in os.environ), 'docker')
    return {'Type': run_by, 'Tag': tag}


def _sources(
    bids_dir: Path, urls: Iterable[str], datasets: Iterable[Dataset]
) -> list[dict[str, str]]:
    dois = {
        dataset.root.as_uri(): str(dataset.description['DatasetDOI'])
        for dataset in datasets
        if dataset.description.get('DatasetDOI')
    }
    return [
        {'URL': url, 'DOI': dois[url]} if url in dois else {'URL': url}
        for url in dict.fromkeys([bids_dir.absolute().as_uri(), *urls])
    ]


def linked(output_dir: Path) -> list[Dataset]:
    """Return the datasets named by BIDS URIs in one of our outputs."""
    return [Dataset(name, path_of(url)) for name, url in _earlier_links(output_dir).items()]


def study_of(output_dir: Path) -> Path | None:
    """Return the study that an output folder was made from, if its description names it."""
    ours = Dataset('', output_dir, read_json(output_dir / DESCRIPTION))
    return next(ours.source_folders(), None)


def _links_in_use(output_dir: Path, new: Mapping[str, str]) -> dict[str, str]:
    """Return the links in our earlier description that sidecars need."""
    links = _earlier_links(output_dir)
    used = set(_names_in_uris(output_dir))
    if lost := sorted(used - links.keys() - new.keys()):
        logger.warning(
            'the meaning of "bids:%s:" in the sidecars is lost, because %s had no such '
            'DatasetLinks; to restore them, run the group level on these datasets',
            *(':", "bids:'.join(lost), output_dir / DESCRIPTION),
        )
    for name in used & new.keys() & links.keys():
        if links[name] != new[name]:
            was = 'in the sidecars here, "bids:%s:" stood for %s; now it stands for %s'
            logger.warning(was, name, links[name], new[name])
    return {name: str(url) for name, url in links.items() if name in used}


def _earlier_links(output_dir: Path) -> dict[str, Any]:
    """Return links in our description, and in those of runs with a folder of their own in here."""
    known: dict[str, Any] = {}
    for path in sorted(output_dir.glob(f'*/{DESCRIPTION}')):
        links = _links_of(path.parent)
        for name in known.keys() & links.keys():
            if known[name] != links[name]:
                logger.warning(
                    'in the sidecars below %s, "bids:%s:" stands for both %s and %s',
                    *(output_dir, name, known[name], links[name]),
                )
        known |= links
    return known | _links_of(output_dir)


def _links_of(output_dir: Path) -> dict[str, Any]:
    """Return the links in the description of an output of this program."""
    dataset = Dataset.at(output_dir)
    links = dataset.description.get('DatasetLinks')
    return links if dataset.is_own_output and isinstance(links, dict) else {}


def _names_in_uris(output_dir: Path) -> Iterator[str]:
    for folder in sorted(output_dir.glob('*')):
        # Our work folders are hidden, and logs are not sidecars.
        if folder.is_dir() and not folder.name.startswith('.') and folder.name != 'logs':
            for path in folder.rglob('*.json'):
                yield from _NAME_IN_URI.findall(path.read_text('utf-8'))


def refuse_others(output_dir: Path) -> None:
    """Refuse an output folder that is a dataset of another program, or of raw data.

    Raises
    ------
    UsageError
        If its description would be replaced by ours.
    InvalidDatasetError
        If that description cannot be read.
    """
    if not (output_dir / DESCRIPTION).exists():
        return
    dataset = Dataset.at(output_dir)
    if dataset.problem:
        raise InvalidDatasetError(
            f'has a {DESCRIPTION} that {dataset.problem} and would be replaced',
            output_dir,
            'Give a folder of its own for the outputs.',
        )
    if not dataset.is_own_output and (dataset.generators or dataset.subjects):
        made_by = ', '.join(dataset.generators) or 'no program'
        raise UsageError(
            f'holds a dataset made by {made_by}, whose {DESCRIPTION} would be replaced',
            output_dir,
            f'Give a folder of its own for the outputs, such as {output_dir / "modelarray"}.',
        )
