"""Quality of service: what is offered to subscribers, and what is asked of publishers."""
from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

RELIABLE, BEST_EFFORT = 'reliable', 'best_effort'


@dataclass(frozen=True)
class Qos:
    """A quality of service in ROS's own words; history is always keep-last."""

    reliability: str = RELIABLE
    durability: str = 'volatile'
    depth: int = 5


OUTPUT = Qos(depth=5)
LATCHED = Qos(durability='transient_local', depth=1)
INPUT = Qos(BEST_EFFORT, depth=5)


def following(qos: Qos, offered: Iterable[str]) -> Qos:
    """Return the quality to subscribe with, given the reliability of every publisher of the topic.

    Reliable if all publishers are, so that nothing they send is lost; else best effort, which every publisher can
    serve. Without publishers qos is returned as it is.
    """
    offered = list(offered)
    if not offered:
        return qos
    return replace(qos, reliability=RELIABLE if all(o == RELIABLE for o in offered) else BEST_EFFORT)
