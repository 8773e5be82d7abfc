"""Raw files of EcoPart: the exporter's own raw and detailed files of the same casts, and small files by hand."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aqqua_dist.core.errors import UserError
from aqqua_dist.readers.ecopart.export import read_ecopart, recognises
from aqqua_dist.readers.ecopart.raw import LIMITS, binned_sizes, calibration_share, mean_conditions
from aqqua_dist.readers.ecopart.tables import read_table
from aqqua_dist.readers.sources import Source, find_sources

SUMMARY = (
    "psampleid\tprofileid\tfilename\tlatitude\tlongitude\torganizedbydeepth\tsampledate\tacq_aa\tacq_exp\tacq_volimage\tacq_depthoffset\tacq_pixel\tptitle\t"
    "instrumtype\tcruise\tdefault_depthoffset\tParticle filename\tCTD filename\tPlankton filename\n"
    '1\t"c1"\t"20200101000000"\t40.5\t-30.25\tTrue\t2020-01-01 00:00:00\t0.002\t1.1\t0.5\t{offset}\t0.088\t"P"\t"uvp6"\t"cruise"\t\t20200101000000_c1_PAR_raw_x.tsv\t'
    "20200101000000_c1_CTD_raw_x.tsv\t20200101000000_c1_ZOO_raw_x.tsv\n"
)
PAR = "depth\timgcount\tarea\tnbr\tgreylimit1\tgreylimit2\tgreylimit3\n"
ROWS = "0\t3\t60\t4\t1\t2\t3\n0\t3\t100\t1\t1\t2\t3\n4\t1\t60\t2\t1\t2\t3\n5\t2\t60\t1\t1\t2\t3\n"
ZOO = "orig_id\tobjid\tname\ttaxo_hierarchy\tclassif_qual\tdepth_including_offset\tpsampleid\tarea\n"
CTD = "pressure [db]\ttime [yyyymmddhhmmssmmm]\ttemperature [degc]\tqc flag\n"


def read(folder, *, offset="", par=PAR + ROWS, zoo=None, ctd=None, black=None, summary=SUMMARY):
    for name, text in {
        "export_raw_x_Export_metadata_summary.tsv": summary.format(offset=offset),
        "20200101000000_c1_PAR_raw_x.tsv": par,
        "20200101000000_c1_ZOO_raw_x.tsv": zoo,
        "20200101000000_c1_CTD_raw_x.tsv": ctd,
        "20200101000000_c1_PAR_raw_x_black.tsv": black,
    }.items():
        if text is not None:
            (folder / name).write_text(text, encoding="latin-1")
    return read_ecopart([source for source in find_sources([folder]) if recognises(source)])


def detailed_file(data_root, kind):
    """The exporter's table by plain pandas, without the code under test."""
    path = data_root / "formats/ecopart/tsvagg_det_multi" / f"export_detailed_20210201_11_34_{kind}_Aggregated.tsv"
    return pd.read_csv(path, sep="\t", encoding="latin-1")


@pytest.fixture(scope="module")
def raw(data_root):
    return read_ecopart(
        [source for source in find_sources([data_root / "formats/ecopart/raw_multi"]) if recognises(source)]
    )


@pytest.mark.parametrize("profile", ["uvpappsample01", "uvpappsampleT1"])
def test_bins_are_those_of_the_exporter(data_root, raw, profile):
    """Volumes exact, particle concentrations and biovolumes to 5e-15 relative, by depth and by hour."""
    theirs = detailed_file(data_root, "PAR")
    theirs = theirs[theirs["Profile"] == profile].reset_index(drop=True)
    ours = raw.samples[raw.samples["profile"] == profile].reset_index(drop=True)
    litres = ours["volume"] * 1e3
    np.testing.assert_allclose(litres, theirs["Sampled volume [L]"], rtol=1e-15)
    np.testing.assert_allclose((ours["depth_top"] + ours["depth_bottom"]) / 2, theirs["Depth [m]"], rtol=1e-12)
    if profile.endswith("T1"):
        assert (ours["time"] == pd.to_datetime(theirs["yyyy-mm-dd hh:mm"], utc=True)).all()
        assert len(ours) == 6
    table = raw.extra["particles"].set_index("sample_id")
    for column, header in (("n", "LPM ("), ("biovolume", "LPM biovolume (")):
        expected = theirs.filter(regex="^" + header.replace("(", r"\("))
        assert expected.shape[1] == len(LIMITS) - 1 == 45
        found = np.zeros(expected.shape)
        place = [LIMITS.index(round(low / 1000, 9)) for low in table["esd_low"].loc[ours["sample_id"]]]
        row = pd.Index(ours["sample_id"]).get_indexer(table.loc[ours["sample_id"]].index)
        found[row, place] = table.loc[ours["sample_id"], column]
        np.testing.assert_allclose(
            found / litres.to_numpy()[:, None], expected, rtol=1e-14, atol=1e-12 if column == "n" else 0
        )
        assert (found > 0).sum() > 20


def test_objects_give_every_cell_of_taxa(data_root, raw):
    theirs = detailed_file(data_root, "ZOO")
    theirs = theirs[theirs["Profile"] == "uvpappsample01"].set_index("Depth [m]")
    samples = raw.samples.set_index("sample_id")
    objects = raw.objects[
        (raw.objects["status"] == "validated") & raw.objects["sample_id"].str.startswith("uvpappsample01_")
    ]
    lines = raw.extra["taxa"].set_index("taxon")["hierarchy"]
    centre = samples.loc[objects["sample_id"], "depth_top"].to_numpy() + 2.5
    cells = 0
    for hierarchy in theirs.filter(regex=r"# m-3").columns:
        line = hierarchy.removesuffix(" [# m-3]")
        below = lines.loc[objects["label"]].astype(str).to_numpy()
        inside = np.array([name == line or name.startswith(line + ">") for name in below])
        n = pd.Series(1.0, index=centre[inside]).groupby(level=0).sum().reindex(theirs.index, fill_value=0)
        np.testing.assert_allclose(
            n, theirs[hierarchy].fillna(0) * theirs["Sampled volume [L]"] / 1000, atol=1e-9, err_msg=hierarchy
        )
        cells += len(n)
    assert cells > 2000
    volume = (np.pi / 6 * (objects["esd"] / 1000) ** 3).groupby(centre).sum()
    roots = (
        theirs[["living biovolume [mm3 l-1]", "not-living biovolume [mm3 l-1]"]].fillna(0).sum(axis=1)
        * theirs["Sampled volume [L]"]
    )
    np.testing.assert_allclose(volume.reindex(roots.index, fill_value=0), roots, rtol=1e-12)


def test_objects_of_a_cast_over_time_belong_to_the_whole_cast(tmp_path):
    """Raw objects have no time; their sample is all water of the cast, so that hours without objects count."""
    summary = SUMMARY.replace("\tTrue\t", "\tFalse\t")
    par = (
        PAR.rstrip("\n")
        + "\tdatetime\n"
        + "100.0\t3\t60\t4\t1\t2\t3\t20200101000500\n101.0\t2\t60\t1\t1\t2\t3\t20200101010500\n"
    )
    got = read(tmp_path, par=par, zoo=ZOO + "a\t1\tCopepoda\tliving>Copepoda\tV\t100.2\t1\t300\n", summary=summary)
    samples = got.samples.set_index("sample_id")
    assert samples["volume"].to_dict() == pytest.approx({"c1_t1": 1.5e-3, "c1_t2": 1e-3, "c1 (taxa)_all": 2.5e-3})
    assert samples.loc["c1_t2", "time"] == pd.Timestamp("2020-01-01 01:30", tz="UTC")
    assert got.objects["sample_id"].tolist() == ["c1 (taxa)_all"]
    assert got.extra["searched"].set_index("profile")["searched"].to_dict() == {"c1": True}
    assert samples["role"].to_dict() == {"c1_t1": "particles", "c1_t2": "particles", "c1 (taxa)_all": "taxa"}
    assert "over time" in got.findings["message"].iloc[0]


@pytest.mark.parametrize("offset", ["", "3.0"])
def test_depths_of_particles_hold_the_offset_already(tmp_path, offset):
    got = read(tmp_path, offset=offset)
    assert got.samples.set_index("sample_id")["n_images"].to_dict() == {"c1_0-5": 4, "c1_5-10": 2}
    particles = got.extra["particles"].groupby("sample_id")["n"].sum()
    assert particles.to_dict() == {"c1_0-5": 7, "c1_5-10": 1}
    bin_one = got.extra["particles"].query("sample_id == 'c1_0-5'")["biovolume"].sum()
    esd = {area: 2 * np.sqrt(0.002 * area**1.1 / np.pi) for area in (60, 100)}
    assert bin_one == pytest.approx(np.pi / 6 * (6 * esd[60] ** 3 + esd[100] ** 3), rel=1e-14)


def test_images_without_flash_are_noise(tmp_path):
    without, beside = read(tmp_path, zoo=ZOO), read(tmp_path, zoo=ZOO, black=PAR + ROWS)
    pd.testing.assert_frame_equal(without.samples, beside.samples)
    pd.testing.assert_frame_equal(without.extra["particles"], beside.extra["particles"])


def test_objects_below_the_last_image_are_left_out_and_named(tmp_path):
    got = read(
        tmp_path,
        zoo=ZOO + "a\t1\tCopepoda\tliving>Copepoda\tV\t3.0\t1\t300\nb\t2\tCopepoda\tliving>Copepoda\tP\t55.0\t1\t300\n",
    )
    assert got.objects[["object_id", "sample_id", "status"]].to_numpy().tolist() == [["1", "c1_0-5", "validated"]]
    assert got.objects["esd"].iloc[0] == pytest.approx(88 * 2 * np.sqrt(300 / np.pi))
    refused = got.findings[got.findings["severity"] == "refused"].iloc[0]
    assert (refused["row"], refused["value"]) == (3, "55.0")
    assert got.extra["taxa"][["taxon", "hierarchy", "parent"]].to_numpy().tolist() == [
        ["Copepoda", "living>Copepoda", "living"]
    ]


def test_conditions_are_averaged_as_the_exporter_does(data_root, tmp_path):
    path = data_root / "formats/ecopart/raw_multi/20191121020000_uvpappsample02_CTD_raw_20210201_14_15.tsv"
    ours = mean_conditions(read_table(Source(path)))
    theirs = detailed_file(data_root, "PAR")
    theirs = theirs[theirs["Profile"] == "uvpappsample02"].set_index("Depth [m]")
    shared = [name for name in ours if name in theirs and ours[name].notna().any()]
    assert len(shared) >= 5
    for name in shared:
        np.testing.assert_allclose(ours[name].reindex((theirs.index - 2.5) / 5), theirs[name], rtol=1e-12, err_msg=name)
    got = read(tmp_path, ctd=CTD + "1.0\t1\t10\t0\n2.0\t2\t12\t0\n7.0\t3\t\t0\n300.0\t4\t5\t0\n")
    table = got.extra["conditions"].set_index("sample_id")["temperature [degc]"]
    assert table.loc["c1_0-5"] == 11
    assert np.isnan(table.loc["c1_5-10"])
    assert len(table) == 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"par": PAR + "0\t3\t60\t4\t1\t2\t3\n0\t4\t100\t1\t1\t2\t3\n"},
            "row 2, column 'imgcount': 3 is not as in the other rows",
        ),
        ({"par": PAR + "\t3\t60\t4\t1\t2\t3\n"}, "row 2, column 'depth': the cell is empty"),
        ({"par": PAR + "0\t3\t60\t-4\t1\t2\t3\n"}, "do not go together"),
        ({"par": PAR + "0\tthree\t60\t4\t1\t2\t3\n"}, "row 2, column 'imgcount': 'three' is not a number"),
        ({"summary": SUMMARY.replace("\t0.5\t", "\t\t")}, "image_volume of profile 'c1' is nan"),
        ({"summary": SUMMARY.replace('"c1"', '"c2"').replace("_c1_", "_c2_")}, "no cast"),
        ({"summary": SUMMARY.replace("\tTrue\t", "\tFalse\t")}, "column 'datetime' is missing"),
        ({"summary": SUMMARY.replace("\t0.002\t", "\t2000\t")}, "raw UVP6 files"),
    ],
)
def test_what_cannot_be_right_is_refused(tmp_path, change, message):
    with pytest.raises(UserError, match=message):
        read(tmp_path, **change)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"zoo": ZOO + "a\t1\tx\tx\tQ\t3\t1\t9\n"}, "'Q' is none of"),
        ({"ctd": CTD + "3\t20200101000000000\twarm\t1\n"}, "'warm' is not a number"),
    ],
)
def test_a_bad_file_beside_the_particles_is_set_aside(tmp_path, change, message):
    got = read(tmp_path, **change)
    assert len(got.samples) == 2
    aside = got.findings[got.findings["check"] == "set aside"]
    assert aside["message"].str.contains(message).tolist() == [True]
    assert got.objects.empty
    assert not got.extra["searched"]["searched"].any()


@pytest.mark.parametrize(
    ("par", "aa", "message"),
    [
        (PAR + ROWS, "2000", "raw UVP6 files"),
        (PAR + ROWS, "", "aa of profile 'c2' is nan"),
        (PAR + ROWS[:-8] + "\n", "0.002", "was the line cut"),
        (None, "0.002", "no raw particle table of cast 'c2'"),
    ],
)
def test_one_bad_cast_among_two_is_set_aside(tmp_path, par, aa, message):
    """An impossible calibration, a cut file, objects without the particles of their cast."""
    second = SUMMARY.splitlines()[1].replace("c1", "c2").replace("\t0.002\t", f"\t{aa}\t") + "\n"
    zoo = ZOO + "a\t1\tx\tx\tV\t3\t1\t9\n"
    for kind, text in (("PAR", par), ("ZOO", zoo)):
        if text is not None:
            (tmp_path / f"20200101000000_c2_{kind}_raw_x.tsv").write_text(text)
    got = read(tmp_path, zoo=zoo, summary=SUMMARY + second)
    assert set(got.samples["profile"]) == {"c1"}
    assert got.objects["sample_id"].tolist() == ["c1_0-5"]
    aside = got.findings[got.findings["check"] == "set aside"]
    assert aside["message"].str.contains(message).any()
    assert aside["file"].str.contains("_c2_").all()


@settings(max_examples=60, deadline=None)
@given(
    areas=st.lists(st.tuples(st.integers(0, 5), st.integers(1, 10**6), st.integers(1, 50)), min_size=1, max_size=30),
    aa=st.floats(1e-4, 0.05),
    power=st.floats(0.8, 1.4),
)
def test_classes_by_a_loop(areas, aa, power):
    got = binned_sizes(pd.DataFrame(areas, columns=["bin", "area", "n"]), aa, power).set_index(["bin", "esd_low"])
    expected = {}
    for place, area, n in areas:
        esd = 2 * (aa * area**power / np.pi) ** 0.5
        low = max(limit for limit in LIMITS if limit <= esd * (1 + 1e-12))
        cell = expected.setdefault((place, low), [0, 0.0])
        cell[0] += n
        cell[1] += n * np.pi / 6 * esd**3
    assert got["n"].to_dict() == {key: n for key, (n, _) in expected.items()}
    for key, (_, volume) in expected.items():
        assert got.loc[key, "biovolume"] == pytest.approx(volume, rel=1e-12)


@settings(max_examples=60, deadline=None)
@given(areas=st.lists(st.integers(1, 3000), min_size=30, max_size=60))
def test_a_calibration_is_told_by_its_single_particles(areas):
    sizes = binned_sizes(pd.DataFrame({"bin": range(len(areas)), "area": areas, "n": 1}), 0.0105, 1.21)
    assert calibration_share(sizes["n"], sizes["biovolume"], 0.0105, 1.21) == 1
    assert calibration_share(sizes["n"], sizes["biovolume"], 0.025, 1.0) < 0.3
    assert np.isnan(calibration_share([2, 0], [1.0, 0.0], 0.01, 1.2))


def test_objects_of_untold_status_are_kept_and_counted(tmp_path):
    """Options of the export put out what nobody validated (N) and what was discarded (X)."""
    lines = "".join(f"a\t{k}\tCopepoda\tliving>Copepoda\t{letter}\t3.0\t1\t300\n" for k, letter in enumerate("VNNX"))
    got = read(tmp_path, zoo=ZOO + lines + "a\t9\tCopepoda\tliving>Copepoda\t\t3.0\t1\t300\n")
    assert got.objects["status"].fillna("missing").tolist() == ["validated", *["missing"] * 3, "unclassified"]
    told = got.findings[got.findings["check"] == "status"]
    assert told[["severity", "row", "value"]].to_numpy().tolist() == [["suspicious", 3, "N"]]
    assert "3 of 5 objects" in told["message"].iloc[0]
    assert "2 'N', 1 'X'" in told["message"].iloc[0]


@pytest.mark.parametrize("columns", [7, 8])
def test_a_file_of_objects_with_its_header_only_is_no_zero(tmp_path, columns):
    """The exporter writes no column of features where a cast has no object; nobody knows whether anybody looked."""
    header = "\t".join(ZOO.rstrip("\n").split("\t")[:columns]) + "\n"
    got = read(tmp_path, zoo=header)
    assert got.objects.empty
    assert got.extra["searched"].to_numpy().tolist() == [["c1", False]]
    assert got.samples["n_images"].sum() == 6
    assert got.findings.loc[got.findings["check"] == "taxa", "severity"].tolist() == ["suspicious"]


def test_raw_folders_of_the_exporter_with_objects_of_all_statuses(data_root, tmp_path):
    """Objects of one cast, some of them with N; their own particle table is not in the data, one of a single image per bin stands for it."""
    folder = data_root / "formats" / "ecopart"
    name = "20191121010000_brusample01_ZOO_raw_20210201_15_21.tsv"
    theirs = pd.read_csv(folder / "raw_multiIncludeNotV" / name, sep="\t", encoding="latin-1", dtype=str)
    summary = next((folder / "raw_multi").glob("*summary.tsv")).read_bytes()
    (tmp_path / "export_raw_Export_metadata_summary.tsv").write_bytes(summary)
    (tmp_path / name).write_bytes((folder / "raw_multiIncludeNotV" / name).read_bytes())
    rows = "".join(f"{5 * k + 2}\t1\t60\t1\t1\t2\t3\n" for k in range(400))
    (tmp_path / "20191121010000_brusample01_PAR_raw_x.tsv").write_text(PAR + rows)
    got = read_ecopart(find_sources([tmp_path]))
    kept = int((pd.to_numeric(theirs["depth_including_offset"]) < 2000).sum())
    assert len(got.objects) == kept == len(theirs)
    assert got.objects["status"].isna().sum() == (theirs["classif_qual"] == "N").sum()
    assert (got.objects["status"] == "validated").sum() == (theirs["classif_qual"] == "V").sum()
