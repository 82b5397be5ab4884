"""Options of the group level that say what to take: images, people, and what is known of them."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelarrayio_bids.cli.options import add

if TYPE_CHECKING:
    from modelarrayio_bids.derivatives.request import Request


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    _add_images(parser)
    _add_phenotypes(parser)


def request(options: argparse.Namespace) -> Request:
    """What the parsed options ask for.

    Raises
    ------
    ModelArrayIOError
        If a file of filters cannot be used.
    """
    from modelarrayio_bids.derivatives.dataset import parse_datasets
    from modelarrayio_bids.derivatives.filters import BidsFilters
    from modelarrayio_bids.derivatives.request import Request

    filters = options.bids_filter_file
    return Request(
        options.bids_dir.absolute(),
        options.output_dir.absolute(),
        datasets={n: root.absolute() for n, root in parse_datasets(options.datasets).items()},
        participants=tuple(options.participant_label),
        sessions=tuple(options.session_label),
        scalars=tuple(options.scalars),
        bids_filters=BidsFilters() if filters is None else BidsFilters.from_file(filters),
        mask=None if options.mask is None else options.mask.absolute(),
        phenotypes=tuple(path.absolute() for path in options.phenotypes),
        required=tuple(options.require),
    )


def raw_filters(path: Path | None) -> dict[str, Any]:
    """The filters once more, as the plain values that Nipype hashes; they were checked before."""
    return {} if path is None else json.loads(path.read_text('utf-8-sig'))


def _add_images(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group('group: what to take')
    group.add_argument(
        '-d',
        '--datasets',
        '--derivatives',
        nargs='+',
        action='extend',
        default=[],
        metavar='NAME=PATH',
        help='derivatives, or folders of fixel directories, to look into; repeatable (default: '
        'bids_dir if it is a derivative, or else its derivatives/*)',
    )
    several: dict[str, Any] = {'nargs': '+', 'action': 'extend', 'default': [], 'metavar': 'LABEL'}
    add(group, '--participant-label', help='only these, with or without sub-', **several)
    add(group, '--session-label', help='only these, with or without ses-', **several)
    several['metavar'] = 'NAME'
    group.add_argument('--scalars', help='only these: names or shell patterns', **several)
    add(
        group,
        '--bids-filter-file',
        type=Path,
        metavar='JSON',
        help='conditions on images by entity: {"scalar": {"acq": "x"}, "mask": {...}}; null for '
        '"must be absent", "*" for "must be there"',
    )
    add(
        group,
        '--list-scalars',
        action='store_true',
        help='show the scalars found, their spaces, subjects and masks, and build nothing',
    )


def _add_phenotypes(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group('group: phenotypes')
    group.add_argument(
        '--phenotypes',
        nargs='+',
        action='extend',
        default=[],
        type=Path,
        metavar='FILE',
        help='TSV or CSV tables joined to participants.tsv and sub-*/sub-*_sessions.tsv by '
        'participant_id and, where they have it, session_id (and run_id): one row per participant '
        'or per visit; a JSON data dictionary of the same name is read with each',
    )
    group.add_argument(
        '--require',
        nargs='+',
        action='extend',
        default=[],
        metavar='COLUMN',
        help='leave out images of participants, or visits, without a value of this phenotype',
    )
