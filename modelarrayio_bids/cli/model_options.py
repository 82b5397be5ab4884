"""Options of a model, named as the arguments of ``ModelArray.lm``."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from dataclasses import fields
from functools import partial
from typing import TYPE_CHECKING, Any

from modelarrayio_bids.cli.options import Section, named
from modelarrayio_bids.models.kinds import KINDS
from modelarrayio_bids.runtime.grouping import grouped

if TYPE_CHECKING:
    from modelarrayio_bids.models.options import ModelOptions


def model_options(options: argparse.Namespace) -> ModelOptions:
    """Return what the parsed options ask of a model."""
    from modelarrayio_bids.models.options import ModelOptions

    given: dict[str, Any] = {
        option.name: getattr(options, option.name, None) for option in fields(ModelOptions)
    }
    given |= {'contrasts': _by_name(options.contrast), 'f_tests': _by_name(options.f_test)}
    plain: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in given.items()
        if value is not None
    }
    return ModelOptions(**plain)


def add_model(parser: Section) -> None:
    """Add the options of a model, named as the arguments of ``ModelArray.lm``."""
    parser.add(
        '--method',
        metavar='NAME',
        help='kind of model, if the formula does not determine it: '
        + '; '.join(f'{kind.name} ({kind.help})' for kind in KINDS.values()),
    )
    _add_statistics(parser.section('statistics'))
    tests = parser.section('tests')
    _add_hypotheses(tests)
    _add_permutations(tests)
    group = parser.section('images')
    group.add(
        '--num-subj-lthr-abs',
        type=_threshold,
        default=10.0,
        metavar='N',
        help='fit only elements where more than N images have a value (default: 10)',
    )
    group.add(
        '--num-subj-lthr-rel',
        type=_threshold,
        default=0.2,
        metavar='FRACTION',
        help='fit only elements where more than this fraction of all images has a value (default: '
        '%(default)s)',
    )
    group.add(
        '--weights',
        metavar='COLUMN',
        help='column with the weights of images, as weights of lm in R',
    )


def _add_statistics(group: Section) -> None:
    of_terms, of_model = _listed('term_statistics'), _listed('model_statistics')
    usual = _listed('default_term_statistics'), _listed('default_model_statistics')
    group.add(
        '--var-terms',
        nargs='+',
        metavar='STATISTIC',
        help=f'statistics of each coefficient to write: {of_terms} (default: {usual[0]})',
    )
    group.add(
        '--var-model',
        nargs='+',
        metavar='STATISTIC',
        help=f'statistics of the whole model to write: {of_model} (default: {usual[1]})',
    )
    group.add_flag('--full-outputs', help='write all statistics of --var-terms and --var-model')
    for option, what in (('terms', 'each coefficient'), ('model', 'the model')):
        group.add(
            f'--correct-p-value-{option}',
            nargs='+',
            default=['fdr'],
            metavar='METHOD',
            help=f'adjust p values of {what} over all elements by these methods: fdr, holm, '
            'hochberg, hommel, bonferroni, BH, BY or none (default: fdr)',
        )
    group.add_flag(
        '--effect-sizes',
        help="also standardised coefficients, partial R squared and Cohen's f squared; gam: of "
        'each term partial R squared and the change of adjusted R squared',
    )


def _add_hypotheses(group: Section) -> None:
    group.add(
        '--contrast',
        type=named,
        action='append',
        default=[],
        metavar='NAME=CONTRAST',
        common=True,
        help="contrast of coefficients, NAME='sexM - age'; may be repeated",
    )
    group.add(
        '--f-test',
        type=named,
        action='append',
        default=[],
        metavar='NAME=TERMS',
        help="F test of terms, coefficients or contrasts together, NAME='age + age:sexM'; may be "
        'repeated',
    )
    group.add_flag('--anova', help='also write the type II F test of each term')


def _listed(attribute: str) -> str:
    """Return the statistics of the kinds of models; which kind's they are, if these differ."""
    lists = ((', '.join(getattr(kind, attribute)), kind.name) for kind in KINDS.values())
    named = grouped((names, kind) for names, kind in lists if names)
    if len(named) == 1:
        return next(iter(named))
    return '; '.join(f'{", ".join(kinds)}: {names}' for names, kinds in named.items())


def _add_permutations(group: Section) -> None:
    group.add(
        '--permutations',
        type=partial(_number, 2),
        metavar='N',
        common=True,
        help='FWE-corrected p values from N permutations. 5000 is usual; the unpermuted data count '
        'as one of them, and for the formula ~ 1, signs are flipped instead',
    )
    group.add(
        '--seed',
        '--random-seed',
        type=partial(_number, 0),
        default=0,
        metavar='N',
        help='seed of the permutations; the same seed gives the same results (default: '
        '%(default)s)',
    )
    group.add(
        '--exchangeability',
        metavar='COLUMN',
        help='column with the exchangeability block of each image, such as participant_id '
        '(default: the groups of the random intercept, if the formula has one)',
    )
    group.add(
        '--shuffle',
        choices=('within', 'whole', 'both'),
        help='permute images within their block, whole blocks, or both (default: whole if no '
        'covariate varies within blocks, otherwise within; both for a random intercept)',
    )


def _number(least: int, text: str) -> int:
    if not (text.isascii() and text.isdecimal() and least <= int(text) < 2**63):
        raise argparse.ArgumentTypeError(f'{text!r} is not a whole number from {least}')
    return int(text)


def _by_name(texts: Iterable[str]) -> dict[str, str]:
    """Return texts by the names before their equals signs.

    >>> _by_name(['young = age - 40'])
    {'young': 'age - 40'}
    """
    pairs = (text.partition('=') for text in texts)
    return {name.strip(): what.strip() for name, _, what in pairs}


def _threshold(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < float('inf'):
        raise argparse.ArgumentTypeError(f'{text!r} is not a number from 0')
    return value
