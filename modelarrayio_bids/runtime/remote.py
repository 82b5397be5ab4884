"""Files behind addresses, asked for through fsspec: what they are, some of their bytes, listings.

Anonymous access, the local cache, patience and the number of readers are said by environment
variables, which reach every process of a run, those on a cluster too. A request that fails for a
reason that may pass is made again a few times; what cannot pass is an error at once.

fsspec and s3fs are imported when the first address is asked for, and so is what only answers need:
this module is loaded with every command.
"""

from __future__ import annotations

import errno
import functools
import io
import os
import re
import stat
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from modelarrayio_bids.errors import (
    ModelArrayIOError,
    RemoteFileError,
    SourceNotFoundError,
    UsageError,
)
from modelarrayio_bids.runtime.remote_facts import Info, RemoteFacts

#: Of the predecessor: no credentials, for public buckets.
ANONYMOUS = 'MODELARRAYIO_S3_ANON'
CACHE_DIR = 'MODELARRAYIO_CACHE_DIR'
#: Remote images read at a time.
WORKERS = 'MODELARRAYIO_S3_WORKERS'
#: Seconds to wait for a connection, and for each piece of an answer.
TIMEOUT = 'MODELARRAYIO_TIMEOUT'

DEFAULT_WORKERS = 8
_DEFAULT_TIMEOUT = 60.0
# Seconds before each further attempt.
_WAITS = (0.25, 1.0, 4.0)
# Enough for the header of a volume, and for what a pointer of git-annex may hold.
_HEAD = 2**15
#: Bytes of one request, where a file is read to its end.
PIECE = 2**24
# Answers that say no, and will say so again: of s3fs, and of HTTP's 4xx all but those that ask for
# time (RFC 9110, 6585, 8470).
_FINAL = frozenset({errno.EINVAL, errno.EPERM, errno.ENOSYS, errno.ENAMETOOLONG})
_MAY_PASS = frozenset({408, 425, 429})
_DENIED = frozenset({401, 403, 407})
_GONE = frozenset({404, 410})
# Names of botocore's errors about what a user has not set up, or has not renewed.
_OF_CREDENTIALS = re.compile('Credential|Profile|Token|Login|SSO')
_DENIAL = 'access is denied'
_NAME_THEM = 'name them in a cohort CSV, for to-modelarray.'
_PUBLIC = f'for a public bucket set {ANONYMOUS}=1'

Answer = TypeVar('Answer')

# Each file is asked for once in a process.
_FACTS = RemoteFacts()
# A client takes half a second of computing: one thread makes it for all.
_MAKING_CLIENT = threading.Lock()


def workers() -> int:
    """Return how many remote images are read at a time."""
    text = os.environ.get(WORKERS, '')
    return max(1, int(text)) if text.isdecimal() else DEFAULT_WORKERS


def status(address: str) -> os.stat_result:
    """Return the size and time of a file, or that it is a folder; asked for once in a process.

    Raises
    ------
    SourceNotFoundError
        If there is nothing, or it must not be read.
    RemoteFileError
        If no answer came.
    UsageError
        If a package or credentials are missing.
    """
    info = _info(address)
    if info['type'] == 'directory':
        return os.stat_result((stat.S_IFDIR | 0o555, *[0] * 9), {'st_mtime_ns': 0})
    if info.get('size') is None:
        raise SourceNotFoundError(
            'has a size that its server does not tell', address, 'Download it, and give that file.'
        )
    # The ETag stands for the time where a server tells none: it is another once the file is.
    when = _modified(info)
    fields = (stat.S_IFREG | 0o444, 0, 0, 1, 0, 0, info['size'], when, when, when)
    return os.stat_result(fields, {'st_mtime_ns': when * 10**9})


def is_of_type(address: str, kind: str) -> bool:
    """Return whether there is a ``file``, or a ``directory``; errors as :func:`status`."""
    if kind == 'directory' and not address.startswith('s3://'):
        return False
    try:
        return _info(address)['type'] == kind
    except SourceNotFoundError:
        return False


def entries(address: str) -> dict[str, bool]:
    """Return the names in a folder, and whether each is a folder.

    Everything below a folder is listed with the first question about it, a thousand files a
    request; of one above those listed before, its own entries alone.

    Raises
    ------
    SourceNotFoundError, RemoteFileError, UsageError
        As :func:`status`, or if folders of that address cannot be listed.
    """
    if not address.startswith('s3://'):
        raise UsageError('cannot be listed', address, 'Give folders at s3://, and files here.')
    if not _FACTS.covers(address):
        try:
            if _FACTS.holds_part_of(address):
                return _own_entries(address)
            _FACTS.add_tree(address, _listing(address))
        except SourceNotFoundError as error:
            if not error.what.startswith(_DENIAL):
                raise
            remedy = f'{error.remedy} Files that may be read but not listed: {_NAME_THEM}'
            raise SourceNotFoundError(f'cannot be listed: {error.what}', address, remedy) from error
    return _FACTS.entries(address)


def forget() -> None:
    """Ask anew for what was asked for before."""
    _FACTS.clear()
    _system_of.cache_clear()


def digest(address: str) -> bytes:
    """Return what tells a file from any other, 16 bytes, without reading it.

    S3's ETag is made of the content, so copies of a mask are one; elsewhere the address counts.
    """
    return _mark(address, _info(address))


def _mark(address: str, info: Info) -> bytes:
    told = f'{address} {info.get("size")} {_modified(info)}'
    if address.startswith('s3://') and info.get('ETag'):
        told = f'{info["ETag"]} {info["size"]}'
    return _checksum(told)


def _checksum(text: str) -> bytes:
    from hashlib import blake2b  # noqa: PLC0415 - see the module

    return blake2b(text.encode(), digest_size=16).digest()


def open_binary(address: str, *, whole: bool = False) -> io.BufferedReader:
    """Open a file for reading: its local copy where a cache is kept.

    Parameters
    ----------
    address : str
        The file.
    whole : bool, optional
        Say that all of it will be read, so that as much as possible comes with the first request.

    Raises
    ------
    SourceNotFoundError, RemoteFileError, UsageError
        As :func:`status`.
    """
    if folder := os.environ.get(CACHE_DIR):
        return open(_cached(address, Path(folder)), 'rb')
    return io.BufferedReader(_RemoteFile(address, PIECE if whole else _HEAD), _HEAD)


class _LastFile(threading.local):
    """The file that a thread had whole last: it is mostly asked for once more, for its checksum.

    The main thread reads a file here and there, and keeps none.
    """

    def __init__(self) -> None:
        self._address, self._data = '', b''

    def bytes_of(self, address: str) -> bytes | None:
        """Return its bytes, if it is this one; forget it otherwise, to have room for the next."""
        if address == self._address:
            return self._data
        self._address, self._data = '', b''
        return None

    def keep(self, address: str, data: bytes) -> None:
        if threading.current_thread() is not threading.main_thread():
            self._address, self._data = address, data


_LAST_FILE = _LastFile()


class _RemoteFile(io.RawIOBase):
    """The bytes of a file, asked for in pieces.

    What is read from one end to the other comes in pieces, a small one first; what is read
    elsewhere comes as asked, and the piece is kept.
    """

    def __init__(self, address: str, first: int) -> None:
        self._address = address
        self._size = status(address).st_size
        self._position = 0
        self._start, self._piece, self._next = 0, b'', first

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size}[whence]
        self._position = max(0, base + offset)
        return self._position

    def readinto(self, buffer: Any) -> int:
        wanted = min(len(buffer), max(0, self._size - self._position))
        if not wanted:
            return 0
        end = self._start + len(self._piece)
        if self._position == end:
            self._start = end
            self._piece = b''  # not two at a time
            stop = min(end + self._next, self._size)
            self._piece = _bytes(self._address, end, stop, self._size)
            self._next = PIECE
            if end and stop == self._size:
                _check_unchanged(self._address)
        if self._start <= self._position < self._start + len(self._piece):
            first = self._position - self._start
            data = memoryview(self._piece)[first : first + wanted]
        else:
            stop = self._position + wanted
            data = memoryview(_bytes(self._address, self._position, stop, self._size))
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)


def _bytes(address: str, start: int, stop: int, size: int) -> bytes:
    """Return some bytes of a file, as many as asked for."""
    if (kept := _LAST_FILE.bytes_of(address)) is not None:
        return kept[start:stop]
    system = _system(address)

    def ask() -> bytes:
        data = system.cat_file(address, start=start, end=stop)
        if len(data) == size:  # a server that knows no ranges
            data = data[start:stop]
        if len(data) != stop - start:
            raise ConnectionError(f'{len(data)} bytes came of {stop - start}')
        return data

    data = _asked(address, ask)
    if len(data) == size:
        _LAST_FILE.keep(address, data)
    return data


def _check_unchanged(address: str) -> None:
    """Check that the pieces of a file that was read are of one file."""
    system = _system(address)
    system.invalidate_cache(address)
    now = _asked(address, lambda: system.info(address))
    if now.get('size') != _info(address).get('size') or _mark(address, now) != digest(address):
        raise RemoteFileError(
            'was changed while it was read', address, 'Run again when it is complete.'
        )


def _cached(address: str, folder: Path) -> Path:
    """Return the local copy of a file, made now or from an earlier run if the file is the same."""
    from modelarrayio_bids.runtime.atomic import replacing  # noqa: PLC0415 - see the module

    facts = status(address)
    _remove_leftovers(folder, os.getpid())
    name = address.partition('?')[0].rpartition('/')[2]
    path = folder / f'{_checksum(address).hex()[:16]}_{_fitting(name)}'
    if not _is_copy(path, facts):
        with replacing(path) as partial, open(partial, 'wb') as file:
            for start in range(0, facts.st_size, PIECE):
                stop = min(start + PIECE, facts.st_size)
                file.write(_bytes(address, start, stop, facts.st_size))
            _check_unchanged(address)
            file.flush()
            os.utime(partial, ns=(facts.st_mtime_ns, facts.st_mtime_ns))
    return path


@functools.cache
def _remove_leftovers(folder: Path, _process: int) -> None:
    """Remove what a killed run left in the cache, once."""
    from modelarrayio_bids.runtime.unfinished import remove_leftovers  # noqa: PLC0415

    remove_leftovers(folder)


def _fitting(name: str) -> str:
    """Return the end of a name that fits file systems, which count 255 bytes, with room around."""
    return name.encode(errors='replace')[-180:].decode(errors='ignore')


def _is_copy(path: Path, facts: os.stat_result) -> bool:
    try:
        kept = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return (kept.st_size, kept.st_mtime_ns) == (facts.st_size, facts.st_mtime_ns)


def _info(address: str) -> Info:
    info = _FACTS.info(address)
    if info is None and _FACTS.covers(address):
        raise SourceNotFoundError('no such file', address, 'Check the address.')
    if info is None:
        system = _system(address)
        info = _asked(address, lambda: system.info(address))
        _FACTS.add(address, info)
    return info


def _listing(address: str) -> dict[str, Info]:
    """Return all files below a folder, by their paths from there."""
    system = _system(address)
    found = _asked(address, lambda: system.find(address, detail=True))
    above = f'{address.removeprefix("s3://")}/'
    return {
        name.removeprefix(above): info
        for name, info in found.items()
        if name.startswith(above) and not name.endswith('/')
    }


def _own_entries(address: str) -> dict[str, bool]:
    system = _system(address)
    found = _asked(address, lambda: system.ls(address, detail=True))
    return {one['name'].rpartition('/')[2]: one['type'] == 'directory' for one in found}


def _modified(info: Info) -> int:
    """Return when a file was changed, in seconds; a number made of its ETag where none is told."""
    when = info.get('LastModified') or info.get('Last-Modified')
    if isinstance(when, str):
        from email.utils import parsedate_to_datetime  # noqa: PLC0415 - see the module

        when = parsedate_to_datetime(when)
    if isinstance(when, datetime):
        return int(when.timestamp())
    tag = info.get('ETag')
    return int.from_bytes(_checksum(str(tag))[:4], 'big') if tag else 0


def _system(address: str) -> Any:
    try:
        with _MAKING_CLIENT:
            return _system_of(address.partition('://')[0], _anonymous(), _patience(), os.getpid())
    except ImportError as error:
        raise UsageError(
            f'is a remote file, and {error.name or "s3fs"} is not installed to read it',
            address,
            "Install the extra: pip install 'modelarrayio-bids[s3]'.",
        ) from error
    except ModelArrayIOError:
        raise
    except Exception as error:
        raise _final(error, address) or _did_not_come(error, address) from error


@functools.cache
def _system_of(scheme: str, anonymous: bool, patience: float, _process: int) -> Any:
    import aiohttp  # noqa: PLC0415 - see the module
    import fsspec  # noqa: PLC0415

    if scheme != 's3':
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=patience, sock_read=patience)
        # Offsets are those of the file, not of what a server would make of it on the way.
        client = {'timeout': timeout, 'headers': {'Accept-Encoding': 'identity'}}
        return fsspec.filesystem(scheme, client_kwargs=client, skip_instance_cache=True)
    config = {
        'connect_timeout': patience,
        'read_timeout': patience,
        'max_pool_connections': max(10, workers(), os.cpu_count() or 1),
        # Attempts are counted here, for every kind of address.
        'retries': {'total_max_attempts': 1, 'mode': 'standard'},
    }
    system = fsspec.filesystem('s3', anon=anonymous, config_kwargs=config, skip_instance_cache=True)
    system.retries = 1
    system.connect()
    return system


def _anonymous() -> bool:
    return os.environ.get(ANONYMOUS, '').lower() in {'1', 'true', 'yes'}


def _patience() -> float:
    text = os.environ.get(TIMEOUT, '')
    try:
        seconds = float(text or _DEFAULT_TIMEOUT)
    except ValueError:
        seconds = 0
    if not 0 < seconds < float('inf'):
        raise UsageError(f'{TIMEOUT} is {text!r}', remedy='Give seconds above 0, or unset it.')
    return seconds


def _asked(address: str, ask: Callable[[], Answer]) -> Answer:
    """Ask, and a few times more where the reason for no answer may pass."""
    for wait in (*_WAITS, None):
        try:
            return ask()
        except ModelArrayIOError:
            raise
        except Exception as error:
            if told := _final(error, address):
                raise told from error
            if wait is None:
                raise _did_not_come(error, address) from error
            time.sleep(min(wait, _patience()))
    raise AssertionError('the last attempt ends the loop')  # pragma: no cover


def _final(error: Exception, address: str) -> ModelArrayIOError | None:
    """Return the error of an answer that another attempt would not change."""
    if isinstance(error, FileNotFoundError) and address.startswith('http'):
        # Where there is no answer at all too: the reason is behind it.
        error = error.__cause__ if isinstance(error.__cause__, Exception) else error
    code = getattr(error, 'status', None)
    if isinstance(error, FileNotFoundError) or code in _GONE:
        escape = ' Write a # in a name as %23.' if _has_fragment(address) else ''
        return SourceNotFoundError('no such file', address, f'Check the address.{escape}')
    if isinstance(error, PermissionError) or code in _DENIED:
        remedy = 'Check that you may read it, and its spelling.'
        if address.startswith('s3://'):
            remedy = f'Check your credentials, and the spelling; {_PUBLIC}.'
        return SourceNotFoundError(f'{_DENIAL} ({_said(error)})', address, remedy)
    if _OF_CREDENTIALS.search(type(error).__name__):
        return UsageError(
            f'needs credentials ({_said(error)})',
            address,
            f'Set them up as for the AWS command line; {_PUBLIC}.',
        )
    refused = isinstance(code, int) and 400 <= code < 500 and code not in _MAY_PASS
    if refused or isinstance(error, ValueError) or getattr(error, 'errno', None) in _FINAL:
        what = f'cannot be read ({_said(error)})'
        return SourceNotFoundError(what, address, 'Check the address.')
    return None


def _has_fragment(address: str) -> bool:
    """Return whether a # ends what a web server is asked for; keys of S3 may hold one."""
    return address.startswith('http') and '#' in address


def _did_not_come(error: Exception, address: str) -> RemoteFileError:
    if isinstance(error, FileNotFoundError) and isinstance(error.__cause__, Exception):
        error = error.__cause__
    return RemoteFileError(
        f'did not come in {len(_WAITS) + 1} attempts ({_said(error)})',
        address,
        'Check the network and the address, and run again.',
    )


def _said(error: Exception) -> str:
    """Return the reason in one line."""
    code, message = getattr(error, 'status', None), getattr(error, 'message', None)
    text = f'{code} {message or ""}' if isinstance(code, int) and code else str(error)
    return ' '.join(text.split()) or type(error).__name__


def look_up(addresses: Iterable[str]) -> None:
    """Ask for sizes and times of many files at a time, for :func:`status` to know."""
    from modelarrayio_bids.runtime.parallel import ordered_map  # noqa: PLC0415 - see the module

    def ask(address: str) -> None:
        with suppress(SourceNotFoundError):  # told where it is read
            status(address)

    for _ in ordered_map(ask, addresses, workers()):
        pass
