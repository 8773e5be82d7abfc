"""Feature files of Imaging FlowCytobot bins (v2, v4): size of each image, from pixels to µm.

``<bin>_fea_v2.csv`` and ``<bin>_features_v4.csv`` of ifcb-analysis,
ifcb-features and iRfcb. Biovolumes are those of the distance map (Moberg &
Sosik 2012, doi 10.4319/lom.2012.10.278) of the largest blob.
"""

import csv
import io
import re

import numpy as np
import pandas as pd

from aqqua_dist.core.errors import UserError
from aqqua_dist.core.tables import finding
from aqqua_dist.readers.ifcb.raw import text_of

BIN = r"(?:D\d{8}T\d{6}_IFCB\d+|IFCB\d+_\d{4}_\d{3}_\d{6})"
NAME = re.compile(rf"({BIN})_(?:fea|features)(?:_v(\d+))?\.csv", re.IGNORECASE)
PIXELS_PER_UM = 3.4
"""Scale of the images, px per µm, where nobody states another (ifcb-analysis and iRfcb, micron_factor 1/3.4; cameras have 2.7 to 3.4)."""
COLUMNS = {
    "roinumber": "roi",
    "roi": "roi",
    "pid": "pid",
    "area": "area",
    "biovolume": "biovolume",
    "equivdiameter": "esd",
    "majoraxislength": "major",
    "minoraxislength": "minor",
}
"""Names of the files, in lower case without separators, and ours."""


def recognises(source):
    """Whether a source is a feature file of a bin.

    Parameters
    ----------
    source : aqqua_dist.readers.sources.Source
        Judged by its name.

    Returns
    -------
    bool
    """
    return bool(NAME.fullmatch(source.name))


def read_features(source, pixels_per_um=PIXELS_PER_UM):
    """Sizes of the images of one bin.

    Parameters
    ----------
    source : aqqua_dist.readers.sources.Source
        The file.
    pixels_per_um : float
        Scale of the images, px per µm.

    Returns
    -------
    pandas.DataFrame
        ``object_id, area`` (px2), ``major, minor`` (px), ``pixel, esd`` (µm),
        ``biovolume`` (mm3) and ``size_source``; what the file does not tell
        is NaN.

    Raises
    ------
    UserError
        No column tells the image or its size, an image stands twice, or a
        cell is no number of at least 0.
    """
    name, version = NAME.fullmatch(source.name).groups()
    rows = list(csv.reader(io.StringIO(text_of(source))))
    if not rows or not rows[0]:
        raise UserError(f"{source}: the file is empty ({len(rows)} rows), needed is a header with 'roi_number'.")
    names = [COLUMNS.get(re.sub(r"[^a-z0-9]", "", cell.strip().lstrip("\ufeff").lower())) for cell in rows[0]]
    if not {"roi", "pid"} & set(names) or not {"area", "biovolume", "esd"} & set(names):
        raise UserError(
            f"{source}: needed are 'roi_number' and one of 'Area', 'Biovolume', 'EquivDiameter'; it has {rows[0][:12]}."
        )
    body = [row for row in rows[1:] if row]
    cut = next((n for n, row in enumerate(body) if len(row) != len(names)), None)
    if cut is not None:
        raise UserError(
            f"{source}: row {cut + 2} has {len(body[cut])} cells, the header {len(names)}; was the file cut?"
        )
    table = pd.DataFrame(
        {ours: [row[place] for row in body] for place, ours in reversed(list(enumerate(names))) if ours},
        dtype="string",
    )
    if "roi" not in table:
        table["roi"] = table["pid"].str.rsplit("_", n=1).str[-1]
    values = {ours: _numbers(table[ours], ours, source) for ours in table if ours != "pid"}
    roi = values.pop("roi")
    if len(roi) and (np.isnan(roi).any() or (roi % 1 != 0).any() or (roi > 99_999).any()):
        raise UserError(
            f"{source}: 'roi_number' {roi[np.isnan(roi) | (roi % 1 != 0) | (roi > 99_999)][0]:g} is no number of an image."
        )
    pixel = 1 / pixels_per_um
    none = np.full(len(table), np.nan)
    found = pd.DataFrame(
        {
            "object_id": [f"{name}_{int(number):05d}" for number in roi],
            "area": values.get("area", none),
            "major": values.get("major", none),
            "minor": values.get("minor", none),
            "pixel": pixel,
            "esd": values.get("esd", 2 * np.sqrt(values.get("area", none) / np.pi)) * pixel,
            "biovolume": values.get("biovolume", none) * pixel**3 * 1e-9,
        }
    )
    found["size_source"] = np.where(found["biovolume"].notna(), f"IFCB features v{version or '?'}", pd.NA)
    if found["object_id"].duplicated().any():
        twice = found["object_id"][found["object_id"].duplicated()].iloc[0]
        raise UserError(f"{source}: image {twice!r} stands more than once, allowed is once.")
    return found


def _numbers(cells, name, source):
    numbers = pd.to_numeric(cells.str.strip(), errors="coerce").to_numpy(dtype=float)
    none = cells.str.strip().str.lower().isin(["", "nan", "na"]).to_numpy()
    bad = ~none.astype(bool) & ~(np.isfinite(numbers) & (numbers >= 0))
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise UserError(f"{source}: row {row + 2}, {name}: {cells.iloc[row]!r} is no number of at least 0.")
    return np.where(none, np.nan, numbers)


def sized(objects, sources, scales, findings):
    """Objects of bins with the sizes of their feature files.

    Parameters
    ----------
    objects : pandas.DataFrame
        Images of the bins, with ``object_id`` and ``sample_id``.
    sources : list of aqqua_dist.readers.sources.Source
        Feature files; of two versions for one bin the later one is taken.
    scales : dict of str to float
        Scale (px per µm) by instrument, such as ``IFCB013``, or ``IFCB`` for
        all.
    findings : list of dict
        Takes what is odd.

    Returns
    -------
    pandas.DataFrame
        The same rows, with the columns of `read_features`.
    """
    best = {}
    for source in sorted(sources, key=lambda s: int(NAME.fullmatch(s.name).group(2) or 0)):
        name = NAME.fullmatch(source.name).group(1)
        if name in best:
            message = f"bin {name} has two files of features; {source.name} was taken."
            findings.append(finding("suspicious", "features", message, file=str(best[name]), value=name))
        best[name] = source
    known, parts, assumed = set(objects["sample_id"]), [], []
    for name, source in best.items():
        instrument = "IFCB" + re.search(r"IFCB(\d+)", name).group(1)
        scale = scales.get(instrument, scales.get("IFCB"))
        try:
            part = read_features(source, PIXELS_PER_UM if scale is None else scale)
        except UserError as error:
            row = re.search(r"row (\d+)", str(error))
            place = {"file": str(source), "row": int(row.group(1)) if row else None}
            findings.append(finding("refused", "features", f"the sizes were left out: {error}", **place))
            continue
        if name not in known and len(part):
            message = f"bin {name} has features of {len(part)} images, and its .hdr and .adc are not here; they were left out."
            findings.append(finding("refused", "features", message, file=str(source), value=name))
            continue
        assumed += [name] if scale is None and len(part) else []
        strange = len(part) - int(part["object_id"].isin(objects["object_id"]).sum())
        if strange:
            message = f"{strange} of {len(part)} features are of no image of bin {name}; they were left out."
            findings.append(finding("refused", "features", message, file=str(source), value=name))
        parts.append(part)
    if assumed:
        message = (
            f"nobody states the scale of {len(assumed)} bins, first {assumed[0]}; {PIXELS_PER_UM:g} px per µm was taken (ifcb-analysis; "
            "cameras have 2.7 to 3.4). Say it in an effort file, as 'IFCB: {rule: ifcb, pixels_per_um: 2.7}'."
        )
        findings.append(finding("suspicious", "pixel", message, column="pixel", value=PIXELS_PER_UM))
    if not parts:
        return objects
    whole = objects.merge(pd.concat(parts, ignore_index=True), on="object_id", how="left")
    mine = whole["sample_id"].isin({NAME.fullmatch(source.name).group(1) for source in best.values()})
    without = int((mine & whole["esd"].isna() & whole["biovolume"].isna()).sum())
    if without:
        message = f"{without} of {int(mine.sum())} images of bins with features have none; their size is unknown."
        findings.append(finding("suspicious", "size", message))
    return whole
