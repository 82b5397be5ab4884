"""BIDS derivatives and the cohorts made of them, in rooms of which each may use those before it.

``bids`` < ``recipes`` < ``model_files`` < ``cohorts`` < ``rscripts`` < ``outputs``. The entry point
is :func:`modelarrayio_bids.derivatives.cohorts.collect.collect`. Nothing is imported here: a
command line that only parses its options must not wait for pybids.
"""
