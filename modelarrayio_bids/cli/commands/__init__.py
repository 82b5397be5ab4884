"""The commands on files, ``modelarrayio COMMAND``: one module each.

Belongs here: the options of a command and the one call it makes.
Does not: options that several share (``cli/options.py``).
"""
