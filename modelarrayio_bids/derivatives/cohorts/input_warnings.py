"""Warnings about inputs that stop no run; ``--skip-bids-validation`` leaves them out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from modelarrayio_bids.derivatives.bids.dataset import DESCRIPTION, Dataset
from modelarrayio_bids.derivatives.cohorts.phenotypes import FILE
from modelarrayio_bids.derivatives.cohorts.request import Request

# A table above the dataset's folder: /study for /study/derivatives/qsirecon/derivatives/x.
_LEVELS = 4


def input_warnings(request: Request, datasets: Iterable[Dataset]) -> list[str]:
    """Return warnings to give before a run, a line each.

    Parameters
    ----------
    request : Request
        Request to check.
    datasets : iterable of Dataset
        Datasets of the request, as :meth:`Request.look_into` returned them.
    """
    datasets = list(datasets)
    lines = [line for dataset in datasets for line in _of_description(dataset)]
    return [*lines, *_of_phenotypes(request, datasets)]


def _of_description(dataset: Dataset) -> Iterator[str]:
    if dataset.is_fixel_template:
        return
    if dataset.problem:
        file = dataset.root / DESCRIPTION
        yield f'{file} {dataset.problem}; named as its folder is'
        return
    if not dataset.description:
        yield f'{dataset.root} has no {DESCRIPTION}; named as its folder is'
        return
    # Required of every dataset, and of derivatives; see BIDS, "dataset_description.json".
    required = ['Name', 'BIDSVersion', *(['GeneratedBy'] if dataset.is_derivative else [])]
    if missing := [name for name in required if not dataset.description.get(name)]:
        yield f'{dataset.root / DESCRIPTION} lacks {", ".join(missing)}, which BIDS requires'


def _of_phenotypes(request: Request, datasets: Iterable[Dataset]) -> Iterator[str]:
    """Yield where participants.tsv is, if not where it is looked for."""
    roots = request.table_folders(datasets)
    if request.phenotypes or any((root / FILE).is_file() for root in roots):
        return
    elsewhere = next((folder for folder in _around(roots) if (folder / FILE).is_file()), None)
    if elsewhere is not None:
        yield (
            f'{request.bids_dir} has no {FILE}, but {elsewhere} has: give it as the BIDS folder, '
            f'with the derivatives as -d, or --phenotypes {elsewhere / FILE}'
        )


def _around(roots: Iterable[Path]) -> Iterator[Path]:
    """Yield folders that a dataset names as its sources, and those it lies in."""
    for root in roots:
        yield from Dataset.at(root).source_folders()
        yield from root.absolute().parents[:_LEVELS]
