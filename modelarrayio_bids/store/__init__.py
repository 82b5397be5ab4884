"""The HDF5 file, and the TileDB store made of it: their layout, written and read.

Belongs here: groups, datasets, chunks and attributes. The only place with h5py and TileDB.
Does not: images, and what a kind of elements is (``spaces``).
"""
