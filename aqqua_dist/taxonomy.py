"""Labels of the observations and the taxa that they stand for.

Names and numbers come from the table ``data/taxa.yaml``, which says for each
pair where it was found; nothing is looked up over the network.
"""

from dataclasses import dataclass
from functools import lru_cache

import yaml

from aqqua_dist.errors import UserError
from aqqua_dist.paths import package_data

LSID = "urn:lsid:marinespecies.org:taxname:"
"""Start of a WoRMS life science identifier; the AphiaID follows."""


@dataclass(frozen=True)
class Taxon:
    """What a label stands for.

    Attributes
    ----------
    name : str
        Spelling of the World Register of Marine Species where `aphia_id` is
        known, else the label itself.
    aphia_id : int or None
        Its number there; None for groups that are no single taxon and for
        labels that nobody has looked up.
    note : str
        Why there is no number, or what the number must not be mistaken for.
    evidence : tuple of str
        Published tables that hold this pair of name and number.
    """

    name: str
    aphia_id: int | None = None
    note: str = ""
    evidence: tuple = ()

    @property
    def lsid(self):
        """Life science identifier, empty where there is none (str)."""
        return "" if self.aphia_id is None else lsid(self.aphia_id)


def lsid(aphia_id):
    """Life science identifier of a WoRMS taxon.

    Parameters
    ----------
    aphia_id : int
        AphiaID, above 0.

    Returns
    -------
    str
        Such as ``urn:lsid:marinespecies.org:taxname:1080``.

    Raises
    ------
    UserError
        The number is not a whole number above 0.
    """
    if isinstance(aphia_id, bool) or not isinstance(aphia_id, int) or aphia_id < 1:
        raise UserError(f"AphiaID {aphia_id!r} is not a whole number above 0, as in {LSID}1080.")
    return f"{LSID}{aphia_id}"


@lru_cache(maxsize=1)
def taxa():
    """All labels with a known meaning.

    Returns
    -------
    dict of str to Taxon
        By label, from ``data/taxa.yaml``.
    """
    entries = yaml.safe_load(package_data("taxa.yaml").read_text(encoding="utf-8"))
    return {label: Taxon(**entry | {"evidence": tuple(entry.get("evidence", ()))}) for label, entry in entries.items()}


def taxon_record(label):
    """What a label stands for.

    Parameters
    ----------
    label : str
        Label of the observations, such as ``Copepoda``.

    Returns
    -------
    Taxon
        The record of ``data/taxa.yaml``; for other labels a record with the
        label as its name, without number, whose note says so. Nothing is
        guessed from similar names.

    Raises
    ------
    UserError
        The label is empty or not text.
    """
    if not isinstance(label, str) or not label.strip():
        raise UserError(f"taxon label {label!r} is empty or not text; give a name such as 'Copepoda'.")
    return taxa().get(label) or Taxon(name=label, note="label without an entry in taxa.yaml, never looked up in WoRMS")
