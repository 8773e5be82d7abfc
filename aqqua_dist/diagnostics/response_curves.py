"""Response of the fitted ensemble to one predictor at a time."""

import numpy as np
import pandas as pd
from tqdm import tqdm

RESPONSE_ROWS = 200
RESPONSE_POINTS = 30


def responses(rows, ensemble, context):
    """Partial dependence of the response on each predictor, per member.

    Parameters
    ----------
    rows : Rows
        Prepared rows.
    ensemble : aqqua_dist.habitat_models.ensemble.Ensemble
        Fitted members.
    context : Context
        The run.

    Returns
    -------
    pandas.DataFrame
        Columns ``predictor, x, estimate, mean, q025, q975``: averages over (at
        most 200) training rows of the estimate (the fit to all rows, else the
        members' mean), and mean and quantiles over the members.
    """
    table = rows.X.iloc[rows.train]
    if len(table) > RESPONSE_ROWS:
        table = table.sample(RESPONSE_ROWS, random_state=0)
    base = table.to_numpy(dtype=np.float32)
    found = []
    shown = tqdm(rows.X.columns, desc="responses", unit="predictor", disable=None if context.progress else True)
    for column, name in enumerate(shown):
        x = np.unique(np.quantile(rows.X[name].dropna(), np.linspace(0.01, 0.99, RESPONSE_POINTS)))
        block = np.repeat(base[None], len(x), axis=0)
        block[:, :, column] = x[:, None]
        block = block.reshape(-1, base.shape[1])
        values = ensemble.predict(block, jobs=context.jobs)
        curves = values.reshape(len(values), len(x), -1).mean(axis=2)
        low, high = np.quantile(curves, [0.025, 0.975], axis=0)
        mean, centres = curves.mean(axis=0), ensemble.centres(block)
        estimate = centres.mean(axis=0).reshape(len(x), -1).mean(axis=1) if len(centres) else mean
        found.append(
            pd.DataFrame({"predictor": name, "x": x, "estimate": estimate, "mean": mean, "q025": low, "q975": high})
        )
    return pd.concat(found, ignore_index=True)
