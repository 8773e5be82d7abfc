"""Training rows and a grid table that give predictors for the same cells: do they agree?"""

from aqqua_dist.environment import matchup


def differences(context, training, cube):
    """What to tell of training rows and a grid table that give predictors for the same cells.

    Parameters
    ----------
    context : Context
        The run.
    training : pandas.DataFrame
        Training rows with their predictors.
    cube : xarray.Dataset
        From `table_cube`.

    Returns
    -------
    list of str
        One sentence on rows outside the grid's cells, and one for each
        predictor that differs by more than a hundredth of its standard
        deviation over the grid.
    """
    names, told = list(context.recipe.predictors.names), []
    places = training.drop_duplicates(["zone", "lat", "lon"])
    grid_has = matchup.extract(cube, places, ["domain"])["domain"] == 1
    if not grid_has.all():
        first = places[~grid_has].iloc[0]
        told.append(
            f"{int((~grid_has).sum())} of {len(places)} cells of the observations are not predicted, as the grid has no "
            f"sea there; the first is ({first['lat']:g}, {first['lon']:g})"
        )
    shared = places[grid_has]
    ours = matchup.extract(cube, shared, names)
    for name in names:
        apart = (shared[name] - ours[name]).abs()
        spread = float(cube[name].where(cube["domain"] == 1).std())
        odd = apart > 0.01 * spread
        if odd.any():
            row = apart.idxmax()
            told.append(
                f"{name} of the observations and of the grid differ at {int(odd.sum())} of {int(apart.notna().sum())} "
                f"shared cells, by {apart[odd].median():.3g} in the median and most at ({shared['lat'][row]:g}, "
                f"{shared['lon'][row]:g}), {shared[name][row]:g} beside {ours[name][row]:g}; "
                "the model learns from the one and predicts from the other"
            )
    return told
