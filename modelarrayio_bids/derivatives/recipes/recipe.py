"""Recipes: the outputs of pipelines, described in ``data/recipes/*.yaml``.

A recipe says which datasets it is for, which of their files are scalars and what those are called
in R, which are masks, and what is left out and why::

    name: qsirecon
    documentation: https://qsirecon.readthedocs.io/en/latest/outputs.html
    datasets: [qsirecon, 'qsirecon-*']            # GeneratedBy, or the dataset's or folder's name
    masks: {suffix: mask, desc: brain}            # conditions on entities
    scalars:
      - where: {suffix: dwimap}
        name: '{model}_{param}[_{desc}]'          # [...] is omitted if the entity is absent
    leave_out:
      - {where: {param: direction}, reason: 'directions, not one value per voxel'}
    known:
      - {names: '*_fa', long_name: fractional anisotropy, units: '1'}

Files are tried against ``masks``, then ``leave_out``, then ``scalars``, each from the top. An
entry of a list may be ``as_in: NAME``: the entries of that recipe stand there. An entry of
``scalars`` may have further keys:

``datasets``
    Patterns: in these of the recipe's datasets alone.
``copied_from``
    The names of other recipes, for a scalar that the pipeline only hands on: where a dataset of
    one of them is looked into and has the same image, the copy is left out.
``on_request``
    Reason why it is included only if ``--scalars`` names it.
``space``
    The space of the files, where their names hold none.

A recipe may have ``images`` in place of ``scalars``: patterns of paths, for programs whose names
are not those of BIDS. Such a recipe is also for a folder, whatever it is called, that has one of
these images::

    images:
      - {name: gmv, patterns: ['mri/mwp1{participant}_T1w.nii'], space: MNI152NLin2009cAsym}
      - {each: {fwhm: [5, 10]}, name: 'x_{fwhm}', patterns: ['{participant}/x{fwhm}.nii']}

``docs/recipes.md`` shows how to write one; ``data/recipe.schema.json`` is its form.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any, TypeVar

from modelarrayio_bids.derivatives.bids import entities as bids_entities
from modelarrayio_bids.derivatives.bids.dataset import Dataset
from modelarrayio_bids.derivatives.bids.entities import Conditions, Entities
from modelarrayio_bids.derivatives.bids.output_names import NameTemplate
from modelarrayio_bids.derivatives.bids.patterns import NamesIn, PathPattern, names_in
from modelarrayio_bids.derivatives.bids.query import Image, find_images, wanted
from modelarrayio_bids.derivatives.recipes.path_images import MASK, UNKNOWN_SPACE, PathImages
from modelarrayio_bids.derivatives.recipes.yaml_schema import Document
from modelarrayio_bids.errors import RecipeError, UsageError
from modelarrayio_bids.runtime.data_files import data_table

GENERIC = 'generic'
_MASKS = {'suffix': 'mask', 'desc': 'brain'}
# Names of each folder that are looked at to recognise a layout.
_RECOGNISED_BY = 25
_MASK_OF_PATHS = bids_entities.parse_conditions({'suffix': MASK})

Item = TypeVar('Item')


@dataclass(frozen=True)
class ScalarRule:
    """Files that are scalars, and their name; see the docstring of the module."""

    where: Conditions
    name: NameTemplate
    datasets: tuple[str, ...] = ()
    copied_from: tuple[str, ...] = ()
    on_request: str = ''
    space: str = ''

    def fits(self, entities: Entities) -> bool:
        """Return whether a file fulfils the conditions and can be named."""
        return bids_entities.matches(entities, self.where) and all(
            entity in entities for entity in self.name.required
        )


@dataclass(frozen=True)
class Exclusion:
    """Files that are not scalars, and the reason."""

    where: Conditions
    reason: str


@dataclass(frozen=True)
class ScalarDescription:
    """Long name, units and range of the scalars whose name fits a shell pattern."""

    names: str
    long_name: str
    units: str = ''
    #: Lowest and highest value of a colour bar.
    range: tuple[float, float] | None = None


@dataclass(frozen=True)
class Recipe:
    """Files that one pipeline writes; see the docstring of the module."""

    name: str
    datasets: tuple[str, ...]
    masks: Conditions
    scalars: tuple[ScalarRule, ...]
    leave_out: tuple[Exclusion, ...] = ()
    known: tuple[ScalarDescription, ...] = ()
    documentation: str = ''
    images: tuple[PathImages, ...] = ()

    @classmethod
    def from_yaml(cls, path: Path, others: Sequence[Recipe] | None = None) -> Recipe:
        """Read and validate a recipe.

        Parameters
        ----------
        path : pathlib.Path
            The file.
        others : sequence of Recipe, optional
            Recipes that ``as_in`` may name; by default those of the package.

        Raises
        ------
        SourceNotFoundError
            If there is no such file.
        RecipeError
            If it is not YAML, or a key is missing, unknown or of the wrong kind: which, the line,
            and what is allowed there.
        """
        others = builtin_recipes() if others is None else others
        return _read(path, functools.partial(_called, others))

    def of(self, dataset: Dataset) -> Recipe:
        """Return the recipe as one of its datasets has it: without the rules for others."""
        names = _names(dataset)
        rules = (
            rule
            for rule in self.scalars
            if not rule.datasets or any(_is_for(rule.datasets, name) for name in names)
        )
        return replace(self, scalars=tuple(rules))

    @classmethod
    def of_paths(cls, name: str, images: Sequence[PathImages]) -> Recipe:
        """Return a recipe for images that are found by their paths alone, in any dataset."""
        rules = tuple(_path_rule({'name': one.name}) for one in images if one.name != MASK)
        return cls(name, ('*',), _MASK_OF_PATHS, rules, images=tuple(images))

    def finds_in(self, root: Path, listing: NamesIn) -> bool:
        """Return whether a folder has one of the images that are found by their paths."""
        return any(one.is_in(root, listing) for one in self.images)

    def find_images(
        self, dataset: Dataset, participants: Collection[str], sessions: Collection[str]
    ) -> list[Image]:
        """Return the images of a dataset: by their paths, or by the names of BIDS.

        Parameters
        ----------
        dataset : Dataset
            Dataset to search.
        participants, sessions : collection of str
            As for :func:`~modelarrayio_bids.derivatives.bids.query.find_images`.
        """
        if not self.images:
            return find_images(dataset, participants, sessions)
        found = [image for one in self.images for image in one.find(dataset)]
        return wanted(found, participants, sessions)

    def why_left_out(self, entities: Entities) -> str | None:
        """Return the reason why a file is not a scalar, if it is not."""
        for exclusion in self.leave_out:
            if bids_entities.matches(entities, exclusion.where):
                return exclusion.reason
        if self.scalar_name(entities) is None:
            return f'not among the scalars of the recipe {self.name!r}'
        return None

    def scalar_name(self, entities: Entities) -> str | None:
        """Return the name of a file as a scalar, if it is one."""
        rule = self.rule(entities)
        return None if rule is None else rule.name.fill(entities)

    def rule(self, entities: Entities) -> ScalarRule | None:
        """Return the rule that makes a scalar of a file, if one does."""
        return next((rule for rule in self.scalars if rule.fits(entities)), None)

    def described(self, scalar: str) -> ScalarDescription:
        """Return the description of a scalar: by default its own name."""
        found = next((w for w in self.known if fnmatchcase(scalar, w.names)), None)
        return replace(found, names=scalar) if found else ScalarDescription(scalar, scalar)


def builtin_recipes() -> tuple[Recipe, ...]:
    """Return the recipes of the package, the generic one last."""
    folder = files('modelarrayio_bids').joinpath('data', 'recipes')
    names = sorted(path.name.removesuffix('.yaml') for path in folder.iterdir())
    return tuple(_builtin(name) for name in sorted(names, key=lambda name: name == GENERIC))


def own_recipes(paths: Iterable[Path]) -> tuple[Recipe, ...]:
    """Read a user's own recipes; each may borrow from those before it and from the built-in ones.

    Raises
    ------
    SourceNotFoundError, RecipeError
        As :meth:`Recipe.from_yaml`.
    """
    recipes: list[Recipe] = []
    for path in paths:
        recipes.append(Recipe.from_yaml(path, [*reversed(recipes), *builtin_recipes()]))
    return tuple(recipes)


def recipe_for(dataset: Dataset, own: Sequence[Recipe] = ()) -> Recipe:
    """Return the recipe for a dataset: by what says it made it, its name, its folder's name.

    A user's own recipes come before those of the package, and what a folder holds comes last.
    """
    special = [recipe for recipe in builtin_recipes() if recipe.name != GENERIC]
    for recipes in (own, special):
        for name in _names(dataset):
            if fitting := [one for one in recipes if _is_for(one.datasets, name)]:
                return _best(fitting, dataset.root).of(dataset)
    return (recognised(dataset.root, own) or _builtin(GENERIC)).of(dataset)


def _best(recipes: Sequence[Recipe], root: Path) -> Recipe:
    """Return the first recipe that finds images by their paths, else the first of names, if any."""
    if len(recipes) == 1:
        return recipes[0]
    listing = _first_names()
    return max(recipes, key=lambda recipe: (recipe.finds_in(root, listing), not recipe.images))


def recognised(root: Path, own: Sequence[Recipe] = ()) -> Recipe | None:
    """Return the first recipe of whose images, found by their paths, a folder has one."""
    listing = _first_names()
    return next((one for one in (*own, *builtin_recipes()) if one.finds_in(root, listing)), None)


def _first_names() -> NamesIn:
    """Return a listing that reads a folder once: dozens of patterns begin in one."""
    return functools.cache(lambda folder: names_in(folder)[:_RECOGNISED_BY])


def require_use(own: Mapping[Path, Recipe], datasets: Sequence[Dataset]) -> None:
    """Require that each of a user's own recipes serves a dataset.

    Raises
    ------
    RecipeError
        If one serves none: its patterns miss what they were written for.
    """
    used = {recipe_for(dataset, tuple(own.values())).name for dataset in datasets}
    for path, recipe in own.items():
        if recipe.name not in used:
            names = dict.fromkeys(name for dataset in datasets for name in _names(dataset))
            raise RecipeError(
                f'matches none of the datasets, which are known as {", ".join(names)}',
                path,
                'Add a pattern that matches one of these to its datasets.',
            )


@functools.cache
def fixel_recipe() -> Recipe:
    """Return the recipe for fixel directories, in whichever dataset they are."""
    with as_file(files('modelarrayio_bids').joinpath('data', 'fixels.yaml')) as path:
        return Recipe.from_yaml(path, ())


@functools.cache
def _builtin(name: str) -> Recipe:
    with as_file(files('modelarrayio_bids').joinpath('data', 'recipes', f'{name}.yaml')) as path:
        return _read(path, _builtin)


def _called(recipes: Sequence[Recipe], name: str) -> Recipe:
    found = next((recipe for recipe in recipes if recipe.name == name), None)
    if found is None:
        names = ', '.join(sorted({recipe.name for recipe in recipes}))
        raise ValueError(f'as_in: there is no recipe {name!r} (there are: {names or "none"})')
    return found


def _names(dataset: Dataset) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*dataset.generators, dataset.name, dataset.root.name)))


def _is_for(patterns: Sequence[str], name: str) -> bool:
    return any(fnmatchcase(name.lower(), pattern.lower()) for pattern in patterns)


def _read(path: Path, other: Callable[[str], Recipe]) -> Recipe:
    """Read a recipe, and by name those that it borrows from."""
    document = Document.read(path)
    document.check(data_table('recipe.schema.json'))
    raw = document.content

    def _parsed(keys: tuple[str | int, ...], parse: Callable[[Any], Item], value: Any) -> Item:
        try:
            return parse(value)
        except ValueError as error:
            raise document.error(keys, str(error)) from error

    def _entries(key: str, parse: Callable[[Mapping[str, Any]], Item]) -> Iterator[Item]:
        for number, entry in enumerate(raw.get(key, ())):
            if 'as_in' in entry:
                yield from getattr(_parsed((key, number), other, entry['as_in']), key)
            else:
                for one in _each(entry):
                    yield _parsed((key, number), parse, one)

    masks = {'suffix': MASK} if 'images' in raw else _MASKS
    return Recipe(
        raw['name'].strip(),
        tuple(raw['datasets']),
        _parsed(('masks',), bids_entities.parse_conditions, raw.get('masks', masks)),
        (*_entries('scalars', _scalar_rule), *_entries('images', _path_rule)),
        tuple(_entries('leave_out', _exclusion)),
        (*_entries('known', _described), *_entries('images', _path_description)),
        raw.get('documentation', '').strip(),
        tuple(one for several in _entries('images', _path_images) for one in several),
    )


def _each(entry: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield an entry for each value of its key ``each``, in place of that name between braces."""
    if 'each' not in entry:
        yield entry
        return
    ((name, values),) = entry['each'].items()
    text = json.dumps({key: value for key, value in entry.items() if key != 'each'})
    for value in values:
        yield json.loads(text.replace(f'{{{name}}}', json.dumps(str(value))[1:-1]))


def _scalar_rule(raw: Mapping[str, Any]) -> ScalarRule:
    return ScalarRule(
        bids_entities.parse_conditions(raw['where']),
        NameTemplate.from_text(raw['name'].strip()),
        tuple(raw.get('datasets', ())),
        tuple(raw.get('copied_from', ())),
        raw.get('on_request', ''),
        raw.get('space', ''),
    )


def _path_rule(raw: Mapping[str, Any]) -> ScalarRule:
    """Return the rule that gives images found by their paths their scalar's name."""
    name = raw['name'].strip()
    where = bids_entities.parse_conditions({'suffix': name})
    template = NameTemplate(name, keeps_case=True)
    return ScalarRule(where, template, on_request=raw.get('on_request', ''))


def _path_images(raw: Mapping[str, Any]) -> list[PathImages]:
    try:
        patterns = {
            name: tuple(map(PathPattern, raw.get(key, ())))
            for name, key in ((raw['name'].strip(), 'patterns'), (MASK, 'masks'))
        }
    except UsageError as error:
        raise ValueError(f'{error.what}. {error.remedy}') from error
    space = raw.get('space', UNKNOWN_SPACE)
    return [PathImages(name, found, space) for name, found in patterns.items() if found]


def _path_description(raw: Mapping[str, Any]) -> ScalarDescription:
    return _described({'long_name': raw['name'], **raw, 'names': raw['name'].strip()})


def _exclusion(raw: Mapping[str, Any]) -> Exclusion:
    return Exclusion(bids_entities.parse_conditions(raw['where']), raw['reason'].strip())


def _described(raw: Mapping[str, Any]) -> ScalarDescription:
    low, high = raw.get('range', (0, 1))
    if not low < high:
        raise ValueError(f'range: {low} should be less than {high}')
    bounds = (float(low), float(high)) if 'range' in raw else None
    return ScalarDescription(raw['names'], raw['long_name'].strip(), raw.get('units', ''), bounds)
