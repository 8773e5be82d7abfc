"""Tar archives are read as zip archives are."""

import io
import tarfile

import pytest

from aqqua_dist.core.errors import UserError
from aqqua_dist.readers import sources
from aqqua_dist.readers.ecopart.export import read_ecopart, recognises
from aqqua_dist.readers.sources import find_sources

FILES = {"a/one.tsv": b"x\ty\n1\t2\n", "a/two.txt": b"text", "a/.hidden": b"no"}


def pack(path, files=None, mode="w"):
    with tarfile.open(path, mode) as held:
        for name, content in (files or FILES).items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            held.addfile(entry, io.BytesIO(content))
    return path


@pytest.mark.parametrize(
    ("name", "mode"), [("x.tar", "w"), ("x.tar.gz", "w:gz"), ("x.TGZ", "w:gz"), ("x.tar.xz", "w:xz")]
)
def test_members_are_sources(tmp_path, name, mode):
    found = find_sources([pack(tmp_path / name, mode=mode)])
    assert [source.member for source in found] == ["a/one.tsv", "a/two.txt"]
    with found[0].open() as stream:
        assert stream.read() == FILES["a/one.tsv"]
    assert found[0].name == "one.tsv"
    assert str(found[0]).endswith(f"{name}!a/one.tsv")


def test_members_of_archives_made_in_place(tmp_path):
    found = find_sources([pack(tmp_path / "x.tar", {"./one.tsv": b"x\n"})])
    assert [source.name for source in found] == ["one.tsv"]


def test_links_and_members_outside_are_no_sources(tmp_path):
    with tarfile.open(tmp_path / "x.tar", "w") as held:
        link = tarfile.TarInfo("link.tsv")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        held.addfile(link)
        entry = tarfile.TarInfo("one.tsv")
        held.addfile(entry, io.BytesIO(b""))
    assert [source.member for source in find_sources([tmp_path / "x.tar"])] == ["one.tsv"]
    with pytest.raises(UserError, match="'../one.tsv' lies outside the archive"):
        find_sources([pack(tmp_path / "y.tar", {"../one.tsv": b"x"})])


@pytest.mark.parametrize("share", [0, 0.02, 0.5, 0.9])
def test_damaged_archives_are_one_sentence(tmp_path, share):
    path = pack(tmp_path / "x.tar.gz", {"a.tsv": bytes(range(256)) * 4000}, "w:gz")
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])

    def everything():
        for source in find_sources([path]):
            with source.open() as stream:
                stream.read()

    with pytest.raises(UserError, match="x.tar.gz"):
        everything()


def test_an_archive_that_unpacks_to_too_much_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(sources, "MAX_BYTES", 2**20 - 1)
    with pytest.raises(UserError, match="allowed are"):
        find_sources([pack(tmp_path / "x.tar.gz", {"a.tsv": bytes(2**20)}, "w:gz")])


def test_a_real_export_as_tar_gives_the_same(data_root, tmp_path):
    folder = data_root / "formats/ecopart/tsv_det_multi"
    files = {f"export/{path.name}": path.read_bytes() for path in folder.iterdir()}
    packed = read_ecopart([s for s in find_sources([pack(tmp_path / "x.tar.gz", files, "w:gz")]) if recognises(s)])
    plain = read_ecopart(find_sources([folder]))
    assert packed.samples.drop(columns="source").equals(plain.samples.drop(columns="source"))
    assert packed.counts.equals(plain.counts)
