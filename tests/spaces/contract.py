"""What every element space promises, as a test class. A new space is one subclass."""

import shutil

import h5py
import numpy as np
import pytest
from stores import write_results

from modelarrayio_bids import to_modelarray
from modelarrayio_bids.cohort import Cohort
from modelarrayio_bids.errors import FormatError, SchemaError
from modelarrayio_bids.reports.figures.panels import map_panels, painted_surfaces
from modelarrayio_bids.reports.findings.clusters import connectivity_rule, find_clusters
from modelarrayio_bids.results.export import export_results
from modelarrayio_bids.spaces import SPACES, References, space_class
from modelarrayio_bids.spaces.stored import validate
from modelarrayio_bids.store.reader import StoreReader

#: What may happen to a part of the template in a file.
DAMAGES = {
    'cut': lambda array: array[:-1],
    'none': lambda array: array[:0],
    'zeros': np.zeros_like,
    'backwards': lambda array: np.flip(array, 0),
    'turned': lambda array: array.T,
    'larger': lambda array: array + array.dtype.type(1),
    'one number': lambda array: array.ravel()[0],
    'texts': lambda array: np.array(['a'], 'S1'),
}


def replace_template(store, template):
    """Write another template into a file."""
    with h5py.File(store, 'r+') as file:
        group = file['modelarrayio/template']
        for part in list(group):
            del group[part]
        for part, array in template.items():
            group[part] = array


class SpaceContract:
    """Subclasses give a space, sources of it, and spaces that only look like it."""

    def make_space(self, folder):
        """A space of more than one element."""
        raise NotImplementedError

    def make_others(self, folder):
        """Spaces unequal to it: each differs in one thing that matters."""
        raise NotImplementedError

    def make_row(self, folder, number, values):
        """A cohort row (a dict with its source) whose image holds these values, one per element."""
        raise NotImplementedError

    @pytest.fixture
    def space(self, tmp_path):
        return self.make_space(tmp_path)

    @pytest.fixture
    def values(self, space):
        return np.random.default_rng(7).normal(size=(3, len(space))).astype(np.float32)

    @pytest.fixture
    def cohort(self, tmp_path, values):
        rows = [self.make_row(tmp_path, number, row) for number, row in enumerate(values)]
        return Cohort.from_rows({'scalar_name': 'x', **row} for row in rows)

    @pytest.fixture
    def store(self, tmp_path, space, cohort):
        return to_modelarray(cohort, space, tmp_path / 'x.h5')

    def test_is_registered_under_its_kind(self, space, cohort):
        assert SPACES[space.kind] is type(space)
        assert space_class(cohort.sources()[0].name) is type(space)
        assert space.extension(compress=True).endswith(space.extensions)

    def test_equals_only_the_same_elements(self, tmp_path, space):
        assert space == self.make_space(tmp_path)
        for other in self.make_others(tmp_path):
            assert space != other
        assert space != 'a space'

    def test_says_what_it_is(self, space):
        assert space.kind in repr(space)
        assert f'{len(space):,}' in repr(space)

    def test_tables_have_one_entry_per_element(self, space):
        main = space.tables()[next(iter(space.tables()))]
        assert main.values.shape[-1] == len(space)
        for table in space.tables().values():
            if table.columns:
                assert table.values.shape[0] == len(table.columns)

    def test_comes_back_from_its_template(self, space, store):
        with StoreReader(store) as reader:
            kind, template = reader.template
        assert kind == space.kind
        assert SPACES[kind].from_template(template) == space

    def test_sources_are_read_as_they_are(self, space, cohort, values):
        for source, row in zip(cohort.sources(), values, strict=True):
            space.check(source)
            np.testing.assert_array_equal(space.read(source), row)

    def test_written_maps_are_read_again(self, tmp_path, space, values):
        entities = ''.join(f'_{key}-{label}' for key, label in space.name_entities.items())
        path = tmp_path / f'map{entities}{space.extension(compress=True)}'
        space.write(values[0].astype(np.float64), path)
        row = self.make_row(tmp_path, 9, values[1])
        source = Cohort.from_rows(
            [{'scalar_name': 'x', **row, 'source_file': str(path)}]
        ).sources()[0]
        np.testing.assert_array_equal(space.read(source), values[0])

    def test_exports_are_complete(self, tmp_path, space, store):
        write_results(store, 'all', ['a.estimate'], np.zeros((len(space), 1)))
        images = export_results(store, 'all', tmp_path / 'maps')
        alone = tmp_path / 'alone'
        alone.mkdir()
        companions = {path.name for path in space.write_companions(alone)}
        found = {path.name for path in (tmp_path / 'maps').iterdir()}
        assert found == {*(image.name for image in images), 'all_results.json', *companions}

    def test_a_template_of_other_elements_is_refused(self, tmp_path, space, store):
        write_results(store, 'all', ['a.estimate'], np.zeros((len(space), 1)))
        own = space.tables()
        for other in self.make_others(tmp_path):
            tables = other.tables()
            if len(other) == len(space) and all(
                own[path].agrees_with(tables[path]) for path in own
            ):
                continue  # of the same elements elsewhere no table can tell
            replace_template(store, other.template())
            with pytest.raises(SchemaError, match='template'):
                export_results(store, 'all', tmp_path / 'maps')
            assert not (tmp_path / 'maps').exists()
            assert 'elements-template' in {finding.rule.id for finding in validate(store)}

    @pytest.mark.parametrize('damage', DAMAGES)
    def test_a_damaged_template_is_refused_or_does_not_matter(self, tmp_path, space, store, damage):
        write_results(store, 'all', ['a.estimate'], np.arange(float(len(space)))[:, np.newaxis])
        whole = export_results(store, 'all', tmp_path / 'whole')
        for part, array in space.template().items():
            replace_template(store, {**space.template(), part: DAMAGES[damage](np.array(array))})
            broken = {finding.rule.id for finding in validate(store)} - {'results-without-ids'}
            assert broken <= {'elements-template'}
            try:
                images = export_results(store, 'all', tmp_path / 'maps')
            except (FormatError, SchemaError):
                assert broken
                assert not (tmp_path / 'maps').exists()
            else:
                assert not broken
                for image, expected in zip(images, whole, strict=True):
                    assert image.read_bytes() == expected.read_bytes()
                shutil.rmtree(tmp_path / 'maps')

    def test_results_return_to_their_elements(self, tmp_path, space, store, values):
        # Half of the elements, in an order of their own; the others must come back as NaN.
        chosen = np.random.default_rng(1).permutation(len(space))[: max(1, len(space) // 2)]
        matrix = np.column_stack([chosen, values[0, chosen]])
        write_results(store, 'part', ['element_id', 'a.estimate'], matrix)
        *_, image = export_results(store, 'part', tmp_path / 'maps', References())
        row = self.make_row(tmp_path, 9, values[1])
        source = Cohort.from_rows(
            [{'scalar_name': 'x', **row, 'source_file': str(image)}]
        ).sources()[0]
        expected = np.full(len(space), np.nan, np.float32)
        expected[chosen] = values[0, chosen]
        np.testing.assert_array_equal(space.read(source), expected)

    def test_elements_have_names_and_places(self, space):
        everything = np.arange(len(space))
        labels = space.labels(everything)
        assert len(labels) == len(space)
        assert all(labels)
        assert space.labels(everything[-1:]) == labels[-1:]
        places, volumes = space.coordinates(everything), space.volumes(everything)
        assert places.shape == (len(space), 3)
        assert volumes.shape == (len(space),)
        # What fills a volume is somewhere.
        assert not (np.isnan(places).any(axis=1) & np.isfinite(volumes)).any()

    def test_pictures_show_values_where_there_are_elements(self, space):
        for fill, expected in ((2.5, {2.5}), (np.nan, set())):
            values = np.full(len(space), fill)
            for image in self.images(space, values):
                assert image.dtype == np.float32
                assert set(image[np.isfinite(image)].tolist()) == expected

    def test_pictures_show_what_weighs_most(self, space):
        for element in range(len(space)):
            values, weights = np.full(len(space), np.nan), np.zeros(len(space))
            values[element] = weights[element] = 1
            images = self.images(space, values, weights)
            assert not images or any((image == 1).any() for image in images)

    def test_each_element_is_in_one_structure_if_there_are_any(self, space):
        structures = space.structures()
        if structures:
            members = np.sort(np.concatenate(list(structures.values())))
            np.testing.assert_array_equal(members, np.arange(len(space)))

    def test_clusters_part_the_elements(self, space):
        values = np.random.default_rng(3).normal(size=len(space))
        clusters = find_clusters(space, values, np.ones(len(space), bool), {}, most=len(space))
        assert clusters.count == len(clusters.largest)
        members = np.concatenate([cluster.elements for cluster in clusters.largest])
        np.testing.assert_array_equal(np.sort(members), np.arange(len(space)))
        for cluster in clusters.largest:
            own = values[cluster.elements]
            assert abs(cluster.value) == abs(own).max()
            assert len(set(np.sign(own))) == 1
            assert cluster.where == space.labels(np.array([cluster.peak]))[0]
        sizes = [cluster.size for cluster in clusters.largest]
        assert sizes == sorted(sizes, reverse=True)
        assert connectivity_rule(space, {})

    def test_no_element_makes_no_cluster(self, space):
        nothing = np.full(len(space), np.nan)
        assert find_clusters(space, nothing, np.ones(len(space), bool), {}).count == 0
        assert find_clusters(space, np.ones(len(space)), np.zeros(len(space), bool), {}).count == 0

    @staticmethod
    def images(space, values, weights=None):
        """Every picture of a map."""
        panels = [panel.image for panel in map_panels(space, values, weights)]
        return panels + list(painted_surfaces(space, values).values())
