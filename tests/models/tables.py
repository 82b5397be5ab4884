"""A table of phenotypes as a cohort has them, for R and for us."""

import numpy as np
import pandas as pd

N_ROWS = 150


def table():
    """Return cells as texts, NaN where blank: numbers, factors, logical values, odd names."""
    rng = np.random.default_rng(20)
    sites = rng.choice(['A', 'B', 'C', 'D'], N_ROWS)
    cells = {
        'age': [f'{age:.1f}' for age in rng.uniform(18, 72, N_ROWS)],
        'iq': _with_blanks(rng, [f'{iq:.0f}' for iq in rng.normal(100, 15, N_ROWS)], 0.1),
        'motion': [f'{motion:.3f}' for motion in rng.uniform(0.01, 0.99, N_ROWS)],
        'sex': rng.choice(['F', 'M'], N_ROWS),
        'site': sites,
        'handed': _with_blanks(rng, rng.choice(['left', 'mixed', 'right'], N_ROWS), 0.05),
        'dose': rng.choice(['low', 'mid', 'high', 'top'], N_ROWS),
        'num': rng.choice(['1', '2', '3'], N_ROWS),
        'code': rng.choice(['9', '10', '100000'], N_ROWS),
        'flag': _with_blanks(rng, rng.choice(['TRUE', 'FALSE'], N_ROWS), 0.1),
        'TF': rng.choice(['T', 'F'], N_ROWS),
        'age at scan': [f'{age:.2f}' for age in rng.uniform(18, 72, N_ROWS)],
        'scanner type': rng.choice(['Prisma', 'Trio'], N_ROWS),
    }
    # The level 'z' is in those rows alone in which 'sometimes' is blank.
    cells['rare'] = ['x', 'y', 'z'] * (N_ROWS // 3)
    cells['sometimes'] = ['0.5', '1.5', ''] * (N_ROWS // 3)
    return pd.DataFrame(cells, dtype=object).replace('', np.nan)


def _with_blanks(rng, texts, part):
    return [text if rng.random() > part else '' for text in texts]
