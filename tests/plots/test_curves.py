import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib import colors
from matplotlib.collections import PathCollection

from aqqua_dist.core import vocabulary
from aqqua_dist.core.errors import UserError
from aqqua_dist.core.grid import latitude_bands
from aqqua_dist.plots import curves

LABEL = "carbon biomass (mg m⁻³)"


def bands(regions, estimate, **extra):
    estimate = np.asarray(estimate, dtype=float)
    table = pd.DataFrame({"region": regions, "estimate": estimate, "low": estimate / 2, "high": estimate * 2})
    return table.assign(taxon="Copepoda", zone="0-200", interval="percentiles", members=100, **extra)


def stocks(estimates, zones=None, units="Pg C"):
    estimates = np.asarray(estimates, dtype=float)
    return pd.DataFrame(
        {
            "taxon": [f"taxon_{i}" for i in range(estimates.size)],
            "zone": zones or ["0-200"] * estimates.size,
            "estimate": estimates,
            "low": estimates / 2,
            "high": estimates * 2,
            "units": units,
            "interval": "lognormal",
            "members": 100,
        }
    )


def visible(figure):
    return [axes for axes in figure.axes if axes.get_visible()]


@pytest.mark.parametrize(
    "region, limits", [("40S-30S", (-40, -30)), ("10S-0", (-10, 0)), ("0-10N", (0, 10)), ("2.5N-5N", (2.5, 5))]
)
def test_latitude_band(region, limits):
    assert curves.latitude_band(region) == limits


@given(st.sampled_from([2.5, 5.0, 10.0, 30.0]), st.floats(-89.9, 89.9, allow_subnormal=False))
@settings(deadline=None)
def test_latitude_band_reads_what_the_grid_writes(width, lat):
    south, north = curves.latitude_band(latitude_bands(np.array([lat]), width)[0])
    assert south <= lat <= north
    assert north - south == pytest.approx(width)


def test_no_latitude_band():
    with pytest.raises(UserError, match="'atlantic_ocean' is no latitude band"):
        curves.latitude_band("atlantic_ocean")


@pytest.mark.parametrize(
    "stock, quantity, expected",
    [
        ("Pg C", "carbon_biomass", 1000.0),
        ("Tg C", "carbon_biomass", 1.0),
        ("1", "number_concentration", 1e-15),
        ("km3", "biovolume_concentration", 1000.0),
        ("1", "embedding_component", 1.0),  # a mean stays a mean
    ],
)
def test_concentrations(stock, quantity, expected):  # 1 Pg in 10^15 m3 is 1 g m-3; 1 km3 is 10^18 mm3
    budget = pd.DataFrame(
        {"estimate": [1.0], "low": [0.5], "high": [2.0], "total": [3.0], "volume": [1e15], "units": [stock]}
    )
    found = curves.regional_means(budget, vocabulary.quantity(quantity))
    np.testing.assert_allclose(
        found[["estimate", "low", "high", "total"]].to_numpy()[0], expected * np.array([1, 0.5, 2, 3])
    )
    assert budget["estimate"].tolist() == [1.0]


@pytest.mark.parametrize(
    "name, text", [("0-200", "0–200 m"), ("Collodaria_others", "Collodaria others"), ("euphotic", "euphotic")]
)
def test_name_text(name, text):
    assert curves.name_text(name) == text


@pytest.mark.parametrize(
    "kinds, name, words",
    [
        (["percentiles"], "2.5–97.5 % of the members", "2.5 and 97.5 percentiles of 100 members."),
        (["lognormal"], "95 % interval", "log-normal about the estimate, with the spread of 100 members."),
        (["lognormal, sd x 1.5"], "95 % interval", "100 members, standard deviation × 1.5."),
        (["lognormal", "percentiles"], "95 % interval", "; percentiles where a member is zero."),
    ],
)
def test_interval_text(kinds, name, words):
    legend, caption = curves.interval_text(pd.DataFrame({"interval": kinds, "members": 100}))
    assert legend == name
    assert caption.endswith(words)


def predictions(schemes=("random", "spatial_block")):
    observed = np.array([0.0, 0.0, 0.1, 1.0, 10.0])
    rows = pd.DataFrame({"observed": observed, "predicted": [0.2, 0.1, 0.1, 2.0, 6.0]})
    return pd.concat([rows.assign(scheme=scheme) for scheme in schemes], ignore_index=True)


def test_observed_predicted():
    figure = curves.observed_predicted(predictions(), label=LABEL)
    panels = visible(figure)
    assert [axes.get_title(loc="left") for axes in panels] == ["a   random folds", "b   spatial blocks"]
    assert (panels[0].get_xlabel(), panels[0].get_ylabel()) == (f"observed {LABEL}", f"predicted {LABEL}")
    dots = next(c for c in panels[0].collections if isinstance(c, PathCollection))
    np.testing.assert_allclose(dots.get_offsets(), predictions(["random"])[["observed", "predicted"]])
    assert panels[0].get_xscale() == "symlog"
    low, high = panels[0].get_xlim()
    assert low < 0 and high >= 10, "zeros and the largest value lie inside"
    np.testing.assert_allclose(panels[0].lines[0].get_xdata(), panels[0].lines[0].get_ydata())
    # R2 = 1 - (0.2^2 + 0.1^2 + 1^2 + 4^2) / sum((y - 2.22)^2), the mean of y being 2.22
    numbers = panels[0].texts[0].get_text()
    assert numbers.startswith(f"n = 5 (2 zeros), R² = {1 - 17.05 / (2 * 2.22**2 + 2.12**2 + 1.22**2 + 7.78**2):.2f}")


def test_one_scheme_and_constant_predictions():
    figure = curves.observed_predicted(predictions(["test"]).assign(predicted=1.0), label=LABEL)
    assert [axes.get_title(loc="left") for axes in visible(figure)] == ["a   test rows"]
    assert visible(figure)[0].texts[0].get_text() == "n = 5 (2 zeros)"


@pytest.mark.parametrize("factor", [1e-9, 1e7])
def test_any_magnitude_has_few_decades(factor):
    table = predictions()
    table[["observed", "predicted"]] *= factor
    ticks = curves.observed_predicted(table, label=LABEL).axes[0].get_xticks()
    assert 3 <= len(ticks) <= 7
    assert ticks[0] == 0 and ticks[-1] >= 10 * factor


def responses():
    x = np.array([3.0, 1.0, 2.0])
    one = pd.DataFrame({"x": x, "mean": x, "q025": x / 2, "q975": x * 2})
    return pd.concat(
        [one.assign(predictor="temperature"), one.assign(predictor="own_layer", q975=x * 3)], ignore_index=True
    )


def test_response_curves():
    rug = pd.DataFrame({"temperature": np.linspace(0, 10, 101)})
    figure = curves.response_curves(responses(), label=LABEL, rug=rug)
    first, second = visible(figure)
    assert (first.get_xlabel(), second.get_xlabel()) == ("temperature (°C)", "own layer")
    assert figure.get_supylabel() == LABEL
    np.testing.assert_allclose(first.lines[0].get_xydata(), [[1, 1], [2, 2], [3, 3]])
    band = first.collections[0].get_paths()[0].vertices
    assert (band[:, 1].min(), band[:, 1].max()) == (0.5, 6)
    marks = [path.vertices[0, 0] for path in first.collections[1].get_paths()]
    np.testing.assert_allclose(marks, np.arange(1, 10))
    assert first.get_ylim() == second.get_ylim() == (0, pytest.approx(1.05 * 9))


def test_latitude_curve():
    axes = curves.latitude_curve(bands(["0-10N", "20S-10S", "10S-0"], [3.0, 1.0, 2.0]), label=LABEL)
    fill, line = axes.patches
    np.testing.assert_allclose(line.get_data().values, [1, 2, 3])
    np.testing.assert_allclose(line.get_data().edges, [-20, -10, 0, 10])
    np.testing.assert_allclose(fill.get_data().values, [2, 4, 6])
    np.testing.assert_allclose(fill.get_data().baseline, [0.5, 1, 1.5])
    assert axes.get_ylabel() == LABEL
    axes.figure.canvas.draw()
    assert [text.get_text() for text in axes.get_xticklabels()] == ["60°S", "30°S", "0°", "30°N", "60°N"]


def test_a_missing_band_breaks_the_line():
    axes = curves.latitude_curve(bands(["20S-10S", "0-10N"], [1.0, 3.0]), label=LABEL)
    assert [list(patch.get_data().edges) for patch in axes.patches[1::2]] == [[-20, -10], [0, 10]]


@pytest.mark.parametrize("known", [True, False])
def test_truth_is_drawn_where_it_is_known(known):
    table = bands(["10S-0", "0-10N"], [2.0, 3.0], **({"total": [2.5, 3.5]} if known else {}))
    figure = curves.latitude_curves(table, label=LABEL)
    drawn = [p for p in figure.axes[0].patches if colors.to_hex(p.get_edgecolor()).upper() == curves.ORANGE]
    assert [list(p.get_data().values) for p in drawn] == ([[2.5, 3.5]] if known else [])
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend == ["estimate", "2.5–97.5 % of the members"] + ["truth of the virtual survey"] * known


def test_stock_intervals():
    published = pd.DataFrame(
        {"taxon": ["taxon_1"], "zone": ["0-200"], "value": [3e-3], "units": ["Pg C"], "source": ["a paper"]}
    )
    figure = curves.stock_intervals(
        stocks([1.0, 2.0, 5.0], ["0-200", "0-200", "200-500"], "Tg C"), published, label="stock (Tg C)"
    )
    upper, lower = figure.axes
    assert [axes.get_title(loc="left") for axes in (upper, lower)] == ["a   0–200 m", "b   200–500 m"]
    assert [text.get_text() for text in upper.get_yticklabels()] == ["taxon 0", "taxon 1"]
    drawn = {line.get_marker(): line.get_xydata() for line in upper.lines}
    np.testing.assert_allclose(drawn["D"], [[3, 1]])  # 0.003 Pg are 3 Tg, beside taxon 1
    np.testing.assert_allclose(drawn["o"], [[2, 1]])
    np.testing.assert_allclose(upper.lines[0].get_xdata(), [0.5, 2])
    assert [text.get_text() for text in upper.texts] == ["1.0 (0.50–2.0)", "2.0 (1.0–4.0)"]
    assert upper.get_xscale() == "linear" and upper.get_xlim()[0] == 0
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["estimate, 95 % interval", "a paper"]


def test_wide_stocks_are_logarithmic_and_zeros_stay_visible():
    table = stocks([0.0, 1.0, 50.0])
    table.loc[2, "low"] = 0.0
    axes = curves.stock_intervals(table, label="stock (Pg C)").axes[0]
    assert axes.get_xscale() == "log" and axes.get_xlim()[0] == pytest.approx(1 / 3)
    arrows = [line.get_ydata()[0] for line in axes.lines if line.get_marker() == "<"]
    assert arrows == [0, 2], "the zero and the interval that reaches zero"
    assert [line.get_ydata()[0] for line in axes.lines if line.get_marker() == "o"] == [1, 2]


@pytest.mark.parametrize(
    "draw, table",
    [
        (curves.observed_predicted, predictions()),
        (curves.response_curves, responses()),
        (curves.latitude_curve, bands(["10S-0"], [1.0])),
        (curves.latitude_curves, bands(["10S-0"], [1.0])),
        (curves.stock_intervals, stocks([1.0])),
    ],
)
def test_empty_or_wrong_tables(draw, table):
    with pytest.raises(UserError, match="0 rows to draw, at least 1 is needed"):
        draw(table.iloc[:0], label=LABEL)
    with pytest.raises(UserError, match=r"columns \[.*\] are missing"):
        draw(table[table.columns[:1]], label=LABEL)


def test_all_zero_predictions():
    with pytest.raises(UserError, match="all 20 values are zero"):
        curves.observed_predicted(predictions().assign(observed=0.0, predicted=0.0), label=LABEL)


def test_unit_of_published_stock_must_fit():
    published = pd.DataFrame(
        {"taxon": ["taxon_0"], "zone": ["0-200"], "value": [3.0], "units": ["km3"], "source": ["a paper"]}
    )
    with pytest.raises(UserError, match="published stock of taxon_0"):
        curves.stock_intervals(stocks([1.0]), published, label="stock (Pg C)")
