import pytest

from modelarrayio_bids.errors import FormatError, OutputError
from modelarrayio_bids.runtime.atomic import replacing


def test_what_is_written_becomes_the_file_and_folders_are_made(tmp_path):
    path = tmp_path / 'a' / 'b' / 'mask.nii.gz'
    with replacing(path) as partial:
        assert partial.name.endswith('mask.nii.gz')
        partial.write_text('whole')
    assert path.read_text() == 'whole'
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize('interruption', [KeyboardInterrupt, FormatError('damaged')])
def test_an_interruption_leaves_what_was_there(tmp_path, interruption):
    path = tmp_path / 'cohort.csv'
    path.write_text('before')

    def write():
        with replacing(path) as partial:
            partial.write_text('half')
            raise interruption

    with pytest.raises((KeyboardInterrupt, FormatError)):
        write()
    assert path.read_text() == 'before'
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_cannot_be_made_is_an_error_of_its_own(tmp_path):
    (tmp_path / 'file').touch()
    with pytest.raises(OutputError, match='cannot be created'), replacing(tmp_path / 'file/x.csv'):
        pass
