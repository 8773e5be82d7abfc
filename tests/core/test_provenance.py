"""Records of origin, content keys and hashes."""

import numpy as np
import pytest

import aqqua_dist
from aqqua_dist.core import provenance
from aqqua_dist.core.errors import UserError


def test_a_record_survives_json():
    record = provenance.Provenance(
        study="s",
        stage="fit",
        key="k",
        recipe_text="a: µ\n",
        recipe_sha256="h",
        inputs={"f": "1"},
        seeds={"seed": 1},
        software={"numpy": "2"},
        references=["r"],
        created="2026-01-01T00:00:00Z",
    )
    assert provenance.Provenance.from_json(record.to_json()) == record


def test_keys_depend_on_content_only():
    one = provenance.content_key(a=1, b=[1, 2.5, "x", None], c={"p": 1, "q": 2})
    assert one == provenance.content_key(c={"q": 2, "p": 1}, b=[1, 2.5, "x", None], a=1)
    parts = {"a": 1, "b": [1, 2.5, "x", None], "c": {"p": 1, "q": 2}}
    changes = ({"a": 2}, {"a": "1"}, {"b": [2.5, 1, "x", None]}, {"c": {"p": 1, "q": 3}})
    others = [provenance.content_key(**parts | change) for change in changes]
    assert len({one, *others}) == 5
    assert set(one) <= set("0123456789abcdef")


def test_hash_of_a_file(tmp_path):
    path = tmp_path / "abc"
    path.write_bytes(b"abc")  # check value of FIPS 180-4
    assert provenance.sha256_file(path) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    path.write_bytes(b"abd")
    assert provenance.sha256_file(path) != "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    with pytest.raises(UserError, match="none' cannot be read: No such file"):
        provenance.sha256_file(tmp_path / "none")


def test_keys_of_what_json_cannot_hold_are_refused():
    assert provenance.content_key(a=(1, 2)) == provenance.content_key(a=[1, 2])
    for value in (float("nan"), {1, 2}, np.float32(1)):
        with pytest.raises(UserError, match=r"content key of \['a'\] cannot be made"):
            provenance.content_key(a=value)


def test_versions_are_those_in_use():
    found = provenance.software_versions()
    assert found["numpy"] == np.__version__
    assert found["aqqua-dist"] == aqqua_dist.__version__
    assert "xgboost-cpu" in found or "xgboost" in found
