"""Files beside the HDF5 files and maps of the BIDS App: sidecars and names.

Belongs here: JSON sidecars, names of statistical maps, what ``append`` keeps in step.
Does not: the files that these describe.
"""
