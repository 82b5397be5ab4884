"""Real layouts, from names to maps: the values that nibabel reads, and a slope that NumPy finds.

The trees are the listings of ``tests/data/listings``, and names that programs document, for twelve
participants, each image with values of its own, and an effect of age of 0.1 a year.
"""

import csv
import hashlib
import re
import shlex
import subprocess
import tarfile
from pathlib import Path

import h5py
import listings
import nibabel as nb
import numpy as np
import pytest
import vertices
from pages import DOCS

from modelarrayio_bids.cli import files
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
    'real_pet_energetic_costs_ds004513': (
        'derivatives/energetic-costs',
        [
            *('--images-space', 'MNI152NLin6Asym:res-3mm', '--session-label', 'open', '--images'),
            'CMRglc=sub-{participant}/ses-{session}/pet/*_desc-CMRglc_pet.nii.gz',
        ],
    ),
    'real_rsHRF_TVB_ds001226': ('', []),
    'real_spm_dartel': ('', ['--scalars', 'gmv']),
    'real_tbss': ('', []),
}
_FS_LR = 'sub-01/MNINonLinear/fsaverage_LR32k/sub-01.{}.32k_fs_LR.dscalar.nii'
_GIFTI = 'sub-01/anat/sub-01_hemi-{}_space-fsaverage5_thickness.shape.gii'
#: Folder that ``docs/patterns.md`` has a command for: paths of one participant, as their programs
#: document them.
DOCUMENTED = {
    'cat12': ['mri/mwp1sub-01_T1w.nii', 'mri/s6mwp1sub-01_T1w.nii'],
    'cat12_surfaces': ['surf/s12.mesh.thickness.resampled_32k.sub-01_T1w.gii'],
    'ciftify': [_FS_LR.format('curvature')],
    'dartel': ['sub-01/mwc1sub-01_T1w.nii', 'sub-01/smwc1sub-01_T1w.nii'],
    'freesurfer': [f'sub-01/surf/{side}.area.fwhm5.fsaverage.mgh' for side in ('lh', 'rh')],
    'freesurfer_sessions': [
        f'sub-01_ses-1/surf/{side}.thickness.fwhm10.fsaverage.mgh' for side in ('lh', 'rh')
    ],
    'freesurfer-post': ['sub-01/sub-01_space-fsLR_den-164k_curv.dscalar.nii'],
    'fslvbm': ['struc/sub-01_struc_GM_to_template_GM_mod.nii.gz'],
    'gifti': [_GIFTI.format(side) for side in 'LR'],
    'hcp': [_FS_LR.format('corrThickness'), _FS_LR.format('MyelinMap_BC')],
    'tbss': ['FA/sub-01_FA_to_target.nii.gz', 'MD/sub-01_FA_to_target_MD.nii.gz'],
}
_PAGE = (DOCS / 'patterns.md').read_text('utf-8').replace('\\\n', '')
#: Options of the command for each folder on the page.
COMMANDS = dict(re.findall(r'(?m)^\$ modelarrayio-bids (\w[\w-]*) results group *(.*)$', _PAGE))
del COMMANDS['study']  # of any other layout
STACKS = re.findall(r'(?m)^\$ modelarrayio (make-cohort .*--stack.*)$', _PAGE)
#: Images of these that are on one grid, though no name tells a space.
ON_TEMPLATE = r'/s?6?mwp[12]|/s?mwc1|_to_target|mean_FA|all_FA|_to_template'
SURFACE = ('.mgh', '.gii')
IMAGES = (*SURFACE, '.nii', '.nii.gz')
LABEL = re.compile(r'(?<=sub-)[a-zA-Z0-9]+|\b[0-9]{6}\b')


@pytest.mark.parametrize('name', LAYOUTS)
def test_from_names_to_maps(tmp_path, name):
    below, words = LAYOUTS[name]
    study = plant(tmp_path / 'study', listings.paths(name))
    run_and_check(study / below, tmp_path, words)


@pytest.mark.parametrize('name', COMMANDS)
def test_the_command_of_a_layout(tmp_path, name):
    words = COMMANDS[name].split()
    scalars = words[1:] or [None]
    study = plant(tmp_path / name, DOCUMENTED[name])
    run_and_check(study, tmp_path, words, stores=len(scalars))


def test_every_layout_has_a_command():
    assert set(COMMANDS) == set(DOCUMENTED)


def test_archives_of_freesurfer_are_unpacked_by_the_command_of_the_message(tmp_path, capsys):
    name = 'real_rbc_freesurfer_archives_nki'
    study = plant(tmp_path / 'study', listings.paths(name)) / 'freesurfer'
    for archive in study.glob('*/*.tar.xz'):
        pack(archive, tmp_path / archive.name.removesuffix('.tar.xz'))
    assert main([str(study), str(tmp_path / 'out'), 'group']) == 18
    said = capsys.readouterr().err
    assert '(12 *_freesurfer.tar.xz, 12 *_fsLR_den-164k.tar.xz, 12 *_fsaverage.tar.xz)' in said
    command = said.strip().partition('unpack them with ')[2]
    subprocess.run(command, shell=True, check=True)
    run_and_check(study, tmp_path, ['--scalars', 'thickness', 'thickness_fwhm10'], stores=2)


@pytest.mark.parametrize('command', STACKS)
def test_the_command_of_a_stack(tmp_path, monkeypatch, command):
    monkeypatch.chdir(tmp_path)
    words = shlex.split(command)
    scalar, _, name = words[words.index('--stack') + 1].partition('=')
    mask = words[words.index('--mask') :][:2] if '--mask' in words else []
    values = 50 + np.random.default_rng(5).normal(size=(12, 42)).astype(np.float32)
    values += 0.1 * np.array([*PEOPLE.values()], np.float32)[:, np.newaxis]
    save_stack(Path(name), values)
    if mask:
        save_stack(Path(mask[1]), np.ones((1, 42), np.uint8))
    Path('order.txt').write_text('\n'.join(PEOPLE))
    rows = [f'sub-{label},{age}' for label, age in PEOPLE.items()]
    Path('people.csv').write_text('\n'.join(['participant_id,age', *rows]))
    cohort = ['--cohort-file', 'cohort.csv']
    assert files.main(words) == 0
    assert files.main(['to-modelarray', *cohort, *mask, '--output', 'x.h5']) == 0
    assert files.main(['validate', 'x.h5', *cohort]) == 0
    fit = ['fit', 'x.h5', '--formula', f'{scalar} ~ age', *cohort, '--export', 'maps']
    assert files.main(fit) == 0
    sides = 2 if name.endswith('.mgh') else 1
    slopes = np.tile(np.polyfit([*PEOPLE.values()], values.astype(float), 1)[0], sides)
    (image,) = (path for path in Path('maps').glob('lm_age.estimate*') if 'hemi-R' not in path.name)
    np.testing.assert_allclose(at(image, None), slopes, rtol=1e-4, atol=1e-6)


def save_stack(path, values):
    """Save rows, a volume each; of surfaces both hemispheres alike."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == '.mgh':
        for name in (path.name, path.name.replace('lh.', 'rh.')):
            vertices.save_mgh(path.with_name(name), values.T)
    else:
        volumes = values.reshape(-1, 2, 3, 7).transpose(1, 2, 3, 0).squeeze()
        nb.save(nb.Nifti1Image(volumes, np.eye(4)), path)


def pack(archive, folder):
    """Put into an archive what freesurfer-post's scripts put into it: a folder of its name."""
    names = {
        'freesurfer': [],
        'fsaverage': [f'{side}.thickness.fwhm10.fsaverage.mgh' for side in ('lh', 'rh')],
        'fsLR_den-164k': [f'{archive.parent.name}_space-fsLR_den-164k_thickness.dscalar.nii'],
    }
    (kind,) = (kind for kind in names if folder.name.endswith(kind))
    plant(folder, names[kind], {LABEL.search(folder.name)[0]})
    archive.unlink()
    with tarfile.open(archive, 'w:xz') as file:
        if folder.exists():
            file.add(folder, folder.name)


def run_and_check(study, folder, words, stores=1):
    """Run all levels on a folder, and compare its HDF5 files and maps with the images."""
    table, output = folder / 'people.tsv', folder / 'out'
    people = [f'{label}\t{age}' for label, age in PEOPLE.items()]
    table.write_text('\n'.join(['participant_id\tage', *people]) + '\n')
    levels = ['group', 'model', 'export', '--formula', '~ age', '--no-report', '--nprocs', '1']
    assert main([str(study), str(output), *levels, '--phenotypes', str(table), *words]) == 0
    found = sorted(output.rglob('*.h5'))
    assert len(found) >= stores
    for store in found:
        check(store)


def plant(root, paths, people=PEOPLE):
    """The tree of a listing, each participant with the paths of the first of it."""
    first = min((label for path in paths for label in LABEL.findall(path)), default='')
    of_first = [path for path in paths if {*LABEL.findall(path)} <= {first}]
    listed = {LABEL.sub(label, path) for path in of_first for label in people}
    listings.plant(root, sorted(listed), ON_TEMPLATE)
    for path in root.rglob('*'):
        if 'mask' not in path.name and path.name.endswith(IMAGES):
            give_values(path)
    return root


def give_values(path):
    """Replace an image, a link to many, by one of values of its own, all positive."""
    is_surface = path.name.endswith(SURFACE)
    image = None if is_surface else nb.load(path)
    labels = LABEL.findall(str(path))
    seed = int.from_bytes(hashlib.blake2b(path.name.encode(), digest_size=4).digest())
    noise = np.random.default_rng(seed).normal(size=42 if is_surface else image.shape)
    values = (50 + 0.1 * PEOPLE.get(labels[-1] if labels else '', 0) + noise).astype(np.float32)
    path.unlink()
    if is_surface:
        vertices.save(path, values, 'R' if 'hemi-R' in path.name else 'L')
        return
    if isinstance(image, nb.Nifti1Image):
        made = nb.Nifti1Image(values, image.affine)
    else:
        made = nb.Cifti2Image(values, image.header, image.nifti_header)
    nb.save(made, path)


def check(store):
    """Compare a file with its images, and the map of the slope with that of least squares."""
    (cohort,) = store.parent.glob(f'{store.stem.removesuffix("_modelarray")}_cohort.csv')
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
    maps = store.parent.glob(
        f'{store.stem.removesuffix("_modelarray")}*/*contrast-age_stat-effect_*'
    )
    (image,) = (path for path in maps if path.name.endswith(IMAGES) and 'hemi-R' not in path.name)
    slopes = np.polyfit(list(PEOPLE.values()), expected[:, whole].astype(float), 1)[0]
    # float32, as the map is.
    np.testing.assert_allclose(at(image, places)[whole], slopes, rtol=1e-5, atol=1e-6)


def values_of(row, places):
    values = at(Path(row['source_file']), places)
    if row.get('source_mask_file'):
        values[~(at(Path(row['source_mask_file']), places) > 0)] = np.nan
    return values


def at(path, places):
    if path.name.endswith(SURFACE):
        right = path.with_name(path.name.replace('lh.', 'rh.').replace('hemi-L', 'hemi-R'))
        return np.concatenate([vertices.load(file) for file in dict.fromkeys((path, right))])
    data = nb.load(path).get_fdata()
    return data.reshape(-1) if places is None else data.squeeze()[places]
