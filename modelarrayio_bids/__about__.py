"""What this distribution is called, its version and where it lives."""

__version__ = '0.1.0'

NAME = 'modelarrayio-bids'
URL = 'https://github.com/PennLINC/modelarrayio-bids'
