"""Files, folders, zip and tar archives as named streams of bytes; text with its encoding found.

Members of an archive are read in place: nothing is unpacked to the disk.
"""

import codecs
import io
import lzma
import os
import tarfile
import zipfile
import zlib
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from aqqua_dist.core.errors import UserError
from aqqua_dist.core.hive import folder_values

MAX_MEMBERS = 100_000
MAX_RATIO = 1_000
MAX_BYTES = 200 * 2**30
"""Limits of an archive: members, expansion of one member, bytes of all members unpacked."""
WHOLE = ("_particule.zip", "_work.zip", ".zarr.zip")
"""Ends of names of archives that a reader takes as a whole."""
TAR = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
"""Ends of names of tar archives."""
BROKEN = (zipfile.BadZipFile, tarfile.TarError)
"""What damaged archives raise."""


@dataclass(frozen=True)
class Source:
    """One file, or one member of an archive.

    Attributes
    ----------
    path : pathlib.Path
        File on the disk.
    member : str
        Name inside the archive; empty for a plain file.
    inner : str
        Name inside a zip archive that is a member itself; empty for others.
    """

    path: Path
    member: str = ""
    inner: str = ""

    @property
    def name(self):
        """File name without folders (str)."""
        return PurePosixPath(self.inner or self.member).name if self.member else self.path.name

    def partition_values(self):
        """Values that folders of a partitioned table tell (``sample_id=s1/part.parquet``).

        Returns
        -------
        dict of str to str
            By column; empty for other files.
        """
        return folder_values(self.member or self.path.as_posix())

    def __str__(self):
        return "!".join(part for part in (str(self.path), self.member, self.inner) if part)

    @contextmanager
    def open(self):
        """Stream of bytes.

        Yields
        ------
        file object
            Binary, closed at the end of the block.
        """
        with ExitStack() as held:
            try:
                if self.member and not zipfile.is_zipfile(self.path):
                    archive = held.enter_context(tarfile.open(self.path))
                    stream = held.enter_context(archive.extractfile(self.member) or io.BytesIO())
                elif self.member:
                    stream = held.enter_context(held.enter_context(zipfile.ZipFile(self.path)).open(self.member))
                else:
                    stream = held.enter_context(self.path.open("rb"))
                if self.inner:
                    stream = held.enter_context(held.enter_context(zipfile.ZipFile(stream)).open(self.inner))
            except (
                OSError,
                EOFError,
                zlib.error,
                lzma.LZMAError,
                *BROKEN,
                KeyError,
                NotImplementedError,
                RuntimeError,
            ) as error:
                reason = getattr(error, "strerror", None) or str(error)
                raise UserError(f"{self}: the file cannot be opened ({reason}).") from None
            try:
                yield stream
            except (*BROKEN, zlib.error, lzma.LZMAError, EOFError) as error:
                raise UserError(f"{self}: the file cannot be read ({error}).") from None


def find_sources(paths, aside=None):
    """Every file below some paths; archives give their members.

    Parameters
    ----------
    paths : str, os.PathLike or list of them
        Files, folders, zip or tar archives.
    aside : aqqua_dist.readers.set_aside.Aside, optional
        Takes archives that cannot be read; without it they are refused.

    Returns
    -------
    list of Source
        Sorted within each path; hidden files and folders are left out. Zip
        archives inside archives give their members, one level deep.

    Raises
    ------
    UserError
        A path does not exist, or an archive is damaged, unpacks to too much
        or names a member outside itself.
    """
    found = []
    for path in map(Path, [paths] if isinstance(paths, str | os.PathLike) else paths):
        if path.is_dir():
            stores = (
                [path] if path.suffix == ".zarr" else sorted(p for p in path.rglob("*.zarr") if p.is_dir())
            )  # a folder, yet one thing
            files = sorted(
                p
                for p in path.rglob("*")
                if p.is_file() and not any(part.startswith(".") for part in p.relative_to(path).parts)
            )
            files = [*stores, *(file for file in files if not any(store in file.parents for store in stores))]
        elif path.is_file():
            files = [path]
        else:
            raise UserError(f"source {str(path)!r} does not exist; allowed are files, folders, zip and tar archives.")
        for file in files:
            archive = _is_archive(file.name)
            tar = file.name.lower().endswith(TAR)
            try:
                mine = _members(file) if archive else _tar_members(file) if tar else [Source(file)]
            except UserError as error:
                if aside is None:
                    raise
                aside.errors.append((file, error))
                continue
            for source in mine:
                found += _unpacked(source, aside)
    if aside is not None:
        aside.findings(len(found))
    if not found:
        raise UserError(f"sources {[str(p) for p in paths]} hold 0 files, at least 1 is needed.")
    return found


def _is_archive(name):
    return name.lower().endswith(".zip") and not name.lower().endswith(WHOLE)


def _unpacked(source, aside):
    """A source, or the members of the zip archive that it is inside another archive; those deeper inside stay files."""
    if not source.member or not _is_archive(source.name):
        return [source]
    try:
        with source.open() as stream:
            names = _names(stream, source)
    except UserError as error:
        if aside is None:
            raise
        aside.errors.append((source, error))
        return []
    return [Source(source.path, source.member, name) for name in names]


def _members(path):
    return [Source(path, name) for name in _names(path, path)]


def _names(file, place):
    """Names of the members of a zip archive, once they are known to be harmless."""
    try:
        with zipfile.ZipFile(file) as archive:
            entries = [e for e in archive.infolist() if not e.is_dir()]
    except (OSError, EOFError, zlib.error, zipfile.BadZipFile, NotImplementedError) as error:
        raise UserError(f"{place}: the archive cannot be read ({error}).") from None
    if len(entries) > MAX_MEMBERS:
        raise UserError(f"{place}: the archive has {len(entries)} members, allowed are {MAX_MEMBERS}.")
    total = 0
    for entry in entries:
        parts = PurePosixPath(entry.filename.replace("\\", "/")).parts
        if ".." in parts or entry.filename.startswith(("/", "\\")) or ":" in (parts[0] if parts else ""):
            raise UserError(f"{place}: member {entry.filename!r} lies outside the archive, allowed are names below it.")
        total += entry.file_size
        if entry.file_size > MAX_RATIO * max(entry.compress_size, 1) and entry.file_size > 2**20 or total > MAX_BYTES:
            raise UserError(
                f"{place}: member {entry.filename!r} unpacks from {entry.compress_size} to {entry.file_size} bytes; allowed are "
                f"{MAX_RATIO} times as many, and {MAX_BYTES} in all."
            )
    return sorted(
        e.filename for e in entries if not any(p.startswith((".", "__MACOSX")) for p in PurePosixPath(e.filename).parts)
    )


def _tar_members(path):
    """Members of a tar archive; links and devices are left out."""
    try:
        with tarfile.open(path) as archive:
            entries = [entry for entry in archive if entry.isfile()]
    except (OSError, EOFError, zlib.error, lzma.LZMAError, *BROKEN) as error:
        raise UserError(f"{path}: the archive cannot be read ({error}).") from None
    total = sum(entry.size for entry in entries)
    if len(entries) > MAX_MEMBERS or total > min(MAX_BYTES, MAX_RATIO * max(path.stat().st_size, 2**20)):
        raise UserError(
            f"{path}: the archive has {len(entries)} members of {total} bytes; allowed are {MAX_MEMBERS} members, {MAX_RATIO} times the bytes of the "
            f"archive, and {MAX_BYTES} in all."
        )
    for entry in entries:
        if ".." in PurePosixPath(entry.name.replace("\\", "/")).parts or entry.name.startswith(("/", "\\")):
            raise UserError(f"{path}: member {entry.name!r} lies outside the archive, allowed are names below it.")
    hidden = (".", "__MACOSX")
    kept = [e.name for e in entries if not any(p.startswith(hidden) for p in PurePosixPath(e.name).parts if p != ".")]
    return [Source(path, name) for name in sorted(set(kept))]


def encoding_of(stream):
    """Encoding of a text: UTF-8 where it is valid, latin-1 otherwise.

    Parameters
    ----------
    stream : file object
        Binary; read to its end in pieces.

    Returns
    -------
    str
        ``utf-8-sig``, ``utf-16``, ``utf-8`` or ``latin-1``.
    """
    first = stream.read(2**20)
    if first.startswith(b"\xef\xbb\xbf"):
        return "utf-8-sig"
    if first.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    check = codecs.getincrementaldecoder("utf-8")()
    piece = first
    try:
        while piece:
            check.decode(piece)
            piece = stream.read(2**20)
        check.decode(b"", final=True)
    except UnicodeDecodeError:
        return "latin-1"
    return "utf-8"
