"""The only reader and writer of result files.

A file is written beside its final place, flushed to the disk and then renamed
over the old one: a crash leaves the old file or none, never a half. Every file
carries its `Provenance`; `read_provenance` gives it back.
"""

import contextlib
import errno
import json
import os
import shutil
import tempfile
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import geopandas
import netCDF4
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import xarray as xr
from PIL import Image

from aqqua_dist.core import vocabulary
from aqqua_dist.core.errors import UserError
from aqqua_dist.core.provenance import Provenance

NAME = "aqqua_dist_provenance"
"""Name under which provenance stands in NetCDF, Parquet, PNG and JSON files."""

ZIP_TIME = (1980, 1, 1, 0, 0, 0)
"""Time stamp of every part of a zip file: equal parts give equal bytes."""


@contextlib.contextmanager
def replacing(path):
    """Temporary file that replaces `path` once it is complete.

    Parameters
    ----------
    path : str or os.PathLike
        Final place; its folder is made where missing.

    Yields
    ------
    pathlib.Path
        File to write; it vanishes if the block raises.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    os.close(handle)
    part = Path(name)
    try:
        yield part
        with part.open("rb") as stream:
            os.fsync(stream.fileno())
        part.chmod(0o644)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def described(names, path, units=None):
    """What a file says of its columns.

    Parameters
    ----------
    names : iterable of str
        Columns.
    path : str or os.PathLike
        File; its name without ending tells the table.
    units : dict of str to str, optional
        Units that differ from those of the dictionary.

    Returns
    -------
    dict of str to dict of str to str
        Column to its ``units`` and ``description``, as far as they are known.
    """
    found = {}
    for name in map(str, names):
        entry = vocabulary.known_column(name, Path(path).stem)
        unit = (units or {}).get(name, entry and entry.units)
        known = {"units": unit, "description": entry and entry.description}
        found[name] = {key: text for key, text in known.items() if text}
    return found


def _fields(schema, path, units=None):
    about = described(schema.names, path, units)
    return [f.with_metadata({k.encode(): v.encode() for k, v in about[f.name].items()}) for f in schema]


def write_parquet(table, path, provenance, units=None):
    """Write a table.

    Parameters
    ----------
    table : pandas.DataFrame
        Its index is not kept.
    path : str or os.PathLike
        Place.
    provenance : Provenance
        Embedded in the schema's metadata.
    units : dict of str to str, optional
        Unit of a column, kept in the column's metadata with its description;
        default from `aqqua_dist.core.vocabulary`.
    """
    arrow = pa.Table.from_pandas(table, preserve_index=False)
    schema = pa.schema(
        _fields(arrow.schema, path, units),
        metadata=dict(arrow.schema.metadata or {}) | {NAME.encode(): provenance.to_json().encode()},
    )
    with replacing(path) as part:
        pq.write_table(arrow.cast(schema), part, compression="zstd")


class ParquetParts:
    """A table that is written piece by piece; made by `parquet_parts`.

    Parameters
    ----------
    path : pathlib.Path
        Temporary file.
    schema : pyarrow.Schema
        Columns.
    repeating : list of str
        Columns whose values repeat; the others are stored without a
        dictionary.
    """

    def __init__(self, path, schema, repeating):
        self.rows, self.provenance, self.left_out = 0, None, []
        self._path, self._schema, self._options = (
            path,
            schema,
            {"compression": "zstd", "use_dictionary": repeating or False},
        )
        self._writer = pq.ParquetWriter(path, schema, **self._options)
        self._worker, self._pending = ThreadPoolExecutor(1), None

    def write(self, table):
        """Add rows.

        Parameters
        ----------
        table : pyarrow.Table
            Any of the columns; the others are empty.
        """
        if table.num_rows == 0:
            return
        columns = [
            table[f.name].cast(f.type) if f.name in table.column_names else pa.nulls(table.num_rows, f.type)
            for f in self._schema
        ]
        if self._pending is not None:
            self._pending.result()
        self._pending = self._worker.submit(self._writer.write_table, pa.table(columns, schema=self._schema))
        self.rows += table.num_rows

    def _provenance_json(self):
        if self.provenance is None:
            raise UserError(f"{self._path} has provenance None, it must be set before the file is closed.")
        return self.provenance.to_json()

    def _close(self, complete):
        try:
            if self._pending is not None and complete:
                self._pending.result()
        finally:
            self._worker.shutdown()
        if complete:
            self._writer.add_key_value_metadata({NAME: self._provenance_json()})
        self._writer.close()

    def _without(self, part):
        """Copy without the rows at `left_out`."""
        keep, start = np.ones(self.rows, dtype=bool), 0
        keep[self.left_out] = False
        source = pq.ParquetFile(self._path)
        with pq.ParquetWriter(part, self._schema, **self._options) as writer:
            for piece in source.iter_batches(2**17):
                writer.write_batch(piece.filter(pa.array(keep[start : start + len(piece)])))
                start += len(piece)
            writer.add_key_value_metadata({NAME: self._provenance_json()})
        self.rows = int(keep.sum())


@contextlib.contextmanager
def parquet_parts(path, schema, *, units=None, repeating=()):
    """Write a table that does not fit into memory.

    Parameters
    ----------
    path : str or os.PathLike
        Place.
    schema : pyarrow.Schema
        Columns.
    units : dict of str to str, optional
        Unit of a column; default from `aqqua_dist.core.vocabulary`.
    repeating : sequence of str
        Columns whose values repeat.

    Yields
    ------
    ParquetParts
        Takes the pieces. Its ``provenance`` must be set before the end of
        the block, its ``left_out`` may name rows (counted over everything
        written) that are to be left out. The file replaces the old one only
        if the block ends well.
    """
    fields = _fields(schema, path, units)
    with replacing(path) as part:
        parts, complete = ParquetParts(part, pa.schema(fields), list(repeating)), False
        try:
            yield parts
            if parts.provenance is None:
                raise ValueError(
                    f"{path}: the provenance is {parts.provenance!r}, it must be set before the table is complete."
                )
            complete = True
        finally:
            parts._close(complete)
        if len(parts.left_out):
            with replacing(part) as second:
                parts._without(second)


def read_parquet(path, columns=None):
    """Read a table.

    Parameters
    ----------
    path : str or os.PathLike
        Parquet file.
    columns : list of str, optional
        Columns to read; default all.

    Returns
    -------
    pandas.DataFrame
        The table.
    """
    with _reading(path, "Parquet"):
        return pd.read_parquet(path, columns=columns)


def parquet_names(path):
    """Columns of a table.

    Parameters
    ----------
    path : str or os.PathLike
        Parquet file.

    Returns
    -------
    list of str
    """
    with _reading(path, "Parquet"):
        return pq.read_schema(path).names


def write_geoparquet(table, path, provenance):
    """Write samples as GeoParquet (EPSG:4326).

    Parameters
    ----------
    table : pandas.DataFrame
        With columns ``lat`` and ``lon`` (degrees).
    path : str or os.PathLike
        Place.
    provenance : Provenance
        Embedded in the schema's metadata.
    """
    points = geopandas.points_from_xy(table["lon"], table["lat"], crs="EPSG:4326")
    frame = geopandas.GeoDataFrame(table.reset_index(drop=True), geometry=points)
    with replacing(path) as part:
        frame.to_parquet(part, index=False)
        arrow = pq.read_table(part)
        schema = pa.schema(_fields(arrow.schema, path), metadata=arrow.schema.metadata)
        schema = schema.with_metadata(dict(schema.metadata) | {NAME: provenance.to_json()})
        pq.write_table(arrow.cast(schema), part)


def write_csv(table, path, provenance, units=None):
    """Write a table as CSV, with a side file that describes it.

    Parameters
    ----------
    table : pandas.DataFrame
        Its index is not kept.
    path : str or os.PathLike
        Place; provenance and units go to ``<path>-metadata.json`` (the name
        that CSV on the Web gives to it).
    provenance : Provenance
        Embedded in the side file.
    units : dict of str to str, optional
        Unit of a column; default from `aqqua_dist.core.vocabulary`.
    """
    path = Path(path)
    terms = {"units": "schema:unitText", "description": "dc:description"}
    about = described(table.columns, path, units)
    columns = [{"name": name} | {terms[key]: text for key, text in known.items()} for name, known in about.items()]
    about = {"@context": "http://www.w3.org/ns/csvw", "url": path.name, "tableSchema": {"columns": columns}}
    write_json(about, path.with_name(path.name + "-metadata.json"), provenance)
    with replacing(path) as part:
        table.to_csv(part, index=False, lineterminator="\n")


def write_json(content, path, provenance):
    """Write a JSON object.

    Parameters
    ----------
    content : dict
        What JSON can hold.
    path : str or os.PathLike
        Place.
    provenance : Provenance
        Stands under ``aqqua_dist_provenance``.
    """
    text = json.dumps(content | {NAME: json.loads(provenance.to_json())}, indent=1, allow_nan=True)
    with replacing(path) as part:
        part.write_text(text + "\n", encoding="utf-8")


def write_zip(parts, path):
    """Write a zip file whose bytes depend on nothing but its parts.

    Parameters
    ----------
    parts : dict of str to bytes
        Name inside the file to content; provenance is one of them.
    path : str or os.PathLike
        Place.
    """
    with replacing(path) as part, zipfile.ZipFile(part, "w") as archive:
        for name in sorted(parts):
            info = zipfile.ZipInfo(name, date_time=ZIP_TIME)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = 0o644 << 16
            archive.writestr(info, parts[name], compresslevel=3)


def read_json(path):
    """Read a JSON object.

    Parameters
    ----------
    path : str or os.PathLike
        JSON file.

    Returns
    -------
    dict
        Its content, without the provenance.
    """
    with _reading(path, "JSON"):
        content = json.loads(Path(path).read_text(encoding="utf-8"))
        content.pop(NAME, None)
        return content


def write_netcdf(dataset, path, provenance, encoding=None):
    """Write a dataset as NetCDF-4.

    Parameters
    ----------
    dataset : xarray.Dataset
        With its CF attributes; see `aqqua_dist.maps.map_file` for maps.
    path : str or os.PathLike
        Place.
    provenance : Provenance
        Embedded as a global attribute; also fills ``id``, ``history`` and
        ``date_created`` where they are absent.
    encoding : dict, optional
        Per variable, as xarray takes it; default zlib level 1.
    """
    dataset = dataset.copy()
    dataset.attrs = _global(dataset.attrs, path, provenance)
    if encoding is None:
        encoding = {
            name: {"zlib": True, "complevel": 1}
            for name, v in dataset.data_vars.items()
            if v.dtype.kind in "fi" and v.ndim
        }
    with replacing(path) as part, _writing_netcdf(path):
        dataset.to_netcdf(part, format="NETCDF4", engine="netcdf4", encoding=encoding)


def describe_netcdf(path, attributes, provenance):
    """Give a NetCDF file other global attributes; its numbers stay, bit by bit.

    Parameters
    ----------
    path : str or os.PathLike
        File that `write_netcdf` wrote.
    attributes : dict
        All global attributes, apart from those that `write_netcdf` adds.
    provenance : Provenance
        Takes the place of the old one.
    """
    with replacing(path) as part, _writing_netcdf(path):
        shutil.copyfile(path, part)
        with netCDF4.Dataset(part, "a") as data:
            for name in data.ncattrs():
                data.delncattr(name)
            data.setncatts(_global(attributes, path, provenance))


def _global(attributes, path, provenance):
    """Global attributes of a file: those given, and where it comes from."""
    return (
        {
            "id": f"{provenance.study}-{Path(path).stem}",
            "date_created": provenance.created,
            "history": f"{provenance.created} aqqua-dist stage {provenance.stage} of study {provenance.study}",
        }
        | attributes
        | {
            NAME: provenance.to_json(),
            "recipe": provenance.recipe_text,
            "software_versions": " ".join(f"{name}={version}" for name, version in provenance.software.items()),
        }
    )


@contextlib.contextmanager
def _writing_netcdf(path):
    """The NetCDF library's own errors (a full disk is 'HDF error') as the system's."""
    try:
        yield
    except RuntimeError as error:
        reason = str(error).strip().split("\n")[0][:200]
        free = shutil.disk_usage(Path(path).parent).free
        sentence = f"NetCDF file cannot be written ({reason}; {free / 2**20:.1f} MiB are free on its disk)"
        raise OSError(errno.EIO, sentence, str(path)) from None


def read_netcdf(path):
    """Read a dataset into memory and close the file.

    Parameters
    ----------
    path : str or os.PathLike
        NetCDF file.

    Returns
    -------
    xarray.Dataset
        The dataset.
    """
    with _reading(path, "NetCDF"):
        return xr.load_dataset(path, engine="netcdf4", decode_times=False)


def write_png(figure, path, provenance):
    """Save a figure, 300 dots per inch, with provenance in its text chunks.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        The figure.
    path : str or os.PathLike
        Place.
    provenance : Provenance
        Embedded.
    """
    with replacing(path) as part:
        figure.savefig(part, format="png", dpi=300, metadata={NAME: provenance.to_json(), "Software": "aqqua-dist"})


def read_provenance(path):
    """Provenance of any file that this module wrote.

    Parameters
    ----------
    path : str or os.PathLike
        ``.nc``, ``.parquet``, ``.json``, ``.csv`` or ``.png``.

    Returns
    -------
    Provenance
        The embedded record.

    Raises
    ------
    UserError
        The file is unreadable or carries no provenance.
    """
    path = Path(path)
    with _reading(path, "result"):
        if path.suffix == ".nc":
            with xr.open_dataset(path, engine="netcdf4", decode_times=False) as dataset:
                text = dataset.attrs.get(NAME)
        elif path.suffix == ".parquet":
            text = (pq.read_metadata(path).metadata or {}).get(NAME.encode())
        elif path.suffix == ".png":
            with Image.open(path) as image:
                text = image.info.get(NAME)
        else:
            side = path if path.suffix == ".json" else path.with_name(path.name + "-metadata.json")
            record = json.loads(side.read_text(encoding="utf-8")).get(NAME)
            text = None if record is None else json.dumps(record)
    if text is None:
        raise UserError(f"file {str(path)!r} carries no provenance; aqqua-dist did not write it.")
    return Provenance.from_json(text)


@contextlib.contextmanager
def _reading(path, kind):
    try:
        yield
    except UserError:
        raise
    except FileNotFoundError:
        raise UserError(f"{kind} file {str(path)!r} does not exist; run the stage that writes it.") from None
    except Exception as error:  # the libraries raise many kinds; none may reach the user
        reason = str(error).strip().split("\n")[0][:200]
        raise UserError(f"{kind} file {str(path)!r} cannot be read ({reason}); delete it and run again.") from None
