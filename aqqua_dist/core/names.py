"""Names of taxa and zones as names of files: readable, bounded, and never one for two."""

import hashlib
import re
import unicodedata

LONGEST = 80
"""Characters of a key; what is put before and after it in file names fits in 255."""
_PLAIN_TAXON = re.compile(r"[A-Z0-9][a-z0-9.-]*( [a-z0-9.-]+)*")
_PLAIN_ZONE = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?")
_LIKE_HASH = re.compile(r"-[0-9a-f]{8}$")


def target_key(taxon, zone):
    """Name of a taxon and zone in file names.

    A taxon that begins with a capital and goes on in small letters, digits,
    points and hyphens, its words parted by single spaces, is kept, with
    underscores between words and before the zone. Every other name loses
    something on the way (also on a disk that does not tell small letters
    from capitals), and ends in eight digits of its hash.

    Parameters
    ----------
    taxon, zone : str
        Names.

    Returns
    -------
    str
        At most 80 letters, digits, points, hyphens and underscores.
    """
    plain = bool(_PLAIN_TAXON.fullmatch(taxon) and _PLAIN_ZONE.fullmatch(zone))
    return _key(f"{taxon}_{zone}", plain, f"{taxon}\n{zone}")


def zone_key(zone):
    """Name of a zone in file names.

    Parameters
    ----------
    zone : str
        Name.

    Returns
    -------
    str
        As from `target_key`; small letters, digits, points and hyphens are
        kept as they are.
    """
    return _key(zone, bool(_PLAIN_ZONE.fullmatch(zone)), zone)


def _key(text, plain, whole):
    slug = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    slug = re.sub(r"[^A-Za-z0-9.-]+", "_", slug).lstrip("._-")
    if plain and len(slug) <= LONGEST and not _LIKE_HASH.search(slug):
        return slug
    return f"{slug[: LONGEST - 9].rstrip('._')}-{hashlib.sha256(whole.encode()).hexdigest()[:8]}"
