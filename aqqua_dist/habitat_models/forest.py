"""Family ``forest``: random forests (scikit-learn)."""

import io
import zipfile
from typing import Annotated, Literal

import numpy as np
import sklearn
from pydantic import Field
from sklearn.ensemble import RandomForestRegressor
from sklearn.tree import DecisionTreeRegressor
from sklearn.tree._tree import Tree

from aqqua_dist.core.errors import UserError
from aqqua_dist.core.section import Count
from aqqua_dist.habitat_models.family import Family, FamilySettings


class Settings(FamilySettings):
    """A random forest.

    `max_features` is the number, or below 1 the share, of predictors that a
    split chooses from.
    """

    kind: Literal["forest"]
    trees: Count = 100
    min_samples_leaf: Count = 5
    max_features: Annotated[float, Field(gt=0, le=1)] | Count | Literal["sqrt", "log2"] = 1.0
    criterion: Literal["squared_error", "poisson", "friedman_mse"] = "poisson"


class RandomForest(RandomForestRegressor):
    """scikit-learn's forest, which says that its Poisson criterion takes no negative response."""

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.positive_only = self.criterion == "poisson"
        return tags


class Forest(Family):
    """Random forest; rows may lack predictors.

    References
    ----------
    Breiman 2001, doi 10.1023/A:1010933404324.
    """

    Settings = Settings
    long_name = "random forest"
    accepts_nan = True

    @classmethod
    def estimator(cls, settings, seed):
        """Random forest of one thread, not fitted.

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
        return RandomForest(
            settings.trees,
            min_samples_leaf=settings.min_samples_leaf,
            max_features=settings.max_features,
            criterion=settings.criterion,
            random_state=seed,
            n_jobs=1,
        )

    @classmethod
    def dump(cls, model):
        """Nodes and values of all trees as arrays.

        Parameters
        ----------
        model
            As for `Family.dump`.

        Returns
        -------
        bytes
            Equal for equal models, and free of code.
        """
        trees = [fitted.tree_.__getstate__() for fitted in model.estimators_]
        parts = {
            "nodes": np.concatenate([tree["nodes"] for tree in trees]),
            "values": np.concatenate([tree["values"] for tree in trees]),
            "counts": np.array([tree["node_count"] for tree in trees]),
            "depths": np.array([tree["max_depth"] for tree in trees]),
            "n_features": np.array(model.n_features_in_),
        }
        held = io.BytesIO()
        np.savez(held, **parts, version=np.array(sklearn.__version__))
        return held.getvalue()

    @classmethod
    def load(cls, raw):
        """Fitted forest.

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
        try:
            with np.load(io.BytesIO(raw), allow_pickle=False) as parts:
                found = {name: parts[name] for name in parts.files}
            model = RandomForest(len(found["counts"]), n_jobs=1)
            model.n_features_in_, model.n_outputs_ = int(found["n_features"]), 1
            model.estimators_ = _trees(found)
        except (ValueError, KeyError, OSError, EOFError, zipfile.BadZipFile) as error:
            raise UserError(
                f"saved forest of {len(raw)} bytes cannot be read by scikit-learn {sklearn.__version__} ({error}); "
                "fit again."
            ) from None
        return model

    @classmethod
    def importances(cls, model):
        """Share of the decrease of the criterion.

        Parameters
        ----------
        model
            As for `Family.importances`.

        Returns
        -------
        numpy.ndarray or None
            Shape (n_predictors,), sum 1.
        """
        return model.feature_importances_

    @classmethod
    def describe(cls, settings):
        """Size of the forest.

        Parameters
        ----------
        settings
            As for `Family.describe`.

        Returns
        -------
        str
        """
        return f"forest of {settings.trees} trees"

    @classmethod
    def takes_negative(cls, settings):
        """Except under the Poisson criterion.

        Parameters
        ----------
        settings
            As for `Family.takes_negative`.

        Returns
        -------
        bool
        """
        return settings.criterion != "poisson"


def _trees(found):
    """Decision trees from the arrays of `Forest.dump`."""
    stops, trees = np.cumsum(found["counts"]), []
    for stop, count, depth in zip(stops, found["counts"], found["depths"], strict=True):
        state = {
            "max_depth": int(depth),
            "node_count": int(count),
            "nodes": found["nodes"][stop - count : stop],
            "values": found["values"][stop - count : stop],
        }
        one = DecisionTreeRegressor()
        one.n_features_in_, one.n_outputs_ = int(found["n_features"]), 1
        one.tree_ = Tree(one.n_features_in_, np.array([1], dtype=np.intp), 1)
        one.tree_.__setstate__(state)
        trees.append(one)
    return trees
