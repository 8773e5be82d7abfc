"""Sampled volume by instrument rule: hand-computed volumes, known defects of other codes, and what is refused."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aqqua_dist.core.errors import UserError
from aqqua_dist.effort.acquisitions import image_bins, look_time, trigger_times
from aqqua_dist.effort.rules import rules, volume

FLOWCAM = {
    "acq_fluid_volume_imaged": ["0.18_ml"],
    "sample_comment_or_volume": [1000.0],
    "sample_volconc": [50.0],
    "process_nb_images": [100],
    "acq_raw_image_total": [200],
}
# rule: table, its volume in m3 by hand
BY_HAND = {
    "zooscan": (
        {"sample_id": ["a", "a"], "acq_id": ["d1_a", "d2_a"], "acq_sub_part": [2, 8], "sample_tot_vol": [357, 357]},
        [178.5, 44.625],
    ),
    "zoocam": ({"sample_fishingvolume": [20.0], "sample_sub_part": [4]}, [5.0]),
    "uvp": ({"n_images": [40, 7], "acq_volimage": [1.13, 0.5]}, [0.0452, 0.0035]),
    "ecopart": ({"Sampled volume [L]": [65.54]}, [0.06554]),
    # 0.18 mL * 1000/50 = 3.6 mL; the image ratio 1/2 divides in one code and multiplies in the other
    "flowcam-pssdb": (FLOWCAM, [7.2e-6]),
    "flowcam-ecotaxatoolbox": (FLOWCAM | {"sample_volpump": [2]}, [0.9e-6]),
    "flowcam-ecotaxatools": (
        {"acq_fluid_volume_imaged": [0.3], "sample_initial_col_vol_m3": [2.0], "sample_conc_vol_ml": [100]},
        [6e-3],
    ),
    "flowcam-ecotaxatools-2": (
        {
            "acq_fluid_volume_imaged": [0.3],
            "sample_initial_col_vol_m3": [2.0],
            "sample_conc_vol_ml": [100],
            "sample_volconc": ["0.5"],
        },
        [3e-3],
    ),
    # 1.9147 mL of 300 mL that hold 1000 L, factor 8
    "planktoscope": (
        {
            "acq_imaged_volume": [1.9147],
            "sample_total_volume": [1000],
            "sample_dilution_factor": [8],
            "sample_concentrated_sample_volume": [300],
        },
        [1.9147 / 300 * 8],
    ),
    "ifcb": ({"run_time": [1200.0], "inhibit_time": [60.0]}, [0.25 * 19e-6]),
    "ifcb-old": ({"look_time": [600.0]}, [2.5e-6]),
    "pisco": ({"n_images": [10]}, [10 * 0.5 * math.pi * 0.035**2]),
    "isiis-stingray": ({"n_frames": [1000]}, [2.318]),
    "isiis": ({"n_frames": [10], "frame_volume": [0.4]}, [0.004]),
    "loki": ({"n_frames": [10], "frame_volume": [0.004]}, [4e-5]),
    "cpics": ({"n_frames": [10], "frame_volume": [0.001]}, [1e-5]),
    "dspc": ({"n_frames": [10], "frame_volume": [0.001]}, [1e-5]),
    "holographic": ({"n_frames": [10], "frame_volume": [0.002]}, [2e-5]),
    "zooglider": ({"n_images": [10], "frame_volume": [0.25]}, [2.5e-3]),
    "vpr": ({"n_frames": [10], "frame_volume": [0.01]}, [1e-4]),
    "line-scan": ({"fov_height": [130.0], "depth_of_field": [500.0], "distance": [100.0]}, [6.5]),
    "mouth-distance": ({"mouth_area": [0.25], "distance": [60.0]}, [15.0]),
    # 2048 x 1024 px of 28 um, 30 mm deep
    "frame-camera": (
        {"n_frames": [2], "width": [2048], "height": [1024], "pixel": [28.0], "path_length": [30.0]},
        [2 * 2048 * 28e-6 * 1024 * 28e-6 * 0.03],
    ),
    "plankton-imager": (
        {"flow_rate": [34.0, 34.0], "time": [10, 10], "hits": [300, 0], "misses": [100, 0]},
        [0.255, 0.34],
    ),
}


@pytest.mark.parametrize("rule", BY_HAND)
def test_a_volume_by_hand(rule):
    columns, expected = BY_HAND[rule]
    table = pd.DataFrame(columns)
    table.index += 7
    found = volume(rule, table)
    np.testing.assert_allclose(found["volume"], expected, rtol=1e-9)
    assert found.index.equals(table.index)
    assert set(found["effort_rule"]) == {f"{rule} v{rules()[rule].version}"}
    assert found["volume_rel_sd"].isna().all()  # no source gives one, so none is invented
    assert volume(rule, table, rel_sd=0.1)["volume_rel_sd"].tolist() == [0.1] * len(table)


@pytest.mark.parametrize(
    ("rule", "units", "expected"),
    [("scanner", {"volconc": "cm3"}, 5e-5), ("scanner", {"volconc": "m3"}, 50.0), ("given", {"volume": "L"}, 0.05)],
)
def test_a_unit_that_differs_between_projects_must_be_told(rule, units, expected):
    name = next(iter(units))
    table = pd.DataFrame({name: [50.0]})
    assert volume(rule, table, units=units)["volume"].item() == pytest.approx(expected)
    with pytest.raises(UserError, match=f"nobody tells the unit of '{name}'"):
        volume(rule, table)


def test_every_rule_is_tested_cited_and_frozen():
    assert set(BY_HAND) | {"scanner", "given"} == set(rules())
    for rule in rules().values():
        assert (
            rule.source
            and rule.formula
            and rule.row
            and rule.instruments
            and rule.version >= 1
            and rule.relative_sd is None
        )
        assert not rule.source.startswith("TODO")
    assert rules()["pisco"].constants["image_volume"]["value"] == pytest.approx(50 * math.pi * 3.5**2, rel=1e-12)
    assert rules()["ifcb-old"].constants["step_volume"]["value"] == pytest.approx(5 / 48000, rel=1e-12)


# -- net fractions
NET = {"sample_id": "s", "sample_tot_vol": 203.5}


def net(*fractions, **other):
    rows = [NET | {"acq_id": name, "acq_sub_part": part} | other for name, part in fractions]
    return pd.DataFrame(rows)


def test_scans_of_one_fraction_are_pooled_and_fractions_add():
    table = net(("d1_s", 1), ("d2_1_sur_2_s", 4), ("d2_2_sur_2_s", 4))
    parts, replicates = (volume("zooscan", table, scans=kind) for kind in ("parts", "replicates"))
    # 8 animals in d1, 5 and 3 in the two scans: 8/203.5 + (5+3)*4/203.5, as sub_part 4 is that of both scans together
    assert (8 / parts["volume"][0] + 5 / parts["volume"][1] + 3 / parts["volume"][2]) == pytest.approx(40 / 203.5)
    assert (8 / replicates["volume"][0] + 5 / replicates["volume"][1] + 3 / replicates["volume"][2]) == pytest.approx(
        24 / 203.5
    )
    assert parts["flags"].tolist() == ["", "scans pooled as parts", "scans pooled as parts"]


def test_parts_and_replicates_cannot_be_told_apart():
    with pytest.raises(
        UserError, match=r"row 2: fraction 'd2_1_sur_2' is one of 2 scans; say scans='parts' .* or scans='replicates'"
    ):
        volume("zooscan", net(("d2_1_sur_2", 4), ("d2_2_sur_2", 4)))
    assert volume("zooscan", net(("d1_1_sur_1", 1)))["flags"].tolist() == [""]  # one of one is all


@pytest.mark.parametrize(
    ("table", "options", "message"),
    [
        (net(("d2_1_sur_2", 4)), {"scans": "parts"}, "names 2 scans; the table has 1"),
        (
            net(("d2_1_sur_2", 4), ("d2_2_sur_2", 8)),
            {"scans": "parts"},
            r"has 2 with sub_part \[.*4.*8.*\], needed are all of them with one",
        ),
        (net(("d1", 2), ("d1", 2)), {}, "row 3: fraction 'd1' of 's' stands twice"),
        (net(("d1", 0.25)), {}, "column 'sub_part', row 2: 0.25 is below 1; a quarter is written 4"),
        (net(("wp2_d1_x", 2), ("wp2_d1_y", 2)), {}, "row 3: fraction 'wp2_d1_y' of 's' stands twice"),
        (
            net(("tot", 4), ("d1", 1), ("d2", 4)),
            {},
            r"the whole net \('tot'\) beside d1, d2; that is the same water twice",
        ),
        (net(("d1", 1)), {"scans": "both"}, "option scans is 'both', allowed are"),
        (
            pd.concat([net(("d1", 1)), net(("d2", 1), sample_tot_vol=20)]),
            {},
            "column 'tot_vol', row 2: 203.5 m3 is not as in its other fractions",
        ),
    ],
)
def test_wrong_fractions_are_refused(table, options, message):
    with pytest.raises(UserError, match=message):
        volume("zooscan", table, **options)


@pytest.mark.parametrize(
    ("table", "flag"),
    [
        (net(("d1", 3)), "sub_part no power of 2"),
        (net(("scan_a", 2), ("scan_b", 2)), "scan names no fraction"),
        (net(("d1", 8), ("d2", 2)), "d1 split more than d2"),
        (net(("d1", 1), sample_tot_vol=203500), "tot_vol unusual"),
    ],
)
def test_odd_fractions_are_flagged(table, flag):
    assert all(flag in text for text in volume("zooscan", table)["flags"])


def test_litres_are_converted_when_told():
    found = volume("zooscan", net(("d1", 2), sample_tot_vol=203500), units={"tot_vol": "L"})
    assert found["volume"].item() == pytest.approx(101.75)
    assert found["flags"].item() == ""


# -- defects of other codes
@pytest.mark.parametrize("hole", [np.nan, None, "", "NA", 9999, 99999, -999, "nan"])
@pytest.mark.parametrize(
    ("rule", "column"),
    [("zoocam", "sample_fishingvolume"), ("planktoscope", "sample_total_volume"), ("uvp", "acq_volimage")],
)
def test_missing_metadata_are_never_1(rule, column, hole):
    table = pd.concat([pd.DataFrame(BY_HAND[rule][0]).head(1)] * 2, ignore_index=True).astype(object)
    table.loc[1, column] = hole
    with pytest.raises(UserError, match=f"column '{column}', row 3: .*never 1"):
        volume(rule, table)
    with pytest.raises(UserError, match=f"'{column}'.* is missing, the table has"):
        volume(rule, table.drop(columns=column))


def test_each_cast_has_its_own_image_volume():
    table = pd.DataFrame({"n_images": [10, 10], "acq_volimage": [0.5, 1.0]})
    assert volume("uvp", table)["volume"].tolist() == pytest.approx([0.005, 0.01])


def test_the_ifcb_header_that_reads_32_mL():
    """D20210507T225916_IFCB102 of pyifcb issue 70: 32.456 mL by its header, 3.3309 mL by its triggers."""
    table = pd.DataFrame(
        {
            "run_time": [32.456 * 240 + 20],
            "inhibit_time": [20.0],
            "run_time_adc": [3.3309 * 240 + 20.0],
            "inhibit_time_adc": [20.0],
        }
    )
    found = volume("ifcb", table)
    assert found["volume"].item() == pytest.approx(3.3309e-6)
    assert found["flags"].item() == "run_time of the last trigger"
    with pytest.raises(
        UserError, match="row 2: the volume is 32.456 mL, allowed is at most the syringe_volume of 5 mL"
    ):
        volume("ifcb", table[["run_time", "inhibit_time"]])
    with pytest.raises(UserError, match="row 2: neither 'run_time' nor 'run_time_adc' is a time"):
        volume("ifcb", table[["inhibit_time"]])
    assert (
        volume("ifcb", table.assign(inhibit_time_adc=0.0))["flags"].item().endswith("inhibit_time of the header only")
    )


def test_a_header_that_cannot_be_gives_way_to_the_triggers():
    table = pd.DataFrame(
        {"run_time": [1200.0], "inhibit_time": [-5.0], "run_time_adc": [1200.0], "inhibit_time_adc": [60.0]}
    )
    found = volume("ifcb", table)
    assert found["volume"].item() == pytest.approx(0.25 * 19e-6)
    assert found["flags"].item() == "inhibit_time of the last trigger"
    with pytest.raises(UserError, match="neither 'inhibit_time' nor 'inhibit_time_adc' is a time"):
        volume("ifcb", table.drop(columns="inhibit_time_adc"))


def test_pisco_images_without_objects_were_sampled():
    images = pd.DataFrame(
        {"sample_id": "p", "image_id": range(100), "depth": np.arange(100) / 10, "crops": [0, 0, 0, 0, 1] * 20}
    )
    bins = image_bins(images)
    assert bins["n_images"].tolist() == [50, 50] and bins["depth_bottom"].tolist() == [5, 10]
    assert volume("pisco", bins)["volume"].sum() == pytest.approx(100 * 1.9242255e-3)
    assert volume("pisco", image_bins(images[images["crops"] > 0]))["volume"].sum() == pytest.approx(
        20 * 1.9242255e-3
    )  # what went wrong there
    assert image_bins(pd.concat([images, images]))["n_images"].sum() == 100


def test_isiis_volume_divides():
    """A script multiplied by litres x frames: (2.318 * 100)^2 = 5.4e4 too high."""
    found = volume("isiis-stingray", pd.DataFrame({"n_frames": [100]}))["volume"].item()
    assert 7 / found == pytest.approx(7 / 0.2318)


@pytest.mark.parametrize("rule", ["uvp", "pisco", "zooscan"])
def test_objects_give_no_volume(rule):
    with pytest.raises(UserError, match="its 1 rows are objects; volume comes from a table of images or acquisitions"):
        volume(rule, pd.DataFrame(BY_HAND[rule][0]).head(1).assign(object_id="o"))


# -- what is refused, and how
@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: volume("flowcam", pd.DataFrame()),
            "'flowcam' is unknown, did you mean 'flowcam-pssdb' or 'flowcam-ecotaxatoolbox' or",
        ),
        (
            lambda: volume("uvp", pd.DataFrame({"n_images": [0], "acq_volimage": [1]})),
            "column 'n_images', row 2: '0' is not a whole number above 0",
        ),
        (
            lambda: volume("uvp", pd.DataFrame({"n_images": [1.5], "acq_volimage": [1]})),
            "column 'n_images', row 2: '1.5' is not a whole number",
        ),
        (
            lambda: volume("uvp", pd.DataFrame({"n_images": [1], "acq_volimage": ["1,13"]})),
            "column 'acq_volimage', row 2: '1,13' is not a number",
        ),
        (
            lambda: volume("uvp", pd.DataFrame({"n_images": [1], "acq_volimage": ["1 kg"]})),
            "row 2: unit 'kg' cannot become 'm3'",
        ),
        (
            lambda: volume("uvp", pd.DataFrame({"n_images": [1], "acq_volimage": [1]}), image_volume=1),
            "is given as 1 and as column 'acq_volimage'",
        ),
        (
            lambda: volume("uvp", pd.DataFrame({"n_images": [1]}), volimage=1),
            "rule 'uvp' has no 'volimage'; it takes n_images, image_volume",
        ),
        (
            lambda: volume("uvp", pd.DataFrame({"n_images": [1]}), image_volume=1, rel_sd=2),
            r"rel_sd 2 of rule 'uvp' is outside \[0, 1\)",
        ),
        (
            lambda: volume("flowcam-ecotaxatoolbox", pd.DataFrame(FLOWCAM | {"sample_volpump": [30]})),
            "'volpump', row 2: 30 is above 10",
        ),
        (
            lambda: volume(
                "plankton-imager", pd.DataFrame({"flow_rate": [1], "time": [1], "hits": [0], "misses": [4]})
            ),
            "row 2: 0 hits and 4 misses",
        ),
        (
            lambda: volume("ifcb", pd.DataFrame({"run_time": [5.0], "inhibit_time": [9.0]})),
            "row 2: volume -.* m3 is not above 0",
        ),
        (
            lambda: image_bins(pd.DataFrame({"sample_id": ["a"], "image_id": [1], "depth": ["deep"]})),
            "image '1': 'deep' is no depth",
        ),
        (lambda: image_bins(pd.DataFrame({"sample_id": ["a"], "image_id": [1]})), "column 'depth' is missing"),
        (
            lambda: image_bins(pd.DataFrame({"sample_id": ["a"], "image_id": [1], "depth": [1], "object_id": [1]})),
            "so they are objects",
        ),
        (lambda: image_bins(pd.DataFrame(), thickness=0), "thickness 0 of the depth bins is not above 0 m"),
        (lambda: look_time(pd.DataFrame({"trigger": [1]})), "needed are at least 1 and"),
    ],
)
def test_one_sentence(call, message):
    with pytest.raises(UserError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)


def test_a_constant_stands_for_a_column():
    assert volume("uvp", pd.DataFrame({"n_images": [9999, 2]}), image_volume="1_l")["volume"].tolist() == pytest.approx(
        [9.999, 0.002]
    )


cells = st.one_of(
    st.floats(),
    st.integers(-10, 10**7),
    st.text(max_size=6),
    st.none(),
    st.booleans(),
    st.sampled_from(["0.2_ml", "3 L", "nan", "1e3"]),
)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(sorted(BY_HAND)), st.data())
def test_any_table_gives_volumes_above_0_or_one_sentence(rule, data):
    columns = list(BY_HAND[rule][0])
    table = pd.DataFrame({name: data.draw(st.lists(cells, min_size=2, max_size=2)) for name in columns}, dtype=object)
    for name in data.draw(st.sets(st.sampled_from(columns))):
        table[name] = BY_HAND[rule][0][name][0]
    try:
        found = volume(rule, table)
    except UserError as error:
        assert "\n" not in str(error)
        return
    assert (found["volume"] > 0).all() and np.isfinite(found["volume"]).all()


# -- real files
def test_real_ifcb_bins(data_root):
    folder = data_root / "formats" / "ifcb"
    table = pd.DataFrame(
        {
            "run_time": [1231.024861],
            "inhibit_time": [11.62298],
            "run_time_adc": [1184.037103],
            "inhibit_time_adc": [11.620326],
        }
    )
    assert volume("ifcb", table)["volume"].item() == pytest.approx(0.25 * (1184.037103 - 11.62298) / 60 * 1e-6)
    old = pd.read_csv(folder / "IFCB5_2012_028_081515.adc", header=None)[[0, 7, 8]].set_axis(
        ["trigger", "trigger_open_time", "frame_grab_time"], axis=1
    )
    # six triggers, every processing time below 0.073 s: 1.251953 - 6 * 0.073
    assert look_time(old) == pytest.approx(0.813953)
    assert volume("ifcb-old", pd.DataFrame({"look_time": [look_time(old)]}))["volume"].item() == pytest.approx(
        0.813953 / 240 * 1e-6
    )


def test_real_uvp_bins(data_root):
    """EcoPart RAW to detailed: images per 5 m bin times acq_volimage is the sampled volume."""
    folder = data_root / "formats" / "ecopart"
    raw = pd.read_csv(next((folder / "raw_multi").glob("*sample01_PAR_raw*")), sep="\t").drop_duplicates("depth")
    cast = (
        pd.read_csv(next((folder / "raw_multi").glob("*summary.tsv")), sep="\t", encoding="latin-1")
        .set_index("profileid")
        .loc["uvpappsample01"]
    )
    detailed = pd.read_csv(
        next((folder / "tsvagg_det_multi").glob("*PAR*")), sep="\t", encoding="latin-1", index_col=False
    )
    expected = detailed[detailed["Profile"] == "uvpappsample01"].set_index("Depth [m]")["Sampled volume [L]"]
    images = raw.loc[raw.index.repeat(raw["imgcount"])].assign(sample_id="a").reset_index(drop=True)
    images["image_id"] = images.index
    offset = cast["default_depthoffset"] if pd.notna(cast.get("default_depthoffset")) else cast["acq_depthoffset"]
    bins = image_bins(images, offset=0.0 if pd.isna(offset) else float(offset))
    found = volume("uvp", bins, image_volume=float(cast["acq_volimage"])).set_index(bins["depth_top"] + 2.5)["volume"]
    assert len(found) == len(expected) > 100
    np.testing.assert_allclose(found.loc[expected.index], expected / 1000, rtol=1e-6)


def test_real_planktoscope(data_root):
    table = pd.read_csv(data_root / "formats" / "ecotaxa" / "ecotaxa_export_planktoscope_anonymised.tsv.gz", sep="\t")
    acquisitions = (
        table[[c for c in table if c.startswith(("acq_", "sample_"))]]
        .drop_duplicates(["sample_id", "acq_id"])
        .reset_index(drop=True)
    )
    hole = int(np.flatnonzero(acquisitions["sample_dilution_factor"].isna())[0])
    with pytest.raises(UserError, match=f"column 'sample_dilution_factor', row {hole + 2}: the cell is empty"):
        volume("planktoscope", acquisitions)
    known = acquisitions.dropna(subset=["sample_dilution_factor"])
    found = volume("planktoscope", known)
    litres = (
        known["acq_imaged_volume"]
        / known["sample_concentrated_sample_volume"]
        * known["sample_total_volume"]
        * known["sample_dilution_factor"]
    )
    np.testing.assert_allclose(found["volume"], litres / 1000)


# -- times of an IFCB from its triggers: the ways in which the columns go wrong (ifcb-analysis, issue 33)
def triggers(n=100, *, run_first=0.05, step=0.1):
    """A bin of n triggers, 10 s apart; the clock of the board is 0.05 s behind, each trigger costs 0.1 s."""
    clock = 10.0 * np.arange(1, n + 1)
    return pd.DataFrame({"adc_time": clock, "run_time": clock + run_first, "inhibit_time": step * np.arange(n) + 0.001})


def test_good_triggers_tell_the_times_of_the_last():
    run, inhibit, words = trigger_times(triggers())
    assert (run, inhibit, words) == (pytest.approx(1000.05), pytest.approx(9.901), [])


@pytest.mark.parametrize(
    ("spoil", "run", "inhibit", "word"),
    [
        # the last inhibit time jumps: the last good one (9.801) and one usual step
        (
            lambda t: t.__setitem__("inhibit_time", t["inhibit_time"].where(t.index < 99, 600.5)),
            1000.05,
            9.901,
            "inhibit_time of",
        ),
        # so does the first one: all others are good, but for the first that follows it
        (
            lambda t: t.__setitem__("inhibit_time", t["inhibit_time"].where(t.index > 0, 600.5)),
            1000.05,
            10.001,
            "inhibit_time of",
        ),
        # zeros in the last ten rows: 8.901 and ten steps, the run time from the clock
        (
            lambda t: t.loc.__setitem__((slice(90, None), ["run_time", "inhibit_time"]), 0.0),
            1000.05,
            9.901,
            "run_time of the trigger clock",
        ),
        # a run time that jumps in the last row alone
        (
            lambda t: t.__setitem__("run_time", t["run_time"].where(t.index < 99, 7900.0)),
            1000.05,
            9.901,
            "run_time of the",
        ),
    ],
)
def test_columns_that_go_wrong(spoil, run, inhibit, word):
    table = triggers()
    spoil(table)
    found = trigger_times(table)
    assert found[:2] == (pytest.approx(run), pytest.approx(inhibit))
    assert any(text.startswith(word) for text in found[2])


def test_counters_that_do_not_start_at_zero():
    """Both columns begin far above 0: what the second row shows is taken off, and two steps of the inhibit time (the published rule)."""
    table = triggers()
    table["run_time"] += 5000
    table["inhibit_time"] += 400
    run, inhibit, words = trigger_times(table)
    assert run == pytest.approx(1000.05 + 5000 - (20.05 + 5000 - 20))
    assert inhibit == pytest.approx(9.901 + 400 - (0.101 + 400 + 0.2))
    assert words == ["counters do not start at 0"]


@pytest.mark.parametrize(
    "table", [triggers(0), triggers(1), triggers().assign(inhibit_time=0.0), triggers().assign(run_time=np.nan)]
)
def test_triggers_that_tell_no_times(table):
    run, inhibit, words = trigger_times(table)
    assert np.isnan(run) and np.isnan(inhibit) and words == ["triggers tell no times"]


def test_the_real_bin_with_a_bad_last_row(data_root):
    """D20130526T095207_IFCB013 with 600.5 s in its last inhibit time: 2.431 mL by the last row, 4.885 mL by pyifcb's own function."""
    table = pd.read_csv(data_root / "formats" / "ifcb" / "D20130526T095207_IFCB013.adc", header=None)[[1, 22, 23]]
    table.columns = ["adc_time", "run_time", "inhibit_time"]
    for header in (11.62298, 600.5, -5.0):
        for last in (11.620326, 600.5):
            table.loc[len(table) - 1, "inhibit_time"] = last
            run, inhibit, _ = trigger_times(table)
            times = {
                "run_time": [1231.024861],
                "inhibit_time": [header],
                "run_time_adc": [run],
                "inhibit_time_adc": [inhibit],
            }
            assert volume("ifcb", pd.DataFrame(times))["volume"].item() * 1e6 == pytest.approx(4.885, abs=5e-4)
