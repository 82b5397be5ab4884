"""Options that several commands share. Nothing heavy is loaded before they are parsed."""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelarrayio_bids.cli.parser import mark_common
from modelarrayio_bids.errors import UsageError
from modelarrayio_bids.runtime import remote
from modelarrayio_bids.runtime.locations import location, names_address
from modelarrayio_bids.runtime.logs import FORMATS as LOG_FORMATS

if TYPE_CHECKING:
    from modelarrayio_bids.runtime.resources import Resources
    from modelarrayio_bids.spaces import References
    from modelarrayio_bids.workflows.plugins import Plugin

LOG_LEVELS = ('DEBUG', 'INFO', 'WARNING', 'ERROR', 'CRITICAL')
MEGABYTE = 2**20
# Masks that are volumes; those of the cortex have other names.
_VOLUMES = ('.nii', '.nii.gz')


def add(
    parser: argparse._ActionsContainer, *options: str, common: bool = False, **keywords: Any
) -> None:
    """Add an option in both spellings: ``--like-this`` and the predecessor's ``--like_this``.

    Parameters
    ----------
    parser : argparse.ArgumentParser or group of one
        Gets the option.
    *options : str
        Spellings, with hyphens.
    common : bool, optional
        Show it with ``--help``; otherwise only ``--help-all`` does.
    **keywords
        As for :meth:`argparse.ArgumentParser.add_argument`.
    """
    spellings = [
        spelling
        for option in options
        for spelling in (option, option[:2] + option[2:].replace('-', '_'))
    ]
    action = parser.add_argument(*dict.fromkeys(spellings), **keywords)
    if common:
        mark_common(action)


def add_flag(parser: argparse._ActionsContainer, *options: str, **keywords: Any) -> None:
    """Add an option that is given or not."""
    add(parser, *options, action='store_true', **keywords)


def add_path(parser: argparse._ActionsContainer, *options: str, **keywords: Any) -> None:
    """Add an option that names a file or a folder on a disk."""
    add(parser, *options, type=disk_path, **keywords)


def add_input(parser: argparse._ActionsContainer, *options: str, **keywords: Any) -> None:
    """Add an option that names a file or a folder that is read: a path, or an address."""
    add(parser, *options, type=place, **keywords)


def add_list(parser: argparse._ActionsContainer, *options: str, **keywords: Any) -> None:
    """Add an option that takes several values, and may be repeated."""
    add(parser, *options, nargs='+', action='extend', default=[], **keywords)


def place(text: str) -> Path:
    """Return a path or an address, for argparse."""
    try:
        return location(text)
    except UsageError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def disk_path(text: str) -> Path:
    """Return a path, for argparse: outputs, and files that are read at many places, are on a disk.

    >>> disk_path('maps/FA.h5').as_posix()
    'maps/FA.h5'
    """
    if names_address(text):
        raise argparse.ArgumentTypeError(f'{text} is an address: give a path on a disk')
    return Path(text)


def positive(text: str) -> int:
    """Return a whole number from 1, for argparse."""
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f'{text!r} is not a number from 1')
    return int(text)


def memory(text: str) -> int:
    """Return megabytes (2**20 bytes), for argparse: of a number, or one with K, M, G or T.

    >>> memory('4000'), memory('1.5G'), memory('2TB')
    (4000, 1536, 2097152)
    """
    found = re.fullmatch(r'(\d+(?:\.\d+)?)\s*(?:([KMGT])(?:i?B)?)?', text.strip(), re.IGNORECASE)
    megabytes = 0
    if found is not None:
        megabytes = int(float(found[1]) * 1024 ** ('KMGT'.index((found[2] or 'M').upper()) - 1))
    if not megabytes:
        raise argparse.ArgumentTypeError(
            f'{text!r} is not a memory size: give megabytes, or such as 8G'
        )
    return megabytes


def gigabytes(text: str) -> int:
    """Return megabytes, for argparse: of a number of gigabytes, or one with a letter.

    >>> gigabytes('1.5'), gigabytes('512M')
    (1536, 512)
    """
    return memory(f'{text}G' if text[-1:].isdecimal() else text)


def label(text: str) -> str:
    """Return a label, or ``@FILE`` for those in a file."""
    return text


def dataset(text: str) -> str:
    """Return ``NAME=PATH``, or a path."""
    return text


def named(text: str) -> str:
    """Return ``NAME=TEXT``, for argparse."""
    name, _, what = text.partition('=')
    if not name.strip() or not what.strip():
        raise argparse.ArgumentTypeError(f"{text!r} has no name: write NAME='…'")
    return text


def add_nprocs(group: argparse._ActionsContainer) -> None:
    """Add ``--nprocs``, in the words of several BIDS Apps."""
    add(
        group,
        '--nprocs',
        '--nthreads',
        '--n-cpus',
        dest='nprocs',
        type=positive,
        default=_processors(),
        metavar='N',
        common=True,
        help='threads (default: one per processor)',
    )


def _processors() -> int:
    """Return the processors of this process: Slurm and containers give some of the machine's."""
    if hasattr(os, 'sched_getaffinity'):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def add_resources(parser: argparse.ArgumentParser) -> None:
    """Add ``--nprocs`` and ``--mem-mb``."""
    group = parser.add_argument_group('resources')
    add_nprocs(group)
    add(
        group,
        '--mem-mb',
        '--mem',
        type=memory,
        metavar='MB',
        common=True,
        help='memory limit in MB, or such as 8G. It covers the whole run, Python included '
        '(default: the least of what the machine, its container and Slurm allow)',
    )
    add(
        group,
        '--mem-gb',
        dest='mem_mb',
        type=gigabytes,
        metavar='GB',
        help='the same in GB, as in FitLins and XCP-D',
    )


def add_remote(parser: argparse.ArgumentParser) -> None:
    """Add ``--s3-workers`` and ``--cache-dir``."""
    group = parser.add_argument_group('remote files (s3://, https://)')
    add(
        group,
        '--s3-workers',
        type=positive,
        metavar='N',
        help='number of remote images to read at once (default: 8, or --nprocs if larger)',
    )
    add_path(
        group,
        '--cache-dir',
        metavar='DIR',
        help='folder for copies of remote files, which later runs use (default: no copies)',
    )


def use_remote(options: argparse.Namespace) -> None:
    """Hand the options about remote files to every process of a run, which asks anew."""
    remote.forget()
    given = {remote.WORKERS: 's3_workers', remote.CACHE_DIR: 'cache_dir'}
    for variable, option in given.items():
        if (value := getattr(options, option, None)) is not None:
            os.environ[variable] = str(value.absolute() if isinstance(value, Path) else value)


def add_cluster(parser: argparse.ArgumentParser) -> None:
    """Add the options about where nodes run, and in which blocks."""
    group = parser.add_argument_group('on a cluster')
    plugin = group.add_mutually_exclusive_group()
    add(
        plugin,
        '--nipype-plugin',
        metavar='NAME',
        help='where steps run: Linear (here, the default), MultiProc, SLURM, PBS, SGE, LSF, OAR or '
        'Condor. --nprocs and --mem-mb then apply to each job',
    )
    add_path(
        plugin,
        '--nipype-plugin-file',
        '--use-plugin',
        metavar='YAML',
        help='YAML file with the Nipype plugin and its arguments: "plugin: SLURM" and '
        '"plugin_args: {...}"',
    )
    add(
        group,
        '--blocks',
        type=positive,
        metavar='N',
        help='read each cohort in N blocks, each in its own job (default: on a cluster, one block '
        'per gigabyte of values; on this machine, no blocks)',
    )
    add_flag(
        group,
        '--stop-on-first-crash',
        help='stop when a job fails (default: on a cluster, other jobs finish and a later run uses '
        'their results; on this machine, stop)',
    )


def plugin(options: argparse.Namespace) -> Plugin:
    """Return the Nipype plugin that the parsed options ask for.

    Raises
    ------
    UsageError
        If other machines are to run them and there is no folder for them to share.
    """
    from modelarrayio_bids.workflows.plugins import LOCAL, Plugin

    if options.nipype_plugin_file is not None:
        chosen = Plugin.from_file(options.nipype_plugin_file)
    else:
        chosen = Plugin(options.nipype_plugin or LOCAL)
    if options.work_dir is None and not chosen.is_local:
        raise UsageError(
            f'{chosen.name} needs a work folder that every node of the cluster sees',
            remedy='Give one with -w: an interrupted run continues from what is in it.',
        )
    return replace(chosen, stops_at_once=options.stop_on_first_crash)


def add_references(parser: argparse.ArgumentParser) -> None:
    """Add ``--mask``, ``--index-file`` and ``--directions-file``."""
    group = parser.add_argument_group('which elements')
    add_input(
        group,
        '--mask',
        metavar='IMAGE',
        common=True,
        help='binary group mask (voxels), or a mask or label of the cortex (vertices)',
    )
    add_input(
        group,
        '--index-file',
        metavar='IMAGE',
        common=True,
        help='fixel directory, or its index image. (default: the directory of the images)',
    )
    add_input(
        group,
        '--directions-file',
        metavar='IMAGE',
        common=True,
        help='directions image of the fixel directory',
    )


def add_json(parser: argparse.ArgumentParser) -> None:
    """Add ``--json``."""
    add_flag(parser, '--json', common=True, help='print one JSON object instead')


def add_scalar_columns(parser: argparse.ArgumentParser) -> None:
    """Add ``--scalar-columns``."""
    add(
        parser,
        '--scalar-columns',
        nargs='+',
        default=[],
        metavar='COLUMN',
        common=True,
        help='columns of paths in a wide cohort. Each is named after its scalar',
    )


def add_map(parser: argparse.ArgumentParser) -> None:
    """Add ``--map``."""
    parser.add_argument(
        '--map',
        metavar='NAME',
        help='name or number of the map to use, for images with several maps',
    )


def add_log_level(parser: argparse.ArgumentParser) -> None:
    """Add ``--log-level``, its short ways ``-v`` and ``-q``, and ``--log-format``."""
    group = parser.add_argument_group('messages')
    level = group.add_mutually_exclusive_group()
    add(
        level,
        '--log-level',
        choices=LOG_LEVELS,
        default='INFO',
        help='show messages from this level on (default: %(default)s)',
    )
    short: dict[str, Any] = {'dest': 'log_level', 'action': 'store_const', 'default': 'INFO'}
    level.add_argument('-v', '--verbose', const='DEBUG', help='same as --log-level DEBUG', **short)
    level.add_argument(
        *('-q', '--quiet'), const='WARNING', help='same as --log-level WARNING', **short
    )  # fmt: skip
    add_log_format(group)


def add_log_format(group: argparse._ActionsContainer) -> None:
    """Add ``--log-format``."""
    add(
        group,
        '--log-format',
        choices=LOG_FORMATS,
        default=LOG_FORMATS[0],
        help='format of messages on standard error and in the log file: text, or one JSON object '
        'per line (default: %(default)s)',
    )


def log_format(arguments: Sequence[str]) -> str:
    """Return ``--log-format`` before the rest of a command line is parsed.

    So the errors of a command line are in that format too.

    >>> log_format(['study', 'out', 'group', '--log-format', 'json', '--no-such-option'])
    'json'
    >>> log_format(['study', 'out', 'group', '--log-format=xml'])
    'text'
    """
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    add_log_format(parser)
    try:
        return parser.parse_known_args(arguments)[0].log_format
    except argparse.ArgumentError:
        return LOG_FORMATS[0]


def resources(options: argparse.Namespace) -> Resources:
    """Return the threads and the memory that the parsed options allow."""
    from modelarrayio_bids.runtime.resources import Resources

    memory = None if options.mem_mb is None else options.mem_mb * MEGABYTE
    return Resources(options.nprocs, memory)


def references(options: argparse.Namespace, **more: Any) -> References:
    """Return the reference files that the parsed options name, and others that are known."""
    from modelarrayio_bids.masks import say_unless_binary
    from modelarrayio_bids.spaces import References

    if options.mask is not None and options.mask.name.endswith(_VOLUMES):
        say_unless_binary(options.mask)
    return References(options.mask, options.index_file, options.directions_file, **more)
