"""A subscription that asks for the quality of service its topic's publishers offer, and goes on following them."""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

from rclpy.node import Node
from rclpy.qos import qos_policy_name_from_kind

from semdepth_ros.bags.qos import FOLLOW, INPUT, POLICIES, Qos, excluding, following
from semdepth_ros.bridge.overlap import Overlap
from semdepth_ros.bridge.rclpy_types import qos_of, qos_profile

try:
    from rclpy.event_handler import SubscriptionEventCallbacks, UnsupportedEventTypeError
except ImportError:  # Humble
    from rclpy.qos_event import SubscriptionEventCallbacks, UnsupportedEventTypeError
_LOOKS_AHEAD = 2  # looks during which messages wait for a subscription that may have fallen silent
_LOOKS_BACK = 5  # looks during which the new subscription may still repeat what the old one has delivered


class State(Enum):
    """How far a change-over from one quality of service to another has come."""

    STEADY = 'steady'
    CHANGING = 'changing'
    SETTLING = 'settling'


@dataclass(eq=False)
class _Asking:
    """A subscription and what it asks for."""

    qos: Qos
    subscription: Any = None


class FollowingSubscription:
    """Calls back with every message of a topic; call follow() a few times a second.

    When what they offer changes, a new subscription takes over from the old one, and none is lost or seen twice,
    whichever of the two is behind:

    ========  ======================================  ============================================================
    state     called back are messages of             until
    ========  ======================================  ============================================================
    STEADY    the only subscription                   the publishers offer something else: CHANGING
    CHANGING  the old one; those of the new one wait  both have brought the same message, or some looks have gone
                                                      by while messages waited: SETTLING, and what waited is called
                                                      back. Or the publishers offer the old again: STEADY
    SETTLING  the new one, unless the old one has     some looks have gone by: STEADY
              brought them before it was ended
    ========  ======================================  ============================================================

    The parameters qos_overrides.<topic>.subscription.{reliability, durability, depth} come first.

    :param qos: the wish, with FOLLOW for the policies that are to follow
    :param lost: called with the number of messages the middleware says were lost, where it says so
    :param incompatible: called with the name of a policy that keeps a publisher and this subscription apart
    """

    def __init__(self, node: Node, message_class: type, topic: str, callback: Callable[[Any], None], qos: Qos = INPUT,
                 lost: Callable[[int], None] | None = None, incompatible: Callable[[str], None] | None = None):
        self._node, self._class, self._topic, self._callback = node, message_class, topic, callback
        self._lost, self._incompatible = lost, incompatible
        self._wish = overridden(node, topic, qos)
        self.state = State.STEADY
        self._overlap, self._looks = Overlap(), 0  # of the change-over under way
        self._coming: _Asking | None = None  # while CHANGING
        self._current: _Asking | None = None
        self._current = self._subscribe(following(self._wish, self._offered()))

    @property
    def qos(self) -> Qos:
        """What is asked for at present."""
        return (self._coming or self._current).qos

    @property
    def excluded_by(self) -> str:
        """The policy that keeps a publisher of the present and this subscription apart, empty while all are heard."""
        return excluding(self._wish, self._offered())

    def follow(self) -> None:
        """Look at the publishers, and begin to change over if they offer something else than they did."""
        if FOLLOW not in (self._wish.reliability, self._wish.durability):
            return
        self._let_time_pass()
        wanted = following(self._wish, self._offered(), self._current.qos)
        if wanted == self.qos or self.state is State.SETTLING:
            return
        self._drop_coming()
        if wanted != self._current.qos:
            self._overlap, self._looks = Overlap(), 0
            self._coming = self._subscribe(wanted)
            self.state = State.CHANGING

    def close(self) -> None:
        """End the subscription."""
        self._drop_coming()
        self._node.destroy_subscription(self._current.subscription)

    def _offered(self) -> list[Qos]:
        return [qos_of(p.qos_profile) for p in self._node.get_publishers_info_by_topic(self._topic)]

    def _subscribe(self, qos: Qos) -> _Asking:
        """Return a subscription; without loss events where the middleware has none."""
        asking = _Asking(qos)

        def receive(message: Any) -> None:
            self._receive(asking, message)

        for events in (self._events(), self._events(lost=False), None):
            try:
                asking.subscription = self._node.create_subscription(
                    self._class, self._topic, receive, qos_profile(qos), event_callbacks=events)
                return asking
            except UnsupportedEventTypeError:
                continue
        raise RuntimeError(f'no subscription to {self._topic} could be made')

    def _events(self, lost: bool = True) -> SubscriptionEventCallbacks:
        def messages_lost(event: Any) -> None:
            self._lost(event.total_count_change)

        def incompatible(event: Any) -> None:
            policy = qos_policy_name_from_kind(event.last_policy_kind)
            if self._incompatible and getattr(self._wish, policy.lower(), None) != FOLLOW:  # else it will be followed
                self._incompatible(policy)

        return SubscriptionEventCallbacks(message_lost=messages_lost if lost and self._lost else None,
                                          incompatible_qos=incompatible)

    def _receive(self, asking: _Asking, message: Any) -> None:
        if asking is self._coming:
            self._overlap.second(message)
        elif asking is not self._current:
            return
        elif self.state is State.CHANGING:
            self._overlap.first(message)
            self._callback(message)
        elif self.state is State.STEADY or not self._overlap.is_double(message):
            self._callback(message)
        if self.state is State.CHANGING and self._overlap.meet():
            self._change_over()

    def _let_time_pass(self) -> None:
        """Count the looks at a change-over, and end what has taken enough of them."""
        if self.state is State.CHANGING:
            self._looks += bool(self._overlap.waiting)
            if self._looks >= _LOOKS_AHEAD:
                self._change_over()
        elif self.state is State.SETTLING:
            self._looks += 1
            if self._looks >= _LOOKS_BACK:
                self.state = State.STEADY

    def _change_over(self) -> None:
        self._node.destroy_subscription(self._current.subscription)
        self._current, self._coming, self._looks = self._coming, None, 0
        self.state = State.SETTLING
        for message in self._overlap.waiting:
            self._callback(message)

    def _drop_coming(self) -> None:
        if self._coming is not None:
            self._node.destroy_subscription(self._coming.subscription)
            self._coming = None
            self.state = State.STEADY


def overridden(node: Node, topic: str, qos: Qos) -> Qos:
    """Return the wish for a subscription with the user's overrides.

    rclpy's own overriding options would declare the first quality as if the user had chosen it.

    :raises ValueError: an override is none
    """
    prefix = f'qos_overrides.{node.resolve_topic_name(topic)}.subscription'
    for name in ('depth', *POLICIES):
        if not node.has_parameter(f'{prefix}.{name}'):
            node.declare_parameter(f'{prefix}.{name}', getattr(qos, name))
        value = node.get_parameter(f'{prefix}.{name}').value
        if name == 'depth' and value < 1:
            raise ValueError(f'{prefix}.depth is {value}, expected at least 1')
        if name in POLICIES and value not in (FOLLOW, *POLICIES[name]):
            raise ValueError(f'{prefix}.{name} is {value!r}, expected {" or ".join((FOLLOW, *POLICIES[name]))}')
        qos = replace(qos, **{name: value})
    return qos
