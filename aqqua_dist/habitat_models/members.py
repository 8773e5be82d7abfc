"""Ensembles: boosted trees fitted on resampled rows, one booster per member, in one file."""

import io
import json
import os
import tempfile
import zipfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import xgboost as xgb
from tqdm import tqdm

from aqqua_dist.core.errors import UserError
from aqqua_dist.habitat_models.boosting import (
    BoostedTrees,
    check_labels,
    fit_booster,
    gain_shares,
    predictor_array,
    training_arrays,
    tree_settings,
)
from aqqua_dist.habitat_models.resampling import member_seeds

__all__ = ["BoostedTrees", "MemberEnsemble", "MemberPlan", "fit_members", "member_seeds"]

FILE_FORMAT = "aqqua_dist member ensemble"
FILE_VERSION = 1
ZIP_TIME = (1980, 1, 1, 0, 0, 0)
"""Time stamp of every part of a saved ensemble: equal ensembles give equal bytes."""


class MemberEnsemble:
    """Fitted boosters, one per member, that predict in physical units.

    Parameters
    ----------
    boosters : list of xgboost.Booster
        One per member.
    feature_names : list of str
        Predictors, in the order of the columns of the fitted array.
    centre : xgboost.Booster, optional
        Fit on all rows.
    scale : float
        Predictions are divided by it.
    settings : dict, optional
        How the boosters were fitted.
    provenance : dict, optional
        Anything that JSON can hold; saved and loaded as it is.
    """

    def __init__(self, boosters, feature_names, *, centre=None, scale=1.0, settings=None, provenance=None):
        if len(boosters) == 0:
            raise UserError(f"ensemble: {len(boosters)} members; allowed is one or more.")
        if not (np.isfinite(scale) and scale > 0):
            raise UserError(f"ensemble: scale is {scale}; allowed is a finite value above 0.")
        self.boosters = list(boosters)
        self.feature_names = [str(name) for name in feature_names]
        self.centre = centre
        self.scale = float(scale)
        self.settings = dict(settings or {})
        self.provenance = dict(provenance or {})
        for booster in [*self.boosters, *([] if centre is None else [centre])]:
            booster.set_param({"nthread": 1})

    def columns(self, frame):
        """Predictors of a DataFrame by name, in the order of the model.

        Parameters
        ----------
        frame : pandas.DataFrame
            At least the columns ``feature_names``, in any order.

        Returns
        -------
        numpy.ndarray
            float32, shape (n_rows, n_predictors).

        Raises
        ------
        UserError
            When a predictor is missing.
        """
        return predictor_array(frame, self.feature_names)

    def predict_block(self, X, *, jobs=1):
        """Predictions of every member.

        Parameters
        ----------
        X : numpy.ndarray
            Predictors in the order of ``feature_names``, shape (n_rows,
            n_predictors); NaN is missing. C-contiguous float32 is used as it is.
        jobs : int
            Threads; each member is predicted by one.

        Returns
        -------
        numpy.ndarray
            float32, shape (n_members, n_rows), physical units.
        """
        X = self._checked(X)
        out = np.empty((len(self.boosters), len(X)), dtype=np.float32)
        gaps = np.isnan(X).any(axis=1)
        order = np.argsort(gaps, kind="stable") if gaps.any() and not gaps.all() else slice(None)
        rows = X[order]  # complete rows first: XGBoost takes a faster path through batches without a missing value

        def one(member):  # numpydoc ignore=GL08
            values = self.boosters[member].inplace_predict(rows, validate_features=False)
            out[member, order] = values / np.float32(self.scale)

        with ThreadPoolExecutor(jobs) as pool:
            list(pool.map(one, range(len(self.boosters))))
        return out

    def predict_centre(self, X):
        """Predictions of the full fit.

        Parameters
        ----------
        X : numpy.ndarray
            As in `predict_block`.

        Returns
        -------
        numpy.ndarray or None
            float32, shape (n_rows,), physical units; None where there is no
            full fit.
        """
        if self.centre is None:
            return None
        return self.centre.inplace_predict(self._checked(X), validate_features=False) / np.float32(self.scale)

    def importances(self):
        """Share of each predictor in the total gain, mean over members.

        Returns
        -------
        numpy.ndarray
            Shape (n_predictors,).
        """
        n = len(self.feature_names)
        return np.mean([gain_shares(booster, n) for booster in self.boosters], axis=0)

    def save(self, path):
        """Write one zip file: a UBJSON part per booster and ``meta.json``.

        The file appears whole or not at all, and equal ensembles give equal
        bytes.

        Parameters
        ----------
        path : str or pathlib.Path
            File to write or replace; its folder must exist.
        """
        path = Path(path)
        meta = {
            "format": FILE_FORMAT,
            "version": FILE_VERSION,
            "xgboost": xgb.__version__,
            "n_members": len(self.boosters),
            "centre": self.centre is not None,
            "feature_names": self.feature_names,
            "scale": self.scale,
            "settings": self.settings,
            "provenance": self.provenance,
        }
        parts = {"meta.json": json.dumps(meta, indent=1, sort_keys=True).encode()}
        parts.update({_part(k): booster.save_raw("ubj") for k, booster in enumerate(self.boosters)})
        if self.centre is not None:
            parts["centre.ubj"] = self.centre.save_raw("ubj")
        _write_zip(path, parts)

    @classmethod
    def load(cls, path):
        """Read what `save` wrote.

        Parameters
        ----------
        path : str or pathlib.Path
            File.

        Returns
        -------
        MemberEnsemble
            One thread per booster.

        Raises
        ------
        UserError
            When the file is absent or is not a saved ensemble.
        """
        path = Path(path)
        if not path.is_file():
            raise UserError(f"{path}: no such file; a saved ensemble is needed here.")
        try:
            with zipfile.ZipFile(path) as archive:
                meta = json.loads(archive.read("meta.json"))
                found = (meta.get("format"), meta.get("version"))
                if found != (FILE_FORMAT, FILE_VERSION):
                    raise UserError(
                        f"{path}: format {found} is not {(FILE_FORMAT, FILE_VERSION)}, the one that is read."
                    )
                boosters = [_booster(archive.read(_part(k))) for k in range(meta["n_members"])]
                centre = _booster(archive.read("centre.ubj")) if meta["centre"] else None
        except (zipfile.BadZipFile, KeyError, json.JSONDecodeError, xgb.core.XGBoostError) as error:
            raise UserError(
                f"{path}: not a saved ensemble or a damaged one ({error}); allowed is a file of `save`."
            ) from error
        return cls(
            boosters,
            meta["feature_names"],
            centre=centre,
            scale=meta["scale"],
            settings=meta["settings"],
            provenance=meta["provenance"],
        )

    def _checked(self, X):
        X = np.ascontiguousarray(X, dtype=np.float32)
        if X.ndim != 2 or X.shape[1] != len(self.feature_names):
            raise UserError(
                f"X: shape {X.shape}; allowed is (n_rows, {len(self.feature_names)}), columns {self.feature_names}."
            )
        return X


def _part(member):
    return f"members/{member:05d}.ubj"


def _booster(raw):
    return xgb.Booster(model_file=bytearray(raw))


def _write_zip(path, parts):
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        for name in sorted(parts):
            info = zipfile.ZipInfo(name, date_time=ZIP_TIME)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = 0o644 << 16
            archive.writestr(info, bytes(parts[name]), compresslevel=3)
    handle, temporary = tempfile.mkstemp(prefix=path.name, suffix=".part", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(held.getbuffer())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


@dataclass(frozen=True)
class MemberPlan:
    """What `fit_members` fits.

    Attributes
    ----------
    members : list of numpy.ndarray
        Row numbers of each member; a row may stand more than once (bootstrap).
    settings : dict
        Settings of the trees, see `aqqua_dist.habitat_models.boosting.TreeSettings`.
    seed : int
        Seed of the recipe.
    centre : bool
        Fit one more booster on all rows.
    scale : float
        Labels are ``scale`` times the physical quantity; predictions are
        divided by it.
    labels : numpy.ndarray, optional
        Labels of each member, shape (n_members, n_rows), where members draw
        them; the centre is fitted to the undrawn ones.
    """

    members: list
    settings: dict = field(default_factory=dict)
    seed: int = 0
    centre: bool = False
    scale: float = 1.0
    labels: np.ndarray | None = None


def fit_members(X, y, plan, *, weights=None, jobs=1, progress=True):
    """Fit every member of an ensemble, one thread per member.

    A row that stands k times in a member is one row of k times the weight,
    which is the same likelihood and quicker; under ``subsample`` < 1 its
    copies are drawn together. The result does not depend on `jobs`.

    Parameters
    ----------
    X : pandas.DataFrame or array_like
        Predictors, shape (n_rows, n_predictors); NaN is missing. Column names
        of a DataFrame become the names of the predictors.
    y : array_like
        Labels (already times ``plan.scale``), shape (n_rows,).
    plan : MemberPlan
        Members, settings, seed, centre and scale.
    weights : array_like, optional
        Row weights (effort), shape (n_rows,).
    jobs : int
        Members fitted at the same time.
    progress : bool
        Show a progress bar.

    Returns
    -------
    MemberEnsemble

    Raises
    ------
    UserError
        On a bad label, weight or setting, an empty member, or a row number
        outside the table.
    """
    settings = tree_settings(plan.settings)
    rows, labels, weights = training_arrays(X, y, weights, settings.objective)
    tasks = [_member_rows(k, member, len(labels)) for k, member in enumerate(plan.members)]
    own = _own_labels(plan, labels, settings.objective)
    seeds = member_seeds(plan.seed, len(tasks))
    if plan.centre:
        tasks.append((np.arange(len(labels)), None))
        seeds += member_seeds([plan.seed, 1], 1)

    def fit_one(task, seed, mine):  # numpydoc ignore=GL08
        chosen, copies = task
        total = copies if weights is None else weights[chosen] * (1.0 if copies is None else copies)
        return fit_booster(settings, rows[chosen], mine[chosen], weights=total, seed=seed)

    with ThreadPoolExecutor(jobs) as pool:
        fits = pool.map(fit_one, tasks, seeds, [*own, *([labels] if plan.centre else [])])
        boosters = list(tqdm(fits, total=len(tasks), desc="members", unit="fit", disable=None if progress else True))
    centre = boosters.pop() if plan.centre else None
    names = X.columns if isinstance(X, pd.DataFrame) else [f"x{k}" for k in range(rows.shape[1])]
    return MemberEnsemble(
        boosters, names, centre=centre, scale=plan.scale, settings=dict(plan.settings, seed=plan.seed)
    )


def _own_labels(plan, labels, objective):
    """Labels of each member: its own draw, or those of all."""
    if plan.labels is None:
        return [labels] * len(plan.members)
    own = np.asarray(plan.labels, dtype=np.float64)
    if own.shape != (len(plan.members), len(labels)):
        raise UserError(
            f"members: drawn labels of shape {own.shape}; needed is {(len(plan.members), len(labels))}, one row per member."
        )
    check_labels(own.ravel(), objective)
    return list(own)


def _member_rows(member, rows, n_rows):
    """Distinct rows of a member and how often each stands (None: once each)."""
    rows = np.asarray(rows)
    if rows.size == 0:
        raise UserError(f"members: member {member} has 0 rows; allowed is one or more.")
    outside = (rows < 0) | (rows >= n_rows)
    if outside.any():
        raise UserError(f"members: member {member} names row {rows[outside][0]}; allowed are 0 to {n_rows - 1}.")
    chosen, copies = np.unique(rows, return_counts=True)
    return chosen, None if copies.max() == 1 else copies.astype(np.float64)
