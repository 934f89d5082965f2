"""Published ways to adapt, as settings of the same learner: without trial, each step is served at once."""
from __future__ import annotations

from typing import Any

from semdepth_ros.adaptation.gates import GATES
from semdepth_ros.settings import merged

_NEVER = 1e9
# no term but the published ones, their learning rate, motions by the pose network, no bound, no reset
_COMMON = {
    'stride': {'most': 1},
    'step': {'learning_rate': 1e-4, 'warmup': 0, 'motion': 'network', 'most_change': 0.0, 'average': 0.0,
             'anchors_from': 'world'},
    'losses': {'velocity': 0.05, 'pose': 0.0, 'road_plane': 0.0, 'anchored': 0.0, 'distillation': 0.0,
               'semantic_distillation': 0.0, 'weight_anchor': 0.0},
    'trial': {'serve': 'latest'},
    'reset': {'longest_gap_s': _NEVER, 'least_similarity': 0.0, 'least_found': 0.0, 'settle': 0, 'spikes': 1_000_000,
              'disagreements': 1_000_000},
}


def _without(*kept: str) -> dict[str, Any]:
    off = [*(name for name in GATES if name not in kept), 'loss']
    return {'off': off, 'least_travel_m': 0.2, 'most_travel_m': _NEVER}


# Form ours in all three: what the code of each does in a step, on our network and losses.
BASELINES: dict[str, dict[str, Any]] = {
    # every triplet, all weights, no memory
    'naive': {'gates': _without(), 'step': {'profile': 'all', 'replay': 0, 'anchors': 0, 'encoder_rate': 1.0}},
    # Kuznietsov et al. 2021 (CoMoDA): the live triplet and three of a fixed source list, one step, all weights. The list is
    # our anchors: rendered drives in every light, more than the source of a model that has seen one light only
    'comoda': {'gates': _without('translation'), 'losses': {'velocity': 0.005},
               'step': {'profile': 'all', 'replay': 0, 'anchors': 3, 'encoder_rate': 1.0}},
    # Vödisch et al. 2023 (CoVIO): the live triplet and two of a diverse memory, five steps, decoders only
    'covio': {'gates': _without('translation'), 'step': {'profile': 'depth', 'replay': 2, 'anchors': 0, 'steps': 5}},
}


def baseline(name: str) -> dict[str, Any]:
    """Return a baseline's settings as AdapterSettings is built from."""
    return merged(_COMMON, BASELINES[name])
