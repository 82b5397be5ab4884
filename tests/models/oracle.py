"""R's ``lm`` at work: tables and responses in, its designs and results out."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from tools import missing, require_tool

from modelarrayio_bids.models.design import Design

SCRIPT = Path(__file__).parents[1] / 'r' / 'linear_models.R'
MODEL = (
    'r.squared', 'adj.r.squared', 'sigma', 'statistic', 'p.value', 'df',
    'logLik', 'AIC', 'BIC', 'deviance', 'df.residual', 'nobs',
)  # fmt: skip


@dataclass(frozen=True)
class Answer:
    """What R found.

    ``terms``: (n_columns, 5, n_elements), the last of the five whether a coefficient is estimable;
    ``model``: by name, (n_elements,); ``anova``, ``contrasts`` and ``joint``: (n, 2 or 4,
    n_elements), statistic and p or estimate, std.error, t and p.
    """

    design: Design
    terms: np.ndarray
    model: dict
    anova: np.ndarray
    contrasts: np.ndarray
    joint: np.ndarray


class R:
    """A process of R that fits models."""

    def __init__(self, folder):
        self._folder = Path(folder)
        self._count = 0
        self._process = subprocess.Popen(
            [require_tool('Rscript'), SCRIPT],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def close(self):
        self._process.stdin.close()
        assert self._process.wait() == 0

    def fit(
        self,
        formula,
        table,
        responses,
        *,
        weights=None,
        scalar=None,
        anova=False,
        contrasts=None,
        joint=None,
    ):
        self._count += 1
        folder = self._folder / str(self._count)
        folder.mkdir()
        table.to_csv(folder / 'table.csv', index=False)
        (folder / 'formula.txt').write_text(formula)
        arrays = {'responses': responses, 'weights': weights, 'scalar': scalar}
        for name, array in arrays.items():
            if array is not None:
                (folder / f'{name}.bin').write_bytes(np.asarray(array, float).tobytes('F'))
        for name, factors in {'contrasts': contrasts, 'joint': joint}.items():
            if factors is not None:
                np.savetxt(folder / f'{name}.csv', factors, delimiter=',')
        if anova:
            (folder / 'anova').touch()
        print(folder, file=self._process.stdin, flush=True)
        said = self._process.stdout.readline().strip()
        if 'there is no package called' in said:
            missing(said)
        assert said == 'done', said
        n_contrasts = 0 if contrasts is None else len(contrasts)
        return _answer(folder, formula, responses.shape[1], anova=anova, n_contrasts=n_contrasts)


def _answer(folder, formula, n_elements, *, anova, n_contrasts):
    terms = pd.read_csv(folder / 'terms.csv', dtype=str)
    names = tuple((folder / 'names.txt').read_text().splitlines())
    factors = tuple(tuple(members.split('|')) for members in terms['members'])
    assign = tuple(int(line) for line in (folder / 'assign.txt').read_text().split())
    own = ['MD' in name.split(':') for name in names]
    rows, offset, *columns = np.fromfile(folder / 'design.bin').reshape(2 + len(names), -1)
    design = Design(
        matrix=np.array(columns).T,
        names=names,
        terms=tuple(terms['term']),
        assign=assign,
        rows=rows.astype(int),
        offset=offset if offset.any() else None,
        levels={},
        scalars=tuple(('MD',) if mine else () for mine in own),
        response='y',
        formula=formula,
        factors=factors,
    )
    found = np.fromfile(folder / 'results.bin').reshape(n_elements, -1).T
    # R's NA is a NaN that signals.
    found[np.isnan(found)] = np.nan
    sizes = [5 * len(names), 12, 2 * anova * len(design.terms), 4 * n_contrasts]
    coefficients, model, terms, asked, joint = np.split(found, np.cumsum(sizes))
    return Answer(
        design,
        coefficients.reshape(-1, 5, n_elements),
        dict(zip(MODEL, model, strict=True)),
        terms.reshape(-1, 2, n_elements),
        asked.reshape(-1, 4, n_elements),
        joint.reshape(-1, 2, n_elements),
    )
