"""What was found in a file."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from modelarrayio_bids.store.validation.rules import Rule, Severity


@dataclass(frozen=True)
class Finding:
    """A breach of a rule.

    Parameters
    ----------
    rule : Rule
        Which one.
    where : str
        Path in the file, or the name of the cohort's CSV.
    found : str
        What is there.
    """

    rule: Rule
    where: str
    found: str


def is_valid(findings: Iterable[Finding]) -> bool:
    """Whether none of them is an error."""
    return all(finding.rule.severity != Severity.ERROR for finding in findings)
