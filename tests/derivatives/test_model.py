"""Which phenotypes a first model has, and how many images an element needs for it."""

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


def test_age_and_sex_are_terms_in_that_order_and_others_are_not():
    model = suggested(column('site', 'a', 'b'), SEX, AGE)
    assert names(model) == ['age', 'sex']
    assert [term.is_factor for term in model.terms] == [False, True]
    assert model.reasons == {}
    assert model.formula('fa') == 'fa ~ age + sex'


def test_names_are_taken_in_any_case_and_each_thing_once():
    model = suggested(
        column('Gender', 'f', 'm'), Column('Sex', SEX.texts), Column('AGE', AGE.texts)
    )
    assert model.formula('fa') == 'fa ~ AGE + Sex'
    assert model.reasons == {'Gender': 'Sex is a term already'}
    assert names(suggested(column('gender', 'f', 'm'))) == ['gender']


@pytest.mark.parametrize(
    ('texts', 'reason'),
    [
        ([''], 'blank for all'),
        (['5'], 'the same for all'),
        # Ten is the most.
        ([*'abcdefghijk'], '11 different texts, such as a'),
        ([*map(str, range(39)), '90+'], '40 different texts, such as 90+'),
        (['1', '2', '3', 'Inf'], 'a number that is not finite'),
        (['1', '2', '3', 'NaN'], 'a number that is not finite'),
        ([*map(str, range(39)), '２５'], '40 different texts, such as ２５'),
        (['1', '2', '3', ''], 'with it, only 30 of 40 images have all values'),
        (['rare', *['often'] * 39], 'a level has only 1 of 40 images'),
        # Five coefficients for 40 people, with that of sex.
        ([*'abcde'], '40 participants are too few for one more (10 for each coefficient)'),
    ],
)
def test_there_is_a_reason_where_age_is_no_term(texts, reason):
    model = suggested(column('age', *texts), SEX)
    if len(set(texts)) == 5:
        assert names(model) == ['age']
        assert model.reasons == {'sex': reason}
    else:
        assert names(model) == ['sex']
        assert model.reasons == {'age': reason}


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
    group = Column('sex', ('a',) * rare + ('b',) * (n - rare))
    model = Model.suggested([group], [str(person) for person in range(n)])
    assert len(model.terms) == is_term
    if is_term:
        assert model.fewest_images == n - rare


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
    x, g = (Column(*pair) for pair in zip(('age', 'sex'), zip(*cells, strict=True), strict=True))
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
