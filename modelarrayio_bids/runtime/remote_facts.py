"""Facts of remote files and folders that were asked for or listed before.

>>> facts = RemoteFacts()
>>> facts.add_tree('s3://b/study', {'sub-01/dwi/FA.nii.gz': {'type': 'file', 'size': 8}})
>>> facts.entries('s3://b/study/sub-01')
{'dwi': True}
>>> facts.info('s3://b/study/sub-01/dwi/FA.nii.gz')['size']
8
>>> facts.info('s3://b/study/sub-02') is None, facts.covers('s3://b/study/sub-02')
(True, True)
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

Info = Mapping[str, Any]


class RemoteFacts:
    """Facts about addresses: what fsspec says of files, and the entries of folders."""

    def __init__(self) -> None:
        self._infos: dict[str, Info] = {}
        self._folders: dict[str, dict[str, bool]] = defaultdict(dict)
        self._roots: set[str] = set()

    def add(self, address: str, info: Info) -> None:
        """Keep what a server said of a file or a folder."""
        self._infos[address] = info

    def add_tree(self, root: str, files: Mapping[str, Info]) -> None:
        """Keep all files below a folder, by their paths from there."""
        for name, info in files.items():
            self.add(f'{root}/{name}', info)
            folder, is_folder = root, True
            *above, last = name.split('/')
            for part in above:
                self._folders[folder][part] = is_folder
                folder = f'{folder}/{part}'
            self._folders[folder].setdefault(last, False)
        if files:
            self._roots.add(root)

    def info(self, address: str) -> Info | None:
        """Return what is known of a file or a folder; None where nothing is."""
        if address in self._folders:
            return {'type': 'directory'}
        return self._infos.get(address)

    def covers(self, address: str) -> bool:
        """Return whether everything there is at or below an address is known."""
        above = address
        while above not in self._roots:
            above, slash, _ = above.rpartition('/')
            if not slash:
                return False
        return True

    def holds_part_of(self, address: str) -> bool:
        """Return whether a folder below an address was listed."""
        return any(root.startswith(f'{address}/') for root in self._roots)

    def entries(self, address: str) -> dict[str, bool]:
        """Return the names in a folder, and whether each is one too."""
        return self._folders.get(address, {})

    def clear(self) -> None:
        """Know nothing any more."""
        for known in (self._infos, self._folders, self._roots):
            known.clear()
