"""All terms of the objective, by their names in recipes."""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from semdepth_ros.training.terms.depth import Depth, depth
from semdepth_ros.training.terms.hint import Hint, hint
from semdepth_ros.training.terms.photometric import Photometric, photometric
from semdepth_ros.training.terms.ranking import Ranking, ranking
from semdepth_ros.training.terms.semantic import Semantic, semantic
from semdepth_ros.training.terms.smoothness import Smoothness, smoothness
from semdepth_ros.training.terms.velocity import Velocity, velocity
from semdepth_ros.training.terms.weight import Weighted


@dataclass(frozen=True)
class Term:
    """One term of the objective.

    :param function: (view, settings) to a scalar
    :param settings: the dataclass of its settings, a Weighted
    :param needs: the optional fields of TripletBatch that it looks at
    :param neighbours: whether it looks at the frames before and after
    :param labelled: whether it says nothing where frames have no labels
    """

    function: Callable[..., Tensor]
    settings: type[Weighted]
    needs: frozenset[str] = frozenset()
    neighbours: bool = False
    labelled: bool = False


TERMS = {
    'photometric': Term(photometric, Photometric, neighbours=True),
    'smoothness': Term(smoothness, Smoothness),
    'velocity': Term(velocity, Velocity, neighbours=True),
    'semantic': Term(semantic, Semantic, labelled=True),
    'depth': Term(depth, Depth, frozenset({'depth'})),
    'ranking': Term(ranking, Ranking, labelled=True),
    'hint': Term(hint, Hint, neighbours=True),
}
