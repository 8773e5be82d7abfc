"""A recipe whose targets are in an aggregated folder: taxa, carbon, morphotypes and components of embeddings."""

import numpy as np
import pandas as pd
import pytest

from aqqua_dist.concentrations.aggregate import Products, aggregate_objects
from aqqua_dist.core import files
from aqqua_dist.core.errors import RecipeError, UserError
from aqqua_dist.counts.partitions import CountOptions
from aqqua_dist.environment.catalogue import load_layer
from aqqua_dist.stages import pipeline

RECIPE = """\
study: {study}
title: Targets of an aggregated collection
seed: 5
taxa: {taxa}
zones:
  - {{name: 0-200, top: 0, bottom: 200}}
grid: {{resolution: 2}}
observations: {{kind: aggregated, path: collection, quantity: {quantity}{more}}}
predictors: {{kind: layers, names: [temperature, salinity, bathymetry], monthly: true}}
model: {{objective: "{objective}", effort_weight: true, rounds: 30, learning_rate: 0.1}}
members: {{{members}}}
validation: {{folds: 3, block_size: 20}}
figures: [global_maps]
"""


def collection(folder, casts=60):
    """Casts of two bins each; the number of copepods and the components of each cast are known."""
    random, floor, warm = np.random.default_rng(3), load_layer("bathymetry"), load_layer("temperature")
    samples, objects, components = [], [], []
    while len(samples) < 2 * casts:
        lat, lon = random.integers(-30, 30) * 2 + 1, random.integers(-90, 89) * 2 + 1
        if not float(floor.sel(lat=lat, lon=lon, method="nearest")) > 1000:
            continue
        cast = len(samples) // 2
        surface = (
            float(warm.sel(lat=lat, lon=lon, method="nearest").isel(month=5, depth=0))
            if {"month", "depth"} <= set(warm.dims)
            else float(lat)
        )
        for top, volume in ((0, 1.0), (100, 3.0)):
            name = f"p{cast}_{top}"
            samples.append(
                {
                    "sample_id": name,
                    "profile": f"p{cast}",
                    "cruise": f"c{cast // 6}",
                    "instrument": "UVP6",
                    "time": pd.Timestamp("2019-06-15", tz="UTC"),
                    "lat": float(lat),
                    "lon": float(lon),
                    "depth_top": float(top),
                    "depth_bottom": top + 100.0,
                    "volume": volume,
                }
            )
            n = int(random.poisson(4))
            objects += [
                {
                    "object_id": f"{name}_{k}",
                    "sample_id": name,
                    "label": "copepod" if k < n else "detritus",
                    "status": "validated",
                    "esd": 1000.0,
                }
                for k in range(n + 2)
            ]
            components.append(
                {"sample_id": name, "n": n + 2, "embedding_pc01": surface / 10 - 1.5, "embedding_pc02": random.normal()}
            )
    pd.DataFrame(samples).to_parquet(folder / "samples.parquet")
    pd.DataFrame(objects).to_parquet(folder / "objects.parquet")
    aggregate_objects(
        folder / "objects.parquet",
        folder / "collection",
        CountOptions(),
        samples=folder / "samples.parquet",
        products=Products(carbon={"copepod": "menden_deuer2000_protists"}, members=6),
    )
    pd.DataFrame(components).to_parquet(folder / "collection" / "components.parquet")
    return pd.DataFrame(samples), pd.DataFrame(objects), pd.DataFrame(components)


pytestmark = pytest.mark.filterwarnings("ignore:the error of the volume")


@pytest.fixture(scope="module")
def known(tmp_path_factory):
    folder = tmp_path_factory.mktemp("aggregated")
    return folder, *collection(folder)


def opened(folder, study, quantity="number_concentration", objective="count:poisson", taxa="[copepod]", **given):
    path, more = folder / f"{study}.yaml", {"more": "", "members": "scheme: cruise_bootstrap, n: 6"} | given
    path.write_text(RECIPE.format(study=study, quantity=quantity, objective=objective, taxa=taxa, **more))
    return pipeline.open_study(path, runs=folder / "runs", jobs=2, progress=False)


def test_rows_are_counts_over_volumes_of_the_whole_zone(known):
    folder, samples, objects, _ = known
    context = opened(folder, "taxa")
    pipeline.run(context)
    training = files.read_parquet(context.out / "match" / "training.parquet")
    n = objects[objects["label"] == "copepod"].groupby(objects["sample_id"].str.split("_").str[0]).size()
    place = samples.drop_duplicates("profile").set_index("profile")
    rows = training[training["n_samples"] == 1].set_index(["lat", "lon", "cruise"])
    checked = 0
    for cast, row in place.iterrows():
        if (key := (row["lat"], row["lon"], row["cruise"])) in rows.index:
            assert rows.loc[key, "y"] == pytest.approx(n.get(cast, 0) / 4) and rows.loc[key, "effort"] == 4
            checked += 1
    assert checked > 50
    assert (files.read_parquet(context.out / "budget" / "budget.parquet")["estimate"] > 0).any()
    assert any(
        name.endswith("collection/counts.parquet")
        for name in files.read_provenance(context.out / "match" / "training.parquet").inputs
    )


def test_carbon_of_the_counts_is_a_target(known):
    folder = known[0]
    context = opened(folder, "carbon", "carbon_biomass")
    pipeline.run(context, stop_after="match")
    training = files.read_parquet(context.out / "match" / "training.parquet")
    number = files.read_parquet(opened(folder, "taxa").out / "match" / "training.parquet")
    each = 10**-0.665 * (np.pi / 6 * 1000.0**3) ** 0.939 * 1e-9  # mg of one copepod, as if it were a protist
    np.testing.assert_allclose(training["y"], number["y"] * each, rtol=1e-3)


def test_members_draw_counts_whose_mean_is_the_count(known):
    folder = known[0]
    context = opened(folder, "drawn", more=", draw: [counting]", members="scheme: folds, folds: 3, repeats: 2")
    pipeline.run(context, stop_after="fit")
    training = files.read_parquet(context.out / "match" / "training.parquet")
    names = [name for name in training if name.startswith("draw_")]
    assert len(names) == 6
    draws, y = training[names].to_numpy(), training["y"].to_numpy()
    assert (draws[y == 0] == 0).all() and (np.ptp(draws[y > 0], axis=1) > 0).all()
    spread = (draws.sum(axis=0) - y.sum()) / np.sqrt((y / training["effort"]).sum())
    assert np.abs(spread).max() < 4.5  # Poisson: the variance of a concentration is itself over the volume
    own = files.read_json(context.out / "fit" / "copepod_0-200-0757419a" / "settings.json")
    assert own["members"] == 6


@pytest.mark.parametrize("quantity", ["number_concentration", "carbon_biomass"])
def test_members_that_were_written_are_those_of_the_fit(known, quantity):
    folder = known[0]
    context = opened(folder, f"written-{quantity[:6]}", quantity, more=", draw: [members]")
    pipeline.run(context, stop_after="match")
    training = files.read_parquet(context.out / "match" / "training.parquet")
    drawn = files.read_parquet(folder / "collection" / "members.parquet")
    drawn = drawn[(drawn["taxon"] == "copepod") & (drawn["member"] == 3)].set_index("sample_id")[quantity]
    samples = files.read_parquet(folder / "collection" / "samples.parquet").set_index("sample_id")
    amount = (drawn * samples["volume"].reindex(drawn.index)).groupby(samples["profile"].reindex(drawn.index)).sum() / 4
    place = samples.drop_duplicates("profile").set_index("profile")
    rows = training[training["n_samples"] == 1].set_index(["lat", "lon", "cruise"])
    found = [
        (rows.loc[key, "draw_0003"], amount[cast])
        for cast, row in place.iterrows()
        if (key := (row["lat"], row["lon"], row["cruise"])) in rows.index
    ]
    np.testing.assert_allclose(*zip(*found, strict=True), rtol=1e-5)
    assert len(found) > 50


def test_components_may_be_negative_and_are_mapped(known):
    folder, samples, _, components = known
    context = opened(folder, "components", "embedding_component", "reg:squarederror", "[embedding_pc01]")
    pipeline.run(context)
    training = files.read_parquet(context.out / "match" / "training.parquet")
    assert "weight" in training and "effort" not in training  # numbers of images are no sampled volume
    table = components.merge(samples, on="sample_id")
    mean = (table["embedding_pc01"] * table["n"]).groupby(table["profile"]).sum() / table.groupby("profile")["n"].sum()
    place = table.drop_duplicates("profile").set_index("profile")
    rows = training[training["n_samples"] == 1].set_index(["lat", "lon", "cruise"])
    found = [
        (rows.loc[key, "y"], mean[cast])
        for cast, row in place.iterrows()
        if (key := (row["lat"], row["lon"], row["cruise"])) in rows.index
    ]
    np.testing.assert_allclose(*zip(*found, strict=True))
    assert len(found) > 50
    budget = files.read_parquet(context.out / "budget" / "budget.parquet").set_index("region")
    world = budget.loc["global"]
    assert training["y"].min() < world["estimate"] / world["volume"] < training["y"].max()
    assert (context.out / "figures").is_dir()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"quantity": "embedding_component", "taxa": "[embedding_pc01]"},
            "embedding_component may be negative and needs 'reg:squarederror'",
        ),
        (
            {"quantity": "embedding_component", "objective": "reg:squarederror", "more": ", draw: [counting]"},
            "embedding_component has no draws",
        ),
        ({"more": ", draw: [members, volume]"}, "'members' hold all draws, leave out .'volume'."),
        ({"quantity": "chlorophyll"}, "'chlorophyll' is not allowed"),
        (
            {"more": ", draw: [counting]"},
            "observations.draw: .'counting'. would be counted three times on top of members.scheme 'cruise_bootstrap'",
        ),
        ({"more": ", draw: [volume]"}, "observations.draw: .'volume'. would be counted three times"),
        ({"more": ", draw: [luck]"}, "'luck' is not allowed"),
    ],
)
def test_recipes_that_cannot_be(known, given, message):
    with pytest.raises(RecipeError, match=message):
        opened(known[0], "bad", **given)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"taxa": "[fish]"}, "taxon 'fish' stands in none of the 2 labels"),
        (
            {"quantity": "embedding_component", "objective": "reg:squarederror", "taxa": "[embedding_pc09]"},
            "component 'embedding_pc09' of the recipe's taxa is none of",
        ),
        ({"more": ", coverage: 1.0"}, None),
    ],
)
def test_targets_that_are_not_there(known, given, message):
    context = opened(known[0], "absent", **given)
    if message is None:
        pipeline.run(context, stop_after="match")
        return
    with pytest.raises(UserError, match=message):
        pipeline.run(context, stop_after="match")


def test_a_folder_without_its_tables(known, tmp_path):
    (tmp_path / "collection").mkdir()
    with pytest.raises(UserError, match="there is no samples.parquet; give the folder that"):
        pipeline.run(opened(tmp_path, "empty"), stop_after="match")
