"""Volumes of samples from the acquisitions of an export."""

import pandas as pd
import pytest

from aqqua_dist.core.errors import UserError
from aqqua_dist.core.tables import SAMPLES, Ingested, typed
from aqqua_dist.effort import rules, volumes
from aqqua_dist.effort.volumes import Choice, read_choices, with_volumes
from aqqua_dist.readers.ecotaxa.export import read_ecotaxa
from aqqua_dist.readers.ifcb.bins import read_ifcb
from aqqua_dist.readers.sources import Source, find_sources


def ingested(instrument="ZooScan", **columns):
    table = pd.DataFrame({"sample_id": "s1", "acquisition_id": columns.get("acq_id", ["d1"])} | columns)
    samples = typed(pd.DataFrame({"sample_id": table["sample_id"].unique(), "instrument": instrument}), SAMPLES)
    return Ingested(samples, extra={"acquisitions": table})


def test_size_fractions_add():
    """d1 whole, d2 split by 8: one object of d2 stands for 8 of the net."""
    got = with_volumes(ingested(acq_id=["d1", "d2"], sample_tot_vol="714", acq_sub_part=["1", "8"]))
    assert got.samples["volume"].tolist() == [714.0]
    acquisitions = got.extra["acquisitions"]
    assert acquisitions["acquisition_volume"].tolist() == [714.0, 714 / 8]
    assert acquisitions["weight"].tolist() == [1.0, 8.0]
    assert got.samples[["effort_rule", "flags"]].to_numpy().tolist() == [["zooscan v1", "fractions add"]]
    n = [30, 5]
    assert sum(k * w for k, w in zip(n, acquisitions["weight"], strict=True)) / 714 == pytest.approx(
        30 / 714 + 5 * 8 / 714
    )


def test_repeats_are_pooled():
    columns = {
        "acq_id": ["a1", "a2"],
        "acq_imaged_volume": ["2", "3"],
        "sample_total_volume": "100",
        "sample_dilution_factor": "1",
        "sample_concentrated_sample_volume": "200",
    }
    got = with_volumes(ingested("PlanktoScope", **columns))
    assert got.samples["volume"].tolist() == pytest.approx([(2 + 3) * 100e-3 / 200])  # mL * m3 / mL
    assert got.extra["acquisitions"]["weight"].tolist() == [1.0, 1.0]


def test_a_missing_volume_is_never_one():
    got = with_volumes(ingested(acq_id=["d1"], sample_tot_vol="99999", acq_sub_part="1"))
    assert got.samples["volume"].isna().all()
    assert got.findings[["severity", "check"]].to_numpy().tolist() == [["refused", "volume"]]
    assert "'99999' stands for none; there is no volume without it, never 1." in got.findings["message"].iloc[0]


def test_one_bad_sample_does_not_cost_the_others():
    got = with_volumes(
        ingested(sample_id=["s1", "s2"], acq_id=["d1", "d1"], sample_tot_vol=["100", "nan"], acq_sub_part="2")
    )
    assert got.samples["volume"].tolist() == pytest.approx([50.0, float("nan")], nan_ok=True)


def test_instruments_without_a_settled_rule_need_a_choice(tmp_path):
    columns = {
        "acq_fluid_volume_imaged": "0.18_ml",
        "sample_volconc": "50",
        "sample_comment_or_volume": "1000",
        "process_nb_images": "900",
        "acq_raw_image_total": "900",
    }
    assert with_volumes(ingested("FlowCam", **columns)).samples["volume"].isna().all()
    (tmp_path / "effort.yaml").write_text("FlowCam: {rule: flowcam-pssdb, parts: pool, rel_sd: 0.1}\n")
    got = with_volumes(ingested("FlowCam", **columns), read_choices(tmp_path / "effort.yaml"))
    assert got.samples["volume"].tolist() == pytest.approx([0.18e-6 * 1000 / 50])
    assert got.samples["volume_rel_sd"].tolist() == [0.1]
    bad = {"FlowCam": Choice("flowcam-ecotaxatoolbox")}
    with pytest.raises(UserError, match="effort of FlowCam: .*volpump"):
        with_volumes(ingested("FlowCam", **columns), bad)
    twice = ingested("FlowCam", acq_id=["a", "b"], **columns)
    with pytest.raises(UserError, match="has several acquisitions; say 'parts: add'"):
        with_volumes(twice, {"FlowCam": Choice("flowcam-pssdb")})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("FlowCam: flowcam\n", "is no choice of a rule"),
        ("FlowCam: {rule: none}\n", "rule 'none' is unknown"),
        ("[1]\n", "holds list"),
        ("A: {rule: given, parts: x}\n", "parts 'x' is none of"),
        ("A: {rule: given, fill: 3}\n", "fill 3 is no mapping"),
        ("a: [\n", "cannot be read"),
    ],
)
def test_faults_of_the_file(tmp_path, text, message):
    (tmp_path / "effort.yaml").write_text(text)
    with pytest.raises(UserError, match=message):
        read_choices(tmp_path / "effort.yaml")


def test_planktoscope_export_gives_plausible_concentrations(data_root):
    """Real export; three samples lack the dilution factor and get a volume only where the user says it."""
    source = Source(data_root / "formats/ecotaxa/ecotaxa_export_planktoscope_anonymised.tsv.gz")
    read = read_ecotaxa([source])
    got = with_volumes(read)
    known = got.samples["volume"].notna()
    assert (len(known), known.sum()) == (14, 11)
    assert set(got.samples.loc[known, "effort_rule"]) == {"planktoscope v1"}
    row = got.extra["acquisitions"].set_index("sample_id").loc["09/11/2021_12:41_DN50v1.1"]
    expected = float(row["acq_imaged_volume"]) * float(row["sample_total_volume"]) * 1e-3 * 8 / 250
    assert got.samples.set_index("sample_id").loc["09/11/2021_12:41_DN50v1.1", "volume"] == pytest.approx(expected)
    living = read.objects.merge(read.extra["taxa"], on="label").query("hierarchy.str.startswith('living')")
    concentration = living.groupby("sample_id").size() / got.samples.set_index("sample_id")["volume"]
    assert (
        1 < concentration.min() < concentration.max() < 1e5
    )  # ind m-3, microplankton of 50 to 200 µm in a coastal autumn
    filled = with_volumes(read, {"PlanktoScope": Choice("planktoscope", "pool", fill={"dilution": 1})})
    assert filled.samples["volume"].notna().all()
    assert (
        "sample_dilution_factor of 3 acquisitions of PlanktoScope is empty; 1 was taken, as the effort file says."
        in filled.findings["message"].tolist()
    )


def test_ifcb_of_both_generations(data_root):
    got = with_volumes(read_ifcb(find_sources([data_root / "formats" / "ifcb"])))
    samples = got.samples.set_index("sample_id")
    assert samples["effort_rule"].tolist() == ["ifcb v2", "ifcb-old v1"]
    look = got.extra["acquisitions"].set_index("sample_id").loc["IFCB5_2012_028_081515", "look_time"]
    assert samples.loc["IFCB5_2012_028_081515", "volume"] == pytest.approx(40 * 5 / 48000 * 1e-6 * look)
    assert 0 < samples["volume"].min() < samples["volume"].max() < 5e-6


def test_every_default_is_a_rule():
    assert {choice.rule for choice in (*volumes.DEFAULTS.values(), *volumes.GENERATIONS.values())} <= set(rules.rules())
