"""Partitions of objects to sums: here, in pieces, after a stop, and on a cluster that loses a worker."""

import itertools
import os
import signal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from aqqua_dist.core import cluster
from aqqua_dist.core.errors import UserError
from aqqua_dist.counts import partitions as aggregation
from aqqua_dist.counts import tallies
from aqqua_dist.counts.links import Links, links_of
from aqqua_dist.counts.partitions import CountOptions, Group, groups_of, labels_of, run_groups, tally_group

SAMPLES = pd.DataFrame({"sample_id": [f"s{k}" for k in range(7)], "volume": 2.0})


def objects(rows=5000, seed=0):
    rng = np.random.default_rng(seed)
    label = np.array(["Copepoda", "Ostracoda", "detritus", None], dtype=object)[rng.integers(0, 4, rows)]
    esd = rng.lognormal(6, 1, rows)
    esd[rng.random(rows) < 0.05] = np.nan
    return pd.DataFrame(
        {
            "object_id": [f"o{k}" for k in range(rows)],
            "sample_id": [f"s{k}" for k in rng.integers(0, 6, rows)],
            "label": label,
            "status": np.array(["validated", "predicted"])[rng.integers(0, 2, rows)],
            "esd": esd,
            "score": rng.random(rows),
        }
    )


def write(folder, table, files=3, group=400):
    """Partitions of uneven row groups."""
    folder.mkdir(exist_ok=True)
    paths = []
    for number, part in enumerate(np.array_split(np.arange(len(table)), files)):
        paths.append(folder / f"part-{number}.parquet")
        pq.write_table(pa.Table.from_pandas(table.iloc[part], preserve_index=False), paths[-1], row_group_size=group)
    return paths


def prepared(paths, options, samples=SAMPLES, rows=1000):
    groups = groups_of(paths, rows)
    links = links_of(samples)
    return (
        groups,
        tallies.Axes(tuple(links.keys), labels_of(groups), tallies.CLASSES + 1 if options.sizes else 1),
        links,
        options,
    )


def as_frame(tally, axes):
    sample, rest = np.divmod(tally.slots, len(axes.labels) * axes.sizes)
    label, size = np.divmod(rest, axes.sizes)
    return pd.DataFrame(
        {
            "sample_id": np.array(axes.samples)[sample],
            "label": np.array(axes.labels)[label],
            "size": size,
            "n": tally.n,
            "volume": tally.volume * tallies.VOLUME_UNIT,
            "unknown": tally.unknown,
        }
    )


@pytest.mark.parametrize(
    "options",
    [
        CountOptions(),
        CountOptions(statuses=()),
        CountOptions(statuses=("validated", "predicted"), sizes=False),
        CountOptions(min_score=0.7),
        CountOptions(memory=2**20),
    ],
)
def test_sums_are_those_of_pandas(tmp_path, options):
    table = objects()
    work = prepared(write(tmp_path / "parts", table), options)
    got = as_frame(run_groups(*work, state=tmp_path / "state"), work[1])
    kept = table[table["status"].isin(options.statuses)] if options.statuses else table
    label = kept["label"].fillna("unclassified").where(kept["score"] >= options.min_score, "unclassified")
    volume = np.pi / 6e9 * kept["esd"] ** 3
    size = tallies.size_class(kept["esd"]) if options.sizes else 0
    frame = pd.DataFrame(
        {"sample_id": kept["sample_id"], "label": label, "size": size, "volume": volume, "unknown": volume.isna()}
    )
    expected = (
        frame.groupby(["sample_id", "label", "size"])
        .agg(n=("unknown", "size"), volume=("volume", "sum"), unknown=("unknown", "sum"))
        .reset_index()
    )
    both = got.merge(expected, on=["sample_id", "label", "size"], how="outer", suffixes=("", "_pandas"))
    assert len(both) == len(got) == len(expected)
    assert (both["n"] == both["n_pandas"]).all()
    assert (both["unknown"] == both["unknown_pandas"]).all()
    np.testing.assert_allclose(both["volume"], both["volume_pandas"], rtol=1e-9, atol=1e-11)


def equal(one, two):
    return all(np.array_equal(getattr(one, name), getattr(two, name)) for name in ("slots", "n", "volume", "unknown"))


def test_a_stopped_run_goes_on_and_gives_the_same(tmp_path, monkeypatch):
    work = prepared(write(tmp_path / "parts", objects()), CountOptions())
    whole = run_groups(*work, state=tmp_path / "other")
    monkeypatch.setattr(aggregation, "CHECKPOINT", 0.0)
    done = []

    def stops(group, *given, **named):
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append(group)
        return tally_group(group, *given, **named)

    monkeypatch.setattr(aggregation, "tally_group", stops)
    with pytest.raises(KeyboardInterrupt):
        run_groups(*work, state=tmp_path / "state")
    visited = []
    monkeypatch.setattr(
        aggregation,
        "tally_group",
        lambda group, *given, **named: visited.append(group) or tally_group(group, *given, **named),
    )
    assert equal(run_groups(*work, state=tmp_path / "state"), whole)
    assert visited == work[0][2:]
    (tmp_path / "state").write_bytes((tmp_path / "state").read_bytes()[:200])
    assert equal(run_groups(*work, state=tmp_path / "state"), whole)  # a damaged record is done again


def test_other_options_do_not_take_the_record_of_a_run(tmp_path, monkeypatch):
    monkeypatch.setattr(aggregation, "CHECKPOINT", 0.0)
    paths = write(tmp_path / "parts", objects())
    one = run_groups(*prepared(paths, CountOptions()), state=tmp_path / "state")
    two = run_groups(*prepared(paths, CountOptions(statuses=("predicted",))), state=tmp_path / "state")
    assert int(one.n.sum()) + int(two.n.sum()) == 5000


def once_fatal(group, axes, links, options, flag=None):
    """Kills its worker the first time that it sees the second group."""
    path = links.units["flag"]
    if group == links.units["fatal"] and not os.path.exists(path):
        with open(path, "w") as stream:
            stream.write("killed")
        os.kill(os.getpid(), signal.SIGKILL)
    return tally_group(group, axes, Links(links.samples), options)


def test_a_cluster_that_loses_a_worker_gives_the_local_sums(tmp_path):
    pytest.importorskip("distributed")
    groups, axes, links, options = prepared(write(tmp_path / "parts", objects()), CountOptions(), rows=400)
    assert len(groups) > 8
    local = run_groups(groups, axes, links, options, state=tmp_path / "local")
    trap = Links(links.samples, units={"flag": str(tmp_path / "flag"), "fatal": groups[1]})
    with cluster.submitter("local:2", tmp_path) as submit:
        on_cluster = run_groups(groups, axes, links, options, state=tmp_path / "remote", submit=submit)
        wounded = tallies.merge([tally for _, tally in submit(once_fatal, groups, (axes, trap, options))])
    assert equal(on_cluster, local)
    assert (tmp_path / "flag").exists()  # a worker was killed in the middle
    assert equal(wounded, local)


@pytest.mark.parametrize(
    ("scheduler", "message"), [("local:0", "N at least 1"), ("tcp://127.0.0.1:1", "does not answer")]
)
def test_schedulers_that_are_none(tmp_path, scheduler, message):
    pytest.importorskip("distributed")
    with pytest.raises(UserError, match=message), cluster.submitter(scheduler, tmp_path):
        pass


def test_casts_find_their_bins_by_depth(tmp_path):
    bins = pd.DataFrame(
        {
            "sample_id": ["c_0", "c_5", "c_10"],
            "profile": "c",
            "depth_top": [0.0, 5, 10],
            "depth_bottom": [5.0, 10, 15],
            "volume": 0.1,
        }
    )
    table = pd.DataFrame(
        {
            "sample_id": "c",
            "label": "Copepoda",
            "status": "validated",
            "esd": 500.0,
            "depth": [4.9, 5.0, 14.0, 14.9, -0.3],
        }
    )
    work = prepared(write(tmp_path / "parts", table), CountOptions(), bins)
    got = as_frame(run_groups(*work, state=tmp_path / "state"), work[1])
    assert dict(zip(got["sample_id"], got["n"], strict=True)) == {"c_0": 2, "c_5": 1, "c_10": 2}
    work = prepared(write(tmp_path / "deep", table.assign(depth=40.0)), CountOptions(), bins)
    with pytest.raises(
        UserError, match="an object of cast 'c' at 40 m lies in none of its 3 bins \\(0-15 m\\); 2 such objects"
    ):
        run_groups(*work, state=tmp_path / "state")


@pytest.mark.parametrize(
    "depths", [{}, {"depth_top": np.nan, "depth_bottom": np.nan}, {"depth_top": 0, "depth_bottom": np.inf}]
)
def test_samples_of_a_profile_without_depths_are_found_by_their_id(tmp_path, depths):
    samples = pd.DataFrame({"sample_id": ["a", "b"], "profile": "c", "volume": 1.0}).assign(**depths)
    table = pd.DataFrame({"sample_id": ["a", "a", "b"], "label": "x", "status": "validated", "depth": 3.0})
    work = prepared(write(tmp_path / "parts", table), CountOptions(), samples)
    got = as_frame(run_groups(*work, state=tmp_path / "state"), work[1])
    assert dict(zip(got["sample_id"], got["n"], strict=True)) == {"a": 2, "b": 1}
    work = prepared(write(tmp_path / "casts", table.assign(sample_id="c")), CountOptions(), samples)
    with pytest.raises(UserError, match="sample 'c' is not among the 2 samples"):
        run_groups(*work, state=tmp_path / "state")


def test_irregular_bins_are_found_too(tmp_path):
    edges = np.array([0.0, 7, 9, 30, 31.5])
    bins = pd.DataFrame(
        {
            "sample_id": [f"{c}{k}" for c in "ab" for k in range(4)],
            "profile": np.repeat(["a", "b"], 4),
            "depth_top": np.tile(edges[:-1], 2),
            "depth_bottom": np.tile(edges[1:], 2),
            "volume": 0.1,
        }
    )
    rng = np.random.default_rng(1)
    table = pd.DataFrame(
        {
            "sample_id": rng.choice(["a", "b", "net"], 500),
            "label": "x",
            "status": "validated",
            "depth": rng.uniform(0, 31.4, 500),
        }
    )
    samples = pd.concat(
        [bins, pd.DataFrame({"sample_id": ["net"], "depth_top": 0.0, "depth_bottom": 40.0, "volume": 9.0})],
        ignore_index=True,
    )
    work = prepared(write(tmp_path / "parts", table), CountOptions(sizes=False), samples)
    got = as_frame(run_groups(*work, state=tmp_path / "state"), work[1])
    number = np.searchsorted(edges, table["depth"], side="right") - 1
    expected = pd.Series(
        np.where(table["sample_id"] == "net", "net", table["sample_id"] + number.astype(str))
    ).value_counts()
    assert dict(zip(got["sample_id"], got["n"], strict=True)) == expected.to_dict()


def test_fractions_of_different_weight_are_summed_apart(tmp_path):
    table = objects().assign(acquisition_id=lambda frame: np.where(np.arange(len(frame)) % 3, "d1", "d2"))
    groups = groups_of(write(tmp_path / "parts", table))
    links = links_of(SAMPLES, [("s1", "d1"), ("s1", "d2")])
    axes = tallies.Axes(tuple(links.keys), labels_of(groups), 1)
    got = run_groups(groups, axes, links, CountOptions(statuses=(), sizes=False), state=tmp_path / "state")
    n = pd.Series(got.n).groupby(got.slots // len(axes.labels)).sum()
    expected = table[table["sample_id"] == "s1"]["acquisition_id"].value_counts()
    assert (n[7], n[8]) == (expected["d1"], expected["d2"])
    assert 1 not in n.index


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sample_id": "x"}, "sample 'x' is not among the 7 samples, so nobody knows its volume; 400 such objects"),
        ({"esd": 1e9}, "biovolume .* outside"),
        ({"sample_id": None}, "sample None is not among"),
    ],
)
def test_objects_that_cannot_be_counted(tmp_path, change, message):
    work = prepared(write(tmp_path / "parts", objects().assign(**change)), CountOptions(statuses=()))
    with pytest.raises(UserError, match=message):
        run_groups(*work, state=tmp_path / "state")


def test_damaged_partitions_are_named(tmp_path):
    paths = write(tmp_path / "parts", objects())
    content = bytearray(paths[1].read_bytes())
    content[600:5000] = os.urandom(4400)
    paths[1].write_bytes(content)
    with pytest.raises(UserError, match="part-1.parquet"):
        work = prepared(paths, CountOptions())
        run_groups(*work, state=tmp_path / "state")
    paths[1].write_bytes(content[:300])
    with pytest.raises(UserError, match="part-1.parquet: the objects cannot be read"):
        groups_of(paths)
    pq.write_table(pa.table({"x": [1]}), paths[1])
    with pytest.raises(UserError, match="column 'sample_id' is missing"):
        groups_of(paths)


def test_groups_hold_every_row_group_once(tmp_path):
    paths = write(tmp_path / "parts", objects(), files=4, group=130)
    groups = groups_of(paths, 500)
    assert sum(group.rows for group in groups) == 5000
    parts = list(itertools.chain.from_iterable(group.parts for group in groups))
    assert len(parts) == len(set(parts)) == sum(pq.read_metadata(path).num_row_groups for path in paths)
    assert all(isinstance(group, Group) for group in groups)
