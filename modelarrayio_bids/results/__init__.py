"""Results that a model left in an HDF5 file: slices merged, and results written as images.

Belongs here: what happens to an analysis once it is computed, whoever computed it.
Does not: the statistics (``models``), names of statistical maps in BIDS (``derivatives``).
"""
