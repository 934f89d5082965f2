"""The learner's use of a device that perception shares: what it takes of the time, and when it rests."""
from __future__ import annotations

import os
import threading
import time
from typing import Any

import torch

from semdepth_ros.adaptation.learner import Learner
from semdepth_ros.bridge.perception_load import load_of
from semdepth_ros.nodes.declared_parameters import DeclaredParameters
from semdepth_ros.nodes.pace import Pace

LONGEST_REST_S = 0.4    # without looking at frames: what comes meanwhile is lost to the learner


class SharedDevice:
    """Rests between frames and between the pieces of a step, as the pace says.

    A rest is a real one for LONGEST_REST_S, unless somebody asks; what is left of it is kept by taking no steps. hear()
    and somebody_asks() may be called by any thread, the rest by the learner's.
    """

    def __init__(self, parameters: DeclaredParameters, device: torch.device):
        self.pace = Pace(parameters['busy_share'], parameters['most_slowdown'])
        self._parameters, self._device, self._asked = parameters, device, threading.Event()
        self._began_s = self._piece_s = self._rested_s = self.rest_until_s = 0.0

    def settle(self) -> None:
        """Let the calling thread come last: in Linux's idle class, and on a CUDA stream of the lowest priority."""
        if self._parameters['idle_priority']:
            _yield_to_others()
        if self._device.type == 'cuda':
            stream = torch.cuda.Stream(self._device, priority=0)    # the lowest there is; -1 and below come first
            stream.wait_stream(torch.cuda.default_stream(self._device))
            torch.cuda.set_stream(stream)

    def take_pieces(self, learner: Learner) -> None:
        """Have steps taken one sample at a time, with a rest after each: where one piece of work runs after another."""
        learner.one_by_one, learner.between = True, self._rest_between

    def hear(self, message: Any) -> None:
        """Take in a DiagnosticArray, of whichever node."""
        load = load_of(message.status, self._parameters['perception'].strip('/'))
        if load is not None:
            self.pace.hear(load, time.monotonic())

    def somebody_asks(self) -> None:
        """End the rest under way, and let there be none until nobody asks."""
        self._asked.set()

    def nobody_asks(self) -> None:
        """Let there be rests again."""
        self._asked.clear()

    def begin(self) -> float:
        """Begin with a frame; return the time of the steady clock [s]."""
        self._began_s = self._piece_s = time.monotonic()
        self._rested_s = 0.0
        return self._began_s

    def waited(self, seconds: float) -> None:
        """Take it that so long was spent waiting, not working."""
        self._rested_s += seconds
        self._piece_s += seconds

    def has_time(self, now_s: float) -> bool:
        """Return whether a step may be taken."""
        return now_s >= self.rest_until_s

    def worked_s(self) -> float:
        """Return how long the frame has taken so far, without rests [s]."""
        return time.monotonic() - self._began_s - self._rested_s

    def rest(self, stepped: bool) -> None:
        """Leave the device to others after a frame, if a step was taken or perception is behind."""
        if not (stepped or self.pace.is_behind):
            return
        now_s = time.monotonic()
        rest_s = max(self.pace.rest_s(self.worked_s(), now_s) - self._rested_s, 0.0)
        self.rest_until_s = max(self.rest_until_s, now_s + rest_s)
        self._asked.wait(min(rest_s, LONGEST_REST_S))

    def _rest_between(self) -> None:
        if self._device.type == 'cuda':
            torch.cuda.current_stream(self._device).synchronize()
        now_s = time.monotonic()
        rest_s = min(self.pace.rest_s(now_s - self._piece_s, now_s), LONGEST_REST_S)
        time.sleep(rest_s)
        self._rested_s, self._piece_s = self._rested_s + rest_s, time.monotonic()


def _yield_to_others() -> None:
    """Let this thread, and those it starts, run when nobody else wants the core; where the system has it."""
    try:
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    except (AttributeError, OSError):
        pass
