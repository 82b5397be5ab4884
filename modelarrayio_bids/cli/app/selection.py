"""Options of the group level that select images, participants and phenotypes."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from modelarrayio_bids.cli.options import Section, dataset, disk_path, label, place
from modelarrayio_bids.errors import UsageError
from modelarrayio_bids.runtime.text_format import some

# Inputs of a request that have other names than their options.
_OPTIONS = {
    'required_columns': 'require',
    'recipes': 'recipe',
    'in_mask': 'mask',
    'bids_filters': 'select',
}


def add_options(parser: Section, *, listing: bool = True) -> None:
    """Add the options; without ``listing``, not those that list what there is."""
    group = parser.section('group: which images')
    _add_people(group)
    _add_images(group)
    _add_unneeded(group.of_level(''))
    if listing:
        _add_listing(group)
    _add_phenotypes(parser.section('group: phenotypes'))


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
    from modelarrayio_bids.derivatives.cohorts.request import INPUTS

    if options.json and (options.dry_run or not options.list_scalars):
        raise UsageError('--json shows --list-scalars alone', remedy='Give --list-scalars with it.')
    parsed = {
        'datasets': parse_datasets(options.datasets),
        'participant_label': _labels(options.participant_label, 'participant_id'),
        'session_label': _labels(options.session_label, 'session_id'),
        'exclude_participant_label': _labels(options.exclude_participant_label, 'participant_id'),
        'bids_filters': _filters(options),
    }
    plain = {name: getattr(options, _OPTIONS.get(name, name), None) for name in INPUTS}
    return plain | parsed


def spelling(name: str) -> str:
    """Return how an input is asked for on the command line.

    >>> spelling('recipes'), spelling('images_space')
    ('--recipe', '--images-space')
    """
    return f'--{_OPTIONS.get(name, name).replace("_", "-")}'


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

    if any(',' in word for word in words if word[:1] != '@'):
        bare = [label.removeprefix('sub-') for word in words for label in word.split(',') if label]
        raise UsageError(
            f'{some(words)} is not a list of labels',
            remedy=f'Labels are separated by spaces, not commas: {" ".join(bare)}',
        )
    labels = [
        one
        for word in words
        for one in (read_labels(Path(word[1:]), column) if word[:1] == '@' else [word])
    ]
    return list(dict.fromkeys(labels))


def _add_people(group: Section) -> None:
    group.add_list(
        '-d',
        '--datasets',
        '--derivatives',
        type=dataset,
        metavar='NAME=PATH',
        common=True,
        help='derivatives to search for images. Folders of fixel directories are searched too. '
        'May be repeated (default: bids_dir if it is a derivative, otherwise its derivatives/*)',
    )
    group.add_list(
        '--participant-label',
        type=label,
        metavar='LABEL',
        common=True,
        help='use only these participants. Labels may have the prefix sub- or not; @FILE reads '
        'them from a file with one label per line, or from the column participant_id of a table',
    )
    group.add_list(
        '--exclude-participant-label',
        type=label,
        metavar='LABEL',
        common=True,
        help='leave these participants out; @FILE as for --participant-label',
    )
    group.add_list(
        '--session-label',
        '--session-id',
        type=label,
        metavar='LABEL',
        common=True,
        help='use only these sessions. Labels may have the prefix ses- or not; @FILE reads them '
        'from a file',
    )


def _add_images(group: Section) -> None:
    group.of_level('').add_list(
        '--scalars', metavar='NAME', common=True, help='use only these scalars (names or patterns)'
    )
    group.add_list(
        '--space',
        metavar='NAME',
        common=True,
        help='use only images in these spaces. Names such as MNI152NLin6Asym or '
        'MNI152NLin6Asym:res-2, or shell patterns',
    )
    group.add_path(
        '--bids-filter-file',
        metavar='JSON',
        help='select images and masks by entities: {"scalar": {"acq": "x"}, "mask": {...}}. null '
        'means that the entity must be absent, "*" that it must be present',
    )
    group.add_list(
        *('-t', '--task-id', '--task-label'), metavar='TASK', help='use only images of these tasks'
    )
    group.add_list(
        '--select',
        metavar='KEY=LABEL',
        help='use only images with these values of any entity: atlas=4S456Parcels desc=smooth. '
        'KEY=A,B accepts either value, KEY= requires that the entity is absent, KEY=* that it is '
        'present',
    )
    group.add(
        '--recipe',
        type=disk_path,
        action='append',
        default=[],
        metavar='YAML',
        help='description of what your own pipeline writes (docs/recipes.md). May be repeated; '
        'goes before the recipes of the package',
    )
    group.add_list(
        '--images',
        metavar='NAME=PATTERN',
        common=True,
        help='images without BIDS names, by path. A pattern below the folder, '
        "'gmv=mri/mwp1{participant}_T1w.nii'; {session}, {run} and other names become columns of "
        'the cohort; * matches any part of a name (docs/patterns.md)',
    )
    group.add_list(
        '--masks',
        metavar='PATTERN',
        help='masks of the images of --images, by a pattern: {participant}/brain_mask.nii.gz',
    )
    group.add(
        '--images-space',
        default='',
        metavar='SPACE',
        help='space of the images of --images, such as MNI152NLin6Asym:res-2 (default: unknown)',
    )


def _add_unneeded(group: Section) -> None:
    group.add_flag(
        '--skip-bids-validation',
        help='do not warn about what BIDS requires of the datasets but this program does not need',
    )
    group.add_path(
        '--bids-database-dir',
        '--database-path',
        metavar='DIR',
        help='accepted for compatibility with other BIDS Apps; has no effect, as file names are '
        'read faster than a database',
    )


def _add_listing(group: Section) -> None:
    group.add_flag(
        '--list-scalars',
        common=True,
        help='list the scalars found and stop. Shows their spaces, subjects and masks',
    )
    group.add_flag(
        '--json', help='with --list-scalars: print one JSON document that lists every image'
    )


def _add_phenotypes(group: Section) -> None:
    group.add_list(
        '--phenotypes',
        type=place,
        metavar='FILE',
        common=True,
        help='tables of phenotypes to join (TSV or CSV). They are joined to participants.tsv and '
        'sub-*/sub-*_sessions.tsv by participant_id and, if present, session_id and run_id: one '
        'row per participant or per visit. A JSON data dictionary of the same name is read too',
    )
    group.add_list(
        '--require',
        metavar='COLUMN',
        help='leave out participants, or visits, without a value of these phenotypes',
    )
