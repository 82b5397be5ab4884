"""The group level once more, after models were fitted: what is unchanged stays with its results."""

import shutil

import h5py
import nibabel as nb
import numpy as np
import pytest
import trees
from stores import write_results

from modelarrayio_bids.cli.bids_app import main


def write_two_grids(root, persons):
    """Write blood flow, of the second person on a coarser grid, with masks of anatomy."""
    trees.write_aslprep(root, persons)
    for mask in root.rglob(f'*_space-{trees.SPACE}_desc-brain_mask.nii.gz'):
        mask.rename(moved(mask))
    for name in ('sub-02/perf', 'sub-02/anat'):
        for kind, write in (('cbf', trees.write_map), ('desc-brain_mask', trees.write_mask)):
            path = root / name / f'sub-02_space-{trees.SPACE}_{kind}.nii.gz'
            if path.exists():
                path.unlink()
                write(path, persons[1], trees.DIFFUSION)


def moved(mask):
    return mask.parents[1] / 'anat' / mask.name


# Images with masks found beside them, with masks made of the maps, resampled, and without masks.
KINDS = {
    'resampled': (write_two_grids, 'cbf', ['--on-grid-mismatch', 'resample']),
    'masks of their own': (trees.write_aslprep, 'cbf', []),
    'masks of the maps': (trees.write_aslprep, 'cbf', ['--mask-source', 'map-itself']),
    'greyordinates': (trees.write_xcp_d, 'alff', []),
    'fixels': (trees.write_fixels, 'fd', []),
}


def study(folder, write):
    root = trees.describe(folder / 'study')
    trees.write_participants(root, trees.people(4))
    write(root / 'derivatives' / write.__name__.removeprefix('write_'), trees.people(4))
    return root


def fitted(output):
    """Add an analysis to the one file there is; the file."""
    (store,) = output.rglob('*.h5')
    with h5py.File(store) as file:
        (scalar,) = file['scalars']
        n = file[f'scalars/{scalar}/values'].shape[1]
    write_results(store, 'mylm', ['age.p.value'], np.full((n, 1), 0.5))
    return store


def state(folder):
    return {
        path: (path.read_bytes(), path.stat().st_mtime_ns)
        for path in folder.rglob('*')
        if path.is_file() and 'logs' not in path.parts
    }


def group(root, output, *options):
    return main([str(root), str(output), 'group', '--no-report', *options])


@pytest.mark.parametrize('kind', KINDS)
def test_what_is_unchanged_keeps_its_results(tmp_path, kind, capsys):
    write, scalar, options = KINDS[kind]
    root, output = study(tmp_path, write), tmp_path / 'out'
    assert group(root, output, '--scalars', scalar, *options) == 0
    store = fitted(output)
    before = store.read_bytes(), store.stat().st_mtime_ns
    capsys.readouterr()
    assert group(root, output, '--scalars', scalar, *options) == 0
    assert (store.read_bytes(), store.stat().st_mtime_ns) == before
    (log, *_) = sorted((output / 'logs').glob('*.log'), reverse=True)
    assert 'Kept, made of the same images' in log.read_text()


def test_the_other_scalars_are_built(tmp_path):
    root, output = study(tmp_path, trees.write_aslprep), tmp_path / 'out'
    assert group(root, output, '--scalars', 'cbf') == 0
    store = fitted(output)
    before = store.read_bytes()
    assert group(root, output) == 0
    assert store.read_bytes() == before
    assert {path.parent.name for path in output.rglob('*.h5')} > {'cbf'}


def changed(image, values):
    nb.save(nb.Nifti1Image(values, None, nb.load(image).header), image)


def new_image(root):
    image = min((root / 'derivatives').rglob('sub-02_space-MNI152NLin2009cAsym_cbf.nii.gz'))
    changed(image, nb.load(image).get_fdata() + 1)


def new_mask(root):
    mask = min((root / 'derivatives').rglob('sub-02_space-MNI152NLin2009cAsym_*mask.nii.gz'))
    values = nb.load(mask).get_fdata()
    values[tuple(np.argwhere(values)[0])] = 0
    changed(mask, values)


def no_table(root):
    next((root.parent / 'out').rglob('*_cohort.csv')).unlink()


def one_fewer(root):
    shutil.rmtree(root / 'derivatives' / 'aslprep' / 'sub-02')


@pytest.mark.parametrize(
    ('change', 'options'),
    [
        (new_image, []),
        (new_mask, []),
        (one_fewer, []),
        (no_table, []),
        (new_image, ['--mask-source', 'map-itself']),
        (None, ['--group-mask-threshold', '1']),
        (None, ['--mask-source', 'map-itself']),
    ],
)
def test_what_has_changed_is_not_replaced(tmp_path, change, options, capsys):
    root, output = study(tmp_path, trees.write_aslprep), tmp_path / 'out'
    assert group(root, output, '--scalars', 'cbf', *(options if change else [])) == 0
    fitted(output)
    if change is not None:
        change(root)
    before = state(output)
    assert group(root, output, *options) == 73
    assert 'holds results that would be lost: mylm' in capsys.readouterr().err
    assert state(output) == before
    assert group(root, output, '--scalars', 'cbf', *options, '--overwrite') == 0


@pytest.mark.parametrize('change', [new_image, new_mask])
def test_what_was_resampled_is_made_again_where_its_origin_has_changed(tmp_path, change, capsys):
    root, output = study(tmp_path, write_two_grids), tmp_path / 'out'
    options = '--scalars', 'cbf', '--on-grid-mismatch', 'resample'
    assert group(root, output, *options) == 0
    fitted(output)
    change(root)
    before = state(output)
    assert group(root, output, *options) == 73
    assert 'holds results that would be lost: mylm' in capsys.readouterr().err
    assert state(output) == before


def test_as_many_images_of_other_people_are_not_the_same(tmp_path, capsys):
    root, output = study(tmp_path, trees.write_aslprep), tmp_path / 'out'
    options = '--scalars', 'cbf', '--exclude-participant-label'
    assert group(root, output, *options, '02') == 0
    fitted(output)
    before = state(output)
    assert group(root, output, *options, '03') == 73
    assert 'holds results that would be lost: mylm' in capsys.readouterr().err
    assert state(output) == before
