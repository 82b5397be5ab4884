"""Commands for the outputs of the group level, as they are typed.

>>> for step in next_steps('study', 'my results', ['my results/code/fit_cbf_space-X.R']):
...     print(step.command)
modelarrayio-bids study 'my results' model export
Rscript 'my results/code/fit_cbf_space-X.R'
modelarrayio-bids study 'my results' export
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike, environ
from pathlib import Path

from modelarrayio_bids.__about__ import NAME
from modelarrayio_bids.derivatives.bids.description import RUN_BY, container
from modelarrayio_bids.runtime.locations import is_address

#: Placeholders for folders outside of a container, whose names are unknown inside.
_BIDS_DIR, _OUTPUT_DIR = 'BIDS_DIR', 'OUTPUT_DIR'


@dataclass(frozen=True)
class Step:
    """A command to run next.

    Parameters
    ----------
    what : str
        Description, without a full stop.
    command : str
        A line for a shell.
    instead : bool, optional
        It takes the place of the step before.
    """

    what: str
    command: str
    instead: bool = False


def next_steps(
    bids_dir: str | PathLike[str],
    output_dir: str | PathLike[str],
    scripts: Sequence[str | PathLike[str]],
) -> list[Step]:
    """Return the steps from HDF5 files to maps of results.

    Parameters
    ----------
    bids_dir, output_dir : path-like
        As the group level was given them.
    scripts : sequence of path-like
        The R scripts it wrote, in ``output_dir``.
    """
    where = ''
    if container() is not None:
        where = f' ({_OUTPUT_DIR}: the folder that is {output_dir} in the container)'
    in_r = f'look at the model, and fit it in R{where}'
    return [
        Step(
            "fit the model proposed, or your own (add --formula '~ …'), and write its maps",
            export_command(bids_dir, output_dir, 'model'),
        ),
        Step(in_r, fit_command(output_dir, scripts), instead=True),
        Step('write the results as maps', export_command(bids_dir, output_dir)),
    ]


def fit_command(output_dir: str | PathLike[str], scripts: Sequence[str | PathLike[str]]) -> str:
    """Run the one script, or all that are beside it.

    >>> fit_command('out', ['out/code/fit_cbf_space-X.R', 'out/code/fit_fd_desc-fixels.R'])
    'for script in out/code/fit_*.R; do Rscript "$script" || break; done'
    """
    outside = Path(output_dir if container() is None else _OUTPUT_DIR)
    paths = [outside / Path(script).relative_to(output_dir) for script in scripts]
    if len(paths) == 1:
        return f'Rscript {shlex.quote(str(paths[0]))}'
    scripts_there = f'{shlex.quote(str(paths[0].parent))}/fit_*.R'
    return f'for script in {scripts_there}; do Rscript "$script" || break; done'


def export_command(
    bids_dir: str | PathLike[str], output_dir: str | PathLike[str], *before: str
) -> str:
    """Write results as maps, after other levels, in a container if that is where we run."""
    found, levels = container(), [*before, 'export']
    if found is None or is_address(str(bids_dir)):
        return shlex.join([NAME, str(bids_dir), str(output_dir), *levels])
    inside = [str(Path(folder).absolute()) for folder in (bids_dir, output_dir)]
    mounts = [f'{_BIDS_DIR}:{inside[0]}:ro', f'{_OUTPUT_DIR}:{inside[1]}']
    if found['Type'] == 'docker':
        run = ['docker', 'run', '--rm', '-v', mounts[0], '-v', mounts[1], found['Tag']]
    else:
        image = next((environ[name] for name in RUN_BY if environ.get(name)), 'IMAGE')
        run = [found['Type'], 'run', '--cleanenv', '-B', mounts[0], '-B', mounts[1], image]
    return shlex.join([*run, *inside, *levels])
