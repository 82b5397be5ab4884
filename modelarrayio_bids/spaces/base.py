"""The contract of a kind of elements.

An element space knows which elements an analysis has, in which order, and how one image of a
format becomes one value per element and back. Building and exporting are loops over this
contract; nothing outside ``spaces/`` asks which format it is working on.
"""

from __future__ import annotations

import copy
import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np

from modelarrayio_bids.cohort import Source
from modelarrayio_bids.errors import UsageError
from modelarrayio_bids.spaces.geometry import GridElements, SurfaceElements
from modelarrayio_bids.store.kinds import TableForm
from modelarrayio_bids.store.schema import ElementTable, Tables

#: Arrays that restore a space, by name, as stored in the HDF5 file.
Template = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class References:
    """The files a user names beside the cohort to say which elements there are.

    Parameters
    ----------
    mask : pathlib.Path, optional
        A group mask, for voxels; for vertices, one of a pair of masks of the cortex.
    index, directions : pathlib.Path, optional
        The two files of a fixel directory; or the directory itself as ``index`` alone.
    example : pathlib.Path, optional
        One image of the kind to export.
    map : str, optional
        Map of the sources to use, if CIFTI files hold several: the name of a map or, if no map has
        this name, a number from 1, as in wb_command.
    """

    mask: Path | None = None
    index: Path | None = None
    directions: Path | None = None
    example: Path | None = None
    map: str | None = None

    @property
    def named(self) -> list[Path]:
        """The files named."""
        files = (self.mask, self.index, self.directions, self.example)
        return [path for path in files if path is not None]


class ElementSpace(ABC):
    """The elements of an analysis, in order.

    Two spaces are equal when they hold the same elements in the same order, geometry included.
    """

    #: The field's word for these elements, as in the HDF5 file.
    kind: ClassVar[str]
    #: File name endings of the images, the longest first.
    extensions: ClassVar[tuple[str, ...]]
    #: Which files of :class:`References` say which elements there are.
    heeds: ClassVar[tuple[str, ...]] = ()
    #: Endings of files that ``References.mask`` may name for this kind.
    mask_extensions: ClassVar[tuple[str, ...]] = ()
    #: The entity of BIDS that tells the files of one image from each other, see :meth:`files_of`.
    part_entity: ClassVar[str] = ''
    #: The tables of :meth:`tables`, as every file of the kind has them.
    table_forms: ClassVar[tuple[TableForm, ...]]
    #: True if images have voxels that are not elements, so that masks are needed.
    needs_masks: ClassVar[bool] = False
    #: True if only the name of a file gives its space; without one, it is a subject's own.
    named_spaces: ClassVar[bool] = False
    #: True if one file may hold several images, see :meth:`stacked`.
    stacks: ClassVar[bool] = False
    #: True if an image may hold several maps, one of which ``References.map`` selects.
    has_maps: ClassVar[bool] = False
    #: True if neighbouring elements form clusters; regions and connections do not.
    has_neighbours: ClassVar[bool] = False
    #: The file that gave the elements, where that is one apart from the images.
    origin: Path | None = None
    #: The map to take of images that may hold several, see :meth:`with_map`.
    map_choice: str | None = None

    @classmethod
    @abstractmethod
    def from_references(cls, references: References, sources: Sequence[Source]) -> ElementSpace:
        """Make the space that a user's files, or else the sources themselves, describe.

        Raises
        ------
        UsageError
            If a file is needed and was not given.
        """

    @classmethod
    @abstractmethod
    def from_template(cls, template: Template) -> ElementSpace:
        """Make the space again of its :meth:`template`."""

    @classmethod
    def reads(cls, name: str) -> bool:
        """Return whether images of this kind are named like this."""
        return name.endswith(cls.extensions)

    @classmethod
    def n_stacked(cls, path: Path) -> int:
        """Return how many images a file holds. Only of kinds that have ``stacks``.

        Raises
        ------
        SourceNotFoundError, FormatError
            If the header cannot be read.
        """
        raise NotImplementedError

    @classmethod
    def holds_several(cls, path: Path) -> bool:
        """Return whether an image's header tells of several maps: volumes, contrasts, times.

        Raises
        ------
        SourceNotFoundError, FormatError
            If the header cannot be read.
        """
        return cls.stacks and cls.n_stacked(path) > 1

    @classmethod
    def files_of(cls, path: Path) -> tuple[Path, ...]:
        """Return the files that one image may consist of, by the path of any, in their order."""
        return (path,)

    def written_files(self, path: Path) -> tuple[Path, ...]:
        """Return the files that :meth:`write` makes of an image of this name."""
        return (path,)

    @property
    def name_entities(self) -> Mapping[str, str]:
        """Entities that the names of written images have to have, for :meth:`write` to replace."""
        return {}

    def with_map(self, name: str) -> Self:
        """Return the same elements, with the map to take of images that may hold several.

        Raises
        ------
        UsageError
            If images of this kind have no maps.
        """
        if not self.has_maps:
            raise UsageError(f'{self.kind} have no maps to choose from', remedy='Leave out --map.')
        space = copy.copy(self)
        space.map_choice = name
        return space

    @abstractmethod
    def template(self) -> Template:
        """Return what makes this space again without any other file."""

    @abstractmethod
    def __len__(self) -> int:
        """Return the number of elements."""

    @abstractmethod
    def __eq__(self, other: object) -> bool:
        """Return whether both hold the same elements in the same order."""

    __hash__ = None  # type: ignore[assignment]  # compared by content, which hashing would cost

    @abstractmethod
    def tables(self) -> dict[str, ElementTable]:
        """Return the elements' identities, by path in the HDF5 file."""

    @classmethod
    def stored_facts(cls, tables: Tables, template: Mapping[str, Any]) -> dict[str, Any]:
        """Return what a file says of its elements, without making their space again.

        Parameters
        ----------
        tables : dict of ElementTable
            Tables in the file, by path; values are read when indexed.
        template : dict
            As :meth:`template`, read when indexed; empty where the file has none.

        Returns
        -------
        dict
            Fields of :class:`~modelarrayio_bids.store.contents.Elements`.
        """
        return {}

    def fingerprint(self) -> str:
        """Return a text that spaces share if they read the same values from the same sources."""
        digest = hashlib.sha256(self.kind.encode())
        for name, array in sorted(self.template().items()):
            digest.update(name.encode())
            digest.update(np.ascontiguousarray(array).data.cast('B'))
        return digest.hexdigest() + f' {self.map_choice!r}' * self.has_maps

    def flip_candidates(self) -> Iterator[tuple[str, np.ndarray]]:
        """Yield the ways in which an image of this space may have been flipped by mistake.

        Yields
        ------
        str
            Sides that would be exchanged: ``'left and right'``.
        numpy.ndarray
            (n_elements,) int: the element in whose place each would be, -1 for none.
        """
        yield from ()

    @abstractmethod
    def check(self, source: Source) -> int:
        """Compare a source's geometry with this space, from headers alone.

        Returns
        -------
        int
            Most bytes of memory that reading it takes.

        Raises
        ------
        SourceNotFoundError, FormatError, SpaceMismatchError
            With what was found and what was expected.
        """

    @abstractmethod
    def read(self, source: Source) -> np.ndarray:
        """Read one value per element: (n_elements,), NaN outside the source's own mask.

        Raises
        ------
        SourceNotFoundError, FormatError, SpaceMismatchError
            As :meth:`check`, and if the data cannot be read.
        """

    def stacked(self, path: Path, numbers: Sequence[int]) -> Iterator[Any]:
        """Yield some of the images that one file holds, read but not looked at, in rising order.

        Only of kinds that have ``stacks``.
        """
        raise NotImplementedError

    def read_stacked(self, source: Source, stored: Any) -> np.ndarray:
        """Read one value per element from what :meth:`stacked` yielded, as :meth:`read`."""
        raise NotImplementedError

    @abstractmethod
    def write(self, values: np.ndarray, path: Path, fill: float = 0.0, name: str = '') -> None:
        """Write one value per element as a float32 image.

        Parameters
        ----------
        values : numpy.ndarray
            (n_elements,).
        path : pathlib.Path
            Its ending chooses the format; of several files, see :meth:`written_files`, the first.
        fill : float, optional
            Value of image voxels that are not elements.
        name : str, optional
            Name of the values, for formats that store it.
        """

    @abstractmethod
    def extension(self, compress: bool) -> str:
        """Return the ending of an exported image's name, the dot included."""

    def write_companions(self, folder: Path) -> list[Path]:
        """Write what a folder of exported images needs beside them, once for the folder.

        Returns
        -------
        list of pathlib.Path
            The files written: none, for images that are complete by themselves.

        Raises
        ------
        OutputError
            If the folder holds a file that would contradict them.
        """
        return []

    @abstractmethod
    def labels(self, elements: np.ndarray) -> list[str]:
        """Return the names of some elements, or their places in mm, as text.

        Parameters
        ----------
        elements : numpy.ndarray
            (n,) positions in the space.
        """

    def coordinates(self, elements: np.ndarray) -> np.ndarray:
        """Return their places in mm of RAS+, (n, 3) float64; NaN for those at no single place."""
        return np.full((len(elements), 3), np.nan)

    def volumes(self, elements: np.ndarray) -> np.ndarray:
        """Return the volume of each in mm³, (n,) float64; NaN for those that fill none."""
        return np.full(len(elements), np.nan)

    def structures(self) -> dict[str, np.ndarray]:
        """Return the elements of each structure, (n,) positions, by its name; or no structures."""
        return {}

    def grid_elements(self) -> GridElements | None:
        """Return the voxels that hold elements; None where no element is in a voxel."""
        return None

    def surface_elements(self) -> dict[str, SurfaceElements]:
        """Return the vertices that belong to elements, by structure as CIFTI calls it."""
        return {}

    def mirror(self) -> np.ndarray | None:
        """Return the element at the other side of the diagonal, (n_elements,) int; else None.

        Only of elements that make a matrix with the same places along both dimensions.
        """
        return None

    def matrix_shape(self) -> tuple[int, int] | None:
        """Return rows and columns of elements that make a matrix, in C order; else None."""
        return None

    def __repr__(self) -> str:
        return f'<{type(self).__name__} of {len(self):,} {self.kind}>'
