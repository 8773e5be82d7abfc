"""Members over a domain against sums by hand."""

import numpy as np
import pytest
import xarray as xr

from aqqua_dist.core.errors import UserError
from aqqua_dist.maps import prediction
from aqqua_dist.maps.products import Product, identity

LAT, LON = [-45.0, 45.0], [-90.0, 0.0, 90.0]


class Constant:
    """Members that predict the first predictor times their factor; the centre, where there is one, 10 times."""

    def __init__(self, factors, centres=()):
        self.factors, self.own = np.asarray(factors, dtype="float32"), np.asarray(centres, dtype="float32")
        self.n_members = len(factors)

    def predict(self, X, *, jobs=1):
        return self.factors[:, None] * X[None, :, 0]

    def centres(self, X):
        return self.own[:, None] * X[None, :, 0]


def alone(ensemble, where, weights):
    """Fields and totals of one target by itself."""
    made = Product(identity, ("t",), where.cells, weights)
    return prediction.predict({"t": (ensemble, where)}, {"t": made}, progress=False)["t"]


def cube(months=None):
    """Two by three cells of which four are in the domain: numbers 0, 2, 3 and 5."""
    domain = np.array([[[1, 0, 1], [1, 0, 1]]], dtype="int8")
    one = np.arange(1.0, 7.0).reshape(2, 3)
    dims, values = ("lat", "lon"), one
    coords = {"zone": ["z"], "lat": LAT, "lon": LON}
    if months is not None:
        dims, values = ("month", "lat", "lon"), np.stack([one + 10 * k for k in range(len(months))])
        coords["month"] = months
    return xr.Dataset(
        {
            "temperature": (dims, values),
            "depth": (("lat", "lon"), 100 * one),
            "domain": (("zone", "lat", "lon"), domain),
            "thickness": (("zone", "lat", "lon"), np.where(domain == 1, 200.0, np.nan)),
            "cell_area": (("lat", "lon"), np.array([[1.0, 2, 3], [4, 5, 6]])),
        },
        coords=coords,
    )


def test_the_domain_holds_the_cells_that_are_predicted_in_the_order_of_the_model():
    where = prediction.domain(cube(), "z", ["depth", "temperature"])
    assert where.cells.tolist() == [0, 2, 3, 5]
    assert where.features.dtype == np.float32
    assert where.features.tolist() == [[[100, 1], [300, 3], [400, 4], [600, 6]]]
    assert where.area.tolist() == [1, 3, 4, 6] and where.volume.tolist() == [200, 600, 800, 1200]
    assert where.months is None


def test_a_monthly_domain_has_every_month_and_repeats_what_does_not_vary():
    where = prediction.domain(cube([3, 9]), "z", ["temperature", "depth"])
    assert where.features.shape == (2, 4, 2) and where.months.tolist() == [3, 9]
    assert where.features[:, :, 0].tolist() == [[1, 3, 4, 6], [11, 13, 14, 16]]
    assert where.features[:, :, 1].tolist() == [[100, 300, 400, 600]] * 2


def test_what_is_missing_is_refused():
    with pytest.raises(UserError, match=r"predictors \['salinity'\] are not in the cube"):
        prediction.domain(cube(), "z", ["temperature", "salinity"])
    bad = cube()
    bad["thickness"][0, 1, 2] = np.nan
    with pytest.raises(UserError, match="zone 'z': 1 of 4 cells"):
        prediction.domain(bad, "z", ["temperature"])


@pytest.mark.parametrize("block", [1, 3, 8, 12, 4_000_000])
@pytest.mark.parametrize("centres", [(), (10.0,), (10.0, 20.0)])
def test_moments_quantiles_and_totals_by_hand_for_any_size_of_block(monkeypatch, block, centres):
    """Members 1, 2, 4 times the predictor 1, 3, 4, 6: mean 7/3 and sd sqrt(7/3) times, total weighted by the volume."""
    monkeypatch.setattr(prediction, "BLOCK_VALUES", block)
    where = prediction.domain(cube(), "z", ["temperature"])
    weights = np.column_stack([where.volume, where.volume * [1, 0, 0, 1]])
    fields, totals = alone(Constant([1, 2, 4], centres), where, lambda a, b: weights[a:b])
    x = np.array([1.0, 3, 4, 6])
    assert set(fields) == {"estimate", "mean", "sd", "q025", "q50", "q975"}
    middle = np.mean(centres) if centres else 7 / 3
    assert fields["estimate"] == pytest.approx((middle * x)[None], rel=1e-6)
    assert fields["mean"] == pytest.approx((7 / 3 * x)[None], rel=1e-6)
    assert fields["sd"] == pytest.approx((np.sqrt(7 / 3) * x)[None], rel=1e-6)
    for level, name in ((0.025, "q025"), (0.5, "q50"), (0.975, "q975")):
        assert fields[name] == pytest.approx((np.quantile([1, 2, 4], level) * x)[None], rel=1e-6)
    whole, part = (x * where.volume).sum(), 1 * 200 + 6 * 1200
    expected = np.outer([1, 2, 4, middle if centres else np.nan], [whole, part])
    assert totals == pytest.approx(expected, rel=1e-6, nan_ok=True)


def test_a_year_is_the_mean_of_its_months_and_its_spread_that_of_the_annual_means():
    """Months 1, 3, 4, 6 and ten more: a total is that of the mean month, not the sum; annual means are 6, 8, 9, 11."""
    where = prediction.domain(cube([1, 7]), "z", ["temperature"])
    weights = np.tile(where.volume, 2)[:, None]
    fields, totals = alone(Constant([1, 3], (5,)), where, lambda a, b: weights)
    year = np.array([6.0, 8, 9, 11])
    assert totals == pytest.approx(np.array([1, 3, 5])[:, None] * (year * where.volume).sum())
    assert fields["mean"].tolist() == [[2, 6, 8, 12], [22, 26, 28, 32]]
    assert fields["estimate_annual"] == pytest.approx(5 * year)
    assert fields["mean_annual"] == pytest.approx(2 * year)
    assert fields["sd_annual"] == pytest.approx(np.sqrt(2) * year)
    assert fields["q975_annual"] == pytest.approx(2.95 * year)


@pytest.mark.parametrize("months", [None, [1, 7]])
def test_a_field_lies_on_its_cells_and_is_missing_elsewhere(months):
    study = cube(months)
    where = prediction.domain(study, "z", ["temperature"])
    found = prediction.to_grid(where.features[:, :, 0], where, study)
    expected = study["temperature"].where(study["domain"].sel(zone="z", drop=True) == 1)
    xr.testing.assert_allclose(found.astype(float), expected)
    assert found.dims == (("lat", "lon") if months is None else ("month", "lat", "lon"))
    year = prediction.to_grid(np.array([1.0, 2, 3, 4]), where, study)
    assert year.dims == ("lat", "lon") and float(year[1, 2]) == 4 and np.isnan(year[0, 1])
