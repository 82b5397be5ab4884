"""``modelarrayio validate``: whether R can use an HDF5 file, rule by rule."""

from __future__ import annotations

import argparse
import json
import textwrap
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelarrayio_bids.cli.options import command, disk_path
from modelarrayio_bids.errors import EXIT_DATA

if TYPE_CHECKING:
    from modelarrayio_bids.store.validation import Finding

_EXAMPLES = """examples:
  modelarrayio validate FA.h5
  modelarrayio validate FA.h5 --cohort-file cohort_FA.csv
"""
_WIDTH = 100


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
    if options.json:
        document = _document(options.file, findings, valid=is_valid(findings))
        print(json.dumps(document, indent=2, ensure_ascii=False))
    else:
        print('\n'.join(_lines(options.file, findings)))
    return 0 if is_valid(findings) else EXIT_DATA


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


def _lines(file: Path, findings: Sequence[Finding]) -> Iterator[str]:
    for finding in findings:
        rule = finding.rule
        yield f'{rule.severity.upper()} [{rule.id}] {finding.where} {finding.found}'
        for what, text in (('Asked', rule.asks), ('In R', rule.in_r), ('To do', rule.remedy)):
            yield textwrap.fill(f'  {what:7}{text}', _WIDTH, subsequent_indent=' ' * 9)
        yield ''
    yield f'{file}: {_summary(findings)}'


def _summary(findings: Sequence[Finding]) -> str:
    """Return the verdict and the number of findings by severity."""
    from modelarrayio_bids.store.validation import Severity, is_valid

    counts = Counter(finding.rule.severity for finding in findings)
    parts = [
        f'{counts[severity]} {severity}{"" if counts[severity] == 1 else "s"}'
        for severity in Severity
        if counts[severity]
    ]
    verdict = 'ModelArray can use it' if is_valid(findings) else 'ModelArray cannot use it'
    return f'{verdict} ({", ".join(parts) or "no problems found"})'
