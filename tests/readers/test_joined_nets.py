"""One net in two sources: ZooProcess metadata beside the EcoTaxa table of its scans."""

import pandas as pd
import pytest

from aqqua_dist.core import files
from aqqua_dist.readers.ingest import ingest
from tests.concentrations.test_one_road import COPEPOD, call, nets

META = (
    "SampleId= s\nScientificprog= a_programme\nDate= 20190601-1015\nLatitude= 43.3000\nLongitude= 7.1500\nZmax= 200\nZmin= 0\nVol= {volume}\n"
    "FracId= {fraction}\nFracmin= 300\nFracsup= 2000\nFracnb= {sub}\n"
)


def sources(folder, cells=None, volume=100, names=("d1", "d2")):
    """EcoTaxa's table with five copepods in d1 and in d2, and the metadata of both scans (splits 1 and 64)."""
    path = nets(folder, s=[(5, "validated", *COPEPOD, "d1", 1), (5, "validated", *COPEPOD, "d2", 64)])
    table = pd.read_csv(path, sep="\t", dtype=str)
    for column, text in (cells or {}).items():
        table[column] = text
    table.to_csv(path, sep="\t", index=False)
    for fraction, sub in zip(names, (1, 64), strict=True):
        (folder / f"s_{fraction}_meta.txt").write_text(META.format(volume=volume, fraction=fraction, sub=sub))
    return [path, *sorted(folder.glob("*_meta.txt"))]


def concentration(folder, out):
    done = call("aggregate", folder, "-o", out)
    assert done.exit_code == 0, done.output
    found = files.read_parquet(out / "concentrations.parquet")
    return found.set_index(["sample_id", "taxon"])["number_concentration"].to_dict()


@pytest.mark.parametrize("cells", [None, {"sample_tot_vol": ""}, {"sample_tot_vol": "", "acq_sub_part": "nan"}])
def test_a_net_with_its_metadata_is_one_sample(tmp_path, cells):
    """It was refused ("sample_id stands more than once"); what the table lacks, the metadata tell: 5 and 64 x 5 objects in 100 m3."""
    done = call("ingest", *sources(tmp_path, cells), "-o", tmp_path / "in", "--quiet")
    assert done.exit_code == 0 and "the metadata were joined to them" in done.output
    samples = files.read_parquet(tmp_path / "in" / "samples.parquet")
    assert samples["sample_id"].tolist() == ["s"] and samples["volume"].tolist() == [100]
    assert concentration(tmp_path / "in", tmp_path / "out") == {("s", "Copepoda"): pytest.approx(3.25)}


def test_what_disagrees_is_told_and_the_table_stands(tmp_path):
    found = ingest(sources(tmp_path, volume=300), tmp_path / "in", progress=False)
    assert any("sample_tot_vol of" in text and "is 100 in EcoTaxa and 300 in" in text for text in found.joined)
    assert concentration(tmp_path / "in", tmp_path / "out") == {("s", "Copepoda"): pytest.approx(3.25)}


def test_a_fraction_that_the_metadata_do_not_name_has_no_volume(tmp_path):
    """Metadata of d3 and d4 say nothing of the splits of d1 and d2."""
    paths = sources(tmp_path, {"acq_sub_part": ""}, names=("d3", "d4"))
    found = ingest(paths, tmp_path / "in", progress=False)
    assert found.tables.samples["volume"].isna().all()


def test_metadata_of_other_nets_stay_samples_of_their_own(tmp_path):
    paths = sources(tmp_path)
    (tmp_path / "u_meta.txt").write_text(
        META.format(volume=50, fraction="d1", sub=1).replace("SampleId= s", "SampleId= u")
    )
    found = ingest([*paths, tmp_path / "u_meta.txt"], tmp_path / "in", progress=False)
    assert found.tables.samples.set_index("sample_id")["volume"].to_dict() == {"s": 100, "u": 50}
