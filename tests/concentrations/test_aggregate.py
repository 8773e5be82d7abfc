"""`aqqua-dist aggregate` from an ingested folder, and from partitions of any origin."""

import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from aqqua_dist.cli import main
from aqqua_dist.concentrations.aggregate import aggregate_objects
from aqqua_dist.core import files
from aqqua_dist.core.errors import UserError
from aqqua_dist.counts.counting_error import garwood
from aqqua_dist.counts.objects import parse_memory
from aqqua_dist.counts.partitions import CountOptions
from aqqua_dist.readers.ingest import ingest


def call(*words):
    return CliRunner().invoke(main, ["aggregate", *map(str, words)])


@pytest.fixture(scope="module")
def tables(data_root, tmp_path_factory):
    folder = tmp_path_factory.mktemp("tables")
    ingest([data_root / "formats/ecotaxa/ecotaxar_zooscan_tara_export.tsv"], folder, progress=False)
    return folder


def test_an_ingested_folder_becomes_counts_and_concentrations(tables, tmp_path):
    done = call(tables, "-o", tmp_path, "--taxon", "Copepoda")
    assert done.exit_code == 0, done.output
    counts = files.read_parquet(tmp_path / "counts.parquet")
    objects = files.read_parquet(tables / "objects.parquet")
    assert counts["n"].sum() == len(objects) == 99
    assert counts["biovolume"].sum() == pytest.approx((np.pi / 6e9 * objects["esd"] ** 3).sum(), rel=1e-9)
    assert (counts["esd_low"] < counts["esd_high"]).all()
    np.testing.assert_allclose(counts[["n_low", "n_high"]].to_numpy().T, garwood(counts["n"]))
    found = files.read_parquet(tmp_path / "concentrations.parquet").set_index("sample_id")
    acquisitions = files.read_parquet(tables / "acquisitions.parquet").set_index(["sample_id", "acquisition_id"])[
        "acquisition_volume"
    ]
    lines = files.read_parquet(tables / "taxa.parquet").set_index("label")["hierarchy"]
    copepods = objects[
        objects["label"].map(lines).str.contains("Copepoda")
        & ~objects["label"].str.contains("part|multiple|egg|nauplii")
    ]
    expected = (
        (1 / acquisitions.reindex(list(zip(copepods["sample_id"], copepods["acquisition_id"], strict=True))))
        .groupby(level=0)
        .sum()
    )
    np.testing.assert_allclose(
        found["number_concentration"], expected.reindex(found.index).fillna(0)
    )  # each fraction with its own volume
    assert (
        (found["concentration_low"] <= found["number_concentration"])
        & (found["number_concentration"] < found["concentration_high"])
    ).all()
    assert json.loads((tmp_path / "report.json").read_text())["counted"] == 99
    assert not (tmp_path / ".sums.npz").exists()
    again = call(tables, "-o", tmp_path / "again", "--taxon", "Copepoda", "--memory", "64MiB")
    assert again.exit_code == 0, again.output
    pd.testing.assert_frame_equal(files.read_parquet(tmp_path / "again" / "counts.parquet"), counts)


def partitions(folder, rows=3000):
    rng = np.random.default_rng(2)
    table = pd.DataFrame(
        {
            "sample_id": [f"s{k}" for k in rng.integers(0, 4, rows)],
            "label": rng.choice(["a", "b"], rows),
            "esd": rng.lognormal(5, 1, rows),
        }
    )
    (folder / "objects").mkdir()
    for number, part in enumerate(np.array_split(np.arange(rows), 3)):
        pq.write_table(
            pa.Table.from_pandas(table.iloc[part], preserve_index=False),
            folder / "objects" / f"part-{number}.parquet",
            row_group_size=300,
        )
    pd.DataFrame({"sample_id": [f"s{k}" for k in range(6)], "volume": [1.0, 2, 3, 4, 5, np.nan]}).to_parquet(
        folder / "samples.parquet"
    )
    return table


def test_partitions_with_a_table_of_samples(tmp_path):
    table = partitions(tmp_path)
    found = aggregate_objects(
        tmp_path / "objects",
        tmp_path / "out",
        CountOptions(statuses=(), sizes=False),
        samples=tmp_path / "samples.parquet",
    )
    assert (found.objects, found.counted, found.rows) == (3000, 3000, 8)
    concentrations = files.read_parquet(tmp_path / "out" / "concentrations.parquet").set_index(["sample_id", "taxon"])
    assert len(concentrations) == 10  # five samples with a volume, one of them without objects
    assert concentrations.loc[("s4", "a"), ["number_concentration", "concentration_low"]].tolist() == [0, 0]
    assert concentrations.loc[("s4", "a"), "concentration_high"] == pytest.approx(3.689 / 5, abs=1e-3)
    n = table.groupby(["sample_id", "label"]).size()
    assert concentrations.loc[("s2", "b"), "number_concentration"] == pytest.approx(n["s2", "b"] / 3)
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert (report["samples_without_volume"], report["samples_without_objects"]) == (1, 2)


def test_a_cluster_writes_the_same_file(tmp_path):
    pytest.importorskip("distributed")
    partitions(tmp_path)
    words = (tmp_path / "objects", "--samples", tmp_path / "samples.parquet", "--status", "all")
    assert call(*words, "-o", tmp_path / "here").exit_code == 0
    done = call(*words, "-o", tmp_path / "there", "--scheduler", "local:2")
    assert done.exit_code == 0, done.output
    one, two = (files.read_parquet(tmp_path / name / "counts.parquet") for name in ("here", "there"))
    pd.testing.assert_frame_equal(one, two, check_exact=True)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"volume": 0.0}, "row 1: volume 0 of sample 's0' is not above 0 m3"),
        ({"sample_id": "s0"}, "'s0' stands 6 times"),
        (None, "does not exist"),
        ({"sample_id": [f"x{k}" for k in range(6)]}, "is not among the 6 samples, so nobody knows its volume"),
    ],
)
def test_samples_that_cannot_be(tmp_path, change, message):
    partitions(tmp_path)
    path = tmp_path / "samples.parquet"
    if change is None:
        path.unlink()
    else:
        pd.read_parquet(path).assign(**change).to_parquet(path)
    done = call(tmp_path / "objects", "-o", tmp_path / "out", "--samples", path, "--status", "all")
    assert done.exit_code == 2
    assert message in done.output
    assert not (tmp_path / "out" / "counts.parquet").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--memory", "lots"), "memory 'lots' is no size"),
        (("--memory", "1kB"), "below 16 MiB"),
        (("--status", "good"), "statuses ['good'] are unknown"),
        (("--min-score", "2"), "min_score 2.0 is outside"),
        (("--status", "validated"), "there is no column 'status'"),
        (("--scheduler", "local:x"), "nor local:N"),
    ],
)
def test_faults_of_the_command(tmp_path, words, message):
    partitions(tmp_path)
    done = call(tmp_path / "objects", "-o", tmp_path / "out", "--samples", tmp_path / "samples.parquet", *words)
    assert done.exit_code == 2
    assert message in done.output


def test_nothing_to_read(tmp_path):
    with pytest.raises(UserError, match="holds no Parquet files of objects"):
        aggregate_objects(tmp_path, tmp_path / "out")


def test_sizes_of_memory():
    assert [parse_memory(text) for text in ("2GiB", "500MB", "1.5 GiB", "33554432")] == [
        2**31,
        500 * 10**6,
        3 * 2**29,
        2**25,
    ]


def test_counts_of_exports_without_images_stay_and_missing_taxa_are_no_zeros(data_root, tmp_path):
    ingest(
        [
            data_root / "formats" / "ecopart" / "tsvagg_det_multi",
            data_root / "ecopart_stations" / "pap_so_uvp5_detailed.zip",
        ],
        tmp_path / "in",
        progress=False,
    )
    done = call(tmp_path / "in", "-o", tmp_path / "out")
    assert done.exit_code == 0, done.output
    given = files.read_parquet(tmp_path / "in" / "counts.parquet")
    kept = files.read_parquet(tmp_path / "out" / "counts.parquet")
    assert len(given) > 100 and kept["n"].sum() == given["n"].sum()
    found = files.read_parquet(tmp_path / "out" / "concentrations.parquet")
    samples = files.read_parquet(tmp_path / "in" / "samples.parquet").set_index("sample_id")
    n = (
        (given["n"] * given["weight"].fillna(1.0)).groupby([given["sample_id"], given["taxon"]]).sum()
    )  # floats see part of their volume
    whole = found.set_index(["sample_id", "taxon"])["number_concentration"]
    np.testing.assert_allclose(
        whole.reindex(n.index), n / samples["volume"].reindex(n.index.get_level_values(0)).to_numpy()
    )
    known = files.read_parquet(tmp_path / "in" / "searched.parquet")
    silent = set(known.loc[~known["searched"].astype(bool), "profile"])
    assert silent and not set(samples.loc[found["sample_id"].unique(), "profile"]) & silent


def test_the_tables_of_an_ingest_are_not_written_over(tables):
    before = (tables / "counts.parquet").read_bytes()
    done = call(tables, "-o", tables)
    assert done.exit_code == 2 and "is the one that is read" in done.output
    assert (tables / "counts.parquet").read_bytes() == before
