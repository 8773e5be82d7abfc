"""Versions of learned arrays: what changes them, and files that are refused."""

from dataclasses import dataclass

import numpy as np
import pytest
import xarray as xr

from aqqua_dist.core import files
from aqqua_dist.core.errors import UserError
from aqqua_dist.core.learned import empirical_quantile, read_learned, version_of, write_learned
from aqqua_dist.core.provenance import Provenance

PROVENANCE = Provenance("study", "stage", "key", seeds={"fit": 3})


@dataclass(frozen=True)
class Line:
    slope: np.ndarray
    intercept: float

    @property
    def version(self):
        return version_of(self.slope, self.intercept)


def test_a_version_is_the_hash_of_kinds_shapes_and_values():
    a = np.arange(6.0)
    others = a + 1e-15, a.reshape(2, 3), a.astype("float32"), a.astype(int)
    versions = [version_of(values) for values in (a, *others)] + [version_of(a, a), version_of()]
    assert len(set(versions)) == len(versions)
    assert version_of(a.astype(">f8")) == version_of(a) == version_of(np.repeat(a, 2)[::2])


def test_the_file_gives_back_the_same_and_its_provenance(tmp_path):
    line = Line(np.array([0.1, np.pi]), 1 / 3)
    write_learned(
        line, {"slope": ("x", line.slope), "intercept": ((), line.intercept)}, tmp_path / "line.nc", PROVENANCE
    )
    again = read_learned(Line, ("slope", "intercept"), tmp_path / "line.nc")
    assert again.version == line.version and again.intercept == line.intercept
    assert files.read_provenance(tmp_path / "line.nc") == PROVENANCE


def test_other_and_changed_files_are_refused(tmp_path):
    line = Line(np.array([0.1]), 1.0)
    write_learned(line, {"slope": ("x", line.slope)}, tmp_path / "half.nc", PROVENANCE)
    with pytest.raises(
        UserError, match=r"holds 'Line' with \['slope'\], needed is 'Line' with \['slope', 'intercept'\]"
    ):
        read_learned(Line, ("slope", "intercept"), tmp_path / "half.nc")
    write_learned(line, {"slope": ("x", line.slope + 1), "intercept": ((), 1.0)}, tmp_path / "changed.nc", PROVENANCE)
    with pytest.raises(UserError, match=f"it says '{line.version}'; it was changed"):
        read_learned(Line, ("slope", "intercept"), tmp_path / "changed.nc")
    files.write_netcdf(xr.Dataset({"slope": ("x", [1.0])}), tmp_path / "map.nc", PROVENANCE)
    with pytest.raises(UserError, match="holds None"):
        read_learned(Line, ("slope",), tmp_path / "map.nc")
    with pytest.raises(UserError, match="does not exist"):
        read_learned(Line, ("slope",), tmp_path / "none.nc")


def test_a_quantile_counts_the_new_score_too():
    # p = (1 + number not lower)/(n + 1) = 4/4, 3/4, 2/4, 1/4
    found = empirical_quantile(np.array([1.0, 2.0, 3.0]), np.array([0.5, 1.5, 3.0, 9.0, np.nan]))
    np.testing.assert_allclose(found, [0, 0.25, 0.5, 0.75, np.nan])


@pytest.mark.parametrize("start", [b"PAR1", b"a,b\n1,2\n", b"\x89HDF\r\n\x1a\n"])
def test_another_file_is_told_what_it_should_be_and_never_to_be_deleted(tmp_path, start):
    """The user's own counts.parquet, given as a codebook."""
    (tmp_path / "counts.parquet").write_bytes(start + bytes(64))
    with pytest.raises(
        UserError, match="counts.parquet.* cannot be read .*Needed is the NetCDF file of a 'Line'"
    ) as refusal:
        read_learned(Line, ("slope", "intercept"), tmp_path / "counts.parquet")
    assert "delete" not in str(refusal.value)
