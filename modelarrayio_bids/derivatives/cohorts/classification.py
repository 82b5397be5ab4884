"""The images of all datasets, sorted: scalars by group, masks, and what is left out and why."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from pathlib import Path

from modelarrayio_bids.derivatives.bids import entities as bids_entities
from modelarrayio_bids.derivatives.bids.entities import Entities
from modelarrayio_bids.derivatives.bids.filters import BidsFilters
from modelarrayio_bids.derivatives.bids.output_names import space_name, stem
from modelarrayio_bids.derivatives.bids.query import Image
from modelarrayio_bids.derivatives.cohorts import exclusions
from modelarrayio_bids.derivatives.cohorts.ambiguity import ROW_ENTITIES
from modelarrayio_bids.derivatives.cohorts.groups import Dropped
from modelarrayio_bids.derivatives.cohorts.participant_tables import Visit
from modelarrayio_bids.derivatives.cohorts.phenotypes import Phenotypes
from modelarrayio_bids.derivatives.recipes.recipe import Recipe, ScalarRule, Wording
from modelarrayio_bids.errors import (
    FormatError,
    NoMatchError,
    SourceNotFoundError,
    UsageError,
)
from modelarrayio_bids.spaces import SPACES

_EXAMPLES = 3


@dataclass(frozen=True)
class LeftOut:
    """Images that are not used for one reason.

    Parameters
    ----------
    count : int
        How many.
    examples : tuple of pathlib.Path
        The first few.
    """

    count: int
    examples: tuple[Path, ...]

    @classmethod
    def of(cls, paths: Sequence[Path]) -> LeftOut:
        """All of these."""
        return cls(len(paths), tuple(paths[:_EXAMPLES]))


@dataclass
class Sorting:
    """What the images of the datasets are.

    Parameters
    ----------
    filters : BidsFilters, optional
        A person's own conditions.
    sessions : collection of str, optional
        Labels of the only sessions wanted.
    excluded : collection of str, optional
        Labels of participants not wanted.
    """

    filters: BidsFilters = field(default_factory=BidsFilters)
    sessions: Collection[str] = ()
    excluded: Collection[str] = ()
    n_images: int = 0
    #: Labels of the sessions met, wanted or not.
    sessions_met: set[str | None] = field(default_factory=set)
    #: Entities met in names.
    entities_met: set[str] = field(default_factory=set)
    masks: list[Image] = field(default_factory=list)
    #: By scalar and stem.
    scalars: dict[tuple[str, str], list[Image]] = field(default_factory=lambda: defaultdict(list))
    #: By scalar and stem: what a person's demand left out.
    dropped: dict[tuple[str, str], list[Dropped]] = field(default_factory=lambda: defaultdict(list))
    wordings: dict[str, Wording] = field(default_factory=dict)
    #: By recipe: the names of its datasets.
    _datasets: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    #: By image: the recipes of the datasets that it may be handed on from.
    _origins: dict[Path, tuple[str, ...]] = field(default_factory=dict)
    #: By image nobody gets who does not ask: why.
    _on_request: dict[Path, str] = field(default_factory=dict)
    #: Kinds of names, of which there is one with a space.
    _named_with_space: set[str] = field(default_factory=set)
    _left_out: dict[str, list[Path]] = field(default_factory=lambda: defaultdict(list))

    @property
    def visits(self) -> set[Visit]:
        """Whom the images of scalars are of."""
        return {Visit.of(image.entities) for images in self.scalars.values() for image in images}

    def add(self, images: Iterable[Image], recipe: Recipe) -> None:
        """Sort the images of one dataset as its recipe says."""
        are_masks = {**recipe.masks, **self.filters.mask}
        for image in _placed(images, recipe):
            self._datasets[recipe.name].add(image.dataset)
            self.n_images += 1
            self.sessions_met.add(image.entities.get('session'))
            self.entities_met.update(image.entities)
            if 'space' in image.entities:
                self._named_with_space.add(exclusions.kind_of_name(image.path))
            if odd := '' if image.by_path else exclusions.why_odd(image):
                self._left_out[odd].append(image.path)
            elif bids_entities.matches(image.entities, are_masks):
                self.masks.append(image)
            elif reason := self._why_left_out(image, recipe):
                self._left_out[reason].append(image.path)
            elif rule := recipe.rule(image.entities):
                scalar = rule.name.fill(image.entities)
                self.scalars[scalar, stem(image.entities, image.kind)].append(image)
                if scalar not in self.wordings:
                    self.wordings[scalar] = recipe.wording(scalar)
                self._origins[image.path] = rule.copied_from
                self._on_request[image.path] = rule.on_request

    def require_entities(self) -> None:
        """Check that names have the entities of the filters, where BIDS does not know them.

        Raises
        ------
        UsageError
            If no name has one: it is misspelt.
        """
        known = {*bids_entities.names(), *self.entities_met}
        for name in {**self.filters.scalar, **self.filters.mask}:
            if name not in known:
                met = sorted(self.entities_met.difference(bids_entities.names()))
                raise UsageError(
                    f'the filters name an entity {name!r} that no file has '
                    f'({bids_entities.hint(name, met)})',
                    remedy='Fix the BIDS filters, or --select.',
                )

    def only(self, patterns: Sequence[str], among: str = '') -> None:
        """Keep the scalars whose names fit one of these shell patterns; the case is no matter.

        Parameters
        ----------
        patterns : sequence of str
            If there is none, all are kept for which nobody needs to ask.
        among : str, optional
            Which these are, for the error.

        Raises
        ------
        NoMatchError
            If a pattern fits none: with those there are.
        """
        if not patterns:
            self._drop_unasked()
            return
        names = sorted({scalar for scalar, _ in self.scalars})
        for pattern in patterns:
            if not any(_fits(name, pattern) for name in names):
                raise NoMatchError(
                    f'no scalar is called {pattern!r}{among}',
                    remedy=f'There are: {", ".join(names) or "none"}.',
                )
        self._drop(
            'not among the scalars asked for',
            lambda scalar, _: not any(_fits(scalar, pattern) for pattern in patterns),
        )

    def only_in(self, patterns: Sequence[str]) -> None:
        """Keep the scalars in spaces whose names fit one of these shell patterns.

        Raises
        ------
        NoMatchError
            If a pattern fits none: with those there are.
        """
        if not patterns:
            return
        spaces = {key: _space_names(images[0]) for key, images in self.scalars.items()}
        for pattern in patterns:
            if not any(_fits(name, pattern) for names in spaces.values() for name in names):
                there = sorted({name for names in spaces.values() for name in names})
                raise NoMatchError(
                    f'no scalar is in a space called {pattern!r}',
                    remedy=f'There are: {", ".join(there) or "none"}.',
                )
        self._drop(
            'in no space asked for',
            lambda _, images: (
                not any(
                    _fits(name, pattern) for name in _space_names(images[0]) for pattern in patterns
                )
            ),
        )

    def require(self, phenotypes: Phenotypes, columns: Sequence[str]) -> None:
        """Leave out images of visits that lack one of these phenotypes.

        Raises
        ------
        UsageError
            If no table has such a column.
        """
        phenotypes.require(columns)
        for key, images in list(self.scalars.items()) if columns else ():
            visits = {image.path: Visit.of(image.entities) for image in images}
            lacking = phenotypes.lacking(visits.values(), columns)
            self.scalars[key] = [one for one in images if visits[one.path] not in lacking]
            for image in images:
                if missing := lacking.get(visits[image.path]):
                    self._drop_one(key, image, f'without {" and ".join(missing)}')
            if not self.scalars[key]:
                del self.scalars[key]

    def drop_copies(self) -> None:
        """Leave out images that a pipeline handed on, where the dataset they are from is there."""
        for key, images in self.scalars.items():
            held = {(image.dataset, _row(image)) for image in images}
            self.scalars[key] = []
            for image in images:
                origin = self._origin(image, held)
                if origin is None:
                    self.scalars[key].append(image)
                else:
                    self._left_out[f'a copy of what {origin} wrote'].append(image.path)

    def _origin(
        self, image: Image, held: Collection[tuple[str, tuple[str | None, ...]]]
    ) -> str | None:
        """The recipe of a dataset at hand that an image was copied from."""
        for origin in self._origins[image.path]:
            if any((dataset, _row(image)) in held for dataset in self._datasets[origin]):
                return origin
        return None

    def _drop_unasked(self) -> None:
        dropped: dict[str, dict[str, list[Path]]] = defaultdict(lambda: defaultdict(list))
        for key in sorted(self.scalars):
            images = self.scalars.pop(key)
            for image in images:
                if reason := self._on_request[image.path]:
                    dropped[reason][key[0]].append(image.path)
            if kept := [image for image in images if not self._on_request[image.path]]:
                self.scalars[key] = kept
        for reason, scalars in dropped.items():
            paths = [path for several in scalars.values() for path in several]
            self._left_out[f'{reason}, taken with --scalars {_some(list(scalars))}'] += paths

    def drop_series(self) -> None:
        """Leave out groups whose first image holds several maps, whatever its name says."""
        self._drop('several maps in one file', lambda _, images: _is_series(images[0]))

    def left_out(self) -> dict[str, LeftOut]:
        """The images that are not used, by reason, the commonest first."""
        looked_at = exclusions.corrected(self._left_out, self._named_with_space)
        reasons = sorted(looked_at.items(), key=lambda item: (-len(item[1]), item[0]))
        return {reason: LeftOut.of(paths) for reason, paths in reasons}

    def _why_left_out(self, image: Image, recipe: Recipe) -> str | None:
        entities = image.entities
        return (
            recipe.why_left_out(entities)
            or exclusions.why_unusable(image)
            or self._ruled_out(entities)
        )

    def _ruled_out(self, entities: Entities) -> str | None:
        if not bids_entities.matches(entities, self.filters.scalar):
            return 'ruled out by the BIDS filters'
        if self.sessions and entities.get('session') not in self.sessions:
            return 'of no session asked for'
        if entities['subject'] in self.excluded:
            return 'of a participant excluded'
        return None

    def _drop_one(self, key: tuple[str, str], image: Image, reason: str) -> None:
        self._left_out[reason].append(image.path)
        self.dropped[key].append(Dropped(image.path, Visit.of(image.entities), reason))

    def _drop(self, reason: str, is_out: Callable[[str, Sequence[Image]], bool]) -> None:
        for key in [key for key, images in self.scalars.items() if is_out(key[0], images)]:
            self._left_out[reason] += [image.path for image in self.scalars.pop(key)]


def _placed(images: Iterable[Image], recipe: Recipe) -> Iterable[Image]:
    """Return images with the space that a recipe knows, where their names have none."""
    if not any(rule.space for rule in recipe.scalars):
        return images
    return (_with_space(image, recipe.rule(image.entities)) for image in images)


def _with_space(image: Image, rule: ScalarRule | None) -> Image:
    if rule is None or not rule.space or 'space' in image.entities:
        return image
    return replace(image, entities={**image.entities, 'space': rule.space})


def _row(image: Image) -> tuple[str | None, ...]:
    return tuple(image.entities.get(name) for name in ROW_ENTITIES)


def _fits(name: str, pattern: str) -> bool:
    return fnmatchcase(name.lower(), pattern.lower())


def _space_names(image: Image) -> tuple[str, ...]:
    """What the space of an image may be called: without its resolution, or with it."""
    if 'space' not in image.entities:
        return ()
    return tuple(dict.fromkeys([image.entities['space'], space_name(image.entities)]))


def _is_series(image: Image) -> bool:
    try:
        return SPACES[image.kind].holds_several(image.path)
    except (FormatError, SourceNotFoundError):
        # Kept: the check of every header before a build reports it, with all the others.
        return False


def _some(names: Sequence[str], most: int = _EXAMPLES) -> str:
    more = f' (and {len(names) - most} more)' if len(names) > most else ''
    return ' '.join(names[:most]) + more
