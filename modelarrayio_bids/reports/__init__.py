"""The report of an output folder: one page for people, its figures, and the numbers as tables.

What is said comes from the outputs alone: HDF5 files with the summaries made while they were
built, cohorts, and their sidecars. So a report can be made again at any time.
"""
