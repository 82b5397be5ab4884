"""Statistics at every element, as R does them.

Belongs here: arithmetic on arrays and tables, by the names of the textbook.
Does not: images, HDF5 and BIDS; who reads and writes is above.
"""
