"""Cohorts from datasets: images found, sorted, matched with masks and joined with phenotypes.

Belongs here: every decision on which image is a row, and the messages that explain it.
Does not: reading values (``conversion``), writing files (``outputs``).
"""
