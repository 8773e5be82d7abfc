"""Family ``glm``: a penalised generalised linear model with clamped quadratics (scikit-learn)."""

import io
import zipfile
from typing import Annotated, Literal

import numpy as np
from pydantic import Field
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.linear_model import TweedieRegressor
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from aqqua_dist.core.errors import UserError
from aqqua_dist.core.number_columns import refuse_other_columns
from aqqua_dist.core.section import Positive
from aqqua_dist.habitat_models.family import Family, FamilySettings

FITTED = ("low_", "high_", "middle_", "spread_", "scale_", "coef_", "intercept_")
"""What a fit has learned: all that is saved."""


class Settings(FamilySettings):
    """Log-linear model of each predictor and its square.

    `power` is that of the variance function: 1 is Poisson, between 1 and 2
    Tweedie, 2 gamma. `penalty` is the weight of the squared coefficients.
    """

    kind: Literal["glm"]
    power: Annotated[float, Field(ge=1, le=2)] = 1.0
    penalty: Positive = 0.01


class ClampedQuadratics(RegressorMixin, BaseEstimator):
    """Generalised linear model, log link, of predictors and their squares.

    Predictors are held within their range in training, so that the parabola
    is never followed outside it, and standardised.

    Parameters
    ----------
    power : float
        Power of the variance function, 1 to 2.
    penalty : float
        Weight of the squared coefficients (of standardised terms).

    Attributes
    ----------
    coef_ : numpy.ndarray
        Shape (2 n_predictors,): linear, then quadratic terms.
    """

    def __init__(self, power=1.0, penalty=0.01):
        self.power = power
        self.penalty = penalty

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.positive_only = True
        tags.regressor_tags.poor_score = True
        return tags

    def fit(self, X, y, sample_weight=None):
        """Fit by penalised maximum likelihood.

        Parameters
        ----------
        X : array_like or pandas.DataFrame
            Predictors, shape (n_rows, n_predictors); none missing.
        y : array_like
            Rates, shape (n_rows,).
        sample_weight : array_like, optional
            Row weights.

        Returns
        -------
        self
        """
        refuse_other_columns(X)
        X, y = validate_data(self, X, y, dtype=np.float64, y_numeric=True)
        weights = _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
        used = weights > 0
        X, y, weights = X[used], np.asarray(y, dtype=np.float64)[used], weights[used]
        if not len(y):
            raise UserError(f"rows to fit: {len(y)} rows have a weight above 0; allowed is at least one.")
        self.low_, self.high_ = X.min(axis=0), X.max(axis=0)
        self.middle_ = np.average(X, axis=0, weights=weights)
        spread = np.sqrt(np.average((X - self.middle_) ** 2, axis=0, weights=weights))
        self.spread_ = np.where(spread > 1e-12 * np.maximum(np.abs(self.middle_), 1.0), spread, np.inf)
        self.scale_ = float(np.average(y, weights=weights)) or 1.0
        model = TweedieRegressor(
            power=self.power, alpha=self.penalty, link="log", solver="newton-cholesky", max_iter=300
        )
        model.fit(self._terms(X), y / self.scale_, sample_weight=weights)
        self.coef_, self.intercept_ = model.coef_, float(model.intercept_)
        return self

    def predict(self, X):
        """Predict.

        Parameters
        ----------
        X : array_like or pandas.DataFrame
            Predictors as in `fit`, shape (n_rows, n_predictors).

        Returns
        -------
        numpy.ndarray
            Shape (n_rows,), units of y.
        """
        check_is_fitted(self)
        refuse_other_columns(X)
        X = validate_data(self, X, dtype=np.float64, reset=False)
        return self.scale_ * np.exp(self._terms(X) @ self.coef_ + self.intercept_)

    def _terms(self, X):
        z = (np.clip(X, self.low_, self.high_) - self.middle_) / self.spread_
        return np.hstack([z, z * z])


class Glm(Family):
    """Generalised linear model; every row needs every predictor.

    References
    ----------
    McCullagh & Nelder 1989, doi 10.1007/978-1-4899-3242-6.
    """

    Settings = Settings
    long_name = "generalised linear model"

    @classmethod
    def estimator(cls, settings, seed):
        """Generalised linear model, not fitted; nothing in it is random.

        Parameters
        ----------
        settings, seed
            As for `Family.estimator`.

        Returns
        -------
        scikit-learn regressor
            ``fit(X, y, sample_weight)`` takes y as a rate in its own unit;
            ``predict(X)`` gives the same.
        """
        return ClampedQuadratics(settings.power, settings.penalty)

    @classmethod
    def weight(cls, effort, settings):
        """V^(2-p).

        Parameters
        ----------
        effort, settings
            As for `Family.weight`.

        Returns
        -------
        numpy.ndarray
            Shape (n_rows,).
        """
        return effort ** (2 - settings.power)

    @classmethod
    def check(cls, y, settings):
        """Refuse a rate below 0, and under gamma a zero.

        Parameters
        ----------
        y, settings
            As for `Family.check`.

        Raises
        ------
        UserError
            As for `Family.check`.
        """
        super().check(y, settings)
        if settings.power == 2 and (y == 0).any():
            raise UserError(
                f"y: row {int(np.flatnonzero(y == 0)[0])} is 0; family 'glm' with power {settings.power:g} (gamma) "
                "allows finite values above 0."
            )

    @classmethod
    def dump(cls, model):
        """What was learned, as arrays.

        Parameters
        ----------
        model
            As for `Family.dump`.

        Returns
        -------
        bytes
            Equal for equal models, and free of code.
        """
        held = io.BytesIO()
        np.savez(held, **{name: np.asarray(getattr(model, name)) for name in FITTED})
        return held.getvalue()

    @classmethod
    def load(cls, raw):
        """Fitted model.

        Parameters
        ----------
        raw
            As for `Family.load`.

        Returns
        -------
        scikit-learn regressor

        Raises
        ------
        UserError
            The bytes are no saved model of this family.
        """
        model = ClampedQuadratics()
        try:
            with np.load(io.BytesIO(raw), allow_pickle=False) as parts:
                for name in FITTED:
                    setattr(model, name, parts[name])
        except (ValueError, KeyError, OSError, EOFError, zipfile.BadZipFile) as error:
            raise UserError(f"saved model of {len(raw)} bytes cannot be read ({error}); fit again.") from None
        model.n_features_in_ = model.low_.size
        return model

    @classmethod
    def importances(cls, model):
        """Share of the absolute coefficients of both terms.

        Parameters
        ----------
        model
            As for `Family.importances`.

        Returns
        -------
        numpy.ndarray or None
            Shape (n_predictors,), sum 1.
        """
        size = np.abs(model.coef_).reshape(2, -1).sum(axis=0)
        return size / size.sum() if size.sum() > 0 else size

    @classmethod
    def describe(cls, settings):
        """Variance function.

        Parameters
        ----------
        settings
            As for `Family.describe`.

        Returns
        -------
        str
        """
        return f"glm of variance power {settings.power:g}"
