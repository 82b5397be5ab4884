"""The elements of an HDF5 file: from the template it keeps, or from a user's files."""

from __future__ import annotations

from pathlib import Path

from modelarrayio_bids.errors import ModelArrayIOError, SchemaError, SpaceMismatchError, UsageError
from modelarrayio_bids.spaces import (
    SPACES,
    ElementSpace,
    References,
    Template,
    space_of_references,
)
from modelarrayio_bids.store import contents, validation
from modelarrayio_bids.store.reader import StoreReader


def validate(path: Path, cohort_file: Path | None = None) -> tuple[validation.Finding, ...]:
    """Return every breach of a rule: see :func:`modelarrayio_bids.store.validation.validate`."""
    return validation.validate(path, tuple(SPACES.values()), cohort_file)


def contents_of(path: Path) -> contents.Contents:
    """Look into a file: see :func:`modelarrayio_bids.store.contents.contents_of`."""
    return contents.contents_of(path, tuple(SPACES.values()))


def space_of_store(reader: StoreReader, references: References) -> ElementSpace:
    """The elements of a file, from its own template or from a user's files.

    Raises
    ------
    UsageError
        If the file has no template and no reference was given.
    SpaceMismatchError
        If both are there and differ, or the reference has another number of elements.
    """
    template = reader.template
    own = _space_of_template(*template, reader) if template else None
    given = space_of_references(references, own.kind if own else None)
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
        _compare_tables(reader, given)
    elif own != given:
        raise SpaceMismatchError(
            f'holds {len(own):,} {own.kind}, and {references.given} describes {len(given):,} '
            'that are not the same or lie elsewhere',
            reader.path,
            'Give the very file the data were prepared with, or none.',
        )
    return given


def _space_of_template(kind: str, template: Template, reader: StoreReader) -> ElementSpace:
    # Whoever wrote the arrays: an error is that of the file, not of an image that was given.
    try:
        return SPACES[kind].from_template(template)
    except KeyError as error:
        said = f'{error} is unknown or missing'
    except ModelArrayIOError as error:
        said = error.what
    except (
        IndexError,
        TypeError,
        ValueError,
        ArithmeticError,
        MemoryError,
        AttributeError,
    ) as error:
        said = str(error)
    raise SchemaError(
        f'has no usable template of its elements ({said})', reader.path, 'Build it again.'
    )


def _compare_tables(reader: StoreReader, space: ElementSpace) -> None:
    """A file of the predecessor has tables of its elements: they must be the reference's."""
    for path, table in space.tables().items():
        stored = reader.table(path)
        if stored is not None and not stored.agrees_with(table):
            raise SpaceMismatchError(
                f'has other {space.kind} ({stored.values.shape[-1]:,}) than the file given beside '
                f'it ({len(space):,})',
                reader.path,
                'Give the very file the data were prepared with.',
            )
