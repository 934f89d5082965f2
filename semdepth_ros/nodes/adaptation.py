"""The adaptation node: learns from the drive itself, and has perception serve only what has proved better."""
from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from std_srvs.srv import Trigger

from semdepth_ros.adaptation import Adapter
from semdepth_ros.bridge.adaptation_parameters import ADAPTATION
from semdepth_ros.nodes.awaited import finished
from semdepth_ros.nodes.learning import Learning
from semdepth_ros.nodes.lifecycle_shell import LifecycleShell, run_node
from semdepth_ros.nodes.one_line import one_line


class AdaptationNode(LifecycleShell):
    """Services around a Learning.

    :raises ValueError: a parameter given at start is not valid
    """

    work: Learning | None

    def __init__(self, name: str = 'adaptation', **options: Any):
        super().__init__(name, ADAPTATION, **options)
        for service, asked in (('pause', _pause), ('resume', _resume), ('reset', _reset), ('rollback', _rollback),
                               ('save', lambda _: f'candidate in {self.work.save()}'), ('promote', _promote)):
            # each awaits, in a group of its own: while one does, no other callback of its group is run
            self.create_service(Trigger, f'~/{service}', self._service(service, asked),
                                callback_group=MutuallyExclusiveCallbackGroup())

    def begin(self) -> Learning:
        """Load the model and make the topics."""
        learning = Learning(self, self.types, self.values, self.log)
        adapter = learning.adapter
        self.get_logger().info(f'{adapter.serving.factory.card.name or "model"}: mode {adapter.mode}, '
                               f'{len(adapter.profile.names)} tensors learn, weights go to {learning.folder}')
        return learning

    def poll(self) -> None:
        """Follow publishers, and send the status."""
        if self.work:
            self.work.poll()

    def _service(self, name: str, asked: Callable[[Adapter], str]):
        async def serve(request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
            try:
                if self.work is None:
                    raise ValueError('the node is not configured')
                response.message = await finished(self.work.ask(asked), self.executor)
                response.success = True
                self.get_logger().info(f'{name}: {response.message}')
            except Exception as error:
                response.success, response.message = False, one_line(error)
                if not isinstance(error, ValueError):
                    self.log.warn(f'cannot {name}: {response.message}')
            return response
        return serve


def _pause(adapter: Adapter) -> str:
    adapter.pause()
    return 'paused: no frame is learned from'


def _resume(adapter: Adapter) -> str:
    adapter.resume()
    return 'learning goes on'


def _reset(adapter: Adapter) -> str:
    adapter.reset()
    return f'the trial weights begin anew from the factory; served is version {adapter.served.number}'


def _rollback(adapter: Adapter) -> str:
    return f'version {adapter.rollback().number} is served again'


def _promote(adapter: Adapter) -> str:
    report = adapter.promote()
    if not report.passed or adapter.mode != 'on':
        raise ValueError(adapter.last_verdict)
    return adapter.last_verdict


def main(argv: list[str] | None = None) -> int:
    """Run the node until SIGINT or SIGTERM; return its exit code."""
    return run_node('adaptation', AdaptationNode, __doc__, '-r image:=/camera/image -r odometry:=/odom -p mode:=on',
                    sys.argv if argv is None else argv)


if __name__ == '__main__':
    sys.exit(main())
