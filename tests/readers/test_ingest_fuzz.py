"""The verb ingest on folders of valid, cut, re-encoded and random files: no traceback, and 0, 1 or 2."""

import gzip

import yaml
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from aqqua_dist.cli import main

VALID = {
    "ecotaxa_a.tsv": "object_id\tsample_id\tobject_lat\tobject_lon\tobject_date\tobject_area\tobject_annotation_category\n"
    "[t]\t[t]\t[f]\t[f]\t[t]\t[f]\t[t]\no1\ts1\t1\t2\t20200101\t9\tegg\no2\ts2\t1,5\t2\t20200102\t8\tfish\n",
    "labels.tsv": "object_id\tobject_annotation_status\tobject_annotation_category\no1\tvalidated\tCopepoda\n",
    "x_meta.txt": "[Metadata]\nSampleId= z1\nScientificProg= p\nLatitude= 43.4100\nLongitude= -7.1900\nDate= 20200103-1200\n"
    "Zmin= 0\nZmax= 75\nVol= 35\nFracId= d1\nFracMin= 1000\nFracSup= 999999\nFracNb= 2\n",
    "scores.csv": "object_id,p_egg,p_fish\no1,0.25,0.75\no2,0.5,0.25\n",
    "long.csv": "object_id,class,prob\no3,egg,0.5\no3,fish,0.5\n",
    "D20200601T120000_IFCB101.csv": "file_name,class_name,class_name_auto,score,cell_count\n"
    "D20200601T120000_IFCB101_00002.png,unclassified,Ciliate,0.7,2\n",
    "D20200601T120000_IFCB101.hdr": "runTime: 1200.5\ninhibitTime: 20.25\n",
    "D20200601T120000_IFCB101.adc": "1,0.5,0,0,0,0,0,0,0,0,0,0,0,10,20,30,40,0,0,0,0,0,0.5,0.1\n",
    "a_PAR.tsv": "Profile\tRawfilename\tyyyy-mm-dd hh:mm\tDepth [m]\tSampled volume [L]\tLPM (64-128 µm) [# l-1]\n"
    "p1\tr\t2020-01-01 10:00:00\t2.5\t50\t0.5\n",
    "table.csv": '"id";"y";"x";"v"\n"a";"1,5";"2";"3"\n"b";"2";"3";"4"\n',
    "notes.txt": "nothing\n",
    "empty.tsv": "",
}
MAPPING = {
    "table": "images",
    "columns": {
        name: {"column": column} for name, column in zip(("object_id", "lat", "lon", "area"), "id y x v".split())
    },
}


def spoiled(data, content):
    """A file as it is, cut, with bytes changed, doubled or lost, in another encoding, or packed."""
    kind = data.draw(st.sampled_from(["valid", "valid", "cut", "flip", "drop", "double", "code", "pack", "random"]))
    raw = bytearray(content.encode())
    start = data.draw(st.integers(0, max(len(raw) - 1, 0)))
    length = data.draw(st.integers(1, 60))
    if kind == "cut":
        raw = raw[:start]
    elif kind == "flip" and raw:
        for place in range(start, min(start + data.draw(st.integers(1, 4)), len(raw))):
            raw[place] = data.draw(st.integers(0, 255))
    elif kind == "drop":
        del raw[start : start + length]
    elif kind == "double":
        raw[start:start] = raw[start : start + length]
    elif kind == "code":
        raw = bytearray(
            content.replace("a", "é").encode(data.draw(st.sampled_from(["latin-1", "utf-16", "utf-8-sig"])), "replace")
        )
    elif kind == "random":
        raw = bytearray(data.draw(st.binary(max_size=200)))
    return bytes(raw), kind == "pack"


@settings(max_examples=60)
@given(data=st.data())
def test_no_traceback_and_no_other_exit_status(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("fuzz")
    names = data.draw(st.lists(st.sampled_from(sorted(VALID)), min_size=1, max_size=5, unique=True))
    (folder / "in").mkdir()
    if data.draw(st.sampled_from([True, True, False])):
        (folder / "in" / "good.tsv").write_text("object_id\tsample_id\tobject_lat\tobject_lon\ng1\tg\t1\t2\n")
    for name in names:
        raw, packed = spoiled(data, VALID[name])
        suffix = data.draw(st.sampled_from([".gz", ".zip"])) if packed else ""
        (folder / "in" / (name + suffix)).write_bytes(gzip.compress(raw) if suffix == ".gz" else raw)
    words = ["ingest", str(folder / "in"), "-o", str(folder / "out"), "--quiet"]
    if data.draw(st.sampled_from([False, False, False, True])):
        (folder / "m.yaml").write_text(yaml.safe_dump(MAPPING))
        words += ["--mapping", str(folder / "m.yaml")]
    done = CliRunner().invoke(main, words)
    assert done.exception is None or isinstance(done.exception, SystemExit), (names, done.exception)
    assert done.exit_code in (0, 1, 2)
    written = (folder / "out" / "samples.parquet").exists() and (folder / "out" / "quality.md").exists()
    assert written == (done.exit_code < 2), done.output
    assert ("set aside: " in done.output) == (done.exit_code == 1)
