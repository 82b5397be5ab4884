from importlib.resources import files

import pytest
import yaml

from modelarrayio_bids.derivatives.bids.dataset import Dataset
from modelarrayio_bids.derivatives.bids.entities import matches
from modelarrayio_bids.derivatives.recipes.recipe import (
    Recipe,
    builtin_recipes,
    own_recipes,
    recipe_for,
    require_use,
)
from modelarrayio_bids.errors import FormatError, RecipeError, SourceNotFoundError

RECIPE = {
    'name': 'mine',
    'documentation': 'https://example.org',
    'datasets': ['mine-*'],
    'masks': {'suffix': 'mask'},
    'scalars': [{'where': {'suffix': 'statmap'}, 'name': '{stat}[_{desc}]_map'}],
    'leave_out': [{'where': {'stat': 'p'}, 'reason': 'a p value'}],
    'known': [{'names': 'z*', 'long_name': 'z value', 'units': '1', 'range': [-3, 3]}],
}


@pytest.fixture
def write(tmp_path):
    def write(content):
        path = tmp_path / 'mine.yaml'
        text = content if isinstance(content, str) else yaml.safe_dump(content, sort_keys=False)
        path.write_text(text)
        return path

    return write


def test_a_recipe_names_describes_and_leaves_out(write):
    recipe = Recipe.from_yaml(write(RECIPE))
    assert recipe.scalar_name({'suffix': 'statmap', 'stat': 'Z'}) == 'z_map'
    assert recipe.scalar_name({'suffix': 'statmap', 'stat': 'Z', 'desc': 'a'}) == 'z_a_map'
    assert recipe.scalar_name({'suffix': 'statmap'}) is None
    assert recipe.why_left_out({'suffix': 'statmap', 'stat': 'p'}) == 'a p value'
    assert 'not among the scalars' in recipe.why_left_out({'suffix': 'bold'})
    assert matches({'suffix': 'mask'}, recipe.masks)
    assert recipe.described('z_map').long_name == 'z value'
    assert recipe.described('z_map').range == (-3, 3)
    assert recipe.described('t_map').long_name == 't_map'


def test_an_entry_for_each_of_some_values(write):
    entry = {
        'each': {'fwhm': [5, 10]},
        'name': 'area_{fwhm}',
        'patterns': ['{participant}/area{fwhm}.mgh'],
        'long_name': 'area, smoothed by {fwhm} mm',
    }
    recipe = Recipe.from_yaml(write({'name': 'mine', 'datasets': ['x'], 'images': [entry]}))
    assert [(one.name, one.patterns[0].text) for one in recipe.images] == [
        ('area_5', '{participant}/area5.mgh'),
        ('area_10', '{participant}/area10.mgh'),
    ]
    assert recipe.described('area_10').long_name == 'area, smoothed by 10 mm'


def test_a_recipe_nested_too_deep(tmp_path):
    (tmp_path / 'deep.yaml').write_text('[' * 10_000)
    with pytest.raises(RecipeError, match=r'deep\.yaml: is nested too deep'):
        Recipe.from_yaml(tmp_path / 'deep.yaml')


# Lines are those that yaml.safe_dump gives RECIPE.
@pytest.mark.parametrize(
    ('change', 'says'),
    [
        ({'name': 3}, r'line 1 \(name\): should be text, found 3'),
        ({'masks': {'sufix': 'mask'}}, r"line 5 \(masks\): .* 'sufix' .do you mean suffix"),
        ({'masks': 'mask'}, r"\(masks\): should be keys with values, found 'mask'"),
        ({'masks': {'desc': True}}, r'\(masks, desc\): should be text or .* found True'),
        ({'scalars': []}, r'\(scalars\): should not be empty'),
        ({'datasets': 'mine'}, r"line 3 \(datasets\): should be a list, found 'mine'"),
        ({'datasets': [3]}, r'line 4 \(datasets, entry 1\): should be text'),
        ({'scalars': [{'where': {}, 'name': 'x y'}]}, r'line 8 \(scalars, entry 1\): .*template'),
        ({'scalars': [{'where': {}, 'name': '{parm}'}]}, "there is no entity 'parm'"),
        ({'scalars': [{'where': {}, 'name': '{param'}]}, 'not a template'),
        ({'scalars': [{'name': '{param}'}]}, r'entry 1\): lacks where. Allowed here: where, name'),
        ({'scalars': [{'as_in': 'qsireco'}]}, r"no recipe 'qsireco' \(there are: aslprep, "),
        ({'scalars': [{'as_in': 'qsirecon', 'name': 'x'}]}, "no such key as 'name'. .*: as_in"),
        ({'leave_out': [{'where': {}, 'why': 'x'}]}, r"entry 1, why\): .*: where, reason"),
        ({'known': [{'names': 'a', 'long_name': 'b', 'unit': 'c'}]}, "'unit'. .*: names, "),
        ({'known': [{'names': 'a', 'long_name': 'b', 'range': [0]}]}, 'entry 1, range'),
        ({'known': [{'names': 'a', 'long_name': 'b', 'range': [1, 0]}]}, '1 should be less than 0'),
        ({'sclars': []}, r"line 22 \(sclars\): .* no such key as 'sclars'. .*: name"),
    ],
)  # fmt: skip
def test_a_recipe_that_cannot_be_used_says_where(write, change, says):
    path = write(RECIPE | change)
    with pytest.raises(RecipeError, match=says) as caught:
        Recipe.from_yaml(path)
    assert caught.value.path == str(path)
    assert '\n' not in str(caught.value)


@pytest.mark.parametrize(
    ('text', 'says'),
    [
        ('a: [', 'is not YAML: line 1: '),
        ('- a', 'should be keys with values'),
        ('', 'line 1: should be keys with values, found None'),
        ('name: a\nname: b', 'line 2: has the key name twice'),
    ],
)
def test_a_file_that_is_no_recipe(write, text, says):
    with pytest.raises(RecipeError, match=says) as caught:
        Recipe.from_yaml(write(text))
    assert '\n' not in str(caught.value)


def test_missing_keys_and_a_missing_file(write, tmp_path):
    with pytest.raises(RecipeError, match='line 1: lacks datasets. Allowed here: name'):
        Recipe.from_yaml(write({'name': 'mine'}))
    with pytest.raises(SourceNotFoundError):
        Recipe.from_yaml(tmp_path / 'none.yaml')
    for content in (b'\xff\xfe\xff', b'a: \0'):
        (tmp_path / 'bytes.yaml').write_bytes(content)
        with pytest.raises(FormatError, match='is not text'):
            Recipe.from_yaml(tmp_path / 'bytes.yaml')


def test_what_may_be_left_unsaid(write):
    recipe = Recipe.from_yaml(write({key: RECIPE[key] for key in ('name', 'datasets', 'scalars')}))
    assert matches({'suffix': 'mask', 'desc': 'brain'}, recipe.masks)
    assert not matches({'suffix': 'mask'}, recipe.masks)
    assert recipe.why_left_out({'suffix': 'statmap', 'stat': 'p'}) is None


def test_a_recipe_borrows_from_others_where_it_says_so(write, tmp_path):
    """The one before it, and one that comes along; its own entries above them win."""
    first = write(RECIPE)
    second = tmp_path / 'second.yaml'
    borrowed = [{'as_in': 'mine'}, {'as_in': 'qsirecon'}]
    own = {'where': {'suffix': 'dwimap', 'param': 'md'}, 'name': 'own_{param}'}
    content = RECIPE | {'name': 'second', 'scalars': [own, *borrowed], 'known': borrowed}
    second.write_text(yaml.safe_dump(content))
    recipe = own_recipes([first, second])[1].of(Dataset('x', tmp_path))
    dwimap = {'suffix': 'dwimap', 'datatype': 'dwi', 'model': 'dki'}
    assert recipe.scalar_name(dwimap | {'param': 'fa'}) == 'dki_fa'
    assert recipe.scalar_name(dwimap | {'param': 'md'}) == 'own_md'
    assert recipe.scalar_name({'suffix': 'statmap', 'stat': 'Z'}) == 'z_map'
    assert recipe.described('dki_fa').long_name == 'fractional anisotropy'
    with pytest.raises(RecipeError, match="no recipe 'mine'"):
        own_recipes([second])


@pytest.mark.parametrize(
    ('name', 'generator', 'recipe'),
    [
        ('x', 'fMRIPrep', 'fmriprep'),
        ('x', 'ASLPrep', 'aslprep'),
        ('x', 'sMRIPrep', 'smriprep'),
        ('x', 'NiBabies', 'nibabies'),
        ('qsiprep', None, 'qsiprep'),
        ('x', 'FitLins', 'statmaps'),
        ('x', 'tedana', 'tedana'),
        ('qsirecon-NODDI', None, 'qsirecon'),
        ('fmriprep-25.1', None, 'fmriprep'),
        ('aslprep', 'fMRIPrep', 'fmriprep'),
        ('xcp_d', 'xcp_d', 'xcp_d'),
        ('x', 'other', 'generic'),
    ],
)
def test_a_dataset_finds_its_recipe(tmp_path, name, generator, recipe):
    description = {'GeneratedBy': [{'Name': generator}]} if generator else {}
    dataset = Dataset('given', tmp_path / name, description)
    assert recipe_for(dataset).name == recipe


def test_a_persons_own_recipe_wins_and_must_serve_something(tmp_path, write):
    path = write(RECIPE | {'datasets': ['mine-*', 'fmriprep']})
    (own,) = own_recipes([path])
    prepared = Dataset('fmriprep', tmp_path, {'GeneratedBy': [{'Name': 'sMRIPrep'}]})
    other = Dataset('x', tmp_path / 'y')
    assert recipe_for(prepared, [own]).name == 'mine'
    assert recipe_for(other, [own]).name == 'generic'
    require_use({path: own}, [prepared, other])
    with pytest.raises(
        RecipeError, match='none of the datasets, which are known as x, y'
    ) as caught:
        require_use({path: own}, [other])
    assert caught.value.path == str(path)


def test_a_rule_may_be_for_some_datasets_alone(tmp_path):
    tensor = {'suffix': 'dwimap', 'datatype': 'dwi', 'model': 'tensor', 'param': 'fa'}
    names = {
        folder: recipe_for(Dataset('given', tmp_path / folder)).scalar_name(tensor)
        for folder in ('qsirecon-TORTOISE', 'qsirecon-DSIStudio')
    }
    assert names == {'qsirecon-TORTOISE': 'tortoise_tensor_fa', 'qsirecon-DSIStudio': 'tensor_fa'}


# Names as listings of real runs have them (qsirecon 26, ASLPrep, fMRIPrep 25, XCP-D 26.1, QSIPrep
# 26, NiBabies 25), as tedana's outputs.json and as FitLins' and nilearn's path patterns.
@pytest.mark.parametrize(
    ('recipe', 'entities', 'scalar'),
    [
        ('qsirecon', {'model': 'dki', 'param': 'fa'}, 'dki_fa'),
        ('qsirecon', {'model': 'tensor', 'param': 'fa'}, 'tensor_fa'),
        ('qsirecon', {'model': 'noddi', 'param': 'od', 'desc': 'modulated'}, 'noddi_od_modulated'),
        ('qsirecon', {'model': 'gqi', 'param': 'nrdi02L'}, 'gqi_nrdi02l'),
        ('qsirecon', {'model': 'noddi', 'param': 'direction'}, None),
        ('qsirecon', {'model': 'gqi'}, None),
        ('qsirecon', {'model': 'mapmri', 'param': 'NGpar'}, 'mapmri_ngpar'),
        ('qsirecon', {'model': '3dSHORE', 'param': 'RTOP'}, 'shore3d_rtop'),
        ('qsirecon', {'model': 'force', 'param': 'fa', 'desc': 'ambiguity'}, 'force_fa_ambiguity'),
        ('qsirecon', {'model': 'mtnorm', 'param': 'norm'}, 'mtnorm_norm'),
        ('qsirecon', {'model': 'mtnorm', 'param': 'inliermask'}, None),
        ('qsirecon', {'model': 'ss3t', 'param': 'fod', 'label': 'WM'}, None),
        ('qsirecon', {'model': 'gqi', 'param': 'tdi', 'bundle': 'ArcL'}, 'gqi_tdi_arcl'),
        ('qsiprep', {'model': 'eddy', 'stat': 'cnr', 'suffix': 'dwimap'}, 'eddy_cnr'),
        ('qsiprep', {'stat': 'tsnr', 'suffix': 'dwimap'}, 'tsnr'),
        ('qsiprep', {'suffix': 'dwi', 'desc': 'preproc'}, None),
        ('tedana', {'suffix': 'T2starmap'}, 't2starmap'),
        ('tedana', {'suffix': 'S0map', 'desc': 'limited'}, 's0map_limited'),
        ('tedana', {'suffix': 'statmap', 'desc': 'rmse'}, 'rmse'),
        ('tedana', {'suffix': 'statmap', 'desc': 't2star', 'stat': 'variance'}, 't2star_variance'),
        ('tedana', {'suffix': 'statmap', 'desc': 'PCAT2', 'stat': 'F'}, None),
        ('tedana', {'suffix': 'components', 'desc': 'ICA'}, None),
        ('statmaps', {'contrast': 'handVsRest', 'stat': 'effect'}, 'handvsrest_effect'),
        ('statmaps', {'contrast': 'handVsRest', 'stat': 'z'}, 'handvsrest_z'),
        ('statmaps', {'contrast': 'handVsRest', 'stat': 'p'}, None),
        ('statmaps', {'stat': 'z'}, 'z_statmap'),
        ('nibabies', {'suffix': 'probseg', 'label': 'GM'}, 'gm_probseg'),
        ('nibabies', {'suffix': 'mask', 'desc': 'ribbon'}, None),
        ('smriprep', {'suffix': 'curv', 'extension': '.dscalar.nii'}, 'curv'),
        ('freesurfer', {'suffix': 'area', 'extension': '.dscalar.nii'}, 'area'),
        ('aslprep', {'suffix': 'cbf'}, 'cbf'),
        ('aslprep', {'suffix': 'cbf', 'desc': 'scrub'}, 'cbf_scrub'),
        ('aslprep', {'suffix': 'att', 'desc': 'basil'}, 'att_basil'),
        ('aslprep', {'suffix': 'cbf', 'desc': 'timeseries'}, None),
        ('aslprep', {'suffix': 'cbf', 'desc': 'scoreTimeseries'}, None),
        ('aslprep', {'suffix': 'probseg', 'datatype': 'anat', 'label': 'GM'}, None),
        ('fmriprep', {'suffix': 'probseg', 'label': 'GM'}, 'gm_probseg'),
        ('fmriprep', {'suffix': 'probseg', 'label': 'CGM'}, None),
        ('fmriprep', {'suffix': 'T1w', 'desc': 'preproc'}, None),
        ('fmriprep', {'suffix': 'dseg'}, None),
        ('fmriprep', {'suffix': 'bold', 'datatype': 'func'}, None),
        ('fmriprep', {'suffix': 'boldref', 'datatype': 'func'}, None),
        ('xcp_d', {'suffix': 'boldmap', 'stat': 'alff'}, 'alff'),
        ('xcp_d', {'suffix': 'boldmap', 'stat': 'alff', 'desc': 'smooth'}, 'alff_smooth'),
        ('xcp_d', {'suffix': 'boldmap', 'stat': 'pearsoncorrelation'}, 'pearsoncorrelation'),
        ('xcp_d', {'suffix': 'bold', 'desc': 'denoised'}, None),
        ('xcp_d', {'suffix': 'timeseries', 'stat': 'mean'}, None),
        ('xcp_d', {'suffix': 'dseg', 'atlas': 'HCP'}, None),
        ('xcp_d', {'suffix': 'sulc', 'datatype': 'anat', 'extension': '.dscalar.nii'}, 'sulc'),
        ('fmriprep', {'suffix': 'thickness', 'extension': '.dscalar.nii'}, 'thickness'),
        ('fmriprep', {'suffix': 'thickness'}, None),
        ('generic', {'suffix': 'boldmap', 'stat': 'alff', 'desc': 'smooth'}, 'alff_smooth'),
        ('generic', {'suffix': 'cbf', 'desc': 'score', 'datatype': 'perf'}, 'cbf_score'),
        ('generic', {'suffix': 'cbf', 'desc': 'score', 'datatype': 'x'}, 'score_cbf'),
        ('generic', {'suffix': 'statmap', 'contrast': 'a', 'stat': 't'}, 'a_t'),
        ('generic', {'suffix': 'statmap', 'stat': 'z'}, 'z_statmap'),
        ('generic', {'suffix': 'bold', 'desc': 'denoised'}, None),
        ('generic', {'suffix': 'probseg', 'label': 'GM'}, 'gm_probseg'),
    ],
)  # fmt: skip
def test_what_the_builtin_recipes_call_real_files(tmp_path, recipe, entities, scalar):
    defaults = {
        'qsirecon': {'suffix': 'dwimap', 'datatype': 'dwi'},
        'aslprep': {'datatype': 'perf'},
        'fmriprep': {'datatype': 'anat'},
        'xcp_d': {'datatype': 'func'},
        'generic': {'datatype': 'func'},
        'qsiprep': {'datatype': 'dwi'},
        'tedana': {'datatype': 'func'},
        'statmaps': {'datatype': 'func', 'suffix': 'statmap'},
        'smriprep': {'datatype': 'anat'},
        'nibabies': {'datatype': 'anat'},
        'freesurfer': {'datatype': 'anat'},
    }
    (found,) = [one for one in builtin_recipes() if one.name == recipe]
    found = found.of(Dataset('x', tmp_path))
    entities = {'extension': '.nii.gz', 'subject': '01'} | defaults[recipe] | entities
    name = None if found.why_left_out(entities) else found.scalar_name(entities)
    assert name == scalar


def test_every_builtin_recipe_says_where_its_pipeline_is_documented():
    assert all(recipe.documentation.startswith('https://') for recipe in builtin_recipes())


def test_a_long_name_is_known_for_what_the_pipelines_document():
    """The parameters of qsirecon/data/scalars/*.yaml and of the outputs of the others."""
    documented = {
        'qsirecon': {
            'dki': 'ad ak fa kfa linearity md mk mkt planarity rd rk sphericity',
            'dkimicro': 'ad ade ak awf axonald kfa md rd rde tortuosity trace',
            'msdki': 'msd msk di awf mfa',
            'mapmri': 'lapnorm msd ng ngpar ngperp qiv rtap rtop rtpp',
            'noddi': 'icvf isovf od tf rmse nrmse icvf_modulated od_modulated',
            'gqi': 'gfa iso qa rdi nrdi02l',
            'tensor': 'ad fa ha md rd rd1 rd2 txx txy txz tyy tyz tzz',
            'tortoise_mapmri': 'ng ngpar ngperp pa path rtap rtop rtpp',
            'tortoise_tensor': 'ad am fa li rd',
            'shore3d': 'lapnorm msd ng ngpar ngperp qiv rtap rtop rtpp',
            'force': 'fa md rd wmfrac gmfrac csffrac numfibers odi ndi ufawm ufa ak rk mk kfa',
        },
        'aslprep': {'cbf': 'score scrub basil basilgm basilwm', 'att': 'basil'},
        'xcp_d': {'alff': 'smooth', 'pearsoncorrelation': '100volumes'},
    }
    recipes = {recipe.name: recipe for recipe in builtin_recipes()}
    unknown = [
        f'{model}_{param}'
        for name, models in documented.items()
        for model, params in models.items()
        for param in params.split()
        if recipes[name].described(f'{model}_{param}').long_name == f'{model}_{param}'
    ]
    assert not unknown


def test_every_file_of_a_recipe_is_called_what_the_recipe_is():
    folder = files('modelarrayio_bids').joinpath('data', 'recipes')
    names = {path.name.removesuffix('.yaml') for path in folder.iterdir()}
    assert names == {recipe.name for recipe in builtin_recipes()}
