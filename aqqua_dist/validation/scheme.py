"""What a validation scheme is: its settings, what it needs, and its folds."""

from typing import Annotated

from pydantic import Field

from aqqua_dist.core.errors import UserError
from aqqua_dist.core.section import Section

NEVER = -1
"""Fold of a row that is never tested; such rows may train every fold."""


class SchemeSettings(Section):
    """What the settings of every scheme have; each is a key of the section ``validation`` of the recipe.

    Attributes
    ----------
    folds : int
        Number of folds.
    """

    folds: Annotated[int, Field(ge=2)] = 5


class Scheme:
    """Base of the schemes: a class that is never instantiated.

    Attributes
    ----------
    Settings : type
        A `SchemeSettings`.
    needs : tuple of str
        Columns of the rows.
    looks_at_domain : bool
        Whether `folds` needs the grid to be predicted; only such a scheme is given it.
    """

    Settings = SchemeSettings
    needs: tuple[str, ...] = ()
    looks_at_domain = False

    @classmethod
    def folds(cls, rows, domain, settings, seed):
        """Fold of each row.

        Parameters
        ----------
        rows : pandas.DataFrame
            Training rows, with the columns `needs`.
        domain : xarray.Dataset or None
            Grid to be predicted, for schemes that look at it.
        settings : Settings
            Of this scheme.
        seed : int
            Seed of the recipe.

        Returns
        -------
        numpy.ndarray
            int, shape (n_rows,): 0, 1, ...; -1 is never tested.

        Raises
        ------
        UserError
            When the scheme is not possible on these rows.
        """
        raise UserError(f"validation scheme {cls.__name__!r} has no folds; a scheme needs a function for them.")
