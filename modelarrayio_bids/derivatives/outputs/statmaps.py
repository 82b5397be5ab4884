"""Results of ModelArray as BIDS statistical maps: their names, and the JSON beside each.

BIDS itself has no rule for statistical maps. The names are those of FitLins and nilearn, and of
BIDS' own drafts about them:
``<space…>_node-<analysis>[_contrast-<term>]_stat-<statistic>[_desc-<correction>]_statmap``. A label
has letters and digits only, so the exact words of R stand in the sidecar.

>>> result = ResultName.of('age:sexM.p.value.fdr')
>>> result
ResultName(term='age:sexM', statistic='p.value', correction='fdr')
>>> result.entities()
{'contrast': 'ageXSexM', 'stat': 'p', 'desc': 'fdr'}
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from os import PathLike
from pathlib import Path
from typing import Any

from modelarrayio_bids.derivatives.bids.description import software
from modelarrayio_bids.derivatives.bids.json_files import read_json
from modelarrayio_bids.derivatives.bids.output_names import GROUP_ENTITIES, STORE_NAME, sidecar
from modelarrayio_bids.derivatives.bids.uris import Uris
from modelarrayio_bids.models.adjustment import CORRECTIONS
from modelarrayio_bids.models.kinds import own_statistics
from modelarrayio_bids.results.export import (
    Image,
    Naming,
    Sidecars,
    ValuesOf,
    describe_model,
    describe_test,
    extent,
    fewer_sources,
    levels,
)
from modelarrayio_bids.results.model_facts import ModelFacts
from modelarrayio_bids.runtime.data_files import data_table
from modelarrayio_bids.spaces import SPACES
from modelarrayio_bids.store.reader import Analysis

_TABLES = data_table('statistics.toml')
#: Descriptions of the statistics of ModelArray, by name.
STATISTICS: Mapping[str, str] = _TABLES['described']
#: Suffixes of a group's stem for its kind, see ``naming.stem``.
_KINDS = frozenset(f'desc-{kind}' for kind in SPACES)
_DEGREES_OF_FREEDOM = ('df', 'df.residual', 'edf', 'ref.df')
_DF = 'DegreesOfFreedom'
#: The term of what is about the whole model.
MODEL = 'model'


def statistics() -> dict[str, str]:
    """Return the statistics that results may have, described: those of kinds of models too."""
    return {**STATISTICS, **own_statistics()}


@cache
def _pattern(names: tuple[str, ...]) -> re.Pattern[str]:
    """Return the form of results, whose statistics are among some names."""
    return re.compile(
        r'(?:(?P<term>.+?)\.)?(?:'
        rf'(?P<p>(?:1m\.|mlog10\.)?p\.value)(?:\.(?P<correction>{"|".join(CORRECTIONS)}))?|'
        rf'(?P<other>{"|".join(map(re.escape, names))}))'
    )


@dataclass(frozen=True)
class ResultName:
    """Term, statistic and correction of a result, from its name.

    Parameters
    ----------
    term : str
        Term of the formula; empty for results of the whole model.
    statistic : str
        One of :data:`STATISTICS`; in another name, which a function of the user's own made, all
        of it.
    correction : str
        R's method for many p values, ``fwe`` for permutations, or empty.
    """

    term: str
    statistic: str
    correction: str = ''

    @classmethod
    def of(cls, name: str) -> ResultName:
        """Take a name apart.

        >>> ResultName.of('model.adj.r.squared')
        ResultName(term='model', statistic='adj.r.squared', correction='')
        >>> ResultName.of('my_measure')
        ResultName(term='', statistic='my_measure', correction='')
        """
        found = _pattern(tuple(statistics())).fullmatch(name)
        if found is None:
            return cls('', name)
        statistic = found['p'] or found['other']
        return cls(found['term'] or '', statistic, found['correction'] or '')

    def entities(self) -> dict[str, str]:
        """Return ``contrast``, ``stat`` and ``desc``, as far as it has them.

        What is about the whole model has no contrast, as in FitLins and nilearn.
        """
        entities = {}
        if self.term not in {'', MODEL}:
            entities['contrast'] = label(self.term)
        entities['stat'] = _TABLES['labels'].get(self.statistic) or label(self.statistic)
        if self.correction:
            entities['desc'] = label(self.correction)
        return entities

    def described(self) -> str:
        """Return it in words.

        >>> ResultName.of('age.p.value.fdr').described()
        'p value of age, corrected (fdr)'
        """
        what = statistics().get(self.statistic, f'Result {self.statistic}')
        whose = {'': '', MODEL: ' of the model'}.get(self.term, f' of {self.term}')
        return f'{what}{whose}' + (f', corrected ({self.correction})' if self.correction else '')


@dataclass(frozen=True)
class StatMapNaming(Naming):
    """Names and sidecars of the statistical maps from one HDF5 file.

    Parameters
    ----------
    store : pathlib.Path
        The HDF5 file; its own entities begin the names.
    root : pathlib.Path
        The BIDS dataset it is in.
    known : dict
        Content of the sidecar of the HDF5 file.
    """

    store: Path
    root: Path
    known: Mapping[str, Any]

    remedy = (
        'Rename a term of the model, or correct a level that differs in case alone, and run it '
        'again; or export this file under the names of R with modelarrayio export-results.'
    )

    @classmethod
    def of(cls, store: str | PathLike[str], root: str | PathLike[str]) -> StatMapNaming:
        """Return the naming for a file, with what its sidecar says, if it has one.

        Raises
        ------
        FormatError
            If the sidecar is not JSON.
        """
        store = Path(store).absolute()
        return cls(store, Path(root).absolute(), read_json(sidecar(store)))

    def folder(self, analysis: str) -> Path:
        """Return the folder for the maps of an analysis.

        A folder each, for all kinds alike: fixels need one, with their index and directions.
        """
        return self.store.parent / '_'.join((*self._parts, f'node-{label(analysis)}'))

    def file_name(
        self, analysis: str, name: str, extension: str, entities: Mapping[str, str] = {}
    ) -> str:
        """Return a name of the file's entities, then those of the result."""
        own = {'node': label(analysis), **ResultName.of(name).entities()}
        # The extension tells the kind; ``desc`` is for how a p value was corrected.
        stem = [part for part in self._parts if part not in _KINDS]
        more = [f'{key}-{value}' for key, value in entities.items() if f'{key}-{value}' not in stem]
        # They come where BIDS has them among those that divide a scalar's images into groups.
        first = min(map(GROUP_ENTITIES.index, entities), default=0)
        at = sum(part.partition('-')[0] in GROUP_ENTITIES[:first] for part in stem)
        stem[at:at] = more
        parts = (*stem, *(f'{key}-{value}' for key, value in own.items()), 'statmap')
        return '_'.join(parts) + extension

    def sidecars(
        self, results: Analysis, images: Mapping[str, Image], values: ValuesOf
    ) -> Sidecars:
        """Return a sidecar for each image."""
        degrees = _degrees_of_freedom(results, values)
        # Each image has its own degrees of freedom.
        of_model = {
            key: fact for key, fact in describe_model(results, values).items() if key != _DF
        }
        common = {
            **self._of_scalar(),
            **of_model,
            **fewer_sources(results),
            'Sources': Uris(self.root, ()).of([self.store]),
            'GeneratedBy': [software()],
        }
        return {
            sidecar(Path(file)).name: {
                **_of_result(results, image, degrees),
                **describe_test(results, image.result),
                **levels(results, image.result),
                **common,
            }
            for file, image in images.items()
        }

    @property
    def _parts(self) -> list[str]:
        """The entities of the HDF5 file; a name of another form as it is."""
        ending = STORE_NAME.removesuffix('.h5')
        parts = self.store.stem.split('_')
        return list(filter(None, parts[:-1] if parts[-1] == ending else parts))

    def _of_scalar(self) -> dict[str, Any]:
        # Not ``LongName`` and ``Units``, which would describe the map.
        keys = {
            'Scalar': 'Scalar',
            'LongName': 'ScalarLongName',
            'Units': 'ScalarUnits',
            'Elements': 'Elements',
            'SpatialReference': 'SpatialReference',
        }
        return {ours: self.known[key] for key, ours in keys.items() if key in self.known}


def label(text: str) -> str:
    """Return any text as a label of BIDS: ASCII letters and digits.

    Signs that make a difference are spelled out, accents fall, other letters become their number
    in Unicode. Two texts can still have the same label, which callers have to check.

    >>> label('age:sexM'), label('I(age^2)'), label('site_müller'), label('年齢'), label('..')
    ('ageXSexM', 'IAgePow2', 'siteMuller', 'U5E74U9F62', 'U002EU002E')
    """
    spelled = ''.join(map(_spelled, unicodedata.normalize('NFKD', text)))
    words = re.findall('[A-Za-z0-9]+', spelled)
    if not words:
        return ''.join(map(_number_of, text))
    return words[0] + ''.join(word[0].upper() + word[1:] for word in words[1:])


def _spelled(sign: str) -> str:
    if sign in _TABLES['signs']:
        return f' {_TABLES["signs"][sign]} '
    if unicodedata.combining(sign):
        return ''
    if sign.isalnum():
        return sign if sign.isascii() else _number_of(sign)
    return ' '


def _number_of(sign: str) -> str:
    return f'U{ord(sign):04X}'


def _of_result(
    results: Analysis, image: Image, degrees: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    result = ResultName.of(image.name)
    found = {
        name: number
        for term in dict.fromkeys((result.term, MODEL))
        for name, number in degrees.get(term, {}).items()
        if name != image.result
    }
    return {
        'Description': f'{result.described()}, in the analysis {results.name}.',
        'Analysis': results.name,
        'Result': image.result,
        **({'Term': result.term} if result.term else {}),
        'Statistic': result.statistic,
        **({'Correction': result.correction} if result.correction else {}),
        **({_DF: found} if found and result.term else {}),
    }


def _degrees_of_freedom(results: Analysis, values: ValuesOf) -> dict[str, dict[str, Any]]:
    """Return by term and result: the one number, or the least and the most of the elements'."""
    facts = ModelFacts.of(results.described)
    degrees: dict[str, dict[str, Any]] = {} if facts is None else dict(facts.degrees_of_freedom)
    for name in results.names:
        result = ResultName.of(name)
        if not result.term or result.statistic not in _DEGREES_OF_FREEDOM:
            continue
        if (number := extent(values(name))) is not None:
            degrees.setdefault(result.term, {})[name] = number
    return degrees
