"""Whether the probabilities of a model are calibrated, and on which mix of classes: what expectation-maximisation stands on.

Where probabilities are calibrated on a mix, their mean over objects of that
mix is the mix itself. A labelled validation table tests this for any mix, by
weighting its images: the mean probability of a class must be the share of
the class, within the sampling error of the table.
"""

import warnings
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import norm

from aqqua_dist.core.errors import MethodWarning, UserError

PRIORS = ("field", "uniform")
"""Named mixes: that of the validation table, as a random sample of the field has it; all classes alike."""
DOUBT = 1e-3
"""Probability with which a calibrated model fails the test, over all classes together."""
LARGE = 0.2
"""Deviation of a class, as a share of itself, above which a failed test is refused; below it is told."""


@dataclass(frozen=True)
class Calibration:
    """Mean probability per class of a validation table against a mix.

    Attributes
    ----------
    classes : tuple of str
        Classes.
    prior, mean, error : numpy.ndarray
        Share of each class in the mix, mean probability of the class over
        objects of that mix, and its standard error, shape (n_classes,).
    """

    classes: tuple
    prior: np.ndarray
    mean: np.ndarray
    error: np.ndarray

    @property
    def tolerance(self):
        """Largest deviation that the sampling error of the table explains, shape (n_classes,)."""
        return norm.isf(DOUBT / 2 / len(self.classes)) * self.error

    @property
    def off(self):
        """Whether each class deviates by more than the tolerance, shape (n_classes,)."""
        return np.abs(self.mean - self.prior) > self.tolerance + 1e-9

    @property
    def refused(self):
        """Whether a class deviates by more than the tolerance and `LARGE` (bool)."""
        return bool((self.off & (np.abs(self.mean - self.prior) > LARGE * self.prior)).any())

    @property
    def worst(self):
        """What is said of the class that deviates most, as a share of itself (str)."""
        place = int(np.argmax(np.where(self.off, np.abs(self.mean - self.prior) / self.prior, -1.0)))
        return (
            f"the mean probability of {self.classes[place]!r} is {self.mean[place]:.3g} where its share is {self.prior[place]:.3g} "
            f"(within {self.tolerance[place]:.2g} by chance), {int(self.off.sum())} of {len(self.classes)} classes are off"
        )


def calibration(validated, prior):
    """Compare mean probabilities with a mix.

    Parameters
    ----------
    validated : aqqua_dist.counts.confusion.Validated
        Validation table with probabilities.
    prior : array_like
        Mix of classes, shape (n_classes,), adding up to 1.

    Returns
    -------
    Calibration
        The images of each class are weighted by its share in `prior` over
        that in the table; the error is that of the mean of w (p - [true]).
    """
    prior, n = np.asarray(prior, dtype=float), validated.labels.counts.sum(axis=1)
    rates, squares = validated.probabilities.shares, validated.squares / n[:, None]
    mean = prior @ rates
    weight = prior / (n / n.sum())
    own = np.eye(len(n))
    second = (prior * weight) @ (squares - 2 * own * rates + own)
    error = np.sqrt(np.maximum(second - (mean - prior) ** 2, 0) / n.sum())
    return Calibration(validated.classes, prior, mean, error)


def checked_prior(validated, wanted="field"):
    """Mix that the probabilities of a model were calibrated on, tested by its validation table.

    Parameters
    ----------
    validated : aqqua_dist.counts.confusion.Validated
        Validation table of the model.
    wanted : str
        ``field``, ``uniform``, or a file (CSV with the columns ``class`` and
        ``share``).

    Returns
    -------
    numpy.ndarray
        Shape (n_classes,), adding up to 1.

    Raises
    ------
    UserError
        A file that is none, or probabilities that are not calibrated on this
        mix; the message says which other one fits.

    Warns
    -----
    MethodWarning
        A deviation that is not chance, of less than `LARGE` of each class; or
        a table without probabilities, which tests nothing.
    """
    prior = _mix(validated, wanted)
    if validated.probabilities is None:
        warnings.warn(
            f"the validation table has no probabilities, so that nobody has tested whether those of the objects are calibrated on the "
            f"mix {str(wanted)!r}, which 'em' takes for granted.",
            MethodWarning,
            stacklevel=2,
        )
        return prior
    found = calibration(validated, prior)
    if found.refused:
        others = [
            name for name in PRIORS if name != wanted and not calibration(validated, _mix(validated, name)).off.any()
        ]
        help_ = (
            f"they fit the mix {others[0]!r}: give --prior {others[0]}"
            if others
            else "give the mix that they were calibrated on by --prior FILE, calibrate the model, or count with 'pacc', which needs no calibration"
        )
        raise UserError(
            f"method 'em': the probabilities are not calibrated on the mix {str(wanted)!r}: {found.worst}; {help_}."
        )
    if found.off.any():
        warnings.warn(
            f"method 'em': the probabilities are not quite calibrated on the mix {str(wanted)!r}: {found.worst}.",
            MethodWarning,
            stacklevel=2,
        )
    return prior


def _mix(validated, wanted):
    classes = validated.classes
    if wanted == "field":
        return validated.mix
    if wanted == "uniform":
        return np.full(len(classes), 1 / len(classes))
    try:
        table = pd.read_csv(wanted, dtype={"class": "str"}, keep_default_na=False)
    except (OSError, ValueError) as error:
        raise UserError(
            f"prior {str(wanted)!r} is none of {list(PRIORS)}, and no CSV that can be read ({str(error).splitlines()[0]})."
        ) from None
    if not {"class", "share"} <= set(table):
        raise UserError(f"prior {wanted}: the columns are {list(table)[:8]}, needed are 'class' and 'share'.")
    if table["class"].duplicated().any() or set(table["class"]) != set(classes):
        odd = sorted(set(table["class"]) ^ set(classes)) or table.loc[table["class"].duplicated(), "class"].tolist()
        raise UserError(f"prior {wanted}: {odd[:6]} do not stand once in the file and among the classes of the model.")
    share = pd.to_numeric(table.set_index("class")["share"].reindex(list(classes)), errors="coerce").to_numpy(
        dtype=float
    )
    if not ((share > 0).all() and abs(share.sum() - 1) < 1e-3):
        raise UserError(
            f"prior {wanted}: the shares {share[:6].tolist()} must be above 0 and add up to 1, they give {share.sum():.6g}."
        )
    return share / share.sum()
