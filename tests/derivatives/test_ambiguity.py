"""Several images where one was expected: what the message says, word for word."""

import json

import pytest
import trees

from modelarrayio_bids.derivatives.bids.filters import BidsFilters
from modelarrayio_bids.derivatives.cohorts.collect import Request, collect
from modelarrayio_bids.errors import AmbiguousMatchError, CohortProblemsError

MNI = trees.SPACE


def cbf(number, more='', ending='cbf.nii.gz'):
    return f'sub-0{number}/perf/sub-0{number}{more}_space-{MNI}_{ending}'


@pytest.fixture
def refused(tmp_path):
    """What a dataset is refused for."""

    def refuse(root, **options):
        with pytest.raises((AmbiguousMatchError, CohortProblemsError)) as caught:
            collect(Request(root, tmp_path / 'out', **options))
        return getattr(caught.value, 'problems', [caught.value])

    return refuse


@pytest.fixture
def taken(tmp_path):
    """The images of a dataset, chosen by a filter."""

    def take(root, condition):
        filters = BidsFilters.from_dict({'scalar': condition})
        groups = collect(Request(root, tmp_path / 'out', bids_filters=filters)).groups
        return [row.image.name for group in groups for row in group.rows]

    return take


def advice(error):
    """The JSON that a remedy proposes first."""
    text = str(error).partition('for instance ')[2]
    return json.JSONDecoder().raw_decode(text)[0]['scalar']


def test_an_image_compressed_and_not(dataset, refused, taken):
    root = dataset('aslprep', [cbf(1), cbf(2), cbf(2, '', 'cbf.nii')])
    (error,) = refused(root)
    assert 'for 1 participants, sessions or runs' in str(error)
    assert 'they differ in extension: .nii, .nii.gz)' in str(error)
    assert taken(root, advice(error)) == [cbf(2, '', 'cbf.nii')[12:]]


def test_an_entity_that_one_image_lacks_is_a_choice_as_well(dataset, refused, taken):
    root = dataset('aslprep', [cbf(1), cbf(1, '_acq-b'), cbf(2), cbf(2, '_acq-b')])
    (error,) = refused(root)
    assert 'for 2 participants' in str(error)
    assert 'they differ in acq: b, absent)' in str(error)
    assert 'Choose with --select acq=b, or' in str(error)
    assert taken(root, advice(error)) == [cbf(1, '_acq-b')[12:], cbf(2, '_acq-b')[12:]]
    assert taken(root, {'acq': None}) == [cbf(1)[12:], cbf(2)[12:]]


def test_the_first_image_lacks_an_entity(dataset, refused, taken):
    root = dataset('aslprep', [cbf(1), cbf(1, '', 'zz-b_cbf.nii.gz'), cbf(2)])
    (error,) = refused(root)
    assert 'they differ in zz: absent, b)' in str(error)
    assert 'Choose with --select zz=, or' in str(error)
    assert taken(root, advice(error)) == [cbf(1)[12:], cbf(2)[12:]]


def test_runs_beside_images_of_none(dataset, refused, taken):
    root = dataset('aslprep', [cbf(1), cbf(1, '_run-1'), cbf(2), cbf(2, '_run-1')])
    (error,) = refused(root)
    assert '2 participants have several runs' in str(error)
    assert 'Choose one with --select run=1, or' in str(error)
    assert 'take each as a row with --select run=1,, or' in str(error)
    assert taken(root, advice(error)) == [cbf(1, '_run-1')[12:], cbf(2, '_run-1')[12:]]


@pytest.mark.parametrize(
    ('endings', 'says'),
    [
        (['cbf.nii.gz'], f'cbf (space-{MNI}) comes from 2 datasets'),
        (['cbf.nii.gz', 'desc-scrub_cbf.nii.gz'], f'cbf, cbf_scrub (space-{MNI}) come from'),
    ],
)
def test_scalars_of_two_datasets_are_shown_by_their_first_images(
    dataset, refused, tmp_path, endings, says
):
    paths = [cbf(number, '', ending) for number in (1, 2) for ending in endings]
    roots = {name: dataset(name, paths, 'aslprep') for name in ('one', 'two')}
    (error,) = refused(tmp_path, datasets=roots)
    assert says in str(error)
    assert f'(one: {roots["one"] / paths[0]}; two: {roots["two"] / paths[0]})' in str(error)


def test_how_to_build_the_others_is_said_once(dataset, refused):
    root = dataset(
        'aslprep',
        [
            *(cbf(1, f'_acq-{acq}') for acq in 'ab'),
            *(cbf(1, f'_run-{run}', 'desc-score_cbf.nii.gz') for run in '12'),
            cbf(1, '', 'desc-scrub_cbf.nii.gz'),
        ],
    )
    first, last = refused(root)
    assert '--scalars' not in str(first)
    assert str(last).endswith('Or build the others: the same command with --scalars cbf_scrub')
