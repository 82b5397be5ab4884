"""The levels and options of the BIDS App, ``modelarrayio-bids``.

Belongs here: options of its levels, what they run and print.
Does not: the commands on files (``commands``).
"""
