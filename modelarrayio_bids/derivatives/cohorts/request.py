"""What a person asks for."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from modelarrayio_bids.derivatives.bids.dataset import Dataset, find_datasets
from modelarrayio_bids.derivatives.bids.description import refuse_others
from modelarrayio_bids.derivatives.bids.entities import bare_label
from modelarrayio_bids.derivatives.bids.filters import BidsFilters
from modelarrayio_bids.derivatives.cohorts.grids import ERROR
from modelarrayio_bids.derivatives.cohorts.mask_matching import allowed
from modelarrayio_bids.derivatives.cohorts.participant_tables import Visit
from modelarrayio_bids.derivatives.recipes.path_images import PathImages
from modelarrayio_bids.derivatives.recipes.recipe import (
    Recipe,
    own_recipes,
    recipe_for,
    recognised,
    require_use,
)
from modelarrayio_bids.errors import SourceNotFoundError, UsageError
from modelarrayio_bids.formats.pointers import absence_error
from modelarrayio_bids.runtime.text_format import some


@dataclass(frozen=True)
class Request:
    """What a person asks for.

    Parameters
    ----------
    bids_dir, output_dir : pathlib.Path
        The first two arguments of every BIDS App.
    datasets : dict, optional
        Name to folder, as given with ``-d``; without any, see
        :func:`~modelarrayio_bids.derivatives.bids.dataset.find_datasets`.
    participants, sessions : tuple of str, optional
        The only ones wanted: labels with or without ``sub-`` and ``ses-``.
    excluded : tuple of str, optional
        Participants not wanted, even among those above.
    scalars : tuple of str, optional
        The only ones wanted: names or shell patterns.
    spaces : tuple of str, optional
        The only ones wanted: ``MNI152NLin6Asym``, ``MNI152NLin6Asym:res-2``, or shell patterns.
    bids_filters : BidsFilters, optional
        Further conditions.
    mask : pathlib.Path, optional
        A mask that serves every volume.
    phenotypes : tuple of pathlib.Path, optional
        Tables besides ``participants.tsv`` and ``sessions.tsv``.
    required : tuple of str, optional
        Phenotypes without which an image is left out.
    mask_sources : tuple of str, optional
        The only ones allowed: of
        :data:`~modelarrayio_bids.derivatives.cohorts.mask_matching.SOURCES`.
    group_mask : pathlib.Path, optional
        The voxels to be analysed, on the grid of the images.
    on_grid_mismatch : {'error', 'drop', 'resample'}, optional
        What becomes of images on another grid than the others.
    recipes : tuple of pathlib.Path, optional
        A person's own recipes, which win over those that come along.
    images : tuple of PathImages, optional
        The images and masks, by patterns of their paths: no recipe is asked then.
    """

    bids_dir: Path
    output_dir: Path
    datasets: Mapping[str, Path] = field(default_factory=dict)
    participants: tuple[str, ...] = ()
    sessions: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()
    scalars: tuple[str, ...] = ()
    spaces: tuple[str, ...] = ()
    bids_filters: BidsFilters = field(default_factory=BidsFilters)
    mask: Path | None = None
    phenotypes: tuple[Path, ...] = ()
    required: tuple[str, ...] = ()
    mask_sources: tuple[str, ...] = ()
    group_mask: Path | None = None
    on_grid_mismatch: str = ERROR
    recipes: tuple[Path, ...] = ()
    images: tuple[PathImages, ...] = ()

    def look_into(self) -> list[Dataset]:
        """The datasets it is about.

        Raises
        ------
        SourceNotFoundError, InvalidDatasetError
            If one of them, or a file named, is not there or is not what it should be.
        UsageError
            If the output folder is one of them, or holds it, or is a dataset of another program;
            if options contradict each other; or if a label is empty.
        RecipeError
            If one of the recipes cannot be used, or serves none of them.
        """
        _require_labels('--participant-label', self.participants)
        _require_labels('--exclude-participant-label', self.excluded)
        _require_labels('--session-label', self.sessions)
        self._check_files()
        allowed(self.mask_sources)
        if self.mask is not None and self.mask_sources:
            raise UsageError(
                f'{self.mask} serves every volume, and {", ".join(self.mask_sources)} none',
                remedy='Leave out --mask or --mask-source.',
            )
        own = own_recipes(self.recipes)
        datasets = find_datasets(
            self.bids_dir, self.datasets, lambda root: bool(self.images or recognised(root, own))
        )
        for dataset in datasets:
            if dataset.root.resolve().is_relative_to(self.output_dir.resolve()):
                raise UsageError(
                    f'holds the dataset {dataset.name} ({dataset.root}), which is read',
                    self.output_dir,
                    'Give a folder of its own for the outputs.',
                )
        refuse_others(self.output_dir)
        require_use(dict(zip(self.recipes, own, strict=True)), datasets)
        return datasets

    def recipe(self, dataset: Dataset) -> Recipe:
        """Return what says which images of a dataset are scalars, and which masks."""
        if self.images:
            return Recipe.of_paths('images', self.images)
        return recipe_for(dataset, own_recipes(self.recipes))

    def table_folders(self, datasets: Iterable[Dataset]) -> list[Path]:
        """Return the folders in which tables of participants may be, the likeliest first.

        The last are those in which OpenNeuroDerivatives keeps the raw data of a derivative.
        """
        roots = [self.bids_dir, *(dataset.root for dataset in datasets)]
        return [*roots, *(root / 'sourcedata' / 'raw' for root in roots)]

    def selection(self) -> str:
        """Which images are wanted, whatever their scalars, in words for an error.

        >>> request = Request(Path('study'), Path('out'), participants=('01',), sessions=('ses-2',))
        >>> request.selection()
        ' of the participants 01 and of the sessions 2'
        """
        parts = [
            f' of the {noun} {some(bare_label(label) for label in labels)}'
            for noun, labels in (('participants', self.participants), ('sessions', self.sessions))
            if labels
        ]
        if self.bids_filters.scalar:
            parts.append(' that the BIDS filters let pass')
        return ' and'.join(parts)

    def _check_files(self) -> None:
        files = [
            ('--mask', self.mask),
            ('--group-mask-file', self.group_mask),
            *(('--phenotypes', path) for path in self.phenotypes),
        ]
        for option, path in files:
            if path is not None:
                _require_file(path, option)

    @property
    def chosen_rows(self) -> frozenset[str]:
        """``session`` and ``run``, where a person chose them by name: each is to be a row."""
        named = {'session'} if self.sessions else set()
        return frozenset(named | ({'session', 'run'} & set(self.bids_filters.scalar)))

    def wants(self, visit: Visit) -> bool:
        """Whether a visit is among those asked for."""
        participants, sessions = _bare(self.participants), _bare(self.sessions)
        return (
            visit.participant not in _bare(self.excluded)
            and (not participants or visit.participant in participants)
            and (not sessions or not visit.session or visit.session in sessions)
        )


def _require_file(path: Path, option: str) -> None:
    try:
        found = stat.S_ISREG(path.stat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        found = False
    except OSError as error:
        what = f'cannot be read ({error.strerror})'
        raise SourceNotFoundError(what, path, f'Check {option}, and permissions.') from error
    if not found:
        raise absence_error(path, remedy=f'Check {option}.')
    if not os.access(path, os.R_OK):
        what = 'cannot be read (Permission denied)'
        raise SourceNotFoundError(what, path, f'Check {option}, and permissions.')


def _bare(labels: Iterable[str]) -> set[str]:
    return {bare_label(label) for label in labels}


def _require_labels(option: str, labels: Iterable[str]) -> None:
    for label in labels:
        if not bare_label(label.strip()):
            raise UsageError(
                f'{option} {label!r} is no label',
                remedy='Leave the option out to take all, or check the variable it came from.',
            )
