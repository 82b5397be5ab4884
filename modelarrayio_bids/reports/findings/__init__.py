"""Findings of a report: participants, outliers, tested terms, clusters.

Belongs here: numbers and their judgement, from an output folder's files alone.
Does not: drawing (``figures``), HTML (``page``).
"""
