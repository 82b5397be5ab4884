"""Models that a file asks for, each with a name and a formula.

A TOML file lists them::

    [[model]]
    name = "age_by_sex"
    formula = "~ age * sex"
    scalars = ["cbf", "dki_*"]              # names or patterns; without it, every scalar
    anova = true

    [model.contrasts]
    age_in_M = "age + age:sexM"

Further keys are those of the command line, with ``_``: ``f_tests`` (a table, as ``contrasts``),
``method``, ``weights``, ``effect_sizes``, ``var_terms``, ``var_model``, ``full_outputs``,
``correct_p_value_terms``, ``correct_p_value_model``, ``num_subj_lthr_abs``, ``num_subj_lthr_rel``,
``permutations``, ``seed``, ``exchangeability``, ``shuffle`` and ``allow_repeated``.

A JSON file is a BIDS Stats Model: see :mod:`~.stats_models`.
"""

from __future__ import annotations

import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from modelarrayio_bids.derivatives.bids.json_files import parse_file, parse_json
from modelarrayio_bids.derivatives.model_files.stats_models import (
    CohortColumns,
    ModelNode,
    nodes_of,
)
from modelarrayio_bids.derivatives.recipes.schema_faults import Fault, key_path, schema_faults
from modelarrayio_bids.errors import ModelArrayIOError, ModelFileError, SchemaError, raise_problems
from modelarrayio_bids.models.formula.terms import Terms
from modelarrayio_bids.models.kinds import ModelKind, kind_of
from modelarrayio_bids.models.options import ModelOptions
from modelarrayio_bids.runtime.data_files import data_table
from modelarrayio_bids.store.schema import check_analysis_name

_SHOW_FORM = 'docs/models.md shows the form.'
_OPTIONS = frozenset(each.name for each in fields(ModelOptions))


@dataclass(frozen=True)
class FormulaModel:
    """A model that is asked for by a formula.

    Parameters
    ----------
    name : str
        Name of the analysis.
    formula : str or None
        The model in R's words; None for the one that the R script of each cohort proposes.
    scalars : tuple of str
        Names or patterns of scalars; empty for all.
    settings : dict
        Options of the model: of ``ModelOptions``, ``weights``, ``allow_repeated``.
    """

    name: str
    formula: str | None
    scalars: tuple[str, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)

    def takes(self, scalar: str) -> bool:
        """Return whether the model is of this scalar: one it names, or the formula's left side."""
        patterns = self.scalars or (Terms.of(self.formula or '').response or '*',)
        return any(fnmatchcase(scalar, pattern) for pattern in patterns)

    def formula_for(self, columns: CohortColumns) -> str | None:
        """Return the formula, whose left side may lack."""
        return self.formula

    def settings_for(self, columns: CohortColumns) -> dict[str, Any]:
        """Return the options."""
        return dict(self.settings)


ModelRequest = FormulaModel | ModelNode


def read_models(path: Path) -> list[ModelRequest]:
    """Read the models that a file asks for, in its order.

    Parameters
    ----------
    path : pathlib.Path
        TOML, or a BIDS Stats Model by the ending ``.json``.

    Raises
    ------
    SourceNotFoundError
        If there is no such file.
    FormatError
        If it is not TOML or JSON.
    ModelFileError
        If it says what is not understood: the key, what, and what is allowed.
    CohortProblemsError
        If several things are wrong with it.
    """
    models: Sequence[ModelRequest]
    if path.suffix.lower() == '.json':
        content = parse_json(path)
        _check(content, 'stats_model.schema.json', path)
        models, problems = nodes_of(content, path), []
    else:
        content = parse_file(path, tomllib.loads, 'TOML')
        _check(content, 'models.schema.json', path)
        formulas = [*map(_of_table, content['model'])]
        models, problems = formulas, [*_problems(formulas, path)]
    raise_problems([*problems, *_name_problems(models, path)])
    return list(models)


def _check(content: Any, schema: str, path: Path) -> None:
    faults = [*schema_faults(content, data_table(schema))]
    # A key that is lacking is often one that was misspelt.
    faults.sort(key=lambda fault: fault.is_lacking)
    raise_problems([_error(fault, content, path) for fault in faults])


def _error(fault: Fault, content: Any, path: Path) -> ModelFileError:
    place = key_path(fault.keys)
    named = _entry_name(fault.keys, content)
    where = f'{place}{named}: ' if place else ''
    return ModelFileError(f'{where}{fault.what}', path, fault.allowed or _SHOW_FORM)


def _entry_name(keys: Sequence[str | int], content: Any) -> str:
    """Return the name of the model or node that keys lead into, as far as it has one."""
    try:
        entry = content[keys[0]][keys[1]]
        return f' ({entry.get("name") or entry["Name"]})'
    except (LookupError, TypeError, AttributeError):
        return ''


def _of_table(table: Mapping[str, Any]) -> FormulaModel:
    own = {
        key: tuple(value) if isinstance(value, list) else value
        for key, value in table.items()
        if key not in {'name', 'formula', 'scalars'}
    }
    if 'var_terms' in own or 'var_model' in own:
        own.setdefault('full_outputs', False)
    return FormulaModel(table['name'], table['formula'], tuple(table.get('scalars', ())), own)


def _problems(models: Sequence[FormulaModel], path: Path) -> Iterator[ModelFileError]:
    """Yield what can be told to be wrong without a cohort."""
    for model in models:
        for check in (_kind_of, _options_of):
            try:
                check(model)
            except ModelArrayIOError as error:
                place = f'model {model.name}' + ', formula' * (check is _kind_of)
                yield ModelFileError(f'{place}: {error.what}', path, error.remedy)
                break


def _kind_of(model: FormulaModel) -> ModelKind:
    return kind_of(Terms.of(model.formula or ''), model.settings.get('method', ''))


def _options_of(model: FormulaModel) -> ModelOptions:
    own = {name: value for name, value in model.settings.items() if name in _OPTIONS}
    return _kind_of(model).settled(ModelOptions(**own))


def _name_problems(models: Sequence[ModelRequest], path: Path) -> Iterator[ModelFileError]:
    for model in models:
        try:
            check_analysis_name(model.name)
        except SchemaError as error:
            yield ModelFileError(error.what, path, error.remedy)
    for name, times in Counter(model.name for model in models).items():
        if times > 1:
            what = f'{times} models are called {name}'
            yield ModelFileError(what, path, 'Give each a name of its own.')
