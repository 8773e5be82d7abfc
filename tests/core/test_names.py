"""Names of targets in file names: injective, readable, bounded."""

import re
import unicodedata
from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aqqua_dist.core.names import target_key, zone_key


@pytest.mark.parametrize(
    ("taxon", "zone", "key"),
    [
        ("Copepoda", "0-200", "Copepoda_0-200"),
        ("Oithona similis", "200-500", "Oithona_similis_200-500"),
        ("Salpida", "epipelagic", "Salpida_epipelagic"),
    ],
)
def test_usual_names_stay_as_they_are(taxon, zone, key):
    assert target_key(taxon, zone) == key


@pytest.mark.parametrize(
    "names",
    [
        ("Oithona sp.", "Oithona/sp.", "Oithona_sp.", "Oithona  sp.", "oithona sp."),
        ("a b", "a_b", "A b", "A_b", "A B"),
        ("Copepoda", "copepoda", "COPEPODA", "CopePoda"),
        ("Ctenophora", "Cténophora", unicodedata.normalize("NFD", "Cténophora")),
        ("T" * 300, "T" * 301, "T" + "t" * 299, "T" + "t" * 300),
        ("桡足类", "被囊类", "<>|", "..", "."),
    ],
)
def test_names_that_look_alike_get_files_of_their_own(names):
    keys = [target_key(name, "0-200") for name in names]
    assert len({key.casefold() for key in keys}) == len(names)
    for key in keys:
        assert re.fullmatch(r"[A-Za-z0-9._-]{1,80}", key) and key[0] not in ".-"


def test_what_a_name_loses_stands_in_its_hash():
    digits = sha256(b"virtual copepod\n0-200").hexdigest()[:8]
    assert target_key("virtual copepod", "0-200") == f"virtual_copepod_0-200-{digits}"


def test_a_name_that_ends_like_a_hash_cannot_stand_for_another():
    hashed = target_key("copepoda", "0-200")
    taxon, _, zone = hashed.partition("_")
    assert target_key(taxon, zone) != hashed
    assert target_key(taxon.capitalize(), zone).casefold() != hashed.casefold()


@given(st.lists(st.tuples(st.text(min_size=1, max_size=12), st.from_regex(r"[A-Za-z0-9.+-]{1,6}", fullmatch=True))))
@settings(max_examples=300, derandomize=True, deadline=None)
def test_any_two_targets_have_two_keys(targets):
    different = set(targets)
    assert len({target_key(*target).casefold() for target in different}) == len(different)


def test_zones_keep_their_names_or_get_a_hash():
    assert zone_key("0-200") == "0-200"
    keys = [zone_key(zone) for zone in ("0-200", "0+200", "surface", "Surface", "-5", "5", "5.")]
    assert len({key.casefold() for key in keys}) == 7
