"""Names of scalars and outputs.

>>> template = NameTemplate.from_text('{model}_{param}[_{desc}]')
>>> template.fill({'model': 'noddi', 'param': 'icvf', 'desc': 'modulated'})
'noddi_icvf_modulated'
>>> outputs = Outputs.of(Path('out'), 'gm_probseg', {'space': 'MNI152NLin2009cAsym', 'res': '2'})
>>> outputs.cohort.as_posix()
'out/gm_probseg/space-MNI152NLin2009cAsym_res-2_cohort.csv'
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from pathlib import Path

from modelarrayio_bids.derivatives.bids import entities as bids_entities
from modelarrayio_bids.derivatives.bids.entities import Entities
from modelarrayio_bids.errors import SourceNotFoundError
from modelarrayio_bids.spaces import SPACES, VoxelSpace
from modelarrayio_bids.store.schema import SCALARS, is_r_name

#: Entities whose labels divide the images of a scalar into groups, each with a file of its own.
GROUP_ENTITIES = ('task', 'hemi', 'space', 'cohort', 'atlas', 'seg', 'res', 'den')
#: Name of an HDF5 file for ModelArray that has no entities, and how those of others end.
STORE_NAME = 'modelarray.h5'
STORE_ENDING = f'_{STORE_NAME}'
#: The kind of elements that a name need not tell.
DEFAULT_KIND = VoxelSpace.kind

_PART = re.compile(r'\[(?P<before>\w*)\{(?P<option>\w+)\}(?P<after>\w*)\]|\{(?P<entity>\w+)\}')


@dataclass(frozen=True)
class NameTemplate:
    """The template of a scalar's name, filled with the entities of its file.

    ``{entity}`` stands for a label; ``[...{entity}...]`` is omitted if the entity is absent. A
    mere word is a name as it stands.
    """

    text: str
    #: Keep capital letters: only BIDS entities have mixed case.
    keeps_case: bool = False

    @classmethod
    def from_text(cls, text: str) -> NameTemplate:
        """Return a template.

        Raises
        ------
        ValueError
            If it names what cannot be an entity, or has stray signs.
        """
        template = cls(text)
        stray = _PART.sub('', text)
        if not re.fullmatch(r'\w*', stray):
            raise ValueError(f'name: {text!r} is not a template such as {{model}}_{{param}}')
        for name in template.entities:
            if bids_entities.entity_name(name) != name:
                raise ValueError(f'name: write {bids_entities.entity_name(name)!r} for {name!r}')
        return template

    @functools.cached_property
    def required(self) -> tuple[str, ...]:
        """The entities without which there is no name."""
        return tuple(found['entity'] for found in _PART.finditer(self.text) if found['entity'])

    @property
    def entities(self) -> tuple[str, ...]:
        """Entities that it names."""
        return tuple(found['entity'] or found['option'] for found in _PART.finditer(self.text))

    def fill(self, entities: Entities) -> str:
        """Return the name: lower case, and one that R takes in a formula."""
        filled = _PART.sub(functools.partial(_filled, entities), self.text)
        return syntactic(filled if self.keeps_case else filled.lower())


@dataclass(frozen=True)
class Outputs:
    """The files of one scalar in one space.

    Parameters
    ----------
    folder : pathlib.Path
        The scalar's.
    stem : str
        The entities that tell this group from the scalar's others.
    """

    folder: Path
    stem: str

    @classmethod
    def of(
        cls, output_dir: Path, scalar: str, entities: Entities, kind: str = DEFAULT_KIND
    ) -> Outputs:
        """Return the outputs of a scalar for images of these entities and kind of elements."""
        return cls(output_dir / scalar, stem(entities, kind))

    @classmethod
    def beside(cls, store: Path) -> Outputs:
        """Return the outputs that an HDF5 file is one of.

        >>> Outputs.beside(Path('out/cbf/space-X_modelarray.h5')).cohort.as_posix()
        'out/cbf/space-X_cohort.csv'
        """
        return cls(store.parent, store.name.removesuffix(STORE_NAME).removesuffix('_'))

    @property
    def cohort(self) -> Path:
        """The cohort CSV."""
        return self._named('cohort.csv')

    @property
    def group_mask(self) -> Path:
        """The voxels analysed."""
        return self._named('desc-group_mask.nii.gz')

    @property
    def coverage(self) -> Path:
        """The map of how many images have each voxel."""
        return self._named('coverage.nii.gz')

    @property
    def store(self) -> Path:
        """The HDF5 file for ModelArray."""
        return self._named(STORE_NAME)

    @property
    def fit_script(self) -> Path:
        """The R script that fits a model to the HDF5 file.

        >>> Outputs(Path('out/cbf'), 'space-X').fit_script.as_posix()
        'out/code/fit_cbf_space-X.R'
        """
        name = '_'.join(part for part in ('fit', self.folder.name, self.stem) if part)
        return self.folder.parent / 'code' / f'{name}.R'

    @property
    def masks(self) -> Path:
        """Folder of the masks that had to be made for single images."""
        return self.folder / 'masks'

    def own_mask(self, image: str, desc: str) -> Path:
        """Return the mask made for one image, by the image's name: ``desc`` says how.

        >>> outputs = Outputs(Path('cbf_scrub'), 'space-X')
        >>> outputs.own_mask('sub-01_space-X_desc-scrub_cbf.nii.gz', 'present').name
        'sub-01_space-X_desc-present_mask.nii.gz'
        """
        base = re.sub(r'(_desc-[^_]+)?_[^_]+$', '', image)
        return self.masks / f'{base}_desc-{desc}_mask.nii.gz'

    def own_map(self, image: str) -> Path:
        """Return the map on the group's grid, by the image's name, where that has another grid.

        >>> Outputs(Path('cbf_scrub'), '').own_map('sub-01_space-X_desc-scrub_cbf.nii').name
        'sub-01_space-X_desc-resampled_cbf.nii.gz'
        """
        base, _, suffix = re.sub(r'_desc-[^_]+', '', image).rpartition('_')
        return self.folder / 'maps' / f'{base}_desc-resampled_{suffix.partition(".")[0]}.nii.gz'

    def _named(self, ending: str) -> Path:
        return self.folder / '_'.join(part for part in (self.stem, ending) if part)


def _filled(entities: Entities, part: re.Match[str]) -> str:
    """Return a part of a template with its entity's label; blank if an optional one is absent."""
    if part['entity']:
        return entities[part['entity']]
    label = entities.get(part['option'])
    return '' if label is None else f'{part["before"]}{label}{part["after"]}'


def stores_below(folder: Path) -> list[Path]:
    """Return the HDF5 files of all scalars below a folder, without what a killed run left."""
    return sorted(
        path
        for path in folder.rglob(f'*{STORE_ENDING}')
        if not any(part.startswith('.') for part in path.relative_to(folder).parts)
    )


def require_stores(output_dir: Path) -> list[Path]:
    """Return the HDF5 files of all scalars in an output folder, absolute.

    Raises
    ------
    SourceNotFoundError
        If there is none.
    """
    stores = stores_below(output_dir.absolute())
    if not stores:
        raise SourceNotFoundError(
            f'holds no file named *{STORE_ENDING}', output_dir, 'Run the group level first.'
        )
    return stores


def sidecar(path: Path) -> Path:
    """Return where a file's JSON sidecar is.

    >>> sidecar(Path('a/space-X_coverage.nii.gz')).as_posix()
    'a/space-X_coverage.json'
    >>> sidecar(Path('a/space-fsLR_stat-p_statmap.dscalar.nii')).as_posix()
    'a/space-fsLR_stat-p_statmap.json'
    """
    # SPACES has the most particular ending first.
    endings = (ending for space in SPACES.values() for ending in space.extensions)
    ending = next((ending for ending in endings if path.name.endswith(ending)), path.suffix)
    return path.with_name(path.name.removesuffix(ending) + '.json')


def stem(entities: Entities, kind: str = DEFAULT_KIND) -> str:
    """Return the entities of a group as BIDS writes them, and the kind where it is not voxels.

    The kind keeps apart what the entities do not: parcels and edges of one atlas, say.

    >>> stem({'res': '2', 'suffix': 'probseg', 'space': 'MNI152NLin6Asym', 'task': 'rest'})
    'task-rest_space-MNI152NLin6Asym_res-2'
    >>> stem({'space': 'fsLR', 'den': '91k', 'suffix': 'thickness'}, 'greyordinates')
    'space-fsLR_den-91k_desc-greyordinates'
    """
    parts = [f'{name}-{entities[name]}' for name in GROUP_ENTITIES if name in entities]
    return '_'.join(parts if kind == DEFAULT_KIND else [*parts, f'desc-{kind}'])


def space_name(entities: Entities) -> str:
    """Return the space of an image as fMRIPrep's ``--output-spaces`` writes it; blank without one.

    >>> space_name({'space': 'MNI152NLin6Asym', 'res': '2', 'suffix': 'probseg'})
    'MNI152NLin6Asym:res-2'
    """
    more = [f'{name}-{entities[name]}' for name in ('cohort', 'res', 'den') if name in entities]
    return ':'.join([entities.get('space', ''), *more])


def syntactic(name: str) -> str:
    """Return a name that R takes in a formula, as R's ``make.names`` would.

    >>> syntactic('dki_fa'), syntactic('3dshore_rtop'), syntactic('a+b')
    ('dki_fa', 'X3dshore_rtop', 'a.b')
    """
    name = re.sub(r'[^A-Za-z0-9._]', '.', name)
    return name if is_r_name(name) and name != SCALARS else f'X{name}'
