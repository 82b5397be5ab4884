"""``modelarrayio fit``: a model at every element of an HDF5 file."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from modelarrayio_bids.cli.model_options import add_model, model_options
from modelarrayio_bids.cli.options import Section, command, disk_path, resources
from modelarrayio_bids.errors import UsageError
from modelarrayio_bids.models.kinds import KINDS

if TYPE_CHECKING:
    from modelarrayio_bids.results.model_fit import ModelFit

_EXAMPLES = """examples:
  modelarrayio fit FA.h5 --formula 'FA ~ age + sex' --cohort-file cohort_FA.csv
  modelarrayio fit FA.h5 --formula 'FA ~ age * sex' --cohort-file cohort_FA.csv \\
      --analysis-name interaction --contrast age_in_M='age + age:sexM' --export maps
"""


def add_command(commands: argparse._SubParsersAction) -> None:
    """Add the command to a parser."""
    parser = command(
        *(commands, fit),
        help='fit a model at every element',
        description='Fit a model at every element of a scalar, to the images with a value there:\n'
        + ''.join(f'  {kind.name}: {kind.help}\n' for kind in KINDS.values())
        + 'Options have the names and defaults of the arguments in R.',
        epilog=_EXAMPLES,
    )
    parser.add('file', type=disk_path, metavar='FILE', help='HDF5 file with the scalar')
    _add_what(parser)
    _add_design(parser)
    add_model(parser)
    _add_output(parser)
    parser.add_resources()
    parser.add_log_level()


def fit(options: argparse.Namespace) -> int:
    """Run the command."""
    from modelarrayio_bids.store.readability import require_readable

    require_readable(options.file)
    model = _model(options)
    if options.dry_run:
        print('\n'.join(model.described()))
        return 0
    fitted = model.run(
        options.analysis_name,
        elements=options.elements,
        overwrite=options.overwrite,
        resources=resources(options),
    )
    if options.export is not None:
        _export(options, fitted.name)
    return 0


def _model(options: argparse.Namespace) -> ModelFit:
    from modelarrayio_bids.results.fsl_design import FSLDesign
    from modelarrayio_bids.results.model_fit import ModelFit

    source = options.formula
    if options.design_mat is None:
        _check_formula(options)
    else:
        source = FSLDesign.of(
            options.design_mat, options.design_con, options.design_fts, options.design_grp
        )
    return ModelFit.of(
        *(options.file, source, options.cohort_file, model_options(options)),
        scalar=options.scalar or '',
        weights=options.weights,
        allow_repeated=options.allow_repeated,
    )


def _check_formula(options: argparse.Namespace) -> None:
    for name in ('design_con', 'design_fts', 'design_grp', 'scalar'):
        if getattr(options, name) is not None:
            option = f'--{name.replace("_", "-")}'
            raise UsageError(f'{option} goes with --design-mat', remedy=f'Leave out {option}.')
    if options.cohort_file is None:
        raise UsageError(
            '--formula needs the table of its covariates', remedy='Give --cohort-file cohort.csv.'
        )


def _export(options: argparse.Namespace, analysis: str) -> None:
    from modelarrayio_bids.results.export import ExportOptions, export_results

    how = ExportOptions(threads=options.nprocs)
    export_results(options.file, analysis, options.export, options=how)


def _add_what(parser: Section) -> None:
    what = parser.exclusive(required=True)
    what.add(
        '--formula',
        common=True,
        help="model in R's notation: 'FA ~ age + sex'. Other scalars of the file may stand on the "
        'right side',
    )
    what.add_path(
        '--design-mat',
        metavar='MAT',
        common=True,
        help="design matrix of FSL's Glm. Has a row for each image, in the order of the cohort or, "
        'without a cohort, of the HDF5 file',
    )
    parser.add_input(
        '--cohort-file',
        '--phenotypes',
        metavar='CSV',
        common=True,
        help='cohort with the covariates. Its rows are matched to the images by source_file; with '
        '--design-mat, it gives the order of the rows',
    )
    parser.add(
        '--analysis-name',
        metavar='NAME',
        common=True,
        help='name of the results in the file (default: the name of the method, such as lm)',
    )
    parser.add_flag(
        '--allow-repeated', help='treat several images of one participant as independent'
    )


def _add_design(parser: Section) -> None:
    group = parser.section("FSL's design files, with --design-mat")
    group.add_path('--design-con', metavar='CON', common=True, help='contrasts')
    group.add_path('--design-fts', metavar='FTS', help='F tests of contrasts')
    group.add_path('--design-grp', metavar='GRP', help='exchangeability blocks for --permutations')
    group.add('--scalar', metavar='NAME', help='scalar to model, if the file has several')


def _add_output(parser: Section) -> None:
    group = parser.section('output')
    group.add(
        '--elements',
        type=_span,
        metavar='FIRST:END',
        help='fit only elements FIRST to END - 1, counted from 0; merge-results joins such parts',
    )
    group.add_flag('--overwrite', common=True, help='replace an analysis of the same name')
    group.add_path(
        '--export',
        metavar='DIR',
        common=True,
        help='also write the results as images into this folder',
    )
    group.add_flag(
        '--dry-run',
        common=True,
        help='show the design and fit nothing. Shows its columns and which images are left out, '
        'and why',
    )


def _span(text: str) -> range:
    """Return a range of elements.

    >>> _span('0:1000')
    range(0, 1000)
    """
    first, colon, end = text.partition(':')
    if not (colon and first.isdecimal() and end.isdecimal() and len(text) < 40):
        raise argparse.ArgumentTypeError(f'{text!r} is not FIRST:END, such as 0:1000')
    return range(int(first), int(end))
