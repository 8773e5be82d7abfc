"""Files, folders and archives read in place, with limits."""

import io
import zipfile

import pytest

from aqqua_dist.core.errors import UserError
from aqqua_dist.readers import sources
from aqqua_dist.readers.set_aside import Aside


def archive(path, members, **options):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as target:
        for name, content in members.items():
            target.writestr(zipfile.ZipInfo(name) if options.get("raw") else name, content)
    return path


def content(source):
    with source.open() as stream:
        return stream.read()


def test_files_folders_and_archives_give_their_files(tmp_path):
    (tmp_path / "deep").mkdir()
    (tmp_path / ".hidden").mkdir()
    (tmp_path / "deep" / "b.tsv").write_bytes(b"b")
    (tmp_path / ".hidden" / "c.tsv").write_bytes(b"c")
    archive(tmp_path / "a.zip", {"x/2.tsv": "two", "x/1.tsv": "one", "__MACOSX/1.tsv": "no", "x/.DS_Store": "no"})
    found = sources.find_sources([tmp_path])
    assert [source.name for source in found] == ["1.tsv", "2.tsv", "b.tsv"]
    assert [content(source) for source in found] == [b"one", b"two", b"b"]
    assert str(found[0]) == f"{tmp_path / 'a.zip'}!x/1.tsv"
    assert sorted(p.name for p in tmp_path.iterdir()) == [".hidden", "a.zip", "deep"]  # nothing was unpacked


@pytest.mark.parametrize("name", ["../out.tsv", "/etc/out.tsv", "a/../../out.tsv", "C:/out.tsv", "..\\out.tsv"])
def test_members_outside_the_archive_are_refused(tmp_path, name):
    path = archive(tmp_path / "a.zip", {name: "x"}, raw=True)
    with pytest.raises(UserError, match="lies outside the archive"):
        sources.find_sources([path])


def test_bombs_are_refused_before_they_unpack(tmp_path, monkeypatch):
    path = archive(tmp_path / "a.zip", {"bomb.tsv": b"\0" * 30 * 2**20})
    monkeypatch.setattr(sources, "MAX_RATIO", 100)
    with pytest.raises(UserError, match=r"member 'bomb.tsv' unpacks from \d+ to 31457280 bytes; allowed are 100 times"):
        sources.find_sources([path])
    monkeypatch.undo()
    many = archive(tmp_path / "b.zip", {f"{k}.tsv": "x" for k in range(12)})
    monkeypatch.setattr(sources, "MAX_MEMBERS", 10)
    with pytest.raises(UserError, match="has 12 members, allowed are 10"):
        sources.find_sources([many])
    monkeypatch.undo()
    monkeypatch.setattr(sources, "MAX_BYTES", 5)
    with pytest.raises(UserError, match="5 in all"):
        sources.find_sources([many])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda folder: folder / "none.tsv", "does not exist"),
        (lambda folder: folder, "hold 0 files, at least 1"),
    ],
)
def test_nothing_to_read_is_told(tmp_path, make, message):
    with pytest.raises(UserError, match=message):
        sources.find_sources([make(tmp_path)])


def test_damaged_archives_are_one_sentence(tmp_path):
    (tmp_path / "a.zip").write_bytes(b"PK no archive")
    with pytest.raises(UserError, match="a.zip: the archive cannot be read"):
        sources.find_sources([tmp_path / "a.zip"])
    path = archive(tmp_path / "b.zip", {"x.tsv": bytes(range(256)) * 100})
    spoiled = bytearray(path.read_bytes())
    spoiled[60:200] = bytes(140)
    path.write_bytes(spoiled)
    (source,) = sources.find_sources([path])
    with pytest.raises(UserError, match="b.zip!x.tsv: the file cannot be read"):
        content(source)


def test_a_locked_or_vanished_member_is_one_sentence(tmp_path):
    path = archive(tmp_path / "a.zip", {"x.tsv": b"secret"})
    locked = (
        path.read_bytes()
        .replace(b"PK\x03\x04\x14\x00\x00\x00", b"PK\x03\x04\x14\x00\x01\x00")
        .replace(b"PK\x01\x02\x14\x03\x14\x00\x00\x00", b"PK\x01\x02\x14\x03\x14\x00\x01\x00")
    )  # the bit that says encrypted
    path.write_bytes(locked)
    for source in (*sources.find_sources([path]), sources.Source(path, "y.tsv"), sources.Source(tmp_path / "none.tsv")):
        with pytest.raises(UserError, match="the file cannot be opened"):
            content(source)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ("µm".encode("latin-1"), "latin-1"),
        ("µm".encode(), "utf-8"),
        (b"\xef\xbb\xbfa", "utf-8-sig"),
        (b"plain", "utf-8"),
        (b"", "utf-8"),
        ("µ".encode("utf-16"), "utf-16"),
        (b"a" * (2**20 - 1) + "µ".encode(), "utf-8"),
        (b"a" * 2**20 + b"\xb5", "latin-1"),
        (b"a\xc2", "latin-1"),
    ],
)
def test_encoding_is_found(tmp_path, data, expected):
    path = tmp_path / "a"
    path.write_bytes(data)
    with path.open("rb") as stream:
        assert sources.encoding_of(stream) == expected
    if data:
        assert path.read_text(encoding=expected)


def test_real_exports_are_in_the_encoding_that_their_exporter_writes(data_root):
    found = {
        source.name: source
        for source in sources.find_sources([data_root / "ecopart_stations" / "pap_so_uvp5_detailed.zip"])
    }
    particles = next(source for name, source in found.items() if "_PAR_" in name)
    with particles.open() as stream:
        assert sources.encoding_of(stream) == "latin-1"  # the micro sign of the size classes


def test_one_path_is_a_list_of_one(tmp_path):
    """A string was read letter by letter: source 'n' does not exist."""
    path = tmp_path / "net_survey.tsv"
    path.write_text("a")
    assert sources.find_sources(str(path)) == sources.find_sources(path) == sources.find_sources([path])
    with pytest.raises(UserError, match="net_survey.csv"):
        sources.find_sources(str(path.with_suffix(".csv")))


def nested(folder, *names, inner="inner.zip", outer="outer.zip"):
    """A zip archive with a zip archive of one text per name."""
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names:
            archive.writestr(name, name * 100)
    with zipfile.ZipFile(folder / outer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"deep/{inner}", held.getvalue())
        archive.writestr("beside.txt", "beside")
    return folder / outer


def test_archives_inside_archives_give_their_members(tmp_path):
    path = nested(tmp_path, "a/b.tsv", "c.tsv")
    found = sources.find_sources([path])
    assert [str(source) for source in found] == [
        f"{path}!beside.txt",
        f"{path}!deep/inner.zip!a/b.tsv",
        f"{path}!deep/inner.zip!c.tsv",
    ]
    assert [source.name for source in found] == ["beside.txt", "b.tsv", "c.tsv"]
    with found[1].open() as stream:
        assert stream.read() == b"a/b.tsv" * 100


def test_archives_that_a_reader_takes_as_a_whole_stay_whole_inside_others(tmp_path):
    assert [source.name for source in sources.find_sources([nested(tmp_path, "x.csv", inner="s1_Particule.zip")])] == [
        "beside.txt",
        "s1_Particule.zip",
    ]


def test_a_name_that_leaves_the_inner_archive_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"inner.zip: member '../x.tsv' lies outside"):
        sources.find_sources([nested(tmp_path, "../x.tsv")])


def test_a_damaged_inner_archive_is_set_aside(tmp_path):
    with zipfile.ZipFile(tmp_path / "outer.zip", "w") as archive:
        archive.writestr("inner.zip", b"no archive")
        archive.writestr("beside.txt", "beside")
    aside = Aside()
    assert [source.name for source in sources.find_sources([tmp_path], aside)] == ["beside.txt"]
    assert "inner.zip: the archive cannot be read" in aside.findings(1)[0]["message"]


def test_two_levels_deep_is_a_file(tmp_path):
    """It is told as a file of an unknown format, not dropped."""
    inner = nested(tmp_path, "x.tsv", outer="middle.zip").read_bytes()
    with zipfile.ZipFile(tmp_path / "top.zip", "w") as archive:
        archive.writestr("middle.zip", inner)
    names = [source.name for source in sources.find_sources([tmp_path / "top.zip"])]
    assert sorted(names) == ["beside.txt", "inner.zip"]
