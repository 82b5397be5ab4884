"""Images found by patterns of their paths."""

import string
from pathlib import Path

import pytest
import trees
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from modelarrayio_bids.cli.bids_app import main
from modelarrayio_bids.derivatives.bids.name_shapes import common_shapes
from modelarrayio_bids.derivatives.bids.patterns import PathPattern
from modelarrayio_bids.derivatives.cohorts.collect import Request, collect
from modelarrayio_bids.derivatives.recipes.path_images import PathImages
from modelarrayio_bids.errors import AmbiguousMatchError, NoMatchError, UsageError

#: What labels and the fixed parts of names are made of; they share no character.
LABELS = st.text(string.ascii_letters + string.digits + '-é', min_size=1, max_size=6)
FIXED = st.text('_.+ []()', min_size=1, max_size=3).filter(lambda text: text.strip('. '))


def planted(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    folder=FIXED,
    between=FIXED,
    end=FIXED,
    labels=st.sets(st.tuples(LABELS, LABELS), min_size=1, max_size=5),
)
def test_what_is_found_is_what_was_made(tmp_path_factory, folder, between, end, labels):
    """Names are made of labels and fixed parts, and others beside them; each differs in a part."""
    root = tmp_path_factory.mktemp('study')
    made = {
        f'{folder}x/{one}/{one}{between}{other}{end}': {'participant': one, 'session': other}
        for one, other in labels
    }
    others = [f'{folder}x/{one}/z{end}{one}{between}{other}x' for one, other in labels]
    planted(root, *made, *others, 'elsewhere/a')
    pattern = PathPattern(f'{folder}x/{{participant}}/{{participant}}{between}{{session}}{end}')
    found = {path.relative_to(root).as_posix(): fields for path, fields in pattern.find(root)}
    assert found == made


@given(
    st.text(string.ascii_lowercase + './*{}_', max_size=12).map(
        lambda text: f'{text}{{participant}}'
    )
)
def test_no_pattern_leads_out_of_its_folder(tmp_path_factory, text):
    outside = planted(tmp_path_factory.mktemp('outside'), 'a', 'b/c', 'root/a', 'root/b/c')
    try:
        found = [path for path, _ in PathPattern(text).find(outside / 'root')]
    except (UsageError, AmbiguousMatchError):
        return
    assert {path.as_posix() for path in found} <= {f'{outside}/root/a', f'{outside}/root/b/c'}


@pytest.mark.parametrize(
    ('text', 'says'),
    [
        ('../{participant}.nii', 'not a path below the folder'),
        ('/data/{participant}.nii', 'not a path below the folder'),
        ('{participant', 'do not'),
        ('{participant}}.nii', 'do not'),
        ('{participant}_{a b}.nii', r'{a b}, which is not a valid column name'),
        ('mri/mwp1*.nii', 'does not say where the participant is'),
        ('', 'not a path below the folder'),
    ],
)
def test_patterns_that_are_none(text, says):
    with pytest.raises(UsageError, match=says):
        PathPattern(text)


def test_a_name_that_fits_twice_is_shown(tmp_path):
    planted(tmp_path, 'a_b_c_T1w.nii')
    with pytest.raises(AmbiguousMatchError, match='session b_c or participant a_b, session c'):
        list(PathPattern('{participant}_{session}_T1w.nii').find(tmp_path))


def test_signs_of_expressions_stand_for_themselves(tmp_path):
    planted(tmp_path, 'a+(1).nii', 'aa1.nii', 'a+(2)xnii')
    found = PathPattern('a+({participant}).nii').find(tmp_path)
    assert [fields for _, fields in found] == [{'participant': '1'}]


@pytest.fixture
def study(tmp_path):
    """Maps named as CAT12 does and masks in other folders, with a table of phenotypes."""
    persons = trees.people(4)
    root = tmp_path / 'study'
    for person in persons:
        site = 'AB'[int(person.label) % 2]
        image = root / 'vbm' / site / f'smwp1sub-{person.label}_T1w.nii'
        trees.write_map(image, person)
        trees.write_mask(root / 'masks' / f'{person.label}_mask.nii', person)
    trees.write_participants(root, persons)
    return root


IMAGES = ('gmv=vbm/{scanner}/smwp1{participant}_T1w.nii',)


def request(study, images=IMAGES, masks=(), space='', **options):
    images = PathImages.requested(images, masks, space)
    return Request(study, study.parent / 'out', images=images, **options)


def test_columns_of_paths_are_columns_of_the_cohort(study):
    collection = collect(request(study, space='MNI152NLin6Asym:res-2'))
    (group,) = collection.groups
    assert (group.scalar, group.stem) == ('gmv', 'space-MNI152NLin6Asym_res-2')
    cohort = group.write_cohort(group.outputs(study.parent / 'out'), collection.phenotypes)
    assert [row['scanner'] for row in cohort.rows] == ['B', 'A', 'B', 'A']
    assert all(row['sex'] for row in cohort.rows)


def test_a_column_of_a_table_is_no_field(study):
    with pytest.raises(UsageError, match='{site} of a pattern is a column of the cohort without'):
        collect(request(study, images=('gmv=vbm/{site}/smwp1{participant}_T1w.nii',)))


def test_masks_by_patterns(study):
    collection = collect(request(study, masks=('masks/{participant}_mask.nii',)))
    (group,) = collection.groups
    assert group.mask_sources == {'same-dataset': 4}
    assert [row.mask.name for row in group.rows] == [
        f'{row.participant}_mask.nii' for row in group.rows
    ]


def test_the_space_nobody_says_is_unknown(study):
    assert collect(request(study)).table()['space'].tolist() == ['unknown']


def test_participants_are_chosen(study):
    (group,) = collect(request(study, participant_label=('sub-02', '03'))).groups
    assert group.participants == ('02', '03')
    with pytest.raises(NoMatchError, match='no dataset has the participants 09'):
        collect(request(study, participant_label=('09',)))


def test_two_images_of_one_participant_are_shown(study):
    planted(study, 'vbm/C/smwp1sub-01_T1w.nii')
    both = r'vbm/B/smwp1sub-01_T1w.nii.*vbm/C/smwp1sub-01.* move one'
    with pytest.raises(AmbiguousMatchError, match=both) as caught:
        collect(request(study))
    # Their names are the same, entities and all.
    assert 'differ in' not in str(caught.value)


def test_what_fits_nothing_tells_what_there_is(study):
    with pytest.raises(NoMatchError) as caught:
        collect(request(study, images=('gmv=mri/mwp1{participant}.nii',)))
    assert 'no file matches mri/mwp1{participant}.nii below' in str(caught.value)
    assert "--images 'mask=masks/{participant}_mask.nii' (4 images)" in str(caught.value)


def test_a_folder_no_recipe_knows_says_what_to_give(study, capsys):
    (study / 'participants.tsv').unlink()
    assert main([str(study), str(study.parent / 'out'), 'group']) == 16
    assert (
        "--images 'smwp1_T1w=vbm/A/smwp1{participant}_T1w.nii' (2 images)"
        in capsys.readouterr().err
    )


def test_shapes_of_names(tmp_path):
    planted(tmp_path, *(f'{n:03}/surf/{n:03}.thickness.dscalar.nii' for n in range(5)), 'a/b.nii')
    shape = '{participant}/surf/{participant}.thickness.dscalar.nii'
    assert common_shapes(tmp_path) == [(shape, 5)]


def test_the_app_builds_what_a_pattern_names(study):
    output = study.parent / 'out'
    arguments = ['--images', *IMAGES, '--images-space', 'MNI152NLin6Asym', '--no-report']
    assert main([str(study), str(output), 'group', *arguments]) == 0
    assert (output / 'gmv' / 'space-MNI152NLin6Asym_modelarray.h5').exists()


@pytest.mark.parametrize(
    ('options', 'says'),
    [
        (['--masks', '{participant}.nii'], 'need --images'),
        (['--images', 'mask={participant}.nii'], 'cannot be called mask'),
        (['--images', '{participant}.nii'], 'is not NAME=PATTERN'),
    ],
)
def test_options_that_do_not_go(study, options, says, capsys):
    assert main([str(study), str(study.parent / 'out'), 'group', *options]) == 64
    assert says in capsys.readouterr().err
