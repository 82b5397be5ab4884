"""Images into an HDF5 file: headers checked, rows read, blocks written; appending to a file.

Belongs here: the way of values from a cohort's images to the store, on one machine or several.
Does not: which element is where (``spaces``), what HDF5 looks like (``store``), BIDS.
"""
