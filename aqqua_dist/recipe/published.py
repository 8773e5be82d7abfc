"""Settings of a recipe that depart from the published method it says it reproduces."""

from aqqua_dist.core import vocabulary


def method_warnings(recipe):
    """Settings that are known to give another model than the published one.

    Parameters
    ----------
    recipe : Recipe
        The study.

    Returns
    -------
    list of str
        One sentence each; also one per predictor that the vocabulary does
        not know, as its values cannot be checked.
    """
    found = [
        f"predictors.names: {name!r} is not in the vocabulary, so its unit and range are not checked."
        for name in recipe.predictors.names
        if recipe.predictors.kind == "table" and name not in vocabulary.quantities()
    ]
    if "members" in getattr(recipe.observations, "draw", []) and recipe.members.scheme == "cruise_bootstrap":
        found.append(
            "observations.draw: 'members' that were drawn with their counting error hold it once more on top of members.scheme "
            "'cruise_bootstrap', whose drawn cruises hold it already: its variance then counts three times, so that intervals "
            "are too wide."
        )
    if recipe.reproduces != "drago2022":
        return found
    model = recipe.model
    if model.kind != "boosting":
        return [*found, f"model.kind {model.kind!r} is not the published 'boosting' (boosted trees)."]
    other = "another model: against the authors' map r falls from 0.9997 to 0.79-0.94 and totals rise by 18-23 %"
    if model.tree_method != "exact":
        found.append(f"model.tree_method {model.tree_method!r} is not the published 'exact' but {other}.")
    if model.base_score != 0.5:
        shown = "estimated from the data" if model.base_score is None else model.base_score
        found.append(f"model.base_score is {shown}, not the published 0.5, but {other}.")
    if model.response_scale != "drago2022":
        found.append(
            f"model.response_scale {model.response_scale!r} is not the published 'drago2022' (rounded counts)."
        )
    if recipe.members.scheme != "folds":
        found.append(f"members.scheme {recipe.members.scheme!r} is not the published 'folds'.")
    if recipe.grid.clip_at_sea_floor:
        found.append("grid.clip_at_sea_floor is true; the published stock uses the full thickness of the zone.")
    return found
