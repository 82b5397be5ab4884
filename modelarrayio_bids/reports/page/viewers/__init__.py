"""Viewers: one page for each analysis, on which its maps are thresholded and walked through.

Belongs here: what such a page holds, as arrays and as facts.
Does not: what it does with them, which is JavaScript in ``data/report/viewer``.
"""
