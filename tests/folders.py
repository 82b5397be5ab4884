"""Folders compared, with what they were before."""

from pathlib import Path

import pytest


def bytes_of(folder: Path) -> dict[Path, bytes | bool]:
    """Every path below a folder with its bytes: what a failed run must leave as it was."""
    return {path: path.is_file() and path.read_bytes() for path in folder.rglob('*')}


def refuses(path, call, error, *texts):
    """Whether a call ends in an error that says these things, and leaves a file as it was."""
    before, beside = path.read_bytes(), sorted(path.parent.iterdir())
    with pytest.raises(error) as raised:
        call()
    for text in texts:
        assert text in str(raised.value)
    assert path.read_bytes() == before
    assert sorted(path.parent.iterdir()) == beside
