"""Options of the group level that say what to take: images, people, and what is known of them."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelarrayio_bids.cli.options import add, dataset, label
from modelarrayio_bids.errors import UsageError

if TYPE_CHECKING:
    from modelarrayio_bids.derivatives.cohorts.request import Request


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    _add_images(parser)
    _add_phenotypes(parser)


def request(options: argparse.Namespace) -> Request:
    """What the parsed options ask for.

    Raises
    ------
    UsageError
        If options contradict each other.
    ModelArrayIOError
        If a file of filters or labels cannot be used.
    """
    from modelarrayio_bids.derivatives.bids.dataset import parse_datasets
    from modelarrayio_bids.derivatives.bids.filters import BidsFilters
    from modelarrayio_bids.derivatives.cohorts.request import Request
    from modelarrayio_bids.derivatives.recipes.path_images import PathImages

    if options.json and (options.dry_run or not options.list_scalars):
        raise UsageError('--json shows --list-scalars alone', remedy='Give --list-scalars with it.')
    return Request(
        options.bids_dir.absolute(),
        options.output_dir.absolute(),
        datasets={n: root.absolute() for n, root in parse_datasets(options.datasets).items()},
        participants=_labels(options.participant_label, 'participant_id'),
        sessions=_labels(options.session_label, 'session_id'),
        excluded=_labels(options.exclude_participant_label, 'participant_id'),
        scalars=tuple(options.scalars),
        spaces=tuple(options.space),
        bids_filters=BidsFilters.from_dict(raw_filters(options), options.bids_filter_file),
        phenotypes=tuple(path.absolute() for path in options.phenotypes),
        required=tuple(options.require),
        recipes=tuple(path.absolute() for path in options.recipe),
        images=PathImages.requested(options.images, options.masks, options.images_space),
    )


def raw_filters(options: argparse.Namespace) -> Any:
    """Return the filters of all options together, as the plain values that Nipype hashes.

    Raises
    ------
    SourceNotFoundError, FormatError
        If the file of filters is not there, or is not JSON.
    UsageError
        If two options speak of one entity.
    """
    from modelarrayio_bids.derivatives.bids.filters import merged, selected
    from modelarrayio_bids.derivatives.bids.json_files import parse_json

    path = options.bids_filter_file
    raw = {} if path is None else parse_json(path)
    for option, chosen in (
        ('--select', selected(options.select)),
        ('--task-id', {'task': options.task_id} if options.task_id else {}),
    ):
        raw = merged(raw, chosen, option)
    return raw


def _labels(words: Sequence[str], column: str) -> tuple[str, ...]:
    """The labels given, those in files named ``@FILE`` in their place."""
    from modelarrayio_bids.derivatives.cohorts.participant_tables import read_labels

    labels = [
        one
        for word in words
        for one in (read_labels(Path(word[1:]), column) if word[:1] == '@' else [word])
    ]
    return tuple(dict.fromkeys(labels))


def _add_images(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group('group: what to take')
    group.add_argument(
        '-d',
        '--datasets',
        '--derivatives',
        nargs='+',
        action='extend',
        type=dataset,
        default=[],
        metavar='NAME=PATH',
        help='derivatives, or folders of fixel directories, to look into; repeatable (default: '
        'bids_dir if it is a derivative, or else its derivatives/*)',
    )
    several: dict[str, Any] = {'nargs': '+', 'action': 'extend', 'default': []}
    several |= {'type': label, 'metavar': 'LABEL'}
    add(
        group,
        '--participant-label',
        help='only these, with or without sub-; @FILE stands for the labels in a file, one a line, '
        'or for the column participant_id of a table',
        **several,
    )
    add(group, '--exclude-participant-label', help='not these; @FILE as above', **several)
    add(
        group,
        '--session-label',
        '--session-id',
        help='only these, with or without ses-; @FILE',
        **several,
    )
    several |= {'type': None, 'metavar': 'NAME'}
    group.add_argument('--scalars', help='only these: names or shell patterns', **several)
    group.add_argument(
        '--space',
        help='only images in these: names such as MNI152NLin6Asym or MNI152NLin6Asym:res-2, or '
        'shell patterns',
        **several,
    )
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
        '-t',
        '--task-id',
        '--task-label',
        help='only images of these tasks',
        **several | {'metavar': 'TASK'},
    )
    group.add_argument(
        '--select',
        help='only images with these labels, of any entity: atlas=4S456Parcels desc=smooth; '
        'KEY=A,B for either, KEY= for "must be absent", KEY=* for "must be there"',
        **several | {'metavar': 'KEY=LABEL'},
    )
    group.add_argument(
        '--recipe',
        type=Path,
        action='append',
        default=[],
        metavar='YAML',
        help='what a pipeline of your own writes (docs/recipes.md); repeatable, and first to be '
        'asked',
    )
    several |= {'metavar': 'NAME=PATTERN'}
    add(
        group,
        '--images',
        help='images that are not named as BIDS does, by their paths below the folder: '
        "'gmv=mri/mwp1{participant}_T1w.nii'; {session}, {run} and any {column} of the cohort, and "
        '* for any part of a name (docs/patterns.md)',
        **several,
    )
    add(
        group,
        '--masks',
        help='masks of these images: {participant}/brain_mask.nii.gz',
        **several | {'metavar': 'PATTERN'},
    )
    add(
        group,
        '--images-space',
        default='',
        metavar='SPACE',
        help='the space of these images, such as MNI152NLin6Asym:res-2 (default: unknown)',
    )
    add(
        group,
        '--skip-bids-validation',
        action='store_true',
        help='do not say what the datasets lack but can be done without',
    )
    add(
        group,
        '--bids-database-dir',
        type=Path,
        metavar='DIR',
        help='as in other BIDS Apps; nothing is kept there: reading names is faster',
    )
    add(
        group,
        '--list-scalars',
        action='store_true',
        help='show the scalars found, their spaces, subjects and masks, and build nothing',
    )
    group.add_argument(
        '--json',
        action='store_true',
        help='with --list-scalars: one JSON document, with every image, on standard output',
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
