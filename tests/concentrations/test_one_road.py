"""Unknown is never zero, one vocabulary, totals of taxa: the same on every door that counts."""

import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from aqqua_dist.cli import main
from aqqua_dist.concentrations.aggregate import counting
from aqqua_dist.core import files
from aqqua_dist.core.errors import UserError
from aqqua_dist.counts import partitions, tallies
from aqqua_dist.counts.links import links_of

HEADER = (
    "object_id object_lat object_lon object_date object_time object_depth_min object_depth_max object_annotation_status object_annotation_category "
    "object_annotation_hierarchy object_area sample_id sample_program sample_tot_vol acq_id acq_instrument acq_sub_part "
    "process_particle_pixel_size_mm"
).split()
LINE = "living>Eukaryota>Metazoa>Crustacea>Copepoda"


def call(*words):
    return CliRunner().invoke(main, list(map(str, words)))


def nets(folder, **samples):
    """One net of 100 m3 per name; each entry is (number, status, label, hierarchy[, fraction, split])."""
    lines = [HEADER]
    for name, parts in samples.items():
        for number, status, label, line, *split in parts:
            fraction, sub = split or ("d1", 1)
            lines += [
                [
                    f"{name}_{len(lines) + k}",
                    43.5,
                    -7.25,
                    20190601,
                    101500,
                    0,
                    200,
                    status,
                    label,
                    line,
                    1401,
                    name,
                    "c",
                ]
                + [100, f"{fraction}_{name}", "zooscan", sub, 0.0106]
                for k in range(number)
            ]
    (folder / "ecotaxa_x.tsv").write_text("\n".join("\t".join(map(str, line)) for line in lines) + "\n")
    return folder / "ecotaxa_x.tsv"


COPEPOD = ("Copepoda", LINE)
CASE = {
    "done": [(5, "validated", *COPEPOD)],
    "half": [(1, "validated", *COPEPOD), (49, "predicted", *COPEPOD)],
    "todo": [(60, "predicted", *COPEPOD)],
    "bare": [(3, "validated", "detritus", "not-living>detritus"), (9, "predicted", "detritus", "not-living>detritus")],
}


@pytest.mark.parametrize("door", ["aggregate", "ingest"])
def test_a_sample_that_nobody_sorted_has_no_value(tmp_path, door):
    """todo was 0.0 m-3 and half 0.01 without a word; bare holds no animal and is a true zero."""
    source, out = nets(tmp_path, **CASE), tmp_path / "out"
    if door == "ingest":
        done = call("ingest", source, "-o", out, "--zone", "0-200", "--taxon", "Copepoda", "--quiet")
        path = out / "zone_concentrations.csv"
    else:
        assert call("ingest", source, "-o", tmp_path / "in", "--quiet").exit_code == 0
        done = call("aggregate", tmp_path / "in", "-o", out, "--zone", "0-200", "--taxon", "Copepoda")
        path = out / "zone_concentrations.csv"
    assert done.exit_code == 0, done.output
    assert "have no value (todo" in done.output and "118 objects do not count" in done.output
    found = pd.read_csv(path).set_index("profile")
    assert found["number_concentration"].to_dict() == {"done": 0.05, "half": 0.01, "bare": 0.0}
    assert found["share_counted"].to_dict() == {"done": 1.0, "half": 0.02, "bare": 1.0}
    folder = out / "aggregated" if door == "ingest" else out
    single = files.read_parquet(folder / "concentrations.parquet").set_index("sample_id")
    assert sorted(single.index) == ["bare", "done", "half"] and single.loc["half", "share_counted"] == 0.02
    counts = files.read_parquet(folder / "counts.parquet").query("sample_id == 'half'")
    assert counts["share_counted"].tolist() == [0.02]
    report = json.loads((folder / "report.json").read_text())
    assert [row["sample_id"] for row in report["samples_without_value"]] == ["todo"]
    assert report["statuses"] == {"validated": 9, "predicted": 118}


def test_both_doors_write_the_same_table(tmp_path):
    source = nets(tmp_path, **CASE)
    words = ("--zone", "0-200", "--taxon", "Copepoda", "--members", 4, "--carbon", "Copepoda=lehette2009_zooplankton")
    done = call("ingest", source, "-o", tmp_path / "in", *words, "--quiet")
    assert done.exit_code == 0, done.output
    assert call("aggregate", tmp_path / "in", "-o", tmp_path / "out", *words).exit_code == 0
    for name in ("zone_concentrations", "zone_samples", "zones_dropped"):
        one, two = (files.read_parquet(tmp_path / folder / f"{name}.parquet") for folder in ("in", "out"))
        pd.testing.assert_frame_equal(one, two, check_exact=True)
    found = files.read_parquet(tmp_path / "in" / "zone_concentrations.parquet")
    assert (found["carbon_biomass"][found["n"] > 0] > 0).all() and {"concentration_low", "coverage"} <= set(found)
    assert (tmp_path / "in" / "aggregated" / "members.parquet").is_file()


def test_the_rule_of_95_percent_leaves_half_sorted_samples_out(tmp_path):
    source = nets(tmp_path, **CASE)
    done = call("ingest", source, "-o", tmp_path / "out", "--zone", "0-200", "--sorted", 0.95, "--quiet")
    assert done.exit_code == 0 and "less than 0.95 of its objects count" in done.output
    found = pd.read_csv(tmp_path / "out" / "zone_concentrations.csv")
    assert set(found["profile"]) == {"done", "bare"}
    assert "within [0, 1]" in call("ingest", source, "-o", tmp_path / "x", "--zone", "0-200", "--sorted", 95).output
    lost = call("ingest", source, "-o", tmp_path / "y", "--sorted", 0.95)
    assert lost.exit_code == 2 and "--sorted says how objects are counted" in lost.output


def test_a_fraction_that_nobody_sorted_makes_the_sample_unknown(tmp_path):
    source = nets(
        tmp_path,
        s=[(3, "validated", *COPEPOD, "d1", 1), (5, "predicted", *COPEPOD, "d2", 64)],
        t=[(3, "validated", *COPEPOD, "d1", 1), (5, "validated", *COPEPOD, "d2", 64)],
    )
    done = call("ingest", source, "-o", tmp_path / "out", "--zone", "0-200", "--quiet")
    assert "a fraction with a weight of its own has objects of which none counts" in done.output
    found = pd.read_csv(tmp_path / "out" / "zone_concentrations.csv").set_index("profile")["number_concentration"]
    assert found.to_dict() == {"t": pytest.approx(3 / 100 + 64 * 5 / 100)}


def test_bins_of_a_cast_are_judged_together(tmp_path):
    """An unsorted bin of a sorted cast keeps its water in the zone; a cast that nobody sorted has no zone."""
    rows = [(f"{cast}_{top}", cast, top) for cast in ("a", "b") for top in (0, 50, 100, 150)]
    samples = pd.DataFrame(rows, columns=["sample_id", "profile", "depth_top"])
    samples.assign(depth_bottom=samples["depth_top"] + 50.0, volume=1.0).to_parquet(tmp_path / "samples.parquet")
    kinds = {"a_0": ["validated"] * 9, "a_50": ["predicted"], "b_0": ["predicted"] * 4}
    objects = pd.DataFrame([(name, "x", s) for name, held in kinds.items() for s in held])
    objects.columns = ["sample_id", "label", "status"]
    objects.to_parquet(tmp_path / "o.parquet")
    words = ("--samples", tmp_path / "samples.parquet", "--zone", "0-200")
    assert call("aggregate", tmp_path / "o.parquet", "-o", tmp_path / "out", *words).exit_code == 0
    zones = files.read_parquet(tmp_path / "out" / "zone_concentrations.parquet").set_index("profile")
    assert zones["number_concentration"].to_dict() == {"a": 9 / 4} and zones.loc["a", "share_counted"] == 0.9
    single = files.read_parquet(tmp_path / "out" / "concentrations.parquet").set_index("sample_id")["n"]
    assert single.to_dict() == {"a_0": 9, "a_100": 0, "a_150": 0, "b_50": 0, "b_100": 0, "b_150": 0}


def objects_of(folder, status=("validated",), label=("x",), **more):
    size = max(len(status), len(label))
    table = pd.DataFrame(
        {"object_id": [f"o{k}" for k in range(size)], "sample_id": "s", "label": list(label) * (size // len(label))}
        | {"status": list(status) * (size // len(status))}
        | more
    )
    table.to_parquet(folder / "o.parquet")
    pd.DataFrame({"sample_id": ["s", "empty"], "volume": 1.0}).to_parquet(folder / "samples.parquet")
    return "aggregate", folder / "o.parquet", "--samples", folder / "samples.parquet", "-o", folder / "out"


def test_statuses_are_read_in_every_spelling_and_unknown_words_are_refused(tmp_path):
    words = objects_of(tmp_path, ["V", "Validated", "validated", "P", "d", None, ""])
    assert call(*words).exit_code == 0
    assert files.read_parquet(tmp_path / "out" / "counts.parquet")["n"].tolist() == [3]
    assert json.loads((tmp_path / "out" / "report.json").read_text())["statuses"] == {
        "validated": 3,
        "predicted": 1,
        "dubious": 1,
        "unclassified": 2,
    }
    assert call(*words, "--status", "v", "--status", "P").exit_code == 0
    assert files.read_parquet(tmp_path / "out" / "counts.parquet")["n"].sum() == 4
    done = call(*objects_of(tmp_path, ["validated", "verified", "verified"]))
    assert done.exit_code == 2 and "o.parquet, column 'status': 'verified' in 2 rows is unknown" in done.output


def test_zero_of_all_objects_says_why(tmp_path):
    """2 000 000 predicted objects were `0 of 2000000 objects counted in 0 rows`, exit 0."""
    done = call(*objects_of(tmp_path, ["predicted"] * 7 + ["dubious"] * 2))
    assert done.exit_code == 2 and "of 9 objects 7 are 'predicted', 2 are 'dubious'" in done.output
    assert "--status all" in done.output and not (tmp_path / "out" / "counts.parquet").exists()


def test_labels_that_say_nothing_are_no_taxa(tmp_path):
    words = objects_of(tmp_path, label=["x", "nan", "NaN", "None", "", None])
    assert call(*words).exit_code == 0
    found = files.read_parquet(tmp_path / "out" / "counts.parquet").set_index("taxon")
    assert found["n"].to_dict() == {"x": 1, "unclassified": 5} and found.loc["x", "share_counted"] == pytest.approx(
        1 / 6
    )
    unlabelled = call(*objects_of(tmp_path, label=["nan", ""]), "--status", "all")
    assert unlabelled.exit_code == 2 and "0 objects count" in unlabelled.output


def test_totals_of_taxa_do_not_depend_on_what_else_was_asked_for(tmp_path):
    lines = {"Calanoida": f"{LINE}>Calanoida", "Copepoda": LINE}
    source = nets(tmp_path, s=[(2, "validated", label, line) for label, line in lines.items()])
    both = call(
        "ingest", source, "-o", tmp_path / "a", "--zone", "0-200", "--taxon", "Copepoda", "--taxon", "Calanoida"
    )
    assert both.exit_code == 0 and both.output.count("Copepoda holds Calanoida") == 1
    found = pd.read_csv(tmp_path / "a" / "zone_concentrations.csv").set_index("taxon")
    assert found["n"].to_dict() == {"Copepoda": 4, "Calanoida": 2}
    assert call("ingest", source, "-o", tmp_path / "b", "--zone", "0-200", "--taxon", "Copepoda").exit_code == 0
    assert pd.read_csv(tmp_path / "b" / "zone_concentrations.csv")["n"].tolist() == [4]


def scores(folder, prob, kind=np.float32, **more):
    words = objects_of(folder, ["predicted"] * len(prob), **more)
    table = pq.read_table(folder / "o.parquet").drop_columns(["label"])
    values = pa.FixedSizeListArray.from_arrays(pa.array(np.asarray(prob, dtype=kind).ravel()), len(prob[0]))
    table = table.append_column("prob", values).replace_schema_metadata({"classes": "copepod, detritus,egg"})
    pq.write_table(table, folder / "o.parquet")
    return words


@pytest.mark.parametrize("method", ["top1", "thresholded", "probabilistic"])
@pytest.mark.parametrize("rounded", ["half", "digits"])
def test_probabilities_of_half_precision_and_few_digits(tmp_path, method, rounded):
    """Rows that are scaled to 1 stopped the count with an IndexError."""
    prob = np.random.default_rng(1).dirichlet([1, 1, 1], 50)
    words = scores(tmp_path, prob.round(4)) if rounded == "digits" else scores(tmp_path, prob, np.float16)
    for more in ((), ("--no-sizes",)):
        done = call(*words, "--method", method, *more)
        assert done.exit_code == 0, done.output
    found = files.read_parquet(tmp_path / "out" / "counts.parquet").groupby("taxon")["n"].sum()
    wanted = prob.sum(axis=0) if method == "probabilistic" else np.bincount(prob.argmax(axis=1), minlength=3)
    np.testing.assert_allclose(found[["copepod", "detritus", "egg"]], wanted, rtol=2e-3)
    assert json.loads((tmp_path / "out" / "report.json").read_text())["probabilities_scaled_to_1"] > 0


def test_what_the_best_classes_leave_is_unclassified(tmp_path):
    prob = [[0.5, 0.3, 0.0], [0.6, 0.0, 0.1], [0.0, 0.0, 0.0]]
    words = scores(tmp_path, prob)
    expected = {
        "probabilistic": {"copepod": 1.1, "detritus": 0.3, "egg": 0.1, "unclassified": 1.5},
        "top1": {"copepod": 2, "unclassified": 1},
        "thresholded": {"copepod": 1, "unclassified": 2},
    }
    for method, wanted in expected.items():
        done = call(*words, "--method", method, "--threshold", 0.55)
        assert done.exit_code == 0, done.output
        found = files.read_parquet(tmp_path / "out" / "counts.parquet").set_index("taxon")["n"]
        assert found.to_dict() == {name: pytest.approx(n, abs=1e-6) for name, n in wanted.items()}
    table = pd.DataFrame({"taxon": ["copepod", "detritus", "egg"]} | {f"p_{n}": [0.4, 0.3, 0.3] for n in ("copepod",)})
    table.assign(p_detritus=[0.3, 0.4, 0.3], p_egg=[0.3, 0.3, 0.4]).to_csv(tmp_path / "v.csv", index=False)
    done = call(*words, "--method", "pacc", "--validation", tmp_path / "v.csv")
    assert done.exit_code == 2 and "they add up to 0.8, needed is 1" in done.output


def test_an_exact_sample_id_wins_over_the_name_of_a_profile():
    samples = pd.DataFrame({"sample_id": ["s", "t_0", "t_5"], "profile": ["s", "t", "t"], "volume": 1.0})
    links = links_of(samples.assign(depth_top=[0.0, 0, 5], depth_bottom=[100.0, 5, 10]))
    place = partitions.sample_places(pa.table({"sample_id": ["s", "t_5", "s"]}), links, "x")
    assert place.tolist() == [0, 2, 0]
    mixed = pa.table({"sample_id": ["s", "t"], "depth": [500.0, 7.0]})
    assert partitions.sample_places(mixed, links, "x").tolist() == [0, 2]


def test_the_key_of_a_resumed_count_holds_depths_and_weights(tmp_path):
    objects_of(tmp_path)
    groups, options = partitions.groups_of([tmp_path / "o.parquet"]), partitions.CountOptions()
    bins = pd.DataFrame(
        {"sample_id": ["s_0", "s_5"], "profile": "s", "depth_top": [0.0, 5.0], "depth_bottom": [5.0, 10.0]}
    )
    turned = bins.assign(depth_top=[5.0, 0.0], depth_bottom=[10.0, 5.0])

    def key(table, units=()):
        links = links_of(table, units)
        return partitions.key_of(groups, tallies.Axes(tuple(links.keys), ("x",)), links, options)

    assert key(bins) == key(bins.copy()) != key(turned)
    assert key(bins, {("s_0", "d1"): 1.0}) != key(bins, {("s_0", "d1"): 8.0})


def test_an_empty_table_of_zones_says_why(data_root, tmp_path):
    """Nets that end at 33-114 m beside casts of particles: a header without rows, and no word."""
    sources = (data_root / "formats/ecotaxa/ecotaxar_zooscan_tara_export.tsv", data_root / "ecopart_stations")
    done = call("ingest", *sources, "-o", tmp_path / "out", "--zone", "0-1000", "--taxon", "Copepoda", "--quiet")
    assert done.exit_code == 2
    assert "zone_concentrations is empty" in done.output and "profiles have no taxa (particles only" in done.output
    assert "cover less than 80% of each zone" in done.output and "try a shallower --zone" in done.output


def test_ifcb_bins_without_classes_are_no_zeros(data_root, tmp_path):
    source = next(p for p in sorted((data_root / "formats" / "ifcb").rglob("*.hdr"))).parent
    assert call("ingest", source, "-o", tmp_path / "in", "--quiet").exit_code == 0
    done = call("aggregate", tmp_path / "in", "-o", tmp_path / "out", "--status", "all")
    assert done.exit_code == 2 and "0 objects count" in done.output


def test_words_of_a_recipe_and_of_a_command_are_one_vocabulary():
    options, products = counting({"statuses": ["V", "p"], "least": 0.95})
    assert options.statuses == ("validated", "predicted") and products.pooling.least == 0.95
    with pytest.raises(UserError, match="statuses \\['good'\\] are unknown"):
        counting({"statuses": ["good"]})
