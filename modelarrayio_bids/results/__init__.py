"""Analyses in an HDF5 file: models fitted to it, slices merged, results written as images.

Belongs here: blocks of elements in and out, whichever program computed an analysis.
Does not: the statistics (``models``), names of statistical maps in BIDS (``derivatives``).
"""
