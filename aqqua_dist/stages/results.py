"""A run as an object: its targets, maps, stocks, scores and ensembles, as ``targets.json`` lists them."""

import difflib
import html
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from aqqua_dist.core import files, run_folder
from aqqua_dist.core.errors import UserError
from aqqua_dist.core.vocabulary import quantity
from aqqua_dist.habitat_models.ensemble import Ensemble
from aqqua_dist.recipe.recipe import parse
from aqqua_dist.stages.listing import refuse_other_targets


@dataclass(frozen=True)
class Stock:
    """Total of one taxon in one zone and region; printed as a sentence.

    Attributes
    ----------
    quantity, taxon, zone, region : str
        Names.
    estimate, low, high : float
        Total and its interval.
    units : str
        Of the three.
    interval : str
        How the interval is made.
    members : int
        Number of members.
    scope : str
        What the interval says.
    """

    quantity: str
    taxon: str
    zone: str
    region: str
    estimate: float
    low: float
    high: float
    units: str
    interval: str
    members: int
    scope: str = "95 % interval"

    def __str__(self):
        for digits in range(3, 8):
            estimate, low, high = (f"{value:.{digits}g}" for value in (self.estimate, self.low, self.high))
            if len({estimate, low, high}) == 3:
                break
        region = "" if self.region == "global" else f", {self.region}"
        units = f" {self.units}" if self.units != "1" else " individuals" if self._counts else ""
        return f"{self.taxon} {self.zone}{region}: {estimate}{units} ({self.scope} {low} to {high})"

    @property
    def _counts(self):
        """Whether it is a number of individuals: a pure number that is a sum, not a mean."""
        rule = quantity(self.quantity).stock
        return rule is not None and rule.measure != "mean"


class Maps(Mapping):
    """Maps of a run by ``(taxon, zone)``, or by taxon where it has one zone; each is read when it is asked for.

    Parameters
    ----------
    run : Run
        The run.
    """

    def __init__(self, run):
        self._run = run

    def __getitem__(self, key):
        taxon, zone = key if isinstance(key, tuple) else (key, None)
        return files.read_netcdf(self._run.file(taxon, zone, "map"))

    def __contains__(self, key):
        taxa = [taxon for taxon, _ in self]
        return key in list(self) or taxa.count(key) == 1

    def get(self, key, default=None):
        """Map, or what is given where the run has none.

        Parameters
        ----------
        key : tuple of str or str
            Taxon and zone, or taxon.
        default : object
            What to return instead.

        Returns
        -------
        xarray.Dataset or object
        """
        return self[key] if key in self else default

    def __iter__(self):
        return iter([(one.taxon, one.zone) for one in self._run.listed if one.map is not None])

    def __len__(self):
        return len(list(iter(self)))

    def __repr__(self):
        return f"maps of {', '.join(f'{taxon} {zone}' for taxon, zone in self)}"


class Run:
    """What a run has made; made by `open_run`.

    Parameters
    ----------
    folder : str or os.PathLike
        Folder of the run.
    recipe_folder : str or os.PathLike, optional
        Folder that relative paths of its recipe start from; the working
        folder unless given.
    """

    def __init__(self, folder, recipe_folder=None):
        self.folder = Path(folder)
        self.recipe_folder = Path(recipe_folder) if recipe_folder is not None else Path.cwd()
        self.listed = run_folder.listed(self.folder)
        path = self.folder / run_folder.TARGETS
        self.text = files.read_provenance(path).recipe_text
        self._held = files.read_json(path)

    @property
    def recipe(self):
        """The recipe of the run (aqqua_dist.recipe.recipe.Recipe)."""
        return parse(self.text, self.folder / run_folder.TARGETS)

    @property
    def targets(self):
        """One row per taxon and zone: ``taxon, zone, key, state, reason`` (pandas.DataFrame)."""
        names = ["taxon", "zone", "key", "state", "reason"]
        return pd.DataFrame([[getattr(one, name) for name in names] for one in self.listed], columns=names)

    @property
    def maps(self):
        """Maps by ``(taxon, zone)``, xarray datasets that are read when they are asked for (Maps)."""
        return Maps(self)

    @property
    def stocks(self):
        """Totals of every target and region with their intervals (pandas.DataFrame)."""
        self._refuse_other("budget", "map")
        return files.read_parquet(self.folder / "budget" / "budget.parquet")

    @property
    def scores(self):
        """Scores of every target under every validation scheme (pandas.DataFrame)."""
        self._refuse_other("fit/scores", "fit")
        return files.read_parquet(self.folder / "fit" / "scores.parquet")

    @property
    def training(self):
        """Training rows of every target (pandas.DataFrame)."""
        self._refuse_changed()
        paths = [one.table("training") for one in self.listed]
        parts = [files.read_parquet(path) for path in paths if path is not None]
        return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()

    @property
    def figures(self):
        """Figures of the run (list of pathlib.Path)."""
        self._refuse_other("figures", "map")
        about = files.read_json(self.folder / "figures" / "figures.done.json")
        return sorted(self.folder / "figures" / name for name in about["files"])

    def map(self, taxon, zone=None, variable=None):
        """Map of one target, ready to plot.

        Parameters
        ----------
        taxon : str
            Name.
        zone : str, optional
            Name; needed where the taxon has several.
        variable : str, optional
            Such as ``applicability``; the estimate unless given.

        Returns
        -------
        xarray.DataArray
            Dims ([month], lat, lon), with its unit.

        Raises
        ------
        UserError
            The run has no such map, or the map no such variable.
        """
        found = self.maps[taxon, zone]
        name = self.recipe.observations.quantity if variable is None else variable
        if name not in found:
            raise UserError(f"variable {name!r} is not in the map; it has {sorted(map(str, found.data_vars))}.")
        return found[name]

    def stock(self, taxon, region="global", zone=None):
        """Total of one target in one region.

        Parameters
        ----------
        taxon : str
            Name.
        region : str
            Such as ``global``, ``atlantic_ocean``, ``40S-30S`` or ``inside``
            (the area of applicability).
        zone : str, optional
            Name; needed where the taxon has several.

        Returns
        -------
        Stock
            With ``estimate, low, high, units``; printed as a sentence.

        Raises
        ------
        UserError
            The run has no such taxon, zone or region.
        """
        table = self.stocks
        mine = table[table["taxon"] == _known("taxon", taxon, table["taxon"].unique())]
        zone = self._one_zone(taxon, zone, list(mine["zone"].unique()))
        mine = mine[mine["zone"] == zone]
        rows = mine[mine["region"] == _known("region", region, mine["region"].unique())]
        if len(rows) > 1:
            held = rows["region_set"].tolist()
            raise UserError(f"region {region!r} stands in {len(rows)} sets of regions, {held}; take it from `stocks`.")
        return _stock(rows.iloc[0], self._scope)

    def totals(self):
        """Global total of every target, in the order of the recipe.

        Returns
        -------
        list of Stock
        """
        table = self.stocks
        return [_stock(row, self._scope) for _, row in table[table["region_set"] == "global"].iterrows()]

    def ensemble(self, taxon, zone=None):
        """Fitted members of one target; their ``predict`` takes a table of predictors.

        Parameters
        ----------
        taxon : str
            Name.
        zone : str, optional
            Name; needed where the taxon has several.

        Returns
        -------
        aqqua_dist.habitat_models.ensemble.Ensemble

        Raises
        ------
        UserError
            The run has no such target, or left it out.
        """
        return Ensemble.load(self.file(taxon, zone, "ensemble"))

    def file(self, taxon, zone, kind):
        """A file of one target.

        Parameters
        ----------
        taxon : str
            Name.
        zone : str or None
            Name; needed where the taxon has several.
        kind : {'map', 'ensemble'}
            Which file.

        Returns
        -------
        pathlib.Path

        Raises
        ------
        UserError
            The run has no such target, left it out, or has not come so far.
        """
        self._refuse_changed()
        _known("taxon", taxon, dict.fromkeys(one.taxon for one in self.listed))
        zone = self._one_zone(taxon, zone, [one.zone for one in self.listed if one.taxon == taxon])
        target = next(one for one in self.listed if (one.taxon, one.zone) == (taxon, zone))
        if target.state != run_folder.DONE:
            raise UserError(f"{taxon} {zone} was left out of the run: {target.reason}")
        path = target.map if kind == "map" else target.file("fit", target.key, "ensemble.zip")
        if path is None:
            raise UserError(f"{str(self.folder)!r} has no {kind} of {taxon} {zone} yet; run the study to its end.")
        return path

    @property
    def _scope(self):
        folds = self.recipe.members.scheme == "folds"
        return "95 % of the members, not a confidence interval:" if folds else "95 % interval"

    def _one_zone(self, taxon, zone, zones):
        if zone is None and len(zones) > 1:
            raise UserError(f"{taxon!r} has {len(zones)} zones; name one of {zones}.")
        return zones[0] if zone is None else _known(f"zone of {taxon!r}", zone, zones)

    def _refuse_changed(self):
        if files.read_json(self.folder / run_folder.TARGETS) != self._held:
            raise UserError(f"{str(self.folder)!r} has been run again since it was opened; open it again.")

    def _refuse_other(self, name, stage):
        self._refuse_changed()
        path = self.folder / (f"{name}.done.json" if "/" in name else f"{name}/{name}.done.json")
        if not path.is_file():
            raise UserError(f"{str(self.folder)!r} has no {path.name.split('.')[0]} yet; run the study to its end.")
        refuse_other_targets(self.folder, path, stage, self._held["targets"])

    def _summary(self):
        """Lines of global stocks, and of targets that were left out."""
        try:
            lines = [str(one) for one in self.totals()]
        except UserError as error:
            lines = [str(error)]
        return lines + [f"{one.taxon} {one.zone}: left out, {one.reason}" for one in self.listed if one.reason]

    def __repr__(self):
        return "\n".join([f"run of {self.recipe.study!r} in {self.folder}", *(f"  {one}" for one in self._summary())])

    def _repr_html_(self):
        recipe, lines = self.recipe, self._summary()
        listed = "".join(f"<li>{html.escape(line)}</li>" for line in lines)
        where = f"<code>{html.escape(str(self.folder))}</code>"
        return f"<p><b>{html.escape(recipe.title)}</b> ({html.escape(recipe.study)}), {where}</p><ul>{listed}</ul>"


def open_run(folder):
    """Results of a run.

    Parameters
    ----------
    folder : str or os.PathLike
        Folder of the run, such as ``runs/demo``.

    Returns
    -------
    Run
        With ``targets, maps, stocks, scores, training, figures, recipe`` and
        the methods ``map, stock, ensemble``.

    Raises
    ------
    UserError
        The folder is no run.
    """
    path = Path(folder)
    if not (path / run_folder.TARGETS).is_file():
        what = "holds no targets.json" if path.is_dir() else "is no folder"
        raise UserError(
            f"{str(folder)!r} {what}, so it is no run that has come to its maps; give the folder that a run names at its "
            "end, such as runs/demo."
        )
    return Run(path)


def _known(what, name, known):
    known = [str(one) for one in known]
    if name in known:
        return name
    near = difflib.get_close_matches(str(name), known, n=1, cutoff=0.5)
    hint = f", did you mean {near[0]!r}?" if near else ";"
    raise UserError(f"{what} {name!r} is not in the run{hint} it has {known[:40]}.")


def _stock(row, scope):
    names = ("quantity", "taxon", "zone", "region", "estimate", "low", "high", "units", "interval", "members")
    return Stock(*(row[name] for name in names), scope)
