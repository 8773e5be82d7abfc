"""Fixtures that several test files share."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

# The suite draws the same examples at every run, so that a commit always gives the same result; `make fuzz` searches at
# random and keeps what it finds in .hypothesis/ for the next search.
settings.register_profile("suite", derandomize=True, deadline=None, print_blob=True)
settings.register_profile("fuzz", derandomize=False, deadline=None, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "suite"))

os.environ.setdefault("MPLBACKEND", "Agg")
for threads in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(threads, "1")

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def data_root():
    """Folder of real data; tests skip, and say so, where it is absent."""
    folder = Path(os.environ.get("AQQUA_DIST_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no real data at {folder}; set AQQUA_DIST_DATA to its folder")
    return folder.resolve()


@pytest.fixture(scope="session")
def project_root():
    """Root of the checkout."""
    return ROOT
