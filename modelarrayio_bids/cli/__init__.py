"""The two commands: ``modelarrayio`` on files, ``modelarrayio-bids`` on BIDS datasets.

Belongs here: options, texts for a terminal, and how errors become exit codes.
Does not: work, which is one call of the library; nothing heavy is imported before it.
"""
