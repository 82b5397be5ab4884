import numpy as np
import pytest
from images import save

from modelarrayio_bids.reports.figures.anatomy import TEMPLATE, find_anatomy

SPACE = 'MNI152NLin2009cAsym'


@pytest.fixture(autouse=True)
def templates(tmp_path, monkeypatch):
    """An empty TemplateFlow."""
    monkeypatch.setenv('TEMPLATEFLOW_HOME', str(tmp_path / 'templateflow'))
    return tmp_path / 'templateflow'


@pytest.fixture
def derivatives(tmp_path):
    return tmp_path / 'study' / 'derivatives'


@pytest.fixture
def source(derivatives):
    return derivatives / 'aslprep' / 'sub-01' / 'perf' / f'sub-01_space-{SPACE}_cbf.nii.gz'


def image(path):
    return save(path, np.ones((3, 4, 5), np.float32))


def test_a_template_is_preferred_and_a_whole_head(templates, derivatives, source):
    anat = derivatives / 'aslprep' / 'sub-01' / 'anat'
    image(anat / f'sub-01_space-{SPACE}_desc-preproc_T1w.nii.gz')
    template = templates / f'tpl-{SPACE}'
    image(template / f'tpl-{SPACE}_res-02_desc-brain_T1w.nii.gz')
    head = image(template / f'tpl-{SPACE}_res-02_T1w.nii.gz')
    (template / f'tpl-{SPACE}_res-01_T1w.nii.gz').touch()  # not fetched
    assert find_anatomy([source]).path == head


def test_the_subjects_own_or_a_neighbours(derivatives, source):
    name = f'sub-01_space-{SPACE}_res-2_desc-preproc_T1w.nii.gz'
    beside = image(derivatives / 'fmriprep' / 'sub-01' / 'ses-2' / 'anat' / name)
    assert find_anatomy([source]).path == beside
    own = image(derivatives / 'aslprep' / 'sub-01' / 'anat' / name)
    assert find_anatomy([source]).path == own


def test_one_that_cannot_be_read_is_passed_over(derivatives, source):
    anat = derivatives / 'aslprep' / 'sub-01' / 'anat'
    good = image(anat / f'sub-01_space-{SPACE}_res-2_desc-preproc_T1w.nii.gz')
    good.with_name(f'sub-01_space-{SPACE}_desc-preproc_T1w.nii.gz').write_bytes(b'damaged')
    good.with_name(f'sub-01_space-{SPACE}_res-1_desc-preproc_T1w.nii.gz').symlink_to('nowhere')
    assert find_anatomy([source]).path == good


@pytest.mark.parametrize('space', ['_space-T1w', '_space-ACPC', ''])
def test_nobodys_own_anatomy_lies_below_all(derivatives, source, space):
    image(derivatives / 'aslprep' / 'sub-01' / 'anat' / f'sub-01{space}_desc-preproc_T1w.nii.gz')
    assert find_anatomy([source.with_name(f'sub-01{space}_cbf.nii.gz')]) is None
    assert find_anatomy([]) is None


def test_another_space_is_not_taken(derivatives, source):
    anat = derivatives / 'aslprep' / 'sub-01' / 'anat'
    others = image(anat / 'sub-01_space-MNI152NLin6Asym_desc-preproc_T1w.nii.gz')
    assert find_anatomy([source]).path != others
    # Of greyordinates it is that of the volume.
    dscalar = source.with_name('sub-01_space-fsLR_den-91k_thickness.dscalar.nii')
    assert find_anatomy([dscalar]).path == others


def test_only_a_few_subjects_are_looked_at(derivatives):
    sources = [
        derivatives / 'x' / f'sub-{n}' / f'sub-{n}_space-{SPACE}_cbf.nii.gz' for n in range(9)
    ]
    name = f'sub-{{}}_space-{SPACE}_desc-preproc_T1w.nii.gz'
    image(derivatives / 'x' / 'sub-5' / 'anat' / name.format(5))
    assert find_anatomy(sources).path.name == TEMPLATE
    seen = image(derivatives / 'x' / 'sub-2' / 'anat' / name.format(2))
    assert find_anatomy(sources).path == seen


@pytest.mark.parametrize('space', ['MNI152NLin6Asym', 'MNI152NLin2009cAsym', 'MNI152Lin'])
def test_the_package_has_a_template_for_mni_spaces(source, space):
    found = find_anatomy([source.with_name(f'sub-01_space-{space}_cbf.nii.gz')])
    assert found.path.name == TEMPLATE
    # The middle of the brain is brighter than the air beside the head.
    values = found.on_grid(
        (2, 1, 1), np.array([[90, 0, 0, 0], [0, 1, 0, -20], [0, 0, 1, 10], [0, 0, 0, 1.0]])
    )
    assert values[0] > 50 > np.nan_to_num(values[1])


def test_other_spaces_have_none(source):
    assert find_anatomy([source.with_name('sub-01_space-PNC_cbf.nii.gz')]) is None
