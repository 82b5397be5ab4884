"""Options of the levels of the BIDS App: apart from the levels, which ``--help`` must not load."""

from __future__ import annotations

from modelarrayio_bids.cli.app import masking, selection
from modelarrayio_bids.cli.model_options import add_model
from modelarrayio_bids.cli.options import Section


def add_options(parser: Section) -> None:
    """Add the options of all levels, and of their report."""
    _add_group(parser.of_level('group'))
    _add_model(parser.of_level('model'))
    _add_export(parser)
    _add_report(parser)


def _add_group(parser: Section) -> None:
    selection.add_options(parser)
    masking.add_options(parser)
    group = parser.section('group: outputs')
    group.of_level('').add_flag('--overwrite', help='replace HDF5 files even if they hold results')


def _add_model(parser: Section) -> None:
    group = parser.section('model')
    group.add(
        '--formula',
        metavar='FORMULA',
        common=True,
        help="model in R's notation, '~ age + sex'. It is fitted to every scalar (default: the "
        'model proposed in the R script of each scalar)',
    )
    group.add_path(
        '-m',
        '--model',
        metavar='FILE',
        common=True,
        help='file with several models. TOML with names and formulas (docs/models.md), or a BIDS '
        'Stats Model (JSON), of which the dataset level is fitted; --analysis-name selects some',
    )
    group.add_flag(
        '--allow-repeated', help='treat several images of one participant as independent'
    )
    add_model(parser)


def _add_export(parser: Section) -> None:
    group = parser.section('export')
    group.add_list(
        '--analysis-name',
        metavar='NAME',
        help='model: name of the fit. export: use only these analyses (default: all)',
    )


def _add_report(parser: Section) -> None:
    section = parser.section('report')
    group = section.exclusive()
    group.add_flag('--reports-only', help='only make report.html again from what is in output_dir')
    group.add(
        '--no-report',
        dest='report',
        action='store_false',
        help='do not make report.html (--reports-only can make it later)',
    )
    section.add_flag(
        '--show-intercept',
        help='also draw maps of the intercept in the report (by default only of models without '
        'other terms)',
    )
