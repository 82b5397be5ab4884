"""HDF5 files compared, down to the bytes of their chunks."""

import h5py

from modelarrayio_bids.store import schema

#: What tells one run from another, of files with the same content.
OF_THE_RUN = {'command', 'created'}


def contents(path, without=()):
    """All that a file holds, by path: what can be compared with ``==``."""
    found = {}

    def visit(name, item):
        if name in without:
            return
        attributes = {key: str(value) for key, value in item.attrs.items()}
        if name == schema.PROVENANCE:
            attributes = {k: v for k, v in attributes.items() if k not in OF_THE_RUN}
        found[name] = attributes, stored(item) if isinstance(item, h5py.Dataset) else None

    with h5py.File(path) as file:
        file.visititems(visit)
    return found


def stored(dataset):
    """A dataset's type, how it is stored, and its bytes; of texts, the texts."""
    form = dataset.shape, str(dataset.dtype), dataset.chunks, dataset.compression
    form += dataset.compression_opts, dataset.shuffle
    if h5py.check_string_dtype(dataset.dtype):
        return *form, dataset.asstr()[()].tolist()
    if dataset.chunks is None:
        return *form, dataset[()].tobytes()
    chunks = dataset.iter_chunks()
    places = [tuple(part.start for part in chunk) for chunk in chunks]
    return *form, [dataset.id.read_direct_chunk(place) for place in places]
