"""Which phenotypes a first model has, and how many images an element needs for it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelarrayio_bids.derivatives.rscripts.model import Column, Model

N = 40
AGE = Column('age', tuple(str(20 + n) for n in range(N)))
SEX = Column('sex', ('F', 'M') * (N // 2))
PEOPLE = [f'sub-{n}' for n in range(N)]


def column(name, *texts, **more):
    """A column in which the texts come again and again."""
    return Column(name, tuple(texts[n % len(texts)] for n in range(N)), **more)


def suggested(*columns, people=PEOPLE):
    return Model.suggested(columns, people)


def names(model):
    return [term.name for term in model.terms]


def test_numbers_and_levels_are_terms_age_and_sex_before_others():
    site = column('site', 'a', 'a', 'b', 'b')
    model = suggested(site, SEX, AGE)
    assert names(model) == ['age', 'sex', 'site']
    assert [term.is_factor for term in model.terms] == [False, True, True]
    assert model.reasons == {}


@pytest.mark.parametrize(
    ('odd', 'reason'),
    [
        (column('mrn', '1', '2', '3'), 'an identifier, by its name'),
        (column('family_id', 'a', 'b'), 'an identifier, by its name'),
        (column('session_id', 'ses-1', 'ses-2'), 'it tells images of one participant apart'),
        *(
            (column(name, '1', '2', '3'), f'its results would be called {name}, as others')
            for name in ('Intercept', 'intercept', 'model')
        ),
        (column('Inter', 'a', 'cept'), 'its results would be called Intercept'),
        (column('SEXm', '1', '2', '2'), 'its results would be called SEXm, as others'),
        (column('sexM', '1', '2', '2'), 'its results would be called sexM, as others'),
        (column('Größe', '1', '2', '2', r_name='Model'), 'its results would be called Model'),
        (column('x', ''), 'blank for all'),
        (column('x', '5'), 'the same for all'),
        # Ten is the most.
        (column('x', *'abcdefghijk'), '11 different texts'),
        (Column('x', (*map(str, range(39)), '90+')), 'text among numbers: 90+'),
        (column('x', '1', '2', '3', 'Inf'), 'a number that is not finite: Inf'),
        (Column('x', (*map(str, range(39)), '２５')), 'text among numbers: ２５'),
        (column('x', '1', '2', '3', ''), 'with it, only 30 of 40 images have all values'),
        (Column('x', ('rare', *['often'] * 39)), 'a level has only 1 of 40 images'),
        # What age tells already, in months; what sex tells, in other words.
        (Column('x', tuple(str(12 * (20 + n)) for n in range(N))), 'told by the other terms'),
        (column('x', 'female', 'male'), 'told by the other terms'),
        # Five coefficients for 40 people, with those of age and sex.
        (column('x', *'abcd'), '40 participants are too few for one more'),
    ],
)
def test_there_is_a_reason_for_what_is_no_term(odd, reason):
    model = suggested(odd, AGE, SEX)
    assert names(model) == ['age', 'sex']
    assert reason in model.reasons[odd.name]


def test_labels_of_images_are_terms_though_their_names_are_those_of_identifiers():
    assert names(suggested(column('acq_id', 'acq-a', 'acq-b'))) == ['acq_id']


def test_codes_of_a_data_dictionary_are_levels_in_its_order():
    coded = column('group', '1', '2', codes=('2', '1', '9'))
    assert coded.is_factor
    assert coded.levels == ['2', '1']
    # A dictionary that knows not all values names exceptions among numbers.
    assert not column('score', '1', '2', '-9', codes=('-9',)).is_factor


@pytest.mark.parametrize(
    ('n', 'rare', 'is_term'), [(40, 4, 0), (40, 5, 1), (100, 9, 0), (100, 10, 1)]
)
def test_a_level_is_not_too_rare(n, rare, is_term):
    group = Column('group', ('a',) * rare + ('b',) * (n - rare))
    model = Model.suggested([group], [str(person) for person in range(n)])
    assert len(model.terms) == is_term
    if is_term:
        assert model.fewest_images == n - rare


def test_there_are_six_terms_at_most():
    rng = np.random.default_rng(1)
    many = [Column(f'x{n}', tuple(map(str, rng.random(400)))) for n in range(8)]
    model = Model.suggested(many, [str(n) for n in range(400)])
    assert names(model) == [f'x{n}' for n in range(6)]
    assert model.reasons['x7'] == 'there are 6 terms already'


@pytest.mark.parametrize(('n', 'fewest'), [(1, 0), (2, 1), (3, 1), (10, 5), (19, 9), (20, 10)])
def test_few_people_have_no_terms_and_can_be_fitted(n, fewest):
    model = Model.suggested(
        [Column('age', AGE.texts[:n]), Column('sex', SEX.texts[:n])], PEOPLE[:n]
    )
    # Ten people for a coefficient.
    assert len(model.terms) == n // 10
    if not model.terms:
        assert model.fewest_images == fewest
    if n == 3:
        assert (
            model.reasons['age']
            == '3 participants are too few for one more (10 for each coefficient)'
        )
    assert model.fewest_images < n


def test_several_images_of_one_participant_count_as_one():
    model = suggested(AGE, SEX, people=[f'sub-{n // 4}' for n in range(N)])
    assert model.is_repeated
    assert names(model) == ['age']
    assert '10 participants are too few' in model.reasons['sex']


@given(
    st.lists(st.tuples(st.sampled_from(['', '1', '2.5', '-3e2']), st.sampled_from(['', *'ab'])),
             min_size=30, max_size=60),
    st.data(),
)  # fmt: skip
def test_an_element_with_enough_images_has_every_level_and_can_be_fitted(cells, data):
    x, g = (Column(*pair) for pair in zip('xg', zip(*cells, strict=True), strict=True))
    model = Model.suggested([x, g], [str(n) for n in range(len(cells))])
    enough = data.draw(
        st.sets(st.integers(0, len(cells) - 1), min_size=model.fewest_images + 1)
    )  # fmt: skip
    there = [n for n in enough if all(term.texts[n] for term in model.terms)]
    for term in model.terms:
        if term.is_factor:
            assert {term.texts[n] for n in there} == set(term.counts)
    assert len(there) > sum(
        1 if not term.is_factor else len(term.counts) - 1 for term in model.terms
    )
