"""Stage fit: training rows of one target to members, scores and responses."""

import numpy as np
import pandas as pd

from aqqua_dist.core.errors import UserError
from aqqua_dist.core.files import read_parquet, write_json, write_parquet
from aqqua_dist.diagnostics.applicability import Applicability, write_applicability
from aqqua_dist.diagnostics.response_curves import responses
from aqqua_dist.habitat_models.boosting import BoostedTrees, TreeSettings
from aqqua_dist.habitat_models.drago2022_search import SearchPlan, grid_search
from aqqua_dist.habitat_models.members import MemberPlan, fit_members
from aqqua_dist.habitat_models.resampling import bootstrap, stratified_folds
from aqqua_dist.recipe.context import predictor_names
from aqqua_dist.stages.base import Outcome, Stage
from aqqua_dist.training.rows import drawn_labels, prepare, strata
from aqqua_dist.training.target_rows import rows_of
from aqqua_dist.validation.cross_validation import cross_validate
from aqqua_dist.validation.schemes import make_folds
from aqqua_dist.validation.scores import scores


def run(work):
    """Fit one target and write its files.

    Parameters
    ----------
    work : Work
        What to do.

    Returns
    -------
    Outcome
        ``training.parquet`` (the rows that are used), ``ensemble.zip``,
        ``applicability.nc``, ``settings.json`` and tables.
    """
    context, target, origin = work.context, work.target, work.origin
    table = rows_of(read_parquet(context.out / "match" / "training.parquet"), target)
    rows = prepare(context, table, predictor_names(context.recipe))
    settings, members, search = choose(context, target, rows)
    weights = rows.weights
    plan = MemberPlan(
        members,
        settings,
        seed=context.recipe.seed,
        centre=context.recipe.members.scheme == "cruise_bootstrap",
        scale=rows.scale,
        labels=drawn_labels(context, rows),
    )
    ensemble = fit_members(rows.X, rows.labels, plan, weights=weights, jobs=context.jobs, progress=context.progress)
    ensemble.provenance = {"json": origin.to_json(), "taxon": target.taxon, "zone": target.zone}
    tables = {
        "search": search,
        **validate(context, rows, settings, ensemble),
        "responses": responses(rows, ensemble, context),
    }
    folder = work.folder / target.key
    folder.mkdir(parents=True, exist_ok=True)
    files = [folder / name for name in ("ensemble.zip", "settings.json", "training.parquet", "applicability.nc")]
    ensemble.save(files[0])
    about = settings | {
        "scale": rows.scale,
        "members": len(members),
        "scheme": context.recipe.members.scheme,
        "rows": len(table),
    }
    write_json(about, files[1], origin)
    write_parquet(table, files[2], origin)
    write_applicability(applicability(rows, ensemble, context), files[3], origin)
    for name, found in tables.items():
        if found is not None:
            found.insert(0, "zone", target.zone)
            found.insert(0, "taxon", target.taxon)
            files.append(folder / f"{name}.parquet")
            write_parquet(found, files[-1], origin)
    return Outcome(files)


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
        objective=model.objective,
        n_rounds=model.rounds,
        learning_rate=model.learning_rate,
        max_depth=model.max_depth,
        min_child_weight=model.min_child_weight,
        subsample=model.subsample,
        tree_method=model.tree_method,
        base_score=model.base_score,
    )
    folds = None
    if recipe.members.scheme == "folds":
        pairs = stratified_folds(
            strata(rows.labels)[rows.train], recipe.members.folds, recipe.members.repeats, recipe.seed
        )
        folds = [(rows.train[a], rows.train[b]) for a, b in pairs]
    members = [a for a, _ in folds] if folds else bootstrap(rows, recipe.members.n, recipe.seed)
    if model.search == "grid":
        plan = SearchPlan(
            folds,
            tuple(model.grid.learning_rate),
            tuple(model.grid.max_depth),
            tuple(model.grid.min_child_weight),
            max_rounds=model.rounds,
            base=base,
            seed=recipe.seed,
        )
        found = grid_search(
            rows.X, rows.labels, plan, weights=rows.weights, jobs=context.jobs, progress=context.progress
        )
        return found.winner, members, found.table
    settings = dict(base.__dict__)
    if model.search == "published":
        settings |= _published(model, target)
    return settings, members, None


def _published(model, target):
    for entry in model.published:
        if (entry.taxon, entry.zone) == (target.taxon, target.zone):
            return {
                "learning_rate": entry.learning_rate,
                "max_depth": entry.max_depth,
                "min_child_weight": entry.min_child_weight,
                "n_rounds": entry.rounds,
            }
    known = ", ".join(f"{e.taxon} {e.zone}" for e in model.published)
    raise UserError(
        f"model.published has no settings for {target.taxon} {target.zone}, only for {known}; use search: grid."
    )


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
    ensemble : aqqua_dist.habitat_models.members.MemberEnsemble
        Fitted members.

    Returns
    -------
    dict of str to pandas.DataFrame
        ``scores`` (scheme, fold, metric, value) and ``predictions``.
    """
    validation, seed = context.recipe.validation, context.recipe.seed
    folds = {
        "random": make_folds("random", len(rows.table), strata=strata(rows.labels), n_folds=validation.folds, seed=seed)
    }
    if rows.table["block"].nunique() >= validation.folds:
        folds["spatial_block"] = make_folds(
            "spatial_block", len(rows.table), groups=rows.table["block"], n_folds=validation.folds, seed=seed
        )
    estimator = BoostedTrees(**settings, n_threads=1, random_state=seed)

    def fit_predict(X, y, weights, X_test):  # numpydoc ignore=GL08
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
            {"scheme": "test", "fold": -1, "row": rows.test, "observed": observed, "predicted": given.mean(axis=0)}
        )
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


def applicability(rows, ensemble, context):
    """Area of applicability of the fitted model.

    Parameters
    ----------
    rows : Rows
        Prepared rows.
    ensemble : aqqua_dist.habitat_models.members.MemberEnsemble
        Gives the importance of each predictor.
    context : Context
        The run.

    Returns
    -------
    aqqua_dist.diagnostics.applicability.Applicability
        Fitted on the training rows, its folds the blocks.
    """
    groups = rows.table["block"] if rows.table["block"].nunique() >= 2 else None
    return Applicability(jobs=context.jobs, random_state=context.recipe.seed).fit(
        rows.X.to_numpy(dtype="float64"), weights=ensemble.importances(), groups=groups
    )


STAGE = Stage(
    "fit",
    run,
    scope="target",
    needs=("match",),
    sections=("model", "members", "validation", "predictors.names", "observations.quantity", "reproduces", "seed"),
)
