"""Figures of a report: maps, surfaces, charts. The only place with matplotlib.

Belongs here: pictures of arrays, their scales and backgrounds.
Does not: what is worth showing (``findings``), where it stands on a page (``page``).
"""
