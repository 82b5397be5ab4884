"""An analysis in an HDF5 file → one image per result.

Companions are derived here and nowhere else: ``1m.p.value`` holds 1 − p, as a viewer's threshold
wants it, and on request ``mlog10.p.value`` holds −log10 p, since 1 − p is exactly 1 in float32 for
every p below 6e-8.

What the images are called, and what is said of them, is a :class:`Naming`: by default the names R
gave, as ModelArray's users know them.
"""

from __future__ import annotations

import json
import logging
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from modelarrayio_bids.__about__ import NAME, __version__
from modelarrayio_bids.errors import (
    OutputError,
    ResultNameCollisionError,
    SchemaError,
    UnfinishedOutputError,
)
from modelarrayio_bids.models.adjustment import P_VALUE
from modelarrayio_bids.results.model_facts import ModelFacts
from modelarrayio_bids.runtime.overwriting import refuse_inputs
from modelarrayio_bids.runtime.parallel import ordered_map
from modelarrayio_bids.runtime.progress import tracked
from modelarrayio_bids.runtime.resources import MIB, Resources
from modelarrayio_bids.runtime.text_format import count
from modelarrayio_bids.runtime.unfinished import Unfinished, remove_leftovers
from modelarrayio_bids.spaces import ElementSpace, References
from modelarrayio_bids.spaces.input_files import reference_files
from modelarrayio_bids.spaces.stored import space_of_store
from modelarrayio_bids.store import schema
from modelarrayio_bids.store.chunk_layout import Blocks
from modelarrayio_bids.store.chunk_reader import block_columns
from modelarrayio_bids.store.reader import Analysis, StoreReader, by_element
from modelarrayio_bids.store.scratch import Scratch, open_scratch

logger = logging.getLogger(__name__)

#: Results that tell of how many images an element's model is, and what they leave.
N_IMAGES, RESIDUAL_DF = 'model.nobs', 'model.df.residual'
# Bytes per voxel of an image being written: float32, compressed, and buffers.
_PLACE_BYTES = 16
# Values of all images up to this many bytes are kept in memory, others in a file.
_IN_MEMORY = 64 * MIB
# In bytes, on most file systems.
_LONGEST_NAME = 255

#: From a result's name to its values, (n_rows,) float32.
ValuesOf = Callable[[str], np.ndarray]
#: Content of JSON files, by name.
Sidecars = dict[str, dict[str, Any]]
Derivation = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Image:
    """An image to write: a result, or a map derived from it.

    Parameters
    ----------
    row : int
        Row of the results matrix.
    result : str
        Name of the row in R.
    name : str
        The same, or what the companion is called: ``age.1m.p.value``.
    derive : callable
        From the result's values to the image's.
    """

    row: int
    result: str
    name: str
    derive: Derivation


class Naming(ABC):
    """Names of images, and the content of their sidecars."""

    #: Advice for two results that would have the same name.
    remedy: ClassVar[str]

    @abstractmethod
    def file_name(
        self, analysis: str, name: str, extension: str, entities: Mapping[str, str] = {}
    ) -> str:
        """Return the name of an image: two of one analysis must differ in more than case.

        Parameters
        ----------
        analysis, name : str
            Names of the analysis and of the image.
        extension : str
            Ending of the file.
        entities : mapping, optional
            Entities of BIDS that the name has to have, as the kind of elements asks.
        """

    @abstractmethod
    def sidecars(
        self, results: Analysis, images: Mapping[str, Image], values: ValuesOf
    ) -> Sidecars:
        """Return what to say of the images.

        Parameters
        ----------
        results : Analysis
            Results to write.
        images : dict of Image
            By name of their files.
        values : callable
            From a result's name to its values, (n_rows,) float32.

        Returns
        -------
        dict
            By file name: the content of a JSON file.
        """


class ResultNaming(Naming):
    """``<analysis>_<result>``, blanks and slashes turned to ``_``, and one sidecar for all.

    >>> ResultNaming().file_name('mylm', 'age:sexM estimate', '.nii.gz')
    'mylm_age:sexM_estimate.nii.gz'
    """

    remedy = 'Rename a term of the model and run it again.'

    def file_name(
        self, analysis: str, name: str, extension: str, entities: Mapping[str, str] = {}
    ) -> str:
        """Return the name that the predecessor made, then entities, if there are any."""
        more = ''.join(f'_{key}-{label}' for key, label in entities.items())
        return f'{analysis}_{schema.in_file_name(name)}{more}{extension}'

    def sidecars(
        self, results: Analysis, images: Mapping[str, Image], values: ValuesOf
    ) -> Sidecars:
        """Return ``<analysis>_results.json``: the result of each image, levels of factors."""
        sidecar = {
            'Analysis': results.name,
            **describe_model(results, values),
            **fewer_sources(results),
            'Sources': [str(results.path.absolute())],
            'GeneratedBy': [{'Name': NAME, 'Version': __version__}],
            'Images': {
                file: {
                    'Result': image.result,
                    **describe_test(results, image.result),
                    **levels(results, image.result),
                }
                for file, image in images.items()
            },
        }
        return {self.file_name(results.name, 'results', '.json'): sidecar}


def levels(results: Analysis, result: str) -> dict[str, dict[str, str]]:
    """Return BIDS' ``Levels`` of a factor, by the code in the image; nothing of other results."""
    names = results.levels.get(result)
    if names is None:
        return {}
    return {'Levels': {str(code): name for code, name in enumerate(names, start=1)}}


def describe_model(results: Analysis, values: ValuesOf) -> dict[str, Any]:
    """Return formula, number of images and degrees of freedom of the model, where known.

    Numbers are those that the analysis kept, the least and the most over elements where they
    differ; else those of elements where every image has a value.

    Parameters
    ----------
    results : Analysis
        The analysis.
    values : callable
        From a result's name to its values, (n_rows,) float32.
    """
    facts = ModelFacts.of(results.described)
    kept = {name: extent(values(name)) for name in (N_IMAGES, RESIDUAL_DF) if name in results.names}
    known = {} if facts is None else {N_IMAGES: facts.n_images, RESIDUAL_DF: facts.df_residual}
    found = {name: number for name, number in {**known, **kept}.items() if number is not None}
    return {
        **({} if facts is None else {'ModelFormula': facts.formula}),
        **({'NumberOfImages': found[N_IMAGES]} if _is_count(found.get(N_IMAGES)) else {}),
        **({'DegreesOfFreedom': {RESIDUAL_DF: found[RESIDUAL_DF]}} if RESIDUAL_DF in found else {}),
    }


def _is_count(number: Any) -> bool:
    """Return whether a number, or the least and the most, can be of images."""
    return number is not None and all(float(each).is_integer() for each in np.ravel(number))


def describe_test(results: Analysis, result: str) -> dict[str, Any]:
    """Return what a result tests, and by which statistic, where known."""
    facts = ModelFacts.of(results.described)
    return {} if facts is None else facts.sidecar_of(result)


def extent(values: np.ndarray) -> Any:
    """Return the one number, a list of the least and the most, or None without any.

    >>> extent(np.array([24, np.nan, 24], np.float32)), extent(np.array([0.1, 3], np.float32))
    (24, [0.1, 3])
    """
    finite = values[np.isfinite(values)]
    if not finite.size:
        return None
    ends = [_shortest(finite.min()), _shortest(finite.max())]
    return ends[0] if ends[0] == ends[1] else ends


def _shortest(number: np.float32) -> float | int:
    """Return the number with no more digits than float32 has."""
    short = float(str(number))
    return int(short) if short.is_integer() else short


def fewer_sources(results: Analysis) -> dict[str, dict[str, int]]:
    """Return how many sources each scalar had, if the file has more since the analysis was made."""
    return {'NumberOfSources': dict(results.n_sources)} if results.n_sources else {}


@dataclass(frozen=True)
class ExportOptions:
    """Options of writing results.

    Parameters
    ----------
    compress : bool
        ``.nii.gz`` and ``.mif.gz`` rather than ``.nii`` and ``.mif``.
    log_p : bool
        Write −log10 p beside each p-value.
    fill : float
        Value of image voxels that are not elements. 0 is what ModelArray's users know;
        NaN tells "outside" from a true zero.
    threads : int
        Compress at the same time.
    naming : Naming
        Names of images and sidecars.
    memory : int, optional
        Most bytes of the process, as of :class:`~modelarrayio_bids.runtime.resources.Resources`.
    """

    compress: bool = True
    log_p: bool = False
    fill: float = 0.0
    threads: int = 1
    naming: Naming = ResultNaming()
    memory: int | None = None


def export_results(
    store: str | os.PathLike[str],
    analysis: str,
    output_dir: str | os.PathLike[str],
    references: References = References(),
    options: ExportOptions = ExportOptions(),
    *,
    named: Iterable[Path | None] = (),
    shown: Path | None = None,
) -> list[Path]:
    """Write every result of an analysis as a float32 image.

    Files are ``<analysis>_<result>`` with blanks and slashes of a result's name turned to ``_``,
    as ModelArray's users know them, and ``<analysis>_results.json`` says what each one is, unless
    the options have another naming. Elements that were not analysed are NaN.

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
        Compression, companions, names and what stands outside.
    named : iterable of pathlib.Path, optional
        Further files of the user's that no image may replace, read or not.
    shown : pathlib.Path, optional
        The file that ``store`` was made of, which messages and sidecars name instead.

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
    OutputError
        If a name is too long for a file, or the folder cannot be made.
    SpaceMismatchError
        If the file's elements are not those of ``references``.
    UsageError
        If an image would replace a file that is read.
    """
    output_dir = Path(output_dir)
    logger.info('Reading %s', shown or store)
    with StoreReader(Path(store), shown) as reader:
        results, space, files = _plan(reader, analysis, references, options)
        if results.n_sources:
            then = ', '.join(f'{n} of {scalar}' for scalar, n in results.n_sources.items())
            logger.warning('%s was made when the file had fewer images: %s', analysis, then)
        written = [part for file in files for part in space.written_files(output_dir / file)]
        read = [Path(store), *reference_files(references), *named]
        refuse_inputs(written, chain(read, _images_of(reader)))
        _prepare(output_dir, written)
        compared = [] if reader.template else references.named
        _write(results, files, output_dir, space, options=options, compared=compared)
    logger.info('Wrote %d images of %s to %s', len(written), analysis, output_dir)
    return written


def _images_of(reader: StoreReader) -> Iterator[Path]:
    """Yield the images that a file says it was made of: none may be replaced by a result."""
    for name in reader.scalars:
        # A cohort that cannot be used does not affect the results.
        with suppress(SchemaError):
            yield from map(Path, reader.scalar(name).facets.get('path', []))


def _write(
    results: Analysis,
    files: Mapping[str, Image],
    output_dir: Path,
    space: ElementSpace,
    *,
    options: ExportOptions,
    compared: list[Path],
) -> None:
    """Write images and sidecars, which come into their folder together."""
    images = list(files.values())
    with (
        _staged(output_dir) as folder,
        _gathered(results, images, output_dir, space, options) as (values, element_ids),
    ):
        positions = results.positions(element_ids, len(space))
        space.write_companions(output_dir)

        def _save(number: int, file: str) -> None:
            row = by_element(values.row(number), positions, len(space))
            space.write(row, folder / file, options.fill, files[file].name)

        saved = ordered_map(lambda item: _save(*item), enumerate(files), options.threads)
        for _ in tracked(saved, f'Writing {results.name}', len(files), 'images'):
            pass
        parts = {
            part.name: image
            for file, image in files.items()
            for part in space.written_files(Path(file))
        }
        for name, text in _describe(options.naming, results, parts, values, compared).items():
            (folder / name).write_text(text, encoding='utf-8')


def planned_files(
    store: str | os.PathLike[str], analysis: str, options: ExportOptions = ExportOptions()
) -> list[str]:
    """Return names of the images that :func:`export_results` would write, after its checks."""
    with StoreReader(Path(store)) as reader:
        _, space, files = _plan(reader, analysis, References(), options)
        return [part.name for file in files for part in space.written_files(Path(file))]


def _plan(
    reader: StoreReader, analysis: str, references: References, options: ExportOptions
) -> tuple[Analysis, ElementSpace, dict[str, Image]]:
    """Return the results, their elements and, by file name, the images."""
    results = reader.analysis(analysis)
    space = space_of_store(reader, references)
    images = _images(results, log_p=options.log_p)
    files = _named(results, images, space, options)
    results.require_elements(len(space))
    return results, space, files


def _images(results: Analysis, *, log_p: bool) -> list[Image]:
    return [
        Image(row, result, name, derive)
        for row, result in enumerate(results.names)
        for name, derive in _versions(result, log_p=log_p)
    ]


def _named(
    results: Analysis, images: list[Image], space: ElementSpace, options: ExportOptions
) -> dict[str, Image]:
    """Return the images by file name, of several files of an image the first one's."""
    naming, extension = options.naming, space.extension(options.compress)
    files: dict[str, Image] = {}
    owners: dict[str, Image] = {}
    for image in images:
        file = naming.file_name(results.name, image.name, extension, space.name_entities)
        if len(file.encode()) > _LONGEST_NAME:
            raise OutputError(
                f'result {image.result!r} of {results.name} needs a file name that is too long '
                f'({len(file.encode())} bytes, at most {_LONGEST_NAME})',
                results.path,
                naming.remedy,
            )
        # Many file systems do not tell upper from lower case.
        other = owners.setdefault(file.casefold(), image)
        if other is not image:
            raise ResultNameCollisionError(
                f'results {other.result!r} and {image.result!r} of {results.name} would both be '
                f'written to {file}',
                results.path,
                naming.remedy,
            )
        files[file] = image
    return files


def _versions(result: str, *, log_p: bool) -> Iterator[tuple[str, Derivation]]:
    """Yield the result itself and, for a p-value, what is derived from it."""
    yield result, np.asarray
    if P_VALUE in result:
        yield result.replace(P_VALUE, f'1m.{P_VALUE}'), lambda p: 1 - p
        if log_p:
            yield result.replace(P_VALUE, f'mlog10.{P_VALUE}'), lambda p: -np.log10(p)


@contextmanager
def _gathered(
    results: Analysis,
    images: list[Image],
    folder: Path,
    space: ElementSpace,
    options: ExportOptions,
) -> Iterator[tuple[Scratch, np.ndarray | None]]:
    """Hand over each image's values, a row of float32, and the numbers of their elements.

    The matrix is read once, some elements of all results at a time.
    """
    threads, n_elements = options.threads, results.matrix.shape[1]
    width = block_columns(results.matrix)
    # A run of elements as it is and as images; later, images that are being written.
    reading = results.inflating_bytes(threads) + 4 * width * len(images)
    places = max(len(space), *(array.size for array in space.template().values()))
    needed = max(reading, threads * _PLACE_BYTES * places) + 8 * n_elements
    room = Resources(threads, options.memory).room(len(space), needed, to='write')
    if len(images) * n_elements * 4 <= min(_IN_MEMORY, room):
        width = n_elements
    element_ids = np.empty(n_elements) if schema.ELEMENT_ID in results.names else None
    blocks = Blocks(len(images), n_elements, chunk=1, width=width)
    with open_scratch(blocks, np.dtype(np.float32), folder) as scratch:
        read = tracked(
            *(results.blocks(threads), f'Reading {results.name}'),
            *(-(-n_elements // block_columns(results.matrix)), 'blocks of elements'),
        )
        for start, values in read:
            if element_ids is not None:
                row = results.names.index(schema.ELEMENT_ID)
                element_ids[start : start + values.shape[1]] = values[row]
            scratch.put_block(start, _derived(images, values))
        yield scratch, element_ids


def _derived(images: list[Image], values: np.ndarray) -> np.ndarray:
    """Return the values of all images, (n_images, width) float32, from those of all results."""
    derived = np.empty((len(images), values.shape[1]), np.float32)
    with np.errstate(over='ignore', divide='ignore', invalid='ignore'):
        for number, image in enumerate(images):
            derived[number] = image.derive(values[image.row])
    return derived


def _prepare(output_dir: Path, written: Sequence[Path]) -> None:
    if output_dir.exists():
        logger.warning('%s exists: files with the same names are replaced.', output_dir)
        others = {file for file in output_dir.iterdir() if _is_map(file)} - {*written}
        if others:
            logger.warning(
                '%s holds %s that this analysis does not have, such as %s. Delete those of an '
                'earlier model.',
                *(output_dir, count(len(others), 'other map'), min(others).name),
            )
    with OutputError.told(output_dir):
        output_dir.mkdir(parents=True, exist_ok=True)


def _is_map(file: Path) -> bool:
    return file.suffix != '.json' and file.is_file()


def _describe(
    naming: Naming,
    results: Analysis,
    files: Mapping[str, Image],
    values: Scratch,
    compared: list[Path],
) -> dict[str, str]:
    """Return sidecars by name; of a file that does not know its elements, with what said them."""
    names = dict.fromkeys(image.name for image in files.values())
    rows = {name: number for number, name in enumerate(names)}
    sidecars = naming.sidecars(results, files, lambda result: values.row(rows[result]))
    for content in sidecars.values():
        if compared:
            paths = [str(path.absolute()) for path in compared]
            content['Sources'] = [*content.get('Sources', []), *paths]
    return {
        name: json.dumps(content, indent=2, ensure_ascii=False) + '\n'
        for name, content in sidecars.items()
    }


@contextmanager
def _staged(output_dir: Path) -> Iterator[Path]:
    """Hand over a folder whose files move to the output together, when all of them are whole."""
    with OutputError.told(output_dir):
        remove_leftovers(output_dir)
        staging = Unfinished(output_dir / 'export', folder=True)
    with staging, UnfinishedOutputError.told(output_dir):
        yield staging.path
        for path in sorted(staging.path.iterdir()):
            path.replace(output_dir / path.name)
