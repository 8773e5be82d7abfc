"""The main road of a UVP lab: vignettes labelled in EcoTaxa, volumes of EcoPart; each animal once, in its bin."""

import zipfile

import pandas as pd
import pytest
from click.testing import CliRunner

from aqqua_dist.cli import main
from aqqua_dist.core import files
from tests.readers.ecopart.test_raw_new import SAMPLES as NEW_SAMPLES
from tests.readers.ecopart.test_raw_new import write as write_new

LINE = "living>Eukaryota>Metazoa>Crustacea>Copepoda"
SUMMARY = (
    "profile\tCruise\tSite\tDataOwner\tRawfilename\tInstrument\tCTDrosettefilename\tyyyy-mm-dd hh:mm\tLatitude \tLongitude\taa\texp\tPixel size\t"
    "Particle filename\tPlankton filename\tProject\n"
)


def call(*words):
    return CliRunner().invoke(main, list(map(str, words)))


def ecopart(folder, casts, zoo=True, litres=10):
    """Casts of two or more bins of 5 m; ``casts`` gives the copepods of each bin, the name may be ``(name, lat)``."""
    folder.mkdir()
    summary = SUMMARY
    for (name, lat), bins in casts.items():
        summary += f"{name}\tcruise\t\t\tHDR{name}\tuvp5\t\t2019-11-21 01:00:00\t{lat}\t-7.5\t0.0002\t1.02\t0.088\tx_PAR_{name}.tsv\tx_ZOO_{name}.tsv\tP1\n"
        head = f"{name}\tHDR{name}\t2019-11-21 01:00:00"
        lines = [f"{head}\t{2.5 + 5 * k}\t{litres}\t1" for k in range(len(bins))]
        text = "Profile\tRawfilename\tyyyy-mm-dd hh:mm\tDepth [m]\tSampled volume [L]\tLPM (102-128 µm) [# l-1]\n"
        (folder / f"x_PAR_{name}.tsv").write_bytes((text + "\n".join(lines) + "\n").encode("latin-1"))
        if zoo:
            taxon = f"{LINE} [# m-3]\t{LINE} biovolume [mm3 l-1]\t{LINE} avgesd [mm]"
            text = f"Profile\tRawfilename\tyyyy-mm-dd hh:mm\tDepth [m]\tSampled volume [L]\t{taxon}\n"
            lines = [f"{head}\t{2.5 + 5 * k}\t{litres}\t{1000 * n / litres}\t0\t1" for k, n in enumerate(bins) if n]
            (folder / f"x_ZOO_{name}.tsv").write_bytes((text + "\n".join(lines) + "\n").encode("latin-1"))
    (folder / "x_Export_metadata_summary.tsv").write_bytes(summary.encode("latin-1"))
    return folder


def ecotaxa(path, objects, offset=1.2, profileid="", instrument="uvp5"):
    """Objects as (sample, depth, status[, lat])."""
    names = (
        "object_id object_lat object_lon object_date object_time object_depth_min object_depth_max object_annotation_status "
        "object_annotation_category object_annotation_hierarchy object_area sample_id sample_profileid acq_id acq_instrument acq_depthoffset acq_pixel"
    ).split()
    lines = [names]
    for k, (sample, depth, status, *lat) in enumerate(objects):
        profile = profileid.get(sample, "") if isinstance(profileid, dict) else profileid
        lines.append(
            [
                f"o{k}",
                lat[0] if lat else 44.1,
                -7.5,
                20191121,
                "011000",
                depth,
                depth,
                status,
                "Copepoda",
                LINE,
                1401,
                sample,
            ]
            + [profile, f"a_{sample}", instrument, offset, 0.088]
        )
    path.write_text("\n".join("\t".join(map(str, line)) for line in lines) + "\n")
    return path


TOLD = [("c1", 2.0, "validated"), ("c1", 4.2, "validated"), ("c1", 6.0, "validated")]


def found_in(folder, column="n"):
    table = files.read_parquet(folder / "concentrations.parquet")
    return table.set_index("sample_id")[column].to_dict()


@pytest.mark.parametrize("zoo", [True, False])
@pytest.mark.parametrize("sample", ["c1", "another_name"])
def test_each_animal_counts_once_in_the_bin_of_its_water(tmp_path, zoo, sample):
    """400 and 200 m-3, empty, or the wrong bins came out; 4.2 m and 1.2 m of offset lie in the second bin."""
    one = ecopart(tmp_path / "ecopart", {("c1", 44.1): (2, 1, 0)}, zoo)
    two = ecotaxa(tmp_path / "ecotaxa_x.tsv", [(sample, *rest) for _, *rest in TOLD], profileid="c1")
    done = call("ingest", one, two, "-o", tmp_path / "in", "--quiet")
    assert done.exit_code == 0 and "with the camera's offset (1.2 m)" in done.output
    assert ("table ZOO) of the same animals" in done.output) == zoo
    assert "are casts of EcoPart" in (tmp_path / "in" / "quality.md").read_text()
    done = call("aggregate", tmp_path / "in", "-o", tmp_path / "out", "--zone", "0-15")
    assert done.exit_code == 0, done.output
    assert found_in(tmp_path / "out") == {"c1_0-5": 1, "c1_5-10": 2, "c1_10-15": 0}
    assert found_in(tmp_path / "out", "number_concentration") == pytest.approx(
        {"c1_0-5": 100, "c1_5-10": 200, "c1_10-15": 0}
    )
    assert ("the vignettes count (3 objects), the counts of EcoPart (3) do not" in done.output) == zoo
    zones = pd.read_csv(tmp_path / "out" / "zone_concentrations.csv")
    assert zones[["profile", "n", "number_concentration"]].to_numpy().tolist() == [["c1", 3, pytest.approx(100)]]


@pytest.mark.parametrize("sample", ["c1", "another_name"])
def test_a_table_of_samples_of_another_ingest_does_the_same(tmp_path, sample):
    one = ecopart(tmp_path / "ecopart", {("c1", 44.1): (2, 1, 0), ("c2", 50.1): (1, 0)})
    two = ecotaxa(tmp_path / "ecotaxa_x.tsv", [(sample, *rest) for _, *rest in TOLD], profileid="c1")
    assert call("ingest", one, "-o", tmp_path / "p", "--quiet").exit_code == 0
    assert call("ingest", two, "-o", tmp_path / "t", "--quiet").exit_code == 0
    done = call("aggregate", tmp_path / "t", "-o", tmp_path / "out", "--samples", tmp_path / "p" / "samples.parquet")
    assert done.exit_code == 0, done.output
    assert found_in(tmp_path / "out") == {"c1_0-5": 1, "c1_5-10": 2, "c1_10-15": 0}  # nobody looked through c2
    assert "1 casts, first 'c2', have a volume and no vignettes" in done.output


def test_counts_of_ecopart_are_kept_where_no_vignette_counts(tmp_path):
    one = ecopart(tmp_path / "ecopart", {("c1", 44.1): (2, 1), ("c2", 44.1): (0, 3)})
    objects = [(name, depth, "predicted") for name, depth, _ in TOLD] + [("c2", 5.5, "validated")] * 3
    two = ecotaxa(tmp_path / "ecotaxa_x.tsv", objects)
    done = call("ingest", one, two, "-o", tmp_path / "in", "--zone", "0-10", "--quiet")
    assert done.exit_code == 0, done.output
    assert (
        "1 casts, first 'c1', have vignettes of EcoTaxa of which none counts by its status: the counts of EcoPart (3) are kept"
        in done.output
    )
    assert found_in(tmp_path / "in" / "aggregated") == {"c1_0-5": 2, "c1_5-10": 1, "c2_0-5": 0, "c2_5-10": 3}
    done = call("aggregate", tmp_path / "in", "-o", tmp_path / "all", "--status", "all")
    assert found_in(tmp_path / "all") == {"c1_0-5": 1, "c1_5-10": 2, "c2_0-5": 0, "c2_5-10": 3}
    done = call("aggregate", tmp_path / "in", "-o", tmp_path / "top", "--method", "top1")
    assert done.exit_code == 0 and found_in(tmp_path / "top")["c1_5-10"] == 2, done.output


def test_half_sorted_casts_follow_the_share(tmp_path):
    one = ecopart(tmp_path / "ecopart", {("c1", 44.1): (1, 0, 0)}, zoo=False)
    objects = [("c1", 1.0, "validated"), ("c1", 5.0, "predicted")]
    two = ecotaxa(tmp_path / "ecotaxa_x.tsv", objects)
    assert call("ingest", one, two, "-o", tmp_path / "in", "--quiet").exit_code == 0
    done = call("aggregate", tmp_path / "in", "-o", tmp_path / "out")
    assert "1 samples have no value (c1_5-10)" in done.output
    assert found_in(tmp_path / "out") == {"c1_0-5": 1, "c1_10-15": 0}
    assert call("aggregate", tmp_path / "in", "-o", tmp_path / "o2", "--zone", "0-15", "--sorted", 0.95).exit_code != 1
    assert files.read_parquet(tmp_path / "o2" / "zone_concentrations.parquet").empty


def test_objects_in_no_bin_are_told_and_stop_nothing(tmp_path):
    one = ecopart(tmp_path / "ecopart", {("c1", 44.1): (1, 0)}, zoo=False)
    two = ecotaxa(tmp_path / "ecotaxa_x.tsv", [*TOLD, ("c1", 8.9, "validated")])
    assert call("ingest", one, two, "-o", tmp_path / "in", "--quiet").exit_code == 0
    done = call("aggregate", tmp_path / "in", "-o", tmp_path / "out")
    assert done.exit_code == 0 and "1 objects of 1 casts, first 'c1', lie in no bin with a volume" in done.output
    assert found_in(tmp_path / "out") == {"c1_0-5": 1, "c1_5-10": 2}


def test_names_alone_do_not_join(tmp_path):
    """The same name 500 km away is another cast; where the objects are it stays without a volume."""
    one = ecopart(tmp_path / "ecopart", {("c1", 49.1): (1, 0)})
    two = ecotaxa(tmp_path / "ecotaxa_x.tsv", TOLD, profileid="c1")
    done = call("ingest", one, two, "-o", tmp_path / "in", "--quiet")
    assert "which is another place or time; they were not joined" in done.output
    assert not (tmp_path / "in" / "joined_casts.parquet").exists()


def test_a_sample_without_a_name_of_a_cast_is_found_by_place_and_time(tmp_path):
    one = ecopart(tmp_path / "ecopart", {("c1", 44.1): (2, 1), ("c2", 45.1): (0, 0)}, zoo=False)
    two = ecotaxa(tmp_path / "ecotaxa_x.tsv", [("s_17", *rest) for _, *rest in TOLD])
    done = call("ingest", one, two, "-o", tmp_path / "in", "--quiet")
    assert "by position and time" in done.output
    assert call("aggregate", tmp_path / "in", "-o", tmp_path / "out").exit_code == 0
    assert found_in(tmp_path / "out") == {"c1_0-5": 1, "c1_5-10": 2}


def test_impossible_and_missing_offsets_are_told(tmp_path):
    one = ecopart(tmp_path / "ecopart", {("c1", 44.1): (2, 1)}, zoo=False)
    two = ecotaxa(tmp_path / "ecotaxa_x.tsv", TOLD, offset="")
    done = call("ingest", one, two, "-o", tmp_path / "in", "--quiet")
    assert "have no offset of the camera (acq_depthoffset); 0 m was taken" in done.output
    assert call("aggregate", tmp_path / "in", "-o", tmp_path / "out").exit_code == 0
    assert found_in(tmp_path / "out") == {"c1_0-5": 2, "c1_5-10": 1}
    done = call("ingest", one, ecotaxa(tmp_path / "ecotaxa_y.tsv", TOLD, offset=120), "-o", tmp_path / "far", "--quiet")
    assert "an offset of 120 m" in done.output and not (tmp_path / "far" / "joined_casts.parquet").exists()


def test_a_raw_export_of_the_new_ecopart_with_its_vignettes(tmp_path):
    """The nested table of EcoTaxa was read as a second sample without a volume; 3.0 m and the offset lie in the second bin."""
    rows = [("s1", 0.5, "validated"), ("s1", 3.0, "validated"), ("s1", 4.0, "validated")]
    text = ecotaxa(tmp_path / "t.tsv", rows, offset="", instrument="uvp6").read_text()
    text = text.replace("\t44.1\t-7.5\t20191121\t011000", "\t40.5\t-30.25\t20240601\t100003")
    path = write_new(tmp_path, samples=NEW_SAMPLES.replace("0.073\t\t20240601", "0.073\t2.5\t20240601"))
    with zipfile.ZipFile(path, "a") as held:
        held.writestr("ecotaxa/1/ecotaxa_export_1.tsv", text)
    assert call("ingest", path, "-o", tmp_path / "in", "--quiet").exit_code == 0
    joins = files.read_parquet(tmp_path / "in" / "joined_casts.parquet")
    assert joins[["sample_id", "profile", "depth_offset", "offset_source"]].to_numpy().tolist() == [
        ["s1", "s1", 2.5, "EcoPart"]
    ]
    done = call("aggregate", tmp_path / "in", "-o", tmp_path / "out")
    assert done.exit_code == 0, done.output
    found = found_in(tmp_path / "out")
    assert (found["s1_0-5"], found["s1_5-10"]) == (1, 2) and not any(name.startswith("s2") for name in found)


def test_a_reduced_export_gives_the_vignettes_its_fine_bins(tmp_path):
    """Coarse bins belong to the table of taxa; vignettes have their own depths, and the water counts once."""
    one = ecopart(tmp_path / "ecopart", {("c1", 44.1): (0, 0, 0, 0, 0, 0)})
    head = (one / "x_ZOO_c1.tsv").read_text("latin-1").splitlines()[0]
    (one / "x_ZOO_c1.tsv").write_bytes(
        (head + "\nc1\tHDRc1\t2019-11-21 01:00:00\t12.5\t50\t60\t0\t1\n").encode("latin-1")
    )
    two = ecotaxa(tmp_path / "ecotaxa_x.tsv", TOLD)
    assert call("ingest", one, two, "-o", tmp_path / "in", "--quiet").exit_code == 0
    done = call("aggregate", tmp_path / "in", "-o", tmp_path / "out", "--zone", "0-30")
    assert done.exit_code == 0, done.output
    found = found_in(tmp_path / "out")
    assert (found["c1_0-5"], found["c1_5-10"], len(found)) == (1, 2, 6)
    zones = pd.read_csv(tmp_path / "out" / "zone_concentrations.csv")
    assert zones[["n", "volume"]].to_numpy().tolist() == [[3, pytest.approx(0.06)]]


def test_objects_that_ecopart_lists_are_those_of_ecotaxa(tmp_path, data_root):
    """A raw export (real exporter) with its objects, and the same objects as a table of EcoTaxa: every one once."""
    raw = data_root / "formats/ecopart/raw_multi"
    assert call("ingest", raw, "-o", tmp_path / "raw", "--quiet").exit_code in (0, 1)
    objects = files.read_parquet(tmp_path / "raw" / "objects.parquet")
    bins = files.read_parquet(tmp_path / "raw" / "samples.parquet").set_index("sample_id")
    casts = files.read_parquet(tmp_path / "raw" / "casts.parquet").set_index("key")
    objects = objects[bins.loc[objects["sample_id"], "depth_top"].notna().to_numpy()]
    assert len(objects)
    names = (
        "object_id object_lat object_lon object_date object_time object_depth_min object_annotation_status object_annotation_category object_area "
        "sample_id sample_profileid acq_id acq_instrument acq_depthoffset acq_pixel"
    ).split()
    lines = [names]
    for row in objects.itertuples():
        key = bins.at[row.sample_id, "profile"]
        cast = casts.loc[key]
        own = next(
            (float(x) for x in (cast["override"], cast["offset"]) if pd.notna(x) and str(x) not in ("", "nan")), 0.7
        )
        lines.append(
            [
                row.object_id,
                cast["lat"],
                cast["lon"],
                f"{cast['time']:%Y%m%d}",
                f"{cast['time']:%H%M%S}",
                f"{row.depth - own:.6f}",
            ]
            + [row.status, row.label, 100, f"e_{key}", cast["profile"], "a", "uvp5", 0.7, 0.1]
        )
    (tmp_path / "ecotaxa_x.tsv").write_text("\n".join("\t".join(map(str, line)) for line in lines) + "\n")
    done = call("ingest", raw, tmp_path / "ecotaxa_x.tsv", "-o", tmp_path / "in", "--quiet")
    assert "objects that EcoPart lists are vignettes of EcoTaxa too" in done.output
    both = files.read_parquet(tmp_path / "in" / "objects.parquet")
    assert both["object_id"].is_unique and set(objects["object_id"]) <= set(both["object_id"])
    for name, folder in (("one", "raw"), ("two", "in")):
        done = call("aggregate", tmp_path / folder, "-o", tmp_path / name, "--status", "all")
        assert done.exit_code == 0, done.output
    one, two = (
        files.read_parquet(tmp_path / name / "counts.parquet").groupby(["sample_id", "taxon"])["n"].sum()
        for name in ("one", "two")
    )
    places = set(objects["sample_id"])
    one, two = (table[table.index.get_level_values(0).isin(places)] for table in (one, two))
    pd.testing.assert_series_equal(one, two)
