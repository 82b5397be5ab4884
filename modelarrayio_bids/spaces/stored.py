"""The elements of an HDF5 file: from the template it keeps, or from a user's files."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import cast

from modelarrayio_bids.errors import SchemaError, SpaceMismatchError, UsageError
from modelarrayio_bids.spaces import SPACES, ElementSpace, References, space_of_references
from modelarrayio_bids.store import contents, validation
from modelarrayio_bids.store.kinds import disagreements, made_again
from modelarrayio_bids.store.reader import StoreReader


def validate(path: Path, cohort_file: Path | None = None) -> tuple[validation.Finding, ...]:
    """Return every breach of a rule: see :func:`modelarrayio_bids.store.validation.validate`."""
    return validation.validate(path, tuple(SPACES.values()), cohort_file)


def contents_of(path: Path) -> contents.Contents:
    """Look into a file: see :func:`modelarrayio_bids.store.contents.contents_of`."""
    return contents.contents_of(path, tuple(SPACES.values()))


def space_of_store(reader: StoreReader, references: References) -> ElementSpace:
    """Return the elements of a file, from its own template or from a user's files.

    Raises
    ------
    UsageError
        If the file has no template and no reference was given.
    SchemaError
        If the template cannot be used, or the file's tables or scalars are of other elements.
    SpaceMismatchError
        If the reference describes others than the file.
    """
    own = None
    if (template := reader.template) is not None:
        own = cast('ElementSpace', made_again(*template, SPACES.values(), reader.path))
    given = space_of_references(references, own.kind if own else None)
    if own is not None:
        for what in _disagreements(reader, own, 'its template'):
            raise SchemaError(what, reader.path, 'Build it again: its parts contradict each other.')
    if given is None:
        if own is not None:
            return own
        raise UsageError(
            'does not say which elements it holds: it was made by another program',
            reader.path,
            'Give the group mask (--mask), the fixel index and directions (--index-file, '
            '--directions-file) or one of its CIFTI images (--example-file).',
        )
    if own is None:
        for what in _disagreements(reader, given, 'the file given beside it'):
            remedy = 'Give the very file the data were prepared with.'
            raise SpaceMismatchError(what, reader.path, remedy)
    elif own != given:
        raise SpaceMismatchError(
            f'holds {len(own):,} {own.kind}, and {references.named[0]} describes {len(given):,} '
            'that are not the same or lie elsewhere',
            reader.path,
            'Give the very file the data were prepared with, or none.',
        )
    return given


def _disagreements(reader: StoreReader, space: ElementSpace, whose: str) -> Iterator[str]:
    paths = [form.path for kind in SPACES.values() for form in kind.table_forms]
    tables = {path: table for path in paths if (table := reader.table(path)) is not None}
    yield from disagreements(space, tables, _counts(reader), SPACES.values(), whose)


def _counts(reader: StoreReader) -> dict[str, int]:
    """Return the number of elements of each scalar that can be used."""
    counts = {}
    for name in reader.scalars:
        with suppress(SchemaError):
            counts[name] = reader.scalar(name).shape[1]
    return counts
