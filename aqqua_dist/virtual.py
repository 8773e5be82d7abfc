"""A virtual ocean: known responses, simulated surveys, known totals.

Nothing here describes real organisms. The point is that the truth is known,
so that an estimate of a stock can be held against it.
"""

import difflib
from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr

from aqqua_dist import grid
from aqqua_dist.errors import UserError
from aqqua_dist.paths import package_data

VOLUME_MEDIAN, VOLUME_LOG_SD = 2.2, 0.466
"""Sampled volume of 0-200 m (m3): quartiles 1.6 and 3.0, as of real UVP5 profiles."""
CARBON, NUMBER = "carbon_biomass", "number_concentration"
STOCK = {CARBON: (1e-18, "Pg C", "mg m-3"), NUMBER: (1.0, "1", "m-3")}


@dataclass(frozen=True)
class Response:
    """Effect of one predictor on the logarithm of a concentration.

    Attributes
    ----------
    predictor : str
        Name in the cube.
    form : {'gaussian', 'loglinear'}
        ``-((x - centre) / width)^2 / 2``, or ``(x - centre) / width``.
    centre, width : float
        In the unit of the predictor, or in decades if `log10`; a negative
        `width` makes a log-linear response fall.
    log10 : bool
        Take x as the decimal logarithm of the predictor.
    """

    predictor: str
    form: str
    centre: float
    width: float
    log10: bool = False

    def __call__(self, values):
        """Effect (natural logarithm) at values of the predictor, same shape."""
        x = np.log10(np.maximum(values, 1.0)) if self.log10 else values
        x = (x - self.centre) / self.width
        if self.form not in ("gaussian", "loglinear"):
            raise UserError(f"response form {self.form!r} to {self.predictor!r} must be 'gaussian' or 'loglinear'.")
        return -0.5 * x**2 if self.form == "gaussian" else x


@dataclass(frozen=True)
class VirtualTaxon:
    """A taxon that exists only here.

    Attributes
    ----------
    name : str
        Begins with ``virtual``.
    level : float
        Concentration (m-3) where every response is zero.
    carbon : float
        Carbon per individual (µg), a made-up value.
    depth_scale : float
        The concentration falls by a factor e over this depth (m), counted
        from 100 m to the middle of the zone.
    responses : tuple of Response
        Their effects add up.
    aphia_id : int or None
        None, as no register knows it.
    """

    name: str
    level: float
    carbon: float
    depth_scale: float
    responses: tuple
    aphia_id: int | None = None


TAXA = (
    VirtualTaxon("virtual copepod", 8.0, 20.0, 400.0, (
        Response("temperature", "gaussian", 6.0, 11.0), Response("wind_speed", "loglinear", 7.0, 6.0),
        Response("distance_to_coast", "loglinear", 2.5, -0.9, log10=True),
        Response("salinity", "gaussian", 34.0, 6.0))),
    VirtualTaxon("virtual rhizarian", 0.55, 60.0, 900.0, (
        Response("temperature", "gaussian", 21.0, 9.0), Response("bathymetry", "loglinear", 3.5, 0.7, log10=True),
        Response("solar_radiation", "loglinear", 170.0, 160.0))),
    VirtualTaxon("virtual salp", 0.36, 300.0, 300.0, (
        Response("temperature", "gaussian", 14.0, 5.0), Response("solar_radiation", "gaussian", 200.0, 90.0),
        Response("distance_to_coast", "gaussian", 2.5, 0.6, log10=True))),
)
"""The default taxa: absent from about 10, 40 and 80 % of the samples of 0-200 m."""


def choose_taxa(names="all"):
    """Virtual taxa by name.

    Parameters
    ----------
    names : 'all' or list of str
        Which of `TAXA`.

    Returns
    -------
    tuple of VirtualTaxon
        In the order asked for.

    Raises
    ------
    UserError
        For a name that is not a virtual taxon.
    """
    known = {taxon.name: taxon for taxon in TAXA}
    if isinstance(names, str) and names == "all":
        return TAXA
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(str(name), known, n=1, cutoff=0.4)
            hint = f", did you mean {near[0]!r}" if near else ""
            raise UserError(f"taxon {name!r} is not a virtual taxon{hint}; choose from {sorted(known)}.")
    return tuple(known[name] for name in names)


def true_field(taxon, cube, *, quantity=NUMBER):
    """Expected concentration of a taxon, without cruise effects.

    Parameters
    ----------
    taxon : VirtualTaxon
        The taxon.
    cube : xarray.Dataset
        From `aqqua_dist.layers.build_cube`, with the taxon's predictors.
    quantity : {'number_concentration', 'carbon_biomass'}
        What to give (m-3, or mg m-3).

    Returns
    -------
    xarray.DataArray
        Dims ([month], zone, lat, lon), NaN outside the domain.

    Raises
    ------
    UserError
        If the cube lacks a predictor that the taxon responds to.
    """
    missing = [r.predictor for r in taxon.responses if r.predictor not in cube]
    if missing:
        needed = [r.predictor for r in taxon.responses]
        raise UserError(f"{taxon.name!r} responds to {missing}, which predictors.names leaves out; it needs {needed}.")
    _, _, units = _stock(quantity)
    log = sum((r(cube[r.predictor].astype("float64")) for r in taxon.responses), np.log(taxon.level))
    log = log - ((cube["zone_top"] + cube["zone_bottom"]) / 2 - 100) / taxon.depth_scale
    field = np.exp(log).where(cube["domain"] == 1)
    if quantity == CARBON:
        field = field * taxon.carbon * 1e-3
    dims = [d for d in ("month", "zone", "lat", "lon") if d in field.dims]
    return field.transpose(*dims).rename(quantity).assign_attrs(units=units, long_name=f"true {quantity} of {taxon.name}")


def _stock(quantity):
    if quantity not in STOCK:
        raise UserError(f"quantity {quantity!r} of a virtual survey must be one of {sorted(STOCK)}.")
    return STOCK[quantity]


def true_totals(taxa, cube, *, quantity=CARBON, latitude_band=10.0):
    """Exact stocks: annual mean over the months, times area and thickness.

    Parameters
    ----------
    taxa : sequence of VirtualTaxon
        The taxa.
    cube : xarray.Dataset
        With ``thickness``, ``cell_area`` and ``region_basin``.
    quantity : {'carbon_biomass', 'number_concentration'}
        What to sum.
    latitude_band : float
        Height of the latitude bands (degrees).

    Returns
    -------
    pandas.DataFrame
        Columns ``taxon, zone, region_set, region, total, units``; carbon in
        Pg C, numbers as 1.
    """
    factor, units, _ = _stock(quantity)
    basin = cube["region_basin"]
    names = dict(zip(np.atleast_1d(basin.attrs["flag_values"]), basin.attrs["flag_meanings"].split(), strict=True))
    bands = np.repeat(grid.latitude_bands(cube["lat"].to_numpy(), latitude_band), cube.sizes["lon"])
    labels = {
        "global": np.full(bands.size, "global"), "basin": np.array([names[v] for v in basin.to_numpy().ravel()]),
        "latitude": bands}
    rows = []
    for taxon in taxa:
        field = true_field(taxon, cube, quantity=quantity)
        field = field.mean("month", skipna=False) if "month" in field.dims else field
        stock = (field * cube["cell_area"] * cube["thickness"] * factor).transpose("zone", "lat", "lon")
        for zone, values in zip(cube["zone"].to_numpy(), stock.to_numpy(), strict=True):
            for region_set, label in labels.items():
                inside = np.isfinite(values.ravel())
                summed = pd.Series(values.ravel()[inside]).groupby(label[inside], sort=False).sum()
                rows += [(taxon.name, str(zone), region_set, region, total, units) for region, total in summed.items()]
    return pd.DataFrame(rows, columns=["taxon", "zone", "region_set", "region", "total", "units"])


def cruise_tracks(n_cruises, *, seed, cube):
    """Stations of simulated cruises.

    A cruise has an area, a start, a spacing of 1-3 degrees and two to four
    great-circle legs between random points at sea of its area; legs that lie
    on land for more than a fifth are refused, single stations on land are
    left out, and one station takes 14 hours. Areas are visited unevenly, high
    latitudes in summer (``data/virtual_cruise_areas.csv``).

    Parameters
    ----------
    n_cruises : int
        Number of cruises.
    seed : int
        Seed; the same seed gives the same cruises.
    cube : xarray.Dataset
        With ``domain``.

    Returns
    -------
    pandas.DataFrame
        Columns ``cruise, station, time`` (UTC), ``lat, lon`` (degrees).
    """
    rng = np.random.default_rng(seed)
    areas = pd.read_csv(package_data("virtual_cruise_areas.csv"))
    parts = []
    for number in range(n_cruises):
        area = areas.iloc[rng.choice(len(areas), p=areas["share"] / areas["share"].sum())]
        lon, lat = _track(area, rng, cube)
        month = int(rng.choice(area["months"].split()))
        day = pd.Timestamp(int(rng.integers(2008, 2021)), month, int(rng.integers(1, 29)), tz="UTC")
        parts.append(pd.DataFrame({
            "cruise": f"virtual-{number + 1:03d}", "station": np.arange(1, lat.size + 1),
            "time": day + pd.to_timedelta(14 * np.arange(lat.size), unit="h"), "lat": lat, "lon": lon}))
    return pd.concat(parts, ignore_index=True)


def _track(area, rng, cube):
    """Stations (lon, lat) of one cruise."""
    box_lat = (cube["lat"].to_numpy() >= area["south"]) & (cube["lat"].to_numpy() <= area["north"])
    box_lon = (cube["lon"].to_numpy() >= area["west"]) & (cube["lon"].to_numpy() <= area["east"])
    sea = cube["domain"].isel(zone=0).to_numpy() == 1
    ports = np.argwhere(sea & box_lat[:, None] & box_lon)
    if len(ports) == 0:
        raise UserError(f"the domain has no cell in {area['name']!r} ({area['south']} to {area['north']} N, {area['west']} to {area['east']} E).")
    spacing, legs, lon, lat = rng.uniform(1, 3), int(rng.integers(2, 5)), [], []
    weight = np.cos(np.radians(cube["lat"].to_numpy()[ports[:, 0]]))
    here = ports[rng.choice(len(ports), p=weight / weight.sum())]
    for _ in range(legs):
        best = None
        for there in ports[rng.choice(len(ports), size=20, p=weight / weight.sum())]:
            points = _great_circle(here, there, spacing, cube)
            wet = sea[grid.nearest_index(cube["lat"], points[1]), grid.nearest_index(cube["lon"], points[0])]
            if 3 <= wet.size <= 40 and (best is None or wet.mean() > best[0]):
                best = (wet.mean(), there, points[0][wet], points[1][wet])
            if best is not None and best[0] >= 0.8:
                break
        if best is not None and best[0] >= 0.8:
            here, lon, lat = best[1], [*lon, *best[2]], [*lat, *best[3]]
    if not lon:
        lon, lat = [cube["lon"].to_numpy()[here[1]]], [cube["lat"].to_numpy()[here[0]]]
    return np.array(lon, dtype="float64"), np.array(lat, dtype="float64")


def _great_circle(here, there, spacing, cube):
    """Points (lon, lat) every `spacing` degrees from one cell to another."""
    lat = np.radians(cube["lat"].to_numpy()[[here[0], there[0]]])
    lon = np.radians(cube["lon"].to_numpy()[[here[1], there[1]]])
    ends = np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], axis=1)
    angle = np.arccos(np.clip(ends[0] @ ends[1], -1, 1))
    share = np.linspace(0, 1, int(np.degrees(angle) / spacing) + 1)[:, None]
    with np.errstate(invalid="ignore"):
        points = (np.sin((1 - share) * angle) * ends[0] + np.sin(share * angle) * ends[1]) / np.sin(angle)
    points = np.where(np.isfinite(points), points, ends[0])
    return grid.wrap_longitude(np.degrees(np.arctan2(points[:, 1], points[:, 0]))), np.degrees(np.arcsin(np.clip(points[:, 2], -1, 1)))


def simulate_survey(taxa, cube, *, n_cruises, seed, cruise_sd):
    """Samples and counts of a virtual survey.

    Each station gives one sample per zone that exists there. Its volume is
    log-normal (`VOLUME_MEDIAN`, `VOLUME_LOG_SD`) times thickness / 200 m. A
    count is Poisson with mean concentration x volume x cruise effect; the
    effect is log-normal with mean 1, one per cruise and taxon.

    Parameters
    ----------
    taxa : sequence of VirtualTaxon
        The taxa.
    cube : xarray.Dataset
        From `aqqua_dist.layers.build_cube`.
    n_cruises : int
        Number of cruises.
    seed : int
        Seed; tracks, volumes, effects and counts draw from streams of their own.
    cruise_sd : float
        Standard deviation of the logarithm of the cruise effect.

    Returns
    -------
    tuple of (pandas.DataFrame, pandas.DataFrame)
        ``samples`` (one row per sample, with ``zone`` and, for a monthly
        cube, ``month``) and ``counts`` (``sample_id, taxon, n``; positive
        counts only, as a sample without one is a zero).
    """
    if n_cruises < 1 or cruise_sd < 0:
        raise UserError(f"a survey needs at least 1 cruise and cruise_sd >= 0, found {n_cruises} and {cruise_sd}.")
    streams = np.random.SeedSequence(seed).spawn(4)
    volumes, effects, draws = (np.random.default_rng(s) for s in streams[1:])
    samples = _samples(cruise_tracks(n_cruises, seed=streams[0], cube=cube), cube, volumes)
    index = {
        "zone": pd.Index(cube["zone"].to_numpy()).get_indexer(samples["zone"]),
        "lat": grid.nearest_index(cube["lat"], samples["lat"]), "lon": grid.nearest_index(cube["lon"], samples["lon"])}
    if "month" in cube.dims:
        index["month"] = pd.Index(cube["month"].to_numpy()).get_indexer(samples["month"])
    index = {d: xr.DataArray(values, dims="sample") for d, values in index.items()}
    cruise, cruises = pd.factorize(samples["cruise"])
    parts = []
    for taxon in taxa:
        field = true_field(taxon, cube)
        expected = field.isel({d: index[d] for d in field.dims}).to_numpy() * samples["volume"].to_numpy()
        effect = np.exp(effects.normal(-0.5 * cruise_sd**2, cruise_sd, len(cruises)))
        n = draws.poisson(expected * effect[cruise])
        parts.append(pd.DataFrame({"sample_id": samples["sample_id"], "taxon": taxon.name, "n": n}))
    counts = pd.concat(parts, ignore_index=True)
    seen = counts.groupby("sample_id", sort=False)["n"].sum()
    samples["n_images"] = samples["sample_id"].map(seen).astype("int64")
    return samples, counts[counts["n"] > 0].reset_index(drop=True)


def _samples(stations, cube, rng):
    """Table `samples`: stations times the zones that exist there."""
    rows, columns = grid.nearest_index(cube["lat"], stations["lat"]), grid.nearest_index(cube["lon"], stations["lon"])
    parts = []
    for k, zone in enumerate(cube["zone"].to_numpy()):
        thickness = cube["thickness"].isel(zone=k).to_numpy()[rows, columns]
        top = float(cube["zone_top"][k])
        part = stations.assign(
            zone=str(zone), depth_top=top, depth_bottom=top + thickness,
            volume=VOLUME_MEDIAN * np.exp(rng.normal(0, VOLUME_LOG_SD, len(stations))) * thickness / 200)
        parts.append(part[cube["domain"].isel(zone=k).to_numpy()[rows, columns] == 1])
    samples = pd.concat(parts, ignore_index=True)
    if "month" in cube.dims:
        samples["month"] = samples["time"].dt.month.astype("int16")
    station = samples.pop("station").astype(str).str.zfill(3)
    samples.insert(0, "sample_id", samples["cruise"] + "_" + station + "_" + samples["zone"])
    return samples.assign(
        instrument="virtual UVP5", volume_rel_sd=0.0, effort_rule="virtual log-normal volume", flags="",
        source="aqqua_dist.virtual")


def concentrations(samples, counts, taxa, *, quantity=CARBON):
    """Concentration of every taxon in every sample, zeros included.

    Parameters
    ----------
    samples, counts : pandas.DataFrame
        From `simulate_survey`.
    taxa : sequence of VirtualTaxon
        Taxa that were searched for.
    quantity : {'carbon_biomass', 'number_concentration'}
        What to give (mg m-3, or m-3).

    Returns
    -------
    pandas.DataFrame
        Columns ``taxon, zone, [month], lat, lon, y, effort`` (m3) and
        ``cruise``; one row per taxon and sample.
    """
    _stock(quantity)
    keys = ["zone", *(["month"] if "month" in samples else []), "lat", "lon"]
    parts = []
    for taxon in taxa:
        n = counts.loc[counts["taxon"] == taxon.name].set_index("sample_id")["n"].reindex(samples["sample_id"], fill_value=0)
        mass = taxon.carbon * 1e-3 if quantity == CARBON else 1.0
        part = samples[keys].assign(y=n.to_numpy() * mass / samples["volume"], effort=samples["volume"], cruise=samples["cruise"])
        part.insert(0, "taxon", taxon.name)
        parts.append(part)
    return pd.concat(parts, ignore_index=True)
