"""The model level: models of the group level's files, by the command line or from a file."""

import json
import shutil
import signal
import subprocess
import sys

import h5py
import nibabel as nb
import numpy as np
import pandas as pd
import pytest
import trees
from folders import bytes_of
from held import Held
from stores import read_results

from modelarrayio_bids.cli.bids_app import main

COMMAND = [sys.executable, '-m', 'modelarrayio_bids.cli.entrypoint']
N = 24
CBF = f'cbf/space-{trees.SPACE}_modelarray.h5'
SCORE = f'cbf_score/space-{trees.SPACE}_modelarray.h5'
SCALARS = ['--scalars', 'cbf', 'cbf_score']


@pytest.fixture(scope='module')
def study(tmp_path_factory):
    return trees.write_asl_study(tmp_path_factory.mktemp('model') / 'study', trees.people(N))


@pytest.fixture(scope='module')
def built(study):
    """What the group level leaves for two scalars."""
    output = study.parent / 'built'
    assert main([str(study), str(output), 'group', *SCALARS, '--no-report']) == 0
    return output


@pytest.fixture
def output(built, tmp_path):
    return shutil.copytree(built, tmp_path / 'out')


@pytest.fixture
def model(study, output, capfd):
    """Run the model level: exit code, standard output, and lines of standard error with errors."""

    def run(*options, level='model'):
        arguments = [str(study), str(output), *level.split(), '--no-report', *map(str, options)]
        code = main(arguments)
        said = capfd.readouterr()
        return code, said.out, said.err[said.err.find('modelarrayio-bids: error: ') :]

    return run


def analyses(output):
    found = {}
    for path in sorted(output.rglob('*_modelarray.h5')):
        with h5py.File(path) as file:
            found[path.parent.name] = sorted(file.get('results', {}))
    return found


def told(path, analysis):
    """What the file says of an analysis."""
    with h5py.File(path) as file:
        return dict(file[f'results/{analysis}/modelarrayio'].attrs)


def same(ones, others):
    return list(ones) == list(others) and all(
        np.array_equal(ones[name], others[name], equal_nan=True) for name in ones
    )


def write_models(folder, text):
    path = folder / 'models.toml'
    path.write_text(text, 'utf-8')
    return path


def test_from_images_to_maps_in_one_command_the_planted_effect_is_found(study, tmp_path):
    # Levels run in their order, however they are given.
    levels = ['export', 'model', 'group']
    options = [*SCALARS[:2], '--formula', '~ age + sex', '--no-report', '--outside', 'nan']
    assert main([str(study), str(tmp_path / 'out'), *levels, *options]) == 0
    (folder,) = (tmp_path / 'out' / 'cbf').glob('*_node-lm')

    def image(name):
        return nb.load(folder / f'{folder.name}_contrast-age_{name}_statmap.nii.gz').get_fdata()

    slope, p = image('stat-effect'), image('stat-p_desc-fdr')
    middle = trees.TEMPLATE.shape[0] // 2
    left, right = (np.isfinite(part).nonzero() for part in (slope[:middle], slope[middle:]))
    # trees.py: EFFECT per year in the left half; 23 ages of standard deviation 11.6 and noise of
    # 0.05 make a standard error of 0.0009.
    assert np.mean(slope[:middle][left]) == pytest.approx(trees.EFFECT, abs=0.0003)
    assert np.mean(slope[middle:][right]) == pytest.approx(0, abs=0.0003)
    assert np.mean(p[:middle][left] < 0.05) > 0.99
    assert np.mean(p[middle:][right] < 0.05) < 0.1


def test_maps_of_the_intercept_for_those_who_ask(study, output):
    words = [str(study), str(output), 'model', '--formula', '~ age', '--scalars', 'cbf']
    assert main([*words, '--no-report']) == 0

    def titles(*options):
        assert main([str(study), str(output), *options]) == 0
        page = (output / 'report.html').read_text('utf-8')
        return [term for term in ('age', 'Intercept') if f'cbf ~ age: {term}' in page]

    assert titles('export') == ['age']
    assert titles('export', '--show-intercept') == ['age', 'Intercept']
    assert titles('export', '--reports-only') == ['age']
    assert titles('export', '--reports-only', '--show-intercept') == ['age', 'Intercept']


def test_without_a_formula_the_model_is_that_of_the_script(output, model):
    assert model()[0] == 0
    log = max((output / 'logs').glob('*.log')).read_text('utf-8')
    assert 'No --formula, so the suggested one is fitted: ~ age + sex\n' in log
    for path in (CBF, SCORE):
        formula = told(output / path, 'lm')['formula']
        (script,) = (output / 'code').glob(f'fit_{path.split("/")[0]}_space*.R')
        assert f'model <- {formula}\n' in script.read_text('utf-8')
    assert told(output / CBF, 'lm')['formula'] == 'cbf ~ age + sex'


MODELS = """
[[model]]
name = "aging"
formula = "~ age"

[[model]]
name = "both"
formula = "~ age * sex"
scalars = ["*_score"]
anova = true
effect_sizes = true
var_terms = ["estimate", "std.error"]
correct_p_value_model = ["bonferroni"]
num_subj_lthr_abs = 12
contrasts = { age_in_M = "age + age:sexM" }
f_tests = { sex_at_all = "sex + age:sex" }

[[model]]
name = "one"
formula = "cbf ~ site"
full_outputs = true
"""


def test_several_models_from_a_file(output, model, tmp_path):
    file = write_models(tmp_path, MODELS)
    code, said, _ = model('--model', file, '--num-subj-lthr-rel', '0.3')
    assert code == 0
    assert 'Fitted 4 models in ' in said
    assert analyses(output) == {'cbf': ['aging', 'one'], 'cbf_score': ['aging', 'both']}
    both = told(output / SCORE, 'both')
    assert both['formula'] == 'cbf_score ~ age * sex'
    asked = json.loads(both['model'])
    # What a model does not say is as the command line has it.
    assert (asked['num_subj_lthr_abs'], asked['num_subj_lthr_rel']) == (12, 0.3)
    names = set(read_results(output / SCORE, 'both'))
    assert {'age_in_M.std.error', 'sex_at_all.statistic', 'age:sex.anova.p.value'} <= names
    assert {'sexM.partial.rsq', 'model.p.value.bonferroni'} <= names
    assert 'model.logLik' in read_results(output / CBF, 'one')


def test_models_of_a_file_are_those_of_the_command_line(output, model, tmp_path):
    file = write_models(tmp_path, MODELS)
    assert model('--model', file, '--analysis-name', 'aging')[0] == 0
    assert analyses(output) == {'cbf': ['aging'], 'cbf_score': ['aging']}
    assert model('--formula', '~ age')[0] == 0
    assert same(read_results(output / CBF, 'aging'), read_results(output / CBF, 'lm'))


def stats_model(x, instructions, **more):
    node = {
        'Level': 'Dataset',
        'Name': 'bids',
        'GroupBy': ['contrast'],
        'Model': {'Type': 'glm', 'X': x},
        'Transformations': {'Transformer': 'pybids-transforms-v1', 'Instructions': instructions},
    }
    return {'Name': 'study', 'BIDSModelVersion': '1.0.0', 'Nodes': [node | more]}


def write_stats_model(folder, content):
    path = folder / 'study_smdl.json'
    path.write_text(json.dumps(content), 'utf-8')
    return path


FACTORS = [{'Name': 'Factor', 'Input': ['sex', 'site']}]


def test_a_bids_stats_model_says_the_same_as_a_formula(output, model, tmp_path):
    contrasts = [
        {'Name': 'sites', 'ConditionList': ['site.site2', 'site.site3'],
         'Weights': ['1/2', -0.5], 'Test': 't'},
        {'Name': 'site', 'ConditionList': ['site.site2', 'site.site3'],
         'Weights': [[1, 0], [0, 1]], 'Test': 'F'},
    ]  # fmt: skip
    content = stats_model(
        [1, 'age', 'sex.M', 'site.site2', 'site.site3'],
        FACTORS,
        Contrasts=contrasts,
        DummyContrasts={'Contrasts': ['sex.M', 'age'], 'Test': 't'},
    )
    file = write_stats_model(tmp_path, content)
    assert model('--model', file, *SCALARS[:2])[0] == 0
    options = ['--contrast', 'sites=0.5*sitesite2 - 0.5*sitesite3', '--f-test', 'site=site']
    assert model('--formula', '~ age + sex + site', *options, *SCALARS[:2])[0] == 0
    ours, theirs = read_results(output / CBF, 'lm'), read_results(output / CBF, 'bids')
    # A dummy contrast has its own name; that of age is the coefficient's.
    assert set(theirs) - set(ours) == {
        f'sex.M.{s}' for s in ('estimate', 'std.error', 'statistic', 'p.value', 'p.value.fdr')
    }
    for name in ours:
        np.testing.assert_allclose(theirs[name], ours[name], rtol=1e-8, atol=1e-12)
    np.testing.assert_array_equal(theirs['sex.M.estimate'], theirs['sexM.estimate'])


@pytest.mark.parametrize(
    ('x', 'instructions', 'formula'),
    [
        ([1, 'age'], [], '~ 1 + age'),
        (['age'], [], '~ 0 + age'),
        ([1, 'sex.F'], FACTORS, '~ 1 + relevel(factor(sex), "M")'),
        (['age', 'sex.*'], FACTORS, '~ 0 + sex + age'),
        (
            [1, 'site_site3', 'site_site2'],
            [{'Name': 'Dummy', 'Input': 'site', 'Sep': '_'}],
            '~ 1 + site',
        ),
        (
            [1, 'site.*'],
            [{'Name': 'Factor', 'Input': ['site'], 'Constraint': 'drop_one'}],
            '~ 1 + site',
        ),
        (
            [1, 'site.*'],
            [{'Name': 'Factor', 'Input': ['site'], 'RefLevel': 'site2'}],
            '~ 1 + relevel(factor(site), "site2")',
        ),
    ],
)  # fmt: skip
def test_columns_of_a_stats_model(model, tmp_path, x, instructions, formula):
    file = write_stats_model(tmp_path, stats_model(x, instructions))
    code, said, _ = model('--model', file, '--dry-run', *SCALARS[:2])
    assert code == 0
    assert f'  Formula: cbf {formula}\n' in said


def contrast(weights, test='t', variables=('age',)):
    return [{'Name': 'c', 'ConditionList': list(variables), 'Weights': weights, 'Test': test}]


@pytest.mark.parametrize(
    ('content', 'says'),
    [
        (stats_model([1, 'age'], [], Level='Run'), "should be 'Dataset', found 'Run'"),
        (stats_model([1], [], Level='Group'), "Nodes, entry 1, Level (bids): should be 'Dataset'"),
        (stats_model([1, 'age'], [{'Name': 'Scale', 'Input': ['age']}]), 'transformation Scale'),
        (stats_model([1], [{'Name': 'Factor', 'Input': ['sex'], 'Constraint': 'mean_zero'}]),
         'the constraint mean_zero'),
        (stats_model([1, 'agee'], []), 'has no column for agee. Nearest: age'),
        (stats_model([1, 'sex'], []), 'X: sex is not numbers'),
        (stats_model([1, 'sex.*'], FACTORS), 'all levels of sex and the intercept'),
        (stats_model(['sex.*', 'site.*'], FACTORS), 'all levels of site and those of sex'),
        (stats_model([1, 'site.site1'], FACTORS), '2 levels of site are left out'),
        (stats_model(['site.site1', 'site.site2'], FACTORS), 'neither the intercept nor all'),
        (stats_model([1, 'age'], [{'Name': 'Factor', 'Input': ['group']}]), 'no column group'),
        (stats_model([1, 'age'], [], Model={'Type': 'meta', 'X': [1]}), "be 'glm', found 'meta'"),
        (stats_model([1, 'age'], [], Model={'Type': 'glm', 'X': [1], 'HRF': {'Model': 'spm'}}),
         'It is not known here'),
        (stats_model([1, 'age'], [], GroupBy=['site']), 'A model for each of its levels'),
        (stats_model([1, 'age'], []) | {'Input': {'task': ['rest']}}, 'Images are chosen by'),
        (stats_model([1, 'age'], []) | {'Edges': [{'Source': 'a', 'Destination': 'b'}]},
         'Edges: should be empty'),
        (stats_model([1, 'age'], []) | {'Node': []}, "Node: there is no such key as 'Node'"),
        (stats_model([1, 'age'], [], Contrasts=contrast([1, 1])), 'contrast c: has not 1 weights'),
        (stats_model([1, 'age'], [], Contrasts=contrast(['1/0'])), 'contrast c: '),
        (stats_model([1, 'age'], [], Contrasts=contrast(['1e999999999'])), 'is not a number'),
        (stats_model([1, 'age'], [], Contrasts=contrast([0])), 'no weight other than 0'),
        (stats_model([1, 'age'], [], Contrasts=contrast([1], 'pass')), "found 'pass'"),
        (stats_model([1, 'age'], [], Contrasts=contrast([1], 't', ['sex.M'])), 'sex.M is not in X'),
        (stats_model([1, 'age'], [], Contrasts=contrast([[1, -1]], 'F', [1, 'age'])),
         'tests combinations'),
    ],
)  # fmt: skip
def test_a_stats_model_that_says_something_else_is_one_line(output, model, tmp_path, content, says):
    before = bytes_of(output)
    code, _, said = model('--model', write_stats_model(tmp_path, content), *SCALARS[:2])
    assert (code, said.count('\n')) == (65, 1), said
    assert says in said
    assert said.startswith(f'modelarrayio-bids: error: {tmp_path / "study_smdl.json"}: ')
    assert bytes_of(output) == before


@pytest.mark.parametrize(
    ('text', 'code', 'says'),
    [
        ('', 65, ['lacks model']),
        ('model = 1', 65, ['model: should be a list, found 1']),
        ('[[model]]\nname = "a"', 65, ['model, entry 1 (a): lacks formula']),
        ('name = ', 65, ['is not TOML (Invalid value (at end of document))']),
        ('[[model]]\nname = "a"\nformula = "~ lgo(age)"', 64, ['log']),
        ('[[model]]\nname = "a"\nformula = "age"', 65, ['model a, formula: the formula has no ~']),
        ('[[model]]\nname = "a/b"\nformula = "~ age"', 65, ["'a/b' cannot be the name"]),
        ('[[model]]\nname = "a"\nformula = "~ age"\nvar_terms = ["t"]', 65, ['model a: ', "'t'"]),
        ('[[model]]\nname = "a"\nformula = "~ age"\n' * 2, 65, ['2 models are called a']),
        ('[[model]]\nname = "a"\nformula = "~ age"\nscalars = ["fa"]', 18, ['model a is for']),
        (
            '[[model]]\nname = "a"\nformla = "~ age"\n[[model]]\nname = 3\nformula = "~ age"',
            65,
            ['3 problems', 'model, entry 1, formla (a): there is no such key', 'lacks formula',
             'model, entry 2, name (3): should be text, found 3'],
        ),
        (
            '[[model]]\nname = "a"\nformula = "~ agee"\n[[model]]\nname = "b"\nformula = "~ six"',
            64,
            ['4 problems', 'model a: ', 'agee', 'model b: ', 'six'],
        ),
    ],
)  # fmt: skip
def test_what_is_wrong_in_a_file_of_models(output, model, tmp_path, text, code, says):
    before = bytes_of(output)
    ended, _, said = model('--model', write_models(tmp_path, text))
    assert ended == code, said
    assert [part for part in says if part not in said] == []
    assert bytes_of(output) == before


@pytest.mark.parametrize(
    ('options', 'code', 'says'),
    [
        (['--model', 'nowhere.toml'], 66, 'nowhere.toml: no such file'),
        (['--model', 'x.toml', '--formula', '~ age'], 64, 'contradict each other'),
        (['--analysis-name', 'a', 'b'], 64, '--analysis-name has 2 names'),
        (['--scalars', 'fa'], 18, 'holds no scalar fa'),
        (['--formula', '~ age', '--weights', 'nowhere'], 65, 'has no column nowhere'),
        (['--formula', 'age'], 64, 'has no ~'),
    ],
)
def test_what_cannot_be_is_told_before_anything_is_written(output, model, options, code, says):
    before = bytes_of(output)
    ended, _, said = model(*options)
    assert ended == code, said
    assert says in said
    assert bytes_of(output) == before


def test_results_of_phenotypes_that_were_corrected_since_are_told(study, output, model, capfd):
    assert model('--formula', '~ age', '--scalars', 'cbf')[0] == 0
    assert model('--formula', '~ 1', '--analysis-name', 'mean', '--scalars', 'cbf')[0] == 0
    table = (output / CBF).with_name((output / CBF).name.replace('modelarray.h5', 'cohort.csv'))
    rows = pd.read_csv(table, dtype=str, keep_default_na=False)
    rows.loc[2, 'age'] = '99'
    rows.to_csv(table, index=False)
    words = [str(output), 'export', '--scalars', 'cbf']
    assert main([str(study), *words]) == 0
    told = capfd.readouterr().err
    said = [line for line in told.splitlines() if 'fitted to other phenotypes' in line]
    # The mean does not depend on them.
    assert [line.split()[1] for line in said] == ['lm']
    page = (output / 'report.html').read_text('utf-8')
    assert page.count('The design is not shown: the cohort that was fitted') == 1


def test_options_of_other_levels_are_told(study, output, capfd):
    words = [
        str(study),
        str(output),
        'model',
        '--dry-run',
        '--formula',
        '~ age',
        '--scalars',
        'cbf',
    ]
    assert main(words) == 0
    assert 'no effect' not in capfd.readouterr().err
    # The HDF5 file holds whom it holds.
    assert main([*words, '--participant-label', '01', '--require', 'age']) == 0
    told = 'WARNING: no effect, as the level group does not run: --participant-label, --require\n'
    assert told in capfd.readouterr().err


def test_a_model_that_the_file_does_not_have(model, tmp_path):
    file = write_models(tmp_path, MODELS)
    code, _, said = model('--model', file, '--analysis-name', 'aging', 'nobody')
    assert code == 64
    assert 'has no model nobody. It has: aging, both, one.' in said


def test_a_dry_run_shows_all_designs_and_writes_nothing(output, model, tmp_path):
    before = bytes_of(output)
    code, said, _ = model('--model', write_models(tmp_path, MODELS), '--dry-run')
    assert code == 0
    assert f'aging of {output / SCORE}:\n  Formula: cbf_score ~ age\n' in said
    assert f'one of {output / CBF}:\n  Formula: cbf ~ site\n  Images: 24 of 24\n' in said
    assert bytes_of(output) == before


def test_scalars_are_chosen(output, model):
    assert model('--formula', '~ age', '--scalars', '*_score')[0] == 0
    assert analyses(output) == {'cbf': [], 'cbf_score': ['lm']}


def test_the_same_again_keeps_and_another_model_is_refused(output, model):
    formula = ['--formula', '~ age']
    assert model(*formula)[0] == 0
    before = {path: (output / path).read_bytes() for path in (CBF, SCORE)}
    code, said, _ = model(*formula)
    assert code == 0
    assert 'Kept 2 analyses, made by the same model:' in said
    assert 'Fitted' not in said
    assert 'would be kept' in model(*formula, '--dry-run')[1]
    whole = bytes_of(output)
    others = [*formula, '--anova'], [*formula, '--weights', 'age']
    for options in (['--formula', '~ sex'], *others):
        code, _, said = model(*options)
        assert (code, '2 problems' in said) == (73, True), said
        with_others = said.count('lm of this formula, with other phenotypes or options, that would')
        assert with_others == 2 * (options in others)
        assert ('lm of another model, cbf ~ age, that' in said) == (options not in others)
    assert bytes_of(output) == whole
    assert {path: (output / path).read_bytes() for path in before} == before
    assert model('--formula', '~ sex', '--overwrite')[0] == 0
    assert 'age.estimate' not in read_results(output / CBF, 'lm')


def test_other_phenotypes_are_another_model(output, model):
    assert model('--formula', '~ age', *SCALARS[:2])[0] == 0
    (cohort,) = (output / 'cbf').glob('*_cohort.csv')
    text = cohort.read_text('utf-8')
    cohort.write_text(text.replace(',F,', ',f,'), 'utf-8')
    assert 'Kept 1 analysis' in model('--formula', '~ age', *SCALARS[:2])[1]
    cohort.write_text(text.replace(str(trees.people(N)[0].age), '99'), 'utf-8')
    assert model('--formula', '~ age', *SCALARS[:2])[0] == 73


def test_an_analysis_of_some_elements_is_not_the_whole(output, model):
    from modelarrayio_bids.cli.files import main as files

    (cohort,) = (output / 'cbf').glob('*_cohort.csv')
    part = ['fit', str(output / CBF), '--formula', 'cbf ~ age', '--cohort-file', str(cohort)]
    assert files([*part, '--elements', '0:100']) == 0
    assert model('--formula', '~ age', *SCALARS[:2])[0] == 73
    assert files([*part, '--overwrite']) == 0
    assert 'Kept 1 analysis' in model('--formula', '~ age', *SCALARS[:2])[1]


def test_group_model_and_export_again_keep_what_is_made(study, output, model):
    options = [*SCALARS[:2], '--formula', '~ age']
    assert model(*options, level='group model export')[0] == 0
    before = (output / CBF).read_bytes()
    assert model(*options, level='group model export')[0] == 0
    assert (output / CBF).read_bytes() == before


@pytest.mark.parametrize('sent', [signal.SIGTERM, signal.SIGKILL])
def test_a_killed_fit_leaves_the_old_analysis_and_the_same_command_finishes(study, output, sent):
    arguments = [str(study), str(output), 'model', '--no-report', '--formula']
    assert main([*arguments, '~ age']) == 0
    before = {path: (output / path).read_bytes() for path in (CBF, SCORE)}
    # The second file is whole, and about to take the place of the old one.
    again = [*arguments, '~ age + sex', '--overwrite']
    with Held(
        [*COMMAND, *again], 'os.rename', r'\.h5 ', 2, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stands()
        process.send_signal(sent)
        process.let_go()
        process.communicate()
    assert process.returncode == (143 if sent == signal.SIGTERM else -signal.SIGKILL)
    assert (output / SCORE).read_bytes() == before[SCORE]
    assert told(output / CBF, 'lm')['formula'] == 'cbf ~ age + sex'
    assert main(again) == 0
    assert told(output / SCORE, 'lm')['formula'] == 'cbf_score ~ age + sex'
    assert not list(output.rglob('.unfinished-*'))


def test_blocks_of_elements_on_several_processes_change_no_bit(output, model, tmp_path):
    formula = ['--formula', '~ age + sex', '--anova']
    assert model(*formula, '--analysis-name', 'here')[0] == 0
    where = ['--nipype-plugin', 'MultiProc', '--blocks', '3', '-w', tmp_path / 'work']
    assert model(*formula, *where, '--analysis-name', 'there')[0] == 0
    for path in (CBF, SCORE):
        assert same(read_results(output / path, 'here'), read_results(output / path, 'there'))
        here, there = told(output / path, 'here'), told(output / path, 'there')
        assert {name for name in here if here[name] != there[name]} <= {'command', 'created'}
    again = model(*formula, *where, '--analysis-name', 'there')
    assert 'Kept 2 analyses' in again[1]


def test_several_images_of_a_participant_are_told_with_the_ways_out(tmp_path, capfd):
    root, persons = trees.describe(tmp_path / 'study'), trees.people(12)
    trees.write_participants(root, persons)
    flow = trees.describe(root / 'derivatives' / 'aslprep', 'ASLPrep')
    for person in persons:
        sub = f'sub-{person.label}'
        visits = [f'ses-{n}\t{person.age + n}' for n in (1, 2)]
        (root / sub).mkdir()
        text = '\n'.join(['session_id\tage', *visits, ''])
        (root / sub / f'{sub}_sessions.tsv').write_text(text)
        for visit in ('ses-1', 'ses-2'):
            stem = flow / sub / visit / 'perf' / f'{sub}_{visit}_space-{trees.SPACE}'
            trees.write_map(stem.with_name(f'{stem.name}_cbf.nii.gz'), person)
            trees.write_mask(stem.with_name(f'{stem.name}_desc-brain_mask.nii.gz'), person)
    arguments = [str(root), str(tmp_path / 'out'), 'group', 'model', '--no-report']
    assert main([*arguments, '--formula', '~ age']) == 64
    (line,) = [line for line in capfd.readouterr().err.splitlines() if ': error: ' in line]
    assert '12 participants have several images (sub-01, sub-02, sub-03' in line
    assert 'or fit one session at a time' in line
    assert '--allow-repeated' in line
    assert analyses(tmp_path / 'out') == {'cbf': []}
    assert main([*arguments, '--formula', '~ age', '--allow-repeated']) == 0
    assert json.loads(told(tmp_path / 'out' / CBF, 'lm')['model'])['n_images'] == 24


def test_an_unknown_level_among_several(study, tmp_path, capsys):
    assert main([str(study), str(tmp_path / 'out'), 'group', 'modle']) == 17
    assert "there is no analysis level 'modle'" in capsys.readouterr().err
    assert not (tmp_path / 'out').exists()


def test_scalars_are_listed_whatever_levels_follow(study, tmp_path, capfd):
    assert main([str(study), str(tmp_path / 'out'), 'group', '--list-scalars']) == 0
    alone = capfd.readouterr().out
    levels = ['export', 'group', 'model']
    assert main([str(study), str(tmp_path / 'out'), *levels, '--list-scalars']) == 0
    assert capfd.readouterr().out == alone
    assert not (tmp_path / 'out').exists()


def test_a_run_of_several_levels_can_be_given_back(study, tmp_path, capfd):
    options = ['--formula', '~ age + sex', '--contrast', 'M - F=sexM', '--var-terms', 'estimate']
    where = [str(study), str(tmp_path / 'out'), 'group', 'model', *SCALARS[:2], '--no-report']
    assert main([*where, *options]) == 0
    *_, settings = sorted((tmp_path / 'out' / 'logs').glob('*_settings.toml'))
    command = ['--config-file', str(settings), '--output-dir']
    shutil.move(tmp_path / 'out', tmp_path / 'first')
    settings = tmp_path / 'first' / 'logs' / settings.name
    command = [str(study), str(tmp_path / 'second'), 'group', 'model']
    assert main([*command, '--config-file', str(settings)]) == 0
    first, second = (read_results(tmp_path / name / CBF, 'lm') for name in ('first', 'second'))
    assert same(first, second)
    assert 'M - F.estimate' in first
    assert main(['--config-file', str(settings)]) == 0
    assert analyses(tmp_path / 'out') == {'cbf': ['lm']}


def test_there_is_nothing_to_fit(study, tmp_path, capsys):
    assert main([str(study), str(tmp_path / 'out'), 'model']) == 66
    assert 'Run the group level first.' in capsys.readouterr().err
    assert not (tmp_path / 'out').exists()
