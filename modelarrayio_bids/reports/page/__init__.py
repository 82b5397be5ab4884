"""The page itself: sections, tables, citations, HTML.

Belongs here: bringing findings and figures together as ``report.html``.
Does not: computing or drawing.
"""
