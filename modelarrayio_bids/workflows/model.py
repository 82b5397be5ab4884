"""HDF5 files and cohorts → analyses in these files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os import PathLike
from typing import Any

from nipype import Node, Workflow
from nipype.interfaces.utility import IdentityInterface

from modelarrayio_bids.interfaces import FitModel
from modelarrayio_bids.interfaces.model_blocks import (
    JoinElementBlocks,
    PermuteModel,
    PlanElementBlocks,
    PlanPermutationBlocks,
)
from modelarrayio_bids.workflows.nodes import Allowance, absolute, inputnode_of

#: Fields of ``inputnode``: lists in one order; of formulas also one for all files.
INPUTS = ('in_files', 'cohort_files', 'formula')
# Inputs about the results, which permutations do not have.
_OF_RESULTS = frozenset({'analysis_name', 'overwrite', 'reuse_existing'})


def init_model_wf(
    in_files: Sequence[str | PathLike[str]] = (),
    cohort_files: Sequence[str | PathLike[str]] = (),
    formula: str | Sequence[str] = (),
    analysis_name: str = 'lm',
    *,
    options: Mapping[str, Any] | None = None,
    overwrite: bool = False,
    reuse_existing: bool = False,
    n_blocks: int = 0,
    nprocs: int = 1,
    mem_mb: int | None = None,
    name: str = 'model_wf',
) -> Workflow:
    """Build the workflow that fits models.

    Relative paths count from the folder where it is built.

    Parameters
    ----------
    in_files, cohort_files : sequence of path-like, optional
        HDF5 files, and the cohort of each; may be connected instead, as may be the formula.
    formula : str or sequence of str, optional
        The model in R's words: one for all files (``~ age + sex``), or a list with one for each.
    analysis_name : str, optional
        Name of the results in all files.
    options : mapping, optional
        Other inputs of :class:`~modelarrayio_bids.interfaces.FitModel`: ``contrasts``,
        ``var_terms``, ``anova`` and so on.
    overwrite : bool, optional
        Replace analyses of these names.
    reuse_existing : bool, optional
        Keep an analysis that the same model has made of the same file.
    n_blocks : int, optional
        For a cluster: fit each file in so many blocks of elements, each a node of its own; with
        permutations, make these in so many blocks, and fit each file in one node.
    nprocs, mem_mb : int, optional
        Threads of each node, and its memory in MiB.
    name : str, optional
        Name of the workflow.

    Returns
    -------
    nipype.Workflow
        Its ``inputnode`` has ``in_files``, ``cohort_files`` and ``formula``, its ``outputnode``
        ``store_files``.

    Examples
    --------
    It stands between the two others:

    >>> from nipype import Workflow
    >>> from modelarrayio_bids.workflows import init_export_wf, init_modelarray_wf
    >>> build = init_modelarray_wf('.', 'results')
    >>> model = init_model_wf(formula='~ age + sex', options={'anova': True})
    >>> maps = init_export_wf(analysis_name='lm', bids_root='results')
    >>> workflow = Workflow('from_images_to_maps')
    >>> workflow.connect([
    ...     (build, model, [
    ...         ('outputnode.store_files', 'inputnode.in_files'),
    ...         ('outputnode.cohort_files', 'inputnode.cohort_files'),
    ...     ]),
    ...     (model, maps, [('outputnode.store_files', 'inputnode.in_files')]),
    ... ])
    """
    allowed = Allowance(nprocs, mem_mb)
    settings = {'analysis_name': analysis_name, 'overwrite': overwrite, **(options or {})}
    inputnode = inputnode_of(
        in_files=absolute(in_files),
        cohort_files=absolute(cohort_files),
        formula=formula if isinstance(formula, str) else list(formula),
    )
    outputnode = Node(IdentityInterface(['store_files']), 'outputnode')
    workflow = Workflow(name)
    workflow.add_nodes([inputnode, outputnode])
    iterated = ['in_file', 'cohort_file', *([] if isinstance(formula, str) else ['formula'])]
    if n_blocks and settings.get('permutations'):
        _permute_in_blocks(workflow, allowed, n_blocks, settings, iterated)
    elif n_blocks:
        _fit_in_blocks(workflow, allowed, n_blocks, settings)
    else:
        _fit_whole(workflow, allowed, settings | {'reuse_existing': reuse_existing}, iterated)
    return workflow


def _fit_whole(
    workflow: Workflow, allowed: Allowance, settings: Mapping[str, Any], iterated: Sequence[str]
) -> Node:
    """Fit each file in a node of its own; return the node."""
    inputnode, outputnode = map(workflow.get_node, ('inputnode', 'outputnode'))
    # The library checks the current content of the file, not Nipype's cache.
    model = FitModel(**settings, **allowed.inputs())
    fit = allowed.node(model, 'fit_model', iterated, overwrite=True)
    workflow.connect([
        (inputnode, fit, [
            ('in_files', 'in_file'), ('cohort_files', 'cohort_file'), ('formula', 'formula'),
        ]),
        (fit, outputnode, [('out_file', 'store_files')]),
    ])  # fmt: skip
    return fit


def _permute_in_blocks(
    workflow: Workflow,
    allowed: Allowance,
    n_blocks: int,
    settings: Mapping[str, Any],
    iterated: Sequence[str],
) -> None:
    """Make permutations in nodes that may run on different machines, and fit with all of them."""
    inputnode = workflow.get_node('inputnode')
    blocks = PlanPermutationBlocks(n_blocks=n_blocks)
    plan = allowed.light_node(blocks, 'plan_permutations', overwrite=True)
    of_block = ['in_file', 'in_identity', 'cohort_file', 'formula', 'block']
    own = {name: value for name, value in settings.items() if name not in _OF_RESULTS}
    permute = allowed.node(PermuteModel(**own, **allowed.inputs()), 'permute_model', of_block)
    fit = _fit_whole(workflow, allowed, settings, [*iterated, 'null_files'])
    workflow.connect([
        (inputnode, plan, [(field, field) for field in INPUTS]),
        (plan, permute, [
            ('in_files', 'in_file'), ('cohort_files', 'cohort_file'), ('formula', 'formula'),
            ('block', 'block'), ('identities', 'in_identity'),
        ]),
        (permute, fit, [(('out_file', _by_file, n_blocks), 'null_files')]),
    ])  # fmt: skip


def _fit_in_blocks(
    workflow: Workflow, allowed: Allowance, n_blocks: int, settings: Mapping[str, Any]
) -> None:
    """Fit blocks of elements in nodes that may run on different machines, and join them."""
    inputnode, outputnode = map(workflow.get_node, ('inputnode', 'outputnode'))
    blocks = PlanElementBlocks(n_blocks=n_blocks)
    plan = allowed.light_node(blocks, 'plan_element_blocks', overwrite=True)
    iterated = ['in_file', 'in_identity', 'cohort_file', 'formula', 'elements', 'out_file']
    # Files of blocks are in the work folder, where they may be replaced.
    own = {**settings, 'overwrite': True}
    fit = allowed.node(FitModel(**own, **allowed.inputs()), 'fit_model', iterated)
    shared = {name: settings[name] for name in ('analysis_name', 'overwrite')}
    joined = JoinElementBlocks(**shared, num_threads=allowed.nprocs)
    join = allowed.node(joined, 'join_blocks', overwrite=True)
    workflow.connect([
        (inputnode, plan, [(field, field) for field in INPUTS]),
        (plan, fit, [
            ('in_files', 'in_file'), ('cohort_files', 'cohort_file'), ('formula', 'formula'),
            ('elements', 'elements'), ('out_files', 'out_file'), ('identities', 'in_identity'),
        ]),
        (inputnode, join, [('in_files', 'in_files')]),
        (plan, join, [('in_files', 'block_of')]),
        (fit, join, [('out_file', 'block_files')]),
        (join, outputnode, [('out_files', 'store_files')]),
    ])  # fmt: skip


def _by_file(blocks: list[str], n_blocks: int) -> list[list[str]]:
    """Return the blocks of each file; Nipype runs the text of this function."""
    return [blocks[first : first + n_blocks] for first in range(0, len(blocks), n_blocks)]
