from pathlib import Path

import pytest

from modelarrayio_bids.derivatives.bids.query import Image
from modelarrayio_bids.derivatives.cohorts.mask_matching import (
    SEARCH_ORDER,
    MaskIndex,
    allowed,
    pair,
)
from modelarrayio_bids.errors import UsageError

MNI = 'MNI152NLin6Asym'


def image(dataset='asl', datatype='perf', path='map', **entities):
    labels = {'subject': '01', 'space': MNI, 'datatype': datatype, 'suffix': 'cbf'}
    found = {name: label for name, label in (labels | entities).items() if label is not None}
    return Image(Path(path), dataset, found)


def mask(dataset='asl', path='mask', **entities):
    return image(dataset, path=path, **{'suffix': 'mask', 'desc': 'brain'} | entities)


MAP = image(acq='a', run='1', desc='scrub', res='2')


@pytest.mark.parametrize(
    ('masks', 'mask_source'),
    [
        ([mask(acq='a', run='1', res='2')], 'same-dataset'),
        ([mask('other', acq='a', run='1', res='2')], 'other-dataset'),
        ([mask(res='2')], 'relaxed'),
        ([mask(res='2', run='2', acq='b', task='x')], 'relaxed'),
        ([mask('other', datatype='anat', res='1')], 'anatomical'),
        ([mask(datatype='anat', session='1')], 'anatomical'),
        ([mask(res='1')], 'map-itself'),
        ([mask(res='2', subject='02')], 'map-itself'),
        ([mask(res='2', space=None)], 'map-itself'),
        ([mask(datatype='anat', space=None)], 'map-itself'),
        ([mask(datatype='anat', cohort='1')], 'map-itself'),
        ([], 'map-itself'),
    ],
)
def test_each_source_is_used_where_those_before_it_have_none(masks, mask_source):
    found = pair(MAP, MaskIndex.from_images(masks))
    assert found.mask_source == mask_source
    assert found.mask == (None if mask_source == 'map-itself' else masks[0].path)
    assert found.passed_over == ()


def test_sources_are_searched_in_their_order():
    candidates = [
        mask(path='same', acq='a', run='1', res='2'),
        mask('other', path='other', acq='a', run='1', res='2'),
        mask(path='relaxed', res='2', run='2'),
        mask(path='anat', datatype='anat'),
    ]
    index = MaskIndex.from_images(candidates)
    assert pair(MAP, index, given=Path('mine')).mask == Path('mine')
    mask_sources = []
    while candidates:
        mask_sources.append(pair(MAP, MaskIndex.from_images(candidates)).mask_source)
        candidates.pop(0)
    assert ('given', *mask_sources, 'map-itself') == SEARCH_ORDER


OF_VISIT = image(acq='a', run='1', desc='scrub', res='2', den='41k', session='3')


@pytest.mark.parametrize('order', [1, -1], ids=['better first', 'better last'])
@pytest.mark.parametrize(
    ('mask_source', 'better', 'worse'),
    [
        ('same-dataset', mask(acq='a', run='1'), mask('other', acq='a', run='1')),
        ('other-dataset', mask('other', acq='a', run='1'), mask(run='2')),
        ('relaxed', mask(run='2'), mask('other', run='2')),
        ('relaxed', mask(acq='b'), mask('other', run='3')),
        ('relaxed', mask('other', run='2'), mask(datatype='anat')),
        ('anatomical', mask(datatype='anat'), mask('other', datatype='anat')),
        # More like the image counts before whose it is, and the visit before the grid.
        ('anatomical', mask('other', datatype='anat'), mask(datatype='anat', session='4')),
        ('anatomical', mask('other', datatype='anat'), mask(datatype='anat', res='1')),
        ('anatomical', mask('other', datatype='anat'), mask(datatype='anat', den='10k')),
        ('anatomical', mask(datatype='anat', res='1'), mask(datatype='anat', session='4')),
        ('anatomical', mask(datatype='anat', den='1k'), mask(datatype='anat', res='1')),
    ],
)
def test_of_two_masks_the_one_nearer_to_the_image_serves(mask_source, better, worse, order):
    visit = {'session': '3', 'res': '2', 'den': '41k'}
    masks = [
        Image(Path(path), found.dataset, visit | found.entities)
        for path, found in (('better', better), ('worse', worse))
    ]
    found = pair(OF_VISIT, MaskIndex.from_images(masks[::order]))
    assert (found.mask, found.mask_source, found.passed_over) == (Path('better'), mask_source, ())


# What tells maps of one brain from each other, by BIDS' own entities and those of its drafts.
_OF_THE_MAP = (
    'model', 'param', 'stat', 'contrast', 'desc', 'label', 'bundle', 'atlas', 'seg', 'meas',
    'pvc', 'ref', 'taskcontrast', 'seed', 'suffix', 'extension',
)  # fmt: skip


@pytest.mark.parametrize(
    'entity',
    [
        'model',
        'param',
        'stat',
        'contrast',
        'desc',
        'label',
        'bundle',
        'atlas',
        'seg',
        'meas',
        'pvc',
        'ref',
        'taskcontrast',
        'seed',
        'suffix',
        'extension',
    ],
)
def test_a_mask_is_that_of_the_image_whatever_the_map_is_of(entity):
    of_map = image(**{'acq': 'a', 'run': '1', entity: 'some'})
    index = MaskIndex.from_images([mask(acq='a', run='1')])
    assert pair(of_map, index).mask_source == 'same-dataset'


@pytest.mark.parametrize('entity', ['run', 'acq', 'task', 'feature', 'setting'])
def test_a_mask_of_another_run_is_relaxed(entity):
    index = MaskIndex.from_images([mask(**{entity: 'other'})])
    assert pair(image(**{entity: 'some'}), index).mask_source == 'relaxed'


@pytest.mark.parametrize(
    ('allowed_sources', 'expected'),
    [
        (SEARCH_ORDER, 'same-dataset'),
        (('relaxed', 'anatomical'), 'relaxed'),
        (('anatomical', 'map-itself'), 'anatomical'),
        (('map-itself',), 'map-itself'),
        (('other-dataset',), 'none'),
    ],
)
def test_only_allowed_sources_are_used(allowed_sources, expected):
    masks = [mask(acq='a', run='1', res='2'), mask(datatype='anat', res='2')]
    assert pair(MAP, MaskIndex.from_images(masks), sources=allowed_sources).mask_source == expected


@pytest.mark.parametrize(
    ('sources', 'expected'),
    [
        ([], set(SEARCH_ORDER)),
        (['same-dataset'], {'same-dataset'}),
        (['relaxed'], {'relaxed'}),
        (['relaxed', 'map-itself'], {'relaxed', 'map-itself'}),
        (['no-map-itself'], set(SEARCH_ORDER) - {'map-itself'}),
        (['no-map-itself', 'relaxed'], {'relaxed'}),
    ],
)
def test_values_of_the_option_allow_sources(sources, expected):
    assert allowed(sources) == expected


def test_sources_that_contradict_each_other():
    with pytest.raises(UsageError, match='map-itself and no-map-itself contradict each other'):
        allowed(['map-itself', 'no-map-itself'])


@pytest.mark.parametrize('mask_source', ['same-dataset', 'relaxed'])
def test_of_several_masks_those_with_most_unknown_entities_of_the_map_serve(mask_source):
    # Entities that BIDS does not know, as C-PAC's reg-.
    known = {'acq': 'a', 'run': '1', 'res': '2'} if mask_source == 'same-dataset' else {'res': '2'}
    several = [
        mask(**known, path='other', reg='aCompCor'),
        mask(**known, path='none'),
        mask(**known, path='same', reg='36Parameter'),
    ]
    asked = image(acq='a', run='1', desc='scrub', res='2', reg='36Parameter')
    for masks in (several, several[1:]):
        found = pair(asked, MaskIndex.from_images(masks))
        assert (found.mask, found.mask_source) == (Path('same'), mask_source)


def test_of_two_masks_from_one_source_none_is_used_and_both_are_named():
    two = [
        mask('b', acq='a', run='1', res='2', path='b'),
        mask('c', acq='a', run='1', res='2', path='c'),
    ]
    found = pair(MAP, MaskIndex.from_images(two))
    assert found.mask_source == 'map-itself'
    assert found.passed_over == (
        ('other-dataset', (Path('b'), Path('c'))),
        ('relaxed', (Path('b'), Path('c'))),
    )


def test_an_anatomical_mask_more_like_the_map_is_preferred():
    masks = [
        mask(datatype='anat', res='1', path='1'),
        mask(datatype='anat', res='2', path='2', dataset='b'),
        mask(datatype='anat', res='2', path='s2', session='9'),
    ]
    assert pair(MAP, MaskIndex.from_images(masks)).mask == Path('2')
    session = image(session='9', res='2')
    assert pair(session, MaskIndex.from_images(masks)).mask == Path('s2')


def test_a_native_map_of_qsirecon_is_served_by_the_parent_dataset():
    native = image('qsirecon-DKI', 'dwi', space='T1w', model='dki', param='fa', suffix='dwimap')
    parent = mask('qsirecon', datatype='dwi', space='T1w')
    assert pair(native, MaskIndex.from_images([parent])).mask_source == 'other-dataset'
