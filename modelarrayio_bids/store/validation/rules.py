"""Rules on a file for ModelArray, as ``data/validation_rules.toml`` lists them, and breaches."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from importlib.resources import files


class Severity(StrEnum):
    """Severity of a breach."""

    #: R cannot open it, takes it for something else, or results lose their places.
    ERROR = 'error'
    #: R copes: slowly, with complaints, or this version of it does.
    WARNING = 'warning'
    #: Worth knowing, and maybe as it is meant to be.
    NOTE = 'note'


@dataclass(frozen=True)
class Rule:
    """A rule.

    Parameters
    ----------
    id : str
        Its name, which stays.
    severity : Severity
        Severity of a violation.
    asks : str
        Requirement that a file has to meet.
    in_r : str
        Effect of a breach in R: sentences.
    remedy : str
        Suggested action, in sentences.
    """

    id: str
    severity: Severity
    asks: str
    in_r: str
    remedy: str

    @classmethod
    def from_table(cls, name: str, table: Mapping[str, str]) -> Rule:
        """Make a rule of its table in the data file, whose line breaks count as blanks."""
        texts = {key: ' '.join(text.split()) for key, text in table.items()}
        return cls(name, Severity(texts.pop('severity')), **texts)


#: All of them by id, in the order of the data file.
RULES = {
    name: Rule.from_table(name, table)
    for name, table in tomllib.loads(
        files('modelarrayio_bids').joinpath('data', 'validation_rules.toml').read_text('utf-8')
    ).items()
}


@dataclass(frozen=True)
class Finding:
    """A breach of a rule.

    Parameters
    ----------
    id : str
        Id of the rule.
    where : str
        Path in the file, or the name of the cohort's CSV.
    found : str
        Description of what was found.
    """

    id: str
    where: str
    found: str

    @property
    def rule(self) -> Rule:
        """The rule."""
        return RULES[self.id]


def is_valid(findings: Iterable[Finding]) -> bool:
    """Return whether none of the findings is an error."""
    return all(finding.rule.severity != Severity.ERROR for finding in findings)
