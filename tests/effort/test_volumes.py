"""Volumes of samples from the acquisitions of an export."""

import re

import pandas as pd
import pytest
import yaml

from aqqua_dist.core.errors import UserError
from aqqua_dist.core.tables import OBJECTS, SAMPLES, Ingested, typed
from aqqua_dist.effort import rules, volumes
from aqqua_dist.effort.choices import QUESTIONS
from aqqua_dist.effort.instruments import fraction_of
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


# -- acquisitions of one sample
def test_a_zoocam_sample_has_its_volume_once():
    """Fishing volume 100 m3, split 2, two acquisitions of 5 objects each: 10 objects in 50 m3 are 0.2 m-3, not 0.1."""
    got = with_volumes(ingested("ZooCAM", acq_id=["a", "b"], sample_fishingvolume="100", sample_sub_part="2"))
    assert got.samples["volume"].tolist() == [50.0]
    assert got.extra["acquisitions"]["weight"].tolist() == [1.0, 1.0]
    assert 10 / got.samples["volume"].item() == pytest.approx(0.2)
    assert got.samples["flags"].tolist() == ["acquisitions share one volume"]


def test_a_scanner_sample_has_its_volume_once_too():
    choices = {"scanner": Choice("scanner", units={"volconc": "cm3"})}
    got = with_volumes(ingested("scanner", acq_id=["a", "b"], sample_volconc="50"), choices)
    assert got.samples["volume"].tolist() == pytest.approx([50e-6])


def test_one_sample_with_two_volumes_has_none():
    got = with_volumes(ingested("ZooCAM", acq_id=["a", "b"], sample_fishingvolume="100", sample_sub_part=["2", "4"]))
    assert got.samples["volume"].isna().all()
    assert "tell 25 and 50 m3, and it has one volume only" in got.findings["message"].iloc[0]


def test_tot_beside_its_fractions_is_not_added():
    """tot/4, d1/1 and d2/4 with 5 objects each: 0.20 or 0.25 m-3 by one of them, never their sum 0.45."""
    columns = {"acq_id": ["tot", "d1", "d2"], "sample_tot_vol": "100", "acq_sub_part": ["4", "1", "4"]}
    got = with_volumes(ingested(**columns))
    assert got.samples["volume"].isna().all()
    assert (
        "a scan of the whole net ('tot') beside d1, d2; that is the same water twice" in got.findings["message"].iloc[0]
    )
    alone = with_volumes(ingested(acq_id=["wp2_d1_x", "wp2_d2_x"], sample_tot_vol="100", acq_sub_part=["1", "4"]))
    weights = alone.extra["acquisitions"]["weight"]
    assert (5 * weights).sum() / alone.samples["volume"].item() == pytest.approx(0.25)


def test_two_scans_of_one_fraction_are_told():
    got = with_volumes(ingested(acq_id=["wp2_d1_x", "wp2_d1_y"], sample_tot_vol="100", acq_sub_part="2"))
    assert got.samples["volume"].isna().all()
    assert "fraction 'wp2_d1_y' of 's1' stands twice" in got.findings["message"].iloc[0]
    unnamed = with_volumes(ingested(acq_id=["x", "y"], sample_tot_vol="100", acq_sub_part="2"))
    assert "scan names no fraction" in unnamed.samples["flags"].item()


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("d1_x", "d1"),
        ("TOT", "tot"),
        ("wp2_d2_1_sur_2", "d2"),
        ("bongo_d20190501_x", None),  # a date
        ("stn_d1_d2", None),  # two names: nobody can tell
        ("d1_at_d2", "d1"),
        ("total", None),
    ],
)
def test_fractions_inside_ids(text, name):
    match = fraction_of(text)
    assert (match and match["name"].lower()) == name


def test_flags_of_every_acquisition_reach_the_sample():
    got = with_volumes(ingested(acq_id=["d1", "d2"], sample_tot_vol="714", acq_sub_part=["1", "3"]))
    assert set(got.samples["flags"].item().split(";")) == {"sub_part no power of 2", "fractions add"}


# -- instruments without a rule ask in words
@pytest.mark.parametrize(
    ("instrument", "words"),
    [
        ("ISIIS", ["n_frames", "frame_volume", "line-scan", "isiis-stingray"]),
        ("Plankton Imager", ["flow_rate", "time", "hits", "misses", "plankton-imager"]),
        ("CPICS", ["CPICS: {rule: cpics", "image_volume", "n_frames"]),
        ("DSPC", ["DSPC: {rule: dspc"]),
        ("FlowCam", ["flowcam-pssdb", "acq_fluid_volume_imaged", "sample_volconc"]),
        ("UVP6", ["EcoPart", "UVP: {rule: uvp, images: images.csv, image_volume: LITRES}"]),
        ("IFCB104", [".hdr and .adc"]),
        ("PISCO", ["PISCO: {rule: pisco, images: images.csv}"]),
        ("Camera of ours", ["Camera of ours: {rule: given, units: {volume: L}"]),
    ],
)
def test_a_sample_without_a_volume_is_told_what_would_give_it(instrument, words):
    got = with_volumes(ingested(instrument))
    assert got.samples["volume"].isna().all()
    told = got.findings.query("check == 'volume' and severity == 'refused'")["message"]
    assert len(told) == 1 and told.iloc[0].startswith(f"1 samples of {instrument}, first 's1', have no volume; ")
    assert all(word in told.iloc[0] for word in words)


def test_every_rule_that_a_question_names_exists():
    named = {rule for text in QUESTIONS.values() for rule in re.findall(r"rule: ([\w-]+)", text)}
    assert named <= set(rules.rules()) and {"isiis", "cpics", "plankton-imager", "dspc", "flowcam-pssdb"} <= named


# -- casts whose bins have their volume from all images
IMAGES = "sample_id,image_id,depth\n" + "".join(f"c1,{n},{n / 2}\n" for n in range(20)) + "other,1,3\n"


def cast(tmp_path, text=IMAGES, objects=True, **choice):
    (tmp_path / "images.csv").write_text(text)
    (tmp_path / "effort.yaml").write_text(yaml.safe_dump({"UVP": {"rule": "uvp", "images": "images.csv"} | choice}))
    held = {"object_id": ["o1", "o2"], "sample_id": "c1", "depth": [1.0, 6.0], "status": "validated"}
    table = typed(pd.DataFrame(held), OBJECTS) if objects else typed(pd.DataFrame(), OBJECTS)
    own = ingested("UVP6", sample_id=["c1"], acq_id=["a"])
    read = Ingested(own.samples, table, extra=own.extra)
    return with_volumes(read, read_choices(tmp_path / "effort.yaml"))


def test_bins_of_a_cast_from_its_images(tmp_path):
    """20 images from 0 to 9.5 m of 1.13 L each: 10 in each bin of 5 m, without and with objects."""
    got = cast(tmp_path, image_volume=1.13)
    assert got.samples["sample_id"].tolist() == ["c1:0-5", "c1:5-10"]
    assert got.samples["profile"].tolist() == ["c1", "c1"]
    assert got.samples["volume"].tolist() == pytest.approx([11.3e-3, 11.3e-3])
    assert got.samples["n_images"].tolist() == [10, 10]
    assert got.objects["sample_id"].tolist() == ["c1:0-5", "c1:5-10"]
    assert got.findings["message"].str.contains("images of 1 casts, first 'other', belong to no sample").any()
    thin = cast(tmp_path, image_volume=1.13, thickness=2.5)
    assert thin.samples["volume"].tolist() == pytest.approx([5 * 1.13e-3] * 4)


def test_images_of_no_cast_and_objects_without_an_image_are_refused(tmp_path):
    with pytest.raises(UserError, match="knows none of the 1 casts, first 'c1'; it has \\['other'\\]"):
        cast(tmp_path, "sample_id,image_id,depth\nother,1,3\n", image_volume=1.0)
    with pytest.raises(UserError, match="object 'o2' of cast 'c1' at 6 m lies in a bin without any image"):
        cast(tmp_path, "sample_id,image_id,depth\nc1,1,3\n", image_volume=1.0)
    with pytest.raises(UserError, match="column .*acq_volimage.* is missing"):
        cast(tmp_path)
    with pytest.raises(UserError, match="image_volume -1 is not a number above 0"):
        cast(tmp_path, image_volume=-1)
    with pytest.raises(UserError, match="table of images .* cannot be read"):
        (tmp_path / "effort.yaml").write_text("UVP: {rule: uvp, images: none.csv}")
        with_volumes(ingested("UVP5"), read_choices(tmp_path / "effort.yaml"))
