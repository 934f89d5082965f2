"""A model with a thin branch on its depth side: another factory, which can be adapted where the decoders share all."""
from __future__ import annotations

from dataclasses import replace

from semdepth_ros.model_card import ModelCard
from semdepth_ros.networks import JointNetwork, build_network


def with_branch(network: JointNetwork, card: ModelCard, rank: int = 8) -> tuple[JointNetwork, ModelCard]:
    """Return the network with the guidance low_rank after its own, and a card of a factory of its own.

    It puts out what the network puts out, until the branch is trained.

    :raises ValueError: a rank that cannot be
    """
    own = network.architecture['guidance']
    own = own if isinstance(own, list) else [own]
    kept = [kind for kind in own if kind['kind'] != 'plain']
    guidance = [*kept, {'kind': 'low_rank', 'rank': rank}]
    guidance = guidance if kept else guidance[0]
    branched = build_network(network.architecture | {'guidance': guidance, 'pretrained': False})
    state = branched.state_dict()
    for name, value in network.state_dict().items():
        state[_place(name, is_list=isinstance(network.architecture['guidance'], list))] = value
    branched.load_state_dict(state)
    name = f'{card.name}_branch' if card.name else 'branch'
    card = replace(card, architecture=branched.architecture, name=name, factory='', version=0, parent=None)
    return branched.eval(), card


def _place(name: str, is_list: bool) -> str:
    """Return where a weight of the network lies in the one with a list of guidances."""
    part = 'guidance.'
    return name if is_list or not name.startswith(part) else f'{part}guidances.0.{name.removeprefix(part)}'
