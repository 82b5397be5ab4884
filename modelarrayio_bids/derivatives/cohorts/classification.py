"""The images of all datasets in one table: scalars by group, masks, and why others are left out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pandas as pd

from modelarrayio_bids.derivatives.bids import entities as bids_entities
from modelarrayio_bids.derivatives.bids.output_names import space_name, stem
from modelarrayio_bids.derivatives.bids.query import Image
from modelarrayio_bids.derivatives.cohorts import exclusions
from modelarrayio_bids.derivatives.cohorts.ambiguity import row_of
from modelarrayio_bids.derivatives.cohorts.groups import Dropped
from modelarrayio_bids.derivatives.cohorts.participant_tables import Visit
from modelarrayio_bids.derivatives.cohorts.phenotypes import Phenotypes
from modelarrayio_bids.derivatives.cohorts.request import Request
from modelarrayio_bids.derivatives.recipes.recipe import Recipe
from modelarrayio_bids.errors import FormatError, NoMatchError, SourceNotFoundError, UsageError
from modelarrayio_bids.spaces import SPACES

_EXAMPLES = 3


@dataclass(frozen=True)
class ImageTriage:
    """Images by what they are: scalars, masks, or left out for a reason.

    Parameters
    ----------
    request : Request
        Request that selects images.
    table : pandas.DataFrame
        A row per image: ``image``, ``recipe``, ``is_mask``, ``reason`` (blank if it is used),
        ``scalar``, ``stem`` (of its group) and ``rule`` (of the recipe), blank or None where it is
        no scalar.
    """

    request: Request
    table: pd.DataFrame

    @classmethod
    def of(cls, request: Request, found: Iterable[tuple[Recipe, Iterable[Image]]]) -> ImageTriage:
        """Sort the images of datasets as the recipe of each says."""
        rows = [row for recipe, images in found for row in _rows(request, images, recipe)]
        columns = ['image', 'recipe', 'is_mask', 'reason', 'scalar', 'stem', 'rule']
        return cls(request, pd.DataFrame(rows, columns=columns))

    @property
    def masks(self) -> list[Image]:
        """Masks of brains."""
        return list(self.table.image[self.table.is_mask])

    @property
    def used(self) -> pd.DataFrame:
        """Rows of the images that are scalars."""
        return self.table[(self.table.reason == '') & ~self.table.is_mask]

    @property
    def groups(self) -> dict[Any, pd.DataFrame]:
        """Rows of the scalars, by scalar and stem."""
        return dict(iter(self.used.groupby(['scalar', 'stem'], sort=False)))

    @property
    def scalars(self) -> dict[tuple[str, str], list[Image]]:
        """Images of the scalars, by scalar and stem."""
        return {key: list(rows.image) for key, rows in self.groups.items()}

    @property
    def visits(self) -> set[Visit]:
        """Visits that have images of scalars."""
        return set(map(_visit, self.used.image))

    @property
    def sessions_met(self) -> set[str]:
        """Labels of all sessions that images have, wanted or not."""
        found = (image.entities.get('session') for image in self.table.image)
        return {label for label in found if label is not None}

    def keep_scalars(self) -> None:
        """Keep the scalars asked for; without any, all but those that are used on request only.

        Raises
        ------
        NoMatchError
            If a pattern fits none: with those there are.
        """
        if patterns := self.request.scalars:
            selection = self.request.selection()
            among = f' among the images{selection}' if selection else ''
            reason = 'not among the scalars asked for'
            self._keep(patterns, lambda row: [row.scalar], reason, 'called', among)
        else:
            self._drop_unasked()

    def keep_spaces(self) -> None:
        """Keep the scalars in spaces asked for.

        Raises
        ------
        NoMatchError
            If a pattern fits none: with those there are.
        """
        if patterns := self.request.space:
            reason = 'in no space asked for'
            self._keep(patterns, lambda row: _space_names(row.image), reason, 'in a space called')

    def require(self, phenotypes: Phenotypes) -> dict[Any, list[Dropped]]:
        """Leave out images of visits that lack a required phenotype, and return them by group.

        Raises
        ------
        UsageError
            If no table has such a column.
        """
        columns = self.request.required_columns
        phenotypes.require(columns)
        dropped: dict[Any, list[Dropped]] = defaultdict(list)
        lacking = phenotypes.lacking(self.visits, columns) if columns else {}
        for row in self._used_rows():
            if missing := lacking.get(_visit(row.image)):
                reason = f'without {" and ".join(missing)}'
                self.table.loc[row.Index, 'reason'] = reason
                one = Dropped(row.image.path, _visit(row.image), reason)
                dropped[row.scalar, row.stem].append(one)
        return dropped

    def drop_series(self) -> None:
        """Leave out groups whose first image holds several maps, whatever its name says."""
        for rows in self.groups.values():
            if _is_series(rows.image.iloc[0]):
                self._leave_out(rows.index, 'several maps in one file')

    def left_out(self) -> dict[str, list[Path]]:
        """Return the images that are not used, by reason, the commonest first."""
        out = self.table[self.table.reason != '']
        paths = {
            reason: [image.path for image in images]
            for reason, images in out.image.groupby(out.reason, sort=False)
        }
        with_space = {
            exclusions.kind_of_name(image.path)
            for image in self.table.image
            if 'space' in image.entities
        }
        looked_at = exclusions.corrected(paths, with_space)
        return dict(sorted(looked_at.items(), key=lambda item: (-len(item[1]), item[0])))

    def require_entities(self) -> None:
        """Refuse filters on an entity that neither BIDS nor any name has.

        Raises
        ------
        UsageError
            With the entities that may be meant.
        """
        met = {name for image in self.table.image for name in image.entities}
        for name in {**self.request.bids_filters.scalar, **self.request.bids_filters.mask}:
            if name not in met.union(bids_entities.names()):
                further = sorted(met.difference(bids_entities.names()))
                raise UsageError(
                    f'the filters name an entity {name!r} that no file has '
                    f'({bids_entities.hint(name, further)})',
                    remedy='Fix the BIDS filters, or --select.',
                )

    def drop_copies(self) -> None:
        """Leave out images that a pipeline handed on, where the dataset they are from is there."""
        held = {
            (row.recipe.name, row.scalar, row.stem, row_of(row.image)) for row in self._used_rows()
        }
        for row in self._used_rows():
            for origin in row.rule.copied_from:
                if (origin, row.scalar, row.stem, row_of(row.image)) in held:
                    self._leave_out([row.Index], f'a copy of what {origin} wrote')
                    break

    def _drop_unasked(self) -> None:
        """Leave out scalars that are used on request only."""
        used = self.used
        reasons = used.rule.map(lambda rule: rule.on_request)
        for reason, rows in used[reasons != ''].groupby(reasons):
            names = sorted(set(rows.scalar))
            more = f' (and {len(names) - _EXAMPLES} more)' if len(names) > _EXAMPLES else ''
            how = f'taken with --scalars {" ".join(names[:_EXAMPLES])}{more}'
            self._leave_out(rows.index, f'{reason}, {how}')

    def _keep(
        self,
        patterns: Sequence[str],
        names_of: Callable[[Any], Sequence[str]],
        reason: str,
        named: str,
        among: str = '',
    ) -> None:
        names = {row.Index: names_of(row) for row in self._used_rows()}
        known = sorted({name for several in names.values() for name in several})
        kept: set[str] = set()
        for pattern in patterns:
            found = [name for name in known if fnmatchcase(name.lower(), pattern.lower())]
            if not found:
                there = f'There are: {", ".join(known) or "none"}.'
                raise NoMatchError(f'no scalar is {named} {pattern!r}{among}', remedy=there)
            kept.update(found)
        self._leave_out([row for row, several in names.items() if kept.isdisjoint(several)], reason)

    def _used_rows(self) -> Iterator[Any]:
        return iter(self.used.itertuples())

    def _leave_out(self, rows: Any, reason: str) -> None:
        self.table.loc[rows, 'reason'] = reason


def _rows(request: Request, images: Iterable[Image], recipe: Recipe) -> Iterator[tuple[Any, ...]]:
    """Yield the row of the table for each image."""
    are_masks = {**recipe.masks, **request.bids_filters.mask}
    for image in images:
        rule = recipe.rule(image.entities)
        if rule is not None and rule.space:
            entities = {'space': rule.space, **image.entities}
            image = replace(image, entities=entities)  # noqa: PLW2901
        odd = None if image.by_path else exclusions.why_odd(image)
        is_mask = not odd and bids_entities.matches(image.entities, are_masks)
        reason = odd or ('' if is_mask else _why_left_out(request, image, recipe)) or ''
        if rule is None or is_mask or reason:
            yield image, recipe, is_mask, reason, '', '', None
        else:
            scalar = rule.name.fill(image.entities)
            yield image, recipe, False, '', scalar, stem(image.entities, image.kind), rule


def _why_left_out(request: Request, image: Image, recipe: Recipe) -> str | None:
    if reason := recipe.why_left_out(image.entities) or exclusions.why_unusable(image):
        return reason
    if not bids_entities.matches(image.entities, request.bids_filters.scalar):
        return 'ruled out by the BIDS filters'
    if request.session_label and image.entities.get('session') not in request.session_label:
        return 'of no session asked for'
    excluded = image.entities['subject'] in request.exclude_participant_label
    return 'images of excluded participants' if excluded else None


def _visit(image: Image) -> Visit:
    return Visit.of(image.entities)


def _space_names(image: Image) -> Sequence[str]:
    """Return names of the space of an image: without its resolution, and with it."""
    if 'space' not in image.entities:
        return ()
    return image.entities['space'], space_name(image.entities)


def _is_series(image: Image) -> bool:
    try:
        return SPACES[image.kind].holds_several(image.path)
    except (FormatError, SourceNotFoundError):
        # Kept: the check of every header before a build reports it, with all the others.
        return False
