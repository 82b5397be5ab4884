"""Options of the group level that say what to take: images, people, and what is known of them."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from modelarrayio_bids.cli.options import add, add_flag, add_list, add_path, dataset, label
from modelarrayio_bids.errors import UsageError


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    group = parser.add_argument_group('group: what to take')
    _add_people(group)
    _add_images(group)
    _add_views(group)
    _add_phenotypes(parser.add_argument_group('group: phenotypes'))


def inputs(options: argparse.Namespace) -> dict[str, Any]:
    """Return what the parsed options ask for, by the inputs of the workflow and of a request.

    Raises
    ------
    UsageError
        If options contradict each other.
    ModelArrayIOError
        If a file of filters or labels cannot be used.
    """
    from modelarrayio_bids.derivatives.bids.search import parse_datasets

    if options.json and (options.dry_run or not options.list_scalars):
        raise UsageError('--json shows --list-scalars alone', remedy='Give --list-scalars with it.')
    return {
        'bids_dir': options.bids_dir,
        'output_dir': options.output_dir,
        'datasets': parse_datasets(options.datasets),
        'participant_label': _labels(options.participant_label, 'participant_id'),
        'session_label': _labels(options.session_label, 'session_id'),
        'exclude_participant_label': _labels(options.exclude_participant_label, 'participant_id'),
        'scalars': options.scalars,
        'space': options.space,
        'bids_filters': _filters(options),
        'phenotypes': options.phenotypes,
        'required_columns': options.require,
        'recipes': options.recipe,
        'images': options.images,
        'masks': options.masks,
        'images_space': options.images_space,
        'in_mask': options.mask,
        'mask_source': options.mask_source,
        'group_mask_file': options.group_mask_file,
        'on_grid_mismatch': options.on_grid_mismatch,
    }


def _filters(options: argparse.Namespace) -> Any:
    """Return the filters of all options together, as the plain values that Nipype hashes."""
    from modelarrayio_bids.derivatives.bids.filters import BidsFilters, merged, selected
    from modelarrayio_bids.derivatives.bids.json_files import parse_json

    path = options.bids_filter_file
    raw = {} if path is None else parse_json(path)
    for option, chosen in (
        ('--select', selected(options.select)),
        ('--task-id', {'task': options.task_id} if options.task_id else {}),
    ):
        raw = merged(raw, chosen, option)
    # Its errors name the file.
    BidsFilters.from_dict(raw, path)
    return raw


def _labels(words: Sequence[str], column: str) -> list[str]:
    """Return the labels given, with those in files in place of ``@FILE``."""
    from modelarrayio_bids.derivatives.cohorts.participant_tables import read_labels

    labels = [
        one
        for word in words
        for one in (read_labels(Path(word[1:]), column) if word[:1] == '@' else [word])
    ]
    return list(dict.fromkeys(labels))


def _add_people(group: argparse._ArgumentGroup) -> None:
    add_list(
        group,
        '-d',
        '--datasets',
        '--derivatives',
        type=dataset,
        metavar='NAME=PATH',
        help='derivatives, or folders of fixel directories, to look into; repeatable (default: '
        'bids_dir if it is a derivative, or else its derivatives/*)',
    )
    add_list(
        group,
        '--participant-label',
        type=label,
        metavar='LABEL',
        help='only these, with or without sub-; @FILE stands for the labels in a file, one a line, '
        'or for the column participant_id of a table',
    )
    add_list(
        group,
        '--exclude-participant-label',
        type=label,
        metavar='LABEL',
        help='not these; @FILE as above',
    )
    add_list(
        group,
        '--session-label',
        '--session-id',
        type=label,
        metavar='LABEL',
        help='only these, with or without ses-; @FILE',
    )


def _add_images(group: argparse._ArgumentGroup) -> None:
    add_list(group, '--scalars', metavar='NAME', help='only these: names or shell patterns')
    add_list(
        group,
        '--space',
        metavar='NAME',
        help='only images in these: names such as MNI152NLin6Asym or MNI152NLin6Asym:res-2, or '
        'shell patterns',
    )
    add_path(
        group,
        '--bids-filter-file',
        metavar='JSON',
        help='conditions on images by entity: {"scalar": {"acq": "x"}, "mask": {...}}; null for '
        '"must be absent", "*" for "must be there"',
    )
    add_list(
        group,
        *('-t', '--task-id', '--task-label'),
        metavar='TASK',
        help='only images of these tasks',
    )
    add_list(
        group,
        '--select',
        metavar='KEY=LABEL',
        help='only images with these labels, of any entity: atlas=4S456Parcels desc=smooth; '
        'KEY=A,B for either, KEY= for "must be absent", KEY=* for "must be there"',
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
    add_list(
        group,
        '--images',
        metavar='NAME=PATTERN',
        help='images that are not named as BIDS does, by their paths below the folder: '
        "'gmv=mri/mwp1{participant}_T1w.nii'; {session}, {run} and any {column} of the cohort, and "
        '* for any part of a name (docs/patterns.md)',
    )
    add_list(
        group,
        '--masks',
        metavar='PATTERN',
        help='masks of these images: {participant}/brain_mask.nii.gz',
    )
    add(
        group,
        '--images-space',
        default='',
        metavar='SPACE',
        help='the space of these images, such as MNI152NLin6Asym:res-2 (default: unknown)',
    )


def _add_views(group: argparse._ArgumentGroup) -> None:
    add_flag(
        group,
        '--skip-bids-validation',
        help='do not say what the datasets lack but can be done without',
    )
    add_path(
        group,
        '--bids-database-dir',
        metavar='DIR',
        help='as in other BIDS Apps; nothing is kept there: reading names is faster',
    )
    add_flag(
        group,
        '--list-scalars',
        help='show the scalars found, their spaces, subjects and masks, and build nothing',
    )
    add_flag(
        group,
        '--json',
        help='with --list-scalars: one JSON document, with every image, on standard output',
    )


def _add_phenotypes(group: argparse._ArgumentGroup) -> None:
    add_list(
        group,
        '--phenotypes',
        type=Path,
        metavar='FILE',
        help='TSV or CSV tables joined to participants.tsv and sub-*/sub-*_sessions.tsv by '
        'participant_id and, where they have it, session_id (and run_id): one row per participant '
        'or per visit; a JSON data dictionary of the same name is read with each',
    )
    add_list(
        group,
        '--require',
        metavar='COLUMN',
        help='leave out images of participants, or visits, without a value of this phenotype',
    )
