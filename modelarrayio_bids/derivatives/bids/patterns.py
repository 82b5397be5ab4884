"""Patterns of paths, for images without BIDS names.

A pattern is a path below a folder in which ``{participant}``, ``{session}``, ``{run}`` or any other
``{column}`` stands for a part of one name, and ``*`` for any part. A field that stands twice is the
same both times. That is the syntax of Snakemake's wildcards and of ``str.format``; nothing else is
special, and everything has to fit from the first character to the last.

>>> _fields('mwp1{participant}_T1w.nii', 'mwp1sub-01_T1w.nii', known={})
{'participant': 'sub-01'}
>>> _fields('mwp1{participant}_T1w.nii', 'smwp1sub-01_T1w.nii', known={}) is None
True
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from modelarrayio_bids.derivatives.bids.folders import entries, is_folder
from modelarrayio_bids.errors import AmbiguousMatchError, UsageError
from modelarrayio_bids.runtime.locations import is_there

#: The field that every pattern of images has to have.
PARTICIPANT = 'participant'
NamesIn = Callable[[Path], Sequence[str]]
_FIELD = re.compile(r'\{([^{}]*)\}')
_SPECIAL = re.compile(r'\{[^{}]*\}|\*')
_REMEDY = "Write it as NAME=PATTERN, such as 'gmv=mri/mwp1{participant}_T1w.nii'."


@dataclass(frozen=True)
class PathPattern:
    """A path below a folder, some parts of whose names are open.

    Parameters
    ----------
    text : str
        The pattern.

    Raises
    ------
    UsageError
        If it is not a path below the folder, lacks ``{participant}``, or its braces do not match.
    """

    text: str

    def __post_init__(self) -> None:
        path = PurePosixPath(self.text)
        if path.is_absolute() or '..' in path.parts or not path.parts:
            raise UsageError(
                f'the pattern {self.text!r} is not a path below the folder',
                remedy='Write it as from the folder that is searched, without "..".',
            )
        names = _FIELD.findall(self.text)
        if odd := [name for name in names if not name.isidentifier()]:
            raise UsageError(
                f'the pattern {self.text!r} has a field {{{odd[0]}}}, which is not a valid column '
                'name',
                remedy='Use letters, digits and _ between braces.',
            )
        if re.search(r'[{}]', _FIELD.sub('', self.text)):
            raise UsageError(
                f'the braces of the pattern {self.text!r} do not match', remedy=_REMEDY
            )
        if PARTICIPANT not in names:
            raise UsageError(
                f'the pattern {self.text!r} does not say where the participant is',
                remedy=f'{_REMEDY} One mask of all participants is given with --mask, a file '
                'of all their images with --stack of make-cohort.',
            )

    def find(
        self, root: Path, listing: NamesIn | None = None
    ) -> Iterator[tuple[Path, dict[str, str]]]:
        """Yield the files below a folder that fit, with their fields, sorted by path.

        Parameters
        ----------
        root : pathlib.Path
            The folder.
        listing : callable, optional
            Gives the names to look at in a folder; by default all of :func:`names_in`.

        Raises
        ------
        AmbiguousMatchError
            If a path fits in several ways.
        """
        yield from _found(root, PurePosixPath(self.text).parts, {}, listing or names_in)


def names_in(folder: Path) -> list[str]:
    """Return the names in a folder, sorted, without hidden ones; empty if it is not a folder."""
    held = entries(folder) if is_folder(folder) else []
    return [entry.name for entry in held if not entry.name.startswith('.')]


def _found(
    folder: Path, parts: tuple[str, ...], known: Mapping[str, str], names_in: NamesIn
) -> Iterator[tuple[Path, dict[str, str]]]:
    part, *below = parts
    for name, fields in _matching(folder, part, known, names_in):
        path = folder / name
        if below:
            yield from _found(path, tuple(below), {**known, **fields}, names_in)
        elif is_there(path) and not is_folder(path):
            yield path, {**known, **fields}


def _matching(
    folder: Path, part: str, known: Mapping[str, str], names_in: NamesIn
) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield the names in a folder that fit one part of a pattern."""
    filled = _FIELD.sub(lambda field: known.get(field[1], field[0]), part)
    if not _SPECIAL.search(filled):
        # Asked for by its name: the folder of a participant is not read for each of its files.
        yield filled, {}
        return
    for name in names_in(folder):
        fields = _fields(part, name, known)
        if fields is not None:
            yield name, fields


def _fields(part: str, name: str, known: Mapping[str, str]) -> dict[str, str] | None:
    """Return the new fields of a name that fits one part of a pattern; None if it does not fit."""
    fixed = tuple((field, known[field]) for field in _FIELD.findall(part) if field in known)
    shortest, longest = (_compiled(part, fixed, greedy).fullmatch(name) for greedy in (False, True))
    if shortest is None or longest is None:
        return None
    if shortest.groupdict() != longest.groupdict():
        ways = ' or '.join(
            ', '.join(f'{field} {label}' for field, label in match.groupdict().items())
            for match in (shortest, longest)
        )
        raise AmbiguousMatchError(
            f'matches {part!r} in two ways: {ways}',
            name,
            'Put a fixed character between the fields that occurs in none of them.',
        )
    return shortest.groupdict()


@functools.lru_cache(maxsize=1024)
def _compiled(part: str, known: tuple[tuple[str, str], ...], greedy: bool) -> re.Pattern[str]:
    """Return the expression of one part of a pattern, its fields as short or as long as can be."""
    any_part, fixed = '[^/]+' if greedy else '[^/]+?', dict(known)
    expression = ''
    for piece in re.split(r'(\{[^{}]*\}|\*)', part):
        field = piece[1:-1] if piece.startswith('{') else None
        if piece == '*':
            expression += '[^/]*' if greedy else '[^/]*?'
        elif field is None or field in fixed:
            expression += re.escape(piece if field is None else fixed[field])
        elif f'(?P<{field}>' in expression:
            expression += f'(?P={field})'
        else:
            expression += f'(?P<{field}>{any_part})'
    return re.compile(expression, re.DOTALL)
