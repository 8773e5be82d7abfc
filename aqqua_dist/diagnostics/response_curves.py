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
    ensemble : aqqua_dist.habitat_models.members.MemberEnsemble
        Fitted members.
    context : Context
        The run.

    Returns
    -------
    pandas.DataFrame
        Columns ``predictor, x, mean, q025, q975``; mean and quantiles over
        members of the average over (at most 200) training rows.
    """
    table = rows.X.iloc[rows.train]
    if len(table) > RESPONSE_ROWS:
        table = table.sample(RESPONSE_ROWS, random_state=0)
    base = ensemble.columns(table)
    found = []
    shown = tqdm(ensemble.feature_names, desc="responses", unit="predictor", disable=None if context.progress else True)
    for column, name in enumerate(shown):
        x = np.unique(np.quantile(rows.X[name].dropna(), np.linspace(0.01, 0.99, RESPONSE_POINTS)))
        block = np.repeat(base[None], len(x), axis=0)
        block[:, :, column] = x[:, None]
        values = ensemble.predict_block(block.reshape(-1, base.shape[1]), jobs=context.jobs)
        curves = values.reshape(len(values), len(x), -1).mean(axis=2)
        low, high = np.quantile(curves, [0.025, 0.975], axis=0)
        found.append(pd.DataFrame({"predictor": name, "x": x, "mean": curves.mean(axis=0), "q025": low, "q975": high}))
    return pd.concat(found, ignore_index=True)
