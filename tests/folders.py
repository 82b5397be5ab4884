"""Folders compared."""

from pathlib import Path


def bytes_of(folder: Path) -> dict[Path, bytes | bool]:
    """Every path below a folder with its bytes: what a failed run must leave as it was."""
    return {path: path.is_file() and path.read_bytes() for path in folder.rglob('*')}
