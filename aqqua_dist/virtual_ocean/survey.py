"""A virtual ocean: known responses, simulated surveys, known totals.

Nothing here describes real organisms. The point is that the truth is known,
so that an estimate of a stock can be held against it.
"""

import numpy as np
import pandas as pd
import xarray as xr

from aqqua_dist.core import grid
from aqqua_dist.core.errors import UserError
from aqqua_dist.core.paths import package_data
from aqqua_dist.core.seeds import legacy_spawn, legacy_stream
from aqqua_dist.virtual_ocean.responses import CARBON
from aqqua_dist.virtual_ocean.truth import true_field

VOLUME_MEDIAN, VOLUME_LOG_SD = 2.2, 0.466
"""Sampled volume of 0-200 m (m3): quartiles 1.6 and 3.0, as of real UVP5 profiles."""


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
    rng = legacy_stream(seed)
    areas = pd.read_csv(package_data("virtual_cruise_areas.csv"))
    parts = []
    for number in range(n_cruises):
        area = areas.iloc[rng.choice(len(areas), p=areas["share"] / areas["share"].sum())]
        lon, lat = _track(area, rng, cube)
        month = int(rng.choice(area["months"].split()))
        day = pd.Timestamp(int(rng.integers(2008, 2021)), month, int(rng.integers(1, 29)), tz="UTC")
        parts.append(
            pd.DataFrame(
                {
                    "cruise": f"virtual-{number + 1:03d}",
                    "station": np.arange(1, lat.size + 1),
                    "time": day + pd.to_timedelta(14 * np.arange(lat.size), unit="h"),
                    "lat": lat,
                    "lon": lon,
                }
            )
        )
    return pd.concat(parts, ignore_index=True)


def _track(area, rng, cube):
    """Stations (lon, lat) of one cruise."""
    box_lat = (cube["lat"].to_numpy() >= area["south"]) & (cube["lat"].to_numpy() <= area["north"])
    box_lon = (cube["lon"].to_numpy() >= area["west"]) & (cube["lon"].to_numpy() <= area["east"])
    sea = cube["domain"].isel(zone=0).to_numpy() == 1
    ports = np.argwhere(sea & box_lat[:, None] & box_lon)
    if len(ports) == 0:
        raise UserError(
            f"the domain has no cell in {area['name']!r} ({area['south']} to {area['north']} N, {area['west']} to {area['east']} E)."
        )
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
    return grid.wrap_longitude(np.degrees(np.arctan2(points[:, 1], points[:, 0]))), np.degrees(
        np.arcsin(np.clip(points[:, 2], -1, 1))
    )


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
        From `aqqua_dist.environment.catalogue.build_cube`.
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
    streams = legacy_spawn(seed, 4)
    volumes, effects, draws = (legacy_stream(s) for s in streams[1:])
    samples = _samples(cruise_tracks(n_cruises, seed=streams[0], cube=cube), cube, volumes)
    index = {
        "zone": pd.Index(cube["zone"].to_numpy()).get_indexer(samples["zone"]),
        "lat": grid.nearest_index(cube["lat"], samples["lat"]),
        "lon": grid.nearest_index(cube["lon"], samples["lon"]),
    }
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
            zone=str(zone),
            depth_top=top,
            depth_bottom=top + thickness,
            volume=VOLUME_MEDIAN * np.exp(rng.normal(0, VOLUME_LOG_SD, len(stations))) * thickness / 200,
        )
        parts.append(part[cube["domain"].isel(zone=k).to_numpy()[rows, columns] == 1])
    samples = pd.concat(parts, ignore_index=True)
    if "month" in cube.dims:
        samples["month"] = samples["time"].dt.month.astype("int16")
    station = samples.pop("station").astype(str).str.zfill(3)
    samples.insert(0, "sample_id", samples["cruise"] + "_" + station + "_" + samples["zone"])
    return samples.assign(
        instrument="virtual UVP5",
        volume_rel_sd=0.0,
        effort_rule="virtual log-normal volume",
        flags="",
        source="aqqua_dist.virtual_ocean.survey",
    )


def survey_concentrations(samples, counts, taxa, *, quantity=CARBON):
    """Concentration of every taxon in every sample, zeros included.

    Parameters
    ----------
    samples, counts : pandas.DataFrame
        From `simulate_survey`.
    taxa : sequence of VirtualTaxon
        Taxa that were searched for.
    quantity : str
        What to give, one that `VirtualTaxon.amount` knows.

    Returns
    -------
    pandas.DataFrame
        Columns ``taxon, zone, [month], lat, lon, y, effort`` (m3) and
        ``cruise``; one row per taxon and sample.
    """
    keys = ["zone", *(["month"] if "month" in samples else []), "lat", "lon"]
    parts = []
    for taxon in taxa:
        n = (
            counts.loc[counts["taxon"] == taxon.name]
            .set_index("sample_id")["n"]
            .reindex(samples["sample_id"], fill_value=0)
        )
        amount, factor = taxon.amount(quantity)
        part = samples[keys].assign(
            y=n.to_numpy() * (amount * factor) / samples["volume"], effort=samples["volume"], cruise=samples["cruise"]
        )
        part.insert(0, "taxon", taxon.name)
        parts.append(part)
    return pd.concat(parts, ignore_index=True)
