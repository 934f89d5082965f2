"""What a learner and the perception it serves say of themselves while a drive is played again and again."""
from __future__ import annotations

from collections.abc import Callable
import threading
import time
from typing import Any

from rclpy.node import Node

from semdepth_ros.bags.qos import LATCHED, OUTPUT
from semdepth_ros.bridge.adaptation_status import STATUS
from semdepth_ros.bridge.messages import stamp_ns
from semdepth_ros.bridge.model_info import NAME as MODEL_INFO
from semdepth_ros.bridge.rclpy_types import RclpyTypes, qos_profile
from semdepth_ros.live.control import RunControl
from semdepth_ros.recordings.served_versions import Told

HOLD_S = 900.0   # the drive stands still for the learner: rendering anchors takes minutes on a busy machine
LOOK_S, NOTABLE_S = 0.5, 5.0


class LearnerWatch:
    """Hears model_info and status. `told` has what was said in each way through the drive; `status` the newest one.

    :param control: its check raises if a node has ended; may be replaced
    """

    def __init__(self, node: Node, control: RunControl):
        types, self.control = RclpyTypes(), control
        self._changed, self.status, self.told = threading.Condition(), None, [[]]
        self._gave_up = self._told = False
        node.create_subscription(types.message_class(MODEL_INFO), '/perception/model_info', self._hear_info,
                                 qos_profile(LATCHED))
        node.create_subscription(types.message_class(STATUS), '/adaptation/status', self._hear_status,
                                 qos_profile(OUTPUT))

    def begin_turn(self) -> None:
        """Begin another way through the drive."""
        with self._changed:
            self.told.append([])
            self._gave_up = False

    def version(self) -> int:
        """Return the version that was said last to be served."""
        with self._changed:
            return next((turn[-1].version for turn in reversed(self.told) if turn), 0)

    def hold(self, sent: list[int]) -> None:
        """Wait until all images but one have been looked at: it works on one and keeps one waiting.

        A learner that does not come to that is not waited for again in this way through the drive.

        :param sent: stamps of this way through the drive [ns]
        """
        if len(sent) < 2 or self._gave_up:
            return

        def is_near() -> bool:
            return self._stamp() in sent[-2:]
        if not self.wait(is_near, NOTABLE_S):
            if not self._told:
                self.control.say('the drive stands still for the learner: at first it renders frames to hold itself to')
            self._told, self._gave_up = True, not self.wait(is_near, HOLD_S)
            if self._gave_up:
                self.control.say(f'the learner has not looked at an image within {HOLD_S:g} s, and is not waited for')

    def wait_for(self, stamp: int, timeout_s: float) -> bool:
        """Wait until an image has been looked at; return whether it was."""
        return self.wait(lambda: self._stamp() == stamp, timeout_s)

    def _stamp(self) -> int:
        return -1 if self.status is None else stamp_ns(self.status.header)

    def wait(self, condition: Callable[[], bool], timeout_s: float) -> bool:
        """Wait until something is so; return whether it is."""
        end = time.monotonic() + timeout_s
        while True:
            self.control.expect_going()
            with self._changed:
                if self._changed.wait_for(condition, min(LOOK_S, max(end - time.monotonic(), 0.0))):
                    return True
            if time.monotonic() >= end:
                return False

    def _hear_info(self, info: Any) -> None:
        with self._changed:
            self.told[-1].append(Told(stamp_ns(info.header), info.version, info.file, info.sha256))

    def _hear_status(self, status: Any) -> None:
        with self._changed:
            self.status = status
            self._changed.notify_all()
