"""R's formulas: read, expanded to terms, evaluated for a table, coded as columns.

In the order of the work: ``syntax`` reads text, ``terms`` expands it, ``evaluation`` finds the
values of variables, with ``operators`` and ``functions`` (``numeric``, ``factors``, ``bases``),
``frame`` keeps the rows that have all of them, and ``coding`` makes factors columns.

Belongs here: what R makes of a formula and a table, up to the columns.
Does not: fitting.
"""
