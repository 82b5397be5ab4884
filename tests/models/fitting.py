"""Models fitted to matrices in memory."""

import numpy as np

from modelarrayio_bids.models.adjustment import p_adjust
from modelarrayio_bids.models.base import column_places, result_names
from modelarrayio_bids.runtime.parallel import one_blas_thread, ordered_map


def fit_all(model, responses, scalars=None, *, threads=1, block=2048):
    """Fit all elements.

    Parameters
    ----------
    responses : numpy.ndarray
        (n_table_rows, n_elements).
    scalars : mapping, optional
        Arrays of that shape for the scalars on the right-hand side.

    Returns
    -------
    values : numpy.ndarray
        (n_results, n_elements) float64: a row for each of ``result_names``.
    outcomes : numpy.ndarray
        (n_elements,) uint8.
    """
    n_elements = responses.shape[1]
    names, places = result_names(model), column_places(model)
    values = np.empty((len(names), n_elements))
    outcomes = np.empty(n_elements, np.uint8)
    values[0] = np.arange(n_elements)

    def fit(part):
        mine = {name: array[:, part] for name, array in (scalars or {}).items()}
        found = model.fit(responses[:, part], mine)
        values[places, part] = found.values
        outcomes[part] = found.outcomes

    parts = (slice(start, start + block) for start in range(0, n_elements, block))
    with one_blas_thread():
        for _ in ordered_map(fit, parts, threads):
            pass
    for raw, how in model.corrections:
        values[names.index(f'{raw}.{how}')] = p_adjust(values[names.index(raw)], how)
    return values, outcomes
