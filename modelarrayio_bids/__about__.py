"""Name, version and address of this distribution."""

__version__ = '0.1.0'

NAME = 'modelarrayio-bids'
URL = 'https://github.com/PennLINC/modelarrayio-bids'
