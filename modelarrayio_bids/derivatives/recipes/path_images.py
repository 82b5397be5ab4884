"""Images of one scalar found by their paths, for files without BIDS names."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from modelarrayio_bids.derivatives.bids.dataset import Dataset
from modelarrayio_bids.derivatives.bids.entities import Entities, bare_label
from modelarrayio_bids.derivatives.bids.patterns import PARTICIPANT, NamesIn, PathPattern
from modelarrayio_bids.derivatives.bids.query import Image, whole_images
from modelarrayio_bids.errors import UsageError

#: The space of images whose space is unknown.
UNKNOWN_SPACE = 'unknown'
MASK = 'mask'
_ENTITIES = {PARTICIPANT: 'subject', 'session': 'session', 'run': 'run'}


@dataclass(frozen=True)
class PathImages:
    """Images of one scalar, or masks, by the patterns of their paths.

    Parameters
    ----------
    name : str
        The scalar; :data:`MASK` for masks.
    patterns : tuple of PathPattern
        The first one that an image's path fits counts.
    space : str, optional
        The space of all of them, as fMRIPrep's ``--output-spaces`` writes it.
    """

    name: str
    patterns: tuple[PathPattern, ...]
    space: str = UNKNOWN_SPACE

    @classmethod
    def requested(
        cls, images: Sequence[str], masks: Sequence[str] = (), space: str = ''
    ) -> tuple[PathImages, ...]:
        """Return what the options ``--images``, ``--masks`` and ``--images-space`` name.

        Raises
        ------
        UsageError
            If one is not of its form, or there are masks of no images.
        """
        if not images and (masks or space):
            raise UsageError(
                '--masks and --images-space need --images',
                remedy="Give --images too, such as 'gmv=mri/mwp1{participant}_T1w.nii'.",
            )
        space = space or UNKNOWN_SPACE
        found = [cls.parse(text, space) for text in images]
        return (*found, *(cls(MASK, (PathPattern(text),), space) for text in masks))

    @classmethod
    def parse(cls, text: str, space: str = UNKNOWN_SPACE) -> PathImages:
        """Return the images that an option ``NAME=PATTERN`` names.

        Raises
        ------
        UsageError
            If it is not that, or the pattern is none.
        """
        name, equals, pattern = text.partition('=')
        if not (name.strip() and equals and pattern.strip()):
            raise UsageError(
                f'{text!r} is not NAME=PATTERN',
                remedy="Write it such as 'gmv=mri/mwp1{participant}_T1w.nii'.",
            )
        if name.strip() == MASK:
            raise UsageError('a scalar cannot be called mask', remedy='Give masks with --masks.')
        return cls(name.strip(), (PathPattern(pattern.strip()),), space)

    def find(self, dataset: Dataset) -> Iterator[Image]:
        """Yield the images of a dataset, sorted by path for each pattern.

        Raises
        ------
        AmbiguousMatchError
            If a path fits a pattern in several ways.
        """
        yield from whole_images(self._files(dataset))

    def is_in(self, root: Path, listing: NamesIn) -> bool:
        """Return whether a folder has such images among the names that a listing gives."""
        return any(next(pattern.find(root, listing), None) is not None for pattern in self.patterns)

    def _files(self, dataset: Dataset) -> Iterator[Image]:
        found: set[Path] = set()
        for pattern in self.patterns:
            for path, fields in pattern.find(dataset.root):
                if path not in found:
                    found.add(path)
                    yield self._image(dataset, path, fields)

    def _image(self, dataset: Dataset, path: Path, fields: dict[str, str]) -> Image:
        labels = {_ENTITIES[field]: text for field, text in fields.items() if field in _ENTITIES}
        entities = {entity: bare_label(text) for entity, text in labels.items()}
        columns = tuple((field, text) for field, text in fields.items() if field not in _ENTITIES)
        return Image(path, dataset.name, {**entities, **self._of_all()}, columns, by_path=True)

    def _of_all(self) -> Entities:
        space, *more = self.space.split(':')
        pairs = dict(pair.split('-', 1) for pair in more if '-' in pair)
        return {'space': space, **pairs, 'suffix': self.name}
