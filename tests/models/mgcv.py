"""mgcv at work: a formula, a table and responses in, results by ModelArray's names out."""

import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
from tools import missing, require_tool

SCRIPT = Path(__file__).parents[1] / 'r' / 'additive_models.R'


class Mgcv:
    """A process of R that fits additive models."""

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

    def fit(self, formula, table, responses, weights=None):
        """Return results by name, (n_elements,); NaN where R has none."""
        folder = self._ask(formula, table, responses, weights)
        found = pd.read_csv(folder / 'results.csv', na_values=['NA', 'NaN'])
        return {name: found[name].to_numpy(float) for name in found}

    def curves(self, formula, table, response, weights=None):
        """Return the curves at an element: columns label, x, fit and se."""
        folder = self._ask(formula, table, response[:, None], weights, curves=True)
        return pd.read_csv(folder / 'curves.csv')

    def _ask(self, formula, table, responses, weights, *, curves=False):
        self._count += 1
        folder = self._folder / str(self._count)
        folder.mkdir()
        table.to_csv(folder / 'table.csv', index=False)
        (folder / 'formula.txt').write_text(formula)
        for name, array in {'responses': responses, 'weights': weights}.items():
            if array is not None:
                (folder / f'{name}.bin').write_bytes(np.asarray(array, float).tobytes('F'))
        if curves:
            (folder / 'curves').touch()
        print(folder, file=self._process.stdin, flush=True)
        said = self._process.stdout.readline().strip()
        if 'there is no package called' in said or not said:
            missing(said or 'R cannot load mgcv, broom')
        assert said == 'done', said
        return folder
