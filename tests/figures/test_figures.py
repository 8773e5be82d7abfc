"""The scripts of the figures folder, on small run folders written here."""

import runpy
import socket
import sys

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from cartopy.mpl.geoaxes import GeoAxes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image

from aqqua_dist.core import files
from aqqua_dist.core.errors import UserError
from aqqua_dist.core.provenance import Provenance
from aqqua_dist.recipe.recipe import Recipe

NAMES = ["global_maps", "observed_predicted", "response_curves", "latitude_curves", "stocks"]
ORIGIN = Provenance(study="small", stage="budget", key="0")
LAT, LON = np.arange(-85.0, 90, 10), np.arange(-175.0, 180, 10)
SCHEME = "100 models on cruises drawn with replacement"
BANDS = ["40S-30S", "30S-20S", "10S-0", "0-10N"]


def write_map(run, taxon, zone, *, monthly):
    dims, shape = ("taxon", "month", "zone", "lat", "lon"), (1, 12, 1, LAT.size, LON.size)
    seasons = np.linspace(1, 12, 12)[None, :, None, None, None] * np.ones(shape)
    field = np.where(np.abs(LAT)[:, None] < 80, np.add.outer(LAT + 100, LON / 1000), np.nan)
    parts = {
        "carbon_biomass": seasons * field,
        "carbon_biomass_sd": seasons * field / 4,
        "dissimilarity_index": seasons * field / 1000,
        "applicability": np.where(LAT[:, None] > -40, 1, 0) * np.ones(shape),
    }
    data = xr.Dataset({name: (dims, values.astype("float32")) for name, values in parts.items()})
    if monthly:
        for name in ("carbon_biomass", "carbon_biomass_sd"):
            data[name.replace("biomass", "biomass_annual")] = 10 * data[name].isel(month=0)
        data = data.assign_coords(month=np.arange(1, 13))
    else:
        data = data.isel(month=0)
    top, bottom = (float(part) for part in zone.split("-"))
    data = data.assign_coords(
        taxon=[taxon], zone=[zone], lat=LAT, lon=LON, zone_top=("zone", [top]), zone_bottom=("zone", [bottom])
    )
    data["carbon_biomass"].attrs = {"long_name": "carbon biomass", "units": "mg m-3"}
    data.attrs = {"estimate": "full fit", "member_scheme": SCHEME}
    files.write_netcdf(data, run / "map" / f"{taxon}_{zone}.nc", ORIGIN)


def write_fit(run, taxon, zone, random):
    rows = pd.DataFrame(
        {"observed": random.gamma(1, 1, 40) * (random.random(40) > 0.3), "lat": -5.0, "lon": np.linspace(-170, 170, 40)}
    )
    rows = rows.assign(predicted=rows["observed"] * 0.5 + 0.2, taxon=taxon, zone=zone)
    tables = pd.concat([rows.assign(scheme=scheme) for scheme in ("random", "spatial_block", "test")])
    files.write_parquet(tables, run / "fit" / f"{taxon}_{zone}" / "predictions.parquet", ORIGIN)
    files.write_parquet(
        rows.assign(temperature=np.linspace(0, 30, 40), y=1.0),
        run / "fit" / f"{taxon}_{zone}" / "training.parquet",
        ORIGIN,
    )
    x = np.linspace(0, 30, 7)
    curve = pd.DataFrame({"taxon": taxon, "zone": zone, "x": x, "mean": 1 + x, "q025": x / 2, "q975": 2 + 2 * x})
    curves = [curve.assign(predictor=p) for p in ("temperature", "oxygen", "solar_radiation", "own_layer")]
    files.write_parquet(pd.concat(curves), run / "fit" / f"{taxon}_{zone}" / "responses.parquet", ORIGIN)


def write_targets(run, targets):
    listed = []
    for taxon, zone in targets:
        key = f"{taxon}_{zone}"
        tables = [f"fit/{key}/{name}.parquet" for name in ("predictions", "responses", "training")]
        about = {"taxon": taxon, "zone": zone, "key": key, "state": "done", "reason": "", "keys": {}}
        listed.append(about | {"files": [*tables, f"map/{key}.nc"]})
    files.write_json({"targets": listed}, run / "targets.json", ORIGIN)


def write_run(run, targets, *, monthly=False, truth=False):
    """A run folder with the files that the figures read."""
    random, budget = np.random.default_rng(1), []
    for number, (taxon, zone) in enumerate(targets, start=1):
        write_map(run, taxon, zone, monthly=monthly)
        write_fit(run, taxon, zone, random)
        for region_set, region in [
            ("global", "global"),
            ("basin", "pacific_ocean"),
            *(("latitude", band) for band in BANDS),
        ]:
            budget.append(
                {"taxon": taxon, "zone": zone, "region_set": region_set, "region": region, "estimate": 0.01 * number}
            )
    table = pd.DataFrame(budget).assign(
        quantity="carbon_biomass", units="Pg C", volume=1e15, interval="lognormal", members=100
    )
    table = table.assign(low=table["estimate"] / 2, high=table["estimate"] * 2)
    write_targets(run, targets)
    files.write_parquet(table, run / "budget" / "budget.parquet", ORIGIN)
    if truth:
        known = table[["taxon", "zone", "region_set", "region", "units"]].assign(total=table["estimate"] * 1.1)
        files.write_parquet(known, run / "budget" / "truth.parquet", ORIGIN)
    return run


@pytest.fixture(scope="module")
def annual(tmp_path_factory):
    targets = [(t, z) for t in ("Copepoda", "Collodaria_others") for z in ("0-200", "200-500")]
    return write_run(tmp_path_factory.mktemp("annual"), targets)


@pytest.fixture(scope="module")
def monthly(tmp_path_factory):
    return write_run(tmp_path_factory.mktemp("monthly"), [("virtual", "0-200")], monthly=True, truth=True)


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    def refuse(*_, **__):
        raise OSError("a figure opened a connection")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)


def draw(project_root, name, run):
    return runpy.run_path(str(project_root / "figures" / f"{name}.py"))["draw"](run)


def shown_texts(figure):
    """Every text that is seen, without labels of ticks outside the axes."""
    hidden, labels = set(), []
    for axis in (axis for axes in figure.findobj(lambda a: hasattr(a, "xaxis")) for axis in (axes.xaxis, axes.yaxis)):
        low, high = sorted(axis.get_view_interval())
        hidden |= {id(text) for text in axis.findobj(Text)}
        seen = axis.axes.get_visible() and axis.axes.axison and axis.get_visible()
        labels += [axis.label, axis.offsetText] * seen
        labels += [t.label1 for t in axis.get_major_ticks() if seen and low <= t.get_loc() <= high]
    others = [t for t in figure.findobj(Text) if id(t) not in hidden and (t.axes is None or t.axes.get_visible())]
    return [t for t in others + labels if t.get_visible() and t.get_text().strip()]


def text_faults(figure):
    """Texts that are too small, lie over one another or leave the figure."""
    FigureCanvasAgg(figure).draw()
    texts = [(t.get_text(), t.get_fontsize(), t.get_window_extent()) for t in shown_texts(figure)]
    faults = [f"{text!r} has {size} pt" for text, size, _ in texts if size < 7]
    inside = figure.bbox.padded(1)
    faults += [
        f"{text!r} is cut"
        for text, _, box in texts
        if not (inside.contains(box.x0, box.y0) and inside.contains(box.x1, box.y1))
    ]
    for place, (text, _, box) in enumerate(texts):
        faults += [
            f"{text!r} over {other!r}"
            for other, _, box2 in texts[:place]
            if box.padded(-0.5).overlaps(box2.padded(-0.5))
        ]
    return faults


def test_the_check_of_texts_can_fail():
    figure = Figure(figsize=(2, 2))
    figure.text(0.5, 0.5, "one")
    figure.text(0.5, 0.52, "two", fontsize=6)
    figure.text(0.9, 0.1, "too long for its place")
    assert text_faults(figure) == ["'two' has 6.0 pt", "'too long for its place' is cut", "'two' over 'one'"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", ["annual", "monthly"])
def test_print_quality(name, kind, project_root, request):
    figures = draw(project_root, name, request.getfixturevalue(kind))
    assert len(figures) == {"stocks": 1, "latitude_curves": 1 + (kind == "annual")}.get(
        name, 4 if kind == "annual" else 1
    )
    for stem, figure in figures:
        assert isinstance(figure, Figure)
        assert figure.get_figwidth() * 25.4 == pytest.approx(183) and figure.get_figheight() * 25.4 <= 247, (
            "it fits a page"
        )
        assert text_faults(figure) == [], stem


def test_default_figures_are_short_scripts(project_root):
    assert Recipe.model_fields["figures"].default == NAMES
    assert sorted(path.stem for path in (project_root / "figures").glob("*.py")) == sorted(NAMES)
    for name in NAMES:
        lines = (project_root / "figures" / f"{name}.py").read_text(encoding="utf-8").splitlines()
        assert len(lines) <= 100
        assert "def draw(run):" in lines


def test_names_are_unique(project_root, annual):
    stems = [stem for name in NAMES for stem, _ in draw(project_root, name, annual)]
    assert len(stems) == len(set(stems)) == 4 * 3 + 2 + 1
    assert {
        "maps_Copepoda_0-200",
        "observed_predicted_Collodaria_others_200-500",
        "response_curves_Copepoda_0-200",
        "latitude_curves_200-500",
        "stocks",
    } <= set(stems)


@pytest.mark.parametrize("kind, factor", [("annual", 1), ("monthly", 10)])
def test_global_maps(kind, factor, project_root, request):
    stem, figure = draw(project_root, "global_maps", request.getfixturevalue(kind))[-1]
    maps = [axes for axes in figure.axes if isinstance(axes, GeoAxes)]
    first, second, third = (np.ma.filled(axes.get_images()[0].get_array(), np.nan) for axes in maps)
    assert np.nanmax(first) == pytest.approx(factor * 175.175, rel=1e-5)  # the annual field where there is one
    np.testing.assert_allclose(second[np.isfinite(second)], 25, rtol=1e-4)  # 100 x sd / estimate
    assert np.nanmax(third) == pytest.approx(
        0.175175 * (6.5 if kind == "monthly" else 1), rel=1e-5
    )  # mean of months 1 to 12
    title, caption = (text.get_text().replace("\n", " ") for text in figure.texts)
    assert title.endswith(": carbon biomass") and "m" in title
    assert "estimate: full fit" in caption and SCHEME in caption
    assert ("in more than half of the months" in caption) == (kind == "monthly")
    assert maps[0].colorbar.ax.get_xlabel() == "carbon biomass (mg m⁻³)"
    hatched = [line.get_xydata() for line in maps[0].lines if line.get_label() == "outside"]
    assert np.nanmax(hatched[0][:, 1]) < 0, "only the south is outside"


def test_observed_predicted_and_responses(project_root, annual):
    _, figure = draw(project_root, "observed_predicted", annual)[0]
    assert len(figure.axes) == 3
    assert figure.axes[0].get_xlabel() == "observed carbon biomass (mg m⁻³)"
    assert figure.texts[0].get_text() == "Copepoda, 0–200 m: observed against predicted"
    _, figure = draw(project_root, "response_curves", annual)[0]
    assert [axes.get_xlabel() for axes in figure.axes] == [
        "temperature (°C)",
        "dissolved oxygen\n(µmol kg⁻¹)",
        "net downward solar radiation\n(W m⁻²)",
        "own layer",
    ]
    assert figure.get_supylabel() == "carbon biomass (mg m⁻³)"
    assert len(figure.axes[0].collections) == 2 and len(figure.axes[1].collections) == 1, (
        "marks where training rows are known"
    )


def test_latitude_curves(project_root, annual, monthly):
    figures = draw(project_root, "latitude_curves", annual)
    assert [len(figure.axes) for _, figure in figures] == [2, 2]
    values = [patch.get_data().values for patch in figures[0][1].axes[0].patches[1::2]]
    np.testing.assert_allclose(np.concatenate(values), 10.0)  # 0.01 Pg in 10^15 m3
    _, figure = draw(project_root, "latitude_curves", monthly)[0]
    truth = np.concatenate([patch.get_data().values for patch in figure.axes[0].patches[2::3]])
    np.testing.assert_allclose(truth, 11.0)
    assert SCHEME in figure.texts[1].get_text().replace("\n", " ")


def test_latitude_curves_are_split_into_pages(project_root, tmp_path):
    taxa = [f"taxon {number}" for number in range(14)]
    rows = [
        {"taxon": t, "zone": "0-200", "region_set": "latitude", "region": band, "estimate": 1.0}
        for t in taxa
        for band in BANDS
    ]
    table = pd.DataFrame(rows).assign(
        quantity="number_concentration", units="1", volume=1.0, low=0.5, high=2.0, interval="percentiles", members=9
    )
    files.write_parquet(table, tmp_path / "budget" / "budget.parquet", ORIGIN)
    write_targets(tmp_path, [])
    figures = draw(project_root, "latitude_curves", tmp_path)
    assert [(stem, len(figure.axes)) for stem, figure in figures] == [
        ("latitude_curves_0-200_1", 12),
        ("latitude_curves_0-200_2", 2),
    ]
    assert figures[0][1].get_supylabel() == "number concentration (m⁻³)"
    assert [text_faults(figure) for _, figure in figures] == [[], []]


def test_stocks_beside_truth_and_published(project_root, monthly, annual, tmp_path):
    diamonds = {}
    table = pd.DataFrame(
        {
            "taxon": "Copepoda",
            "zone": "0-200",
            "statistic": ["stock", "r2"],
            "published": [0.03, 0.5],
            "units": ["Pg C", "1"],
            "source": "Drago et al. 2022",
        }
    )
    copy = write_run(tmp_path, [("Copepoda", "0-200")])
    files.write_csv(table, copy / "compare.csv", ORIGIN)
    for run in (monthly, annual, copy):
        ((_, figure),) = draw(project_root, "stocks", run)
        diamonds[run] = [line.get_xdata()[0] for axes in figure.axes for line in axes.lines if line.get_marker() == "D"]
    np.testing.assert_allclose(diamonds[monthly], [0.011])
    assert diamonds[annual] == []
    np.testing.assert_allclose(diamonds[copy], [0.03])
    assert figure.axes[0].get_xlabel() == "stock (Pg C)"
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [
        "estimate, 95 % interval",
        "Drago et al. 2022",
    ]


def test_small_stocks_are_in_teragrams(project_root, tmp_path):
    run = write_run(tmp_path, [("Copepoda", "0-200")])
    table = files.read_parquet(run / "budget" / "budget.parquet")
    table[["estimate", "low", "high"]] /= 10
    files.write_parquet(table, run / "budget" / "budget.parquet", ORIGIN)
    axes = draw(project_root, "stocks", run)[0][1].axes[0]
    assert axes.get_xlabel() == "stock (Tg C)"
    assert axes.texts[0].get_text() == "1.0 (0.50–2.0)"


@pytest.mark.parametrize("name", NAMES)
def test_empty_run(name, project_root, tmp_path):
    table = pd.DataFrame(
        {"quantity": ["carbon_biomass"], "region_set": ["basin"], "taxon": ["a"], "zone": ["0-200"], "region": ["b"]}
    )
    files.write_parquet(table, tmp_path / "budget" / "budget.parquet", ORIGIN)
    write_targets(tmp_path, [])
    with pytest.raises(UserError, match=r"holds (0|no) .*\.$") as error:
        draw(project_root, name, tmp_path)
    assert str(error.value).count(". ") == 0


def test_scripts_run_alone(project_root, monthly, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["stocks.py", str(monthly)])
    runpy.run_path(str(project_root / "figures" / "stocks.py"), run_name="__main__")
    path = monthly / "figures" / "stocks.png"
    assert files.read_provenance(path) == ORIGIN
    with Image.open(path) as image:
        assert image.width / image.info["dpi"][0] * 25.4 == pytest.approx(183, abs=0.5)
