"""BIDS derivatives → one HDF5 file per scalar and space."""

from __future__ import annotations

from os import PathLike
from typing import Any

from nipype import MapNode, Node, Workflow
from nipype.interfaces.utility import IdentityInterface

from modelarrayio_bids.interfaces import (
    CollectCohort,
    GroupMask,
    MakeReport,
    PlanRowBlocks,
    ReadRowBlock,
    ToModelArray,
    WriteFitScripts,
    WriteSidecars,
)

#: What both the cohorts and the group masks depend on.
_OF_GROUP_MASKS = ('threshold', 'group_mask_file')


def init_modelarray_wf(
    bids_dir: str | PathLike[str],
    output_dir: str | PathLike[str],
    *,
    overwrite: bool = False,
    nprocs: int = 1,
    mem_mb: int | None = None,
    blocks_dir: str | PathLike[str] | None = None,
    n_blocks: int = 0,
    report: bool = True,
    name: str = 'modelarray_wf',
    **selection: Any,
) -> Workflow:
    """Build the workflow that the BIDS App runs at the group level.

    Parameters
    ----------
    bids_dir, output_dir : path-like
        Dataset of the study, and the folder for all outputs.
    overwrite : bool, optional
        Replace HDF5 files that hold results.
    nprocs, mem_mb : int, optional
        Threads and memory of each node.
    blocks_dir : path-like, optional
        For a cluster: images are read in blocks, by nodes that may run on different machines, into
        files in this folder. Whoever runs the workflow removes it; what is in it is used again.
    n_blocks : int, optional
        Row blocks of each cohort; 0 for as many as hold a gigabyte of values each.
    report : bool, optional
        Make ``report.html`` in the end.
    name : str, optional
        Of the workflow.
    **selection
        Other inputs of :class:`~modelarrayio_bids.interfaces.CollectCohort`: ``datasets``,
        ``participant_label``, ``scalars``, ``phenotypes``, ``recipes``, ``threshold``,
        ``group_mask_file`` and so on. What is None or empty is left out.

    Returns
    -------
    nipype.Workflow
        Its ``outputnode`` has the lists ``scalars``, ``cohort_files``, ``group_masks``,
        ``coverages``, ``store_files`` and ``fit_scripts``, in one order, the dictionary
        ``left_out``, and ``report``. Where a cohort is not of voxels, the group mask and the
        coverage are None.
    """
    folders = {'bids_dir': str(bids_dir), 'output_dir': str(output_dir)}
    threads = {'num_threads': nprocs}
    limits = _given(mem_mb=mem_mb) | threads
    blocks = {} if blocks_dir is None else {'blocks_dir': str(blocks_dir), 'n_blocks': n_blocks}
    selected = _given(**selection)
    collect = Node(
        CollectCohort(**folders, **selected, **threads, overwrite=overwrite, staged=True),
        name='collect_cohort',
        n_procs=nprocs,
    )
    # Outputs live in output_dir, where Nipype's cache cannot tell what became of them: always
    # collected anew, the cohorts are newer than any cached node after them.
    collect.overwrite = True
    of_masks = _given(**{name: selection.get(name) for name in _OF_GROUP_MASKS})
    group_mask = _mask_node(nprocs, **of_masks, **threads)
    build = _build_node(nprocs, **limits, **blocks, overwrite=overwrite, keep=not overwrite)
    fit = Node(WriteFitScripts(**threads), name='write_fit_scripts')
    workflow = _connected(Workflow(name), collect, group_mask, build, fit)
    if blocks:
        _read_in_blocks(workflow, nprocs, **limits, **blocks)
    if report:
        _report(workflow, **_given(mem_mb=mem_mb))
    return workflow


def _mask_node(nprocs: int, **settings: Any) -> MapNode:
    iterated = ['cohort_file', 'out_mask', 'out_coverage']
    return MapNode(GroupMask(**settings), iterated, 'group_mask', n_procs=nprocs)


def _build_node(nprocs: int, **settings: Any) -> MapNode:
    iterated = ['cohort_file', 'table_file', 'mask', 'out_file']
    build = ToModelArray(**settings, summaries=True)
    return MapNode(build, iterated, 'to_modelarray', n_procs=nprocs)


def _report(workflow: Workflow, **settings: Any) -> None:
    """Put the report after everything else."""
    collect, fit = map(workflow.get_node, ('collect_cohort', 'write_fit_scripts'))
    report = Node(MakeReport(**settings), 'make_report')
    # What it is about is a folder, whose files Nipype does not know.
    report.overwrite = True
    workflow.connect([
        (collect, report, [
            ('bids_dir', 'bids_dir'), ('output_dir', 'output_dir'), ('left_out', 'left_out'),
        ]),
        (fit, report, [('out_files', 'made')]),
        (report, workflow.get_node('outputnode'), [('out_file', 'report')]),
    ])  # fmt: skip


def _read_in_blocks(workflow: Workflow, nprocs: int, **settings: Any) -> None:
    """Put the reading of row blocks before the building."""
    collect, group_mask, build = map(
        workflow.get_node, ('collect_cohort', 'group_mask', 'to_modelarray')
    )
    plan = Node(PlanRowBlocks(**settings), 'plan_row_blocks', n_procs=nprocs)
    read = MapNode(
        ReadRowBlock(**settings),
        name='read_row_block',
        iterfield=['cohort_file', 'mask', 'number'],
        n_procs=nprocs,
    )
    for node in (plan, read):
        # What is done is known by its file: see ReadRowBlock.
        node.overwrite = True
    workflow.connect([
        (collect, plan, [('cohort_files', 'cohort_files')]),
        (group_mask, plan, [('out_mask', 'masks')]),
        (plan, read, [('cohort_files', 'cohort_file'), ('masks', 'mask'), ('numbers', 'number')]),
        (read, build, [('out_file', 'row_files')]),
    ])  # fmt: skip


def _given(**inputs: Any) -> dict[str, Any]:
    """The inputs that say something."""
    return {trait: value for trait, value in inputs.items() if value}


def _connected(
    workflow: Workflow, collect: Node, group_mask: MapNode, build: MapNode, fit: Node
) -> Workflow:
    describe = Node(WriteSidecars(), 'write_sidecars')
    fields = ['scalars', 'cohort_files', 'group_masks', 'coverages', 'store_files', 'fit_scripts']
    outputnode = Node(IdentityInterface([*fields, 'left_out', 'report']), 'outputnode')
    workflow.connect([
        (collect, group_mask, [
            ('cohort_files', 'cohort_file'),
            ('group_mask_files', 'out_mask'),
            ('coverage_files', 'out_coverage'),
        ]),
        (collect, build, [
            ('cohort_files', 'cohort_file'),
            ('table_files', 'table_file'),
            ('store_files', 'out_file'),
        ]),
        (group_mask, build, [('out_mask', 'mask')]),
        (collect, describe, [('sidecars_file', 'sidecars_file')]),
        (build, describe, [
            ('out_file', 'described'), ('seconds', 'seconds'), ('peak_mb', 'peak_mb'),
        ]),
        (collect, fit, [
            ('bids_dir', 'bids_dir'),
            ('output_dir', 'output_dir'),
            ('table_files', 'cohort_files'),
            ('script_files', 'script_files'),
        ]),
        (build, fit, [('out_file', 'store_files')]),
        (describe, fit, [('out_files', 'sidecar_files')]),
        (collect, outputnode, [
            ('scalars', 'scalars'),
            ('table_files', 'cohort_files'),
            ('left_out', 'left_out'),
        ]),
        (group_mask, outputnode, [('out_mask', 'group_masks'), ('out_coverage', 'coverages')]),
        (build, outputnode, [('out_file', 'store_files')]),
        (fit, outputnode, [('out_files', 'fit_scripts')]),
    ])  # fmt: skip
    return workflow
