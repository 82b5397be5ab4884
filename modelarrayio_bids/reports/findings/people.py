"""Who is in the files and who is not, and why; and what is known of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from modelarrayio_bids.derivatives.cohorts.phenotypes import OWN_COLUMNS
from modelarrayio_bids.derivatives.cohorts.r_numbers import r_number
from modelarrayio_bids.formats.tables import MISSING
from modelarrayio_bids.reports.findings.output_folder import Output

#: Why somebody is not in a file, where nobody said.
NO_IMAGE = 'no image'
#: A column of whole numbers with as few values as this is of categories as likely as of amounts.
_FEW = 2
# Letters of a category in a table.
_LONGEST = 40


@dataclass(frozen=True)
class Availability:
    """Whose images are in which file.

    Parameters
    ----------
    people : tuple of str
        Everybody with an image or a row in a table, as ``sub-01 ses-2``.
    outputs : tuple of Output
        The files.
    reasons : dict
        Of those who are not in a file, by output's key and person: why.
    """

    people: tuple[str, ...]
    outputs: tuple[Output, ...]
    reasons: Mapping[str, Mapping[str, str]]

    @classmethod
    def of(cls, outputs: Sequence[Output]) -> Availability:
        """That of some files."""
        people = {name for output in outputs for name in output.names}
        reasons = {output.key: dict(_reasons(output)) for output in outputs}
        people.update(name for known in reasons.values() for name in known)
        return cls(tuple(sorted(people)), tuple(outputs), reasons)

    @cached_property
    def matrix(self) -> np.ndarray:
        """(n_outputs, n_people) bool."""
        inside = [frozenset(output.names) for output in self.outputs]
        return np.array([[name in names for name in self.people] for names in inside], bool)

    @property
    def labels(self) -> tuple[str, ...]:
        """Of the files: their scalars, with what tells them apart where one has several files."""
        often = Counter(output.scalar for output in self.outputs)
        return tuple(
            output.scalar if often[output.scalar] == 1 else _told_apart(output)
            for output in self.outputs
        )

    @property
    def complete(self) -> int:
        """How many are in every file."""
        return int(self.matrix.all(axis=0).sum())

    def why_not(self, output: Output, person: str) -> str:
        """Why somebody is not in a file."""
        return self.reasons[output.key].get(person, NO_IMAGE)

    def absent(self, output: Output) -> dict[str, list[str]]:
        """Those who are not in a file, by the reason, the commonest first."""
        inside = frozenset(output.names)
        found: dict[str, list[str]] = {}
        for person in self.people:
            if person not in inside:
                found.setdefault(self.why_not(output, person), []).append(person)
        return dict(sorted(found.items(), key=lambda pair: -len(pair[1])))

    def rows(self) -> Iterator[dict[str, str]]:
        """A table of people: a column per file, ``yes`` or why not."""
        for column, person in enumerate(self.people):
            present = self.matrix[:, column]
            yield {'participant': person} | {
                output.key: 'yes' if there else self.why_not(output, person)
                for output, there in zip(self.outputs, present, strict=True)
            }


def _told_apart(output: Output) -> str:
    """``cbf (space-MNI152NLin6Asym)``, after the folders of several runs."""
    apart = ' '.join(filter(None, (*output.folders[:-1], output.files.stem.replace('_', ' '))))
    return f'{output.scalar} ({apart})' if apart else output.scalar


def _reasons(output: Output) -> Iterator[tuple[str, str]]:
    """Who is known to be not in a file, and why."""
    inside = frozenset(output.names)
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
        """The values that are there, float64, if all of them are finite numbers."""
        found = [r_number(text) for text in self._present]
        if not found or None in found:
            return None
        values = np.array(found, np.float64)
        return values if np.isfinite(values).all() else None

    @property
    def n_missing(self) -> int:
        """How many have none."""
        return len(self.texts) - len(self._present)

    @cached_property
    def counts(self) -> dict[str, int]:
        """How often each value stands, the commonest first."""
        return dict(Counter(self._present).most_common())

    @property
    def is_numeric(self) -> bool:
        """Whether it is an amount rather than a category."""
        return self.numbers is not None and len(self.counts) > _FEW

    def described(self) -> str:
        """In a few words.

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
        shown = [f'{shortened(value, _LONGEST)} {count}' for value, count in self.counts.items()]
        more = f' and {len(shown) - 6} more' if len(shown) > 6 else ''
        return ', '.join(shown[:6]) + more or 'nothing'

    @property
    def _present(self) -> tuple[str, ...]:
        return tuple(text for text in self.texts if text not in MISSING)


def shortened(text: str, most: int) -> str:
    """A text of so many letters at most.

    >>> shortened('kindergarten', 8)
    'kinderg…'
    """
    return text if len(text) <= most else f'{text[: most - 1]}…'


def phenotypes_of(outputs: Sequence[Output]) -> list[Phenotype]:
    """Those of everybody in some files, each person or visit once."""
    known: dict[str, dict[str, str]] = {}
    for output in outputs:
        own = set(OWN_COLUMNS)
        for name, row in zip(output.names, output.cohort.rows, strict=True):
            said = {column: text for column, text in row.items() if column not in own}
            known[name] = said | known.get(name, {})
    columns = dict.fromkeys(column for said in known.values() for column in said)
    return [
        Phenotype(column, tuple(said.get(column, '') for said in known.values()))
        for column in columns
    ]
