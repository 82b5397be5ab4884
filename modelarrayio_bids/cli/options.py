"""Options that several commands share. Nothing heavy is loaded before they are parsed."""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelarrayio_bids.__about__ import __version__
from modelarrayio_bids.cli.parser import mark_common, mark_level
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


def _processors() -> int:
    """Return the processors of this process: Slurm and containers give some of the machine's."""
    if hasattr(os, 'sched_getaffinity'):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class Section:
    """A parser, or a section of it, that gets options."""

    def __init__(self, container: argparse._ActionsContainer, level: str = '') -> None:
        self._container, self._level = container, level

    def section(self, title: str) -> Section:
        """Begin a section of the help."""
        return Section(self._container.add_argument_group(title), self._level)

    def exclusive(self, *, required: bool = False) -> Section:
        """Begin options that exclude each other."""
        container = self._container.add_mutually_exclusive_group(required=required)
        return Section(container, self._level)

    def of_level(self, level: str) -> Section:
        """Return the section for options that only a level of the BIDS App heeds."""
        return Section(self._container, level)

    def set_defaults(self, **values: Any) -> None:
        """Set values of options that it does not have."""
        self._container.set_defaults(**values)

    def add(self, *spellings: str, common: bool = False, **keywords: Any) -> None:
        """Add an option as ``--like-this`` and in the predecessor's spelling, ``--like_this``.

        Parameters
        ----------
        *spellings : str
            Names of the option, with hyphens.
        common : bool, optional
            Show it with ``--help``; otherwise only ``--help-all`` does.
        **keywords
            As for :meth:`argparse.ArgumentParser.add_argument`.
        """
        both = [
            spelling
            for option in spellings
            for spelling in (option, option[:2] + option[2:].replace('-', '_'))
        ]
        action = self._container.add_argument(*dict.fromkeys(both), **keywords)
        if common:
            mark_common(action)
        mark_level(action, self._level)

    def add_flag(self, *spellings: str, **keywords: Any) -> None:
        """Add an option that is given or not."""
        self.add(*spellings, action='store_true', **keywords)

    def add_path(self, *spellings: str, **keywords: Any) -> None:
        """Add an option that names a file or a folder on a disk."""
        self.add(*spellings, type=disk_path, **keywords)

    def add_input(self, *spellings: str, **keywords: Any) -> None:
        """Add an option that names a file or a folder that is read: a path, or an address."""
        self.add(*spellings, type=place, **keywords)

    def add_list(self, *spellings: str, **keywords: Any) -> None:
        """Add an option that takes several values, and may be repeated."""
        self.add(*spellings, nargs='+', action='extend', default=[], **keywords)

    def add_version(self, program: str, *spellings: str) -> None:
        """Add an option that prints the version and stops."""
        how: dict[str, Any] = {'action': 'version', 'version': f'{program} {__version__}'}
        self.add(*spellings, **how, common=True, help='show the version')

    def add_nprocs(self) -> None:
        """Add ``--nprocs``, in the words of several BIDS Apps."""
        self.add(
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

    def add_resources(self) -> None:
        """Add ``--nprocs`` and ``--mem-mb``."""
        group = self.section('resources')
        group.add_nprocs()
        group.add(
            '--mem-mb',
            '--mem',
            type=memory,
            metavar='MB',
            common=True,
            help='memory limit in MB, or such as 8G. It covers the whole run, Python included '
            '(default: the least of what the machine, its container and Slurm allow)',
        )
        group.add(
            '--mem-gb',
            dest='mem_mb',
            type=gigabytes,
            metavar='GB',
            help='the same in GB, as in FitLins and XCP-D',
        )

    def add_remote(self) -> None:
        """Add ``--s3-workers`` and ``--cache-dir``."""
        group = self.section('remote files (s3://, https://)')
        group.add(
            '--s3-workers',
            type=positive,
            metavar='N',
            help='number of remote images to read at once (default: 8, or --nprocs if larger)',
        )
        group.add_path(
            '--cache-dir',
            metavar='DIR',
            help='folder for copies of remote files, which later runs use (default: no copies)',
        )

    def add_cluster(self) -> None:
        """Add the options about where nodes run, and in which blocks."""
        group = self.section('on a cluster')
        plugin = group.exclusive()
        plugin.add(
            '--nipype-plugin',
            metavar='NAME',
            help='where steps run: Linear (here, the default), MultiProc, SLURM, PBS, SGE, LSF, '
            'OAR or Condor. --nprocs and --mem-mb then apply to each job',
        )
        plugin.add_path(
            '--nipype-plugin-file',
            '--use-plugin',
            metavar='YAML',
            help='YAML file with the Nipype plugin and its arguments: "plugin: SLURM" and '
            '"plugin_args: {...}"',
        )
        group.add(
            '--blocks',
            type=positive,
            metavar='N',
            help='read each cohort in N blocks, each in its own job (default: on a cluster, one '
            'block per gigabyte of values; on this machine, no blocks)',
        )
        group.add_flag(
            '--stop-on-first-crash',
            help='stop when a job fails (default: on a cluster, other jobs finish and a later run '
            'uses their results; on this machine, stop)',
        )

    def add_references(self) -> None:
        """Add ``--mask``, ``--index-file`` and ``--directions-file``."""
        group = self.section('which elements')
        group.add_input(
            '--mask',
            metavar='IMAGE',
            common=True,
            help='binary group mask (voxels), or a mask or label of the cortex (vertices)',
        )
        group.add_input(
            '--index-file',
            metavar='IMAGE',
            common=True,
            help='fixel directory, or its index image. (default: the directory of the images)',
        )
        group.add_input(
            '--directions-file',
            metavar='IMAGE',
            common=True,
            help='directions image of the fixel directory',
        )

    def add_json(self) -> None:
        """Add ``--json``."""
        self.add_flag('--json', common=True, help='print one JSON object instead')

    def add_scalar_columns(self) -> None:
        """Add ``--scalar-columns``."""
        self.add(
            '--scalar-columns',
            nargs='+',
            default=[],
            metavar='COLUMN',
            common=True,
            help='columns of paths in a wide cohort. Each is named after its scalar',
        )

    def add_map(self) -> None:
        """Add ``--map``."""
        self.add(
            '--map',
            metavar='NAME',
            help='name or number of the map to use, for images with several maps',
        )

    def add_log_level(self) -> None:
        """Add ``--log-level``, its short ways ``-v`` and ``-q``, and ``--log-format``."""
        group = self.section('messages')
        level = group.exclusive()
        level.add(
            '--log-level',
            choices=LOG_LEVELS,
            default='INFO',
            help='show messages from this level on (default: %(default)s)',
        )
        short: dict[str, Any] = {'dest': 'log_level', 'action': 'store_const', 'default': 'INFO'}
        level.add('-v', '--verbose', const='DEBUG', help='same as --log-level DEBUG', **short)
        level.add(
            *('-q', '--quiet'), const='WARNING', help='same as --log-level WARNING', **short
        )  # fmt: skip
        group.add_log_format()

    def add_log_format(self) -> None:
        """Add ``--log-format``."""
        self.add(
            '--log-format',
            choices=LOG_FORMATS,
            default=LOG_FORMATS[0],
            help='format of messages on standard error and in the log file: text, or one JSON '
            'object per line (default: %(default)s)',
        )


def command(
    commands: argparse._SubParsersAction, run: Callable[[argparse.Namespace], int], **texts: Any
) -> Section:
    """Add a command that is called as the function that runs it, and return its parser."""
    parser = commands.add_parser(run.__name__.replace('_', '-'), **texts)
    parser.set_defaults(command=run)
    return Section(parser)


def use_remote(options: argparse.Namespace) -> None:
    """Hand the options about remote files to every process of a run, which asks anew."""
    remote.forget()
    given = {remote.WORKERS: 's3_workers', remote.CACHE_DIR: 'cache_dir'}
    for variable, option in given.items():
        if (value := getattr(options, option, None)) is not None:
            os.environ[variable] = str(value.absolute() if isinstance(value, Path) else value)


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


def log_format(arguments: Sequence[str]) -> str:
    """Return ``--log-format`` before the rest of a command line is parsed.

    So the errors of a command line are in that format too.

    >>> log_format(['study', 'out', 'group', '--log-format', 'json', '--no-such-option'])
    'json'
    >>> log_format(['study', 'out', 'group', '--log-format=xml'])
    'text'
    """
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    Section(parser).add_log_format()
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
