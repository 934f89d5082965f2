"""What every lifecycle node of this package has around its work: start by itself, poll, fail in one line, give back."""
from __future__ import annotations

import argparse
from collections.abc import Callable, Collection
import os
import threading
import traceback
from typing import Any, Protocol

from rclpy.clock import Clock, ClockType
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.logging import get_logger

from semdepth_ros.bridge.middleware import with_large_messages
from semdepth_ros.bridge.parameters import Parameter
from semdepth_ros.bridge.rclpy_types import RclpyTypes
from semdepth_ros.nodes.declared_parameters import DeclaredParameters
from semdepth_ros.nodes.one_line import one_line
from semdepth_ros.nodes.process import read_arguments, run_until_signal
from semdepth_ros.nodes.shared_memory_check import check_room
from semdepth_ros.nodes.spinning import spin_until
from semdepth_ros.nodes.throttled_log import ForwardToRos, ThrottledLog

SUCCESS, FAILURE = TransitionCallbackReturn.SUCCESS, TransitionCallbackReturn.FAILURE
_POLL_S = 0.2  # every distribution can be asked who subscribes; not every one tells by itself


class Work(Protocol):
    """What a node has between configure and cleanup."""

    def activate(self) -> None:
        """Begin."""

    def deactivate(self) -> None:
        """Stop; activate() may follow."""

    def close(self) -> None:
        """Deactivate, and give everything back."""


class LifecycleShell(LifecycleNode):
    """Transitions, parameters and timers; what is between configure and cleanup is `work`, made by begin().

    With the parameter autostart it configures and activates itself. A failure to configure is told in one line, kept in
    `failure`, and leaves the node unconfigured. poll() is called a few times a second by a steady clock, in every
    state.

    :param table: the node's parameters, autostart among them
    :raises ValueError: a parameter given at start is not valid
    """

    def __init__(self, name: str, table: Collection[Parameter], **options: Any):
        super().__init__(name, **options)
        self.types, self.failure, self._destroyed = RclpyTypes(), '', False
        self.work: Work | None = None
        self.log = ThrottledLog(self.get_logger())
        self._forward = ForwardToRos(self.get_logger())
        self.values = DeclaredParameters(self, table, lambda: self.work is not None)
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._poll_timer = self.create_timer(_POLL_S, self.poll, clock=steady)
        self._start_timer = self.create_timer(0.0, self._start, clock=steady) if self.values['autostart'] else None

    def begin(self) -> Work:
        """Return what the node works with; a ValueError or OSError says in one line why it cannot."""
        raise NotImplementedError

    def poll(self) -> None:
        """Look around."""
        raise NotImplementedError

    @property
    def state(self) -> str:
        """The lifecycle's state: unconfigured, inactive, active or finalized, which a destroyed node is."""
        if self._destroyed:
            return 'finalized'
        return self._state_machine.current_state[1]

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Begin the work; FAILURE leaves the node unconfigured."""
        try:
            self.work = self.begin()
        except Exception as error:
            self.failure = one_line(error)
            self.get_logger().error(f'cannot be configured: {self.failure}')
            if not isinstance(error, (ValueError, OSError)):
                self.get_logger().error(traceback.format_exc())
            return FAILURE
        self.failure = ''
        return super().on_configure(state)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Begin to take in messages."""
        result = super().on_activate(state)
        self.work.activate()
        return result

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Take in no more."""
        self.work.deactivate()
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Give back what was configured."""
        self._give_back()
        return super().on_cleanup(state)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Give everything back, from whatever state."""
        self._give_back()
        return super().on_shutdown(state)

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Begin anew: unconfigured."""
        self._give_back()
        return SUCCESS

    def destroy_node(self) -> None:
        """Give everything back and leave the graph; no transition may be under way in another thread.

        rclpy's state machine holds rcl's node until it is collected as garbage. Whenever that is, rcl then forgets the
        /rosout publisher of this *name*, which may be another node's by now: so it goes with the node.
        """
        self._give_back()
        self._forward.close()
        super().destroy_node()
        self._destroyed = True
        self._state_machine.destroy_when_not_in_use()

    def _give_back(self) -> None:
        work, self.work = self.work, None
        if work:
            work.close()

    def _start(self) -> None:
        self._start_timer.cancel()
        if self.state == 'unconfigured' and self.trigger_configure() == SUCCESS:
            self.trigger_activate()


def run_node(name: str, make: Callable[[], LifecycleShell], about: str, example: str, argv: list[str]) -> int:
    """Run a node's process until SIGINT or SIGTERM; return its exit code.

    :param make: returns the node, once rclpy runs
    :param about, example: what --help says of it, and an example of its parameters
    :param argv: the process's arguments
    """
    epilog = f'Parameters and remappings follow --ros-args, such as: --ros-args {example}'
    read_arguments(argparse.ArgumentParser(name, description=about, epilog=epilog), argv)
    os.environ.update(with_large_messages(os.environ))

    def body(stop: threading.Event) -> None:
        check_room(get_logger(name))
        node = make()
        try:
            spin_until(stop, node)
        finally:
            node.destroy_node()

    return run_until_signal(name, body, argv)
