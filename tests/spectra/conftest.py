"""Spectra that are known."""

import numpy as np
import pandas as pd
import pytest
from scipy.integrate import quad

EDGES = 1000 * 2.0 ** (np.arange(-10, 8) / 3)  # 99 to 5040 µm, a factor of 1.26 as in EcoPart


@pytest.fixture
def known():
    """Function: mean numbers per class of ``n0 s^-slope`` (m-3 mm-1) in a volume (m3), each class by quadrature."""

    def made(log_n0, slope, volume, edges=EDGES):
        low, high = edges[:-1], edges[1:]
        mean = [quad(lambda s: s**-slope, a / 1000, b / 1000, epsabs=0, epsrel=1e-12)[0] for a, b in zip(low, high)]
        return pd.DataFrame(
            {"esd_low": low, "esd_high": high, "n": np.exp(log_n0) * volume * np.array(mean), "volume": volume}
        )

    return made
