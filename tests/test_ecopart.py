"""EcoPart exports: the exporter's own test files and three real stations."""

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from aqqua_dist.cli import main
from aqqua_dist.errors import UserError
from aqqua_dist.readers.ecopart import read_ecopart, recognises
from aqqua_dist.readers.sources import find_sources

SUMMARY = ("profile\tCruise\tSite\tDataOwner\tRawfilename\tInstrument\tCTDrosettefilename\tyyyy-mm-dd hh:mm\tLatitude \tLongitude\taa\texp\tPixel size\t"
           "Particle filename\tPlankton filename\tProject\n"
           "c1\tcruise\t\t\tHDR1\tuvp5\t\t2019-11-21 01:00:00\t44.0905\t352.424\t0.0002\t1.02\t0.088\tx_PAR_c1.tsv\tx_ZOO_c1.tsv\tP1\n")
PAR = ("Profile\tRawfilename\tyyyy-mm-dd hh:mm\tDepth [m]\tSampled volume [L]\tLPM (102-128 µm) [# l-1]\tLPM (0.128-1.02 mm) [# l-1]\t"
       "LPM (>1.02 mm) [# l-1]\tLPM biovolume (102-128 µm) [mm3 l-1]\tLPM biovolume (0.128-1.02 mm) [mm3 l-1]\tLPM biovolume (>1.02 mm) [mm3 l-1]\t"
       "temperature [degc]\tdepth [m]\textrames01\n")
ZOO = ("Profile\tRawfilename\tyyyy-mm-dd hh:mm\tDepth [m]\tSampled volume [L]\tliving [# m-3]\tliving>Copepoda [# m-3]\tliving>Copepoda>Calanidae [# m-3]\t"
       "living biovolume [mm3 l-1]\tliving>Copepoda biovolume [mm3 l-1]\tliving>Copepoda>Calanidae biovolume [mm3 l-1]\tliving avgesd [mm]\n")


def bins(*rows):
    """Depth, litres, particles of three classes."""
    return PAR + "".join(f"c1\tHDR1\t2019-11-21 01:00:00\t{d}\t{v}\t{a / v!r}\t{b / v!r}\t{c / v!r}\t{a * 1e-3 / v!r}\t{b * 1e-2 / v!r}\t{c * 2 / v!r}\t13.5\t{d}\t\n"
                         for d, v, a, b, c in rows)


def taxa(*rows):
    """Depth, litres, numbers of living, copepods and calanids, each with those below it."""
    return ZOO + "".join(f"c1\tHDR1\t2019-11-21 01:00:00\t{d}\t{v}\t" + "\t".join("" if n is None else repr(n * 1000 / v) for n in numbers)
                         + "\t" + "\t".join(repr((n or 0) * 0.5 / v) for n in numbers) + "\t1.0\n" for d, v, *numbers in rows)


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
    assert samples.iloc[2][["lat", "lon", "cruise", "instrument", "profile", "effort_rule"]].tolist() == [44.0905, pytest.approx(-7.576), "cruise", "UVP5", "c1", "ecopart v1"]
    counts = got.counts.set_index(["sample_id", "taxon"])["n"]
    assert counts.to_dict() == {("c1_0-5", "living"): 1, ("c1_0-5", "Copepoda"): 3, ("c1_0-5", "Calanidae"): 2, ("c1_5-10", "living"): 1}
    assert got.counts["biovolume"].tolist() == pytest.approx((0.5 * got.counts["n"]).tolist())
    assert set(got.counts["method"]) == {"validated"}
    particles = got.extra["particles"].set_index(["sample_id", "esd_low"])
    assert particles["n"].to_dict() == {("c1_0-5", 0.102): 10, ("c1_0-5", 0.128): 3, ("c1_5-10", 0.128): 1, ("c1_5-10", 1.02): 1}
    assert particles.loc[("c1_5-10", 1.02), ["esd_high", "biovolume"]].tolist() == [1e8, pytest.approx(2.0)]
    assert got.extra["conditions"].columns.tolist() == ["sample_id", "temperature [degc]", "depth [m]"]
    assert got.extra["searched"].to_numpy().tolist() == [["c1", True]]


def test_without_a_table_of_taxa_nobody_searched(tmp_path):
    got = read(tmp_path, bins(*BINS))
    assert got.extra["searched"].to_numpy().tolist() == [["c1", False]]
    assert got.counts.empty


def test_blank_taxa_are_zeros(tmp_path):
    got = read(tmp_path, bins(*BINS), taxa((2.5, 4.52, 2, 2, None)))
    assert got.counts[["taxon", "n"]].to_numpy().tolist() == [["Copepoda", 2]]


@pytest.mark.parametrize(("par", "zoo", "summary", "message"), [
    (bins(*BINS), None, None, "there is no metadata summary beside it"), (bins(*BINS).replace("c1\t", "c2\t"), None, SUMMARY, "row 2: profile 'c2' is not in the metadata"),
    (bins(*BINS, BINS[0]), None, SUMMARY, None), (bins((2.5, 0.5, 1.5, 0, 0)), None, SUMMARY, "number of particles is 1.5 in a bin"),
    (bins(*BINS).replace("\t4.52\t", "\t-4.52\t"), None, SUMMARY, "column 'Sampled volume \\[L\\]': -4.52 is not above 0 L"),
    (bins(*BINS).replace("\t4.52\t", "\tfour\t"), None, SUMMARY, "row 2, column 'Sampled volume \\[L\\]': 'four' is not a number"),
    (bins(*BINS), taxa((52.5, 4.52, 1, 1, 1)), SUMMARY, "bin 'c1_50-55' has objects and is not in the particle table"),
    (bins(*BINS), taxa((2.5, 4.52, 1, 2, 1)), SUMMARY, "'living' holds less than the taxa below it"),
    (bins(*BINS), taxa((2.5, 4.52, 1, 1, 1))[:-30] + "\n", SUMMARY, "row 2: the row has"),
    (bins(*BINS).replace("(0.128-1.02 mm)", "(128-1020 mm)"), None, SUMMARY, "does not begin where"),
    (bins(*BINS), None, SUMMARY.replace("44.0905", "94.0905"), "column 'lat': 94.0905 is outside"),
    (bins(*BINS), None, SUMMARY.replace("2019-11-21 01:00:00", "soon"), "'soon' is not a time")])
def test_what_cannot_be_right_is_refused(tmp_path, par, zoo, summary, message):
    if message is None:  # a depth that stands twice: taken over time, and said so
        assert "taken over time?" in read(tmp_path, par, zoo, summary).findings["message"].iloc[0]
        return
    with pytest.raises(UserError, match=message):
        read(tmp_path, par, zoo, summary)


def raw_and_detailed(data_root):
    folder = data_root / "formats" / "ecopart"
    return (read_ecopart([s for s in find_sources([folder / "raw_multi"]) if recognises(s)]), read_ecopart(find_sources([folder / "tsvagg_det_multi"])))


def test_raw_files_agree_with_the_exporters_detailed_tables(data_root):
    """Volumes and particle concentrations to 1e-12, biovolumes to 5e-15 relative, every cell of taxa exactly."""
    raw, detailed = raw_and_detailed(data_root)
    ours, theirs = (r.samples[r.samples["profile"] == "uvpappsample01"].set_index("sample_id") for r in (raw, detailed))
    assert ours.index.tolist() == theirs.index.tolist()
    assert len(ours) == 300
    np.testing.assert_allclose(ours["volume"], theirs["volume"], rtol=1e-12)
    sizes = [r.extra["particles"].merge(s[["volume"]], left_on="sample_id", right_index=True).set_index(["sample_id", "esd_low", "esd_high"])
             for r, s in ((raw, ours), (detailed, theirs))]
    both = sizes[0].join(sizes[1].add_suffix("_theirs"), how="outer")
    assert len(both) == len(sizes[0]) == len(sizes[1]) > 1000
    np.testing.assert_allclose(both["n"] / both["volume"], both["n_theirs"] / both["volume_theirs"], rtol=1e-12)
    np.testing.assert_allclose(both["biovolume"], both["biovolume_theirs"], rtol=2e-14)
    objects = raw.objects[raw.objects["status"] == "validated"]
    found = objects.groupby(["sample_id", "label"]).size()
    lines = raw.extra["taxa"].set_index("taxon")["hierarchy"]
    expected = detailed.counts[detailed.counts["sample_id"].isin(ours.index)].set_index(["sample_id", "taxon"])["n"]
    assert found.sum() == expected.sum() > 500
    names = {"fiber": {"fiber<detritus", "fiber<plastic"}}
    for (sample, label), n in found.items():
        assert sum(expected.get((sample, name), 0) for name in names.get(label.partition("<")[0], {label})) >= n, (sample, label, lines)
    volume = np.pi / 6e9 * objects["esd"] ** 3
    whole = detailed.counts[detailed.counts["sample_id"].isin(ours.index)].groupby("sample_id")["biovolume"].sum()
    np.testing.assert_allclose(volume.groupby(objects["sample_id"]).sum(), whole, rtol=1e-9)


def test_every_layout_of_the_exporter_gives_the_same_casts(data_root):
    folder = data_root / "formats" / "ecopart"
    tables = {name: read_ecopart(find_sources([folder / name])) for name in ("tsvagg_det_multi", "tsvagg_reduit_multi", "odv_reduit_multi", "tsv_reduit_multi")}
    volume = {name: table.samples.set_index("sample_id")["volume"] for name, table in tables.items()}
    fine = volume["tsvagg_det_multi"].filter(regex="^brusample01_")
    assert len(fine) == 300
    for name, table in volume.items():
        np.testing.assert_allclose(table.reindex(fine.index), fine, rtol=1e-12, err_msg=name)
    coarse = [tables[name].counts.set_index(["sample_id", "taxon"])["n"].filter(like="brusample01 (taxa)", axis=0) for name in ("tsvagg_reduit_multi", "tsv_reduit_multi")]
    pd.testing.assert_series_equal(coarse[0].sort_index(), coarse[1].sort_index())
    odv = tables["odv_reduit_multi"]
    assert odv.samples.set_index("sample_id").loc["brusample01_0-5", ["lat", "lon"]].tolist() == [44.0905, 7.576]
    n = [table.counts[table.counts["sample_id"].str.startswith("brusample01 (taxa)")]["n"].sum() for table in (tables["tsvagg_reduit_multi"], odv)]
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
    assert set(got.findings["check"]) == {"duplicate", "homonym"}
    assert "uvp5_sn010_2014_m108: aa 0.010498, exp 1.2084; M108_aa_exp_test1: aa 0.025, exp 1" in got.findings["message"].iloc[0]
    assert not got.extra["searched"]["searched"].any()


def test_from_station_archives_to_zones_in_one_command(data_root, tmp_path):
    archives = sorted((data_root / "ecopart_stations").glob("*.zip"))
    done = CliRunner().invoke(main, ["ingest", *map(str, archives), "-o", str(tmp_path / "out"), "--zone", "0-200", "--zone", "200-1000", "--quiet"])
    assert done.exit_code == 0, done.output
    spectra = pd.read_csv(tmp_path / "out" / "zone_spectra.csv")
    assert set(spectra["zone"]) == {"0-200", "200-1000"}
    assert spectra.groupby(["profile", "zone"]).size().nunique() == 1  # the same classes everywhere
    one = spectra[(spectra["zone"] == "0-200") & (spectra["profile"] == spectra["profile"].iloc[0])]
    bins = pd.read_parquet(tmp_path / "out" / "samples.parquet")
    mine = bins[(bins["profile"] == one["profile"].iloc[0]) & (bins["depth_bottom"] <= 200)]
    assert one["volume"].iloc[0] == pytest.approx(mine["volume"].sum())
    assert (tmp_path / "out" / "zone_samples.csv").exists()
    assert len(pd.read_csv(tmp_path / "out" / "zone_concentrations.csv")) == 0  # the archives hold no taxa, which is not zero
