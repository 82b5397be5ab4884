"""What holds for every kind of model. A kind's tests inherit it and name the kind and a formula."""

import json
from dataclasses import asdict

import numpy as np
import pandas as pd
from models.fitting import fit_all

from modelarrayio_bids.derivatives.outputs.statmaps import ResultName, statistics
from modelarrayio_bids.models.base import Outcome, counted, result_names
from modelarrayio_bids.models.design import design
from modelarrayio_bids.models.formula.terms import Terms
from modelarrayio_bids.models.kinds import KINDS, kind_of
from modelarrayio_bids.models.options import ModelOptions

PEOPLE, VISITS, ELEMENTS = 16, 2, 24


def table():
    """Two images of each of some people."""
    rng = np.random.default_rng(3)
    who = np.repeat(np.arange(PEOPLE), VISITS)
    return pd.DataFrame({
        'participant_id': [f'sub-{one:02d}' for one in who],
        'age': (rng.uniform(10, 60, PEOPLE)[who] + np.arange(len(who)) % VISITS).round(1),
        'sex': rng.choice(['F', 'M'], PEOPLE)[who],
    })  # fmt: skip


def responses():
    """Noise with missing images; elements 0 and 1 have none, and the same everywhere."""
    rng = np.random.default_rng(4)
    y = rng.normal(size=(PEOPLE, ELEMENTS)).repeat(VISITS, axis=0)
    y += rng.normal(size=y.shape)
    y[rng.random(y.shape) < 0.1] = np.nan
    y[:, 0], y[:, 1] = np.nan, 7
    return y


class KindContract:
    """Tests of a kind of model."""

    #: Its name, and a formula that it fits to :func:`table`.
    name: str
    formula: str

    def make_model(self, **options):
        options = {'num_subj_lthr_abs': 5, **options}
        if not KINDS[self.name].notation:
            options['method'] = self.name
        kind = kind_of(Terms.of(self.formula), options.get('method', ''))
        assert kind is KINDS[self.name]
        return kind.build(design(self.formula, table().astype(str), ['y']), ModelOptions(**options))

    def test_words_are_lines(self):
        kind = KINDS[self.name]
        assert kind.name == self.name
        for text in (kind.name, kind.noun, kind.help, *kind.own_statistics.values()):
            assert text.strip() == text
            assert len(text.splitlines()) == 1

    def test_default_statistics_are_among_its_own(self):
        kind = KINDS[self.name]
        assert {*kind.default_term_statistics} <= {*kind.term_statistics}
        assert {*kind.default_model_statistics} <= {*kind.model_statistics}
        known = statistics()
        assert {*kind.term_statistics, *kind.model_statistics} <= known.keys()

    def test_every_result_has_a_statistic_that_sidecars_know(self):
        model = self.make_model(full_outputs=True)
        known = {**statistics(), 'p.value': ''}
        assert [name for name in model.columns if ResultName.of(name).statistic not in known] == []
        assert len({*result_names(model)}) == len(result_names(model))
        assert all(raw in model.columns for raw, _ in model.corrections)

    def test_what_it_says_of_itself_can_be_kept_in_a_file(self):
        model = self.make_model()
        said = {name: asdict(tested) for name, tested in model.tested.items()}
        assert json.loads(json.dumps(said)) == said
        for name in model.tested:
            is_about = [column for column in model.columns if column.startswith(f'{name}.')]
            assert is_about or name == 'model', name
        assert {*model.summarised} <= {*model.columns}
        assert all(': ' in line and '\n' not in line for line in model.described())

    def test_elements_without_values_are_counted_and_have_no_results(self):
        model = self.make_model(full_outputs=True)
        values, outcomes = fit_all(model, responses())
        assert outcomes[:2].tolist() == [Outcome.TOO_FEW_IMAGES, Outcome.CONSTANT_RESPONSE]
        assert np.isnan(values[1:, :2]).all()
        assert counted(outcomes, model.reasons)['too few images'] == 1
        assert {*outcomes.tolist()} <= {Outcome.FITTED, *model.reasons}

    def test_blocks_and_threads_change_nothing(self):
        model = self.make_model(full_outputs=True)
        whole, outcomes = fit_all(model, responses())
        for how in ({'block': 7}, {'block': 5, 'threads': 2}):
            values, others = fit_all(model, responses(), **how)
            np.testing.assert_allclose(values, whole, rtol=1e-6, atol=1e-9)
            np.testing.assert_array_equal(others, outcomes)

    def test_a_block_has_a_row_for_each_result(self):
        model = self.make_model()
        block = model.fit(responses().astype('f4'), {})
        found = block.values  # noqa: PD011 - no table
        assert (found.shape, found.dtype) == ((len(model.columns), ELEMENTS), np.float64)
        assert block.outcomes.shape == (ELEMENTS,)
