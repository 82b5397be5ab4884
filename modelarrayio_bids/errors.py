"""The tree of errors that a user can cause or meet.

::

    ModelArrayIOError
    ├ UsageError(ValueError)            options that contradict each other or ask for too much
    │ ├ UnknownLevelError
    │ └ FormulaError                  a formula that cannot be read, or names what is not known
    ├ CohortError(ValueError)           a cohort table that cannot be used as it stands
    │ ├ EmptyCohortError
    │ ├ DuplicateSourceError
    │ ├ MixedSpacesError
    │ └ CohortProblemsError             several problems, reported together
    ├ SourceNotFoundError(FileNotFoundError)
    │ └ NotFetchedError                 content that is still in git-annex or Git LFS
    ├ RemoteFileError(OSError)          a remote file that did not come, and may come later
    ├ SpaceError(ValueError)            geometry
    │ ├ UnknownSpaceError
    │ └ SpaceMismatchError
    ├ FormatError(ValueError)           bytes on disk that are not what their name says
    ├ StoreError                        the HDF5 file
    │ ├ SchemaError
    │ ├ AnalysisNotFoundError
    │ ├ ResultNameCollisionError
    │ └ WouldLoseResultsError
    ├ OutputError(OSError)              an output that cannot be created
    │ └ UnfinishedOutputError           one that was begun: the disk is full, say
    ├ JobError                          a step whose process was killed
    └ DerivativesError                  the BIDS datasets
      ├ InvalidDatasetError
      ├ RecipeError
      ├ ModelFileError
      ├ NoMatchError
      └ AmbiguousMatchError

Each says what is wrong, in which file, and what to do, and keeps the three apart as attributes.
``exit_code`` is what a command line ends with: those of the (draft) BIDS execution specification
(16 invalid dataset, 18 nothing selected) and of BSD's ``sysexits.h`` (64 usage, 65 data, 66 no
input, 73 cannot create, 74 input/output, 75 try again).

>>> error = FormatError('holds 3 volumes, expected one', 'sub-01_FA.nii.gz', 'Extract one first.')
>>> str(error)
'sub-01_FA.nii.gz: holds 3 volumes, expected one. Extract one first.'
>>> error.exit_code
65
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from os import PathLike
from shlex import quote
from typing import Any

EXIT_USAGE = 64
EXIT_DATA = 65
EXIT_NO_INPUT = 66
EXIT_INTERNAL = 70
EXIT_CANNOT_CREATE = 73
EXIT_IO = 74
EXIT_TRY_AGAIN = 75
EXIT_INVALID_BIDS = 16
EXIT_UNKNOWN_LEVEL = 17
EXIT_NOTHING_SELECTED = 18


class ModelArrayIOError(Exception):
    """Base class of all errors that this package raises on purpose.

    Parameters
    ----------
    what : str
        Description of the problem, without a full stop.
    path : str or os.PathLike, optional
        The file it is about.
    remedy : str, optional
        Suggested action: a sentence.
    """

    exit_code = EXIT_DATA
    #: Suggested action where none is given.
    usual_remedy = ''

    def __init__(
        self, what: str, path: str | PathLike[str] | None = None, remedy: str = ''
    ) -> None:
        super().__init__(what, path, remedy)
        self.what = what
        self.path = None if path is None else str(path)
        self.remedy = remedy or self.usual_remedy

    def __str__(self) -> str:
        place = f'{self.path}: ' if self.path else ''
        return f'{place}{self.what}. {self.remedy}'.strip()

    def __reduce__(self) -> tuple[Any, ...]:
        # OSError's own __reduce__ would drop the third argument; Nipype carries errors between
        # processes, so every error here must come back whole.
        return type(self), (self.what, self.path, self.remedy)


class UsageError(ModelArrayIOError, ValueError):
    """Options that contradict each other, or are not supported."""

    exit_code = EXIT_USAGE


class UnknownLevelError(UsageError):
    """An analysis level that this BIDS App does not have."""

    exit_code = EXIT_UNKNOWN_LEVEL


class FormulaError(UsageError):
    """A formula that cannot be parsed, or that has an unknown name."""


class CohortError(ModelArrayIOError, ValueError):
    """A cohort table that cannot be used as it stands."""


class EmptyCohortError(CohortError):
    """A cohort without a single source."""


class DuplicateSourceError(CohortError):
    """A source, or a subject, that is listed twice for the same scalar."""


class MixedSpacesError(CohortError):
    """Sources of different kinds (voxels and fixels, say) in one cohort."""


class CohortProblemsError(CohortError):
    """Several problems of a cohort, found before any data was read.

    Parameters
    ----------
    problems : sequence of ModelArrayIOError
        Two or more: a single problem is raised as it is, see :func:`raise_problems`.
    """

    def __init__(self, problems: Sequence[ModelArrayIOError]) -> None:
        self.problems = tuple(problems)
        super().__init__(f'{len(self.problems)} problems, nothing was written')
        codes = {problem.exit_code for problem in problems}
        self.exit_code = codes.pop() if len(codes) == 1 else EXIT_DATA

    def __str__(self) -> str:
        alike: dict[tuple[str, str], list[ModelArrayIOError]] = {}
        for problem in self.problems:
            alike.setdefault((problem.what, problem.remedy), []).append(problem)
        lines = (line for problems in alike.values() for line in _lines(problems))
        return '\n'.join([f'{self.what}:', *lines])

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.problems,)


def _lines(problems: Sequence[ModelArrayIOError]) -> Iterator[str]:
    """Yield the lines of problems that differ in their files alone."""
    first = problems[0]
    if len(problems) <= _NOT_MANY or not first.path:
        yield from (f'  {problem}' for problem in problems)
        return
    yield f'  {len(problems)} files, each: {first.what}. {first.remedy}'.rstrip()
    yield from (f'    {problem.path}' for problem in problems)


class SourceNotFoundError(ModelArrayIOError, FileNotFoundError):
    """A file that was named but is not there."""

    exit_code = EXIT_NO_INPUT


class NotFetchedError(SourceNotFoundError):
    """A file whose content has not been fetched, for example from git-annex."""

    @classmethod
    def together(cls, problems: Sequence[NotFetchedError]) -> NotFetchedError:
        """Return one error of many files that one command gets: their count and three examples."""
        paths = [str(problem.path) for problem in problems]
        shown = ', '.join(paths[:3]) + (', …' if len(paths) > 3 else '')
        files = 'files' if len(paths) > 1 else 'file'
        return cls(
            f'the content of {len(paths):,} {files} is not here: {shown}',
            remedy=_command(problems[0]).replace(_PATH, shell_pattern(paths)),
        )


class RemoteFileError(ModelArrayIOError, OSError):
    """A remote file that did not come, for a reason that may pass: the network, a busy server."""

    exit_code = EXIT_TRY_AGAIN


class SpaceError(ModelArrayIOError, ValueError):
    """A problem with the geometry of an image."""


class UnknownSpaceError(SpaceError):
    """A file whose name belongs to no element space."""


class SpaceMismatchError(SpaceError):
    """An image whose elements are not those of the group's space."""


class FormatError(ModelArrayIOError, ValueError):
    """A file that is not what its name says: truncated, damaged, or of another type."""

    usual_remedy = 'Copy or make the file again.'


class StoreError(ModelArrayIOError):
    """A problem with an HDF5 file."""


class SchemaError(StoreError):
    """An HDF5 file, or a name in it, that breaks ModelArray's format."""


class AnalysisNotFoundError(StoreError):
    """An analysis that the file does not hold."""

    exit_code = EXIT_NO_INPUT


class ResultNameCollisionError(StoreError):
    """Two results that would be written to one file."""


class WouldLoseResultsError(StoreError):
    """An existing file with results, or with added images, that would be lost."""

    exit_code = EXIT_CANNOT_CREATE


class OutputError(ModelArrayIOError, OSError):
    """An output that cannot be created or finished."""

    exit_code = EXIT_CANNOT_CREATE

    @classmethod
    def from_os_error(cls, error: OSError, path: str | PathLike[str]) -> OutputError:
        """Return the error of what the operating system said."""
        in_the_way = isinstance(error, FileExistsError | NotADirectoryError)
        said = 'a file is where a folder should be' if in_the_way else _reason(error)
        return cls(f'cannot be created ({said})', path, 'Choose a folder you may write to.')

    @classmethod
    @contextmanager
    def told(cls, path: str | PathLike[str]) -> Iterator[None]:
        """Turn what the operating system says of an output into an error of this class."""
        try:
            yield
        except ModelArrayIOError:
            raise
        except OSError as error:
            raise cls.from_os_error(error, path) from error


class UnfinishedOutputError(OutputError):
    """An output that could not be completed; nothing of it remains."""

    exit_code = EXIT_IO

    @classmethod
    def from_os_error(cls, error: OSError, path: str | PathLike[str]) -> UnfinishedOutputError:
        """Return the error of what the operating system said."""
        full = error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
        remedy = 'Free some space.' if full else 'Check the disk and the path.'
        return cls(f'could not be written ({_reason(error)})', path, remedy)


class JobError(ModelArrayIOError):
    """A step of a workflow that was started, or submitted, and did not finish."""

    exit_code = EXIT_TRY_AGAIN


class DerivativesError(ModelArrayIOError):
    """A problem with the BIDS datasets, or something missing from them."""


class InvalidDatasetError(DerivativesError):
    """A folder that is not the BIDS dataset it was given as."""

    exit_code = EXIT_INVALID_BIDS


class RecipeError(DerivativesError):
    """A recipe that cannot be understood."""


class ModelFileError(DerivativesError):
    """A file of models that cannot be understood."""


class NoMatchError(DerivativesError):
    """Filters, or a dataset, that leave nothing to build from."""

    exit_code = EXIT_NOTHING_SELECTED


class AmbiguousMatchError(DerivativesError):
    """Several files where one was expected."""


def _reason(error: OSError) -> str:
    # h5py puts the system's reason in the middle of its own words.
    return os.strerror(error.errno) if error.errno else str(error)


def raise_problems(problems: Sequence[ModelArrayIOError]) -> None:
    """Raise nothing, the one problem, or all of them together.

    Problems with equal texts are one, and so are many files that were not fetched.
    """
    problems = by_command(list({str(problem): problem for problem in problems}.values()))
    if len(problems) == 1:
        raise problems[0]
    if problems:
        raise CohortProblemsError(problems)


# More files than this of one problem are told together.
_NOT_MANY = 3
_PATH = '\0'


def by_command(
    problems: Sequence[ModelArrayIOError], most: int = _NOT_MANY
) -> list[ModelArrayIOError]:
    """Return problems, those of more than so many files that one command gets as one."""
    absent: dict[str, list[NotFetchedError]] = {}
    for problem in problems:
        if isinstance(problem, NotFetchedError):
            absent.setdefault(_command(problem), []).append(problem)
    many = [several for several in absent.values() if len(several) > most]
    told = {problem for several in many for problem in several}
    others = [problem for problem in problems if problem not in told]
    return [*map(NotFetchedError.together, many), *others]


def _command(problem: NotFetchedError) -> str:
    """Return what gets a file, with a mark where its path stands."""
    return problem.remedy.replace(quote(str(problem.path)), _PATH)


def shell_pattern(paths: Sequence[str]) -> str:
    """Return a pattern of a shell that fits all paths: of equal depth, else their common folder.

    >>> shell_pattern(['/d/sub-01/dwi/sub-01_fa.nii', '/d/sub-02/dwi/sub-02_fa.nii'])
    '/d/sub-0*/dwi/sub-0*_fa.nii'
    """
    split = [path.split('/') for path in paths]
    if len({len(parts) for parts in split}) > 1:
        return quote(os.path.commonpath(paths))
    return '/'.join(_part_pattern(set(parts)) for parts in zip(*split, strict=True))


def _part_pattern(names: set[str]) -> str:
    if len(names) == 1:
        return quote(names.pop()) if names != {''} else ''
    # Sign by sign, not folder by folder.
    start = os.path.commonprefix([*names])  # noqa: RUF071
    end = os.path.commonprefix([name[len(start) :][::-1] for name in names])[::-1]  # noqa: RUF071
    return '*'.join(quote(text) if text else '' for text in (start, end))
