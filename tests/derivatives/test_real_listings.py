"""What is found in datasets as they are downloaded, without descriptions or with odd names.

The tables were written down by reading the listings ``tests/data/listings/real_*`` (their origins
in SOURCES.md); beside each stands which lines it is from. Images are small ones of ours: on a grid
of their own where no name tells a space.
"""

import listings
import pytest

from modelarrayio_bids.derivatives.bids.filters import BidsFilters
from modelarrayio_bids.derivatives.cohorts.collect import Request, collect
from modelarrayio_bids.errors import AmbiguousMatchError, InvalidDatasetError, NoMatchError

MNI = 'MNI152NLin2009cAsym'
# C-PAC writes it with a capital S.
MNI6 = 'MNI152NLin6ASym'
TISSUES = ('csf', 'gm', 'wm')


@pytest.fixture
def found(tmp_path):
    """Collect from a listing: what is in ``below`` of it, or the folder itself."""

    def found(name, below='', on_template='$^', **options):
        root = listings.plant(tmp_path / 'study', listings.paths(name), on_template)
        conditions = options.pop('select', None)
        filters = BidsFilters.from_dict({'scalar': conditions} if conditions else {})
        request = Request(root / below, tmp_path / 'out', bids_filters=filters, **options)
        return collect(request)

    return found


def table(collection):
    rows = collection.table().itertuples()
    return {
        (row.scalar, row.space): (row.n_subjects, row.n_images, row.mask_sources) for row in rows
    }


def left_out(error):
    """Count of each reason, from a message."""
    reasons = str(error.value).partition('Left out: ')[2].partition('. Name other')[0]
    pairs = (reason.partition(' ') for reason in reasons.split('; '))
    return {what.rpartition(', such as ')[0] or what: int(n) for n, _, what in pairs}


def test_cpac(found):
    """reg- of two labels, desc- of three, six measures; masks ``…_desc-bold_mask`` per run.

    Names have run-01, run-02 and acq-VARIANTObliquity: 2 subjects, each with two runs.
    """
    with pytest.raises(AmbiguousMatchError) as caught:
        found('real_cpac_rbc_ccnp', 'cpac_RBCv0')
    assert str(caught.value).count('they differ in') == 1
    assert 'differ in reg: 36Parameter, aCompCor' in str(caught.value)


def test_cpac_with_one_regression(found):
    chosen = {'reg': 'aCompCor', 'run': ['01', '02']}
    measures = ('alff', 'dcb', 'falff', 'lfcdb', 'lfcdw', 'reho')
    collection = found('real_cpac_rbc_ccnp', 'cpac_RBCv0', select=chosen)
    assert set(table(collection)) == {
        (f'{desc}_{measure}', MNI6) for desc in ('sm6', 'smzstd', 'zstd') for measure in measures
    }
    assert {row[:2] for row in table(collection).values()} == {(2, 4)}


def test_a_dataset_one_level_down_is_named(found):
    with pytest.raises(InvalidDatasetError, match='-d cpac_RBCv0='):
        found('real_cpac_rbc_ccnp')


def test_fmriprep_of_version_1_and_mriqc(found):
    """derivatives/MRIQC has HTML alone; fmriprep's names have class-, and no desc-."""
    with pytest.raises(NoMatchError) as caught:
        found('real_fmriprep1_narps_ds001734')
    assert 'MRIQC' not in str(caught.value)
    # …_T1w_space-…_class-{CSF,GM,WM}_probtissue.nii.gz of two subjects.
    asked = 'a probability of a tissue, taken with --scalars csf_probseg gm_probseg wm_probseg'
    assert left_out(caught)[asked] == 6


def test_fmriprep_of_version_1_by_name(found):
    collection = found('real_fmriprep1_narps_ds001734', scalars=('*_probseg',))
    assert table(collection) == {
        (f'{tissue}_probseg', MNI): (2, 2, {'map-itself': 2}) for tissue in TISSUES
    }


def test_aomic_has_probabilities_of_tissues_alone(found):
    """fmriprep's probseg and brain masks in MNI; FA and GMvolume say no space."""
    collection = found('real_aomic_piop2_ds002790', scalars=('*_probseg',))
    assert table(collection) == {
        (f'{tissue}_probseg', MNI): (2, 2, {'same-dataset': 2}) for tissue in TISSUES
    }


def test_aomic_vbm_is_known_by_its_paths(found):
    """vbm/…_desc-VBM_GMvolume.nii.gz, two of them, among those that are the participant's own."""
    collection = found('real_aomic_piop2_ds002790', on_template='VBM')
    # Their space is FSL's, of which fmriprep has no mask.
    assert table(collection) == {('gmv', 'MNI152NLin6Asym'): (2, 2, {'map-itself': 2})}
    # FA, EVECS, diffmodel and the three probabilities of two subjects.
    assert len(collection.left_out["in the participant's own space (no space)"]) == 12


def test_images_on_one_grid_that_no_recipe_knows_are_told(found):
    """The same two without a recipe for their paths: their names say no space."""
    with pytest.raises(NoMatchError) as caught:
        found('real_aomic_piop2_ds002790', on_template='FA', select={'suffix': 'FA'})
    (one_grid,) = (n for reason, n in left_out(caught).items() if 'though on one grid' in reason)
    assert one_grid == 2


def test_a_recipe_says_the_space(found, tmp_path):
    recipe = tmp_path / 'vbm.yaml'
    recipe.write_text(
        'name: mine\ndatasets: [vbm]\nscalars:\n'
        f'  - {{where: {{desc: VBM}}, name: gmvolume, space: {MNI}}}\n'
    )
    collection = found('real_aomic_piop2_ds002790', on_template='VBM', recipes=(recipe,))
    # The mask is fmriprep's …_space-MNI152NLin2009cAsym_desc-brain_mask.
    assert table(collection) == {('gmvolume', MNI): (2, 2, {'anatomical': 2})}


def test_pet_maps_of_one_volume_are_no_series(found):
    """Names end in _pet and _bold, in MNI, one volume each: a recipe takes them."""
    with pytest.raises(NoMatchError) as caught:
        found('real_pet_energetic_costs_ds004513')
    reasons = left_out(caught)
    (one_volume,) = (count for reason, count in reasons.items() if 'though of one volume' in reason)
    # desc-{CMRglc,signcosts}_pet of four sessions; _bold is four-dimensional in this tree, but for
    # desc-preproc_pet of two sessions.
    assert one_volume == 10


def test_pet_maps_with_a_recipe(found, tmp_path):
    recipe = tmp_path / 'pet.yaml'
    recipe.write_text(
        'name: mine\ndatasets: [energetic-costs]\nscalars:\n'
        "  - {where: {suffix: pet, desc: [CMRglc, signcosts], space: '*'}, name: '{desc}'}\n"
    )
    sessions = ('1', '2', 'open', 'closed')
    name = 'real_pet_energetic_costs_ds004513'
    collection = found(name, recipes=(recipe,), session_label=sessions)
    # sub-01 has ses-open and ses-closed, sub-02 ses-1 and ses-2.
    assert table(collection) == {
        (scalar, f'{MNI6}:res-3mm'): (2, 4, {'map-itself': 4}) for scalar in ('cmrglc', 'signcosts')
    }


def test_rshrf(found):
    """rsHRF/…_space-MNI…_desc-preproc_bold_{Height,FWHM,Time2peak}.nii.gz of two subjects."""
    collection = found('real_rsHRF_TVB_ds001226')
    assert table(collection) == {
        (f'preproc_{name}', MNI): (2, 2, {'map-itself': 2})
        for name in ('fwhm', 'height', 'time2peak')
    }


def test_cat12(found):
    """Eight subjects, each with anat/mri/{mwp1,mwp2,s6mwp1}sub-…_T1w.nii beside p0, wm and y_."""
    assert table(found('real_cat12_bids')) == {
        (scalar, MNI): (8, 8, {'map-itself': 8}) for scalar in ('gmv', 'gmv_smoothed', 'wmv')
    }


def test_spm(found):
    """Eight subjects, each with {smwc1,mwc1}sub-…_T1w.nii beside wc1, c1, rc1 and u_rc1."""
    assert table(found('real_spm_dartel')) == {
        (scalar, 'IXI549Space'): (8, 8, {'map-itself': 8}) for scalar in ('gmv', 'gmv_smoothed')
    }


def test_tbss(found):
    """FA/sub-…_FA_FA_to_target.nii.gz of eight subjects; MD/ holds what is not warped yet."""
    collection = found('real_tbss')
    assert table(collection) == {('FA', 'MNI152NLin6Asym'): (8, 8, {'map-itself': 8})}
    assert collection.groups[0].participants == tuple(f'{number:02}' for number in range(1, 9))


def test_hcp(found):
    """fsaverage_LR32k/000001.{MyelinMap_BC,sulc,thickness}.32k_fs_LR.dscalar.nii; not 164k."""
    assert table(found('real_hcp_mninonlinear')) == {
        (scalar, 'fsLR:den-32k'): (1, 1, {'not-needed': 1})
        for scalar in ('MyelinMap_BC', 'sulc', 'thickness')
    }


def test_archives_of_freesurfer_are_no_images(found):
    with pytest.raises(InvalidDatasetError, match='-d freesurfer='):
        found('real_rbc_freesurfer_archives_nki')
