"""The perception node: camera images in; depth, classes and labelled clouds out."""
from __future__ import annotations

import sys
from typing import Any

from rclpy.callback_groups import MutuallyExclusiveCallbackGroup, ReentrantCallbackGroup
from rclpy.lifecycle import LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter
from std_srvs.srv import SetBool, Trigger

from semdepth_ros.bridge.calibrate import CALIBRATE, Calibrated, answer_into, order_from
from semdepth_ros.bridge.perception_parameters import PERCEPTION
from semdepth_ros.nodes.awaited import finished
from semdepth_ros.nodes.lifecycle_shell import LifecycleShell, run_node
from semdepth_ros.nodes.memory_keeping import keep_freed_memory
from semdepth_ros.nodes.one_line import one_line
from semdepth_ros.nodes.perceiving import Perceiving
from semdepth_ros.nodes.perception_diagnostics import PerceptionDiagnostics


class PerceptionNode(LifecycleShell):
    """Services and diagnostics around a Perceiving.

    :raises ValueError: a parameter given at start is not valid
    """

    work: Perceiving | None

    def __init__(self, name: str = 'perception', **options: Any):
        super().__init__(name, PERCEPTION, **options)
        self._enabled = True
        self._withdrawn: set[str] = set()
        self._diagnostics = PerceptionDiagnostics(self, self.types, self.log)
        self.create_service(SetBool, '~/enable', self._enable)
        # awaits in a group of its own: while it does, no other callback of its group is run
        self.create_service(Trigger, '~/rollback', self._rollback, callback_group=MutuallyExclusiveCallbackGroup())
        # likewise; but while one awaits the next may come, which may end it
        self.create_service(self.types.message_class(CALIBRATE), '~/calibrate', self._calibrate,
                            callback_group=ReentrantCallbackGroup())

    def begin(self) -> Perceiving:
        """Load the model and make the topics."""
        perceiving = Perceiving(self, self.types, self.values, self._withdrawn, self.log)
        perceptor = perceiving.perceptor
        self.get_logger().info(f'{perceptor.card.name or "model"} version {perceptor.version} on {perceptor.device} in '
                               f'{perceptor.precision}')
        return perceiving

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Begin to perceive."""
        result = super().on_activate(state)
        topics = ', '.join(camera.input.image_topic for camera in self.work.cameras.values())
        self.get_logger().info(f'active: perceives {topics} as soon as somebody subscribes to an output')
        return result

    def poll(self) -> None:
        """Subscribe to what is needed, and say how things are."""
        if self.work:
            self.work.poll(self._enabled)
        self._diagnostics.update(self.values['diagnostics_period_s'], self.state, self._enabled, self.work,
                                 self.failure)

    def _enable(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        before, self._enabled = self._enabled, request.data
        if self.work:
            self.work.poll(self._enabled)
        response.success = True
        response.message = 'enabled' if self._enabled else 'disabled: no images are subscribed to'
        if self._enabled != before:
            self.get_logger().info(response.message)
        return response

    async def _rollback(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        try:
            if self.work is None:
                raise ValueError('the node is not configured')
            response.message = await finished(self.work.weights.rollback(), self.executor)
            response.success = True
            self.get_logger().info(response.message)
        except Exception as error:  # the device may have no room for the weights to go back to
            response.success, response.message = False, one_line(error)
            if not isinstance(error, ValueError):
                self.log.warn(f'cannot roll back: {response.message}')
        return response

    async def _calibrate(self, request: Any, response: Any) -> Any:
        try:
            if self.work is None:
                raise ValueError('the node is not configured')
            if not self._enabled:
                raise ValueError('the node is disabled, expected ~/enable with true')
            order = order_from(request, self.work.calibrating.cameras)
            awaited = self.work.calibrate(order)
            self.work.poll(self._enabled)
            answer = await finished(awaited, self.executor)
            if order.apply and answer.file and self.work is not None:
                self.work.cameras[order.camera].scale.read_anew()
                self.set_parameters([Parameter('scale_source', value='stored')])
            if order.method:
                self.get_logger().info(f'calibrate: {answer.message}')
        except ValueError as error:
            answer = Calibrated(str(error))
        return answer_into(response, answer)


def main(argv: list[str] | None = None) -> int:
    """Run the node until SIGINT or SIGTERM; return its exit code."""
    keep_freed_memory()
    return run_node('perception', PerceptionNode, __doc__, '-r image:=/camera/image -p model:=default',
                    sys.argv if argv is None else argv)


if __name__ == '__main__':
    sys.exit(main())
