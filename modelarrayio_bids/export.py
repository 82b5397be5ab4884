"""An analysis in an HDF5 file → one image per result.

Companions are derived here and nowhere else: ``1m.p.value`` holds 1 − p, as a viewer's threshold
wants it, and on request ``mlog10.p.value`` holds −log10 p, since 1 − p is exactly 1 in float32 for
every p below 6e-8.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from modelarrayio_bids.__about__ import NAME, __version__
from modelarrayio_bids.errors import (
    ModelArrayIOError,
    OutputError,
    ResultNameCollisionError,
    SchemaError,
    SpaceMismatchError,
    UnfinishedOutputError,
    UsageError,
)
from modelarrayio_bids.parallel import ordered_map
from modelarrayio_bids.progress import tracked
from modelarrayio_bids.resources import MIB
from modelarrayio_bids.spaces import SPACES, ElementSpace, References, Template, space_of_references
from modelarrayio_bids.store import schema
from modelarrayio_bids.store.chunked import block_columns
from modelarrayio_bids.store.chunks import Blocks
from modelarrayio_bids.store.reader import Analysis, StoreReader
from modelarrayio_bids.store.scratch import Scratch

logger = logging.getLogger(__name__)

P_VALUE = 'p.value'
# Values of all images up to this many bytes are kept in memory, others in a file.
_IN_MEMORY = 64 * MIB


@dataclass(frozen=True)
class ExportOptions:
    """How results are written.

    Parameters
    ----------
    compress : bool
        ``.nii.gz`` and ``.mif.gz`` rather than ``.nii`` and ``.mif``.
    log_p : bool
        Write −log10 p beside each p-value.
    fill : float
        Value where an image has places that are no element. 0 is what ModelArray's users know;
        NaN tells "outside" from a true zero.
    threads : int
        Compress at the same time.
    """

    compress: bool = True
    log_p: bool = False
    fill: float = 0.0
    threads: int = 1


@dataclass(frozen=True)
class _Image:
    """One image to write: a result, a row of the matrix, as it is or what is derived from it."""

    row: int
    result: str
    name: str
    file: str
    derive: Callable[[np.ndarray], np.ndarray]


def export_results(
    store: str | os.PathLike[str],
    analysis: str,
    output_dir: str | os.PathLike[str],
    references: References = References(),
    options: ExportOptions = ExportOptions(),
) -> list[Path]:
    """Write every result of an analysis as a float32 image.

    Files are ``<analysis>_<result>`` with blanks and slashes of a result's name turned to ``_``,
    as ModelArray's users know them, and ``<analysis>_results.json`` says what each one is. Elements
    that were not analysed are NaN.

    Parameters
    ----------
    store : path-like
        The HDF5 file.
    analysis : str
        Name of the analysis.
    output_dir : path-like
        Made if needed. Files of the same names are replaced, others stay.
    references : References, optional
        Files that say which elements there are. A file we built knows, and they are compared.
    options : ExportOptions, optional
        Compression, companions and what stands outside.

    Returns
    -------
    list of pathlib.Path
        The images, in the order of the results.

    Raises
    ------
    AnalysisNotFoundError
        If the file does not hold the analysis; the message lists those it holds.
    SchemaError
        If the analysis was not finished, or its rows match no elements.
    ResultNameCollisionError
        If two results would be written to one file.
    SpaceMismatchError
        If the file's elements are not those of ``references``.
    """
    output_dir = Path(output_dir)
    with StoreReader(Path(store)) as reader:
        results = reader.analysis(analysis)
        space = space_of_store(reader, references)
        images = _plan(results, space.extension(options.compress), log_p=options.log_p)
        results.require_elements(len(space))
        _prepare(output_dir)
        with (
            _staged(output_dir) as folder,
            _gathered(results, images, output_dir, options.threads) as (values, element_ids),
        ):
            positions = results.positions(element_ids, len(space))
            space.write_companions(output_dir)

            def write(number: int) -> None:
                image, row = images[number], _placed(values.row(number), positions, len(space))
                space.write(row, folder / image.file, options.fill, image.name)

            written = ordered_map(write, range(len(images)), options.threads)
            for _ in tracked(written, f'Writing {analysis}', len(images), 'images'):
                pass
            _describe(results, images, folder)
    logger.info('Wrote %d images of %s to %s', len(images), analysis, output_dir)
    return [output_dir / image.file for image in images]


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
    try:
        return SPACES[kind].from_template(template)
    except KeyError as error:
        raise SchemaError(
            f'has no usable template of its elements ({error} is unknown or missing)',
            reader.path,
            'Build it again.',
        ) from error


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


def file_name(analysis: str, result: str, extension: str) -> str:
    """Name of a result's image, as the predecessor made it.

    >>> file_name('mylm', 'age:sexM estimate', '.nii.gz')
    'mylm_age:sexM_estimate.nii.gz'
    """
    safe = result.replace(' ', '_').replace('/', '_')
    return f'{analysis}_{safe}{extension}'


def _plan(results: Analysis, extension: str, *, log_p: bool) -> list[_Image]:
    images = [
        _Image(row, result, name, file_name(results.name, name, extension), derive)
        for row, result in enumerate(results.names)
        for name, derive in _versions(result, log_p=log_p)
    ]
    owners: dict[str, str] = {}
    for image in images:
        # Many file systems do not tell upper from lower case.
        key = image.file.casefold()
        if key in owners:
            raise ResultNameCollisionError(
                f'results {owners[key]!r} and {image.result!r} of {results.name} would both be '
                f'written to {image.file}',
                results.path,
                'Rename a term of the model and run it again.',
            )
        owners[key] = image.result
    return images


def _versions(
    result: str, *, log_p: bool
) -> Iterator[tuple[str, Callable[[np.ndarray], np.ndarray]]]:
    """The result itself and, for a p-value, what is derived from it."""
    yield result, np.asarray
    if P_VALUE in result:
        yield result.replace(P_VALUE, f'1m.{P_VALUE}'), _one_minus
        if log_p:
            yield result.replace(P_VALUE, f'mlog10.{P_VALUE}'), _minus_log10


def _one_minus(p: np.ndarray) -> np.ndarray:
    return 1 - p


def _minus_log10(p: np.ndarray) -> np.ndarray:
    with np.errstate(divide='ignore', invalid='ignore'):
        return -np.log10(p)


@contextmanager
def _gathered(
    results: Analysis, images: list[_Image], folder: Path, threads: int
) -> Iterator[tuple[Scratch, np.ndarray | None]]:
    """Each image's values, a row of float32, and the numbers of the elements they are about.

    The matrix is read once, some elements of all results at a time.
    """
    n_elements, width = results.matrix.shape[1], block_columns(results.matrix)
    if len(images) * n_elements * 4 <= _IN_MEMORY:
        width = n_elements
    element_ids = np.empty(n_elements) if schema.ELEMENT_ID in results.names else None
    blocks = Blocks(len(images), n_elements, chunk=1, width=width)
    with Scratch(blocks, np.dtype(np.float32), folder) as scratch:
        for start, values in results.blocks(threads):
            if element_ids is not None:
                row = results.names.index(schema.ELEMENT_ID)
                element_ids[start : start + values.shape[1]] = values[row]
            scratch.put_block(start, _derived(images, values))
        yield scratch, element_ids


def _derived(images: list[_Image], values: np.ndarray) -> np.ndarray:
    """Values of all images, (n_images, width) float32, from those of all results."""
    derived = np.empty((len(images), values.shape[1]), np.float32)
    with np.errstate(over='ignore'):
        for number, image in enumerate(images):
            derived[number] = image.derive(values[image.row])
    return derived


def _placed(values: np.ndarray, positions: np.ndarray | None, n_elements: int) -> np.ndarray:
    """Values at their elements, (n_elements,), NaN at those that were not analysed."""
    if positions is None:
        return values
    everywhere = np.full(n_elements, np.nan, np.float32)
    everywhere[positions] = values
    return everywhere


def _prepare(output_dir: Path) -> None:
    if output_dir.exists():
        logger.warning(
            'Output directory exists. Files of the current output list are overwritten, all '
            'others are left unchanged: %s',
            output_dir,
        )
    try:
        output_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError.from_os_error(error, output_dir) from error


def _describe(results: Analysis, images: list[_Image], folder: Path) -> None:
    """One sidecar for all images: which result each holds, and the levels of a factor."""
    described = {
        image.file: {'Result': image.result, **_levels(results, image.result)} for image in images
    }
    sidecar = {
        'Analysis': results.name,
        'Sources': [str(results.path.absolute())],
        'GeneratedBy': [{'Name': NAME, 'Version': __version__}],
        'Images': described,
    }
    text = json.dumps(sidecar, indent=2, ensure_ascii=False) + '\n'
    (folder / file_name(results.name, 'results', '.json')).write_text(text, encoding='utf-8')


def _levels(results: Analysis, result: str) -> dict[str, dict[str, str]]:
    levels = results.levels.get(result)
    if levels is None:
        return {}
    return {'Levels': {str(code): level for code, level in enumerate(levels, start=1)}}


@contextmanager
def _staged(output_dir: Path) -> Iterator[Path]:
    """A folder whose files move to the output together, when all of them are whole."""
    try:
        staging = TemporaryDirectory(prefix='.export-', dir=output_dir)
    except OSError as error:
        raise OutputError.from_os_error(error, output_dir) from error
    with staging as folder:
        try:
            yield Path(folder)
            for path in sorted(Path(folder).iterdir()):
                path.replace(output_dir / path.name)
        except ModelArrayIOError:
            raise
        except OSError as error:
            raise UnfinishedOutputError.from_os_error(error, output_dir) from error
