"""Stage fit: training rows of one target to members, scores and responses."""

import numpy as np
import pandas as pd
from tqdm import tqdm

from aqqua_dist import artefact
from aqqua_dist.applicability import Applicability
from aqqua_dist.boosting import BoostedTrees, TreeSettings
from aqqua_dist.errors import UserError
from aqqua_dist.estimators import MemberPlan, fit_members
from aqqua_dist.search import SearchPlan, grid_search, stratified_folds
from aqqua_dist.stages.context import mark_done, provenance, stage_key
from aqqua_dist.stages.preparing import drawn_labels, prepare, strata
from aqqua_dist.validation import cross_validate, make_folds, scores

SECTIONS = ("model", "members", "validation")
RESPONSE_ROWS = 200
RESPONSE_POINTS = 30


def key(context, match_key, target):
    """Content key of the fit of one target.

    Parameters
    ----------
    context : Context
        The run.
    match_key : str
        Key of the match stage.
    target : Target
        Taxon and zone.

    Returns
    -------
    str
        Hexadecimal digest.
    """
    return stage_key(context, "fit", SECTIONS, [match_key, target.taxon, target.zone])


def run(context, target, table, names, content):
    """Fit one target and write its files.

    Parameters
    ----------
    context : Context
        The run.
    target : Target
        Taxon and zone.
    table : pandas.DataFrame
        Training rows of the target.
    names : list of str
        Predictors.
    content : str
        Content key of the work.
    """
    rows = prepare(context, table.reset_index(drop=True), names)
    settings, members, search = choose(context, target, rows)
    weights = rows.weights
    plan = MemberPlan(
        members, settings, seed=context.recipe.seed, centre=context.recipe.members.scheme == "cruise_bootstrap", scale=rows.scale,
        labels=drawn_labels(context, rows))
    ensemble = fit_members(rows.X, rows.labels, plan, weights=weights, jobs=context.jobs, progress=context.progress)
    origin = provenance(context, "fit", content, {"match": "training.parquet"})
    ensemble.provenance = {"json": origin.to_json(), "taxon": target.taxon, "zone": target.zone}
    tables = {"search": search, **validate(context, rows, settings, ensemble), "responses": responses(rows, ensemble, context)}
    folder = context.out / "fit" / target.key
    folder.mkdir(parents=True, exist_ok=True)
    files = [folder / "ensemble.zip", folder / "settings.json"]
    ensemble.save(files[0])
    about = settings | {"scale": rows.scale, "members": len(members), "scheme": context.recipe.members.scheme, "rows": len(table)}
    artefact.write_json(about, files[1], origin)
    for name, found in tables.items():
        if found is not None:
            found.insert(0, "zone", target.zone)
            found.insert(0, "taxon", target.taxon)
            files.append(folder / f"{name}.parquet")
            artefact.write_parquet(found, files[-1], origin)
    mark_done(context.out / "fit" / f"{target.key}.done.json", content, files, origin)


def choose(context, target, rows):
    """Settings and members of one target.

    Parameters
    ----------
    context : Context
        The run.
    target : Target
        Taxon and zone.
    rows : Rows
        Prepared rows.

    Returns
    -------
    tuple of (dict, list of numpy.ndarray, pandas.DataFrame or None)
        Tree settings, row numbers of each member, and the search table.
    """
    model, recipe = context.recipe.model, context.recipe
    base = TreeSettings(
        objective=model.objective, n_rounds=model.rounds, learning_rate=model.learning_rate, max_depth=model.max_depth,
        min_child_weight=model.min_child_weight, subsample=model.subsample, tree_method=model.tree_method,
        base_score=model.base_score)
    folds = None
    if recipe.members.scheme == "folds":
        pairs = stratified_folds(strata(rows.labels)[rows.train], recipe.members.folds, recipe.members.repeats, recipe.seed)
        folds = [(rows.train[a], rows.train[b]) for a, b in pairs]
    members = [a for a, _ in folds] if folds else bootstrap(rows, recipe.members.n, recipe.seed)
    if model.search == "grid":
        plan = SearchPlan(
            folds, tuple(model.grid.learning_rate), tuple(model.grid.max_depth), tuple(model.grid.min_child_weight),
            max_rounds=model.rounds, base=base, seed=recipe.seed)
        found = grid_search(rows.X, rows.labels, plan, weights=rows.weights, jobs=context.jobs, progress=context.progress)
        return found.winner, members, found.table
    settings = dict(base.__dict__)
    if model.search == "published":
        settings |= _published(model, target)
    return settings, members, None


def _published(model, target):
    for entry in model.published:
        if (entry.taxon, entry.zone) == (target.taxon, target.zone):
            return {
                "learning_rate": entry.learning_rate, "max_depth": entry.max_depth,
                "min_child_weight": entry.min_child_weight, "n_rounds": entry.rounds,
            }
    known = ", ".join(f"{e.taxon} {e.zone}" for e in model.published)
    raise UserError(f"model.published has no settings for {target.taxon} {target.zone}, only for {known}; use search: grid.")


def bootstrap(rows, n, seed):
    """Row numbers of members that draw whole cruises with replacement.

    Where the table has no cruise, the cross-validation blocks stand in for
    it: rows that were sampled together must stay together.

    Parameters
    ----------
    rows : Rows
        Prepared rows.
    n : int
        Number of members.
    seed : int
        Random seed.

    Returns
    -------
    list of numpy.ndarray
        Row numbers, repeats allowed; every member has a positive row.
    """
    unit = rows.table["cruise" if "cruise" in rows.table else "block"].iloc[rows.train]
    groups = [rows.train[np.flatnonzero(codes)] for codes in (unit.to_numpy() == u for u in pd.unique(unit))]
    if len(groups) < 3:
        raise UserError(f"{len(groups)} cruises, at least 3 are needed to draw cruises; use members.scheme: folds.")
    random = np.random.default_rng([seed, 7])
    members = []
    while len(members) < n:
        drawn = np.concatenate([groups[k] for k in random.integers(len(groups), size=len(groups))])
        if (rows.labels[drawn] != 0).any():
            members.append(drawn)
    return members


def validate(context, rows, settings, ensemble):
    """Scores of the members on test rows, and of cross-validation per scheme.

    Parameters
    ----------
    context : Context
        The run.
    rows : Rows
        Prepared rows.
    settings : dict
        Tree settings.
    ensemble : aqqua_dist.estimators.MemberEnsemble
        Fitted members.

    Returns
    -------
    dict of str to pandas.DataFrame
        ``scores`` (scheme, fold, metric, value) and ``predictions``.
    """
    validation, seed = context.recipe.validation, context.recipe.seed
    folds = {"random": make_folds("random", len(rows.table), strata=strata(rows.labels), n_folds=validation.folds, seed=seed)}
    if rows.table["block"].nunique() >= validation.folds:
        folds["spatial_block"] = make_folds(
            "spatial_block", len(rows.table), groups=rows.table["block"], n_folds=validation.folds, seed=seed)
    estimator = BoostedTrees(**settings, n_threads=1, random_state=seed)

    def fit_predict(X, y, weights, X_test):
        labels = np.round(y * rows.scale) if context.recipe.model.response_scale == "drago2022" else y * rows.scale
        if not (labels != 0).any():
            return np.zeros(len(X_test))
        return estimator.fit(X, labels, sample_weight=weights).predict(X_test) / rows.scale

    found = cross_validate(fit_predict, rows.X, rows.table["y"], folds, weights=rows.weights, progress=context.progress)
    tidy, predictions = [found.scores], found.predictions
    if rows.test.size:
        given = ensemble.predict_block(ensemble.columns(rows.X.iloc[rows.test]), jobs=context.jobs)
        observed = rows.table["y"].to_numpy()[rows.test]
        tidy += [_member_scores(member, observed, one, rows.scale) for member, one in enumerate(given)]
        together = pd.DataFrame(
            {"scheme": "test", "fold": -1, "row": rows.test, "observed": observed, "predicted": given.mean(axis=0)})
        predictions = pd.concat([predictions, together], ignore_index=True)
    position = rows.table[["lat", "lon"]].iloc[predictions["row"]].reset_index(drop=True)
    return {"scores": pd.concat(tidy, ignore_index=True), "predictions": pd.concat([predictions, position], axis=1)}


def _member_scores(member, observed, predicted, scale):
    """The paper's scores are taken on scaled values, ours on concentrations; both are kept."""
    found = scores(observed, predicted)
    scaled = scores(np.round(observed * scale), predicted * scale)
    found["rmse_scaled"], found["mae_scaled"] = scaled["rmse"], scaled["mae"]
    found["r2_correl_log_scaled"] = scaled["r2_correl_log"]
    return pd.DataFrame({"scheme": "test", "fold": member, "metric": list(found), "value": list(found.values())})


def responses(rows, ensemble, context):
    """Partial dependence of the response on each predictor, per member.

    Parameters
    ----------
    rows : Rows
        Prepared rows.
    ensemble : aqqua_dist.estimators.MemberEnsemble
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


def applicability(rows, ensemble, context):
    """Area of applicability of the fitted model.

    Parameters
    ----------
    rows : Rows
        Prepared rows.
    ensemble : aqqua_dist.estimators.MemberEnsemble
        Gives the importance of each predictor.
    context : Context
        The run.

    Returns
    -------
    aqqua_dist.applicability.Applicability
        Fitted on the training rows, its folds the blocks.
    """
    groups = rows.table["block"] if rows.table["block"].nunique() >= 2 else None
    return Applicability(jobs=context.jobs, random_state=context.recipe.seed).fit(
        rows.X.to_numpy(dtype="float64"), weights=ensemble.importances(), groups=groups)
