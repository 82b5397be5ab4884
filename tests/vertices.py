"""Small files of surface data: two hemispheres of 40 vertices, with a medial wall of zeros."""

import nibabel as nb
import numpy as np

N_VERTICES = 40
#: Vertices of the cortex: of the left hemisphere all but the first 3, of the right but the last 5.
CORTEX = {'L': np.arange(N_VERTICES) >= 3, 'R': np.arange(N_VERTICES) < 35}
N_ELEMENTS = 72
STRUCTURES = {'L': 'CortexLeft', 'R': 'CortexRight'}


def save_mgh(path, data):
    """Write with nibabel, one map or (n_vertices, n_maps), in the type of the data."""
    path.parent.mkdir(parents=True, exist_ok=True)
    data = np.asarray(data)
    shape = (len(data), 1, 1, *data.shape[1:])
    nb.save(nb.freesurfer.MGHImage(data.reshape(shape), None), path)
    return path


def save_gifti(path, data, structure=None, names=None):
    """Write with nibabel one map, or (n_vertices, n_maps) as a data array each."""
    path.parent.mkdir(parents=True, exist_ok=True)
    columns = np.asarray(data).reshape(len(data), -1).T
    arrays = [
        nb.gifti.GiftiDataArray(
            np.ascontiguousarray(column),
            'NIFTI_INTENT_SHAPE',
            datatype=nb.nifti1.data_type_codes.code[column.dtype],
            meta=nb.gifti.GiftiMetaData(Name=name),
        )
        for column, name in zip(columns, names or 'abcdefgh', strict=False)
    ]
    meta = nb.gifti.GiftiMetaData(AnatomicalStructurePrimary=structure) if structure else None
    nb.save(nb.gifti.GiftiImage(darrays=arrays, meta=meta), path)
    return path


def save(path, data, side=None):
    """Write in the format that the name tells."""
    if path.name.endswith('.gii'):
        return save_gifti(path, data, STRUCTURES.get(side))
    return save_mgh(path, data)


def load(path):
    """Return the values of one map, (n_vertices,), as nibabel reads them."""
    image = nb.load(path)
    return image.agg_data() if path.name.endswith('.gii') else image.get_fdata().ravel()


def whole(values, fill=0.0, cortex=CORTEX):
    """Return values of the elements, (72,), on both surfaces, by hemisphere."""
    values, start, found = np.asarray(values), 0, {}
    for side, inside in cortex.items():
        found[side] = np.full(len(inside), fill, values.dtype)
        found[side][inside] = values[start : start + np.count_nonzero(inside)]
        start += np.count_nonzero(inside)
    return found


def save_pair(folder, pattern, values, **keywords):
    """Write values of the elements as a pair of files, and return the left one.

    ``pattern`` has ``{hemi}``: ``lh`` and ``rh`` stand there, or ``L`` and ``R`` after ``hemi-``.
    """
    spelling = {'L': 'L', 'R': 'R'} if 'hemi-{hemi}' in pattern else {'L': 'lh', 'R': 'rh'}
    files = [
        save(folder / pattern.format(hemi=spelling[side]), data, side)
        for side, data in whole(values, **keywords).items()
    ]
    return files[0]
