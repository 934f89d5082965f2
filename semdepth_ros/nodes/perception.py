"""The perception node: camera images in; depth, classes and labelled clouds out."""
from __future__ import annotations

import argparse
import os
import sys
import threading
import traceback
from typing import Any

from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.clock import Clock, ClockType
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.logging import get_logger
from std_srvs.srv import SetBool, Trigger

from semdepth_ros.bridge.middleware import with_large_messages
from semdepth_ros.bridge.perception_parameters import PERCEPTION
from semdepth_ros.bridge.rclpy_types import RclpyTypes
from semdepth_ros.nodes.awaited import finished
from semdepth_ros.nodes.declared_parameters import DeclaredParameters
from semdepth_ros.nodes.memory_keeping import keep_freed_memory
from semdepth_ros.nodes.one_line import one_line
from semdepth_ros.nodes.perceiving import Perceiving
from semdepth_ros.nodes.perception_diagnostics import PerceptionDiagnostics
from semdepth_ros.nodes.process import read_arguments, run_until_signal
from semdepth_ros.nodes.shared_memory_check import check_room
from semdepth_ros.nodes.spinning import spin_until
from semdepth_ros.nodes.throttled_log import ForwardToRos, ThrottledLog

SUCCESS, FAILURE = TransitionCallbackReturn.SUCCESS, TransitionCallbackReturn.FAILURE
_PARAMETERS = 'Parameters and remappings follow --ros-args, such as: --ros-args -r image:=/camera/image -p model:=default'
_POLL_S = 0.2  # every distribution can be asked who subscribes; not every one tells by itself


class PerceptionNode(LifecycleNode):
    """Transitions, services and timers; what is between configure and cleanup is a Perceiving.

    :raises ValueError: a parameter given at start is not valid
    """

    def __init__(self, name: str = 'perception', **options: Any):
        super().__init__(name, **options)
        self._types, self._perceiving, self._enabled, self._failure = RclpyTypes(), None, True, ''
        self._withdrawn: set[str] = set()
        self._forward = ForwardToRos(self.get_logger())
        self._log = ThrottledLog(self.get_logger())
        self._declared = DeclaredParameters(self, PERCEPTION, lambda: self._perceiving is not None)
        self._diagnostics = PerceptionDiagnostics(self, self._types, self._log)
        self.create_service(SetBool, '~/enable', self._enable)
        # awaits in a group of its own: while it does, no other callback of its group is run
        self.create_service(Trigger, '~/rollback', self._rollback, callback_group=MutuallyExclusiveCallbackGroup())
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._poll_timer = self.create_timer(_POLL_S, self._poll, clock=steady)
        self._start_timer = self.create_timer(0.0, self._start, clock=steady) if self._declared['autostart'] else None

    @property
    def state(self) -> str:
        """The lifecycle's state: unconfigured, inactive, active or finalized."""
        return self._state_machine.current_state[1]

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Load the model and make the topics."""
        try:
            self._perceiving = Perceiving(self, self._types, self._declared, self._withdrawn, self._log)
        except Exception as error:
            self._failure = one_line(error)
            self.get_logger().error(f'cannot be configured: {self._failure}')
            if not isinstance(error, (ValueError, OSError)):
                self.get_logger().error(traceback.format_exc())
            return FAILURE
        self._failure = ''
        perceptor = self._perceiving.perceptor
        self.get_logger().info(f'{perceptor.card.name or "model"} version {perceptor.version} on {perceptor.device} in '
                               f'{perceptor.precision}')
        return super().on_configure(state)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Begin to perceive."""
        result = super().on_activate(state)
        self._perceiving.activate()
        topics = ', '.join(camera.input.image_topic for camera in self._perceiving.cameras.values())
        self.get_logger().info(f'active: perceives {topics} as soon as somebody subscribes to an output')
        return result

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop perceiving."""
        self._perceiving.deactivate()
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Give model and topics back."""
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
        """Give everything back and leave the graph."""
        self._give_back()
        self._forward.close()
        super().destroy_node()

    def _give_back(self) -> None:
        perceiving, self._perceiving = self._perceiving, None
        if perceiving:
            perceiving.close()

    def _start(self) -> None:
        self._start_timer.cancel()
        if self.state == 'unconfigured' and self.trigger_configure() == SUCCESS:
            self.trigger_activate()

    def _poll(self) -> None:
        if self._perceiving:
            self._perceiving.poll(self._enabled)
        self._diagnostics.update(self._declared['diagnostics_period_s'], self.state, self._enabled, self._perceiving,
                                 self._failure)

    def _enable(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        self._enabled = request.data
        if self._perceiving:
            self._perceiving.poll(self._enabled)
        response.success = True
        response.message = 'enabled' if self._enabled else 'disabled: no images are subscribed to'
        return response

    async def _rollback(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        try:
            if self._perceiving is None:
                raise ValueError('the node is not configured')
            response.message = await finished(self._perceiving.weights.rollback(), self.executor)
            response.success = True
            self.get_logger().info(response.message)
        except Exception as error:  # the device may have no room for the weights to go back to
            response.success, response.message = False, one_line(error)
            if not isinstance(error, ValueError):
                self._log.warn(f'cannot roll back: {response.message}')
        return response


def main(argv: list[str] | None = None) -> int:
    """Run the node until SIGINT or SIGTERM; return its exit code."""
    argv = sys.argv if argv is None else argv
    read_arguments(argparse.ArgumentParser('perception', description=__doc__, epilog=_PARAMETERS), argv)
    os.environ.update(with_large_messages(os.environ))
    keep_freed_memory()

    def body(stop: threading.Event) -> None:
        check_room(get_logger('perception'))
        node = PerceptionNode()
        try:
            spin_until(stop, node)
        finally:
            node.destroy_node()

    return run_until_signal('perception', body, argv)


if __name__ == '__main__':
    sys.exit(main())
