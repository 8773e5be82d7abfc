"""What a model family is: its settings, its estimator, and how effort weighs in it."""

from dataclasses import dataclass

import numpy as np

from aqqua_dist.core.errors import UserError
from aqqua_dist.core.section import Section


class FamilySettings(Section):
    """What the settings of every family have.

    Attributes
    ----------
    kind : str
        Name of the family.
    effort_weight : bool
        Whether the sampled volume weighs the rows.
    """

    kind: str
    effort_weight: bool = False


class Family:
    """Base of the families: what they may leave as it is.

    A family is a class that is never instantiated. It needs `Settings`
    (a `FamilySettings` with ``kind: Literal[<name>]``), `estimator`, `weight`,
    `dump` and `load`; the rest has a default here.

    Attributes
    ----------
    Settings : type
        Section ``model`` of the recipe.
    accepts_nan : bool
        Whether predictors may be missing in a row.
    long_name : str
        In the metadata of maps.
    suffix : str
        Ending of a saved model inside an ensemble's file.
    """

    Settings = FamilySettings
    accepts_nan = False
    long_name = "model"
    suffix = "npz"

    @classmethod
    def estimator(cls, settings, seed):
        """Regressor with the scikit-learn contract, not fitted.

        Parameters
        ----------
        settings : Settings
            Of this family.
        seed : int
            Random seed of the fit, 0 to 2**31 - 1.

        Returns
        -------
        scikit-learn regressor
            ``fit(X, y, sample_weight)`` takes y as a rate in its own unit;
            ``predict(X)`` gives the same.
        """
        raise UserError(f"family {cls.__name__!r} has no estimator; a family needs one.")

    @classmethod
    def weight(cls, effort, settings):
        """Weight of a rate that was measured with an effort, by the variance function.

        A rate y = n / V of a total n whose variance grows with its mean to
        the power p has the likelihood of n with the offset log V when it has
        the weight V^(2 - p).

        Parameters
        ----------
        effort : numpy.ndarray
            Sampled volume over its mean, shape (n_rows,).
        settings : Settings
            Of this family.

        Returns
        -------
        numpy.ndarray
            Shape (n_rows,).
        """
        return effort

    @classmethod
    def dump(cls, model):
        """Fitted estimator as bytes.

        Parameters
        ----------
        model : scikit-learn regressor
            Fitted.

        Returns
        -------
        bytes
            Equal for equal models, and free of code.
        """
        raise UserError(f"family {cls.__name__!r} cannot save {type(model).__name__}; a family needs dump and load.")

    @classmethod
    def load(cls, raw):
        """Fitted estimator from `dump`.

        Parameters
        ----------
        raw : bytes
            As `dump` gave them.

        Returns
        -------
        scikit-learn regressor
        """
        raise UserError(
            f"family {cls.__name__!r} cannot load {len(raw)} bytes of a model; a family needs dump and load."
        )

    @classmethod
    def importances(cls, model):
        """Share of each predictor in the fit; None where the family has no such measure.

        Parameters
        ----------
        model : scikit-learn regressor
            Fitted.

        Returns
        -------
        numpy.ndarray or None
            Shape (n_predictors,), sum 1.
        """
        return

    @classmethod
    def settled(cls, settings, y, *, signed=False):
        """Settings with everything that is taken from all rows of a target.

        Parameters
        ----------
        settings : Settings
            Of this family.
        y : numpy.ndarray
            Rates of all rows, shape (n_rows,).
        signed : bool
            Whether the quantity may be negative.

        Returns
        -------
        Settings
        """
        return settings

    @classmethod
    def labels(cls, y, settings):
        """What the model is fitted to, from the rate in its own unit.

        Parameters
        ----------
        y : numpy.ndarray
            Rates, any shape.
        settings : Settings
            Settled settings.

        Returns
        -------
        numpy.ndarray
            Of the same shape.
        """
        return y

    @classmethod
    def check(cls, y, settings):
        """Refuse rates that the family cannot take.

        Parameters
        ----------
        y : numpy.ndarray
            Rates, shape (n_rows,).
        settings : Settings
            Of this family.

        Raises
        ------
        UserError
            With the value and the row (counted from 0) of the first bad one.
        """
        bad = ~np.isfinite(y) | ((y < 0) & (not cls.takes_negative(settings)))
        if bad.any():
            row = int(np.flatnonzero(bad)[0])
            least = "" if cls.takes_negative(settings) else " of 0 or more"
            raise UserError(f"y: row {row} is {y[row]:g}; family {settings.kind!r} allows finite values{least}.")

    @classmethod
    def tuned(cls, settings, data, task):
        """Settings that a search of this family has found.

        Parameters
        ----------
        settings : Settings
            Settled settings.
        data : tuple of (pandas.DataFrame, numpy.ndarray, numpy.ndarray or None)
            Predictors, rates and row weights.
        task : Task
            Target, resamples, seed and threads.

        Returns
        -------
        tuple of (Settings, pandas.DataFrame or None)
            Settings of the fit, and a table of what was tried.
        """
        return settings, None

    @classmethod
    def searched(cls, settings):
        """Whether settings are searched on the training rows.

        Parameters
        ----------
        settings : Settings
            Of this family.

        Returns
        -------
        bool
        """
        return False

    @classmethod
    def describe(cls, settings):
        """Settings in a few words, for the plan of a study.

        Parameters
        ----------
        settings : Settings
            Of this family.

        Returns
        -------
        str
        """
        return f"{settings.kind}, settings as given"

    @classmethod
    def takes_negative(cls, settings):
        """Whether the response may be negative.

        Parameters
        ----------
        settings : Settings
            Of this family.

        Returns
        -------
        bool
        """
        return False

    @classmethod
    def faults(cls, settings, members):
        """What of the settings contradicts itself, or the section ``members`` of the recipe.

        Parameters
        ----------
        settings : Settings
            Of this family.
        members : object
            Section ``members``; its ``scheme`` is read.

        Returns
        -------
        list of str
            One sentence each, beginning with the key.
        """
        return []


@dataclass(frozen=True)
class Task:
    """What a search of settings is told beside its rows.

    Attributes
    ----------
    taxon, zone : str
        Target.
    folds : list of (numpy.ndarray, numpy.ndarray) or None
        Row numbers to train and to validate on, one pair per resample.
    seed : int
        Seed of the recipe.
    jobs : int
        Threads.
    progress : bool
        Show a progress bar.
    """

    taxon: str
    zone: str
    folds: list | None = None
    seed: int = 0
    jobs: int = 1
    progress: bool = True
