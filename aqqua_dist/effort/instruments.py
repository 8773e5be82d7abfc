"""Factors of effort rules that an instrument needs a function for."""

import re

import numpy as np
import pandas as pd

from aqqua_dist.core.errors import UserError

_FRACTION = re.compile(
    r"(?:^|(?<=[_\-. ]))(?P<name>tot|d\d{1,2})(?:_(?P<part>\d+)_sur_(?P<parts>\d+))?(?=[_\-. ]|$)", re.IGNORECASE
)
_IFCB_TOLERANCE = (0.98, 1.02)


class Flags:
    """Words per row of a table.

    Parameters
    ----------
    rows : int
        Number of rows.
    """

    def __init__(self, rows):
        self._words = [[] for _ in range(rows)]

    def add(self, where, word):
        """Give some rows a word.

        Parameters
        ----------
        where : array_like of bool
            Which rows, shape (n_rows,).
        word : str
            The word.
        """
        for row in np.flatnonzero(np.asarray(where)):
            self._words[row].append(word)

    def texts(self):
        """Words of each row, joined by semicolons (string array, shape (n_rows,))."""
        return pd.array([";".join(words) for words in self._words], dtype="string")


def fraction_of(text):
    """Size fraction that the id of a scan names.

    Parameters
    ----------
    text : str
        Such as ``d1_wp2_x``, ``wp2_d2_1_sur_2`` or ``tot``.

    Returns
    -------
    re.Match or None
        Groups ``name, part, parts``: the first name of a fraction where the
        id begins with one, else the only one in it; None where there is none
        or where several differ.
    """
    found = list(_FRACTION.finditer(text))
    if not found:
        return None
    return found[0] if found[0].start() == 0 or len({m["name"].lower() for m in found}) == 1 else None


def overlaps(samples, ids):
    """Samples of which the same water was scanned twice, by the ids of their scans.

    Parameters
    ----------
    samples, ids : sequence of str
        Sample and id of each scan.

    Returns
    -------
    dict of str to str
        Why the scans of a sample cannot be added: a scan of the whole net
        (``tot``) beside fractions, or two scans of one fraction.
    """
    found, table = {}, pd.DataFrame({"sample": list(samples), "match": [fraction_of(str(text)) for text in ids]})
    for sample, matches in table.groupby("sample", sort=False)["match"]:
        names = [None if m is None else m["name"].lower() for m in matches]
        parts = [(name, m["part"]) for name, m in zip(names, matches, strict=True) if m is not None]
        if "tot" in names and len(set(names)) > 1:
            others = ", ".join(sorted({str(name) for name in names} - {"tot"}))
            found[sample] = (
                f"a scan of the whole net ('tot') stands beside {others}: the same water twice; leave one of them out"
            )
        elif len(set(parts)) < len(parts):
            twice = next(part for part in parts if parts.count(part) > 1)[0]
            found[sample] = f"fraction {twice!r} stands {names.count(twice)} times, allowed is once"
    return found


def _scans(entry, values, flags, options):
    """Scans of one size fraction: parts of it, or replicates (formats with ``_<i>_sur_<n>``)."""
    parts = [fraction_of(text) for text in values["fraction"]]
    table = pd.DataFrame(
        {
            "sample": values["sample_id"],
            "text": values["fraction"],
            "sub_part": values["sub_part"],
            "tot_vol": values["tot_vol"],
            "name": [m["name"].lower() if m else text for m, text in zip(parts, values["fraction"], strict=True)],
            "part": [int(m["part"] or 1) if m else 1 for m in parts],
            "parts": [int(m["parts"] or 1) if m else 1 for m in parts],
        }
    )
    _check_scans(entry, table, options)
    flags.add(np.log2(table["sub_part"]) % 1 != 0, "sub_part no power of 2")
    flags.add(table["parts"] > 1, f"scans pooled as {options.get('scans')}")
    several = table.groupby("sample")["name"].transform("size") > 1
    flags.add(several & np.array([part is None for part in parts], dtype=bool), "scan names no fraction")
    order = table.drop_duplicates(["sample", "name"]).pivot(index="sample", columns="name", values="sub_part")
    if {"d1", "d2"} <= set(order.columns):
        flags.add(table["sample"].isin(order.index[order["d1"] > order["d2"]]), "d1 split more than d2")
    return table["parts"].to_numpy() if options.get("scans") == "replicates" else np.ones(len(table))


def _check_scans(entry, table, options):
    where = f"rule {entry.name!r}"
    for row in np.flatnonzero(table["sub_part"] < 1):
        raise UserError(
            f"{where}, column 'sub_part', row {row + 2}: {table['sub_part'][row]:g} is below 1; a quarter is written 4."
        )
    for row in np.flatnonzero(table.duplicated(["sample", "name", "part"])):
        raise UserError(
            f"{where}, row {row + 2}: fraction {table['text'][row]!r} of {table['sample'][row]!r} stands twice, not once."
        )
    whole = table["sample"].isin(
        set(table.loc[table["name"] == "tot", "sample"]) & set(table.loc[table["name"] != "tot", "sample"])
    )
    for row in np.flatnonzero(whole & (table["name"] == "tot")):
        others = sorted(set(table.loc[(table["sample"] == table["sample"][row]), "name"]) - {"tot"})
        raise UserError(
            f"{where}, row {row + 2}: sample {table['sample'][row]!r} has a scan of the whole net ('tot') beside "
            f"{', '.join(others)}; that is the same water twice, so leave out the rows of one of them."
        )
    for row in np.flatnonzero(table.groupby("sample")["tot_vol"].transform("nunique") > 1):
        raise UserError(
            f"{where}, column 'tot_vol', row {row + 2}: {table['tot_vol'][row]:g} m3 is not as in its other fractions."
        )
    several = table[table["parts"] > 1]
    if len(several) and "scans" not in options:
        raise UserError(
            f"{where}, row {several.index[0] + 2}: fraction {several['text'].iloc[0]!r} is one of {several['parts'].iloc[0]} scans; say "
            "scans='parts' where sub_part belongs to all of them together, or scans='replicates' where each scan has its own sub_part."
        )
    for (sample, name), group in several.groupby(["sample", "name"]):
        if len(group) != group["parts"].iloc[0] or group["parts"].nunique() > 1 or group["sub_part"].nunique() > 1:
            raise UserError(
                f"{where}, row {group.index[0] + 2}: fraction {name!r} of sample {sample!r} names {group['parts'].iloc[0]} scans; the "
                f"table has {len(group)} with sub_part {sorted(set(group['sub_part']))}, needed are all of them with one sub_part."
            )


def _images_processed(values, flags):
    ratio = np.minimum(values["nb_images"], values["raw_images"]) / values["raw_images"]
    flags.add(ratio < 1, "not all images processed")
    return ratio


def _flowcam_pssdb(entry, values, flags, options):
    return 1 / _images_processed(values, flags)


def _flowcam_ecotaxatoolbox(entry, values, flags, options):
    over = np.flatnonzero(values["volpump"] > 10)
    if len(over):
        raise UserError(
            f"rule {entry.name!r}, column 'volpump', row {over[0] + 2}: {values['volpump'][over[0]]:g} is above 10, so by the source no "
            "concentration factor; allowed is at most 10 (the source takes it as 1: write 1 if that is meant)."
        )
    return _images_processed(values, flags)


def _ifcb_new(entry, values, flags, options):
    chosen = {}
    for name in ("run_time", "inhibit_time"):
        header, last = values[name], values[f"{name}_adc"]
        last = np.where(last > 0, last, np.nan)
        low, high = _IFCB_TOLERANCE
        with np.errstate(invalid="ignore", divide="ignore"):
            agree = (header / last >= low) & (header / last <= high)
        from_adc = np.isfinite(last) & ~agree
        flags.add(from_adc, f"{name} of the last trigger")
        flags.add(~np.isfinite(last), f"{name} of the header only")
        chosen[name] = np.where(from_adc, last, header)
        none = np.flatnonzero(~np.isfinite(chosen[name]))
        if len(none):
            raise UserError(
                f"rule {entry.name!r}, row {none[0] + 2}: neither {name!r} nor '{name}_adc' is a time ({len(none)} such rows)."
            )
    return chosen["run_time"] - chosen["inhibit_time"]


def _hits_and_misses(entry, values, flags, options):
    hits, misses = values["hits"], values["misses"]
    lost = np.flatnonzero((hits == 0) & (misses > 0))
    if len(lost):
        raise UserError(
            f"rule {entry.name!r}, row {lost[0] + 2}: 0 hits and {misses[lost[0]]:g} misses: nothing of the volume was seen."
        )
    flags.add(misses > 0, "particles missed")
    return np.where(hits > 0, hits / np.maximum(hits + misses, 1), 1.0)


FACTORS = {
    "scans": _scans,
    "flowcam_pssdb": _flowcam_pssdb,
    "flowcam_ecotaxatoolbox": _flowcam_ecotaxatoolbox,
    "ifcb_new": _ifcb_new,
    "hits_and_misses": _hits_and_misses,
}
