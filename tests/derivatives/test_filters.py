import pytest

from modelarrayio_bids.derivatives.bids.entities import matches, parse_conditions
from modelarrayio_bids.derivatives.bids.filters import BidsFilters
from modelarrayio_bids.derivatives.bids.json_files import parse_json
from modelarrayio_bids.errors import FormatError, SourceNotFoundError, UsageError


def read(path):
    return BidsFilters.from_dict(parse_json(path), path)


@pytest.mark.parametrize(
    ('condition', 'label', 'fits'),
    [
        ({'acq': 'a'}, 'a', True),
        ({'acq': 'a'}, 'b', False),
        ({'acq': 'a'}, None, False),
        ({'acq': None}, None, True),
        ({'acq': None}, 'a', False),
        ({'acq': '*'}, 'a', True),
        ({'acq': '*'}, None, False),
        ({'acq': ['a', None]}, None, True),
        ({'acq': ['a', 'b']}, 'b', True),
        ({'acq': []}, 'a', False),
        ({'acquisition': 'a'}, 'a', True),
    ],
)
def test_conditions_mean_what_fmriprep_means_by_them(condition, label, fits):
    entities = {'suffix': 'cbf'} | ({} if label is None else {'acq': label})
    assert matches(entities, parse_conditions(condition)) is fits


@pytest.mark.parametrize(
    ('condition', 'entities'),
    [
        ({'subject': 'sub-01'}, {'subject': '01'}),
        ({'ses': ['ses-1']}, {'session': '1'}),
        ({'run': 1}, {'run': '01'}),
        ({'run': 2}, {'run': '2'}),
        ({'run': '2'}, {'run': '02'}),
        ({'run': '02'}, {'run': '2'}),
        ({'extension': 'nii.gz'}, {'extension': '.nii.gz'}),
    ],
)
def test_labels_may_be_written_as_people_write_them(condition, entities):
    assert matches(entities, parse_conditions(condition))


def test_numbers_that_are_labels_stay_text():
    assert not matches({'subject': '01'}, parse_conditions({'subject': '1'}))
    assert not matches({'acq': '02'}, parse_conditions({'acq': '2'}))


@pytest.mark.parametrize(
    ('text', 'says'),
    [
        ('{"bold": {"task": "rest"}}', 'has filters for bold'),
        ('{"scalar": {"aqcuisition": "a"}}', 'do you mean acquisition'),
        ('{"scalar": {"a-b": "a"}}', "no entity 'a-b'"),
        ('{"scalar": {"acq": true}}', 'not a label'),
        ('{"scalar": {"acq": {"a": 1}}}', 'not a label'),
        ('{"mask": ["brain"]}', 'should map entities'),
        ('[]', 'should be an object'),
    ],
)
def test_nothing_is_dropped_silently(tmp_path, text, says):
    path = tmp_path / 'filters.json'
    path.write_text(text)
    with pytest.raises(UsageError, match=says) as caught:
        read(path)
    assert caught.value.path == str(path)


def test_a_filter_file_that_is_not_json_or_not_there(tmp_path):
    (tmp_path / 'filters.json').write_text('scalar: x')
    with pytest.raises(FormatError, match='not JSON'):
        read(tmp_path / 'filters.json')
    with pytest.raises(SourceNotFoundError):
        read(tmp_path / 'none.json')
