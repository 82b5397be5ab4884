"""The images of all datasets, sorted: scalars by group, masks, and what is left out and why."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

from modelarrayio_bids.derivatives import entities as bids_entities
from modelarrayio_bids.derivatives.entities import Entities
from modelarrayio_bids.derivatives.filters import BidsFilters
from modelarrayio_bids.derivatives.naming import stem
from modelarrayio_bids.derivatives.query import Image
from modelarrayio_bids.derivatives.recipes import Recipe, Wording
from modelarrayio_bids.errors import FormatError, NoMatchError, SourceNotFoundError
from modelarrayio_bids.formats import compression, nifti

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


@dataclass
class Sorting:
    """What the images of the datasets are.

    Parameters
    ----------
    filters : BidsFilters, optional
        A person's own conditions.
    sessions : collection of str, optional
        Labels of the only sessions wanted.
    """

    filters: BidsFilters = field(default_factory=BidsFilters)
    sessions: Collection[str] = ()
    n_images: int = 0
    masks: list[Image] = field(default_factory=list)
    #: By scalar and stem.
    scalars: dict[tuple[str, str], list[Image]] = field(default_factory=lambda: defaultdict(list))
    wordings: dict[str, Wording] = field(default_factory=dict)
    _left_out: dict[str, list[Path]] = field(default_factory=lambda: defaultdict(list))

    def add(self, images: Iterable[Image], recipe: Recipe) -> None:
        """Sort the images of one dataset as its recipe says."""
        are_masks = {**recipe.masks, **self.filters.mask}
        for image in images:
            self.n_images += 1
            if bids_entities.matches(image.entities, are_masks):
                self.masks.append(image)
            elif reason := self._why_left_out(image.entities, recipe):
                self._left_out[reason].append(image.path)
            elif scalar := recipe.scalar_name(image.entities):
                self.scalars[scalar, stem(image.entities)].append(image)
                self.wordings.setdefault(scalar, recipe.wording(scalar))

    def only(self, patterns: Sequence[str]) -> None:
        """Keep the scalars whose names fit one of these shell patterns; the case is no matter.

        Raises
        ------
        NoMatchError
            If a pattern fits none: with those there are.
        """
        if not patterns:
            return
        names = sorted({scalar for scalar, _ in self.scalars})
        for pattern in patterns:
            if not any(_fits(name, pattern) for name in names):
                raise NoMatchError(
                    f'no scalar is called {pattern!r}',
                    remedy=f'There are: {", ".join(names) or "none"}.',
                )
        self._drop(
            'not among the scalars asked for',
            lambda scalar, _: not any(_fits(scalar, pattern) for pattern in patterns),
        )

    def drop_series(self) -> None:
        """Leave out groups whose first image holds several volumes, whatever its name says."""
        self._drop('several volumes in one file', lambda _, images: _is_series(images[0].path))

    def left_out(self) -> dict[str, LeftOut]:
        """The images that are not used, by reason, the commonest first."""
        reasons = sorted(self._left_out.items(), key=lambda item: (-len(item[1]), item[0]))
        return {reason: LeftOut(len(paths), tuple(paths[:_EXAMPLES])) for reason, paths in reasons}

    def _why_left_out(self, entities: Entities, recipe: Recipe) -> str | None:
        return recipe.why_left_out(entities) or _unusable(entities) or self._ruled_out(entities)

    def _ruled_out(self, entities: Entities) -> str | None:
        if not bids_entities.matches(entities, self.filters.scalar):
            return 'ruled out by the BIDS filters'
        if self.sessions and entities.get('session') not in self.sessions:
            return 'of no session asked for'
        return None

    def _drop(self, reason: str, is_out: Callable[[str, Sequence[Image]], bool]) -> None:
        for key in [key for key, images in self.scalars.items() if is_out(key[0], images)]:
            self._left_out[reason] += [image.path for image in self.scalars.pop(key)]


def _unusable(entities: Entities) -> str | None:
    """Why no group file can be made of an image, whatever it holds."""
    if entities['extension'] not in nifti.EXTENSIONS:
        return f'a {entities["extension"]} file, which cannot be read yet'
    if 'subject' not in entities:
        return 'of no participant'
    space = entities.get('space')
    if bids_entities.is_native(space):
        return f"in the participant's own space ({f'space-{space}' if space else 'no space'})"
    return None


def _fits(name: str, pattern: str) -> bool:
    return fnmatchcase(name.lower(), pattern.lower())


def _is_series(path: Path) -> bool:
    try:
        header = nifti.parse_header(compression.read_start(path, 540), path)
    except (FormatError, SourceNotFoundError):
        # Kept: the check of every header before a build reports it, with all the others.
        return False
    return len(nifti.Volume(path, header).shape) > 3
