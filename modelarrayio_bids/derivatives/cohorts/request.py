"""Requests: selections of images, masks and phenotypes from datasets."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import Any

from modelarrayio_bids.derivatives.bids.dataset import Dataset
from modelarrayio_bids.derivatives.bids.description import refuse_others
from modelarrayio_bids.derivatives.bids.entities import bare_label
from modelarrayio_bids.derivatives.bids.filters import BidsFilters
from modelarrayio_bids.derivatives.bids.search import find_datasets
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
from modelarrayio_bids.errors import UsageError
from modelarrayio_bids.formats.pointers import opened
from modelarrayio_bids.runtime.locations import list_below, location
from modelarrayio_bids.runtime.text_format import some

_LABELS = ('participant_label', 'exclude_participant_label', 'session_label')
_PATHS = {'bids_dir', 'output_dir', 'in_mask', 'group_mask_file', 'phenotypes', 'recipes'}


@dataclass(frozen=True)
class Request:
    """Images, masks and phenotypes that a user asks for.

    Parameters
    ----------
    bids_dir, output_dir : pathlib.Path
        The first two arguments of every BIDS App.
    datasets : dict, optional
        Name to folder, as given with ``-d``; without any, see
        :func:`~modelarrayio_bids.derivatives.bids.search.find_datasets`.
    participant_label, session_label : tuple of str, optional
        The only ones wanted: labels with or without ``sub-`` and ``ses-``.
    exclude_participant_label : tuple of str, optional
        Participants not wanted, even among those above.
    scalars : tuple of str, optional
        The only ones wanted: names or shell patterns.
    space : tuple of str, optional
        The only ones wanted: ``MNI152NLin6Asym``, ``MNI152NLin6Asym:res-2``, or shell patterns.
    bids_filters : BidsFilters, optional
        Further conditions.
    in_mask : pathlib.Path, optional
        A mask that is used for every volume.
    phenotypes : tuple of pathlib.Path, optional
        Tables besides ``participants.tsv`` and ``sessions.tsv``.
    required_columns : tuple of str, optional
        Phenotypes without which an image is left out.
    mask_source : tuple of str, optional
        The only ones allowed: of
        :data:`~modelarrayio_bids.derivatives.cohorts.mask_matching.SOURCES`.
    group_mask_file : pathlib.Path, optional
        The voxels to be analysed, on the grid of the images.
    on_grid_mismatch : {'error', 'drop', 'resample'}, optional
        Action for images on another grid than the others.
    recipes : tuple of pathlib.Path, optional
        Recipes of the user, which take precedence over those of the package.
    images : tuple of PathImages, optional
        The images and masks, by patterns of their paths: no recipe is asked then.
    """

    bids_dir: Path
    output_dir: Path
    datasets: Mapping[str, Path] = field(default_factory=dict)
    participant_label: tuple[str, ...] = ()
    session_label: tuple[str, ...] = ()
    exclude_participant_label: tuple[str, ...] = ()
    scalars: tuple[str, ...] = ()
    space: tuple[str, ...] = ()
    bids_filters: BidsFilters = field(default_factory=BidsFilters)
    in_mask: Path | None = None
    phenotypes: tuple[Path, ...] = ()
    required_columns: tuple[str, ...] = ()
    mask_source: tuple[str, ...] = ()
    group_mask_file: Path | None = None
    on_grid_mismatch: str = ERROR
    recipes: tuple[Path, ...] = ()
    images: tuple[PathImages, ...] = ()

    def __post_init__(self) -> None:
        for name in _LABELS:
            labels = (bare_label(label.strip()) for label in getattr(self, name))
            object.__setattr__(self, name, tuple(labels))

    @classmethod
    def of(cls, **given: Any) -> Request:
        """Return a request of plain values: paths as text, lists, filters as a dictionary.

        Raises
        ------
        UsageError
            If the filters or the patterns of paths cannot be used.
        """
        plain: dict[str, Any] = {}
        for name, it in given.items():
            plain[name] = tuple(it) if isinstance(it, list) else it
        for name in _PATHS & plain.keys():
            plain[name] = _absolute(plain[name])
        plain['datasets'] = {name: _absolute(it) for name, it in plain.get('datasets', {}).items()}
        plain['bids_filters'] = BidsFilters.from_dict(plain.get('bids_filters', {}))
        by_path = plain.pop('masks', ()), plain.pop('images_space', '')
        plain['images'] = PathImages.requested(plain.get('images', ()), *by_path)
        return cls(**plain)

    def look_into(self) -> list[Dataset]:
        """Return the datasets to be searched, after checking the request.

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
        for name in _LABELS:
            if not all(getattr(self, name)):
                raise UsageError(
                    f'there is no label after --{name.replace("_", "-")}',
                    remedy='Leave the option out, or check the variable its value came from.',
                )
        for folder in (self.bids_dir, *self.datasets.values()):
            list_below(folder)
        for option, path in self._files():
            with opened(path, f'Check {option}.'):
                pass
        allowed(self.mask_source)
        if self.in_mask is not None and self.mask_source:
            raise UsageError(
                f'{self.in_mask} is used for every volume, so --mask-source has no effect',
                remedy='Leave out --mask or --mask-source.',
            )
        own = self._own_recipes
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
        return recipe_for(dataset, self._own_recipes)

    @cached_property
    def _own_recipes(self) -> tuple[Recipe, ...]:
        return own_recipes(self.recipes)

    def table_folders(self, datasets: Iterable[Dataset]) -> list[Path]:
        """Return the folders in which tables of participants may be, the likeliest first.

        The last are those in which OpenNeuroDerivatives keeps the raw data of a derivative.
        """
        roots = [self.bids_dir, *(dataset.root for dataset in datasets)]
        return [*roots, *(root / 'sourcedata' / 'raw' for root in roots)]

    def selection(self) -> str:
        """Return which images are wanted, whatever their scalars, in words for an error.

        >>> wanted = {'participant_label': ('01',), 'session_label': ('ses-2',)}
        >>> request = Request(Path('study'), Path('out'), **wanted)
        >>> request.selection()
        ' of the participants 01 and of the sessions 2'
        """
        parts = [
            f' of the {noun} {some(labels)}'
            for noun, labels in (
                ('participants', self.participant_label),
                ('sessions', self.session_label),
            )
            if labels
        ]
        if self.bids_filters.scalar:
            parts.append(' that the BIDS filters let pass')
        return ' and'.join(parts)

    def _files(self) -> Iterator[tuple[str, Path]]:
        """Yield the files named, each with its option."""
        if self.in_mask is not None:
            yield '--mask', self.in_mask
        if self.group_mask_file is not None:
            yield '--group-mask-file', self.group_mask_file
        yield from (('--phenotypes', path) for path in self.phenotypes)

    @property
    def chosen_rows(self) -> frozenset[str]:
        """``session`` and ``run`` if selected by label: each label becomes a row."""
        named = {'session'} if self.session_label else set()
        return frozenset(named | ({'session', 'run'} & set(self.bids_filters.scalar)))

    def wants(self, visit: Visit) -> bool:
        """Return whether a visit is among those asked for."""
        return (
            visit.participant not in self.exclude_participant_label
            and (not self.participant_label or visit.participant in self.participant_label)
            and (not self.session_label or not visit.session or visit.session in self.session_label)
        )


#: Names that :meth:`Request.of` takes.
INPUTS = (*(field.name for field in fields(Request)), 'masks', 'images_space')


def _absolute(given: Any) -> Any:
    if isinstance(given, tuple):
        return tuple(map(_absolute, given))
    return None if given is None else location(given).absolute()
