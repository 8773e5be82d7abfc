"""EcoPart exports: the exporter's own test files and three real stations."""

import re
import zipfile

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from aqqua_dist.cli import main
from aqqua_dist.core.errors import UserError
from aqqua_dist.core.tables import each_water_once, of_role
from aqqua_dist.readers.ecopart.export import read_ecopart, recognises
from aqqua_dist.readers.sources import find_sources

SUMMARY = (
    "profile\tCruise\tSite\tDataOwner\tRawfilename\tInstrument\tCTDrosettefilename\tyyyy-mm-dd hh:mm\tLatitude \tLongitude\taa\texp\tPixel size\t"
    "Particle filename\tPlankton filename\tProject\n"
    "c1\tcruise\t\t\tHDR1\tuvp5\t\t2019-11-21 01:00:00\t44.0905\t352.424\t0.0002\t1.02\t0.088\tx_PAR_c1.tsv\tx_ZOO_c1.tsv\tP1\n"
)
PAR = (
    "Profile\tRawfilename\tyyyy-mm-dd hh:mm\tDepth [m]\tSampled volume [L]\tLPM (102-128 µm) [# l-1]\tLPM (0.128-1.02 mm) [# l-1]\t"
    "LPM (>1.02 mm) [# l-1]\tLPM biovolume (102-128 µm) [mm3 l-1]\tLPM biovolume (0.128-1.02 mm) [mm3 l-1]\tLPM biovolume (>1.02 mm) [mm3 l-1]\t"
    "temperature [degc]\tdepth [m]\textrames01\n"
)
ZOO = (
    "Profile\tRawfilename\tyyyy-mm-dd hh:mm\tDepth [m]\tSampled volume [L]\tliving [# m-3]\tliving>Copepoda [# m-3]\tliving>Copepoda>Calanidae [# m-3]\t"
    "living biovolume [mm3 l-1]\tliving>Copepoda biovolume [mm3 l-1]\tliving>Copepoda>Calanidae biovolume [mm3 l-1]\tliving avgesd [mm]\n"
)


def bins(*rows):
    """Depth, litres, particles of three classes."""
    return PAR + "".join(
        f"c1\tHDR1\t2019-11-21 01:00:00\t{d}\t{v}\t{a / v!r}\t{b / v!r}\t{c / v!r}\t{a * 1e-3 / v!r}\t{b * 1e-2 / v!r}\t{c * 2 / v!r}\t13.5\t{d}\t\n"
        for d, v, a, b, c in rows
    )


def taxa(*rows):
    """Depth, litres, numbers of living, copepods and calanids, each with those below it."""
    return ZOO + "".join(
        f"c1\tHDR1\t2019-11-21 01:00:00\t{d}\t{v}\t"
        + "\t".join("" if n is None else repr(n * 1000 / v) for n in numbers)
        + "\t"
        + "\t".join(repr((n or 0) * 0.5 / v) for n in numbers)
        + "\t1.0\n"
        for d, v, *numbers in rows
    )


def read(folder, par=None, zoo=None, summary=SUMMARY):
    for name, text in (("x_Export_metadata_summary.tsv", summary), ("x_PAR_c1.tsv", par), ("x_ZOO_c1.tsv", zoo)):
        if text is not None:
            (folder / name).write_bytes(text.encode("latin-1"))
    return read_ecopart(find_sources([folder]))


BINS = ((2.5, 4.52, 10, 3, 0), (7.5, 5.65, 0, 1, 1), (12.5, 3.39, 0, 0, 0))


def test_bins_without_objects_are_samples_and_parents_do_not_count_twice(tmp_path):
    got = read(tmp_path, bins(*BINS), taxa((2.5, 4.52, 6, 5, 2), (7.5, 5.65, 1, 0, 0)))
    samples = got.samples.set_index("sample_id")
    assert samples.index.tolist() == ["c1_0-5", "c1_5-10", "c1_10-15"]
    np.testing.assert_allclose(samples["volume"], [4.52e-3, 5.65e-3, 3.39e-3], rtol=1e-15)
    assert samples.iloc[2][["lat", "lon", "cruise", "instrument", "profile", "effort_rule"]].tolist() == [
        44.0905,
        pytest.approx(-7.576),
        "cruise",
        "UVP5",
        "c1",
        "ecopart v1",
    ]
    counts = got.counts.set_index(["sample_id", "taxon"])["n"]
    assert counts.to_dict() == {
        ("c1_0-5", "living"): 1,
        ("c1_0-5", "Copepoda"): 3,
        ("c1_0-5", "Calanidae"): 2,
        ("c1_5-10", "living"): 1,
    }
    assert got.counts["biovolume"].tolist() == pytest.approx((0.5 * got.counts["n"]).tolist())
    assert set(got.counts["method"]) == {"validated"}
    particles = got.extra["particles"].set_index(["sample_id", "esd_low"])
    assert particles["n"].to_dict() == {
        ("c1_0-5", 102.0): 10,
        ("c1_0-5", 128.0): 3,
        ("c1_5-10", 128.0): 1,
        ("c1_5-10", 1020.0): 1,
    }
    assert particles["esd_high"].tolist()[:2] == [128.0, 1020.0]
    assert np.isnan(particles.loc[("c1_5-10", 1020.0), "esd_high"])  # the last class is open
    assert particles.loc[("c1_5-10", 1020.0), "biovolume"] == pytest.approx(2.0)
    assert got.extra["conditions"].columns.tolist() == ["sample_id", "temperature [degc]", "depth [m]"]
    assert got.extra["searched"].to_numpy().tolist() == [["c1", True]]


def test_without_a_table_of_taxa_nobody_searched(tmp_path):
    got = read(tmp_path, bins(*BINS))
    assert got.extra["searched"].to_numpy().tolist() == [["c1", False]]
    assert got.counts.empty


def test_blank_taxa_are_zeros(tmp_path):
    got = read(tmp_path, bins(*BINS), taxa((2.5, 4.52, 2, 2, None)))
    assert got.counts[["taxon", "n"]].to_numpy().tolist() == [["Copepoda", 2]]


@pytest.mark.parametrize(
    ("par", "zoo", "summary", "message"),
    [
        (bins(*BINS), None, None, "there is no metadata summary beside it"),
        (bins(*BINS).replace("c1\t", "c2\t"), None, SUMMARY, "row 2: profile 'c2' is not in the metadata"),
        (bins(*BINS, BINS[0]), None, SUMMARY, None),
        (
            bins((2.5, 0.5, 1.5, 0, 0)),
            None,
            SUMMARY,
            "row 2, column .LPM \\(102-128 .*times the volume it gives 1.5 objects",
        ),
        (
            bins(*BINS).replace("\t4.52\t", "\t-4.52\t"),
            None,
            SUMMARY,
            "column 'Sampled volume \\[L\\]': -4.52 is not above 0 L",
        ),
        (
            bins(*BINS).replace("\t4.52\t", "\tfour\t"),
            None,
            SUMMARY,
            "row 2, column 'Sampled volume \\[L\\]': 'four' is not a number",
        ),
        (
            bins(*BINS),
            taxa((52.5, 4.52, 1, 1, 1)),
            SUMMARY,
            "bin 'c1_50-55' has objects and is not in the particle table",
        ),
        (bins(*BINS), taxa((2.5, 4.52, 1, 2, 1)), SUMMARY, "'living' holds less than the taxa below it"),
        (bins(*BINS), taxa((2.5, 4.52, 1, 1, 1))[:-30] + "\n", SUMMARY, "row 2: the row has"),
        (bins(*BINS).replace("(0.128-1.02 mm)", "(128-1020 mm)"), None, SUMMARY, "does not begin where"),
        (bins(*BINS), None, SUMMARY.replace("44.0905", "94.0905"), "column 'lat': 94.0905 is outside"),
        (bins(*BINS), None, SUMMARY.replace("2019-11-21 01:00:00", "soon"), "'soon' is not a time"),
    ],
)
def test_what_cannot_be_right_is_refused(tmp_path, par, zoo, summary, message):
    if message is None:  # a depth that stands twice: taken over time, and said so
        assert "taken over time?" in read(tmp_path, par, zoo, summary).findings["message"].iloc[0]
        return
    try:
        got = read(tmp_path, par, zoo, summary)
    except UserError as error:
        assert re.search(message, str(error))
        return
    aside = got.findings[got.findings["check"] == "set aside"]  # the particles are fine, the taxa are not
    assert re.search(message, aside["message"].iloc[0])
    assert aside["file"].iloc[0].endswith("ZOO_c1.tsv")
    assert got.counts.empty
    assert not got.extra["searched"]["searched"].any()  # unknown, not zero
    assert len(got.samples) == len(BINS)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda text: text[:-20] + "\n", "was the line cut"),
        (lambda text: text.replace("\t4.52\t", "\t-4.52\t"), "is not above 0 L"),
        (lambda text: text.replace("c2\t", "c9\t"), "profile 'c9' is not in the metadata"),
    ],
)
@pytest.mark.parametrize("together", [False, True])
def test_one_bad_cast_among_two_is_set_aside(tmp_path, damage, message, together):
    """In a file of its own, or in one table with the other cast, where rows can be told apart."""
    bad = damage(bins(*BINS).replace("c1\t", "c2\t"))
    lines = SUMMARY.splitlines()
    (tmp_path / "x_Export_metadata_summary.tsv").write_text(
        "\n".join([*lines, lines[1].replace("c1", "c2")]) + "\n", encoding="latin-1"
    )
    if together and message.startswith("profile"):
        text = bins(*BINS) + bad.partition("\n")[2]
        (tmp_path / "x_PAR_Aggregated.tsv").write_text(text, encoding="latin-1")
    else:
        (tmp_path / "x_PAR_c1.tsv").write_text(bins(*BINS), encoding="latin-1")
        (tmp_path / "x_PAR_c2.tsv").write_text(bad, encoding="latin-1")
    got = read_ecopart([source for source in find_sources([tmp_path]) if recognises(source)])
    assert set(got.samples["profile"]) == {"c1"}
    assert len(got.samples) == len(BINS)
    aside = got.findings[got.findings["check"] == "set aside"]
    assert len(aside) == 1
    assert re.search(message, aside["message"].iloc[0])


def test_taxa_whose_particles_were_set_aside_are_set_aside(tmp_path):
    """Without the images of particles nobody knows the bins without objects."""
    lines = SUMMARY.splitlines()
    (tmp_path / "x_Export_metadata_summary.tsv").write_text(
        "\n".join([*lines, lines[1].replace("c1", "c2")]) + "\n", encoding="latin-1"
    )
    zoo = taxa((2.5, 4.52, 2, 2, 1))
    for name, par in (("c1", bins(*BINS)), ("c2", bins(*BINS)[:-20] + "\n")):
        (tmp_path / f"x_PAR_{name}.tsv").write_text(par.replace("c1\t", f"{name}\t"), encoding="latin-1")
        (tmp_path / f"x_detailed_ZOO_{name}.tsv").write_text(zoo.replace("c1\t", f"{name}\t"), encoding="latin-1")
    got = read_ecopart([source for source in find_sources([tmp_path]) if recognises(source)])
    aside = got.findings[got.findings["check"] == "set aside"]
    assert sorted(file.rpartition("/")[2] for file in aside["file"]) == ["x_PAR_c2.tsv", "x_detailed_ZOO_c2.tsv"]
    assert set(got.samples["profile"]) == {"c1"}
    assert got.counts["sample_id"].unique().tolist() == ["c1_0-5"]


def test_every_layout_of_the_exporter_gives_the_same_casts(data_root):
    folder = data_root / "formats" / "ecopart"
    tables = {
        name: read_ecopart(find_sources([folder / name]))
        for name in ("tsvagg_det_multi", "tsvagg_reduit_multi", "odv_reduit_multi", "tsv_reduit_multi")
    }
    volume = {name: table.samples.set_index("sample_id")["volume"] for name, table in tables.items()}
    fine = volume["tsvagg_det_multi"].filter(regex="^brusample01_")
    assert len(fine) == 300
    for name, table in volume.items():
        np.testing.assert_allclose(table.reindex(fine.index), fine, rtol=1e-12, err_msg=name)
    coarse = [
        tables[name].counts.set_index(["sample_id", "taxon"])["n"].filter(like="brusample01 (taxa)", axis=0)
        for name in ("tsvagg_reduit_multi", "tsv_reduit_multi")
    ]
    pd.testing.assert_series_equal(coarse[0].sort_index(), coarse[1].sort_index())
    odv = tables["odv_reduit_multi"]
    assert odv.samples.set_index("sample_id").loc["brusample01_0-5", ["lat", "lon"]].tolist() == [44.0905, 7.576]
    n = [
        table.counts[table.counts["sample_id"].str.startswith("brusample01 (taxa)")]["n"].sum()
        for table in (tables["tsvagg_reduit_multi"], odv)
    ]
    assert n[0] == n[1] > 0
    per_bin = tables["tsvagg_reduit_multi"].samples.set_index("sample_id").loc["brusample01 (taxa)_0-25", "volume"]
    assert per_bin == pytest.approx(fine.iloc[:5].sum())


def test_bins_without_objects_are_restored(data_root):
    """300 bins with 339 L of one cast, of which 201 with 227 L have objects: the mean over the latter is too high."""
    got = read_ecopart(find_sources([data_root / "formats/ecopart/tsvagg_det_multi"]))
    cast = got.samples[got.samples["profile"] == "brusample01"]
    assert (len(cast), cast["volume"].sum()) == (300, pytest.approx(0.339))
    held = cast[cast["sample_id"].isin(got.counts["sample_id"])]
    assert len(held) < 250


def test_three_real_stations(data_root):
    sources = [s for s in find_sources([data_root / "ecopart_stations"]) if recognises(s)]
    got = read_ecopart(sources)
    assert got.samples["sample_id"].is_unique
    assert got.samples[["lat", "lon", "volume", "time"]].notna().all().all()
    assert got.samples["volume"].sum() == pytest.approx(1736.504, abs=1e-3)
    particles = got.extra["particles"]
    assert (particles["n"] == particles["n"].round()).all()  # integers to 1e-6 or the reader would have refused
    assert set(got.findings["check"]) == {"duplicate", "homonym", "missing"}
    assert (
        "uvp5_sn010_2014_m108: aa 0.010498, exp 1.2084; M108_aa_exp_test1: aa 0.025, exp 1"
        in got.findings["message"].iloc[0]
    )
    assert not got.extra["searched"]["searched"].any()


def test_casts_of_two_projects_in_one_file_are_told_by_their_calibration(data_root):
    """One particle has a whole number of pixels with the calibration it was computed with, and with no other."""
    archive = data_root / "ecopart_stations" / "pap_so_uvp5_detailed.zip"
    got = read_ecopart(find_sources([archive]))
    casts = got.extra["casts"].set_index("key")
    twice = got.findings[got.findings["check"] == "duplicate"]
    assert len(twice) == 11
    assert twice["message"].str.contains("by its biovolumes it is that of").all()
    with zipfile.ZipFile(archive) as held:
        for row in twice.itertuples():
            table = pd.read_csv(held.open(row.file), sep="\t", encoding="latin-1")
            litres = table[["Sampled volume [L]"]].to_numpy()
            n, volume = (table.filter(regex=head).to_numpy() * litres for head in (r"^LPM \(", "^LPM bio"))
            esd = (6 / np.pi * volume[np.abs(n - 1) < 1e-6]) ** (1 / 3)
            area = (np.pi / 4 * esd**2 / casts.loc[row.value, "aa"]) ** (1 / casts.loc[row.value, "exp"])
            assert len(area)
            np.testing.assert_allclose(area, np.round(area), atol=1e-6)


def odv_of(text, kind):
    """The same detailed table as an ODV spreadsheet: names as child(parent), the cast on its first row only."""
    lines = [line.split("\t") for line in text.splitlines()]
    names = []
    for name in lines[0][5:]:
        line, what, unit = (
            re.match(r"^(.*?)( biovolume| avgesd)?( \[.*)$", name).groups() if kind == "ZOO" else (name, "", "")
        )
        *_, parent, child = ["", *line.split(">")]
        names.append(child + (f"({parent})" if parent else "") + (what or "") + " " * (kind == "ZOO") + unit)
    head = [
        "Cruise:METAVAR:TEXT:40",
        "Station:METAVAR:TEXT:20",
        "Rawfilename:METAVAR:TEXT:20",
        "Instrument:METAVAR:TEXT:10",
        "yyyy-mm-dd hh:mm:METAVAR:TEXT:40",
        "Latitude [degrees_north]:METAVAR:DOUBLE",
        "Longitude [degrees_east]:METAVAR:DOUBLE",
        "Depth [m]:PRIMARYVAR:DOUBLE",
        "Sampled volume [L]",
        *names,
    ]
    rows, before = [], None
    for line in lines[1:]:
        start = ["cruise", line[0], line[1], "uvp5", line[2], "44.0", "7.5"] if line[0] != before else [""] * 7
        rows.append([*start, *line[3:]])
        before = line[0]
    return "//<Creator>x</Creator>\n" + "\n".join(";".join(cells) for cells in [head, *rows]) + "\n"


def test_detailed_spreadsheets_do_not_count_parents_twice(data_root, tmp_path):
    """ODV writes child(parent) only; the hierarchy is put together again before what is below a taxon is taken off."""
    folder = data_root / "formats/ecopart/tsvagg_det_multi"
    for kind in ("PAR", "ZOO"):
        path = next(folder.glob(f"*{kind}_Aggregated.tsv"))
        table = pd.read_csv(path, sep="\t", encoding="latin-1", dtype=str, keep_default_na=False)
        table = table[table["Profile"] == "brusample01"].drop(columns="Project")
        (tmp_path / f"export_detailed_x_{kind}_odv.txt").write_text(
            odv_of(table.to_csv(sep="\t", index=False), kind), encoding="latin-1"
        )
    got = read_ecopart(find_sources([tmp_path]))
    theirs = read_ecopart(find_sources([folder]))
    keys = ["sample_id", "taxon"]
    expected = theirs.counts[theirs.counts["sample_id"].str.startswith("brusample01_")].set_index(keys).sort_index()
    pd.testing.assert_frame_equal(
        got.counts.set_index(keys).sort_index()[["n", "biovolume"]], expected[["n", "biovolume"]]
    )
    assert set(got.extra["taxa"]["hierarchy"]) == set(theirs.extra["taxa"]["hierarchy"])
    assert got.samples["lat"].eq(44.0).all()
    assert len(got.samples) == 300


def test_counts_of_a_cast_over_time_lie_on_its_hours(data_root):
    got = read_ecopart(find_sources([data_root / "formats/ecopart/tsvagg_det_multi"]))
    counts = got.counts[got.counts["sample_id"].str.startswith("uvpappsampleT1_t")]
    per_hour = counts.groupby("sample_id")["n"].sum()
    zoo = pd.read_csv(
        next((data_root / "formats/ecopart/tsvagg_det_multi").glob("*ZOO*")), sep="\t", encoding="latin-1"
    ).query("Profile == 'uvpappsampleT1'")
    roots = (
        (zoo["living [# m-3]"].fillna(0) + zoo["not-living [# m-3]"].fillna(0)) * zoo["Sampled volume [L]"] / 1000
    ).to_numpy()
    np.testing.assert_allclose(
        per_hour.reindex([f"uvpappsampleT1_t{k}" for k in range(1, 7)], fill_value=0), roots, rtol=1e-9
    )
    assert len(got.samples[got.samples["profile"] == "uvpappsampleT1"]) == 6


def test_hours_without_objects_count_where_the_table_of_taxa_leaves_them_out(tmp_path):
    """Rows of taxa do not tell their hour; with hours left out they belong to the whole cast and to all its water."""
    hours = "".join(
        f"c1\tHDR1\t2019-11-21 0{k}:30:00\t{100 + k}.3\t2.0\t" + "\t".join("0" * 6) + "\t13.5\t\t\n" for k in range(3)
    )
    got = read(tmp_path, PAR + hours, taxa(("", 2.0, 4, 4, 1), ("", 2.0, 2, 2, 0)))
    assert got.samples.set_index("sample_id")["volume"].to_dict() == pytest.approx(
        {"c1_t1": 2e-3, "c1_t2": 2e-3, "c1_t3": 2e-3, "c1 (taxa)_all": 6e-3}
    )
    assert got.counts[["sample_id", "taxon", "n"]].to_numpy().tolist() == [
        ["c1 (taxa)_all", "Copepoda", 5],
        ["c1 (taxa)_all", "Calanidae", 1],
    ]
    assert got.counts["biovolume"].tolist() == pytest.approx([2.5, 0.5])
    assert got.extra["searched"].set_index("profile")["searched"].to_dict() == {"c1": True}
    assert got.samples.set_index("sample_id")["role"].to_dict() == {
        "c1_t1": "particles",
        "c1_t2": "particles",
        "c1_t3": "particles",
        "c1 (taxa)_all": "taxa",
    }


def test_floats_have_other_images_of_plankton_than_of_particles(data_root):
    """5.65 L of plankton images and 1.13 L of particle images per bin: each object stands for a fifth, or concentrations were 5 times too high."""
    got = read_ecopart(find_sources([data_root / "formats/ecopart/tsvagg_det_multi"]))
    counts = got.counts[got.counts["sample_id"] == "lambdasample01_0-5"]
    assert counts["weight"].unique() == pytest.approx([0.2])
    zoo = pd.read_csv(
        next((data_root / "formats/ecopart/tsvagg_det_multi").glob("*ZOO*")), sep="\t", encoding="latin-1"
    ).query("Profile == 'lambdasample01'")
    volume = got.samples.set_index("sample_id").loc["lambdasample01_0-5", "volume"]
    roots = zoo[["living [# m-3]", "not-living [# m-3]"]].iloc[0].sum()
    assert (counts["n"] * counts["weight"]).sum() / volume == pytest.approx(roots)


def test_means_of_a_float_are_kept_and_reported(tmp_path):
    got = read(tmp_path, bins((2.5, 0.5, 1.5, 2, 0)), None, SUMMARY.replace("\tuvp5\t", "\tuvp6remote\t"))
    assert got.extra["particles"]["n"].tolist() == [1.5, 2]
    assert got.findings[["check", "row"]].to_numpy().tolist() == [["count", 2]]
    assert got.samples["instrument"].tolist() == ["UVP6"]


def test_rows_of_taxa_without_volume_are_left_out_and_named(tmp_path):
    blank = taxa((2.5, 4.52, 1, 1, 1), (7.5, 5.65, 1, 1, 1)).replace("\t5.65\t", "\t\t")
    got = read(tmp_path, bins(*BINS), blank)
    assert got.counts[["sample_id", "n"]].to_numpy().tolist() == [["c1_0-5", 1]]
    assert got.findings[["severity", "row"]].to_numpy().tolist() == [["refused", 3]]


def test_reduced_bins_below_6000_m(tmp_path):
    deep = (
        taxa((6500, 9.0, 2, 2, 2))
        .replace("living>Copepoda>Calanidae", "x>Calanidae")
        .replace("living>Copepoda", "y>Copepoda")
    )
    for name, text in (
        ("export_reduced_x_Export_metadata_summary.tsv", SUMMARY),
        ("x_PAR_c1.tsv", bins((6002.5, 4.5, 1, 0, 0), (6992.5, 4.5, 1, 0, 0))),
        ("export_reduced_x_ZOO_c1.tsv", deep),
    ):
        (tmp_path / name).write_bytes(text.encode("latin-1"))
    got = read_ecopart(find_sources([tmp_path]))
    assert got.samples.set_index("sample_id").loc["c1 (taxa)_6000-7000", "volume"] == pytest.approx(9e-3)
    assert got.counts["sample_id"].unique().tolist() == ["c1 (taxa)_6000-7000"]


def test_a_cast_in_two_exports_is_refused(tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        read(tmp_path / folder, bins(*BINS))
    with pytest.raises(UserError, match="bin 'c1_0-5' stands in .*a/x_PAR_c1.tsv and in .*b/x_PAR_c1.tsv"):
        read_ecopart(find_sources([tmp_path]))


def test_casts_without_a_table_are_named(tmp_path):
    got = read(tmp_path, bins(*BINS), summary=SUMMARY + SUMMARY.splitlines()[1].replace("c1", "c2") + "\n")
    assert got.findings[["check", "value"]].to_numpy().tolist() == [["missing", "c2"], ["duplicate", "c1"]][:1]
    assert got.extra["casts"]["profile"].tolist() == ["c1", "c2"]


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("\t13.5\t", '\t"13.5"\t'),
        lambda text: text.replace("\t13.5\t", "\t 13.5\t"),
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text + "\n\n",
        lambda text: text.replace("\nc1", '\n"c1"'),
    ],
)
def test_spelling_of_cells_changes_nothing(tmp_path, change):
    for name in ("plain", "changed"):
        (tmp_path / name).mkdir()
    plain, changed = read(tmp_path / "plain", bins(*BINS)), read(tmp_path / "changed", change(bins(*BINS)))
    pd.testing.assert_frame_equal(plain.samples.drop(columns="source"), changed.samples.drop(columns="source"))
    pd.testing.assert_frame_equal(plain.extra["particles"], changed.extra["particles"])
    pd.testing.assert_frame_equal(plain.extra["conditions"], changed.extra["conditions"])


def test_from_station_archives_to_zones_in_one_command(data_root, tmp_path):
    archives = sorted((data_root / "ecopart_stations").glob("*.zip"))
    done = CliRunner().invoke(
        main,
        [
            "ingest",
            *map(str, archives),
            "-o",
            str(tmp_path / "out"),
            "--zone",
            "0-200",
            "--zone",
            "200-1000",
            "--quiet",
        ],
    )
    assert done.exit_code == 0, done.output
    spectra = pd.read_csv(tmp_path / "out" / "zone_spectra.csv")
    assert set(spectra["zone"]) == {"0-200", "200-1000"}
    assert spectra.groupby(["profile", "zone"]).size().nunique() == 1  # the same classes everywhere
    one = spectra[(spectra["zone"] == "0-200") & (spectra["profile"] == spectra["profile"].iloc[0])]
    bins = pd.read_parquet(tmp_path / "out" / "samples.parquet")
    mine = bins[(bins["profile"] == one["profile"].iloc[0]) & (bins["depth_bottom"] <= 200)]
    assert one["volume"].iloc[0] == pytest.approx(mine["volume"].sum())
    assert (tmp_path / "out" / "zone_samples.csv").exists()
    assert (
        len(pd.read_csv(tmp_path / "out" / "zone_concentrations.csv")) == 0
    )  # the archives hold no taxa, which is not zero


def spelled(text, old, new):
    """A table with another spelling in its header, written as UTF-8."""
    head, _, rest = text.partition("\n")
    assert old in head
    return head.replace(old, new) + "\n" + rest


def read_utf8(folder, par, zoo=None, summary=SUMMARY):
    for name, text in (("x_Export_metadata_summary.tsv", summary), ("x_PAR_c1.tsv", par), ("x_ZOO_c1.tsv", zoo)):
        if text is not None:
            (folder / name).write_text(text, encoding="utf-8")
    return read_ecopart(find_sources([folder]))


@pytest.mark.parametrize("micro", ["μm", "um", "Âµm", "?m", "µm"])
def test_no_spelling_of_the_micro_sign_loses_a_class(tmp_path, micro):
    got = read_utf8(tmp_path, spelled(bins(*BINS), "µm", micro))
    assert got.extra["particles"]["n"].sum() == 15
    assert got.findings.empty


def test_the_greek_letter_in_a_real_cast(data_root, tmp_path):
    """3 680 286 particles; with the small classes lost it were 4 328."""
    with zipfile.ZipFile(data_root / "ecopart_stations" / "hausgarten_uvp5_detailed.zip") as held:
        for name in held.namelist():
            text = held.read(name).decode("latin-1")
            if "summary" in name:
                (tmp_path / name.split("/")[-1]).write_text(text, encoding="latin-1")
            elif "msm93_030_1" in name:
                theirs = pd.read_csv(held.open(name), sep="\t", encoding="latin-1")
                (tmp_path / name.split("/")[-1]).write_text(text.replace("µ", "μ"), encoding="utf-8")
    got = read_ecopart(find_sources([tmp_path]))
    litres = theirs["Sampled volume [L]"].to_numpy()[:, None]
    n = (theirs.filter(regex=r"^LPM \(").to_numpy() * litres).sum()
    assert got.extra["particles"]["n"].sum() == pytest.approx(n) == 3_680_286
    assert got.extra["particles"]["biovolume"].sum() == pytest.approx(24_460.78, abs=0.01)
    assert set(got.findings["check"]) == {"missing"}


@pytest.mark.parametrize("name", ["LPM (102-128 nm) [# l-1]", "LPM (102-128 µm) [# m-3]", "NP (102-128 µm) [# l-1]"])
def test_a_count_that_is_not_understood_is_never_left_out_of_a_sum(tmp_path, name):
    got = read_utf8(tmp_path, spelled(bins(*BINS), "LPM (102-128 µm) [# l-1]", name))
    assert "particles" not in got.extra
    assert len(got.samples) == 3  # the water is known
    refused = got.findings[got.findings["severity"] == "refused"]
    assert refused[["check", "column"]].to_numpy().tolist() == [["columns", name]]
    assert name not in got.extra["conditions"]


def test_a_biovolume_that_is_not_understood_is_missing_and_listed(tmp_path):
    name = "LPM biovolume (102-128 µm) [cm3 l-1]"
    got = read_utf8(tmp_path, spelled(bins(*BINS), "LPM biovolume (102-128 µm) [mm3 l-1]", name))
    particles = got.extra["particles"].set_index(["sample_id", "esd_low"])
    assert np.isnan(particles.loc[("c1_0-5", 102.0), "biovolume"])
    assert particles.loc[("c1_0-5", 128.0), "biovolume"] == pytest.approx(0.03)
    assert got.findings[["severity", "check", "column"]].to_numpy().tolist() == [["suspicious", "columns", name]]


def without_columns(text, wanted):
    rows = [line.split("\t") for line in text.splitlines()]
    kept = [k for k, name in enumerate(rows[0]) if wanted(name)]
    return "\n".join("\t".join(row[k] for k in kept) for row in rows) + "\n"


def test_particles_without_columns_of_biovolume_have_none(tmp_path):
    got = read_utf8(tmp_path, without_columns(bins(*BINS), lambda name: "biovolume" not in name))
    assert got.extra["particles"]["n"].sum() == 15
    assert got.extra["particles"]["biovolume"].isna().all()
    assert "none of 3 size classes has a column of biovolume" in got.findings["message"].iloc[0]


def test_classes_that_begin_too_large_are_told(tmp_path):
    got = read_utf8(tmp_path, without_columns(bins(*BINS), lambda name: "102-128" not in name and "0.128" not in name))
    assert got.extra["particles"]["n"].sum() == 1
    assert got.findings[["severity", "check"]].to_numpy().tolist() == [["suspicious", "columns"]]
    assert "'LPM (>1.02 mm) [# l-1]'" in got.findings["message"].iloc[0]


def test_classes_larger_than_any_image_are_refused(tmp_path):
    text = bins(*BINS).replace("102-128 µm", "102-128 mm").replace("0.128-1.02", "128-1020").replace(">1.02", ">1020")
    got = read_utf8(tmp_path, text)
    assert "particles" not in got.extra
    assert got.findings[["severity", "check"]].to_numpy().tolist() == [["refused", "columns"]]


def test_one_class_twice_is_refused(tmp_path):
    text = spelled(bins(*BINS), "LPM (0.128-1.02 mm) [# l-1]", "LPM (102-128 um) [# l-1]")
    with pytest.raises(UserError, match="are one size class"):
        read_utf8(tmp_path, text)


def test_a_class_that_the_instrument_does_not_tell_is_unknown(data_root):
    """Floats leave 27 of 45 classes empty in every bin: those are missing, not zero."""
    got = read_ecopart(find_sources([data_root / "formats/ecopart/tsvagg_det_multi"]))
    mine = got.extra["particles"][got.extra["particles"]["sample_id"] == "lambdasample01_0-5"]
    assert mine["n"].isna().sum() == 27
    other = got.extra["particles"][got.extra["particles"]["sample_id"] == "brusample01_0-5"]
    assert other["n"].notna().all()


def test_decimal_commas_are_read_and_told(tmp_path):
    comma = re.compile(r"(?<=[\t\n])(-?\d+)\.(\d+(?:e-?\d+)?)(?=[\t\n])")
    plain = bins(*BINS)
    head, _, rest = plain.partition("\n")
    changed = comma.sub(r"\1,\2", comma.sub(r"\1,\2", "\n" + rest))
    for name in ("plain", "comma"):
        (tmp_path / name).mkdir()
    expected = read(tmp_path / "plain", plain)
    got = read(tmp_path / "comma", head.replace("0.128-1.02", "0,128-1,02").replace(">1.02", ">1,02") + changed)
    pd.testing.assert_frame_equal(got.extra["particles"], expected.extra["particles"])
    assert got.samples["volume"].tolist() == expected.samples["volume"].tolist()
    assert got.findings[["severity", "check"]].to_numpy().tolist() == [["repaired", "decimal comma"]]


@pytest.mark.parametrize("cell", ["1,234", "4.5,2"])
def test_commas_that_may_be_thousands_are_refused(tmp_path, cell):
    with pytest.raises(UserError, match="is not a number"):
        read(tmp_path, bins(*BINS).replace("\t4.52\t", f"\t{cell}\t"))


@pytest.mark.parametrize("changed", ["par", "zoo", "summary", "all"])
def test_profile_in_both_spellings(tmp_path, changed):
    """Exports of 2022 have 'profile' in their tables, reduced summaries since 2023 'Profile'."""
    par, zoo, summary = bins(*BINS), taxa((2.5, 4.52, 2, 2, 1)), SUMMARY
    if changed in ("par", "all"):
        par = spelled(par, "Profile", "profile")
    if changed in ("zoo", "all"):
        zoo = spelled(zoo, "Profile", "profile")
    if changed in ("summary", "all"):
        summary = spelled(summary, "profile", "Profile")
    got = read(tmp_path, par, zoo, summary)
    assert got.samples["profile"].tolist() == ["c1"] * 3
    assert got.counts["n"].sum() == 2
    assert got.extra["conditions"].columns.tolist() == ["sample_id", "temperature [degc]", "depth [m]"]


def test_tables_whose_two_depths_are_written_alike(tmp_path):
    got = read(tmp_path, spelled(bins(*BINS), "Depth [m]", "depth [m]"))
    assert got.samples["depth_top"].tolist() == [0, 5, 10]
    assert "depth [m]" in got.extra["conditions"]


def test_a_strange_column_of_taxa_takes_the_taxa_with_it(tmp_path):
    """What is not read of a taxon would be missing in the sum over its parents."""
    name = "living>Copepoda>Calanidae [ind m-3]"
    zoo = spelled(taxa((2.5, 4.52, 6, 5, 2)), "living>Copepoda>Calanidae [# m-3]", name)
    got = read(tmp_path, bins(*BINS), zoo)
    assert got.counts.empty
    assert got.extra["searched"].to_numpy().tolist() == [["c1", False]]
    assert got.findings[["severity", "check", "column"]].to_numpy().tolist() == [["refused", "columns", name]]


def reduced(folder, *rows):
    """A reduced export: copepods in coarse bins, particles every 5 m down to 50 m."""
    zoo = taxa(*rows).replace("living>Copepoda>Calanidae", "x>Calanidae").replace("living>Copepoda", "y>Copepoda")
    par = bins(*((2.5 + 5 * k, 4.0, 10, 1, 0) for k in range(10)))
    for name, text in (
        ("export_reduced_x_Export_metadata_summary.tsv", SUMMARY),
        ("x_PAR_c1.tsv", par),
        ("export_reduced_x_ZOO_c1.tsv", zoo),
    ):
        (folder / name).write_bytes(text.encode("latin-1"))


def test_a_reduced_export_has_each_cast_and_its_water_once(tmp_path):
    reduced(tmp_path, (12.5, 20.0, 3, 2, 0))
    got = read_ecopart(find_sources([tmp_path]))
    assert set(got.samples["profile"]) == {"c1"}
    assert got.samples["role"].value_counts().to_dict() == {"particles": 10, "taxa": 2}
    assert each_water_once(got.samples)["volume"].sum() == pytest.approx(0.04)
    assert of_role(got.samples, "taxa")["volume"].sum() == pytest.approx(0.04)
    assert of_role(got.samples, "particles")["sample_id"].tolist() == [f"c1_{5 * k}-{5 * k + 5}" for k in range(10)]
    assert set(got.counts["sample_id"]) <= set(of_role(got.samples, "taxa")["sample_id"])


def test_zones_and_aggregates_of_a_reduced_export(tmp_path):
    """5 animals in the first 25 m, none below: 5 / 0.04 m3 over 0-50 m; 110 particles in the same water."""
    (tmp_path / "export").mkdir()
    reduced(tmp_path / "export", (12.5, 20.0, 3, 2, 0))
    out = tmp_path / "out"
    done = CliRunner().invoke(main, ["ingest", str(tmp_path / "export"), "-o", str(out), "--zone", "0-50", "--quiet"])
    assert done.exit_code == 0, done.output
    assert "zones: 1 profiles with taxa" in done.output
    assert "0.04 m3 in all" in (out / "quality.md").read_text(encoding="utf-8")
    zones = pd.read_csv(out / "zone_concentrations.csv").groupby("taxon")[["n", "number_concentration", "volume"]].sum()
    assert zones.loc["living"].tolist() == pytest.approx([3, 75, 0.04])
    assert zones.loc["Copepoda"].tolist() == pytest.approx([2, 50, 0.04])
    assert len(pd.read_csv(out / "zone_samples.csv")) == 1
    spectrum = pd.read_csv(out / "zone_spectra.csv").set_index("esd_low")
    assert spectrum["number_concentration"].to_dict() == pytest.approx({102.0: 2500, 128.0: 250})
    assert spectrum.loc[102.0, "number_density"] == pytest.approx(2500 / 0.026)
    done = CliRunner().invoke(main, ["aggregate", str(out), "-o", str(tmp_path / "sums")])
    assert done.exit_code == 0, done.output
    rows = pd.read_parquet(tmp_path / "sums" / "concentrations.parquet")
    found = rows[rows["taxon"] == "Copepoda"].set_index("sample_id")["n"].to_dict()
    assert found == {"c1 (taxa)_0-25": 2, "c1 (taxa)_25-50": 0}


def test_two_volumes_of_one_bin_are_told(data_root):
    got = read_ecopart(find_sources([data_root / "formats/ecopart/tsvagg_det_multi"]))
    told = got.findings[got.findings["message"].str.contains("plankton images")]["message"]
    assert "'lambdasample01_0-5' has 5.65 L of plankton images and 1.13 L of particle images" in told.iloc[0]
    assert "counts 0.2 times" in told.iloc[0]
