"""Where files lie: what ships with the package, and the user's data folder."""

import os
from pathlib import Path

from aqqua_dist.core.errors import UserError

_PACKAGE = Path(__file__).resolve().parent.parent
_SHIPPED = ("environmental_layers", "models", "figures")


def shipped(folder):
    """Folder of recipes, catalogue entries or figure scripts.

    In an installed wheel these folders lie inside the package; in a checkout
    they lie beside it.

    Parameters
    ----------
    folder : {'environmental_layers', 'models', 'figures'}
        Name of the folder.

    Returns
    -------
    pathlib.Path
        The existing folder.
    """
    if folder not in _SHIPPED:
        raise UserError(f"folder {folder!r} does not ship with the package; choose from {_SHIPPED}.")
    for candidate in (_PACKAGE / folder, _PACKAGE.parent / folder):
        if candidate.is_dir():
            return candidate
    raise UserError(f"folder {folder!r} is missing beside {_PACKAGE}; reinstall aqqua-dist.")


def package_data(name):
    """File embedded in the package (climatology, coastline, vocabulary).

    Parameters
    ----------
    name : str
        File name under ``aqqua_dist/data``.

    Returns
    -------
    pathlib.Path
        The existing file.
    """
    path = _PACKAGE / "data" / name
    if not path.is_file():
        raise UserError(f"embedded file {name!r} is missing in {path.parent}; reinstall aqqua-dist.")
    return path


def data_root():
    """Folder that relative data paths of a recipe may also start from.

    Returns
    -------
    pathlib.Path
        The environment variable ``AQQUA_DIST_DATA``, by default
        ``../shared/data`` seen from the working folder.
    """
    return Path(os.environ.get("AQQUA_DIST_DATA", "../shared/data")).expanduser()


def find_recipe(name):
    """Recipe file for a path or for the name of a shipped recipe.

    Parameters
    ----------
    name : str or os.PathLike
        Path of a YAML file, or a bare name such as ``demo``.

    Returns
    -------
    pathlib.Path
        The existing recipe file.

    Examples
    --------
    >>> import aqqua_dist as aq
    >>> aq.find_recipe("demo").name
    'demo.yaml'
    """
    if not isinstance(name, str | os.PathLike):
        raise UserError(f"recipe {str(name)[:60]!r} is of type {type(name).__name__}; allowed is a path or a name.")
    path = Path(name)
    if path.is_file():
        return path
    folder = shipped("models")
    stem = path.name.removesuffix(".yaml")
    if path.parent.name in ("", "models") and (folder / f"{stem}.yaml").is_file():
        return folder / f"{stem}.yaml"
    known = ", ".join(sorted(p.stem for p in folder.glob("*.yaml")))
    raise UserError(f"recipe {str(name)!r} is neither a file nor a shipped recipe; shipped are: {known}.")


def find_input(path, recipe_folder, *, folders=False):
    """Input file named in a recipe.

    A relative path is looked for beside the recipe, then in the working
    folder, then in the data folder (`data_root`).

    Parameters
    ----------
    path : str or os.PathLike
        The path as the recipe writes it.
    recipe_folder : pathlib.Path
        Folder of the recipe file.
    folders : bool
        Whether a folder will do too.

    Returns
    -------
    pathlib.Path
        The existing file.
    """
    wanted = Path(os.path.expandvars(str(path))).expanduser()
    places = (
        [wanted]
        if wanted.is_absolute()
        else [
            Path(recipe_folder) / wanted,
            Path.cwd() / wanted,
            data_root() / wanted,
        ]
    )
    for place in places:
        if place.is_file() or folders and place.is_dir():
            return place
    looked = ", ".join(str(place) for place in places)
    raise UserError(
        f"input file {str(path)!r} does not exist; looked at {looked} "
        "(set AQQUA_DIST_DATA to the folder that holds it)."
    )
