"""HDF5 files that a run would only build again: they are kept, with the results they hold."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from modelarrayio_bids import masks
from modelarrayio_bids.cohort import Cohort, Source
from modelarrayio_bids.conversion.build import is_up_to_date
from modelarrayio_bids.derivatives.bids.output_names import Outputs
from modelarrayio_bids.derivatives.cohorts.groups import ScalarGroup
from modelarrayio_bids.derivatives.cohorts.mask_matching import MAP_ITSELF
from modelarrayio_bids.errors import ModelArrayIOError
from modelarrayio_bids.spaces import References, space_of
from modelarrayio_bids.store.chunk_layout import Layout


def is_unchanged(
    group: ScalarGroup,
    output_dir: Path,
    *,
    layout: Layout,
    threshold: float = masks.DEFAULT_THRESHOLD,
    group_mask: Path | None = None,
    threads: int = 1,
) -> bool:
    """Return whether the HDF5 file of a group is there, made of the same images and masks.

    Nothing among the outputs is written: the group mask is made in a temporary folder.

    Parameters
    ----------
    group : ScalarGroup
        The images, reconciled.
    output_dir : pathlib.Path
        Folder of the outputs, with the cohort CSV that the file was made from.
    layout : Layout
        Layout in which values would be stored.
    threshold, group_mask, threads
        As :func:`modelarrayio_bids.masks.group_mask` takes them.
    """
    outputs = group.outputs(output_dir)
    try:
        cohort = Cohort.from_csv(outputs.cohort)
        sources = cohort.sources()
        same = len(sources) == len(group.rows) and all(
            _is_same(group, number, source, outputs) for number, source in enumerate(sources)
        )
        if not same:
            return False
        with _references(sources, threshold, group_mask, threads) as references:
            return is_up_to_date(cohort, space_of(sources, references), outputs.store, layout)
    except (ModelArrayIOError, OSError):
        # The build reports files that cannot be compared.
        return False


def _is_same(group: ScalarGroup, number: int, source: Source, outputs: Outputs) -> bool:
    """Return whether a row of the earlier cohort is of the same image and the same mask."""
    row = group.rows[number]
    image = outputs.own_map(row.own_name) if row.resampled else row.image
    if source.path.absolute() != image.absolute() or _is_older(source.path, row.image):
        return False
    if source.mask is None:
        return not group.needs_masks
    if row.mask is None or row.mask_source == MAP_ITSELF:
        own, origin = outputs.own_mask(row.own_name, 'present'), row.image
    else:
        own, origin = outputs.own_mask(row.own_name, 'resampled'), row.mask
    return source.mask.absolute() in {own, origin.absolute()} and not _is_older(source.mask, origin)


def _is_older(made: Path, origin: Path) -> bool:
    """Return whether a file among the outputs was made before what it is made of had changed."""
    return made != origin and made.stat().st_mtime_ns < origin.stat().st_mtime_ns


@contextmanager
def _references(
    sources: Sequence[Source], threshold: float, given: Path | None, threads: int
) -> Iterator[References]:
    own = [source.mask for source in sources if source.mask is not None]
    with TemporaryDirectory() as folder:
        if not own:
            yield References()
            return
        mask = Path(folder, 'group_mask.nii.gz')
        masks.group_mask(own, mask, threshold, None, threads, given=given)
        yield References(mask=mask)
