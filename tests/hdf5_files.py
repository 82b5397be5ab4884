"""HDF5 files to be spoiled, the ways to spoil them, and commands that read what is left.

Every command runs in a process of its own: a damaged file may end a process, or keep it for ever.
"""

import io
import os
import resource
import signal
import sys
import tempfile
import time
from contextlib import redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
from greyordinates import brain_models, parcels, random_values, save_map, save_matrix
from images import group_mask, write_cohort, write_csv
from mrtrix import fixel_directory, save_values
from stores import write_results

from modelarrayio_bids.cli.files import main

KINDS = ('voxels', 'fixels', 'greyordinates', 'parcels', 'edges')
#: Address space that a command may take: what asks for more, asks for what the file declares.
_MEMORY = 3 * 2**30
#: Of the processor, that one may take.
_SECONDS = 60


def write_base(folder, kind):
    """A file of a kind of elements with three analyses, and a cohort of more images: its path."""
    folder.mkdir(parents=True)
    options = []
    if kind == 'voxels':
        cohort = write_cohort(folder, subjects=4)
        options = ['--mask', str(folder / 'group_mask.nii.gz')]
        n = int(group_mask().sum())
    else:
        if kind == 'fixels':
            fixel_directory(folder / 'fd')
            paths = [folder / f'fd/sub-{number}.mif' for number in range(4)]
            for number, path in enumerate(paths):
                save_values(path, np.arange(6) + number)
            n = 6
        elif kind == 'edges':
            axes = parcels(), parcels()[:3]
            paths = [folder / f'sub-{number}.pconn.nii' for number in range(4)]
            for number, path in enumerate(paths):
                save_matrix(path, random_values(4, 3, seed=number), axes)
            n = 12
        else:
            axis, ending = (
                (brain_models(), 'dscalar') if kind == 'greyordinates' else (parcels(), 'pscalar')
            )
            n = len(axis)
            paths = [folder / f'sub-{number}.{ending}.nii' for number in range(4)]
            for number, path in enumerate(paths):
                save_map(path, random_values(n, seed=number), axis)
        rows = [['FA', str(path)] for path in paths]
        cohort = write_csv(folder / 'cohort.csv', ['scalar_name', 'source_file'], rows)
    lines = cohort.read_text().splitlines()
    lines = [f'{line},{age}' for line, age in zip(lines, ('age', 9, 12, 10, 11), strict=True)]
    (folder / 'first.csv').write_text('\n'.join(lines[:4]) + '\n')
    (folder / 'more.csv').write_text('\n'.join([lines[0], *lines[4:]]) + '\n')
    store = folder / 'base.h5'
    build = ['to-modelarray', '--cohort-file', str(folder / 'first.csv'), '--output', str(store)]
    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        assert main([*build, *options]) == 0
        assert main(fit(store, folder, 'lm')) == 0
    names = ['element_id', 'age.estimate', 'age.p.value', 'age.p.value.fdr', 'group']
    for number, ids in enumerate((np.arange(n // 2), np.arange(n // 2, n))):
        p = (ids + 1) / (n + 1)
        matrix = np.stack([ids, ids * 0.1, p, p, 1 + ids % 2], axis=1)
        where = 'dataset' if number else 'attribute'
        write_results(store, f's{number}', names, matrix, where=where, levels={5: ['a', 'b']})
    return store


def fit(store, folder, analysis):
    """Words of the command that fits a model of the scalar."""
    return [
        *('fit', str(store), '--cohort-file', str(folder / 'first.csv'), '--formula', 'FA ~ age'),
        *('--analysis-name', analysis, '--num-subj-lthr-abs', '1', '--log-level', 'ERROR'),
    ]


def places(path):
    """Every object of a file by its path, and every attribute by path and name."""
    found = []
    with h5py.File(path) as file:
        file.visititems(lambda name, item: found.append((name, None)))
        file.visititems(lambda name, item: found.extend((name, key) for key in item.attrs))
    return sorted(found, key=str)


def _bomb(group, name, dtype='f4'):
    group.create_dataset(name, (3, 2**40), dtype, chunks=(3, 2**20), compression='gzip')


def _inflates(group, name):
    group.create_dataset(
        name, data=np.zeros((3, 2**26), 'i1'), chunks=(3, 2**22), compression='gzip'
    )


def _large_chunk(group, name):
    group.create_dataset(
        name, (3, 4), 'f4', chunks=(3, 2**28), maxshape=(3, None), compression='gzip'
    )


def _opaque(group, name):
    group.create_dataset(name, data=np.zeros(3, 'V8'))


#: What stands where something else was: by name, a function of its group and name there.
OBJECTS = {
    'nothing': lambda group, name: None,
    'a group': lambda group, name: group.create_group(name),
    'a group with itself': lambda group, name: group.create_group(name).__setitem__('x', group),
    'a link to nowhere': lambda group, name: group.__setitem__(name, h5py.SoftLink('/nowhere')),
    'a link to itself': lambda group, name: group.__setitem__(
        name, h5py.SoftLink(f'{group.name}/{name}')
    ),
    'a link elsewhere': lambda group, name: group.__setitem__(
        name, h5py.ExternalLink('gone.h5', '/x')
    ),
    'a type': lambda group, name: group.__setitem__(name, np.dtype('f8')),
    'one number': lambda group, name: group.create_dataset(name, data=7.0),
    'one text': lambda group, name: group.create_dataset(name, data='text'),
    'no value': lambda group, name: group.create_dataset(name, data=h5py.Empty('f4')),
    'no values': lambda group, name: group.create_dataset(name, (0,), 'f4'),
    'no columns': lambda group, name: group.create_dataset(name, (3, 0), 'f4'),
    'three dimensions': lambda group, name: group.create_dataset(name, data=np.ones((2, 2, 2))),
    'texts': lambda group, name: group.create_dataset(name, data=['a', 'b', 'c']),
    'bytes': lambda group, name: group.create_dataset(name, data=np.array([b'\xff', b'\xfe', b''])),
    'whole numbers': lambda group, name: group.create_dataset(name, data=np.arange(-5, 7)),
    'a row of NaN': lambda group, name: group.create_dataset(name, data=np.full(3, np.nan)),
    'a matrix': lambda group, name: group.create_dataset(name, data=np.ones((3, 4), 'f4')),
    'infinite': lambda group, name: group.create_dataset(name, data=np.full((3, 4), np.inf)),
    'complex': lambda group, name: group.create_dataset(name, data=np.ones((3, 4), complex)),
    'compound': lambda group, name: group.create_dataset(name, data=np.ones(3, [('a', 'f4')])),
    'truth': lambda group, name: group.create_dataset(name, data=np.ones((3, 4), bool)),
    'opaque': _opaque,
    'references': lambda group, name: group.create_dataset(
        name, data=[group.ref, group.ref], dtype=h5py.ref_dtype
    ),
    'ragged': lambda group, name: group.create_dataset(name, (3,), h5py.vlen_dtype(np.int32)),
    'half': lambda group, name: group.create_dataset(name, data=np.ones((3, 4), '>f2')),
    'seven TiB': _bomb,
    'a TiB of texts': lambda group, name: _bomb(group, name, 'S4'),
    'a deflate bomb': _inflates,
    'a chunk of 3 GiB': _large_chunk,
    'huge in one piece': lambda group, name: group.create_dataset(name, (3, 2**40), 'f4'),
}
DEEP = '[' * 100_000
#: What an attribute, or a dataset of one text, says instead.
TEXTS = {
    'blank': '',
    'no JSON': '{',
    'a list': '[1, 2]',
    'a number': '5',
    'null': 'null',
    'of a later version': '{"n_sources": {"FA": 3}, "dtype": "float32", "of tomorrow": 1}',
    'other kinds': '{"n_sources": [1], "dtype": 7, "chunk_columns": "x", "FA": {}}',
    'negative': '{"n_sources": {"FA": -1}, "dtype": "float32", "chunk_columns": -3, "FA": -1}',
    'a type of nobody': '{"dtype": "float99", "FA": 1e400}',
    'deep': DEEP,
    'many digits': f'{{"n_sources": {"9" * 5000}, "FA": {"9" * 5000}}}',
    'a lone surrogate': '{"n_sources": {"\\ud800": 1}, "\\ud800": "\\ud800"}',
}
ATTRIBUTES = {
    'nothing': None,
    'no value': h5py.Empty('f4'),
    'five': 5,
    'NaN': np.nan,
    'numbers': np.arange(12.0).reshape(3, 4),
    'bytes': b'\xff\xfe',
    'texts': ['a', 'b'],
    'truth': True,
    'compound': np.ones(2, [('a', 'f4')]),
    **{name: text for name, text in TEXTS.items() if name != 'deep'},
    'deep': DEEP[:30_000],
}


def spoil(path, place, how):
    """Put something else at a place of a file."""
    name, attribute = place
    with h5py.File(path, 'r+') as file:
        if attribute is not None:
            del file[name].attrs[attribute]
            if ATTRIBUTES[how] is not None:
                file[name].attrs[attribute] = ATTRIBUTES[how]
            return
        folder, _, leaf = name.rpartition('/')
        group = file[folder or '/']
        del group[leaf]
        if how in TEXTS:
            group.create_dataset(leaf, data=[TEXTS[how]], dtype=h5py.string_dtype())
        else:
            OBJECTS[how](group, leaf)


def damage(content, numbers):
    """Other bytes at some places, (place, value); whatever the length, within it."""
    spoiled = bytearray(content)
    for place, value in numbers:
        spoiled[place % len(spoiled)] = value
    return bytes(spoiled)


@dataclass(frozen=True)
class Ended:
    """How a command ended: its exit code, or the negative number of a signal."""

    command: str
    code: int
    said: str
    seconds: float
    peak_bytes: int

    @property
    def fault(self):
        """What must never be, whatever the file; blank if all is well."""
        if self.code < 0:
            return f'{self.command} died of {signal.Signals(-self.code).name}'
        if 'Traceback' in self.said or self.code not in {0, 64, 65, 66, 73, 74}:
            return f'{self.command} ended with {self.code}: {self.said[-1500:]}'
        if self.peak_bytes > 2**30:
            return f'{self.command} took {self.peak_bytes:,} bytes'
        return ''


def commands(store, base, analysis='s0'):
    """Every command that reads a file, on this one."""
    folder, file = store.parent, str(store)
    return {
        'validate': ['validate', file, '--cohort-file', str(base.parent / 'first.csv')],
        'info': ['info', file, '--json'],
        'export-results': [
            *('export-results', '--input-hdf5', file, '--analysis-name', analysis),
            *('--output-dir', str(folder / 'maps'), '--log-level', 'ERROR'),
        ],
        'merge-results': [
            *('merge-results', '--input-hdf5', file, '--analysis-name', 's?', '--merged-name', 'm'),
            *('--log-level', 'ERROR'),
        ],
        'append': [
            *('append', '--cohort-file', str(base.parent / 'more.csv'), '--output', file),
            *('--keep-results', '--log-level', 'ERROR'),
        ],
        'fit': fit(store, base.parent, 'new'),
    }


def ended(command, arguments):
    """Run a command in a fork of this process."""
    out = tempfile.TemporaryFile()  # noqa: SIM115
    begun = time.monotonic()
    child = os.fork()
    if not child:
        code = 99
        with suppress(BaseException):
            os.dup2(out.fileno(), 1)
            os.dup2(out.fileno(), 2)
            # What pytest or Hypothesis put there is another process's.
            sys.stdout, sys.stderr = (
                os.fdopen(fd, 'w', closefd=False, errors='backslashreplace') for fd in (1, 2)
            )
            resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            resource.setrlimit(resource.RLIMIT_CPU, (_SECONDS, _SECONDS))
            # Who waits for something takes no time of the processor.
            signal.alarm(10 * _SECONDS)
            try:
                code = main(arguments)
            except SystemExit as error:
                code = error.code
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)
    _, status, usage = os.wait4(child, 0)
    code = -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
    out.seek(0)
    said = out.read().decode('utf-8', 'replace')
    out.close()
    return Ended(command, code, said, time.monotonic() - begun, usage.ru_maxrss * 1024)


def all_ended(store, base):
    """Run every command on a copy of the file of its own."""
    content = store.read_bytes()
    for command, arguments in commands(store, base).items():
        store.write_bytes(content)
        yield ended(command, arguments)


def temporary_copy(folder, content):
    """A file of this content in a folder of its own."""
    path = Path(tempfile.mkdtemp(dir=folder)) / 'x.h5'
    path.write_bytes(content)
    return path
