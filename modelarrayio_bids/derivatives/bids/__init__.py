"""BIDS as it is found on disk: datasets, names and their entities, descriptions, URIs.

Belongs here: what is true of a BIDS dataset whatever is analysed. The only place with pybids.
Does not: what a pipeline's files mean (``recipes``), which images form a cohort (``cohorts``).
"""
