"""Files as BIDS URIs, which stay true where a dataset is moved with its links.

>>> uris = Uris(Path('/out'), ())
>>> uris.of([Path('/out/cbf/space-X_modelarray.h5'), Path('/elsewhere/mask.nii.gz')])
['bids::cbf/space-X_modelarray.h5', 'file:///elsewhere/mask.nii.gz']
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from urllib.parse import unquote, urlparse

from modelarrayio_bids.derivatives.bids.dataset import Dataset
from modelarrayio_bids.runtime.locations import is_address, location


class Uris:
    """BIDS URIs: ``bids:<dataset>:<path>``, and ``bids::<path>`` in our own output.

    Parameters
    ----------
    output_dir : pathlib.Path
        Our own output, absolute.
    datasets : iterable of Dataset
        Datasets named in ``DatasetLinks``.
    """

    def __init__(self, output_dir: Path, datasets: Iterable[Dataset]) -> None:
        roots = [('', output_dir), *((dataset.name, dataset.root) for dataset in datasets)]
        # The deepest folder first: a nested dataset's files are not its parent's.
        self._roots = sorted(roots, key=lambda root: -len(root[1].parts))

    def of(self, paths: Iterable[Path]) -> list[str]:
        """Return a URI for each path, repeated paths once; ``file:`` for what is in no dataset."""
        return [self.one(path) for path in dict.fromkeys(paths)]

    def one(self, path: Path) -> str:
        """Return the URI of a path."""
        path = path.absolute()
        for name, root in self._roots:
            if path.is_relative_to(root):
                return f'bids:{name}:{path.relative_to(root).as_posix()}'
        return path.as_uri()


def path_of(url: str) -> Path:
    """Return the path of a ``file:`` URL, or the address, as ``DatasetLinks`` have them.

    >>> path_of(Path('/a folder/x').as_uri()).as_posix()
    '/a folder/x'
    """
    return location(url) if is_address(url) else Path(unquote(urlparse(url).path))
