"""A scalar as ModelArray sees it: the names of its sources, and which dimension they are.

The order in which names are looked for, and when a matrix is turned, are those of the constructor
``ModelArray()`` (``R/ModelArray_Constructor.R``).
"""

from __future__ import annotations

from dataclasses import dataclass

import h5py
import numpy as np

from modelarrayio_bids.store import schema
from modelarrayio_bids.store.items import attribute, groups, item_at, shape_of, texts_of
from modelarrayio_bids.store.text import texts


@dataclass(frozen=True)
class SourceNames:
    """Names of sources, and where R finds them.

    Parameters
    ----------
    texts : tuple of str
        The names.
    path : str
        Of the dataset, or of that whose attribute they are.
    in_attribute : bool
        Whether they are one.
    """

    texts: tuple[str, ...]
    path: str
    in_attribute: bool = False


@dataclass(frozen=True)
class ScalarView:
    """A scalar.

    Parameters
    ----------
    name : str
        Its name.
    values : h5py.Dataset, optional
        None where there is no matrix.
    names : SourceNames, optional
        None where R would find none.
    """

    name: str
    values: h5py.Dataset | None
    names: SourceNames | None

    @property
    def path(self) -> str:
        """Of the matrix."""
        return f'/{schema.scalar_path(self.name, schema.VALUES)}'

    @property
    def is_turned(self) -> bool:
        """Whether R transposes the matrix, since only so it has as many sources as names."""
        if self.values is None or self.names is None:
            return False
        n_rows, n_columns = self.values.shape
        return n_rows != len(self.names.texts) == n_columns

    @property
    def shape(self) -> tuple[int, int]:
        """Sources and elements; none of either where there is no matrix."""
        n_rows, n_columns = (0, 0) if self.values is None else self.values.shape
        return (n_columns, n_rows) if self.is_turned else (n_rows, n_columns)


def scalar_names(file: h5py.File) -> tuple[str, ...]:
    """Every scalar that R could be asked for."""
    groups = groups_in(file, schema.SCALARS)
    return tuple(name for name, group in groups.items() if not _is_a_level(group, name))


def nested_scalars(file: h5py.File) -> tuple[str, ...]:
    """Scalars a group too deep, as ``scalars/<name>``: R finds them by that alone."""
    groups = groups_in(file, schema.scalar_path(schema.SCALARS))
    return tuple(
        f'{schema.SCALARS}/{name}' for name, group in groups.items() if schema.VALUES in group
    )


def scalar_view(file: h5py.File, name: str) -> ScalarView:
    """The scalar of a name."""
    values = (
        item_at(file, schema.scalar_path(name, schema.VALUES)) if has_matrix(file, name) else None
    )
    return ScalarView(name, values, names_of_sources(file, name))


def has_matrix(file: h5py.File, name: str) -> bool:
    """Whether the values of a scalar are a matrix, and not empty."""
    values = item_at(file, schema.scalar_path(name, schema.VALUES))
    return isinstance(values, h5py.Dataset) and len(shape_of(values)) == 2 and values.size > 0


def names_of_sources(file: h5py.File, scalar: str) -> SourceNames | None:
    """Names of a scalar's sources, from where R looks first: the attribute, whatever else says."""
    values = item_at(file, schema.scalar_path(scalar, schema.VALUES))
    found = None if values is None else attribute(values, schema.COLUMN_NAMES)
    if found is not None:
        return SourceNames(texts(np.ravel(found)), values.name, in_attribute=True)
    for group in (schema.scalar_path(scalar), schema.scalar_path(schema.SCALARS, scalar)):
        path = f'{group}/{schema.COLUMN_NAMES}'
        if isinstance(dataset := item_at(file, path), h5py.Dataset):
            return SourceNames(texts_of(dataset), f'/{path}')
    return None


def groups_in(file: h5py.File, path: str) -> dict[str, h5py.Group]:
    """The groups in a group, by name; none where it is not there."""
    group = item_at(file, path)
    return groups(group) if isinstance(group, h5py.Group) else {}


def _is_a_level(group: h5py.Group, name: str) -> bool:
    """Whether it is what the predecessor once wrote between ``/scalars`` and the scalars."""
    return name == schema.SCALARS and schema.VALUES not in group
