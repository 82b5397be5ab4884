"""File formats: bytes on disk ↔ arrays.

Belongs here: headers and data of image files and tables, compressed, remote or not fetched.
Does not: cohorts, what an element is (``spaces``), HDF5 and TileDB (``store``).
"""
