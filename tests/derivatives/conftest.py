import pytest
import trees

from modelarrayio_bids.derivatives.cohorts.collect import Request, collect


@pytest.fixture(scope='session')
def persons():
    return trees.people(4)


@pytest.fixture(scope='session')
def study(tmp_path_factory, persons):
    """A study of three pipelines, to be read only."""
    return trees.write_study(tmp_path_factory.mktemp('trees') / 'study', persons)


@pytest.fixture
def ask(tmp_path):
    """Collect from a folder with some options."""

    def ask(root, **options):
        return collect(Request(root, tmp_path / 'out', **options))

    return ask


@pytest.fixture
def dataset(tmp_path):
    """Make a derivative of some files: ``dataset('fmriprep', ['sub-01/anat/...'])``."""

    def make(name, paths, generator=None, root=tmp_path):
        folder = trees.describe(root / name, generator or name)
        for path in paths:
            person = trees.people(9)[0]
            _writer(path)(folder / path, person)
        return folder

    return make


def _writer(path):
    if path.endswith(('.dscalar.nii', '.pscalar.nii', '.pconn.nii')):
        return trees.write_cifti
    return trees.write_mask if path.endswith('_mask.nii.gz') else trees.write_map
