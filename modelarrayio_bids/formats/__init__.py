"""File formats: bytes on disk ↔ arrays. Nothing here knows cohorts, spaces or HDF5."""
