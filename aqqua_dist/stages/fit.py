"""Stage fit: training rows of one target to members, scores and responses."""

from dataclasses import replace
from warnings import warn

import numpy as np
import pandas as pd

from aqqua_dist.core import files
from aqqua_dist.core.errors import MethodWarning
from aqqua_dist.core.files import write_json, write_parquet
from aqqua_dist.core.seeds import legacy_centre, legacy_validation
from aqqua_dist.diagnostics.applicability import Applicability, write_applicability
from aqqua_dist.diagnostics.response_curves import responses
from aqqua_dist.habitat_models import draws
from aqqua_dist.habitat_models.arrays import predictor_array
from aqqua_dist.habitat_models.ensemble import predicted
from aqqua_dist.habitat_models.families import FAMILIES
from aqqua_dist.habitat_models.family import Task
from aqqua_dist.habitat_models.members import MemberPlan, fit_members, fit_model
from aqqua_dist.habitat_models.resampling import stratified_folds
from aqqua_dist.recipe.context import predictor_names
from aqqua_dist.stages.base import Outcome, Stage
from aqqua_dist.training.rows import drawn_responses, prepare, strata, validation_folds
from aqqua_dist.training.target_rows import rows_of
from aqqua_dist.validation.cross_validation import POOLED, cross_validate
from aqqua_dist.validation.schemes import claimed_folds, splits
from aqqua_dist.validation.scores import r2_correl_log1p_drago2022, scores


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
    table = rows_of(files.read_parquet(context.out / "match" / "training.parquet"), target)
    rows = prepare(context, table, predictor_names(context.recipe))
    settings, members, search = choose(context, target, rows, _held(context))
    plan = MemberPlan(
        members,
        settings,
        seed=context.recipe.seed,
        centre=context.recipe.members.scheme == "cruise_bootstrap",
        responses=drawn_responses(rows),
    )
    ensemble = fit_members(rows.X, rows.y, plan, weights=rows.weights, jobs=context.jobs, progress=context.progress)
    ensemble.provenance = {"json": origin.to_json(), "taxon": target.taxon, "zone": target.zone}
    tables = {
        "search": search,
        **validate(context, rows, settings, ensemble),
        "responses": responses(rows, ensemble, context),
    }
    folder = work.folder / target.key
    folder.mkdir(parents=True, exist_ok=True)
    written = [folder / name for name in ("ensemble.zip", "settings.json", "training.parquet", "applicability.nc")]
    ensemble.save(written[0])
    about = fitted_settings(settings) | {
        "members": len(members),
        "scheme": context.recipe.members.scheme,
        "rows": len(table),
    }
    write_json(about, written[1], origin)
    write_parquet(table, written[2], origin)
    write_applicability(applicability(rows, ensemble, context), written[3], origin)
    for name, found in tables.items():
        if found is not None:
            found.insert(0, "zone", target.zone)
            found.insert(0, "taxon", target.taxon)
            written.append(folder / f"{name}.parquet")
            write_parquet(found, written[-1], origin)
    return Outcome(written)


def _held(context):
    """Cruises that the members of the study hold, as the stage draws wrote them; None where they draw none."""
    if context.recipe.members.scheme != "cruise_bootstrap":
        return None
    table = files.read_parquet(context.out / "draws" / "draws.parquet")
    return table.loc[table["source"] == "cruise", ["member", "cruise", "copies"]]


def fitted_settings(settings):
    """Settings of the estimator, as they are written beside it.

    Parameters
    ----------
    settings : Settings
        Of the family, as `choose` gives them.

    Returns
    -------
    dict
        Parameters of the estimator, ``family``, and ``scale``: what the
        response was multiplied with before it was fitted.
    """
    given = FAMILIES[settings.kind].estimator(settings, 0).get_params(deep=False)
    about = {name: value for name, value in given.items() if name not in ("random_state", "n_threads", "n_jobs")}
    return about | {"family": settings.kind, "scale": getattr(settings, "label_scale", None) or 1.0}


def choose(context, target, rows, held):
    """Settings and members of one target.

    Parameters
    ----------
    context : Context
        The run.
    target : Target
        Taxon and zone.
    rows : TargetRows
        Prepared rows.
    held : pandas.DataFrame or None
        Cruises of the whole study that each member holds, as from
        `aqqua_dist.habitat_models.draws.copies`: the target's are looked up by
        name, so that member k holds the same cruises for every target.

    Returns
    -------
    tuple of (Settings, list of numpy.ndarray, pandas.DataFrame or None)
        Settings of the family, row numbers of each member, and the search table.
    """
    recipe, folds = context.recipe, None
    if recipe.members.scheme == "folds":
        pairs = stratified_folds(
            strata(rows.labels)[rows.train], recipe.members.folds, recipe.members.repeats, recipe.seed
        )
        folds = [(rows.train[a], rows.train[b]) for a, b in pairs]
        members = [a for a, _ in folds]
    else:
        unit = rows.table[draws.unit_column(rows.table)]
        members, redrawn = draws.drawn_rows(unit, rows.train, held, recipe.seed)
        if redrawn:
            warn(
                f"{target.taxon} {target.zone}: {len(redrawn)} of {recipe.members.n} members hold none of its "
                f"{unit.nunique()} cruises (the study has {held['cruise'].nunique()}); for these its own cruises were drawn.",
                MethodWarning,
                stacklevel=2,
            )
    task = Task(target.taxon, target.zone, folds, recipe.seed, context.jobs, context.progress)
    settings, table = FAMILIES[rows.settings.kind].tuned(rows.settings, (rows.X, rows.y, rows.weights), task)
    return settings, members, table


def validate(context, rows, settings, ensemble):
    """Scores on test rows, and of cross-validation per scheme.

    Parameters
    ----------
    context : Context
        The run.
    rows : TargetRows
        Prepared rows.
    settings : Settings
        Of the family, as `choose` gives them.
    ensemble : aqqua_dist.habitat_models.ensemble.Ensemble
        Fitted members; none has seen a test row.

    Returns
    -------
    dict of str to pandas.DataFrame
        ``scores`` and ``predictions``. Scores have the columns scheme, fold
        (-1: all rows of the scheme together), metric, value, judges (what
        was scored), nested (False where settings were searched on the rows
        that are tested) and note (why a scheme is not possible).
    """
    recipe, folds = context.recipe, validation_folds(context, rows)
    family, seed = FAMILIES[settings.kind], legacy_validation(recipe.seed)

    def fit_predict(X, y, weights, X_test):  # numpydoc ignore=GL08
        given = (predictor_array(X), y, weights)
        return predicted(fit_model(settings, seed, *given), predictor_array(X_test))

    possible = {name: splits(ids) for name, ids in folds[0].items()}
    found = cross_validate(fit_predict, rows.X, rows.y, possible, weights=rows.weights, progress=context.progress)
    nested = not family.searched(settings)
    tidy = [found.scores.assign(judges="a fit to the other folds", nested=nested, note="")]
    tidy += [_impossible(name, reason) for name, reason in folds[1].items()]
    predictions = found.predictions
    if rows.test.size:
        scored, together = _test_scores(context, rows, settings, ensemble)
        tidy.append(scored)
        predictions = pd.concat([predictions, together], ignore_index=True)
    position = rows.table[["lat", "lon"]].iloc[predictions["row"]].reset_index(drop=True)
    return {"scores": pd.concat(tidy, ignore_index=True), "predictions": pd.concat([predictions, position], axis=1)}


def _impossible(scheme, reason):
    row = {"scheme": scheme, "fold": POOLED, "metric": "not possible", "value": np.nan, "judges": "nothing"}
    return pd.DataFrame([row | {"nested": True, "note": reason}])


def _test_scores(context, rows, settings, ensemble):
    """Scores and predictions of the test rows: of each fold model, or of members that drew cruises; and of the estimate without test rows."""
    observed, X = rows.y[rows.test], predictor_array(rows.X)
    given = ensemble.predict(X[rows.test], jobs=context.jobs)
    tidy = [_member_scores(k, rows, one, settings).assign(judges="one member") for k, one in enumerate(given)]
    if context.recipe.members.scheme == "folds":
        estimate, judged = given.mean(axis=0), "the estimate: mean of the members"
    else:
        weights = None if rows.weights is None else rows.weights[rows.train]
        seed = legacy_centre(context.recipe.seed)
        centre = fit_model(settings, seed, X[rows.train], rows.y[rows.train], weights)
        estimate, judged = predicted(centre, X[rows.test]), "the estimate: a fit to all rows but the test rows"
    tidy.append(_member_scores(POOLED, rows, estimate, settings).assign(judges=judged))
    together = {"scheme": "test", "fold": POOLED, "row": rows.test, "observed": observed, "predicted": estimate}
    return pd.concat(tidy, ignore_index=True).assign(nested=True, note=""), pd.DataFrame(together)


def _member_scores(fold, rows, predicted_rates, settings):
    """Scores on concentrations; of Drago et al. 2022 also the paper's own, taken on scaled counts."""
    observed = rows.y[rows.test]
    offset = float(rows.y[rows.y > 0].min()) if (rows.y > 0).any() else None
    found = scores(observed, predicted_rates, log_offset=offset)
    if getattr(settings, "response_scale", "") == "drago2022":
        counts, expected = np.round(observed * settings.label_scale), predicted_rates * settings.label_scale
        scaled = scores(counts, expected)
        found["rmse_scaled"], found["mae_scaled"] = scaled["rmse"], scaled["mae"]
        found["r2_correl_log1p_scaled"] = r2_correl_log1p_drago2022(counts, expected)
    return pd.DataFrame({"scheme": "test", "fold": fold, "metric": list(found), "value": list(found.values())})


def applicability(rows, ensemble, context):
    """Area of applicability of the fitted model.

    Parameters
    ----------
    rows : TargetRows
        Prepared rows.
    ensemble : aqqua_dist.habitat_models.ensemble.Ensemble
        Gives the importance of each predictor.
    context : Context
        The run.

    Returns
    -------
    aqqua_dist.diagnostics.applicability.Applicability
        Fitted on the training rows; its folds are those whose error the
        scores give (`aqqua_dist.validation.schemes.claimed_folds`).
    """
    groups = claimed_folds(validation_folds(context, rows)[0])
    return Applicability(jobs=context.jobs, random_state=context.recipe.seed).fit(
        rows.X.to_numpy(dtype="float64"), weights=ensemble.importances(), groups=groups
    )


STAGE = Stage(
    "fit",
    run,
    scope="target",
    needs=("match", "draws"),
    sections=("model", "members", "validation", "predictors.names", "observations.quantity", "reproduces", "seed"),
)
STAGE_ON_GRID = replace(STAGE, needs=(*STAGE.needs, "cube"))
"""The same where a validation scheme looks at the grid to be predicted."""
