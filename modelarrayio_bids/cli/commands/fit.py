"""``modelarrayio fit``: a linear model at every element of an HDF5 file."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from modelarrayio_bids.cli.options import add, add_log_level, add_resources, resources

if TYPE_CHECKING:
    from modelarrayio_bids.models.linear import LinearOptions

_EXAMPLES = """examples:
  modelarrayio fit FA.h5 --formula 'FA ~ age + sex' --cohort-file cohort_FA.csv
  modelarrayio fit FA.h5 --formula 'FA ~ age * sex' --cohort-file cohort_FA.csv \\
      --analysis-name interaction --contrast age_in_M='age + age:sexM' --export maps
"""


def add_command(commands: argparse._SubParsersAction) -> None:
    """Add the command to a parser."""
    parser = commands.add_parser(
        'fit',
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        help='a linear model at every element, as ModelArray.lm fits it',
        description='Fit a linear model at every element of a scalar, with the images that have a '
        'value there.\nNames, defaults and results are those of ModelArray.lm in R.',
        epilog=_EXAMPLES,
    )
    parser.set_defaults(command=fit)
    parser.add_argument('file', type=Path, metavar='FILE', help='HDF5 file with the scalar')
    _add_what(parser)
    add_model(parser)
    _add_output(parser)
    add_resources(parser)
    add_log_level(parser)


def fit(options: argparse.Namespace) -> int:
    """Run the command."""
    from modelarrayio_bids.results.linear import LinearFit

    model = LinearFit.of(
        options.file,
        options.formula,
        options.cohort_file,
        linear_options(options),
        weights=options.weights,
        allow_repeated=options.allow_repeated,
    )
    if options.dry_run:
        print('\n'.join(model.described()))
        return 0
    model.run(
        options.analysis_name,
        elements=options.elements,
        overwrite=options.overwrite,
        resources=resources(options),
    )
    if options.export is not None:
        _export(options)
    return 0


def _export(options: argparse.Namespace) -> None:
    from modelarrayio_bids.results.export import ExportOptions, export_results

    how = ExportOptions(threads=options.nprocs)
    export_results(options.file, options.analysis_name, options.export, options=how)


def linear_options(options: argparse.Namespace) -> LinearOptions:
    """Return what the parsed options ask of a linear model."""
    from modelarrayio_bids.models.linear import LinearOptions
    from modelarrayio_bids.models.statistics import MODEL_STATISTICS, TERM_STATISTICS

    full = options.full_outputs
    return LinearOptions(
        var_terms=TERM_STATISTICS if full else tuple(options.var_terms),
        var_model=tuple(MODEL_STATISTICS) if full else tuple(options.var_model),
        correct_p_value_terms=tuple(options.correct_p_value_terms),
        correct_p_value_model=tuple(options.correct_p_value_model),
        num_subj_lthr_abs=options.num_subj_lthr_abs,
        num_subj_lthr_rel=options.num_subj_lthr_rel,
        contrasts=dict(options.contrast),
        f_tests=dict(options.f_test),
        anova=options.anova,
        effect_sizes=options.effect_sizes,
    )


def _add_what(parser: argparse.ArgumentParser) -> None:
    add(
        parser,
        '--formula',
        required=True,
        help="the model in R's words: 'FA ~ age + sex'; other scalars of the file may stand on the "
        'right',
    )
    add(
        parser,
        '--cohort-file',
        '--phenotypes',
        dest='cohort_file',
        type=Path,
        required=True,
        metavar='CSV',
        help='cohort with the covariates; its rows are matched by source_file',
    )
    add(
        parser,
        '--analysis-name',
        default='lm',
        metavar='NAME',
        help='name of the results in the file (default: %(default)s)',
    )
    add(
        parser,
        '--allow-repeated',
        action='store_true',
        help='accept several images of one participant as if they were independent',
    )


def add_model(parser: argparse._ActionsContainer) -> None:
    """Add the options of a linear model, named as the arguments of ``ModelArray.lm``."""
    _add_statistics(parser.add_argument_group('statistics'))
    _add_hypotheses(parser.add_argument_group('hypotheses'))
    group = parser.add_argument_group('images')
    add(
        group,
        '--num-subj-lthr-abs',
        type=_threshold,
        default=10.0,
        metavar='N',
        help='fit elements at which more than N images have a value (default: 10)',
    )
    add(
        group,
        '--num-subj-lthr-rel',
        type=_threshold,
        default=0.2,
        metavar='SHARE',
        help='and more than this share of all images (default: %(default)s)',
    )
    add(group, '--weights', metavar='COLUMN', help='column of weights, as of lm in R')


def _add_statistics(group: argparse._ArgumentGroup) -> None:
    add(
        group,
        '--var-terms',
        nargs='+',
        default=('estimate', 'statistic', 'p.value'),
        metavar='STATISTIC',
        help='of each coefficient: estimate, std.error, statistic, p.value (default: all but '
        'std.error)',
    )
    add(
        group,
        '--var-model',
        nargs='+',
        default=('adj.r.squared', 'p.value'),
        metavar='STATISTIC',
        help='of the model: r.squared, adj.r.squared, sigma, statistic, p.value, df, logLik, AIC, '
        'BIC, deviance, df.residual, nobs (default: adj.r.squared p.value)',
    )
    add(group, '--full-outputs', action='store_true', help='all of both')
    for option, what in (('terms', 'each coefficient'), ('model', 'the model')):
        add(
            group,
            f'--correct-p-value-{option}',
            nargs='+',
            default=('fdr',),
            metavar='METHOD',
            help=f'adjust p values of {what} over all elements: fdr, holm, hochberg, hommel, '
            'bonferroni, BH, BY or none, one or several (default: fdr)',
        )
    add(
        group,
        '--effect-sizes',
        action='store_true',
        help="also standardised coefficients, partial R squared and Cohen's f squared",
    )


def _add_hypotheses(group: argparse._ArgumentGroup) -> None:
    add(
        group,
        '--contrast',
        type=_named,
        action='append',
        default=[],
        metavar='NAME=CONTRAST',
        help="a combination of coefficients, NAME='sexM - age:sexM'; may be repeated",
    )
    add(
        group,
        '--f-test',
        type=_named,
        action='append',
        default=[],
        metavar='NAME=TERMS',
        help="terms or coefficients tested together, NAME='age + age:sexM'; may be repeated",
    )
    add(group, '--anova', action='store_true', help='also the type II F test of each term')


def _add_output(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group('output')
    add(
        group,
        '--elements',
        type=_span,
        metavar='FIRST:END',
        help='fit these alone, counted from 0, END not among them; merge-results joins slices',
    )
    add(group, '--overwrite', action='store_true', help='replace an analysis of that name')
    add(
        group,
        '--export',
        type=Path,
        metavar='DIR',
        help='also write each result as an image into this folder',
    )
    add(
        group,
        '--dry-run',
        action='store_true',
        help='show the design: its columns, who is left out and why; fit nothing',
    )


def _named(text: str) -> tuple[str, str]:
    name, equals, what = text.partition('=')
    if not equals or not name.strip() or not what.strip():
        raise argparse.ArgumentTypeError(f"{text!r} has no name: write NAME='…'")
    return name.strip(), what.strip()


def _span(text: str) -> range:
    """Return a range of elements.

    >>> _span('0:1000')
    range(0, 1000)
    """
    first, colon, end = text.partition(':')
    if not (colon and first.isdecimal() and end.isdecimal() and len(text) < 40):
        raise argparse.ArgumentTypeError(f'{text!r} is not FIRST:END, such as 0:1000')
    return range(int(first), int(end))


def _threshold(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < float('inf'):
        raise argparse.ArgumentTypeError(f'{text!r} is not a number from 0')
    return value
