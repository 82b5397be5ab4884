"""From BIDS derivatives to cohorts: what is on disk, what it is called, which mask serves it.

The door is :func:`modelarrayio_bids.derivatives.collect.collect`. Nothing is imported here: a
command line that only parses its options must not wait for pybids.
"""
