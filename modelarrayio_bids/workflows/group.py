"""BIDS derivatives → one HDF5 file per scalar and space."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os import PathLike
from typing import Any

from nipype import Node, Workflow
from nipype.interfaces.utility import IdentityInterface

from modelarrayio_bids.interfaces import GroupMask, MakeReport, WriteFitScripts, WriteSidecars
from modelarrayio_bids.interfaces.group import BuildStore, StageCohorts
from modelarrayio_bids.interfaces.rows import PlanRowBlocks, ReadRowBlock
from modelarrayio_bids.masks import DEFAULT_THRESHOLD
from modelarrayio_bids.workflows.nodes import Allowance, inputnode_of

#: Fields of ``inputnode``: inputs of CollectCohort that another pipeline may find out as it runs.
INPUTS = (
    'bids_dir',
    'output_dir',
    'datasets',
    'participant_label',
    'session_label',
    'exclude_participant_label',
    'scalars',
    'space',
    'bids_filters',
    'in_mask',
    'group_mask_file',
    'phenotypes',
    'recipes',
)
#: Fields of ``outputnode``: lists in one order, but for the last two.
OUTPUTS = (
    'scalars',
    'cohort_files',
    'group_masks',
    'coverages',
    'store_files',
    'fit_scripts',
    'left_out',
    'report',
)
# Names of the parameters that are inputs of CollectCohort.
_COLLECTED = frozenset(StageCohorts.input_spec().copyable_trait_names())


def init_modelarray_wf(
    bids_dir: str | PathLike[str] | None = None,
    output_dir: str | PathLike[str] | None = None,
    *,
    datasets: Mapping[str, str | PathLike[str]] | None = None,
    participant_label: Sequence[str] = (),
    session_label: Sequence[str] = (),
    exclude_participant_label: Sequence[str] = (),
    scalars: Sequence[str] = (),
    space: Sequence[str] = (),
    bids_filters: Mapping[str, Any] | None = None,
    in_mask: str | PathLike[str] | None = None,
    mask_source: Sequence[str] = (),
    group_mask_file: str | PathLike[str] | None = None,
    threshold: float = DEFAULT_THRESHOLD,
    on_grid_mismatch: str = 'error',
    phenotypes: Sequence[str | PathLike[str]] = (),
    required_columns: Sequence[str] = (),
    recipes: Sequence[str | PathLike[str]] = (),
    images: Sequence[str] = (),
    masks: Sequence[str] = (),
    images_space: str = '',
    overwrite: bool = False,
    report: bool = True,
    nprocs: int = 1,
    mem_mb: int | None = None,
    blocks_dir: str | PathLike[str] | None = None,
    n_blocks: int = 0,
    name: str = 'modelarray_wf',
) -> Workflow:
    """Build the workflow that the BIDS App runs at the group level.

    Relative paths count from the folder where it is built.

    Parameters
    ----------
    bids_dir, output_dir : path-like, optional
        Dataset of the study, and the folder for all outputs; both may be connected instead.
    datasets : mapping of str to path-like, optional
        Derivatives to look into, by name; by default those in ``bids_dir``.
    participant_label, session_label, exclude_participant_label : sequence of str, optional
        Participants and sessions wanted, and participants not wanted.
    scalars, space : sequence of str, optional
        The only scalars and spaces wanted: names or shell patterns.
    bids_filters : mapping, optional
        Conditions on ``scalar`` and ``mask`` images, by entity.
    in_mask : path-like, optional
        A mask that is used for every volume.
    mask_source : sequence of str, optional
        The only kinds of masks allowed.
    group_mask_file : path-like, optional
        The group mask itself, on the grid of the images.
    threshold : float, optional
        Fraction of subjects a voxel of the group mask needs.
    on_grid_mismatch : {'error', 'drop', 'resample'}, optional
        Action for images on another grid than the others.
    phenotypes : sequence of path-like, optional
        Tables besides ``participants.tsv`` and ``sessions.tsv``.
    required_columns : sequence of str, optional
        Phenotypes without which an image is left out.
    recipes : sequence of path-like, optional
        Recipes of your own (YAML), which win.
    images, masks : sequence of str, optional
        Images, ``NAME=PATTERN``, and their masks, by patterns of their paths.
    images_space : str, optional
        The space of these images.
    overwrite : bool, optional
        Replace HDF5 files that hold results.
    report : bool, optional
        Make ``report.html`` in the end.
    nprocs, mem_mb : int, optional
        Threads of each node, and its memory in MiB: what nodes keep to, and what Nipype schedules
        them by (``n_procs``, ``mem_gb``).
    blocks_dir : path-like, optional
        For a cluster: images are read in blocks, by nodes that may run on different machines, into
        files in this folder. The caller removes it; its content is reused.
    n_blocks : int, optional
        Row blocks of each cohort; 0 for as many as hold a gigabyte of values each.
    name : str, optional
        Name of the workflow.

    Returns
    -------
    nipype.Workflow
        Its ``inputnode`` has the parameters up to ``bids_filters``, and ``in_mask``,
        ``group_mask_file``, ``phenotypes`` and ``recipes``. Its ``outputnode`` has the lists
        ``scalars``, ``cohort_files``, ``group_masks``, ``coverages``, ``store_files`` and
        ``fit_scripts``, in one order, the dictionary ``left_out``, and ``report``. Where a cohort
        is not of voxels, the group mask and the coverage are None.

    Examples
    --------
    >>> from nipype import Node, Workflow
    >>> from nipype.interfaces.utility import IdentityInterface
    >>> before = Node(IdentityInterface(['study']), 'before')
    >>> ours = init_modelarray_wf(output_dir='results', scalars=['FA'], nprocs=4, mem_mb=4096)
    >>> Workflow('yours').connect(before, 'study', ours, 'inputnode.bids_dir')
    >>> build = ours.get_node('to_modelarray')
    >>> build.n_procs, build.mem_gb
    (4, 4.0)
    """
    asked = locals().copy()
    given = {name: value for name, value in asked.items() if name in _COLLECTED and value}
    allowed = Allowance(nprocs, mem_mb)
    # Outputs live in output_dir, where Nipype's cache cannot tell what became of them: always
    # collected anew, the cohorts are newer than any cached node after them.
    collect = allowed.node(StageCohorts(**given), 'collect_cohort', overwrite=True)
    of_masks = ['cohort_file', 'out_mask', 'out_coverage']
    group_mask = allowed.node(GroupMask(threshold=threshold), 'group_mask', of_masks)
    blocks = {} if blocks_dir is None else {'blocks_dir': blocks_dir, 'n_blocks': n_blocks}
    replaced = {'overwrite': overwrite, 'reuse_existing': not overwrite}
    stores = BuildStore(**replaced, **blocks, **allowed.inputs(), summaries=True)
    of_stores = ['cohort_file', 'final_cohort_file', 'in_mask', 'out_file']
    build = allowed.node(stores, 'to_modelarray', of_stores)
    workflow = Workflow(name)
    _connect(workflow, collect, group_mask, build)
    _write_scripts(workflow, allowed)
    if blocks:
        _read_in_blocks(workflow, allowed, **blocks)
    if report:
        _report(workflow, allowed)
    return workflow


def _connect(workflow: Workflow, collect: Node, group_mask: Node, build: Node) -> None:
    # Inputs as CollectCohort has checked them, and made them absolute.
    inputnode = inputnode_of(**dict.fromkeys(INPUTS) | collect.interface.given(*INPUTS))
    outputnode = Node(IdentityInterface(OUTPUTS, mandatory_inputs=False), 'outputnode')
    workflow.connect([
        (inputnode, collect, [(field, field) for field in INPUTS]),
        (inputnode, group_mask, [('group_mask_file', 'group_mask_file')]),
        (collect, group_mask, [
            ('cohort_files', 'cohort_file'),
            ('group_mask_files', 'out_mask'),
            ('coverage_files', 'out_coverage'),
        ]),
        (collect, build, [
            ('cohort_files', 'cohort_file'),
            ('final_cohort_files', 'final_cohort_file'),
            ('store_files', 'out_file'),
        ]),
        (group_mask, build, [('out_mask', 'in_mask')]),
        (collect, outputnode, [
            ('scalars', 'scalars'),
            ('final_cohort_files', 'cohort_files'),
            ('left_out', 'left_out'),
        ]),
        (group_mask, outputnode, [('out_mask', 'group_masks'), ('out_coverage', 'coverages')]),
        (build, outputnode, [('out_file', 'store_files')]),
    ])  # fmt: skip


def _write_scripts(workflow: Workflow, allowed: Allowance) -> None:
    """Put sidecars and the scripts for R after the building."""
    collect, build, outputnode = map(
        workflow.get_node, ('collect_cohort', 'to_modelarray', 'outputnode')
    )
    describe = allowed.light_node(WriteSidecars(), 'write_sidecars')
    fit = allowed.light_node(WriteFitScripts(n_cores=allowed.nprocs), 'write_fit_scripts')
    workflow.connect([
        (collect, describe, [('sidecars_file', 'sidecars_file')]),
        (build, describe, [
            ('out_file', 'in_files'), ('seconds', 'seconds'), ('peak_mb', 'peak_mb'),
        ]),
        (collect, fit, [
            ('bids_dir', 'bids_dir'),
            ('output_dir', 'output_dir'),
            ('final_cohort_files', 'cohort_files'),
            ('script_files', 'script_files'),
        ]),
        (build, fit, [('out_file', 'store_files')]),
        (describe, fit, [('out_files', 'sidecar_files')]),
        (fit, outputnode, [('out_files', 'fit_scripts')]),
    ])  # fmt: skip


def _report(workflow: Workflow, allowed: Allowance) -> None:
    """Put the report after everything else."""
    collect, fit = map(workflow.get_node, ('collect_cohort', 'write_fit_scripts'))
    # Its input is a folder, whose files Nipype does not know.
    report = allowed.node(MakeReport(**allowed.memory()), 'make_report', overwrite=True)
    workflow.connect([
        (collect, report, [
            ('bids_dir', 'bids_dir'), ('output_dir', 'output_dir'), ('left_out', 'left_out'),
        ]),
        (fit, report, [('out_files', 'in_files')]),
        (report, workflow.get_node('outputnode'), [('out_file', 'report')]),
    ])  # fmt: skip


def _read_in_blocks(workflow: Workflow, allowed: Allowance, **blocks: Any) -> None:
    """Put the reading of row blocks before the building."""
    collect, group_mask, build = map(
        workflow.get_node, ('collect_cohort', 'group_mask', 'to_modelarray')
    )
    settings = blocks | allowed.inputs()
    # Finished blocks are recognised by their files: see ReadRowBlock.
    plan = allowed.node(PlanRowBlocks(**settings), 'plan_row_blocks', overwrite=True)
    of_block = ['cohort_file', 'in_mask', 'number']
    read = allowed.node(ReadRowBlock(**settings), 'read_row_block', of_block, overwrite=True)
    workflow.connect([
        (collect, plan, [('cohort_files', 'cohort_files')]),
        (group_mask, plan, [('out_mask', 'in_masks')]),
        (plan, read, [
            ('cohort_files', 'cohort_file'), ('masks', 'in_mask'), ('numbers', 'number'),
        ]),
        (read, build, [('out_file', 'in_files')]),
    ])  # fmt: skip
