"""The HDF5 file: its layout, written and read. Nothing outside this folder knows h5py."""
