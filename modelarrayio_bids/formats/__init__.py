"""Bytes on disk ↔ arrays. Nothing here knows of cohorts, spaces or HDF5."""
