import pytest
import yaml

from modelarrayio_bids.derivatives.dataset import Dataset
from modelarrayio_bids.derivatives.recipes import Recipe, builtin_recipes, recipe_for
from modelarrayio_bids.errors import RecipeError, SourceNotFoundError

RECIPE = {
    'name': 'mine',
    'documentation': 'https://example.org',
    'datasets': ['mine-*'],
    'masks': {'suffix': 'mask'},
    'scalars': [{'where': {'suffix': 'statmap'}, 'name': '{stat}[_{desc}]_map'}],
    'leave_out': [{'where': {'stat': 'p'}, 'reason': 'a p value'}],
    'known': [{'names': 'z*', 'long_name': 'z value', 'units': '1'}],
}


@pytest.fixture
def write(tmp_path):
    def write(content):
        path = tmp_path / 'mine.yaml'
        path.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
        return path

    return write


def test_a_recipe_names_describes_and_leaves_out(write):
    recipe = Recipe.from_yaml(write(RECIPE))
    assert recipe.scalar_name({'suffix': 'statmap', 'stat': 'Z'}) == 'z_map'
    assert recipe.scalar_name({'suffix': 'statmap', 'stat': 'Z', 'desc': 'a'}) == 'z_a_map'
    assert recipe.scalar_name({'suffix': 'statmap'}) is None
    assert recipe.why_left_out({'suffix': 'statmap', 'stat': 'p'}) == 'a p value'
    assert 'not among the scalars' in recipe.why_left_out({'suffix': 'bold'})
    assert recipe.is_mask({'suffix': 'mask'})
    assert recipe.wording('z_map').long_name == 'z value'
    assert recipe.wording('t_map').long_name == 't_map'


@pytest.mark.parametrize(
    ('change', 'says'),
    [
        ({'name': 3}, 'name: should be text'),
        ({'masks': {'sufix': 'mask'}}, "masks: there is no entity 'sufix' .do you mean suffix"),
        ({'masks': 'mask'}, 'masks: .* should map'),
        ({'scalars': []}, 'scalars: should name at least one'),
        ({'datasets': 'mine'}, 'datasets: should be a list'),
        ({'datasets': [3]}, 'datasets, entry 1: .*should be text'),
        ({'scalars': [{'where': {}, 'name': 'x'}]}, 'scalars, entry 1: name: .* no template'),
        ({'scalars': [{'where': {}, 'name': '{parm}'}]}, "name: there is no entity 'parm'"),
        ({'scalars': [{'where': {}, 'name': '{param'}]}, 'no template'),
        ({'scalars': [{'name': '{param}'}]}, 'entry lacks where'),
        ({'leave_out': [{'where': {}, 'why': 'x'}]}, 'entry lacks reason'),
        ({'known': [{'names': 'a', 'long_name': 'b', 'unit': 'c'}]}, 'unknown keys: unit'),
        ({'sclars': []}, 'unknown keys: sclars'),
    ],
)
def test_a_recipe_that_cannot_be_used_says_where(write, change, says):
    path = write(RECIPE | change)
    with pytest.raises(RecipeError, match=says) as caught:
        Recipe.from_yaml(path)
    assert caught.value.path == str(path)


@pytest.mark.parametrize(('text', 'says'), [('a: [', 'not YAML'), ('- a', 'should map keys')])
def test_a_file_that_is_no_recipe(write, text, says):
    with pytest.raises(RecipeError, match=says):
        Recipe.from_yaml(write(text))


def test_a_missing_key_and_a_missing_file(write, tmp_path):
    with pytest.raises(RecipeError, match='lacks masks'):
        Recipe.from_yaml(write({key: RECIPE[key] for key in RECIPE if key != 'masks'}))
    with pytest.raises(SourceNotFoundError):
        Recipe.from_yaml(tmp_path / 'none.yaml')


@pytest.mark.parametrize(
    ('name', 'generator', 'recipe'),
    [
        ('x', 'fMRIPrep', 'fmriprep'),
        ('x', 'ASLPrep', 'aslprep'),
        ('x', 'sMRIPrep', 'fmriprep'),
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


def test_no_recipe_at_all_is_an_error(tmp_path, write):
    with pytest.raises(RecipeError, match='no recipe'):
        recipe_for(Dataset('x', tmp_path), [Recipe.from_yaml(write(RECIPE))])


# Names as listings of real runs have them (qsirecon 26, ASLPrep, fMRIPrep 25, XCP-D 26.1).
@pytest.mark.parametrize(
    ('recipe', 'entities', 'scalar'),
    [
        ('qsirecon', {'model': 'dki', 'param': 'fa'}, 'dki_fa'),
        ('qsirecon', {'model': 'tensor', 'param': 'fa'}, 'tensor_fa'),
        ('qsirecon', {'model': 'noddi', 'param': 'od', 'desc': 'modulated'}, 'noddi_od_modulated'),
        ('qsirecon', {'model': 'gqi', 'param': 'nrdi02L'}, 'gqi_nrdi02l'),
        ('qsirecon', {'model': 'noddi', 'param': 'direction'}, None),
        ('qsirecon', {'model': 'gqi'}, None),
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
        ('generic', {'suffix': 'boldmap', 'stat': 'alff', 'desc': 'smooth'}, 'alff_smooth_boldmap'),
        ('generic', {'suffix': 'bold', 'desc': 'denoised'}, None),
        ('generic', {'suffix': 'probseg', 'label': 'GM'}, None),
    ],
)  # fmt: skip
def test_what_the_builtin_recipes_call_real_files(recipe, entities, scalar):
    defaults = {
        'qsirecon': {'suffix': 'dwimap', 'datatype': 'dwi'},
        'aslprep': {'datatype': 'perf'},
        'fmriprep': {'datatype': 'anat'},
        'xcp_d': {'datatype': 'func'},
        'generic': {'datatype': 'func'},
    }
    (found,) = [one for one in builtin_recipes() if one.name == recipe]
    entities = {'extension': '.nii.gz', 'subject': '01'} | defaults[recipe] | entities
    name = None if found.why_left_out(entities) else found.scalar_name(entities)
    assert name == scalar


def test_every_builtin_recipe_says_where_its_pipeline_is_documented():
    assert all(recipe.documentation.startswith('https://') for recipe in builtin_recipes())
