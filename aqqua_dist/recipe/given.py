"""A recipe as Python gives it: a path, the name of a shipped one, a dictionary; and tables that stand in memory."""

import hashlib
import io
import os
import re
from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import yaml

from aqqua_dist.core.errors import UserError
from aqqua_dist.core.files import write_parquet
from aqqua_dist.core.paths import find_recipe
from aqqua_dist.core.provenance import Provenance, created_now, software_versions
from aqqua_dist.recipe.recipe import Recipe, parse
from aqqua_dist.recipe.yaml_text import StrictLoader, yaml_fault


class _Writer(yaml.SafeDumper):
    """Quotes what the strict loader would not read back as text."""

    yaml_implicit_resolvers = StrictLoader.yaml_implicit_resolvers

    def ignore_aliases(self, data):
        """Never, so that the text holds no references."""
        return True


def as_text(content):
    """Recipe as YAML text.

    Parameters
    ----------
    content : dict
        Keys and values as a recipe file has them.

    Returns
    -------
    str
        `aqqua_dist.recipe.recipe.parse` reads the same from it.

    Raises
    ------
    UserError
        A value is nothing that YAML holds.
    """
    content = _plain(content)
    try:
        for readable in (True, False):  # what the writer does not read back as it was is escaped
            text = yaml.dump(content, Dumper=_Writer, sort_keys=False, allow_unicode=readable, width=120)
            if _read(text) == content:
                return text
    except yaml.representer.RepresenterError as error:
        value = error.args[-1]
        raise UserError(
            f"recipe: a value of type {type(value).__name__}, {str(value)[:80]!r}, is not allowed; give text, numbers, "
            "true or false, lists and dictionaries (tables go into 'tables')."
        ) from None
    raise UserError(f"recipe: YAML cannot hold {str(content)[:200]!r}; leave out special characters.")


def _plain(value):
    """Tuples as lists, paths as text, mappings as dictionaries, numbers of numpy as those of Python."""
    if isinstance(value, Mapping):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, np.generic):
        return value.item()
    return Path(value).as_posix() if isinstance(value, os.PathLike) else value


def _read(text):
    try:
        return yaml.load(text, Loader=StrictLoader)  # noqa: S506 (a SafeLoader)
    except yaml.YAMLError:
        return None


def given_recipe(recipe):
    """Text of a recipe and where it comes from.

    Parameters
    ----------
    recipe : str, os.PathLike, dict or Recipe
        Recipe file, name of a shipped recipe, or the recipe itself.

    Returns
    -------
    tuple of (str, str, pathlib.Path)
        YAML text, place for messages, and the folder that its relative paths
        start from: that of the file, or the working folder.

    Raises
    ------
    UserError
        The recipe is nothing of the kind.
    """
    if isinstance(recipe, Recipe):
        recipe = recipe.model_dump(mode="json", exclude_unset=True)
    if isinstance(recipe, Mapping):
        return as_text(dict(recipe)), "recipe", Path.cwd()
    if not isinstance(recipe, str | os.PathLike):
        raise UserError(
            f"recipe {str(recipe)[:80]!r} is of type {type(recipe).__name__}; allowed are a path, the name of a shipped "
            "recipe, and a dictionary."
        )
    path = find_recipe(recipe)
    try:
        return path.read_text(encoding="utf-8-sig"), str(path), path.parent
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise UserError(f"recipe {str(path)!r} cannot be read: {reason}.") from None


def with_tables(text, tables, runs, folder):
    """Recipe whose tables stand in memory: they are written, and the recipe names the files.

    A file is named after its content, so that the same table is the same file
    and another table never replaces one that a run has read.

    Parameters
    ----------
    text : str
        YAML of the recipe.
    tables : dict of str to pandas.DataFrame
        Path as the recipe writes it, to the table that stands for it. A named
        index becomes a column.
    runs : str or os.PathLike
        Folder of all runs; tables go to ``<runs>/<study>/tables``.
    folder : pathlib.Path
        Folder that relative paths of the recipe start from.

    Returns
    -------
    str
        YAML of the recipe with the paths of the files.

    Raises
    ------
    UserError
        No path of the recipe has that name, or the table cannot be written.
    RecipeError
        The recipe has faults; nothing is written then.
    """
    try:
        content = deepcopy(yaml.load(text, Loader=StrictLoader))  # noqa: S506 (a SafeLoader)
    except yaml.YAMLError as error:
        raise UserError(f"recipe: {yaml_fault(error)}.") from None
    parse(text)
    place, named = Path(runs).absolute() / content["study"] / "tables", list(_named(content))
    made = {}
    for name, table in tables.items():
        frame = _frame(name, table)
        if name not in [section[key] for section, key in named]:
            known = ", ".join(repr(section[key]) for section, key in named) or "none"
            raise UserError(f"tables: {name!r} is no path of a table in the recipe; its paths are {known}.")
        made[name] = (frame, place / _file_name(name, _bytes(name, frame)))
    for section, key in named:
        if section[key] in made:
            section[key] = _relative(made[section[key]][1], folder)
    text = as_text(content)
    for name, (frame, path) in made.items():
        if not path.exists():
            inputs = {f"table {name}": hashlib.sha256(_bytes(name, frame)).hexdigest()}
            origin = Provenance(content["study"], "tables", path.stem, text, inputs=inputs)
            write_parquet(frame, path, _dated(origin))
    return text


def _dated(origin):
    return Provenance(
        origin.study,
        origin.stage,
        origin.key,
        origin.recipe_text,
        hashlib.sha256(origin.recipe_text.encode()).hexdigest(),
        origin.inputs,
        software=software_versions(),
        created=created_now(),
    )


def _named(content):
    """Every place of a recipe where the path of a table stands, as (section, key)."""
    observations, predictors = content.get("observations"), content.get("predictors")
    sections = [(one, "path") for one in (observations, predictors) if isinstance(one, dict)]
    if isinstance(observations, dict):
        sections.append((observations, "validation"))
        sections += [(observations.get("split_files"), name) for name in ("train", "test")]
    sections += [(one, "path") for one in content.get("published_maps") or []]
    for section, key in sections:
        if not isinstance(section, dict) or section.get("kind") == "aggregated":
            continue
        if isinstance(section.get(key), dict):
            yield from ((section[key], zone) for zone in section[key])
        elif isinstance(section.get(key), str):
            yield section, key


def _frame(name, table):
    """Table as pandas has it, a named index among the columns."""
    if not isinstance(table, pd.DataFrame) and hasattr(table, "to_pandas"):
        table = table.to_pandas()
    if not isinstance(table, pd.DataFrame):
        raise UserError(f"tables: {name!r} is of type {type(table).__name__}; allowed is a DataFrame.")
    if any(one is not None for one in table.index.names):
        table = table.reset_index()
    return table


def _bytes(name, frame):
    """Parquet of a table without any word on where it comes from: equal tables, equal bytes."""
    held = io.BytesIO()
    try:
        frame.to_parquet(held, index=False)
    except (ValueError, TypeError, pa.ArrowException) as error:
        reason = str(error).strip().split("\n")[0][:200]
        raise UserError(f"tables: {name!r} cannot be written as Parquet ({reason}).") from None
    return held.getvalue()


def _file_name(name, raw):
    stem = re.sub(r"[^A-Za-z0-9_-]+", "_", Path(name).stem)[:40]
    return f"{stem}-{hashlib.sha256(raw).hexdigest()[:12]}.parquet"


def _relative(path, folder):
    try:
        return Path(os.path.relpath(path, Path(folder).absolute())).as_posix()
    except ValueError:  # on another drive
        return path.as_posix()
