"""Files near the sources of a cohort, and templates, as backgrounds of maps.

>>> space_label([Path('sub-01_space-fsLR_den-91k_thickness.dscalar.nii')])
'fsLR'
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path

from modelarrayio_bids.runtime.locations import is_address

#: The volume of greyordinates, by the space of their surfaces (fMRIPrep's and HCP's ``91k``).
VOLUME_SPACES = {'fsLR': 'MNI152NLin6Asym'}
#: So many people are looked at: what one lacks, everybody does.
MOST_SUBJECTS = 3
# A study has tens of derivatives. A folder of more is not one.
_MOST_DATASETS = 100


def anatomical_files(sources: Iterable[Path], pattern: str) -> Iterator[Path]:
    """Yield files of the first subjects, in their own dataset and those beside it.

    Parameters
    ----------
    sources : iterable of pathlib.Path
        Images in a BIDS dataset on a disk. Others have no neighbours: a report needs no network.
    pattern : str
        A glob for the names in a subject's folder, and in its ``anat``, of every session.

    Yields
    ------
    pathlib.Path
        Subject by subject, the own dataset first; by name within a folder.
    """
    subjects = dict.fromkeys(filter(None, map(_subject_folder, sources)))
    for subject in islice(subjects, MOST_SUBJECTS):
        for dataset in study_folders(subject.parent):
            for folder in _anatomical_folders(dataset / subject.name):
                yield from sorted(path for path in folder.glob(pattern) if _has_content(path))


def template_files(names: Sequence[str], pattern: str) -> Iterator[Path]:
    """Yield files of templates that TemplateFlow has fetched to this machine; nothing is fetched.

    Parameters
    ----------
    names : sequence of str
        Labels of templates.
    pattern : str
        A glob for the names in a template's folder.
    """
    home = os.environ.get('TEMPLATEFLOW_HOME')
    root = Path(home) if home else Path.home() / '.cache' / 'templateflow'
    for name in names:
        # It keeps empty files for what it has not fetched.
        yield from sorted(path for path in root.glob(f'tpl-{name}/{pattern}') if _has_content(path))


def atlas_files(sources: Iterable[Path], space: str) -> Iterator[Path]:
    """Yield segmentations of atlases in a space: those of the datasets, then TemplateFlow's.

    Parameters
    ----------
    sources : iterable of pathlib.Path
        Images in a BIDS dataset.
    space : str
        Label of the space, or template.

    Yields
    ------
    pathlib.Path
        In a folder the shorter names first: 4S156Parcels before 4S1056Parcels.
    """
    subjects = islice(filter(None, map(_subject_folder, sources)), 1)
    for folder in (folder for subject in subjects for folder in study_folders(subject.parent)):
        for place in ('atlases', 'sourcedata/atlases'):
            there = (folder / place).glob('**/*atlas-*_dseg.*nii*')
            named = (path for path in there if re.search(f'(tpl|space)-{space}_', path.name))
            yield from sorted(filter(_has_content, named), key=lambda path: (len(path.name), path))
    yield from template_files([space], f'tpl-{space}_*atlas-*_dseg.nii.gz')


def freesurfer_folders(sources: Iterable[Path]) -> Iterator[list[Path]]:
    """Yield the files in ``fsaverage*/surf`` of folders of FreeSurfer's subjects, by folder.

    Parameters
    ----------
    sources : iterable of pathlib.Path
        Images; that of a subject, ``sub-01/surf/lh.thickness.fwhm10.fsaverage.mgh``, lies beside
        them. Then those come that the environment names, as FreeSurfer's own programs read it.
    """
    own = [path.parents[2] for path in islice(sources, 1) if len(path.parents) > 2]
    home, subjects = os.environ.get('FREESURFER_HOME'), os.environ.get('SUBJECTS_DIR')
    named = [Path(subjects)] if subjects else []
    if home:
        named.append(Path(home, 'subjects'))
    for folder in dict.fromkeys((*own, *named)):
        for surf in sorted(folder.glob('fsaverage*/surf')):
            plain = (path for path in surf.glob('[lr]h.*') if path.name.count('.') == 1)
            yield sorted(filter(_has_content, plain))


def space_label(sources: Sequence[Path]) -> str | None:
    """Return the space that the first source's name tells."""
    found = re.search(r'_space-([A-Za-z0-9+]+)_', sources[0].name) if sources else None
    return found[1] if found else None


def study_folders(dataset: Path) -> list[Path]:
    """Return a dataset, its neighbours in a folder ``derivatives``, and what they derive from.

    What lies beside it elsewhere may be another study, with another ``sub-01``.
    """
    found = [dataset]
    while dataset.parent.name == 'derivatives':
        beside = [*islice(sorted(_folders(dataset.parent)), _MOST_DATASETS), dataset.parent.parent]
        found.extend(folder for folder in beside if folder not in found)
        dataset = dataset.parent.parent
    return found


def _subject_folder(source: Path) -> Path | None:
    if is_address(str(source)):
        return None
    return next((folder for folder in source.parents if folder.name.startswith('sub-')), None)


def _anatomical_folders(subject: Path) -> list[Path]:
    sessions = [subject, *sorted(subject.glob('ses-*'))]
    return [folder for session in sessions for folder in (session, session / 'anat')]


def _folders(parent: Path) -> Iterator[Path]:
    try:
        yield from (path for path in parent.iterdir() if path.is_dir())
    except OSError:  # not ours to read: then nothing in it can be shown
        return


def _has_content(path: Path) -> bool:
    try:
        return path.stat().st_size > 0
    except OSError:  # a link to nowhere
        return False
