"""BIDS derivatives → one HDF5 file per scalar and space."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os import PathLike
from typing import Any

from nipype import MapNode, Node, Workflow
from nipype.interfaces.utility import IdentityInterface

from modelarrayio_bids.interfaces import CollectCohort, GroupMask, ToModelArray, WriteSidecars
from modelarrayio_bids.masks import DEFAULT_THRESHOLD


def init_modelarray_wf(
    bids_dir: str | PathLike[str],
    output_dir: str | PathLike[str],
    *,
    datasets: Mapping[str, str | PathLike[str]] | None = None,
    participant_label: Sequence[str] = (),
    session_label: Sequence[str] = (),
    scalars: Sequence[str] = (),
    bids_filters: Mapping[str, Any] | None = None,
    mask: str | PathLike[str] | None = None,
    threshold: float = DEFAULT_THRESHOLD,
    overwrite: bool = False,
    nprocs: int = 1,
    mem_mb: int | None = None,
    name: str = 'modelarray_wf',
) -> Workflow:
    """Build the workflow that the BIDS App runs at the group level.

    Parameters
    ----------
    bids_dir, output_dir : path-like
        Dataset of the study, and the folder for all outputs.
    datasets : dict, optional
        Derivatives to look into, by name; by default those of ``bids_dir``.
    participant_label, session_label, scalars : sequence of str, optional
        The only ones wanted.
    bids_filters : dict, optional
        Conditions on ``scalar`` and ``mask`` images, by entity.
    mask : path-like, optional
        Mask that serves every volume.
    threshold : float, optional
        Fraction of subjects a voxel of the group mask needs.
    overwrite : bool, optional
        Replace HDF5 files that hold results.
    nprocs, mem_mb : int, optional
        Threads and memory of each node.
    name : str, optional
        Of the workflow.

    Returns
    -------
    nipype.Workflow
        Its ``outputnode`` has the lists ``scalars``, ``cohort_files``, ``group_masks``,
        ``coverages`` and ``store_files``, in one order. Where a cohort is not of voxels, the group
        mask and the coverage are None.
    """
    collect = Node(CollectCohort(threshold=threshold, num_threads=nprocs), 'collect_cohort')
    collect.inputs.trait_set(bids_dir=str(bids_dir), output_dir=str(output_dir))
    collect.inputs.trait_set(**_set(participant_label, session_label, scalars))
    if datasets:
        collect.inputs.datasets = {key: str(root) for key, root in datasets.items()}
    if bids_filters:
        collect.inputs.bids_filters = dict(bids_filters)
    if mask is not None:
        collect.inputs.mask = str(mask)
    group_mask = MapNode(
        GroupMask(threshold=threshold),
        name='group_mask',
        iterfield=['cohort_file', 'out_mask', 'out_coverage'],
    )
    build = MapNode(
        ToModelArray(overwrite=overwrite, num_threads=nprocs),
        name='to_modelarray',
        iterfield=['cohort_file', 'mask', 'out_file'],
        n_procs=nprocs,
    )
    if mem_mb is not None:
        build.inputs.mem_mb = mem_mb
    describe = Node(WriteSidecars(), 'write_sidecars')
    fields = ['scalars', 'cohort_files', 'group_masks', 'coverages', 'store_files']
    outputnode = Node(IdentityInterface(fields), 'outputnode')
    # Outputs live in output_dir, where Nipype's cache cannot tell what became of them: always
    # collected anew, the cohorts are newer than any cached node after them.
    collect.overwrite = True

    workflow = Workflow(name)
    workflow.connect([
        (collect, group_mask, [
            ('cohort_files', 'cohort_file'),
            ('group_mask_files', 'out_mask'),
            ('coverage_files', 'out_coverage'),
        ]),
        (collect, build, [('cohort_files', 'cohort_file'), ('store_files', 'out_file')]),
        (group_mask, build, [('out_mask', 'mask')]),
        (collect, describe, [('sidecars_file', 'sidecars_file')]),
        (build, describe, [('out_file', 'described')]),
        (collect, outputnode, [('scalars', 'scalars'), ('cohort_files', 'cohort_files')]),
        (group_mask, outputnode, [('out_mask', 'group_masks'), ('out_coverage', 'coverages')]),
        (build, outputnode, [('out_file', 'store_files')]),
    ])  # fmt: skip
    return workflow


def _set(
    participants: Sequence[str], sessions: Sequence[str], scalars: Sequence[str]
) -> dict[str, list[str]]:
    given = {'participant_label': participants, 'session_label': sessions, 'scalars': scalars}
    return {trait: list(values) for trait, values in given.items() if values}
