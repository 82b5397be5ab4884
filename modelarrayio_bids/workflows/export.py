"""Analyses in HDF5 files → folders of maps."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from pathlib import Path

from nipype import Node, Workflow
from nipype.interfaces.utility import IdentityInterface

from modelarrayio_bids.interfaces import ExportResults, MakeReport
from modelarrayio_bids.workflows.nodes import Allowance, absolute, inputnode_of


def init_export_wf(
    in_files: Sequence[str | PathLike[str]] = (),
    analysis_name: str | Sequence[str] = (),
    output_dirs: Sequence[str | PathLike[str]] = (),
    *,
    bids_root: str | PathLike[str] | None = None,
    report_of: str | PathLike[str] | None = None,
    show_intercept: bool = False,
    compress: bool = True,
    log_p: bool = False,
    outside: str = 'zero',
    nprocs: int = 1,
    mem_mb: int | None = None,
    name: str = 'export_wf',
) -> Workflow:
    """Build the workflow that writes analyses back as images.

    Relative paths count from the folder where it is built.

    Parameters
    ----------
    in_files : sequence of path-like, optional
        HDF5 files; may be connected instead, as may be the next two.
    analysis_name : str or sequence of str, optional
        Name of the analysis: a string for the same in all files, or a list with one for each.
    output_dirs : sequence of path-like, optional
        Folder for the images of each. Not needed with ``bids_root``: by default each has its place
        there.
    bids_root : path-like, optional
        The BIDS dataset that the HDF5 files are in: the images are named by BIDS, a sidecar beside
        each. Without it they have the names R gave.
    report_of : path-like, optional
        The BIDS dataset of the study: ``report.html`` in ``bids_root`` is made again, with the
        results.
    show_intercept : bool, optional
        Draw intercepts in the report, too, of models with other terms.
    compress : bool, optional
        ``.nii.gz`` rather than ``.nii``.
    log_p : bool, optional
        Write −log10 p beside each p-value.
    outside : {'zero', 'nan'}, optional
        Value outside the group mask.
    nprocs, mem_mb : int, optional
        Threads and memory of each node, in MiB.
    name : str, optional
        Name of the workflow.

    Returns
    -------
    nipype.Workflow
        Its ``inputnode`` has ``in_files``, ``analysis_name`` and ``output_dirs``. Its
        ``outputnode`` has ``out_files``, a list of images for each HDF5 file, and ``report``.

    Examples
    --------
    Whatever fits a model stands between the two workflows:

    >>> from nipype import MapNode, Workflow
    >>> from nipype.interfaces.utility import IdentityInterface
    >>> from modelarrayio_bids.workflows import init_modelarray_wf
    >>> build = init_modelarray_wf('.', 'results')
    >>> model = MapNode(IdentityInterface(['store']), ['store'], 'model')
    >>> maps = init_export_wf(analysis_name='lm', bids_root='results')
    >>> workflow = Workflow('from_images_to_maps')
    >>> workflow.connect([
    ...     (build, model, [('outputnode.store_files', 'store')]),
    ...     (model, maps, [('store', 'inputnode.in_files')]),
    ... ])
    """
    allowed = Allowance(nprocs, mem_mb)
    root = None if bids_root is None else Path(bids_root).absolute()
    iterated = ['in_file']
    if not isinstance(analysis_name, str):
        iterated.append('analysis_name')
    if output_dirs or root is None:
        iterated.append('output_dir')
    named = {} if root is None else {'bids_root': root}
    settings = {'compress': compress, 'log_p': log_p, 'outside': outside}
    exported = ExportResults(**settings, **named, **allowed.inputs())
    export = allowed.node(exported, 'export_results', iterated)
    inputnode = inputnode_of(
        in_files=absolute(in_files), analysis_name=analysis_name, output_dirs=absolute(output_dirs)
    )
    outputnode = Node(IdentityInterface(['out_files', 'report']), 'outputnode')

    workflow = Workflow(name)
    workflow.connect([
        (inputnode, export, [('in_files', 'in_file'), ('analysis_name', 'analysis_name')]),
        (export, outputnode, [('out_files', 'out_files')]),
    ])  # fmt: skip
    if 'output_dir' in iterated:
        workflow.connect(inputnode, 'output_dirs', export, 'output_dir')
    if report_of is not None and root is not None:
        about = {'output_dir': root, 'bids_dir': report_of, 'show_intercept': show_intercept}
        report = MakeReport(**about, **allowed.memory())
        node = allowed.node(report, 'make_report', overwrite=True)
        workflow.connect(export, 'out_files', node, 'in_files')
        workflow.connect(node, 'out_file', outputnode, 'report')
    return workflow
