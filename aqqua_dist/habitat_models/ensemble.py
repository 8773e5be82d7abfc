"""Ensembles: members of one or several families that predict side by side, in one file."""

import json
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from aqqua_dist.core.errors import UserError
from aqqua_dist.core.files import write_zip
from aqqua_dist.habitat_models.arrays import predictor_array, threads
from aqqua_dist.habitat_models.families import FAMILIES

FILE_FORMAT = "aqqua_dist ensemble"
FILE_VERSION = 2


class Member(NamedTuple):
    """One member of an ensemble.

    Attributes
    ----------
    family : str
        A key of `FAMILIES`.
    draw : int
        Number of its draw in the study: the same cruises for every target.
    model : scikit-learn regressor or None
        Fitted; None predicts 0, the answer of a draw in which nothing was found.
    """

    family: str
    draw: int
    model: Any


class Ensemble:
    """Fitted members and the fits to all rows, in the unit of the response.

    Maps, diagnostics and comparisons use `n_members`, `predict`, `centres`
    and `importances`, and nothing of a family.

    Parameters
    ----------
    members : list of Member
        At least one.
    names : list of str
        Predictors, in the order of the columns of the fitted array.
    centres : dict of str to (scikit-learn regressor or None), optional
        Fit to all rows of each family.
    settings : dict, optional
        How the members were fitted.
    provenance : dict, optional
        Anything that JSON can hold; saved and loaded as it is.
    """

    def __init__(self, members, names, *, centres=None, settings=None, provenance=None):
        if len(members) == 0:
            raise UserError(f"ensemble: {len(members)} members; allowed is one or more.")
        self.members = [Member(*member) for member in members]
        self.names = [str(name) for name in names]
        self.centre_models = dict(centres or {})
        unknown = sorted({m.family for m in self.members} | set(self.centre_models) - set(FAMILIES))
        unknown = [name for name in unknown if name not in FAMILIES]
        if unknown:
            raise UserError(f"ensemble: family {unknown[0]!r} is unknown; allowed are {list(FAMILIES)}.")
        self.settings = dict(settings or {})
        self.provenance = dict(provenance or {})

    @property
    def n_members(self):
        """Number of members (int)."""
        return len(self.members)

    def predict(self, X, *, jobs=1):
        """Predictions of every member.

        Parameters
        ----------
        X : pandas.DataFrame or numpy.ndarray
            Predictors, shape (n_rows, n_predictors); NaN is missing. Columns
            of a DataFrame are found by name, those of an array must be in
            the order of the fit.
        jobs : int
            Threads; each member is predicted by one.

        Returns
        -------
        numpy.ndarray
            float32, shape (n_members, n_rows), units of the response.

        Raises
        ------
        UserError
            On a missing column, one that holds no numbers, or a missing value that a family cannot take.

        Examples
        --------
        Where no predictor varies, every member predicts the mean of its own
        rows; columns are found by name:

        >>> import aqqua_dist as aq, numpy as np, pandas as pd
        >>> X = pd.DataFrame({"temperature": [5.0, 5.0, 5.0, 5.0], "salinity": [35.0, 35.0, 35.0, 35.0]})
        >>> y = np.array([1.0, 2.0, 3.0, 6.0])
        >>> plan = aq.MemberPlan([np.array([0, 1]), np.array([2, 3])])
        >>> ensemble = aq.fit_members(X, y, plan, progress=False)
        >>> new = pd.DataFrame({"salinity": [35.0], "month": [7], "temperature": [5.0]})
        >>> ensemble.predict(new).round(3).tolist()
        [[1.5], [4.5]]
        """
        X = self._checked(X, {member.family for member in self.members})
        out = np.empty((self.n_members, len(X)), dtype=np.float32)
        gaps = np.isnan(X).any(axis=1)
        order = np.argsort(gaps, kind="stable") if gaps.any() and not gaps.all() else slice(None)
        rows = X[order]  # complete rows first: XGBoost takes a faster path through batches without a missing value

        def one(number):  # numpydoc ignore=GL08
            out[number, order] = predicted(self.members[number].model, rows)

        with ThreadPoolExecutor(threads(jobs)) as pool:
            list(pool.map(one, range(self.n_members)))
        return out

    def centres(self, X):
        """Predictions of the fits to all rows.

        Parameters
        ----------
        X : pandas.DataFrame or numpy.ndarray
            As in `predict`.

        Returns
        -------
        numpy.ndarray
            float32, shape (n_families, n_rows), units of the response; no
            row where there is no such fit.
        """
        X = self._checked(X, set(self.centre_models))
        found = [predicted(model, X) for model in self.centre_models.values()]
        return np.asarray(found, dtype=np.float32).reshape(len(found), len(X))

    def importances(self):
        """Share of each predictor, mean over the members that found anything.

        Returns
        -------
        numpy.ndarray
            Shape (n_predictors,); all equal where no family measures it.
        """
        fitted = [(m.family, m.model) for m in self.members] + list(self.centre_models.items())
        n = self.n_members if any(m.model is not None for m in self.members) else len(fitted)
        found = [FAMILIES[family].importances(model) for family, model in fitted[:n] if model is not None]
        found = [one for one in found if one is not None]
        return np.mean(found, axis=0) if found else np.full(len(self.names), 1 / len(self.names))

    def check(self, X):
        """Refuse predictors that a family of the ensemble cannot take.

        Parameters
        ----------
        X : pandas.DataFrame or numpy.ndarray
            As in `predict`.

        Raises
        ------
        UserError
            On a missing column, or a missing value that a family cannot take.
        """
        self._checked(X, {member.family for member in self.members} | set(self.centre_models))

    def save(self, path):
        """Write one zip file: a part per model and ``meta.json``.

        The file appears whole or not at all, and equal ensembles give equal
        bytes.

        Parameters
        ----------
        path : str or pathlib.Path
            File to write or replace.
        """
        models = {_part(k, m.family): m for k, m in enumerate(self.members)}
        models |= {_centre(family): Member(family, -1, model) for family, model in self.centre_models.items()}
        meta = {
            "format": FILE_FORMAT,
            "version": FILE_VERSION,
            "members": [{"family": m.family, "draw": m.draw, "zero": m.model is None} for m in self.members],
            "centres": {family: {"zero": model is None} for family, model in self.centre_models.items()},
            "names": self.names,
            "settings": self.settings,
            "provenance": self.provenance,
        }
        parts = {"meta.json": json.dumps(meta, indent=1, sort_keys=True).encode()}
        parts |= {name: FAMILIES[m.family].dump(m.model) for name, m in models.items() if m.model is not None}
        write_zip(parts, path)

    @classmethod
    def load(cls, path):
        """Read what `save` wrote.

        Parameters
        ----------
        path : str or pathlib.Path
            File.

        Returns
        -------
        Ensemble
            One thread per model.

        Raises
        ------
        UserError
            When the file is absent, is not a saved ensemble, or is one of an
            older version.
        """
        path = Path(path)
        if not path.is_file():
            raise UserError(f"{path}: no such file; a saved ensemble is needed here.")
        try:
            with zipfile.ZipFile(path) as archive:
                meta = json.loads(archive.read("meta.json"))
                _refuse_other(meta, path)
                members = [
                    Member(m["family"], m["draw"], _model(archive, _part(k, m["family"]), m))
                    for k, m in enumerate(meta["members"])
                ]
                centres = {
                    family: _model(archive, _centre(family), about | {"family": family})
                    for family, about in meta["centres"].items()
                }
            found = {name: meta[name] for name in ("names", "settings", "provenance")}
        except (zipfile.BadZipFile, KeyError, TypeError, AttributeError, ValueError) as error:
            raise UserError(
                f"{path}: not a saved ensemble or a damaged one ({error}); allowed is a file of `save`."
            ) from error
        return cls(members, found["names"], centres=centres, settings=found["settings"], provenance=found["provenance"])

    def _checked(self, X, families):
        rows = predictor_array(X, self.names) if isinstance(X, pd.DataFrame) else predictor_array(X)
        if rows.ndim != 2 or rows.shape[1] != len(self.names):
            raise UserError(f"X: shape {rows.shape}; allowed is (n_rows, {len(self.names)}), columns {self.names}.")
        strict = sorted(family for family in families if not FAMILIES[family].accepts_nan)
        if strict:
            refuse_gaps(rows, self.names, strict[0])
        return rows


def refuse_gaps(X, names, family):
    """Refuse rows that lack a predictor, for a family that cannot take them.

    Parameters
    ----------
    X : numpy.ndarray
        Predictors, shape (n_rows, n_predictors).
    names : list of str
        Predictors.
    family : str
        A key of `FAMILIES`.

    Raises
    ------
    UserError
        With the number of rows and the predictor that most of them lack.
    """
    gaps = np.isnan(X)
    if gaps.any():
        column = int(gaps.sum(axis=0).argmax())
        able = [name for name, one in FAMILIES.items() if one.accepts_nan]
        raise UserError(
            f"X: {int(gaps.any(axis=1).sum())} of {len(X)} rows lack a predictor, most of them {names[column]!r}; family "
            f"{family!r} needs them all: leave these rows or cells out, drop the predictor, or take one of {able}."
        )


def predicted(model, rows):
    """Predictions of one model, which may be the constant 0.

    Parameters
    ----------
    model : scikit-learn regressor or None
        Fitted; None predicts 0.
    rows : numpy.ndarray
        Predictors, shape (n_rows, n_predictors).

    Returns
    -------
    numpy.ndarray
        Shape (n_rows,), units of the response.
    """
    if model is None:
        return np.zeros(len(rows), dtype=np.float32)
    return model.predict(rows) if len(rows) else np.empty(0, dtype=np.float32)


def _part(number, family):
    return f"members/{number:05d}.{FAMILIES[family].suffix}"


def _centre(family):
    return f"centres/{family}.{FAMILIES[family].suffix}"


def _model(archive, part, about):
    return None if about["zero"] else FAMILIES[about["family"]].load(archive.read(part))


def _refuse_other(meta, path):
    found = (meta.get("format"), meta.get("version"))
    if found == ("aqqua_dist member ensemble", 1):
        raise UserError(
            f"{path}: an ensemble of format {found[0]!r}, version {found[1]}, of an older release is not read any more; "
            "fit again (delete the file, or run with --force)."
        )
    if found != (FILE_FORMAT, FILE_VERSION):
        raise UserError(
            f"{path}: format {found} is not {(FILE_FORMAT, FILE_VERSION)}, the one that is read; fit again."
        )
