"""Fixtures that several test files share."""

import os
import sys
from pathlib import Path

import pytest
from hypothesis import settings

# The suite draws the same examples at every run, so that a commit always gives the same result; `make fuzz` searches at
# random and keeps what it finds in .hypothesis/ for the next search. `make mutate` draws few, as it runs each test many times.
settings.register_profile("suite", derandomize=True, deadline=None, print_blob=True)
settings.register_profile("fuzz", derandomize=False, deadline=None, print_blob=True)
settings.register_profile("mutate", derandomize=True, deadline=None, database=None, max_examples=15)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "suite"))

from aqqua_dist.core import files, vocabulary

os.environ.setdefault("MPLBACKEND", "Agg")
for threads in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(threads, "1")

OPEN = ("training",)
"""Tables with columns that a user names (predictors)."""
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


@pytest.fixture(autouse=True)
def every_written_column_is_described(monkeypatch):
    """A column that the package writes and the vocabulary does not describe fails the test that wrote it."""
    strange, described = [], files.described

    def watched(names, path, units=None):
        frame = sys._getframe(1)
        while frame is not None and frame.f_globals["__name__"] in (files.__name__, "contextlib"):
            frame = frame.f_back
        writer, table = frame.f_globals["__name__"] if frame else "", Path(path).stem
        if writer.startswith("aqqua_dist.") and table not in OPEN:
            strange.extend(f"{table}.{n} ({writer})" for n in names if vocabulary.known_column(n, table) is None)
        return described(names, path, units)

    monkeypatch.setattr(files, "described", watched)
    yield
    assert not strange, f"columns without unit and description, add them to data/columns.yaml: {sorted(set(strange))}"
