"""From all outputs to a page for people."""

from __future__ import annotations

import logging
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

from modelarrayio_bids.errors import SourceNotFoundError, UsageError
from modelarrayio_bids.interfaces.base import LibraryInterface
from modelarrayio_bids.reports import make_report
from modelarrayio_bids.runtime.resources import MIB, Resources

logger = logging.getLogger(__name__)


class _MakeReportInputSpec(BaseInterfaceInputSpec):
    output_dir = Directory(exists=True, mandatory=True, desc='folder that all files are in')
    bids_dir = Directory(exists=True, desc='BIDS dataset of the study, for what to do next')
    made = InputMultiObject(
        traits.Any, desc='what the report is about, and what has to be there first'
    )
    left_out = traits.Dict(
        traits.Str, traits.Int, desc='how many images are not used, by reason (default: as before)'
    )
    mem_mb = traits.Int(nohash=True, desc='memory the run may use')


class _MakeReportOutputSpec(TraitedSpec):
    out_file = File(exists=True, desc='the page; undefined if it could not be made')


class MakeReport(LibraryInterface):
    """Write ``report.html``: who is in, what stands out, maps, results and what to do next."""

    input_spec = _MakeReportInputSpec
    output_spec = _MakeReportOutputSpec

    def _call(self, _folder: Path) -> dict[str, Any]:
        given = self.given('bids_dir', 'left_out', 'mem_mb')
        memory = given['mem_mb'] * MIB if 'mem_mb' in given else None
        folder = Path(self.inputs.output_dir).absolute()
        about = given.get('bids_dir'), given.get('left_out')
        try:
            return {'out_file': str(make_report(folder, *about, Resources(memory=memory)))}
        except (SourceNotFoundError, UsageError) as error:
            # What it is about is made: that is no reason for a run to fail.
            logger.warning('no report was made: %s', error)
            return {}
