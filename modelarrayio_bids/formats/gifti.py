"""GIFTI files: values of a surface, and what all files of the format share. nibabel parses them."""

from __future__ import annotations

import zlib
from os import PathLike
from pathlib import Path
from xml.parsers.expat import ExpatError

import numpy as np
from nibabel.filebasedimages import ImageFileError
from nibabel.gifti import GiftiDataArray, GiftiImage, GiftiMetaData
from nibabel.nifti1 import intent_codes

from modelarrayio_bids.errors import FormatError, ModelArrayIOError
from modelarrayio_bids.formats import compression
from modelarrayio_bids.formats.pointers import absence_error, opened
from modelarrayio_bids.runtime.locations import is_address

#: Of files with values for each vertex.
EXTENSIONS = ('.shape.gii', '.func.gii')
STRUCTURE = 'AnatomicalStructurePrimary'
_MESH = {intent_codes['NIFTI_INTENT_POINTSET'], intent_codes['NIFTI_INTENT_TRIANGLE']}
_LISTED_VERTICES = intent_codes['NIFTI_INTENT_NODE_INDEX']
# nibabel's parser looks up words of the format in dictionaries, and asserts numbers of dimensions.
_DAMAGE = (
    AssertionError,
    AttributeError,
    ExpatError,
    ImageFileError,
    LookupError,
    OSError,
    ValueError,
    zlib.error,
)


def parsed(path: str | PathLike[str]) -> GiftiImage:
    """Read a GIFTI file.

    Raises
    ------
    SourceNotFoundError
        If there is no such file.
    FormatError
        If it is not a GIFTI file.
    """
    try:
        if is_address(str(path)):
            with opened(path, whole=True) as file:
                image = GiftiImage.from_bytes(file.read())
        else:
            image = GiftiImage.from_filename(path)
    except ModelArrayIOError:
        raise
    except FileNotFoundError as error:
        raise absence_error(path) from error
    except _DAMAGE as error:
        compression.read_start(path, 1)  # has a word on content that is elsewhere
        raise FormatError(f'is not a GIFTI file ({error})', path) from error
    if image is None:
        raise FormatError('is not a GIFTI file', path)
    return image


def columns(image: GiftiImage, path: str | PathLike[str]) -> np.ndarray:
    """Return the values of a file, (n_vertices, n_maps), in the type they have on disk.

    Raises
    ------
    FormatError
        If there are none, of several numbers of vertices, or of vertices that the file lists.
    """
    found = _value_arrays(image)
    if any(array.intent == _LISTED_VERTICES for array in found):
        raise FormatError(
            'lists the vertices it has values of', path, 'Write values of all vertices.'
        )
    counts = {len(array.data) if array.data is not None else 0 for array in found}
    if len(counts) != 1 or counts == {0}:
        what = 'holds no values' if not counts or counts == {0} else 'holds maps of several sizes'
        raise FormatError(what, path, 'Give a .shape.gii or .func.gii file of one surface.')
    (count,) = counts
    return np.concatenate([array.data.reshape(count, -1) for array in found], axis=1)


def map_names(image: GiftiImage, n_maps: int) -> list[str]:
    """Return the names of the maps of :func:`columns`; numbers, where there is not one for each."""
    found = [array.meta.get('Name', '') for array in _value_arrays(image)]
    return found if len(found) == n_maps else [str(number) for number in range(1, n_maps + 1)]


def structure(image: GiftiImage) -> str:
    """Return the structure that a file says its surface is of, ``CortexLeft``; or nothing."""
    said = [image.meta, *(array.meta for array in image.darrays)]
    return next((meta[STRUCTURE] for meta in said if STRUCTURE in meta), '')


def write(values: np.ndarray, path: str | PathLike[str], name: str, of: str) -> None:
    """Write one map as float32, with its name and the structure its surface is of."""
    with np.errstate(over='ignore'):
        data = values.astype(np.float32)
    array = GiftiDataArray(
        data, 'NIFTI_INTENT_SHAPE', encoding='GIFTI_ENCODING_B64GZ', meta=GiftiMetaData(Name=name)
    )
    image = GiftiImage(darrays=[array], meta=GiftiMetaData({STRUCTURE: of}))
    Path(path).write_bytes(image.to_bytes())


def _value_arrays(image: GiftiImage) -> list[GiftiDataArray]:
    return [array for array in image.darrays if array.intent not in _MESH]
