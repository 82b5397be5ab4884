"""Analyses in HDF5 files → folders of maps."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from typing import Any

from nipype import MapNode, Node, Workflow
from nipype.interfaces.utility import IdentityInterface

from modelarrayio_bids.interfaces import ExportResults, MakeReport


def init_export_wf(
    jobs: Sequence[tuple[str | PathLike[str], str, str | PathLike[str]]],
    *,
    compress: bool = True,
    log_p: bool = False,
    outside: str = 'zero',
    bids_root: str | PathLike[str] | None = None,
    nprocs: int = 1,
    mem_mb: int | None = None,
    report_of: str | PathLike[str] | None = None,
    name: str = 'export_wf',
) -> Workflow:
    """Build the workflow that writes analyses back as images.

    Parameters
    ----------
    jobs : sequence of tuple
        HDF5 file, name of the analysis, and the folder for its images.
    compress : bool, optional
        ``.nii.gz`` rather than ``.nii``.
    log_p : bool, optional
        Write −log10 p beside each p-value.
    outside : {'zero', 'nan'}, optional
        Value outside the group mask.
    bids_root : path-like, optional
        The BIDS dataset that the HDF5 files are in: the images are named by BIDS, a sidecar beside
        each. Without it they have the names R gave.
    nprocs, mem_mb : int, optional
        Threads and memory of each node.
    report_of : path-like, optional
        The BIDS dataset of the study: ``report.html`` in ``bids_root`` is made again, with the
        results.
    name : str, optional
        Of the workflow.

    Returns
    -------
    nipype.Workflow
        Its ``outputnode`` has ``out_files``, a list of images for each job, and ``report``.
    """
    named: dict[str, Any] = {} if bids_root is None else {'bids_root': str(bids_root)}
    named |= {} if mem_mb is None else {'mem_mb': mem_mb}
    export = MapNode(
        ExportResults(compress=compress, log_p=log_p, outside=outside, num_threads=nprocs, **named),
        name='export_results',
        iterfield=['in_file', 'analysis_name', 'output_dir'],
        n_procs=nprocs,
    )
    files, analyses, folders = zip(*jobs, strict=True)
    export.inputs.in_file = [str(path) for path in files]
    export.inputs.analysis_name = list(analyses)
    export.inputs.output_dir = [str(path) for path in folders]
    outputnode = Node(IdentityInterface(['out_files', 'report']), 'outputnode')

    workflow = Workflow(name)
    workflow.connect(export, 'out_files', outputnode, 'out_files')
    if report_of is not None and bids_root is not None:
        report = Node(MakeReport(output_dir=str(bids_root), bids_dir=str(report_of)), 'make_report')
        report.overwrite = True
        workflow.connect(export, 'out_files', report, 'made')
        workflow.connect(report, 'out_file', outputnode, 'report')
    return workflow
