import bids
import pytest
import trees
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from modelarrayio_bids.derivatives.bids.entities import configuration, unknown_pairs
from modelarrayio_bids.derivatives.bids.index import index_names
from modelarrayio_bids.derivatives.bids.listing import image_names, passed_over


def of_pybids(root, further=()):
    """What pybids' own indexer, with our configuration, says of the images."""
    layout = bids.BIDSLayout(
        root,
        validate=False,
        config=[configuration(further)],
        indexer=bids.BIDSLayoutIndexer(validate=False, index_metadata=False),
    )
    return {
        file.path: dict(file.entities)
        for file in layout.get(return_type='object')
        if file.path.endswith(('.nii', '.nii.gz'))
    }


def ours(root):
    names = image_names(root, passed_over((), (), ()))
    return {str(path): entities for path, entities in index_names(root, names)}


def test_a_study_is_indexed_as_pybids_would(study):
    for name in ('fmriprep', 'aslprep', 'qsirecon', 'qsirecon/derivatives/qsirecon-DIPYDKI'):
        root = study / 'derivatives' / name
        assert ours(root) == of_pybids(root)
        assert ours(root)


part = st.one_of(
    st.sampled_from(['sub-01', 'ses-1', 'run-02', 'desc-a+b', 'param-fa', 'label', 'dwi', 'x-y']),
    st.sampled_from(['sub-02', 'x.y', 'desc-a.b', 'a\\sub-03', 'desc-c\\x', '', '-']),
    st.from_regex(r'[a-z0-9]{1,3}(-[a-zA-Z0-9]{0,3}){0,2}', fullmatch=True),
)
ending = st.sampled_from(
    ['.nii', '.nii.gz', '.dscalar.nii', '.x.nii.gz', '.json', '.nii.gz.txt', '']
)
folder = st.sampled_from(['sub-01', 'ses-1', 'dwi', 'anat', 'x', '.git'])


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.lists(
        st.tuples(st.lists(folder, max_size=3), st.lists(part, min_size=1, max_size=6), ending),
        max_size=8,
    )
)
def test_any_names_are_indexed_as_pybids_would(tmp_path_factory, files):
    root = trees.describe(tmp_path_factory.mktemp('ds'), 'x')
    for folders, parts, end in files:
        path = root.joinpath(*folders, '_'.join(parts) + end)
        if not any(above.is_file() for above in path.parents) and not path.is_dir():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
    names = (
        '_'.join(parts) + end
        for folders, parts, end in files
        if end.endswith(('.nii', '.nii.gz')) and '.git' not in folders
    )
    further = {key for name in names for key in unknown_pairs(name)}
    assert ours(root) == of_pybids(root, sorted(further))


def test_links_are_followed_but_not_to_where_they_are(tmp_path):
    image = tmp_path / 'elsewhere' / 'sub-01' / 'anat' / 'sub-01_T1w.nii.gz'
    image.parent.mkdir(parents=True)
    image.touch()
    root = tmp_path / 'ds'
    root.mkdir()
    (root / 'sub-01').symlink_to(tmp_path / 'elsewhere' / 'sub-01')
    (root / 'sub-02').symlink_to(root)
    (root / 'sub-03_T1w.nii.gz').symlink_to(tmp_path / 'not-fetched-yet')
    assert image_names(root) == ['sub-01/anat/sub-01_T1w.nii.gz', 'sub-03_T1w.nii.gz']


@pytest.mark.parametrize('n', [2, 30])
def test_folders_that_link_to_each_other_are_read_once(tmp_path, n):
    for number in range(n):
        folder = tmp_path / f'sub-{number:02d}'
        folder.mkdir()
        (folder / f'sub-{number:02d}_T1w.nii.gz').touch()
        for other in range(n):
            (folder / f'link{other:02d}').symlink_to(tmp_path / f'sub-{other:02d}')
    expected = [f'sub-{number:02d}/sub-{number:02d}_T1w.nii.gz' for number in range(n)]
    assert image_names(tmp_path) == expected


def test_links_into_a_circle_lead_nowhere(tmp_path):
    (tmp_path / 'ds' / 'sub-01').mkdir(parents=True)
    (tmp_path / 'ds' / 'sub-01' / 'sub-01_T1w.nii.gz').touch()
    (tmp_path / 'ds' / 'a').symlink_to(tmp_path / 'ds' / 'b')
    (tmp_path / 'ds' / 'b').symlink_to(tmp_path / 'ds' / 'a')
    (tmp_path / 'ds' / 'itself').symlink_to('itself')
    (tmp_path / 'ds' / 'up').symlink_to(tmp_path)
    assert image_names(tmp_path / 'ds') == ['sub-01/sub-01_T1w.nii.gz']


def test_a_folder_named_like_an_image_is_said(tmp_path, caplog):
    folder = tmp_path / 'sub-01' / 'anat' / 'sub-01_T1w.nii.gz'
    folder.mkdir(parents=True)
    assert image_names(tmp_path) == []
    assert f'{folder} is a folder, not an image, and is left out' in caplog.text


def test_a_folder_that_cannot_be_read_is_named(tmp_path, caplog):
    assert image_names(tmp_path / 'gone') == []
    assert f'{tmp_path / "gone"} cannot be read (No such file or directory)' in caplog.text
