"""Recipes: what a pipeline writes, kept as data in ``data/recipes/*.yaml``.

A recipe says which datasets it is for, which of their files are scalars and what those are called
in R, which are masks, and what is left out and why::

    name: qsirecon
    documentation: https://qsirecon.readthedocs.io/en/latest/outputs.html
    datasets: [qsirecon, 'qsirecon-*']            # GeneratedBy, or the dataset's or folder's name
    masks: {suffix: mask, desc: brain}            # conditions on entities
    scalars:
      - where: {suffix: dwimap}
        name: '{model}_{param}[_{desc}]'          # [...] stays away where the entity is absent
    leave_out:
      - {where: {param: direction}, reason: 'directions, not one value per voxel'}
    known:
      - {names: '*_fa', long_name: fractional anisotropy, units: '1'}

Files are tried against ``masks``, then ``leave_out``, then ``scalars``, each from the top. A scalar
that a pipeline only hands on has ``copied_from``, the name of another recipe: where a dataset of
that recipe is looked into and has the same image, the copy is left out.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any, TypeVar

import yaml

from modelarrayio_bids.derivatives import entities as bids_entities
from modelarrayio_bids.derivatives.dataset import Dataset
from modelarrayio_bids.derivatives.entities import Conditions, Entities
from modelarrayio_bids.derivatives.naming import NameTemplate
from modelarrayio_bids.errors import RecipeError, SourceNotFoundError

GENERIC = 'generic'
_NEEDED = frozenset({'name', 'documentation', 'datasets', 'masks', 'scalars'})

Item = TypeVar('Item')


@dataclass(frozen=True)
class ScalarRule:
    """Files that are scalars, their name, and the recipe of the dataset they are copies from."""

    where: Conditions
    name: NameTemplate
    copied_from: str = ''

    def fits(self, entities: Entities) -> bool:
        """Whether a file fulfils the conditions and can be named."""
        return bids_entities.matches(entities, self.where) and all(
            entity in entities for entity in self.name.required
        )


@dataclass(frozen=True)
class Exclusion:
    """Files that are no scalars, and why."""

    where: Conditions
    reason: str


@dataclass(frozen=True)
class Wording:
    """What a person calls the scalars whose name fits a shell pattern."""

    names: str
    long_name: str
    units: str = ''


@dataclass(frozen=True)
class Recipe:
    """What one pipeline writes; see the module's own text."""

    name: str
    documentation: str
    datasets: tuple[str, ...]
    masks: Conditions
    scalars: tuple[ScalarRule, ...]
    leave_out: tuple[Exclusion, ...] = ()
    known: tuple[Wording, ...] = ()

    @classmethod
    def from_yaml(cls, path: Path) -> Recipe:
        """Read and validate a recipe.

        Raises
        ------
        SourceNotFoundError
            If there is no such file.
        RecipeError
            If it is no YAML, or a key is missing, unknown or of the wrong kind.
        """
        try:
            raw = yaml.safe_load(path.read_text('utf-8'))
        except FileNotFoundError as error:
            raise SourceNotFoundError('no such file', path, 'Check the recipe.') from error
        except (UnicodeDecodeError, yaml.YAMLError) as error:
            raise RecipeError(f'is not YAML ({error})', path, 'Mend it.') from error
        try:
            return _recipe(raw)
        except ValueError as error:
            raise RecipeError(
                f'cannot be used: {error}', path, 'The recipes that come along show the form.'
            ) from error

    def is_mask(self, entities: Entities) -> bool:
        """Whether a file is the mask of a brain."""
        return bids_entities.matches(entities, self.masks)

    def why_left_out(self, entities: Entities) -> str | None:
        """The reason why a file is not a scalar, if it is not."""
        for exclusion in self.leave_out:
            if bids_entities.matches(entities, exclusion.where):
                return exclusion.reason
        if self.scalar_name(entities) is None:
            return f'not among the scalars of the recipe {self.name!r}'
        return None

    def scalar_name(self, entities: Entities) -> str | None:
        """What a file is called as a scalar, if it is one."""
        rule = self._rule(entities)
        return None if rule is None else rule.name.fill(entities)

    def copied_from(self, entities: Entities) -> str:
        """The recipe of the datasets that a scalar's file is a copy from; empty if it is none."""
        rule = self._rule(entities)
        return '' if rule is None else rule.copied_from

    def wording(self, scalar: str) -> Wording:
        """What a person calls a scalar: its own name where nothing better is known."""
        found = next((w for w in self.known if fnmatchcase(scalar, w.names)), None)
        return replace(found, names=scalar) if found else Wording(scalar, scalar)

    def _rule(self, entities: Entities) -> ScalarRule | None:
        return next((rule for rule in self.scalars if rule.fits(entities)), None)


@functools.cache
def builtin_recipes() -> tuple[Recipe, ...]:
    """The recipes that come along, the one for any dataset last."""
    with as_file(files('modelarrayio_bids').joinpath('data', 'recipes')) as folder:
        recipes = [Recipe.from_yaml(path) for path in sorted(folder.glob('*.yaml'))]
    return tuple(sorted(recipes, key=lambda recipe: recipe.name == GENERIC))


def recipe_for(dataset: Dataset, recipes: Sequence[Recipe] | None = None) -> Recipe:
    """The recipe for a dataset: by what it says made it, then by its name, then its folder's.

    Raises
    ------
    RecipeError
        If none is for it.
    """
    recipes = builtin_recipes() if recipes is None else recipes
    for name in (*dataset.generators, dataset.name, dataset.root.name):
        for recipe in recipes:
            if recipe.name != GENERIC and _is_for(recipe, name):
                return recipe
    for recipe in recipes:
        if _is_for(recipe, dataset.name):
            return recipe
    raise RecipeError('no recipe is for this dataset', dataset.root, 'Give one of your own.')


@functools.cache
def fixel_recipe() -> Recipe:
    """The recipe for fixel directories, in whichever dataset they are."""
    with as_file(files('modelarrayio_bids').joinpath('data', 'fixels.yaml')) as path:
        return Recipe.from_yaml(path)


def _is_for(recipe: Recipe, name: str) -> bool:
    return any(fnmatchcase(name.lower(), pattern.lower()) for pattern in recipe.datasets)


def _recipe(raw: Any) -> Recipe:
    _check_keys(raw, 'recipe', _NEEDED, frozenset({'leave_out', 'known'}))
    return Recipe(
        _text(raw, 'name'),
        _text(raw, 'documentation'),
        tuple(_each(raw, 'datasets', _pattern)),
        _conditions(raw, 'masks'),
        tuple(_each(raw, 'scalars', _scalar_rule)),
        tuple(_each(raw, 'leave_out', _exclusion)),
        tuple(_each(raw, 'known', _wording)),
    )


def _pattern(raw: Any) -> str:
    return _text({'entry': raw}, 'entry')


def _scalar_rule(raw: Any) -> ScalarRule:
    _check_keys(raw, 'entry', frozenset({'where', 'name'}), frozenset({'copied_from'}))
    template = NameTemplate.from_text(_text(raw, 'name'))
    origin = _text(raw, 'copied_from') if 'copied_from' in raw else ''
    return ScalarRule(_conditions(raw, 'where'), template, origin)


def _exclusion(raw: Any) -> Exclusion:
    _check_keys(raw, 'entry', frozenset({'where', 'reason'}))
    return Exclusion(_conditions(raw, 'where'), _text(raw, 'reason'))


def _wording(raw: Any) -> Wording:
    _check_keys(raw, 'entry', frozenset({'names', 'long_name'}), frozenset({'units'}))
    units = _text(raw, 'units') if 'units' in raw else ''
    return Wording(_text(raw, 'names'), _text(raw, 'long_name'), units)


def _conditions(raw: Mapping[str, Any], key: str) -> Conditions:
    try:
        return bids_entities.parse_conditions(raw[key])
    except ValueError as error:
        raise ValueError(f'{key}: {error}') from error


def _each(raw: Mapping[str, Any], key: str, parse: Callable[[Any], Item]) -> list[Item]:
    entries = raw.get(key, [])
    if not isinstance(entries, list):
        raise ValueError(f'{key}: should be a list')  # noqa: TRY004 - one kind
    if key in _NEEDED and not entries:
        raise ValueError(f'{key}: should name at least one')
    parsed = []
    for number, entry in enumerate(entries, start=1):
        try:
            parsed.append(parse(entry))
        except ValueError as error:
            raise ValueError(f'{key}, entry {number}: {error}') from error
    return parsed


def _text(raw: Mapping[str, Any], key: str) -> str:
    if not isinstance(raw[key], str) or not raw[key].strip():
        raise ValueError(f'{key}: should be text, found {raw[key]!r}')
    return raw[key].strip()


def _check_keys(
    raw: Any, what: str, needed: frozenset[str], optional: frozenset[str] = frozenset()
) -> None:
    if not isinstance(raw, dict):
        raise ValueError(f'the {what} should map keys to values, found {raw!r}')  # noqa: TRY004 - one kind
    if missing := sorted(needed - set(raw)):
        raise ValueError(f'the {what} lacks {", ".join(missing)}')
    if unknown := sorted(map(str, set(raw) - needed - optional)):
        raise ValueError(f'the {what} has unknown keys: {", ".join(unknown)}')
