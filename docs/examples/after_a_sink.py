"""The group level behind another pipeline's sink: ``python after_a_sink.py RAW RESULTS WORK``."""

import sys
from pathlib import Path

from nipype import Function, Node, Workflow

from modelarrayio_bids.workflows import init_modelarray_wf


def smooth_and_sink(study):
    """Another pipeline's last node: it writes derivatives, and gives the study's folder."""
    import json
    from pathlib import Path

    import nibabel as nb
    from scipy.ndimage import gaussian_filter

    derivatives = Path(study) / 'derivatives' / 'smoother'
    for source in Path(study).glob('derivatives/aslprep/sub-*/perf/*_space-*_cbf.nii.gz'):
        image = nb.load(source)
        if '_desc-' in source.name or image.ndim != 3:
            continue
        smooth = gaussian_filter(image.get_fdata(dtype='float32'), 1)
        name = source.name.replace('_cbf', '_desc-smooth_cbf')
        sink = derivatives / source.parent.parent.name / 'perf' / name
        sink.parent.mkdir(parents=True, exist_ok=True)
        nb.save(nb.Nifti1Image(smooth, image.affine), sink)
    description = {'Name': 'smoother', 'BIDSVersion': '1.10.0', 'DatasetType': 'derivative'}
    (derivatives / 'dataset_description.json').write_text(
        json.dumps(description | {'GeneratedBy': [{'Name': 'smoother'}]})
    )
    return study


def tell(scalars, stores):
    """Whatever comes after."""
    for scalar, store in zip(scalars, stores, strict=True):
        print(scalar, store)


def init_example_wf(study, results):
    """Smooth, build one HDF5 file of each scalar that was smoothed, and go on."""
    before = Node(Function(['study'], ['study'], smooth_and_sink), 'before')
    # A node runs in a folder of its own.
    before.inputs.study = str(Path(study).absolute())
    ours = init_modelarray_wf(output_dir=results, scalars=['cbf_smooth'], nprocs=2, mem_mb=2000)
    after = Node(Function(['scalars', 'stores'], [], tell), 'after')
    workflow = Workflow('example')
    workflow.connect([
        (before, ours, [('study', 'inputnode.bids_dir')]),
        (ours, after, [
            ('outputnode.scalars', 'scalars'), ('outputnode.store_files', 'stores'),
        ]),
    ])  # fmt: skip
    return workflow


if __name__ == '__main__':
    study, results, work = sys.argv[1:]
    workflow = init_example_wf(study, results)
    workflow.base_dir = work
    workflow.run('MultiProc', plugin_args={'n_procs': 2, 'memory_gb': 4})
