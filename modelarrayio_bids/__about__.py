"""Name, version and address of this distribution."""

__version__ = '0.2.0'

NAME = 'modelarrayio-bids'
URL = 'https://github.com/PennLINC/modelarrayio-bids'
