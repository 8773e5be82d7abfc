"""UVP6 on floats: the exporter's own detailed tables of the same cast, and small files by hand."""

import zipfile

import numpy as np
import pandas as pd
import pytest

from aqqua_dist.readers.ecopart.export import read_ecopart, recognises
from aqqua_dist.readers.sources import find_sources

CAST = "lambdasample01"
LIMITS = (40.3, 50.8, 64, 80.6, 102, 128, 161, 203, 256, 323, 406, 512, 645, 813, 1020, 1290, 1630, 2050)
META = (
    "Camera_ref\t000001LP\nPressure_offset\t{offset}\nAa\t2300\nExp\t1.1\nPixel_Size\t73\nImage_volume\t0.5\n"
    + "".join(f"Lower_limit_size_class_{k}\t{limit}\n" for k, limit in enumerate(LIMITS, 1))
)


def lpm(*rows):
    """Rows of time, pressure, images and particles of the first class."""
    names = [f"NB_SIZE_SPECTRA_PARTICLES_class_{k}" for k in range(1, 19)]
    head = [
        "DATE_TIME",
        "PRES_decibar",
        "LATITUDE_decimal_degree",
        "LONGITUDE_decimal_degree",
        "IMAGE_NUMBER_PARTICLES",
    ]
    lines = [[time, depth, 40, lon, images, n, *[0] * 17] for time, depth, lon, images, n in rows]
    return "\n".join("\t".join(map(str, line)) for line in [[*head, *names], *lines]) + "\n"


ROWS = (
    ("20240601T100000", 3.5, 179, 4, 2.5),
    ("20240601T100100", 4.5, -179, 2, 1),
    ("20240601T110000", 7, 179, 2, 0.25),
)
TAXO = "DATE_TIME\tPRES_decibar\tIMAGE_NUMBER_PLANKTON\tNB_PLANKTON_cat_1\tSIZE_PLANKTON_cat_1\n20240601T110000\t7\t8\t3\t1.5\n"


def write(folder, name="c1", *, offset="0", text=None, taxo=TAXO, meta=None):
    with zipfile.ZipFile(folder / f"{name}_rawfiles.zip", "w") as held:
        held.writestr("LPM.txt", lpm(*ROWS) if text is None else text)
        held.writestr("META.txt", META.format(offset=offset) if meta is None else meta)
        if taxo is not None:
            held.writestr("TAXO2.txt", taxo)
    return folder


def read(folder):
    return read_ecopart([source for source in find_sources([folder]) if recognises(source)])


def theirs(data_root, kind):
    path = data_root / "formats/ecopart/tsvagg_det_multi" / f"export_detailed_20210201_11_34_{kind}_Aggregated.tsv"
    table = pd.read_csv(path, sep="\t", encoding="latin-1")
    return table[table["Profile"] == CAST].reset_index(drop=True)


@pytest.fixture(scope="module")
def real(data_root):
    return read_ecopart(
        [source for source in find_sources([data_root / "formats/ecopart/raw_multi"]) if recognises(source)]
    )


def test_particles_are_those_of_the_exporter(data_root, real):
    """300 bins and 18 classes, n from concentration times volume."""
    table, ours = theirs(data_root, "PAR"), real.samples[real.samples["profile"] == CAST]
    np.testing.assert_allclose(ours["volume"] * 1e3, table["Sampled volume [L]"], rtol=1e-12)
    np.testing.assert_allclose((ours["depth_top"] + ours["depth_bottom"]) / 2, table["Depth [m]"])
    names = [name for name in table if name.startswith("LPM (")]
    total = {
        f"{CAST}_{d - 2.5:g}-{d + 2.5:g}": row
        for d, row in zip(table["Depth [m]"], table[names].to_numpy() * 1.13, strict=True)
    }
    particles = real.extra["particles"]
    mine = particles[particles["sample_id"].isin(total)]
    n = mine.groupby("sample_id")["n"].sum()
    assert n.sum() == pytest.approx(sum(np.nansum(row) for row in total.values()))
    np.testing.assert_allclose(n.to_numpy(), [np.nansum(total[name]) for name in n.index])
    first = mine[mine["sample_id"] == f"{CAST}_0-5"].set_index("esd_low")["n"]
    assert first.to_dict() == {40.3: 400, 50.8: 200, 64: 10, 80.6: 20, 128: 33, 161: 57}
    assert mine["biovolume"].isna().all()


def test_taxa_are_those_of_the_exporter_and_nobody_validated_them(data_root, real):
    table = theirs(data_root, "ZOO")
    counts = real.counts[real.counts["sample_id"].str.startswith(CAST)].merge(real.samples[["sample_id", "volume"]])
    own = counts.assign(c=counts["n"] * counts["weight"].fillna(1) / counts["volume"]).groupby("taxon")["c"].sum()
    acantharea = "living>Eukaryota>Harosa>Rhizaria>Retaria>Acantharea [# m-3]"
    assert own["EcoTaxa taxon 11762"] == pytest.approx(table[acantharea].sum())
    total = table["living [# m-3]"].sum() + table["not-living [# m-3]"].sum()
    assert own.sum() == pytest.approx(total)
    assert set(counts["method"]) == {"predicted"}
    assert real.extra["searched"].set_index("profile").loc[CAST, "searched"]
    told = real.findings[real.findings["check"] == "status"]
    assert told["message"].str.contains(f"{CAST!r} were named by the classifier in the camera").any()


def test_a_cast_that_the_metadata_name_is_not_told_as_missing(real):
    told = real.findings.loc[real.findings["check"] == "missing", "message"]
    assert not told.str.contains(f"first '{CAST}'").any()
    assert (real.extra["casts"]["profile"] == CAST).sum() == 1


def test_a_cast_without_a_summary_by_hand(tmp_path):
    got = read(write(tmp_path))
    samples = got.samples.set_index("sample_id")
    assert samples["volume"].to_dict() == pytest.approx({"c1_0-5": 3e-3, "c1_5-10": 1e-3})
    assert samples["n_images"].to_dict() == {"c1_0-5": 6, "c1_5-10": 2}
    assert (samples["lat"].iloc[0], abs(samples["lon"].iloc[0])) == (40, pytest.approx(540 / 3, abs=0.4))  # not 60
    assert samples["instrument"].tolist() == ["UVP6", "UVP6"]
    particles = got.extra["particles"]
    assert particles[["sample_id", "esd_low", "esd_high", "n"]].to_numpy().tolist() == [
        ["c1_0-5", 40.3, 50.8, 2.5 * 4 + 1 * 2],
        ["c1_5-10", 40.3, 50.8, 0.5],
    ]
    assert got.counts[["sample_id", "taxon", "n", "weight"]].to_numpy().tolist() == [
        ["c1_5-10", "category 1", 3, 2 / 8]
    ]
    assert got.extra["casts"]["aa"].tolist() == [2300e-6]
    assert got.findings["message"].str.contains("1 numbers of a float are no whole numbers, first 0.5").any()


def test_the_offset_of_the_pressure_moves_rows(tmp_path):
    got = read(write(tmp_path, offset="1.2", taxo=None))
    assert got.samples["n_images"].tolist() == [4, 4]  # 4.7 m; 5.7 and 8.2 m
    assert not got.extra["searched"]["searched"].any()  # no TAXO2: nobody has looked, no zero


def test_names_of_a_server_of_floats_and_casts_over_time(tmp_path):
    for kind, text in (("LPM", lpm(*ROWS)), ("META", META.format(offset="0")), ("TAXO2", TAXO), ("BLACK", lpm(*ROWS))):
        (tmp_path / f"g1_000001LP_TIME_{kind}.txt").write_text(text)
    got = read(tmp_path)
    assert got.samples["profile"].unique().tolist() == ["g1"]
    assert got.samples["n_images"].tolist() == [6, 2]
    assert got.samples["time"].dt.strftime("%H:%M").tolist() == ["10:30", "11:30"]
    assert got.counts["weight"].tolist() == [0.25]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"text": lpm(("20240601T100000", 3.5, 179, 0, 2))}, "row 2, column 'IMAGE_NUMBER_PARTICLES'"),
        ({"text": lpm(("20240601T100000", 3.5, 179, 1, -2))}, "-2 is below 0"),
        ({"text": lpm(*ROWS)[:-3]}, "was the line cut"),
        (
            {"meta": META.format(offset="0").replace("Image_volume\t0.5", "Image_volume\tmuch")},
            "'Image_volume' is 'much'",
        ),
        ({"meta": META.format(offset="0").replace("Lower_limit_size_class_3\t64\n", "")}, "Lower_limit_size_class_3"),
        ({"taxo": TAXO.replace("\t7\t", "\t70\t")}, "a bin without images of particles"),
    ],
)
def test_a_damaged_cast_is_set_aside_and_the_others_go_on(tmp_path, change, message):
    write(write(tmp_path, "good"), "bad", **({"meta": META.format(offset="0")} | change))
    got = read(tmp_path)
    assert got.samples["profile"].value_counts()["good"] == 2
    aside = got.findings[got.findings["check"] == "set aside"]
    assert aside["message"].str.contains(message).any()
    assert aside["file"].str.contains("bad_rawfiles.zip").all()
    assert set(got.counts["sample_id"].str.split("_").str[0]) == {"good"}
