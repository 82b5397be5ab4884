"""The interface that makes the report."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from nipype.interfaces.base import BaseInterfaceInputSpec, TraitedSpec, traits

from modelarrayio_bids.errors import SourceNotFoundError, UsageError
from modelarrayio_bids.interfaces.base import Directory, File, LibraryInterface
from modelarrayio_bids.reports import make_report

logger = logging.getLogger(__name__)


class _MakeReportInputSpec(BaseInterfaceInputSpec):
    output_dir = Directory(exists=True, mandatory=True, desc='folder that all files are in')
    bids_dir = Directory(exists=True, desc='BIDS dataset of the study, for what to do next')
    in_files = traits.List(
        traits.Either(File(exists=True), traits.List(File(exists=True))),
        hash_files=False,
        desc='files that the report is about, which have to be there first',
    )
    left_out = traits.Dict(
        traits.Str, traits.Int, desc='how many images are not used, by reason (default: as before)'
    )
    show_intercept = traits.Bool(
        default_value=False, usedefault=True, desc='draw intercepts too, of models with other terms'
    )
    mem_mb = traits.Int(nohash=True, desc='memory the run may use')


class _MakeReportOutputSpec(TraitedSpec):
    out_file = File(exists=True, desc='the page; undefined if it could not be made')


class MakeReport(LibraryInterface):
    """Write ``report.html``: who is in, what stands out, maps, results and what to do next."""

    input_spec = _MakeReportInputSpec
    output_spec = _MakeReportOutputSpec

    def _call(self, _folder: Path) -> dict[str, Any]:
        given = self.given('bids_dir', 'left_out')
        about = given.get('bids_dir'), given.get('left_out')
        try:
            page = make_report(
                Path(self.inputs.output_dir),
                *about,
                self.resources(),
                show_intercept=self.inputs.show_intercept,
            )
        except (SourceNotFoundError, UsageError) as error:
            # The outputs exist: a failed report must not fail the run.
            logger.warning('no report was made: %s', error)
            return {}
        return {'out_file': str(page)}
