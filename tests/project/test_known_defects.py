"""Defects of public code, from the file to the concentration: would this package survive them?

Each test gives the wrong number too, so that it says what is guarded against. Those of single formulas stand in
tests/organisms, tests/effort and tests/counts.
"""

import numpy as np
import pandas as pd
import pytest

from aqqua_dist.concentrations.aggregate import Products, aggregate_ingest
from aqqua_dist.core import files
from aqqua_dist.core.errors import UserError
from aqqua_dist.counts.partitions import CountOptions
from aqqua_dist.readers.ingest import ingest

HEADER = (
    "object_id object_lat object_lon object_date object_time object_depth_min object_depth_max object_annotation_status object_annotation_category "
    "object_annotation_hierarchy object_area img_rank sample_id sample_program sample_tot_vol acq_id acq_instrument acq_sub_part "
    "process_particle_pixel_size_mm"
).split()
LINE = "living>Eukaryota>Metazoa>Crustacea>Copepoda"
ROW = dict(
    zip(
        HEADER,
        [
            "o",
            43.5,
            -7.25,
            20190601,
            101500,
            0,
            200,
            "validated",
            "Copepoda",
            LINE,
            1401,
            0,
            "s1",
            "c",
            100,
            "d1_s1",
            "zooscan",
            2,
            0.0106,
        ],
        strict=True,
    )
)
ESD = 2 * np.sqrt(1401 / np.pi) * 10.6
VOLUME = np.pi / 6 * (ESD * 1e-3) ** 3


def concentrations(folder, *rows, taxa=("Copepoda",), statuses=("validated",)):
    lines = [
        HEADER,
        *(
            [str({**ROW, "object_id": f"o{k}"}.get(name) if name not in row else row[name]) for name in HEADER]
            for k, row in enumerate(rows)
        ),
    ]
    (folder / "ecotaxa_x.tsv").write_text("\n".join("\t".join(line) for line in lines) + "\n")
    ingest([folder / "ecotaxa_x.tsv"], folder / "out", progress=False)
    aggregate_ingest(folder / "out", CountOptions(statuses), Products(taxa, (("0-200", 0, 200),)))
    return files.read_parquet(folder / "out" / "zone_concentrations.parquet").set_index(["profile", "taxon"])


def test_a_filtered_volume_in_m3_is_not_taken_for_litres(tmp_path):
    """The server's default formula divides tot_vol by 1000: 1000 times too many animals."""
    got = concentrations(tmp_path, {}, {})
    assert got.loc[("s1", "Copepoda"), "number_concentration"] == pytest.approx(2 * 2 / 100)


def test_biovolume_is_that_of_a_sphere_in_mm3(tmp_path):
    """Known factors of other code: 8 (diameter as radius, full axes), 0.18 (sqrt(area)/pi), 1e9 (pixel in µm called mm3), no cube at all."""
    got = concentrations(tmp_path, {}).loc[("s1", "Copepoda"), "biovolume_concentration"]
    assert got == pytest.approx(VOLUME * 2 / 100)
    radius = np.sqrt(1401) / np.pi * 10.6e-3
    wrong = {
        "diameter as radius": 8 * VOLUME,
        "sqrt(area)/pi": 4 / 3 * np.pi * radius**3,
        "pixel in µm": 1e9 * VOLUME,
        "no cube": 4 / 3 * np.pi * ESD / 2e3,
    }
    for name, value in wrong.items():
        assert not 0.99 < got / (value * 2 / 100) < 1.01, name
    assert wrong["sqrt(area)/pi"] / VOLUME == pytest.approx(0.18, abs=0.01)


def test_statuses_are_not_added(tmp_path):
    got = concentrations(
        tmp_path, {}, {"object_annotation_status": "predicted"}, {"object_annotation_status": "dubious"}
    )
    assert got["n"].tolist() == [1]
    both = concentrations(
        tmp_path,
        {},
        {"object_annotation_status": "predicted"},
        {"object_annotation_status": "dubious"},
        statuses=("validated", "predicted"),
    )
    assert both["n"].tolist() == [2]


def test_a_missing_volume_is_neither_one_nor_the_sentinel(tmp_path):
    for hole in ("", "nan", "99999", "0"):
        got = concentrations(tmp_path, {}, {"sample_id": "s2", "acq_id": "d1_s2", "sample_tot_vol": hole})
        assert got.index.tolist() == [("s1", "Copepoda")]
    with pytest.raises(UserError, match="none of 1 samples \\(0 of them with a volume\\)"):
        concentrations(tmp_path, {"sample_tot_vol": ""})


def test_two_images_of_one_object_count_once(tmp_path):
    got = concentrations(tmp_path, {"object_id": "a"}, {"object_id": "a", "img_rank": 1}, {"object_id": "b"})
    assert got["n"].tolist() == [2]


def test_one_object_without_size_does_not_spoil_the_count(tmp_path):
    """The server turns the whole taxon into NaN; here the number stays and the biovolume says that it is unknown."""
    got = concentrations(tmp_path, {}, {"object_area": ""})
    assert got.loc[("s1", "Copepoda"), "number_concentration"] == pytest.approx(4 / 100)
    assert np.isnan(got.loc[("s1", "Copepoda"), "biovolume_concentration"])


def test_a_sample_without_the_taxon_is_zero(tmp_path):
    got = concentrations(
        tmp_path,
        {},
        {
            "sample_id": "s2",
            "acq_id": "d1_s2",
            "object_annotation_category": "detritus",
            "object_annotation_hierarchy": "not-living>detritus",
        },
    )
    assert got["number_concentration"].tolist() == pytest.approx([0.02, 0.0])


def test_size_fractions_add_and_are_not_pooled(tmp_path):
    """d1 whole and d2 one eighth: 3/100 + 2·8/100, where pooling counts over volumes would say 5·2/(100 + 12.5)."""
    rows = [{"acq_sub_part": 1}] * 3 + [{"acq_id": "d2_s1", "acq_sub_part": 8}] * 2
    got = concentrations(tmp_path, *rows)
    assert got.loc[("s1", "Copepoda"), "number_concentration"] == pytest.approx(3 / 100 + 2 * 8 / 100)


@pytest.mark.parametrize("root", ["not-living", "non-living", "Biota>Animalia"])
def test_old_and_new_roots_of_the_taxonomy(tmp_path, root):
    dead = root != "Biota>Animalia"
    line = f"{root}>detritus>fiber" if dead else f"{root}>Arthropoda>Copepoda"
    got = concentrations(
        tmp_path,
        {"object_annotation_category": "fiber<detritus" if dead else "Copepoda", "object_annotation_hierarchy": line},
        {},
        taxa=("Copepoda",),
    )
    assert got["n"].tolist() == [1 if dead else 2]


def test_longitudes_keep_their_sign(tmp_path):
    """EcoTaxa files are positive to the east; only ZooProcess' own metadata are positive to the west (test_zooprocess)."""
    got = concentrations(tmp_path, {}).reset_index()
    assert got["lon"].tolist() == [-7.25]
    assert pd.Timestamp(got["time"].iloc[0]) == pd.Timestamp("2019-06-01 10:15", tz="UTC")
