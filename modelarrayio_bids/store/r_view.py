"""A scalar as ModelArray sees it: the names of its sources, and their dimension.

The order in which names are looked for, and when a matrix is turned, are those of the constructor
``ModelArray()`` (``R/ModelArray_Constructor.R``).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import h5py

from modelarrayio_bids.store import schema
from modelarrayio_bids.store.items import groups_in, item_at, shape_of, texts_attribute, texts_of


@dataclass(frozen=True)
class Names:
    """Names of sources or results, and where R finds them.

    Parameters
    ----------
    texts : tuple of str
        The names.
    path : str
        Path of the dataset, or of that whose attribute they are.
    in_attribute : bool
        True if the names are in an attribute.
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
    names : Names, optional
        None where R would find none.
    """

    name: str
    values: h5py.Dataset | None
    names: Names | None

    @property
    def path(self) -> str:
        """Path of the matrix."""
        return f'/{schema.scalar_path(self.name, schema.VALUES)}'

    @property
    def is_turned(self) -> bool:
        """Return whether R transposes the matrix, to have as many sources as names."""
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
    """Return every scalar that R could be asked for."""
    groups = groups_in(file, schema.SCALARS)
    # The predecessor once wrote a group between /scalars and the scalars.
    return tuple(n for n, group in groups.items() if n != schema.SCALARS or schema.VALUES in group)


def nested_scalars(file: h5py.File) -> tuple[str, ...]:
    """Return scalars a group too deep, as ``scalars/<name>``: R finds them by that alone."""
    groups = groups_in(file, schema.scalar_path(schema.SCALARS))
    return tuple(
        f'{schema.SCALARS}/{name}' for name, group in groups.items() if schema.VALUES in group
    )


def scalar_view(file: h5py.File, name: str) -> ScalarView:
    """Return the scalar of a name."""
    return ScalarView(name, matrix_of(file, name), names_of_sources(file, name))


def matrix_of(file: h5py.File, name: str) -> h5py.Dataset | None:
    """Return the values of a scalar; None if they are not a matrix, or empty."""
    values = item_at(file, schema.scalar_path(name, schema.VALUES))
    if isinstance(values, h5py.Dataset) and len(shape_of(values)) == 2 and values.size:
        return values
    return None


def names_of_sources(file: h5py.File, scalar: str) -> Names | None:
    """Return the names of a scalar's sources, from where R looks first."""
    values = item_at(file, schema.scalar_path(scalar, schema.VALUES))
    groups = schema.scalar_path(scalar), schema.scalar_path(schema.SCALARS, scalar)
    places = [f'{group}/{schema.COLUMN_NAMES}' for group in groups]
    return names_of(file, values, schema.COLUMN_NAMES, places)


def names_of_results(file: h5py.File, analysis: str, matrix: h5py.Dataset) -> Names | None:
    """Return the names of an analysis' results, from where R looks first."""
    leaves = schema.COLUMN_NAMES, f'{schema.RESULTS_MATRIX}/{schema.COLUMN_NAMES}'
    places = [schema.result_path(analysis, leaf) for leaf in leaves]
    return names_of(file, matrix, schema.RESULT_NAMES_ATTRIBUTE, places)


def names_of(
    file: h5py.File, matrix: h5py.Dataset | None, name: str, places: Iterable[str]
) -> Names | None:
    """Return the names that a matrix has in an attribute, or else the first dataset with some."""
    if matrix is not None and (found := texts_attribute(matrix, name)) is not None:
        return Names(found, matrix.name, in_attribute=True)
    for path in places:
        if isinstance(dataset := item_at(file, path), h5py.Dataset):
            return Names(texts_of(dataset), f'/{path}')
    return None
