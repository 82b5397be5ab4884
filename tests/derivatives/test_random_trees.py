"""Trees of random subjects, sessions, runs, spaces and measures: what is found is what was made."""

from collections import Counter
from dataclasses import dataclass

import trees
from hypothesis import given, settings
from hypothesis import strategies as st

from modelarrayio_bids.derivatives.bids.entities import names
from modelarrayio_bids.derivatives.bids.filters import BidsFilters
from modelarrayio_bids.derivatives.cohorts.collect import Request, collect

#: A digit at the end keeps them apart from words that mean something to a recipe or to R.
LABELS = st.from_regex(r'[a-z]{1,3}[0-9]', fullmatch=True)
SESSIONS = (None, '1', 'b')
RUNS = (None, '1', '02')
#: No table tells sessions and runs apart: a person says that each is a row.
EACH = BidsFilters.from_dict({'scalar': {'session': list(SESSIONS), 'run': list(RUNS)}})
SPACES = ('MNI152NLin6Asym', 'MNIInfant+1', 'fsLR')
MOST = 3


@dataclass(frozen=True)
class Measure:
    """One scalar in one space, as its pipeline names its files."""

    scalar: str
    datatype: str
    suffix: str
    extension: str
    entities: tuple[tuple[str, str], ...]

    @property
    def stem(self):
        """Its group, by hand: the entities that divide images, and the kind but for voxels."""
        own = dict(self.entities)
        kept = [f'{name}-{own[name]}' for name in ('task', 'space', 'res') if name in own]
        return '_'.join(kept + ['desc-greyordinates'] * (self.extension == '.dscalar.nii'))


@st.composite
def measures(draw):
    """Diffusion, perfusion and BOLD maps, and maps that no recipe knows."""
    first, second, desc = draw(LABELS), draw(LABELS), draw(st.none() | LABELS)
    end = f'_{desc}' if desc else ''
    scalar, datatype, suffix, entities = draw(
        st.sampled_from(
            [
                (f'{first}_{second}{end}', 'dwi', 'dwimap', {'model': first, 'param': second}),
                (f'cbf{end}', 'perf', 'cbf', {}),
                (f'{first}{end}', 'func', 'boldmap', {'stat': first, 'task': second}),
                (f'{desc}_xmap' if desc else 'xmap', 'anat', 'xmap', {}),
            ]
        )
    )
    entities |= {'space': draw(st.sampled_from(SPACES))} | ({'desc': desc} if desc else {})
    if draw(st.booleans()):
        entities['res'] = draw(st.sampled_from('12'))
    extension = draw(st.sampled_from(['.nii.gz', '.nii', '.dscalar.nii']))
    return Measure(scalar, datatype, suffix, extension, tuple(sorted(entities.items())))


def by_group(measure):
    return measure.scalar, measure.stem


@st.composite
def cohorts(draw):
    """Measures, each with the rows that have it; and who has masks."""
    found = draw(st.lists(measures(), min_size=1, max_size=MOST, unique_by=by_group))
    labels = st.sampled_from(draw(st.lists(LABELS, min_size=1, max_size=MOST, unique=True)))
    rows = st.tuples(labels, st.sampled_from(SESSIONS), st.sampled_from(RUNS))
    had = [draw(st.sets(rows, min_size=1, max_size=2 * MOST)) for _ in found]
    return list(zip(found, had, strict=True)), draw(st.sets(labels))


def name(row, entities, suffix):
    own = {**entities, **dict(zip(('subject', 'session', 'run'), row, strict=True))}
    keys = {'subject': 'sub', 'session': 'ses'}
    parts = [f'{keys.get(key, key)}-{own[key]}' for key in names() if own.get(key) is not None]
    return '_'.join([*parts, suffix])


def touch(root, row, datatype, file):
    folder = root / f'sub-{row[0]}' / (f'ses-{row[1]}' if row[1] else '') / datatype
    folder.mkdir(parents=True, exist_ok=True)
    (folder / file).touch()


@settings(max_examples=25, deadline=None)
@given(cohorts())
def test_what_is_found_is_what_was_made(tmp_path_factory, made):
    cohort, masked = made
    root = trees.describe(tmp_path_factory.mktemp('random') / 'x', 'unknown')
    expected = {}
    for measure, rows in cohort:
        entities = dict(measure.entities)
        needs = measure.extension != '.dscalar.nii'
        for row in rows:
            file = name(row, entities, measure.suffix) + measure.extension
            touch(root, row, measure.datatype, file)
            kept = {key: entities[key] for key in ('task', 'space', 'res') if key in entities}
            if row[0] in masked:
                mask = name(row, kept | {'desc': 'brain'}, 'mask.nii.gz')
                touch(root, row, measure.datatype, mask)
            native = name(row, entities | {'space': 'T1w'}, measure.suffix)
            touch(root, row, measure.datatype, f'{native}.nii.gz')
        mask_sources = Counter(
            ('same-dataset' if row[0] in masked else 'map-itself') if needs else 'not-needed'
            for row in rows
        )
        expected[by_group(measure)] = (rows, dict(mask_sources))
    found = {
        (group.scalar, group.stem): (
            {(row.participant, row.session, row.run) for row in group.rows},
            group.mask_sources,
        )
        for group in collect(Request(root, root.parent / 'out', bids_filters=EACH)).groups
    }
    assert found == expected
