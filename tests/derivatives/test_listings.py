"""What real runs wrote, for 24 subjects: the exact table of scalars, spaces, subjects and masks.

The expected tables were written down by reading the listings in ``tests/data/listings`` (origins in
their SOURCES.md); beside each stands which lines it is from.
"""

import listings
import pytest
import trees

from modelarrayio_bids.derivatives.bids.filters import BidsFilters
from modelarrayio_bids.errors import AmbiguousMatchError, NoMatchError

N = 24
MNI = 'space-MNI152NLin2009cAsym'
MNI6 = 'space-MNI152NLin6Asym_res-2'
FSLR = 'space-fsLR_den-91k'
GENERATORS = {
    'aslprep_test_001': 'ASLPrep',
    'fmriprep_ds054': 'fMRIPrep',
    'qsiprep_dsdti_topup': 'QSIPrep',
    'qsirecon_amico_noddi': 'qsirecon',
    'qsirecon_scalar_mapper': 'qsirecon',
    'xcp_d_ds001419_nifti': 'xcp_d',
    'xcp_d_pnc_cifti': 'xcp_d',
}
# task-imagery has run-01 and run-02, task-rest no run: each is to be a row.
RUNS = {'bids_filters': BidsFilters.from_dict({'scalar': {'run': [None, '01', '02']}})}
OPTIONS = {'xcp_d_ds001419_nifti': RUNS}
ATLASES = ('HCP', 'MyersLabonte', 'Tian')

# qsirecon_scalar_mapper: the lines under derivatives/qsirecon-{DIPYDKI,DSIStudio} that hold
# space-MNI152NLin2009cAsym and end in _dwimap.nii.gz: 12, 7 and 13 of them.
DWI = {
    'dki': 'ad ak fa kfa linearity md mk mkt planarity rd rk sphericity',
    'gqi': 'gfa iso nrdi02l nrdi04l nrdi06l qa rdi',
    'tensor': 'ad fa ha md rd rd1 rd2 txx txy txz tyy tyz tzz',
}
QSIRECON = [f'{model}_{param}' for model, params in DWI.items() for param in params.split()]


def everyone(mask_source, images=N):
    return N, images, {mask_source: images}


EXPECTED = {
    # perf/…_run-02_space-MNI152NLin2009cAsym[_desc-score|_desc-scrub]_cbf.nii.gz; the mask beside
    # them is …_run-02_space-MNI152NLin2009cAsym_desc-brain_mask.nii.gz.
    'aslprep_test_001': {
        (scalar, MNI): everyone('same-dataset') for scalar in ('cbf', 'cbf_score', 'cbf_scrub')
    },
    # All volumes in a template space are references, series, masks and probabilities.
    'fmriprep_ds054': {},
    # Everything is in ACPC space.
    'qsiprep_dsdti_topup': {},
    # Everything is in T1w space.
    'qsirecon_amico_noddi': {},
    # The one mask is in T1w space.
    'qsirecon_scalar_mapper': {(scalar, MNI): everyone('map-itself') for scalar in QSIRECON},
    # func/…_stat-{alff,alff_desc-smooth,reho}_boldmap.nii.gz, of task-rest once and of task-imagery
    # for run-01 and run-02. The listing has no mask.
    'xcp_d_ds001419_nifti': {
        (scalar, f'task-{task}_{MNI6}'): everyone('map-itself', runs * N)
        for scalar in ('alff', 'alff_smooth', 'reho')
        for task, runs in (('imagery', 2), ('rest', 1))
    },
    # func/…_boldmap.{dscalar,pscalar,pconn}.nii and anat/…{curv,sulc,thickness}.dscalar.nii.
    'xcp_d_pnc_cifti': {
        **{
            (scalar, f'task-rest_{FSLR}_desc-greyordinates'): everyone('not-needed')
            for scalar in ('alff', 'alff_smooth', 'reho')
        },
        **{
            (scalar, f'{FSLR}_desc-greyordinates'): everyone('not-needed')
            for scalar in ('curv', 'sulc', 'thickness')
        },
        **{
            (scalar, f'task-rest_space-fsLR_atlas-{atlas}_den-91k_desc-{kind}'): everyone(
                'not-needed'
            )
            for scalar, kind in (('coverage', 'parcels'), ('pearsoncorrelation', 'edges'))
            for atlas in ATLASES
        },
    },
}

# How many images of one subject are left out, counted in the listings.
LEFT_OUT = {
    'aslprep_test_001': {
        # _desc-{timeseries,scoreTimeseries}_cbf and _desc-preproc_asl, native and in MNI.
        'a time series': 6,
        # _desc-{coreg,hmc}_aslref, and _aslref in MNI.
        'a reference image, not a measure': 3,
        # desc-{aparcaseg,aseg}_dseg; in MNI desc-preproc_{T1w,dseg} and 3 probabilities; a pair of
        # desc-preproc_curv.shape.gii.
        "anatomical, which is fMRIPrep's or sMRIPrep's to give": 8,
        # _cbf, _desc-score_cbf, _desc-scrub_cbf.
        "in the participant's own space (no space)": 3,
    },
    'xcp_d_ds001419_nifti': {
        # desc-denoised and desc-denoisedSmoothed of two runs, both together, and task-rest.
        'a time series': 8,
        # desc-preproc_T1w.
        'anatomical images (intensities are not comparable)': 1,
    },
    'xcp_d_pnc_cifti': {
        # desc-{denoised,denoisedSmoothed}_bold.dtseries, and one ptseries for each atlas.
        'a time series': 5,
        # desc-preproc_T1w.
        'anatomical images (intensities are not comparable)': 1,
    },
    'qsirecon_scalar_mapper': {
        # The same 32 maps in T1w space.
        "in the participant's own space (space-T1w)": 32,
        # One for each of two atlases.
        'a segmentation': 2,
    },
}


@pytest.fixture(scope='module')
def tree(tmp_path_factory):
    """Make the dataset of a listing, once."""
    made = {}

    def tree(name):
        if name not in made:
            root = tmp_path_factory.mktemp('listing') / 'given'
            listed = listings.paths(name)
            made[name] = listings.write(root, listed, trees.people(N), GENERATORS[name])
        return made[name]

    return tree


def table(collection):
    return {
        (row.scalar, row.stem): (row.n_subjects, row.n_images, dict(row.mask_sources))
        for row in collection.table().itertuples()
    }


def counts(collection):
    return {reason: len(out) for reason, out in collection.left_out.items()}


@pytest.mark.parametrize('name', [name for name, expected in EXPECTED.items() if expected])
def test_what_is_found_in_a_real_run(tree, ask, name):
    root = tree(name)
    found = ask(root, **OPTIONS.get(name, {}))
    assert table(found) == EXPECTED[name]
    assert counts(found) == {reason: N * each for reason, each in LEFT_OUT[name].items()}
    found.reconciled()
    # Nothing is passed over in silence.
    masks = [path for path in listings.images(root) if path.name.endswith('brain_mask.nii.gz')]
    used = sum(row.n_images for row in found.table().itertuples())
    assert used + sum(counts(found).values()) + len(masks) == len(listings.images(root))


def test_whether_the_runs_of_a_real_run_are_rows_is_for_a_person_to_say(tree, ask):
    text = f'alff, alff_smooth, reho: {N} participants have several runs'
    with pytest.raises(AmbiguousMatchError, match=text):
        ask(tree('xcp_d_ds001419_nifti'))


# What a run that can give nothing says of its images, which are the lines that end in .nii.gz.
@pytest.mark.parametrize(
    ('name', 'images', 'reasons'),
    [
        # …_space-MNI152NLin2009cAsym_res-2_label-{CSF,GM,WM}_probseg.nii.gz.
        (
            'fmriprep_ds054',
            36,
            ['72 a probability of a tissue, taken with --scalars csf_probseg gm_probseg wm'],
        ),
        # model-eddy_stat-cnr and stat-tsnr.
        ('qsiprep_dsdti_topup', 9, ["48 in the participant's own space (space-ACPC)"]),
        # icvf, icvf modulated, isovf, nrmse, od, od modulated, rmse, tf; and param-direction.
        (
            'qsirecon_amico_noddi',
            10,
            ["192 in the participant's own space (space-T1w)", '24 directions, not one value'],
        ),
    ],
)
def test_a_real_run_without_a_scalar_in_a_template_space_says_so(tree, ask, name, images, reasons):
    with pytest.raises(NoMatchError, match=f'among {images * N} images') as caught:
        ask(tree(name))
    assert all(reason in str(caught.value) for reason in reasons)


def test_tissue_probabilities_of_a_real_run_come_when_asked_for(tree, ask):
    """The three in MNI; the mask is anat/…_res-2_desc-brain_mask.nii.gz."""
    found = ask(tree('fmriprep_ds054'), scalars=('*_probseg',))
    assert table(found) == {
        (f'{tissue}_probseg', f'{MNI}_res-2'): everyone('same-dataset')
        for tissue in ('csf', 'gm', 'wm')
    }


def test_the_brain_masks_of_fmriprep_serve_what_shares_their_space(tree, ask):
    """qsirecon's maps are in fMRIPrep's space, XCP-D's are in another one."""
    names = ('fmriprep_ds054', 'qsirecon_scalar_mapper', 'xcp_d_ds001419_nifti')
    found = ask(tree(names[0]), datasets={name: tree(name) for name in names}, **RUNS)
    assert table(found) == {
        **{(scalar, MNI): everyone('anatomical') for scalar in QSIRECON},
        **EXPECTED['xcp_d_ds001419_nifti'],
    }


@pytest.mark.parametrize('name', [name for name, expected in EXPECTED.items() if expected])
def test_a_lost_description_changes_nothing_in_a_real_run(ask, tmp_path, name):
    root = tmp_path / 'unknown'
    listings.write(root, listings.paths(name), trees.people(2), 'unknown')
    for description in root.rglob('dataset_description.json'):
        description.unlink()
    rows = ask(root, **OPTIONS.get(name, {})).table().itertuples()
    found = {(row.scalar, row.stem): set(row.mask_sources) for row in rows}
    assert found == {key: set(mask_sources) for key, (_, _, mask_sources) in EXPECTED[name].items()}
