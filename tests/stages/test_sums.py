"""Sums over taxa and zones in the budget: member by member, with their own interval, or missing with the reason."""

import numpy as np
import pandas as pd
import pytest

from aqqua_dist.core import files, run_folder
from aqqua_dist.core.errors import MethodWarning, RecipeError, UserError
from aqqua_dist.maps import stocks
from aqqua_dist.recipe.recipe import parse
from aqqua_dist.stages import fit, pipeline
from aqqua_dist.stages.plan import check

RECIPE = """\
study: sums
title: Two taxa of a virtual survey, and their sum
taxa: [virtual copepod, virtual salp]
zones:
  - {name: 0-200, top: 0, bottom: 200}
  - {name: 200-500, top: 200, bottom: 500}
grid: {resolution: 10, clip_at_sea_floor: true}
observations: {kind: virtual, quantity: carbon_biomass, cruises: 12}
predictors:
  kind: layers
  names: [temperature, salinity, wind_speed, solar_radiation, bathymetry, distance_to_coast]
model: {objective: "count:poisson", rounds: 8, learning_rate: 0.3}
members: {scheme: cruise_bootstrap, n: 6}
validation: {folds: 3, block_size: 20}
budget:
  sums:
    - {name: zooplankton, taxa: [virtual copepod, virtual salp], zones: [0-200, 200-500]}
    - {name: upper, taxa: [virtual copepod, virtual salp], zones: [0-200]}
published:
  - {taxon: zooplankton, zone: 0-200 + 200-500, statistic: stock, value: 500, units: Tg C, source: "Nobody (2020)"}
figures: [stocks, latitude_curves]
"""
SUM = ("zooplankton", "0-200 + 200-500")


def opened(folder, text=RECIPE):
    (folder / "sums.yaml").write_text(text, encoding="utf-8")
    return pipeline.open_study(folder / "sums.yaml", runs=folder / "runs", jobs=1, progress=True)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A finished run; tests only read it."""
    context = opened(tmp_path_factory.mktemp("sums"))
    pipeline.run(context)
    return context


def read(context, name="budget"):
    return files.read_parquet(context.out / "budget" / f"{name}.parquet")


def chosen(table, taxon, zone):
    return table[(table["taxon"] == taxon) & (table["zone"] == zone)].set_index(["region_set", "region"])


def member_totals(context):
    """Total of each region and member of the four targets, as their maps wrote them."""
    found = [
        files.read_parquet(one.file("map", f"{one.key}_totals.parquet")) for one in run_folder.targets(context.out)
    ]
    table = pd.concat(found)
    return table[table["taxon"].str.startswith("virtual")]


def test_a_sum_has_the_interval_of_the_members_sums(finished):
    every = member_totals(finished)
    assert len(every[["taxon", "zone"]].drop_duplicates()) == 4
    row = chosen(read(finished), *SUM)
    assert len(row) > 15
    for region in (("global", "global"), ("latitude", "10N-20N"), ("basin", "pacific_ocean")):
        rows = every[(every["region_set"] == region[0]) & (every["region"] == region[1])]
        summed = rows.groupby("member")["total"].sum()
        expected = stocks.summarise_members(summed.loc[0:].to_numpy(), summed.loc[-1])
        found = row.loc[region]
        for name in ("estimate", "mean", "sd", "low", "high", "q025", "q975"):
            assert found[name] == pytest.approx(expected[name], rel=1e-5), (region, name)
        assert found["interval"] == "lognormal" and found["members"] == 6 and found["units"] == "Pg C"
        sizes = rows[rows["member"] == 0].drop_duplicates(["zone"])
        assert found["volume"] == pytest.approx(sizes["volume"].sum())
        assert found["area"] == pytest.approx(sizes["area"].max())
    assert row["sum_of"].unique().tolist() == [
        "virtual copepod 0-200 + virtual salp 0-200 + virtual copepod 200-500 + virtual salp 200-500"
    ]
    parts = read(finished)[read(finished)["sum_of"] == ""]
    assert set(parts["taxon"]) == {"virtual copepod", "virtual salp"} and (parts["reason"] == "").all()


def test_inside_the_area_of_applicability_is_what_is_inside_for_every_target(finished):
    row, every = chosen(read(finished), *SUM), member_totals(finished)
    inside, outside = (row.loc["applicability", name] for name in ("inside", "outside"))
    assert inside["estimate"] + outside["estimate"] == pytest.approx(row.loc["global", "global"]["estimate"], rel=1e-6)
    own = every[(every["region"] == "inside") & (every["member"] == -1)]["total"].sum()
    assert 0 < inside["estimate"] <= own * (1 + 1e-6)


def test_the_spread_of_cells_is_that_of_the_sum_in_each(finished):
    """Never more than that of the parts, never less than the spread of the total."""
    row, every = chosen(read(finished), *SUM).loc["global", "global"], member_totals(finished)
    parts = every[(every["region"] == "global") & (every["member"] == 0)]["sum_cell_sd"].sum()
    assert row["sd"] <= row["sum_cell_sd"] <= parts * (1 + 1e-6)
    assert row["sum_cell_sd"] < 0.999 * parts


def test_truth_comparison_and_figures_show_the_sums(finished):
    truth = read(finished, "truth")
    known = chosen(truth, *SUM)["total"]
    own = truth[truth["taxon"].str.startswith("virtual")].groupby(["region_set", "region"])["total"].sum()
    np.testing.assert_allclose(known.sort_index(), own.loc[known.sort_index().index])
    assert len(known) == len(own)
    table = pd.read_csv(finished.out / "compare.csv")
    mine = table[table["taxon"] == "zooplankton"].set_index(["statistic", "source"])
    assert mine.loc[("stock", "Nobody (2020)"), "published"] == pytest.approx(0.5)
    estimate = chosen(read(finished), *SUM).loc["global", "global"]["estimate"]
    assert mine["ours"].loc["stock"].to_numpy() == pytest.approx(estimate)
    assert mine.loc[("stock", "truth of the virtual survey"), "published"] == pytest.approx(known["global", "global"])
    drawn = {path.stem for path in (finished.out / "figures").glob("*.png")}
    assert {"stocks", "latitude_curves_0-200"} < drawn and len(drawn) == 4


def test_draws_are_one_table_of_the_study(finished):
    table = files.read_parquet(finished.out / "draws" / "draws.parquet")
    assert table.columns.tolist() == ["member", "source", "seed", "cruise", "copies"]
    training = files.read_parquet(finished.out / "match" / "training.parquet")
    cruises = training["cruise"].unique()
    assert set(table["cruise"]) == set(cruises) and len(table) == 6 * len(cruises)
    assert (table.groupby("member")["copies"].sum() == len(cruises)).all()
    assert (table.groupby("member")["seed"].nunique() == 1).all() and table["seed"].nunique() == 6
    # numpy's own generator, as the published numbers were drawn
    random = np.random.default_rng([1, 7])
    for _, own in table.groupby("member"):
        expected = np.bincount(random.integers(len(cruises), size=len(cruises)), minlength=len(cruises))
        assert own.set_index("cruise")["copies"].loc[cruises].tolist() == expected.tolist()
    listed = files.read_json(finished.out / "fit" / f"{run_folder.targets(finished.out)[0].key}.done.json")["needs"]
    assert any(name.startswith("draws") for name in listed)


def test_a_refused_target_leaves_its_sum_missing_never_smaller(tmp_path, monkeypatch, capsys):
    """Refused at its fit or at its map: the sum says why, other targets and sums stay."""
    run, small = fit.STAGE.run, RECIPE.replace("figures: [stocks, latitude_curves]", "figures: [stocks]")

    def refuse(work):
        if (work.target.taxon, work.target.zone) == ("virtual salp", "200-500"):
            raise UserError("7 rows are too few.")
        return run(work)

    object.__setattr__(fit.STAGE, "run", refuse)
    try:
        context = opened(tmp_path, small)
        with pytest.warns(MethodWarning, match="virtual salp 200-500 is left out"):
            pipeline.run(context)
    finally:
        object.__setattr__(fit.STAGE, "run", run)
    row = chosen(read(context), *SUM)
    assert len(row) == 1 and row["estimate"].isna().all() and row["low"].isna().all() and row["high"].isna().all()
    assert row["reason"].item() == "virtual salp 200-500: 7 rows are too few."
    assert row["units"].item() == "Pg C" and row["interval"].item() == "none"
    assert (
        "sum 'zooplankton' in 0-200 + 200-500 has no value: virtual salp 200-500: 7 rows are" in capsys.readouterr().err
    )
    assert chosen(read(context), "upper", "0-200").loc["global", "global"]["estimate"] > 0
    table = pd.read_csv(context.out / "compare.csv")
    assert table.loc[table["taxon"] == "zooplankton", "ours"].isna().all()
    # with the target back, the sum is made; nothing is fitted twice
    with pytest.MonkeyPatch.context():
        (context.out / "fit").joinpath(f"{run_folder.listed(context.out)[-1].key}.refused.json").unlink()
        pipeline.run(context)
    said = capsys.readouterr().err
    assert [line for line in said.splitlines() if line.startswith("fit") and line.endswith("running")] == [
        "fit virtual salp 200-500 (4/4): running"
    ]
    assert chosen(read(context), *SUM).loc["global", "global"]["estimate"] > 0


def test_only_the_maps_of_a_changed_sum_are_made_again(finished, tmp_path, capsys):
    text = (
        RECIPE.split("    - {name: zoo")[0]
        .replace("sums:", "sums: []")
        .replace("[stocks, latitude_curves]", "[stocks]")
    )
    plain = opened(tmp_path, text + "figures: []\n")
    pipeline.run(plain)
    capsys.readouterr()
    more = "    - {name: deep, taxa: [virtual salp, virtual copepod], zones: [200-500]}\n"
    changed = opened(tmp_path, text.replace("sums: []", "sums:") + more + "figures: []\n")
    pipeline.run(changed)
    said = capsys.readouterr().err
    running = [
        line.partition(" (")[0]
        for line in said.splitlines()
        if line.endswith("running") and line.startswith(("fit", "map"))
    ]
    assert running == ["map virtual copepod 200-500", "map virtual salp 200-500"]
    one, two = read(finished), read(changed)
    keys = ["taxon", "zone", "region_set", "region"]
    both = one.merge(two, on=keys, suffixes=("", "_two"))
    assert len(both) > 60
    np.testing.assert_allclose(both["estimate"], both["estimate_two"], rtol=1e-9)


def test_fold_models_have_no_common_draw_so_that_a_sum_has_no_interval(tmp_path, capsys):
    text = RECIPE.replace("{scheme: cruise_bootstrap, n: 6}", "{scheme: folds, folds: 3, repeats: 1}")
    context = opened(tmp_path, text)
    pipeline.run(context)
    assert (
        "sum 'zooplankton' in 0-200 + 200-500 has no interval: models of members.scheme 'folds'"
        in capsys.readouterr().err
    )
    row, table = chosen(read(context), *SUM).loc["global", "global"], read(context)
    parts = table[(table["sum_of"] == "") & (table["region"] == "global")]
    assert row["estimate"] == pytest.approx(parts["estimate"].sum(), rel=1e-6)
    assert row[["low", "high", "sd", "q025", "q975", "sum_cell_sd"]].isna().all() and row["interval"] == "none"
    assert parts[["low", "high", "sd"]].notna().all().all()


FAULTS = {
    "unknown taxon": ("[virtual copepod, virtual salp], zones: [0-200]", "[virtual copepd], zones: [0-200]", "'virtual copepd' is unknown, did you mean 'virtual copepod'?"),
    "unknown zone": ("zones: [0-200]}", "zones: [0-20]}", "budget.sums.1.zones: '0-20' is unknown, did you mean '0-200'?"),
    "zones overlap": ("top: 200, bottom", "top: 150, bottom", "'0-200' and '200-500' overlap from 150 to 200 m"),
    "name of a taxon": ("name: upper", "name: virtual salp", "'virtual salp' is a taxon of this recipe"),
    "a name twice": ("name: upper", "name: zooplankton", "budget.sums: name 'zooplankton' stands 2 times"),
    "a taxon twice": ("[virtual copepod, virtual salp], zones: [0-200]", "[virtual salp, virtual salp], zones: [0-200]", "budget.sums.1.taxa: 'virtual salp' stands 2 times"),
    "a key": ("name: upper", "nam: upper", "budget.sums.1.nam: unknown key; did you mean 'name'?"),
    "a score": ("statistic: stock", "statistic: r2_correl", "'r2_correl' is of a fit, of the sum 'zooplankton'"),
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
def test_a_sum_that_cannot_be_is_refused_by_check(name):
    old, new, told = FAULTS[name]
    assert RECIPE.count(old) == 1
    with pytest.raises(RecipeError) as error:
        parse(RECIPE.replace(old, new))
    assert told in str(error.value)


@pytest.mark.parametrize(
    ("taxa", "told"),
    [
        (["Copepoda", "Calanoida"], "'Copepoda' holds 'Calanoida', which would be counted twice"),
        (["Acantharia", "Copepoda", "Rhizaria"], "'Rhizaria' holds 'Acantharia'"),
        (["Copepoda", "Crustacea"], "'Crustacea' holds 'Copepoda'"),
        (["Calanoida<Copepoda", "Copepoda"], "'Copepoda' holds 'Calanoida<Copepoda'"),
    ],
)
def test_taxa_of_which_one_holds_the_other_are_never_added(taxa, told):
    text = RECIPE.replace("[virtual copepod, virtual salp]", str(taxa)).replace(
        "{kind: virtual, quantity: carbon_biomass, cruises: 12}",
        "{kind: aggregated, path: folder, quantity: carbon_biomass}",
    )
    with pytest.raises(RecipeError) as error:
        parse(text)
    assert told in str(error.value)


def test_taxa_side_by_side_are_added():
    text = RECIPE.replace("[virtual copepod, virtual salp]", "[Copepoda, Rhizaria]").replace(
        "kind: virtual", "kind: aggregated, path: f"
    )
    text = text.replace(", cruises: 12", "")
    assert parse(text).budget.sums[0].parts[:2] == [("Copepoda", "0-200"), ("Rhizaria", "0-200")]


def test_with_all_taxa_check_knows_those_of_the_observations(tmp_path):
    text = RECIPE.replace("taxa: [virtual copepod, virtual salp]\n", "", 1).replace(
        "virtual salp], zones: [0-200]", "virtual slp], zones: [0-200]"
    )
    with pytest.raises(RecipeError, match=r"budget.sums.1.taxa: 'virtual slp' is not in .*did you mean 'virtual salp'"):
        check(opened(tmp_path, text))
