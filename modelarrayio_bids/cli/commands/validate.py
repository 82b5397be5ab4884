"""``modelarrayio validate``: whether R can use an HDF5 file, rule by rule."""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelarrayio_bids.cli.options import command, disk_path
from modelarrayio_bids.errors import EXIT_DATA
from modelarrayio_bids.runtime.text_format import count

if TYPE_CHECKING:
    from modelarrayio_bids.store.validation import Finding

_EXAMPLES = """examples:
  modelarrayio validate FA.h5
  modelarrayio validate FA.h5 --cohort-file cohort_FA.csv
"""


def add_command(commands: argparse._SubParsersAction) -> None:
    """Add the command to a parser."""
    parser = command(
        *(commands, validate),
        help='check whether R can use an HDF5 file',
        description='Check an HDF5 file, whichever program made it, against every rule of '
        "ModelArray's format, and explain the effect of each violation in R. Values are not read. "
        'The exit code is 65 if there are errors, otherwise 0.',
        epilog=_EXAMPLES,
    )
    parser.add('file', type=disk_path, metavar='FILE', help='the HDF5 file')
    parser.add_path(
        '--cohort-file', metavar='CSV', common=True, help='also compare the file with this cohort'
    )
    parser.add_json()
    parser.add_log_level()


def validate(options: argparse.Namespace) -> int:
    """Run the command."""
    from functools import partial

    from modelarrayio_bids.runtime.isolation import read_alone
    from modelarrayio_bids.spaces.stored import validate as findings_in
    from modelarrayio_bids.store.validation import is_valid

    findings = read_alone(partial(findings_in, cohort_file=options.cohort_file), options.file)
    valid = is_valid(findings)
    if options.json:
        document = _document(options.file, findings, valid=valid)
        print(json.dumps(document, indent=2, ensure_ascii=False))
    else:
        print(_text(options.file, findings, valid=valid))
    return 0 if valid else EXIT_DATA


def _document(file: Path, findings: Sequence[Finding], *, valid: bool) -> dict[str, Any]:
    """Return what ``--json`` shows."""
    listed = [
        {
            'rule': finding.rule.id,
            'severity': finding.rule.severity,
            'where': finding.where,
            'found': finding.found,
            'asks': finding.rule.asks,
            'in_r': finding.rule.in_r,
            'remedy': finding.rule.remedy,
        }
        for finding in findings
    ]
    return {'path': str(file), 'valid': valid, 'findings': listed}


def _text(file: Path, findings: Sequence[Finding], *, valid: bool) -> str:
    from modelarrayio_bids.cli.terminal_text import terminal_text
    from modelarrayio_bids.store.validation import Severity

    counts = Counter(finding.rule.severity for finding in findings)
    numbers = [count(counts[severity], severity) for severity in Severity if counts[severity]]
    return terminal_text('validate', file=file, findings=findings, valid=valid, numbers=numbers)
