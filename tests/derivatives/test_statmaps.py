import json
import re
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from images import group_mask, write_cohort
from stores import write_results

from modelarrayio_bids.cohort import Cohort
from modelarrayio_bids.conversion.build import to_modelarray
from modelarrayio_bids.derivatives.outputs.statmaps import ResultName, StatMapNaming, label
from modelarrayio_bids.errors import FormatError, ResultNameCollisionError
from modelarrayio_bids.results.export import ExportOptions, export_results, planned_files
from modelarrayio_bids.spaces import VoxelSpace

N = int((group_mask() > 0).sum())
STEM = 'space-MNI152NLin6Asym_res-2'
TEXTS = st.text(st.characters(exclude_categories=['Cs', 'Cc']), min_size=1, max_size=12)


@pytest.fixture
def store(tmp_path):
    """A file where the group level would put it, in the dataset ``out``."""
    write_cohort(tmp_path)
    space = VoxelSpace.from_mask_file(tmp_path / 'group_mask.nii.gz')
    path = tmp_path / 'out' / 'cbf' / f'{STEM}_modelarray.h5'
    return to_modelarray(Cohort.from_csv(tmp_path / 'cohort.csv'), space, path)


def values(names, n=N):
    """A matrix of results as R has it: (n, n_results), 0.5 but for the numbers of elements."""
    matrix = np.full((n, len(names)), 0.5)
    if 'element_id' in names:
        matrix[:, names.index('element_id')] = np.arange(n)
    return matrix


def export(store, analysis, folder, **options):
    naming = StatMapNaming.of(store, store.parent.parent)
    return export_results(store, analysis, folder, options=ExportOptions(naming=naming, **options))


def said(folder, entities):
    name = f'{STEM}_{entities}_statmap.json'
    return json.loads((folder / name).read_text('utf-8'))


# Left: names as ModelArray.lm, .gam and .wrap make them (its reference: <term>.<statistic>,
# model.<statistic>, corrections appended). Right: written down by hand.
@pytest.mark.parametrize(
    ('result', 'entities'),
    [
        ('element_id', 'stat-elementId'),
        ('Intercept.estimate', 'contrast-Intercept_stat-effect'),
        ('age.std.error', 'contrast-age_stat-stdError'),
        ('age.statistic', 'contrast-age_stat-statistic'),
        ('age.p.value', 'contrast-age_stat-p'),
        ('age.1m.p.value', 'contrast-age_stat-1mp'),
        ('age.mlog10.p.value', 'contrast-age_stat-logp'),
        ('age.p.value.fdr', 'contrast-age_stat-p_desc-fdr'),
        ('age.1m.p.value.bonferroni', 'contrast-age_stat-1mp_desc-bonferroni'),
        ('sexM.estimate', 'contrast-sexM_stat-effect'),
        ('age:sexM.p.value', 'contrast-ageXSexM_stat-p'),
        ('I(age^2).estimate', 'contrast-IAgePow2_stat-effect'),
        ('site.a b.estimate', 'contrast-siteAB_stat-effect'),
        ('größe.estimate', 'contrast-groU00DFe_stat-effect'),
        ('model.adj.r.squared', 'stat-adjRSquared'),
        ('model.r.squared', 'stat-rsquared'),
        ('model.p.value.fdr', 'stat-p_desc-fdr'),
        ('s_age.statistic', 'contrast-sAge_stat-statistic'),
        ('s_age.edf', 'contrast-sAge_stat-edf'),
        ('s_age.delta.adj.rsq', 'contrast-sAge_stat-deltaAdjRsq'),
        ('model.dev.expl', 'stat-devExpl'),
        ('mean_FA', 'stat-meanFA'),
        ('p.value', 'stat-p'),
        ('component001', 'stat-component001'),
    ],
)
def test_names_of_results(result, entities):
    found = ResultName.of(result).entities()
    assert '_'.join(f'{key}-{value}' for key, value in found.items()) == entities


def test_every_image_has_its_sidecar(tmp_path, store):
    names = ['element_id', 'age.p.value', 'age.p.value.fdr', 'sex.level', 'model.nobs']
    write_results(store, 'my.lm', names, values(names), levels={4: ['F', 'männlich']})
    images = export(store, 'my.lm', tmp_path / 'maps', log_p=True)
    node = f'{STEM}_node-myLm'
    assert [image.name for image in images] == [
        f'{node}_stat-elementId_statmap.nii.gz',
        f'{node}_contrast-age_stat-p_statmap.nii.gz',
        f'{node}_contrast-age_stat-1mp_statmap.nii.gz',
        f'{node}_contrast-age_stat-logp_statmap.nii.gz',
        f'{node}_contrast-age_stat-p_desc-fdr_statmap.nii.gz',
        f'{node}_contrast-age_stat-1mp_desc-fdr_statmap.nii.gz',
        f'{node}_contrast-age_stat-logp_desc-fdr_statmap.nii.gz',
        f'{node}_stat-sexLevel_statmap.nii.gz',
        f'{node}_stat-nobs_statmap.nii.gz',
    ]
    assert {path.name for path in (tmp_path / 'maps').iterdir()} == {
        name for image in images for name in (image.name, image.name.replace('.nii.gz', '.json'))
    }
    sidecar = said(tmp_path / 'maps', 'node-myLm_contrast-age_stat-1mp_desc-fdr')
    software = sidecar.pop('GeneratedBy')
    assert [sorted(entry) for entry in software] == [['CodeURL', 'Name', 'Version']]
    assert sidecar == {
        'Description': '1 - p of age, corrected (fdr), in the analysis my.lm.',
        'Analysis': 'my.lm',
        'Result': 'age.p.value.fdr',
        'Term': 'age',
        'Statistic': '1m.p.value',
        'Correction': 'fdr',
        'Sources': [f'bids::cbf/{STEM}_modelarray.h5'],
    }
    assert said(tmp_path / 'maps', 'node-myLm_stat-sexLevel')['Levels'] == {
        '1': 'F',
        '2': 'männlich',
    }


def test_degrees_of_freedom_are_those_in_the_file(tmp_path, store):
    names = ['age.p.value', 's_age.p.value', 's_age.edf', 'model.df.residual', 'mine']
    matrix = values(names)
    matrix[:, 2] = np.linspace(1.25, 4.1, N)
    matrix[:, 3] = 97
    matrix[0, 3] = np.nan  # an element that was not analysed
    write_results(store, 'mygam', names, matrix)
    export(store, 'mygam', tmp_path / 'maps')
    degrees = {
        entities: said(tmp_path / 'maps', f'node-mygam_{entities}').get('DegreesOfFreedom')
        for entities in (
            'contrast-age_stat-p',
            'contrast-sAge_stat-p',
            'contrast-sAge_stat-edf',
            'stat-dfResidual',
            'stat-mine',
        )
    }
    assert degrees == {
        'contrast-age_stat-p': {'model.df.residual': 97},
        'contrast-sAge_stat-p': {'s_age.edf': [1.25, 4.1], 'model.df.residual': 97},
        'contrast-sAge_stat-edf': {'model.df.residual': 97},
        'stat-dfResidual': None,
        'stat-mine': None,
    }


def test_an_analysis_of_fewer_images_says_so(tmp_path, store):
    write_results(store, 'mylm', ['element_id', 'age.p.value'], values(['element_id', 'age']))
    export(store, 'mylm', tmp_path / 'now')
    assert 'NumberOfSources' not in said(tmp_path / 'now', 'node-mylm_contrast-age_stat-p')
    with h5py.File(store, 'a') as file:
        file.create_group('results/mylm/modelarrayio').attrs['n_sources'] = '{"FA": 2}'
    export(store, 'mylm', tmp_path / 'then')
    sidecar = said(tmp_path / 'then', 'node-mylm_contrast-age_stat-p')
    assert sidecar['NumberOfSources'] == {'FA': 2}


def test_what_is_known_of_the_scalar_is_handed_on(tmp_path, store):
    known = {
        'Scalar': 'cbf',
        'LongName': 'cerebral blood flow',
        'Units': 'mL/100 g/min',
        'Elements': 'voxels',
        'SpatialReference': 'bids::template.nii.gz',
    }
    sidecar = store.with_suffix('.json')
    sidecar.write_text(json.dumps({**known, 'DisplayRange': [0, 100]}))
    write_results(store, 'mylm', ['age.estimate'], values(['x']))
    export(store, 'mylm', tmp_path / 'maps')
    found = said(tmp_path / 'maps', 'node-mylm_contrast-age_stat-effect')
    assert {key: found[key] for key in list(found) if key in known or key.startswith('Scalar')} == {
        'Scalar': 'cbf',
        'ScalarLongName': 'cerebral blood flow',
        'ScalarUnits': 'mL/100 g/min',
        'Elements': 'voxels',
        'SpatialReference': 'bids::template.nii.gz',
    }
    sidecar.write_text('{"Scalar": ')
    with pytest.raises(FormatError, match=r'modelarray\.json: is not JSON'):
        StatMapNaming.of(store, tmp_path / 'out')


@pytest.mark.parametrize(
    ('names', 'pair'),
    [
        (['age_c.estimate', 'agec.estimate', 'ageC.estimate'], ('age_c.estimate', 'agec.estimate')),
        (['age:sex.p.value', 'age*sex.p.value'], ('age:sex.p.value', 'age*sex.p.value')),
        (['model.p.value', 'p.value'], ('model.p.value', 'p.value')),
        (['age.p.value', 'age.1m.p.value'], ('age.p.value', 'age.1m.p.value')),
    ],
)
def test_results_that_would_share_a_name(tmp_path, store, names, pair):
    write_results(store, 'mylm', names, values(names))
    with pytest.raises(ResultNameCollisionError) as raised:
        export(store, 'mylm', tmp_path / 'maps')
    assert all(repr(name) in str(raised.value) for name in pair)
    assert 'modelarrayio export-results' in raised.value.remedy
    assert not (tmp_path / 'maps').exists()


@given(TEXTS)
def test_any_text_has_a_label(text):
    assert re.fullmatch('[A-Za-z0-9]+', label(text))
    # What is a label already is left alone.
    assert label(label(text)) == label(text)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    analysis=TEXTS.filter(lambda text: text.strip() == text and not {'/', '.'} & set(text)),
    names=st.lists(
        st.one_of(
            TEXTS,
            st.builds(
                '{}.{}'.format, TEXTS, st.sampled_from(['estimate', 'p.value', 'p.value.fdr'])
            ),
        ).filter(lambda name: name.strip() == name and len(name.encode()) < 64),
        min_size=1,
        max_size=6,
    ),
)
def test_sidecars_lead_back_from_any_name(tmp_path_factory, analysis, names):
    folder = tmp_path_factory.mktemp('any')
    store = write_cohort_store(folder)
    write_results(store, analysis, names, values(names))
    naming = StatMapNaming.of(store, folder)
    try:
        files = planned_files(store, analysis, ExportOptions(naming=naming))
    except ResultNameCollisionError:
        return
    assert len({file.casefold() for file in files}) == len(files)
    export_results(store, analysis, folder / 'maps', options=ExportOptions(naming=naming))
    found = [
        json.loads((folder / 'maps' / file.replace('.nii.gz', '.json')).read_text('utf-8'))
        for file in files
    ]
    assert {sidecar['Analysis'] for sidecar in found} == {analysis}
    assert list(dict.fromkeys(sidecar['Result'] for sidecar in found)) == names


def write_cohort_store(folder):
    write_cohort(folder, subjects=1)
    space = VoxelSpace.from_mask_file(folder / 'group_mask.nii.gz')
    cohort = Cohort.from_csv(folder / 'cohort.csv')
    return to_modelarray(cohort, space, folder / f'{STEM}_modelarray.h5')


@pytest.mark.parametrize(
    ('store', 'folder', 'image'),
    [
        ('space-fsLR_den-91k_desc-greyordinates', None, 'space-fsLR_den-91k_node-a'),
        ('desc-fixels', None, 'node-a'),
        ('FA', None, 'FA_node-a'),
        ('', 'node-a', 'node-a'),
    ],
)
def test_the_kind_is_in_the_folder_and_the_extension(store, folder, image):
    naming = StatMapNaming(Path(f'/out/x/{store}_modelarray.h5'), Path('/out'), {})
    assert naming.folder('a').name == (folder or f'{store}_node-a')
    assert naming.file_name('a', 'x', '.mif') == f'{image}_stat-x_statmap.mif'


def test_files_of_another_name():
    for name, image in (('modelarray.h5', 'node-a'), ('FA.h5', 'FA_node-a')):
        naming = StatMapNaming.of(f'/out/{name}', '/out')
        assert naming.file_name('a', 'x', '.nii') == f'{image}_stat-x_statmap.nii'
