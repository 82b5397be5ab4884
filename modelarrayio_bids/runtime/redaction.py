"""Addresses without what gives access to them, for messages, logs and descriptions of files."""

from __future__ import annotations

import re

# RFC 3986, section 3.2.1: a name and a password may precede the host.
_USER = re.compile(r'(?<=://)[^/\s@"\']+@')
# Signed addresses of S3, Google and Azure (X-Amz-Signature, X-Goog-Credential, sig), and what other
# servers call their tokens.
_PARAMETER = re.compile(
    r'([?&][^=&?\s"\']*(?:sig|token|key|secret|pass|cred|auth)[^=&\s"\']*=)'
    r'[^&\s"\']*[^&\s"\':;,.)]',
    re.IGNORECASE,
)


def redacted(text: str) -> str:
    """Return a text with passwords, tokens and signatures of addresses replaced by ``…``.

    >>> redacted('https://me:pw@host/FA.nii.gz?file=7&X-Amz-Signature=ab12: no such file.')
    'https://…@host/FA.nii.gz?file=7&X-Amz-Signature=…: no such file.'
    """
    if '://' not in text:
        return text
    return _PARAMETER.sub(r'\1…', _USER.sub('…@', text))
