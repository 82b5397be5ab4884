"""The publications that a methods section cites.

>>> modelarray = works(())[0]
>>> modelarray.text[:53]
'Zhao C, Tapera TM, Bagautdinova J, et al. ModelArray:'
>>> [work.key for work in works(['ASLPrep', 'mine'])][-1]
'aslprep'
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import yaml

_MOST_AUTHORS = 3
# In BibTeX as in YAML: those who are not named.
_OTHERS = 'others'


@dataclass(frozen=True)
class Work:
    """A publication.

    Parameters
    ----------
    key : str
        Of the BibTeX entry.
    authors : tuple of str
        Family name and initials; ``others`` for who is not named.
    title, journal, year, volume, pages, doi : str
        As they are cited.
    pipelines : tuple of str
        Programs for which it is cited; empty for always.
    """

    key: str
    authors: tuple[str, ...]
    title: str
    journal: str
    year: int
    volume: int
    pages: str
    doi: str
    pipelines: tuple[str, ...] = ()

    @classmethod
    def of(cls, entry: dict[str, Any]) -> Work:
        """From an entry of ``data/citations.yaml``."""
        several = {name: tuple(entry.get(name, ())) for name in ('authors', 'pipelines')}
        return cls(**(entry | several))

    @property
    def url(self) -> str:
        """Where to read it."""
        return f'https://doi.org/{self.doi}'

    @property
    def text(self) -> str:
        """In one line."""
        return (
            f'{self._short_authors} {self.title}. {self.journal} {self.year};{self.volume}:'
            f'{self.pages}. doi:{self.doi}'
        )

    @property
    def short(self) -> str:
        """As in a sentence: ``Zhao et al., 2023``."""
        first = self.authors[0].rpartition(' ')[0]
        return f'{first}, {self.year}' if len(self.authors) == 1 else f'{first} et al., {self.year}'

    @property
    def bibtex(self) -> str:
        """An entry of a .bib file."""
        authors = ' and '.join(map(_bibtex_name, self.authors))
        fields = {
            'author': authors,
            'title': f'{{{self.title}}}',
            'journal': self.journal,
            'year': self.year,
            'volume': self.volume,
            'pages': self.pages.replace('-', '--'),
            'doi': self.doi,
        }
        lines = ',\n'.join(f'  {name} = {{{value}}}' for name, value in fields.items())
        return f'@article{{{self.key}{self.year},\n{lines}\n}}'

    @property
    def _short_authors(self) -> str:
        named = [author for author in self.authors if author != _OTHERS]
        if len(named) == len(self.authors) <= _MOST_AUTHORS:
            return f'{", ".join(named)}.'
        return f'{", ".join(named[:_MOST_AUTHORS])}, et al.'

    def serves(self, pipelines: Iterable[str]) -> bool:
        """Whether it is to be cited where these programs were used."""
        names = [name.casefold() for name in pipelines]
        return not self.pipelines or any(name.startswith(self.pipelines) for name in names)


def works(pipelines: Iterable[str]) -> list[Work]:
    """Everything to be cited where these programs made the images."""
    pipelines = list(pipelines)
    return [work for work in _all() if work.serves(pipelines)]


@functools.cache
def _all() -> tuple[Work, ...]:
    text = files('modelarrayio_bids').joinpath('data', 'citations.yaml').read_text('utf-8')
    return tuple(map(Work.of, yaml.safe_load(text)))


def _bibtex_name(author: str) -> str:
    """``Zhao, C`` for ``Zhao C``; ``others`` is BibTeX's own word."""
    family, _, initials = author.rpartition(' ')
    return f'{family}, {initials}' if family else author


def markdown(paragraphs: Sequence[str], cited: Sequence[Work]) -> str:
    """The contents of ``CITATION.md``."""
    references = [f'* {work.text}' for work in cited]
    parts = ['# Methods', *paragraphs, '# References', '\n'.join(references)]
    return '\n\n'.join(parts) + '\n'


def bibliography(cited: Sequence[Work]) -> str:
    """The contents of ``CITATION.bib``."""
    return '\n\n'.join(work.bibtex for work in cited) + '\n'
