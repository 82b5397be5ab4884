"""What every element space promises, as a test class. A new space is one subclass."""

import numpy as np
import pytest
from stores import write_results

from modelarrayio_bids import to_modelarray
from modelarrayio_bids.cohort import Cohort
from modelarrayio_bids.export import export_results
from modelarrayio_bids.spaces import SPACES, References, space_class
from modelarrayio_bids.store.reader import StoreReader


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
        path = tmp_path / f'map{space.extension(compress=True)}'
        space.write(values[0].astype(np.float64), path)
        row = self.make_row(tmp_path, 9, values[1])
        source = Cohort.from_rows(
            [{'scalar_name': 'x', **row, 'source_file': str(path)}]
        ).sources()[0]
        np.testing.assert_array_equal(space.read(source), values[0])

    def test_exports_are_complete(self, tmp_path, space, store):
        write_results(store, 'all', ['a.estimate'], np.zeros((len(space), 1)))
        (image,) = export_results(store, 'all', tmp_path / 'maps')
        alone = tmp_path / 'alone'
        alone.mkdir()
        companions = {path.name for path in space.write_companions(alone)}
        found = {path.name for path in (tmp_path / 'maps').iterdir()}
        assert found == {image.name, 'all_results.json', *companions}

    def test_results_return_to_their_elements(self, tmp_path, space, store, values):
        # Half of the elements, in an order of their own; the others must come back as NaN.
        chosen = np.random.default_rng(1).permutation(len(space))[: max(1, len(space) // 2)]
        matrix = np.column_stack([chosen, values[0, chosen]])
        write_results(store, 'part', ['element_id', 'a.estimate'], matrix)
        _, image = export_results(store, 'part', tmp_path / 'maps', References())
        row = self.make_row(tmp_path, 9, values[1])
        source = Cohort.from_rows(
            [{'scalar_name': 'x', **row, 'source_file': str(image)}]
        ).sources()[0]
        expected = np.full(len(space), np.nan, np.float32)
        expected[chosen] = values[0, chosen]
        np.testing.assert_array_equal(space.read(source), expected)
