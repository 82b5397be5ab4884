"""R scripts that fit a first model to the files of the group level.

A script is ready to run and meant to be changed: it lists the phenotypes, and says why age or sex
is not a term. Its first line has a checksum of the others, so that edited scripts are
recognised and never replaced.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import chain
from itertools import count as number_from
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelarrayio_bids.cohort import MASK, MASK_SOURCE, SCALAR, SOURCE, Cohort
from modelarrayio_bids.derivatives.bids.output_names import sidecar
from modelarrayio_bids.derivatives.cohorts.columns import PARTICIPANT, read_dictionary
from modelarrayio_bids.derivatives.rscripts.model import Column, Model
from modelarrayio_bids.derivatives.rscripts.next_steps import export_command, fit_command
from modelarrayio_bids.errors import CohortError, OutputError
from modelarrayio_bids.models.r_numbers import r_number
from modelarrayio_bids.runtime.atomic import replacing
from modelarrayio_bids.runtime.data_files import templates
from modelarrayio_bids.runtime.text_format import some
from modelarrayio_bids.store.schema import in_formula

if TYPE_CHECKING:
    from jinja2 import Template

logger = logging.getLogger(__name__)

# Columns that are not phenotypes.
_NOT_LISTED = frozenset({SCALAR, SOURCE, MASK, MASK_SOURCE, PARTICIPANT})
_MARK = '# modelarrayio-bids sha256 '
_LONGEST = 60


@dataclass(frozen=True)
class FitScript:
    """An R script that fits a first model, and the files it is made for.

    Parameters
    ----------
    bids_dir, output_dir : pathlib.Path
        Folders of the run.
    cohort_file, store_file : pathlib.Path
        Files of one scalar. They may move together with their output folder.
    n_cores : int
        Cores that R may use.
    """

    bids_dir: Path
    output_dir: Path
    cohort_file: Path
    store_file: Path
    n_cores: int = 1

    def write(self, path: Path) -> Path:
        """Write the script; next to the existing one, if that was edited.

        Returns
        -------
        pathlib.Path
            The script that says what this one says: another than ``path`` if that was changed.

        Raises
        ------
        OutputError
            If it cannot be written.
        """
        written = _write_unless_changed(path, self.text(path))
        if written != path:
            logger.warning('%s was changed and is kept; that of this run is %s', path, written)
        return written

    def text(self, path: Path) -> str:
        """Return the script but for its first line.

        Raises
        ------
        FormatError, CohortError
            If the cohort cannot be read, or is of several scalars.
        """
        cohort = Cohort.from_csv(self.cohort_file)
        columns = columns_of(cohort, read_dictionary(sidecar(self.cohort_file)))
        model = _suggested(cohort, columns)
        if len(cohort.scalars) > 1:
            raise CohortError(
                f'is of several scalars ({", ".join(cohort.scalars)}), and a script fits one',
                self.cohort_file,
                'Give a cohort of each.',
            )
        return _template().render(
            scalar=cohort.scalars[0],
            model=model,
            formula=model.formula(cohort.scalars[0]),
            columns=columns,
            factors=[
                column
                for column in columns
                if column.is_factor and (column.codes or column in model.terms)
            ],
            store=os.path.relpath(self.store_file, self.output_dir),
            cohort=os.path.relpath(self.cohort_file, self.output_dir),
            made_in=str(self.output_dir),
            n_cores=self.n_cores,
            participant=PARTICIPANT,
            fit_command=fit_command(self.output_dir, [path]),
            export_command=export_command(self.bids_dir, self.output_dir),
        )


def suggested_formula(cohort: Cohort, dictionary: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the formula that the script of a cohort of one scalar has.

    Parameters
    ----------
    cohort : Cohort
        As the group level writes it.
    dictionary : mapping
        Its sidecar: column to what is known of it, ``Levels`` for instance.

    Examples
    --------
    >>> row = {'scalar_name': 'cbf', 'source_file': '1.nii', 'age': '20'}
    >>> suggested_formula(Cohort.from_rows([row]), {})
    'cbf ~ 1'
    """
    return _suggested(cohort, columns_of(cohort, dictionary)).formula(cohort.scalars[0])


def _suggested(cohort: Cohort, columns: Iterable[Column]) -> Model:
    participants = [row.get(PARTICIPANT, row[SOURCE]) for row in cohort.rows]
    return Model.suggested(columns, participants)


def columns_of(cohort: Cohort, dictionary: Mapping[str, Mapping[str, Any]]) -> list[Column]:
    """Return the phenotypes of a cohort of one scalar.

    Parameters
    ----------
    cohort : Cohort
        As the group level writes it.
    dictionary : mapping
        Its sidecar: column to what is known of it, ``Levels`` for instance.
    """
    columns = []
    for name in cohort.columns:
        if name not in _NOT_LISTED:
            levels = dictionary.get(name, {}).get('Levels')
            codes = tuple(map(str, levels)) if isinstance(levels, Mapping) else ()
            columns.append(Column(name, _texts(cohort, name), codes))
    return columns


def _texts(cohort: Cohort, name: str) -> tuple[str, ...]:
    """Return the cells of a column, blank where the template has R read them as missing."""
    texts = tuple(map(itemgetter(name), cohort.rows))
    return tuple('' if text == 'NA' else text for text in texts) if 'NA' in texts else texts


def r_text(text: str) -> str:
    r"""Return a string of R in ASCII alone: in every locale it equals what R read as UTF-8.

    >>> print(r_text('gr\u00fcn "a\\b"'))
    "gr\u00fcn \"a\\b\""
    """
    return re.sub(r'[^ -~]', _code_point, r_path(text))


def r_path(text: str) -> str:
    r"""Return a string of R that names a file: its bytes as they are, whatever the locale.

    >>> print(r_path('/a "b"/c\n'))
    "/a \"b\"/c\n"
    """
    # R has JSON's escapes, but for signs beyond 16 bits in halves.
    return json.dumps(text, ensure_ascii=False)


def _code_point(found: re.Match[str]) -> str:
    number = ord(found[0])
    return f'\\u{number:04x}' if number < 2**16 else f'\\U{number:08x}'


@cache
def _template() -> Template:
    texts = {'r_text': r_text, 'r_path': r_path, 'one_line': _on_one_line}
    found = templates(**texts, in_formula=in_formula, values_of=_values_of)
    return found.get_template('fit.R.j2')


def _values_of(column: Column) -> str:
    if not column.counts:
        return 'no values'
    if column.numbers is not None:
        texts = sorted(column.counts, key=lambda text: r_number(text) or 0)
        return f'numbers, {_on_one_line(texts[0])} to {_on_one_line(texts[-1])}'
    levels = (f'{_level(text)} ({column.counts[text]})' for text in column.levels)
    return some(levels, most=10)


def _level(text: str) -> str:
    r"""Return a level for a comment: as R writes it, where it has blanks that would not show.

    >>> print(_level('a b'), _level(' a'), _level('a\n'))
    a b " a" "a\n"
    """
    shown = text if len(text) <= _LONGEST else f'{text[: _LONGEST - 1]}…'
    return shown if _on_one_line(shown) == shown else r_text(shown)


def _on_one_line(text: str) -> str:
    """Return text on one line: a comment must not end before its end."""
    return ' '.join(''.join(sign if sign.isprintable() else ' ' for sign in text).split())


def _write_unless_changed(path: Path, text: str) -> Path:
    """Write a text under the first name that is not in use by an edited file."""
    digest = _digest(_bytes(text))
    # No glob for the first name finds the others, which would have the same results.
    others = (path.with_name(f'new{number}_{path.name}') for number in chain([''], number_from(2)))
    for candidate in chain([path], others):
        there = _read(candidate)
        if there is not None and _mark(there) != _digest(there.partition(b'\n')[2]):
            if _mark(there) == digest:
                logger.info('Kept, because it was edited: %s', candidate)
                return candidate
            continue
        with replacing(candidate, if_other=True) as partial:
            partial.write_bytes(_bytes(f'{_MARK}{digest}\n{text}'))
        return candidate
    raise AssertionError('names do not end')


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise OutputError.from_os_error(error, path) from error


def _mark(there: bytes) -> str:
    """Return the digest that a script was written with; blank if the line was removed."""
    first, _, _ = there.partition(b'\n')
    found = re.fullmatch(rf'{_MARK}([0-9a-f]{{64}})', first.decode(errors='replace').strip())
    return found[1] if found else ''


def _digest(text: bytes) -> str:
    return hashlib.sha256(text).hexdigest()


def _bytes(text: str) -> bytes:
    # The names of files need not be UTF-8.
    return text.encode('utf-8', 'surrogateescape')
