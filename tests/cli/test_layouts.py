"""Real layouts, from names to maps: the values that nibabel reads, and a slope that NumPy finds.

The trees are the listings of ``tests/data/listings`` for twelve participants, each image with
values of its own, and an effect of age of 0.1 a year.
"""

import csv
import hashlib
import re
from pathlib import Path

import h5py
import listings
import nibabel as nb
import numpy as np
import pytest

from modelarrayio_bids.cli.bids_app import main

# As many as a model takes by default at an element.
PEOPLE = {f'{number:02}': 20 + 5 * number for number in range(1, 13)}
#: Listing: folder in it, and further words; both read off the listing.
LAYOUTS = {
    'aslprep_test_001': ('', ['--scalars', 'cbf']),
    'qsirecon_scalar_mapper': ('', ['--scalars', 'dki_fa']),
    'xcp_d_pnc_cifti': ('', ['--scalars', 'alff']),
    'real_aomic_piop2_ds002790': ('', ['--scalars', 'gm_probseg']),
    'real_cat12_bids': ('', ['--scalars', 'gmv']),
    'real_cpac_rbc_ccnp': (
        'cpac_RBCv0',
        ['--select', 'reg=aCompCor', 'run=01', '--scalars', 'zstd_reho'],
    ),
    'real_fmriprep1_narps_ds001734': ('', ['--scalars', 'csf_probseg']),
    'real_hcp_mninonlinear': ('', ['--scalars', 'thickness']),
    'real_rsHRF_TVB_ds001226': ('', []),
    'real_spm_dartel': ('', ['--scalars', 'gmv']),
    'real_tbss': ('', []),
}
#: Images of these that are on one grid, though no name tells a space.
ON_TEMPLATE = r'/s?mwp[12]|/s?mwc1|_to_target|mean_FA|all_FA'
_LABEL = re.compile(r'(?<=sub-)[a-zA-Z0-9]+|\b[0-9]{6}\b')


@pytest.mark.parametrize('name', LAYOUTS)
def test_from_names_to_maps(tmp_path, name):
    below, words = LAYOUTS[name]
    study, output = plant(tmp_path / 'study', name), tmp_path / 'out'
    people = [f'{label}\t{age}' for label, age in PEOPLE.items()]
    table = tmp_path / 'people.tsv'
    table.write_text('\n'.join(['participant_id\tage', *people]) + '\n')
    levels = ['group', 'model', 'export', '--formula', '~ age', '--no-report', '--nprocs', '1']
    command = [str(study / below), str(output), *levels, '--phenotypes', str(table), *words]
    assert main(command) == 0
    stores = sorted(output.rglob('*.h5'))
    assert stores
    for store in stores:
        check(store)


def plant(root, name):
    """The tree of a listing, each participant with the paths of the first of it."""
    paths = listings.paths(name)
    first = min(label for path in paths for label in _LABEL.findall(path))
    of_first = [path for path in paths if {*_LABEL.findall(path)} <= {first}]
    listed = {_LABEL.sub(label, path) for path in of_first for label in PEOPLE}
    listings.plant(root, sorted(listed), ON_TEMPLATE)
    for path in root.rglob('*.nii*'):
        if 'mask' not in path.name:
            give_values(path)
    return root


def give_values(path):
    """Replace an image, a link to many, by one of values of its own, all positive."""
    image = nb.load(path)
    labels = _LABEL.findall(str(path))
    seed = int.from_bytes(hashlib.blake2b(path.name.encode(), digest_size=4).digest())
    noise = np.random.default_rng(seed).normal(size=image.shape)
    values = (50 + 0.1 * PEOPLE.get(labels[-1] if labels else '', 0) + noise).astype(np.float32)
    if isinstance(image, nb.Nifti1Image):
        made = nb.Nifti1Image(values, image.affine)
    else:
        made = nb.Cifti2Image(values, image.header, image.nifti_header)
    path.unlink()
    nb.save(made, path)


def check(store):
    """Compare a file with its images, and the map of the slope with that of least squares."""
    (cohort,) = store.parent.glob('*_cohort.csv')
    with open(cohort, newline='', encoding='utf-8') as file:
        rows = list(csv.DictReader(file))
    assert [row['participant_id'].removeprefix('sub-') for row in rows] == list(PEOPLE)
    with h5py.File(store) as file:
        found = file[f'scalars/{rows[0]["scalar_name"]}/values'][()]
        places = tuple(file['voxels'][1:4].astype(int)) if 'voxels' in file else None
    expected = np.array([values_of(row, places) for row in rows], np.float32)
    np.testing.assert_array_equal(found, expected)
    whole = np.isfinite(expected).all(axis=0)
    assert whole.sum() > 10
    (image,) = store.parent.glob('*/*contrast-age_stat-effect_statmap*.nii*')
    slopes = np.polyfit(list(PEOPLE.values()), expected[:, whole].astype(float), 1)[0]
    # float32, as the map is.
    np.testing.assert_allclose(at(image, places)[whole], slopes, rtol=1e-5, atol=1e-6)


def values_of(row, places):
    values = at(Path(row['source_file']), places)
    if row.get('source_mask_file'):
        values[~(at(Path(row['source_mask_file']), places) > 0)] = np.nan
    return values


def at(path, places):
    data = nb.load(path).get_fdata()
    return data.reshape(-1) if places is None else data.squeeze()[places]
