"""From all outputs to a page for people."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nipype.interfaces.base import (
    BaseInterfaceInputSpec,
    Directory,
    File,
    InputMultiObject,
    TraitedSpec,
    traits,
)

from modelarrayio_bids.interfaces.base import LibraryInterface
from modelarrayio_bids.reports import make_report


class _MakeReportInputSpec(BaseInterfaceInputSpec):
    output_dir = Directory(exists=True, mandatory=True, desc='folder that all files are in')
    bids_dir = Directory(exists=True, desc='BIDS dataset of the study, for what to do next')
    made = InputMultiObject(
        traits.Any, desc='what the report is about, and what has to be there first'
    )
    left_out = traits.Dict(
        traits.Str, traits.Int, desc='how many images are not used, by reason (default: as before)'
    )


class _MakeReportOutputSpec(TraitedSpec):
    out_file = File(exists=True, desc='the page')


class MakeReport(LibraryInterface):
    """Write ``report.html``: who is in, what stands out, maps, results and what to do next."""

    input_spec = _MakeReportInputSpec
    output_spec = _MakeReportOutputSpec

    def _call(self, _folder: Path) -> dict[str, Any]:
        given = self.given('bids_dir', 'left_out')
        page = make_report(
            Path(self.inputs.output_dir).absolute(), given.get('bids_dir'), given.get('left_out')
        )
        return {'out_file': str(page)}
