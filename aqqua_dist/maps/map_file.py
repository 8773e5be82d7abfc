"""Maps as CF-1.11 datasets with ACDD-1.3 attributes, for every tool that reads NetCDF.

Conventions: dims (lat, lon), ascending, or (time, lat, lon) for monthly maps,
where time is a climatological axis and the month stands beside it; taxon and
zone are scalar coordinates; cells without prediction are missing; the zone has
a depth and its limits (m, positive down); every statistic is a variable of its own
and refers to the estimate beside it. Only the estimate bears the standard name,
and its standard deviation the same with ``standard_error``.
"""

from dataclasses import dataclass

import numpy as np
import xarray as xr

from aqqua_dist.core.errors import UserError
from aqqua_dist.core.grid import sphere_radius
from aqqua_dist.core.vocabulary import quantity as vocabulary_entry

CONVENTIONS = "CF-1.11, ACDD-1.3"
KEPT_BITS = 7
"""Bits of the mantissa that a rounded variable keeps."""
RELATIVE_ERROR = 2.0 ** -(KEPT_BITS + 1)
"""Largest relative error of a rounded variable (0.4 %)."""
FILL = np.float32(9.96921e36)
BYTE_FILL = np.int8(-127)
_STATISTICS = {
    "sd": ("standard deviation over members of", {}, ""),
    "q025": ("2.5 % quantile over members of", {"quantile": 0.025}, "2.5 % quantile"),
    "q50": ("median over members of", {"quantile": 0.5}, "median"),
    "q975": ("97.5 % quantile over members of", {"quantile": 0.975}, "97.5 % quantile"),
}
_OVER_CELL = "area: mean where sea depth: mean"
_OVER_MONTHS = "time: mean within years time: mean over years"
FIRST_YEAR, MIDDLE_YEAR, LAST_YEAR = 1900, 1970, 1993
"""Years that the climatological axis of monthly maps spans, those of the observations behind the embedded layers, and one
amid them."""
_EXACT = ("cell_area", "thickness")


@dataclass(frozen=True)
class MapAbout:
    """What a map says about itself.

    Attributes
    ----------
    title, summary : str
        For catalogues; both needed.
    references : list of str
        DOIs.
    licence : str
        Under which the map may be used.
    creator_name, institution, creator_email, creator_url : str
        Who answers for the map; left out where empty.
    estimate : str
        What the estimate is, such as ``mean of members``.
    member_scheme : str
        What the spread over members stands for.
    n_members : int
        Number of members.
    source : str
        Method and data in one line.
    lossless : bool
        Keep every bit. Otherwise estimates, their spread and the
        dissimilarity index are rounded to `KEPT_BITS` bits of the mantissa
        (relative error at most 0.4 %), which more than halves the file.
    """

    title: str
    summary: str
    references: list
    licence: str
    creator_name: str
    institution: str
    creator_email: str
    creator_url: str
    estimate: str
    member_scheme: str
    n_members: int
    source: str
    lossless: bool = False


def map_dataset(fields, *, quantity, taxon, zone, grid, about):
    """Map of one taxon in one zone with all attributes.

    Parameters
    ----------
    fields : dict of str to xarray.DataArray
        Dims ([month], lat, lon), NaN where nothing is predicted:
        ``estimate`` and any of ``sd, q025, q50, q975`` in the unit of the
        quantity; for monthly maps the same with suffix ``_annual``, dims
        (lat, lon); ``applicability`` (0 or 1); ``dissimilarity_index`` (1).
    quantity : str
        Name in the vocabulary; the variables are named after it.
    taxon : aqqua_dist.organisms.taxonomy.Taxon
        Name and life science identifier.
    zone : tuple of (str, float, float)
        Name, top and bottom (m, positive down).
    grid : xarray.Dataset
        ``cell_area`` (m2) and ``thickness`` (m), dims (lat, lon).
    about : MapAbout
        Title, authors and method.

    Returns
    -------
    xarray.Dataset
        Variables ``<quantity>[_annual][_sd, _q025, _q50, _q975]``,
        ``applicability``, ``dissimilarity_index``, ``cell_area`` and
        ``thickness``, dims ([time], lat, lon); scalar coordinates ``taxon,
        zone, depth``. `by_month` brings the months back as an axis; write it
        with `encoding`.

    Raises
    ------
    UserError
        A field is unknown or the estimate is missing; the zone is upside
        down; title or summary is empty.
    """
    entry = vocabulary_entry(quantity)
    _refuse(fields, zone, about)
    data = {}
    for key, field in fields.items():
        name, attrs = _described(key, entry, fields)
        if key != "applicability" and not about.lossless:
            field, attrs = (
                field.copy(data=bit_round(field.to_numpy())),
                attrs | {"mantissa_bits": np.int32(KEPT_BITS)},
            )
        data[name] = field.reset_coords(drop=True).assign_attrs(attrs)
    data["thickness"] = _exact(grid["thickness"], "thickness")
    data["cell_area"] = _exact(grid["cell_area"], "cell_area")
    dataset = xr.Dataset(data).transpose("month", "lat", "lon", missing_dims="ignore")
    dataset = _with_coordinates(dataset, taxon, zone)
    dataset.attrs = global_attributes(dataset, quantity, taxon, zone, about)
    return dataset


def by_month(dataset):
    """A monthly map whose axis is the month (1 to 12), so that ``.sel(month=7)`` works.

    Parameters
    ----------
    dataset : xarray.Dataset
        As `map_dataset` makes it, or read from its file.

    Returns
    -------
    xarray.Dataset
        The same with dimension ``month`` in place of ``time``; an annual map
        as it is.
    """
    return dataset.swap_dims(time="month") if "time" in dataset.dims else dataset


def bit_round(values):
    """Real numbers rounded to the `KEPT_BITS` leading bits of their mantissa.

    The cleared bits make a file small; halves go to the even neighbour, so
    that sums stay unbiased (Kouznetsov 2021, doi 10.5194/gmd-14-377-2021).

    Parameters
    ----------
    values : array_like
        Any shape and unit.

    Returns
    -------
    numpy.ndarray
        float32, same shape; zero, NaN and infinite values are kept, others
        have a relative error of at most `RELATIVE_ERROR`.
    """
    values = np.array(values, dtype="float32", order="C")
    bits, cleared = values.view("uint32"), np.uint32(23 - KEPT_BITS)
    one = np.uint32(1)
    rounded = bits + ((one << (cleared - one)) - one + ((bits >> cleared) & one))
    rounded &= ~((one << cleared) - one)
    return np.where(np.isfinite(values), rounded.view("float32"), values)


def encoding(dataset):
    """How the variables of a map are stored.

    Parameters
    ----------
    dataset : xarray.Dataset
        From `map_dataset`.

    Returns
    -------
    dict of str to dict
        Per variable, for `aqqua_dist.core.files.write_netcdf`: zlib level 1,
        one map per chunk, fill values where cells can be missing.
    """
    found = {name: {"_FillValue": None} for name, v in dataset.variables.items() if v.dtype.kind in "fiu"}
    for name, variable in dataset.variables.items():
        if variable.dims[-2:] != ("lat", "lon"):
            continue
        found[name] = {"zlib": True, "complevel": 1, "chunksizes": _chunks(variable)}
        if name == "applicability":
            found[name] |= {"dtype": "int8", "_FillValue": BYTE_FILL}
        elif name in _EXACT:
            found[name] |= {"dtype": "float64", "_FillValue": None if name == "cell_area" else float(FILL)}
        else:
            found[name] |= {"dtype": "float32", "_FillValue": FILL}
    return found


def _chunks(variable):
    """One map per chunk, cut at 180 x 360 cells."""
    return (1,) * (variable.ndim - 2) + (min(variable.shape[-2], 180), min(variable.shape[-1], 360))


def _refuse(fields, zone, about):
    stems = ["estimate", *_STATISTICS]
    known = [*stems, *(f"{stem}_annual" for stem in stems), "applicability", "dissimilarity_index"]
    for key, field in fields.items():
        if key not in known:
            raise UserError(f"field {key!r} has no place in a map; choose from {', '.join(known)}.")
        if field.dims not in (("lat", "lon"), ("month", "lat", "lon")):
            raise UserError(f"field {key!r} has dims {field.dims}, a map needs ([month], lat, lon).")
    if "estimate" not in fields:
        raise UserError(f"a map needs the field 'estimate', found {', '.join(fields) or 'none'}.")
    if not 0 <= zone[1] < zone[2]:
        raise UserError(f"zone {zone[0]!r} of a map goes from {zone[1]} to {zone[2]} m, needed is 0 <= top < bottom.")
    for name in ("title", "summary"):
        if not getattr(about, name).strip():
            raise UserError(f"a map needs a {name}, found {getattr(about, name)!r}; write it in the recipe.")


def _exact(field, name):
    entry = vocabulary_entry(name)
    attrs = _names(entry) | {
        "units": entry.units,
        "coverage_content_type": entry.coverage_content_type,
        "grid_mapping": "crs",
    }
    if name == "thickness":
        attrs |= {"cell_methods": "area: mean where sea", "cell_measures": "area: cell_area"}
    return field.reset_coords(drop=True).astype("float64").assign_attrs(attrs)


def _names(entry):
    names = {"long_name": entry.long_name}
    return names | ({"standard_name": entry.standard_name} if entry.standard_name else {})


def _described(key, entry, fields):
    """Name and attributes of the variable that holds a field."""
    shared = {"cell_measures": "area: cell_area", "grid_mapping": "crs"}
    if key == "applicability":  # of the means of a cell, not a mean over it: no cell methods
        return key, shared | {
            "long_name": "inside the area of applicability",
            "standard_name": "quality_flag",
            "flag_values": np.array([0, 1], dtype="int8"),
            "flag_meanings": "outside inside",
            "coverage_content_type": "qualityInformation",
            "references": "https://doi.org/10.1111/2041-210X.13650",
        }
    if key == "dissimilarity_index":
        known = vocabulary_entry(key)
        return key, shared | _names(known) | {
            "units": known.units,
            "coverage_content_type": known.coverage_content_type,
            "references": "https://doi.org/10.1111/2041-210X.13650",
        }
    stem, annual, monthly = key.removesuffix("_annual"), key.endswith("_annual"), "month" in fields["estimate"].dims
    name = entry.name + ("_annual" if annual else "")
    text, extra, after = _STATISTICS.get(stem, ("", {}, ""))
    attrs = shared | _names(entry) | {"units": entry.units, "coverage_content_type": "modelResult"}
    attrs["long_name"] = " ".join(filter(None, (text, "annual mean" if annual else "", entry.long_name)))
    attrs["cell_methods"] = _cell_methods(f"then the {after} over members" if after else "", monthly and not annual)
    if annual or stem not in ("estimate", "sd"):
        attrs.pop("standard_name", None)  # a search by standard name finds one variable: the estimate
    if stem != "estimate":
        if "standard_name" in attrs:
            attrs["standard_name"] += " standard_error"
        return f"{name}_{stem}", attrs | extra | {"coverage_content_type": "qualityInformation"}
    beside = [f"{name}_{s}" for s in _STATISTICS if s + ("_annual" if annual else "") in fields]
    for flag in ("applicability", "dissimilarity_index"):  # the CF data model allows no further axis
        if flag in fields and set(fields[flag].dims) <= set(fields[key].dims):
            beside.append(flag)
    return name, attrs | ({"ancillary_variables": " ".join(beside)} if beside else {})


def _cell_methods(comment, monthly):
    """Of months, the climatological methods must stand alone (section 7.4 of the checker); the others go into their comment."""
    if monthly:
        return f"{_OVER_MONTHS} ({', '.join(filter(None, (_OVER_CELL, comment)))})"
    return _OVER_CELL + (f" ({comment})" if comment else "")


def _with_coordinates(dataset, taxon, zone):
    name, top, bottom = zone
    dataset = dataset.assign_coords(
        taxon=taxon.name,
        biological_taxon_lsid=taxon.lsid,
        zone=name,
        depth=(top + bottom) / 2,
        zone_top=float(top),
        zone_bottom=float(bottom),
    )
    dataset["taxon"].attrs = {"standard_name": "biological_taxon_name", "long_name": "name of the taxon"}
    dataset["biological_taxon_lsid"].attrs = {
        "standard_name": "biological_taxon_lsid",
        "long_name": "life science identifier of the taxon, empty where it has none",
    }
    dataset["zone"].attrs = {"long_name": "depth zone (m)"}
    dataset["depth"].attrs = {
        "standard_name": "depth",
        "long_name": "middle of the zone, whose limits are zone_top and zone_bottom",
        "units": "m",
        "positive": "down",
        "axis": "Z",
        "coverage_content_type": "coordinate",
    }
    for limit in ("zone_top", "zone_bottom"):
        entry = vocabulary_entry(limit)
        dataset[limit].attrs = _names(entry) | {"units": entry.units, "coverage_content_type": "coordinate"}
    for axis, letter, limit in (("lat", "Y", 90.0), ("lon", "X", None)):
        entry = vocabulary_entry(axis)
        dataset[axis].attrs = _names(entry) | {
            "units": entry.units,
            "axis": letter,
            "bounds": f"{axis}_bnds",
            "coverage_content_type": "coordinate",
        }
        dataset[f"{axis}_bnds"] = ((axis, "bnds"), _bounds(dataset[axis].to_numpy(), axis, limit))
    if "month" in dataset.dims:
        dataset = _with_time(dataset)
    dataset["crs"] = (
        (),
        np.int32(0),
        {
            "grid_mapping_name": "latitude_longitude",
            "long_name": "sphere that the areas are computed on",
            "earth_radius": sphere_radius(dataset["cell_area"]),
            "longitude_of_prime_meridian": 0.0,
        },
    )
    return dataset


def _with_time(dataset):
    """The months as a climatological time axis (CF section 7.4), with the month beside it."""
    months = dataset["month"].to_numpy().astype(int)
    start = np.array([f"{FIRST_YEAR}-{month:02d}" for month in months], dtype="datetime64[M]")
    after = np.array([f"{LAST_YEAR}-{month:02d}" for month in months], dtype="datetime64[M]") + 1
    bounds = np.stack([start, after], axis=1).astype("datetime64[D]").astype(float)
    middle = np.array([f"{MIDDLE_YEAR}-{month:02d}-16" for month in months], dtype="datetime64[D]").astype(float)
    dataset = dataset.assign_coords(time=("month", middle)).swap_dims(month="time")
    dataset["time"].attrs = {
        "standard_name": "time",
        "long_name": "middle of the month, in a year amid the climatology",
        "units": "days since 1970-01-01",
        "calendar": "proleptic_gregorian",
        "units_metadata": "leap_seconds: none",
        "axis": "T",
        "climatology": "climatology_bnds",
        "coverage_content_type": "coordinate",
    }
    dataset["climatology_bnds"] = (("time", "bnds"), bounds)
    dataset["month"].attrs = {
        "long_name": "month of the year",
        "units": "1",
        "coverage_content_type": "coordinate",
        "comment": "1 is January",
    }
    return dataset


def _bounds(centres, axis, limit):
    steps = np.diff(centres)
    if centres.size < 2 or not np.allclose(steps, steps[0], rtol=1e-4) or steps[0] <= 0:
        raise UserError(f"{axis} of a map must ascend in even steps, but begins with {centres[:4].tolist()}.")
    half = steps.mean() / 2
    edges = np.stack([centres - half, centres + half], axis=1).astype(float)
    return edges if limit is None else np.clip(edges, -limit, limit)


def global_attributes(dataset, quantity, taxon, zone, about):
    """What a map file says about itself as a whole (ACDD-1.3).

    Parameters
    ----------
    dataset : xarray.Dataset
        With ``lat``, ``lon`` and their bounds.
    quantity : str
        Name in the vocabulary.
    taxon : aqqua_dist.organisms.taxonomy.Taxon
        Name and note.
    zone : tuple of (str, float, float)
        Name, top and bottom (m, positive down).
    about : MapAbout
        Title, authors and method.

    Returns
    -------
    dict
        Attributes; those that would be empty are absent.
    """
    entry = vocabulary_entry(quantity)
    south, north = (float(f(dataset["lat_bnds"])) for f in (np.min, np.max))
    west, east = (float(f(dataset["lon_bnds"])) for f in (np.min, np.max))
    corners = [(south, west), (north, west), (north, east), (south, east), (south, west)]
    ring = ", ".join(f"{lat:g} {lon:g}" for lat, lon in corners)
    remark = f" Taxon {taxon.name}: {taxon.note}." if taxon.note else ""
    named = {
        "institution": about.institution,
        "creator_institution": about.institution,
        "references": ", ".join(about.references),
    }
    for role in ("creator", "publisher"):
        named |= {
            f"{role}_name": about.creator_name,
            f"{role}_email": about.creator_email,
            f"{role}_url": about.creator_url,
        }
    return {
        "Conventions": CONVENTIONS,
        "title": about.title,
        "summary": about.summary,
        "keywords": f"plankton, habitat model, {entry.long_name}, {taxon.name}, global ocean, {zone[0]} m",
        "naming_authority": "aqqua-dist",
        "cdm_data_type": "Grid",
        "source": about.source,
        "license": about.licence,
        "project": about.title,
        "processing_level": "modelled, gridded",
        "standard_name_vocabulary": "CF Standard Name Table v93",
        "estimate": about.estimate,
        "member_scheme": about.member_scheme,
        "n_members": np.int32(about.n_members),
        "comment": (
            f"{entry.name} is the {about.estimate}. Spread over {about.n_members} members: {about.member_scheme}. "
            f"Variables with mantissa_bits keep that many bits of the mantissa (relative error at most {RELATIVE_ERROR:.2g}). "
            f"Variables without standard_name have none in the CF table.{remark}"
        ),
        **_centres(dataset, "lat", "north"),
        **_centres(dataset, "lon", "east"),
        "geospatial_vertical_min": float(zone[1]),
        "geospatial_vertical_max": float(zone[2]),
        "geospatial_vertical_resolution": f"{zone[2] - zone[1]:g} m",
        "geospatial_vertical_units": "m",
        "geospatial_vertical_positive": "down",
        "geospatial_bounds": f"POLYGON (({ring}))",
        "geospatial_bounds_crs": "EPSG:4326",
        "geospatial_bounds_vertical_crs": "EPSG:5831",
    } | {name: value for name, value in named.items() if value}


def _centres(dataset, axis, direction):
    """Extent of the cell centres, as the checker compares it; the cells' edges are in geospatial_bounds."""
    values = dataset[axis].to_numpy()
    return {
        f"geospatial_{axis}_min": float(values[0]),
        f"geospatial_{axis}_max": float(values[-1]),
        f"geospatial_{axis}_units": f"degrees_{direction}",
        f"geospatial_{axis}_resolution": f"{np.diff(values).mean():g} degrees",
    }
