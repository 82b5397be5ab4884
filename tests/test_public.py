import subprocess
import sys

import modelarrayio_bids


def test_public_names():
    assert sorted(modelarrayio_bids.__all__) == [
        'Cohort',
        'ModelArrayIOError',
        'References',
        'Source',
        'VoxelSpace',
        '__version__',
        'append_sources',
        'export_results',
        'group_mask',
        'merge_results',
        'space_of',
        'to_modelarray',
    ]
    for name in modelarrayio_bids.__all__:
        assert getattr(modelarrayio_bids, name) is not None
    assert dir(modelarrayio_bids) == sorted(modelarrayio_bids.__all__)


def test_importing_loads_and_changes_nothing():
    code = (
        'import sys, logging; import modelarrayio_bids; '
        'heavy = {"numpy", "h5py", "nibabel", "pandas", "nipype", "bids"} & set(sys.modules); '
        'assert not heavy, heavy; assert not logging.getLogger().handlers'
    )
    subprocess.run([sys.executable, '-c', code], check=True)
