"""Model families by name: a new one is one file and one line here."""

from aqqua_dist.habitat_models.boosting import Boosting
from aqqua_dist.habitat_models.forest import Forest
from aqqua_dist.habitat_models.glm import Glm

FAMILIES = {
    "boosting": Boosting,
    "forest": Forest,
    "glm": Glm,
}
"""Name in the recipe (``model: {kind: ...}``) to family; the first is the default."""
