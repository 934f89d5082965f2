"""Quality of service: what is offered to subscribers, and what is asked of publishers."""
from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

RELIABLE, BEST_EFFORT = 'reliable', 'best_effort'
TRANSIENT_LOCAL, VOLATILE = 'transient_local', 'volatile'
FOLLOW = 'follow'
# policy: its stronger value, which only publishers that offer it can serve, and its weaker one, which all can
POLICIES = {'reliability': (RELIABLE, BEST_EFFORT), 'durability': (TRANSIENT_LOCAL, VOLATILE)}


@dataclass(frozen=True)
class Qos:
    """A quality of service in ROS's own words; history is always keep-last.

    A wish to subscribe may have FOLLOW for a policy: as the publishers offer it.
    """

    reliability: str = RELIABLE
    durability: str = VOLATILE
    depth: int = 5


OUTPUT = Qos(depth=5)
LATCHED = Qos(durability=TRANSIENT_LOCAL, depth=1)
INPUT = Qos(FOLLOW, depth=5)
CALIBRATION = Qos(FOLLOW, FOLLOW, depth=5)  # some drivers send camera_info once, latched


def excluding(wish: Qos, offered: Iterable[Qos]) -> str:
    """Return the first policy for which a publisher does not offer what is wished for, empty while all can serve it."""
    offered = list(offered)
    return next((policy for policy, (strong, _) in POLICIES.items()
                 if getattr(wish, policy) == strong and any(getattr(o, policy) != strong for o in offered)), '')


def following(wish: Qos, offered: Iterable[Qos], present: Qos | None = None) -> Qos:
    """Return the quality to subscribe with, given what every publisher of the topic offers.

    A policy that follows is the stronger one if all publishers offer it, so that nothing they send is lost; else the
    weaker one, which every publisher can serve.

    :param present: what is subscribed with so far; without publishers it stays
    """
    offered = list(offered)
    followed = {}
    for policy, (strong, weak) in POLICIES.items():
        if getattr(wish, policy) != FOLLOW:
            continue
        if offered:
            followed[policy] = strong if all(getattr(o, policy) == strong for o in offered) else weak
        else:
            followed[policy] = getattr(present, policy) if present else weak
    return replace(wish, **followed)
