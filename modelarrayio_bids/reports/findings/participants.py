"""Participants: presence in each file, reasons for absence, and phenotypes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from modelarrayio_bids.derivatives.cohorts.columns import OWN_COLUMNS, said_of_repeats
from modelarrayio_bids.formats.delimited_text import MISSING
from modelarrayio_bids.models.r_numbers import r_number
from modelarrayio_bids.reports.findings.output_folder import Output
from modelarrayio_bids.runtime.grouping import grouped
from modelarrayio_bids.runtime.text_format import count

#: Reason of an absence that no table gives.
NO_IMAGE = 'no image'
#: A column of whole numbers with as few values as this is of categories as likely as of amounts.
_FEW = 2
#: Prefixes of sessions and runs in the name of a visit.
_OF_VISITS = (' ses-', ' run-')
# Letters of a category in a table.
_LONGEST = 40


@dataclass(frozen=True)
class Availability:
    """The participants, and visits, with images in each file.

    Parameters
    ----------
    visits : tuple of str
        Everybody with an image or a row in a table, as ``sub-01 ses-2``: sessions and runs where
        all files tell them.
    outputs : tuple of Output
        The files.
    names : dict
        By output's key: the visit of each of its images.
    reasons : dict
        Reason of each absence, by key of the output and visit.
    """

    visits: tuple[str, ...]
    outputs: tuple[Output, ...]
    names: Mapping[str, tuple[str, ...]]
    reasons: Mapping[str, Mapping[str, str]]

    @classmethod
    def of(cls, outputs: Sequence[Output]) -> Availability:
        """Return that of some files."""
        names = shared_names(outputs)
        dropped = _not_shared(outputs)
        visits = {name for several in names.values() for name in several}
        reasons = {
            output.key: {
                _without(who, dropped): why for who, why in _reasons(output, names[output.key])
            }
            for output in outputs
        }
        # A table of people knows no visits: who is in a file by a visit is known by it.
        known = visits | set(map(participant, visits))
        visits.update(who for of_file in reasons.values() for who in of_file.keys() - known)
        return cls(tuple(sorted(visits)), tuple(outputs), names, reasons)

    @cached_property
    def matrix(self) -> np.ndarray:
        """(n_outputs, n_visits) bool."""
        inside = [frozenset(self.names[output.key]) for output in self.outputs]
        return np.array([[name in names for name in self.visits] for names in inside], bool)

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the files: their scalars, with the space if needed to distinguish them."""
        often = Counter(output.scalar for output in self.outputs)
        return tuple(
            output.scalar if often[output.scalar] == 1 else _told_apart(output)
            for output in self.outputs
        )

    @cached_property
    def participants(self) -> tuple[str, ...]:
        """Participants, each once."""
        return tuple(dict.fromkeys(map(participant, self.visits)))

    @property
    def complete(self) -> int:
        """Number of participants who are in every file."""
        inside = [self.participants_in(output) for output in self.outputs]
        return sum(all(who in people for people in inside) for who in self.participants)

    @property
    def counts(self) -> str:
        """Numbers of participants, and of visits if those are more.

        Of files with images of several sessions: ``24 participants (48 visits)``.
        """
        visits = f' ({count(len(self.visits), "visit")})'
        several = len(self.visits) > len(self.participants)
        return count(len(self.participants), 'participant') + visits * several

    def participants_in(self, output: Output) -> set[str]:
        """Return who has an image in a file."""
        return set(map(participant, self.names[output.key]))

    def why_not(self, output: Output, visit: str) -> str:
        """Return why somebody is not in a file."""
        reasons = self.reasons[output.key]
        return reasons.get(visit, reasons.get(participant(visit), NO_IMAGE))

    def absent(self, output: Output) -> dict[str, list[str]]:
        """Return those who are not in a file, by the reason, the commonest first."""
        inside = frozenset(self.names[output.key])
        absent = (visit for visit in self.visits if visit not in inside)
        found = grouped((self.why_not(output, visit), visit) for visit in absent)
        return dict(sorted(found.items(), key=lambda pair: -len(pair[1])))

    def rows(self) -> Iterator[dict[str, str]]:
        """Yield a table of people: a column per file, ``yes`` or why not."""
        for column, visit in enumerate(self.visits):
            present = self.matrix[:, column]
            yield {'participant': visit} | {
                output.key: 'yes' if there else self.why_not(output, visit)
                for output, there in zip(self.outputs, present, strict=True)
            }


def participant(visit: str) -> str:
    """Return whom a visit is of.

    >>> participant('sub-01 ses-2 run-1'), participant('a map.nii.gz')
    ('sub-01', 'a map.nii.gz')
    """
    return _without(visit, frozenset(_OF_VISITS))


def shared_names(outputs: Sequence[Output]) -> dict[str, tuple[str, ...]]:
    """Return the visit of each image of some files, by what all of the files tell.

    Where the names of one pipeline have runs and those of another do not, ``sub-01 run-1`` of the
    one is ``sub-01`` of the other.
    """
    dropped = _not_shared(outputs)
    return {
        output.key: tuple(_without(name, dropped) for name in output.names) for output in outputs
    }


def _not_shared(outputs: Sequence[Output]) -> frozenset[str]:
    told = [{mark for name in o.names for mark in _OF_VISITS if mark in name} for o in outputs]
    return frozenset(mark for mark in _OF_VISITS if not all(mark in marks for marks in told))


def _without(visit: str, marks: frozenset[str]) -> str:
    if not visit.startswith('sub-'):
        return visit
    parts = visit.split(' ')
    return ' '.join(part for part in parts if f' {part[:4]}' not in marks)


def _told_apart(output: Output) -> str:
    """``cbf (space-MNI152NLin6Asym)``, after the folders of several runs."""
    apart = ' '.join(filter(None, (*output.folders[:-1], output.place)))
    return f'{output.scalar} ({apart})' if apart else output.scalar


def _reasons(output: Output, names: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield who is known to be not in a file, and why."""
    inside = frozenset({*output.names, *names})
    for table in output.unmatched.values():
        for person in table.get('WithoutImages', ()):
            if person not in inside:
                yield person, NO_IMAGE
    for one in output.left_out:
        if one['Of'] not in inside:
            yield one['Of'], one['Reason']


@dataclass(frozen=True)
class Phenotype:
    """A column of the cohorts.

    Parameters
    ----------
    name : str
        As in the cohorts.
    texts : tuple of str
        One per person or visit; blank where it is missing.
    """

    name: str
    texts: tuple[str, ...]

    @cached_property
    def numbers(self) -> np.ndarray | None:
        """Present values, float64, if all of them are finite numbers."""
        found = [r_number(text) for text in self._present]
        if not found or None in found:
            return None
        values = np.array(found, np.float64)
        return values if np.isfinite(values).all() else None

    @property
    def n_missing(self) -> int:
        """Number of missing values."""
        return len(self.texts) - len(self._present)

    @cached_property
    def counts(self) -> dict[str, int]:
        """Number of occurrences of each value, the most frequent first."""
        return dict(Counter(self._present).most_common())

    @property
    def is_numeric(self) -> bool:
        """True if the phenotype is an amount rather than a category."""
        return self.numbers is not None and len(self.counts) > _FEW

    def described(self) -> str:
        """Describe it in a few words.

        >>> Phenotype('age', ('20', '31.5', '', '44')).described()
        '20 to 44, mean 31.8, SD 12'
        >>> Phenotype('sex', ('F', 'M', 'F')).described()
        'F 2, M 1'
        """
        if self.is_numeric and self.numbers is not None:
            low, high = self.numbers.min() + 0, self.numbers.max() + 0  # no -0
            # In units of the largest: squares of greater numbers than 1e154 are infinite.
            unit = abs(self.numbers).max() or 1.0
            mean = (self.numbers / unit).mean() * unit
            spread = (self.numbers / unit).std(ddof=1) * unit
            return f'{low:g} to {high:g}, mean {mean:.3g}, SD {spread:.3g}'
        shown = [f'{shortened(value, _LONGEST)} {often}' for value, often in self.counts.items()]
        more = f' and {len(shown) - 6} more' if len(shown) > 6 else ''
        return ', '.join(shown[:6]) + more or 'nothing'

    @property
    def _present(self) -> tuple[str, ...]:
        return tuple(text for text in self.texts if text not in MISSING)


def shortened(text: str, most: int) -> str:
    """Cut a text to so many letters.

    >>> shortened('kindergarten', 8)
    'kinderg…'
    """
    return text if len(text) <= most else f'{text[: most - 1]}…'


def phenotype_frame(outputs: Sequence[Output]) -> pd.DataFrame:
    """Return the phenotypes of everybody in some files.

    Returns
    -------
    pandas.DataFrame
        A row per participant or visit, named by its index; text, blank where there is no value.
    """
    known: dict[str, dict[str, str]] = {}
    names = shared_names(outputs)
    for output in outputs:
        own = set(OWN_COLUMNS)
        for name, row in zip(names[output.key], output.cohort.rows, strict=True):
            said = {column: text for column, text in row.items() if column not in own}
            known[name] = said | known.get(name, {})
    frame = pd.DataFrame.from_dict(known, orient='index', dtype=object).fillna('')
    return frame.mask(frame.isin(MISSING), '')


def phenotypes_of(outputs: Sequence[Output]) -> list[Phenotype]:
    """Return those of everybody in some files, each person or visit once."""
    frame = phenotype_frame(outputs)
    return [Phenotype(str(column), tuple(frame[column])) for column in frame]


def repeated_measures(outputs: Sequence[Output]) -> list[str]:
    """Return a sentence on each file with several images of one participant."""
    return [f'{said}.' for output in outputs if (said := said_of_repeats(output.cohort))]
