"""How the documentation is built: ``make docs``. Needs no network."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / '_ext'))

from modelarrayio_bids.__about__ import NAME, __version__

project = NAME
author = 'The modelarrayio-bids developers'
copyright = author  # noqa: A001 - Sphinx's name for it
release = version = __version__

extensions = [
    'myst_parser',
    'numpydoc',
    'sphinx.ext.autodoc',
    'format_rules',
    'messages',
    'nipype_pages',
]
exclude_patterns = ['_build', 'demo']
html_theme = 'furo'
html_title = f'{NAME} {__version__}'
html_show_copyright = False
# Anything but this folder's own files would be a request to somebody's server.
html_static_path: list[str] = []

myst_heading_anchors = 3
myst_enable_extensions = ['colon_fence', 'deflist']
# "--option" is no dash.
smartquotes = False

autodoc_typehints = 'none'
numpydoc_show_class_members = False
# Types of Python, numpy and Nipype: looking them up would take the network.
nitpick_ignore_regex = [
    (r'py:.*', r'(?!modelarrayio_bids).*'),
    # What docstrings say to who reads the source.
    (r'py:.*', r'modelarrayio_bids\.(formats|store)\..*'),
]
