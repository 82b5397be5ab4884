"""The two commands: ``modelarrayio`` on files, ``modelarrayio-bids`` on BIDS datasets."""
