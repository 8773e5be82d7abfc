"""One sample in two formats: metadata join the objects, volumes and splits by fraction."""

import pytest

from aqqua_dist.core import files
from aqqua_dist.readers.ingest import ingest

META = """SampleId= net_1
Scientificprog= a_programme
Date= 20230705-0503
Latitude= 47.5076
Longitude= 15.2622
Zmax= 200
Zmin= 0
Vol= 100
FracId= {fraction}
Fracmin= 300
Fracsup= 2000
Fracnb= {part}
"""
HEAD = "object_id\tobject_lat\tobject_lon\tobject_date\tobject_time\tobject_depth_min\tobject_depth_max\tobject_annotation_status\tobject_annotation_category\tsample_id\tacq_id\tacq_instrument"


def write(folder, *, fractions=(("d1", 2), ("d2", 8)), extra="", cells="", lat="47.846", meta=META):
    for fraction, part in fractions:
        (folder / f"net_1_{fraction}_meta.txt").write_text(meta.format(fraction=fraction, part=part))
    rows = [
        f"{name}{k}\t{lat}\t-15.437\t20230705\t050300\t0\t200\tvalidated\tCopepoda\tnet_1\t{name}_net_1\tzooscan{cells}"
        for name, n in (("d1", 3), ("d2", 1))
        for k in range(n)
    ]
    (folder / "ecotaxa_net_1.tsv").write_text("\n".join([HEAD + extra, *rows]) + "\n")
    return folder


def read(folder):
    done = ingest([folder], folder / "out", progress=False)
    return done, files.read_parquet(folder / "out" / "acquisitions.parquet").set_index("acquisition_id")


def test_volume_and_split_come_from_the_metadata_by_fraction(tmp_path):
    """Three objects in a half and one in an eighth of 100 m3: 3 * 2 + 1 * 8 objects per 100 m3."""
    done, acquisitions = read(write(tmp_path))
    samples = done.tables.samples
    assert samples["sample_id"].tolist() == ["net_1"]
    volume = acquisitions["acquisition_volume"]
    assert volume.to_dict() == {"d1_net_1": 50, "d2_net_1": 12.5}
    n = {"d1_net_1": 3, "d2_net_1": 1}
    concentration = sum(n[name] * acquisitions.loc[name, "weight"] for name in n) / samples["volume"].iloc[0]
    assert concentration == pytest.approx((3 * 2 + 1 * 8) / 100)
    assert samples["cruise"].tolist() == ["a_programme"]
    assert not done.set_aside


def test_numbers_that_differ_are_told_and_the_export_is_taken(tmp_path):
    done, acquisitions = read(write(tmp_path, extra="\tsample_tot_vol\tacq_sub_part", cells="\t200\t4", lat="48"))
    assert acquisitions["acquisition_volume"].tolist() == [50, 50]
    told = done.tables.findings["message"]
    assert told.str.contains("sample_tot_vol of 'd1_net_1' is 200 in EcoTaxa and 100 in").any()
    assert told.str.contains("acq_sub_part of 'd2_net_1' is 4 in EcoTaxa and 8 in").any()
    assert told.str.contains("lat of sample 'net_1' is 48").any()


def test_a_fraction_without_objects_is_told(tmp_path):
    done, _ = read(write(tmp_path, fractions=(("d1", 2), ("d2", 8), ("d3", 16))))
    told = done.tables.findings["message"]
    assert told.str.contains("fraction 'd3' of sample 'net_1' was scanned and has no objects here").any()


def test_metadata_of_other_samples_leave_the_volumes_of_the_export_alone(tmp_path):
    """A brother: columns of ZooProcess that are empty for EcoTaxa's acquisitions."""
    other = META.replace("net_1", "net_2")
    done, acquisitions = read(write(tmp_path, meta=other, extra="\tsample_tot_vol\tacq_sub_part", cells="\t200\t4"))
    assert acquisitions.loc["d1_net_1", "acquisition_volume"] == 50
    assert done.tables.samples.set_index("sample_id")["volume"].to_dict() == {"net_1": 50, "net_2": 100}
