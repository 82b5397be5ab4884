"""Print results of several analyses at two voxels: ``python side_by_side.py FOLDER/NAME ...``."""

import sys

import nibabel as nb

for result in ('age.estimate', 'age.p.value'):
    for analysis in sys.argv[1:]:
        image = nb.load(f'{analysis}_{result}.nii.gz')
        shown = [f'{value:.6g}' for value in image.get_fdata()[[2, 7], 5, 5]]
        print(f'{analysis.rpartition("/")[2]}_{result}', *shown)
