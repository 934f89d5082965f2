"""The watch of how much published depth flickers: pairs of frames, once a second, and what goes wrong with them."""
import math
import time

import numpy as np
from node_parts import Listener
from plane_world import Corridor

from semdepth_ros.adaptation.flicker import Flicker
from semdepth_ros.classes import CITYSCAPES
from semdepth_ros.frame import Frame
from semdepth_ros.frame_perception import Perception, Scale
from semdepth_ros.nodes.flicker_watch import FlickerWatch
from semdepth_ros.nodes.throttled_log import ThrottledLog


class Noted(Flicker):
    """Fails at its first change, and keeps what it takes then."""

    def __init__(self):
        super().__init__()
        self.taken, self.has_failed = [], False

    def take(self, change):
        if not self.has_failed:
            self.has_failed = True
            raise ValueError('no change')
        self.taken.append(change)
        super().take(change)


def seen(sample, stamp_ns, factor=1.0):
    """Return a frame of the corridor, and a perception that has its true depth times a factor."""
    depth, labels = factor * sample.depth, np.zeros(sample.depth.shape, np.uint8)
    perception = Perception(depth.astype(np.float32), depth, labels, labels, Scale(), 0, sample.camera, stamp_ns, '')
    return Frame(sample.image, 'rgb', sample.camera, stamp_ns), perception


def waited(condition) -> bool:
    end = time.monotonic() + 20.0
    while not condition() and time.monotonic() < end:
        time.sleep(0.01)
    return bool(condition())


def test_pairs_of_frames_are_compared_once_a_second_and_one_that_fails_ends_nothing():
    corridor, flicker, listener = Corridor(2), Noted(), Listener()
    watch = FlickerWatch({'front': flicker}, CITYSCAPES, ThrottledLog(listener, 0.0))
    for stamp_ns in (0, 100_000_000):
        watch.see('front', *seen(corridor[0], stamp_ns))
    said = "camera 'front': how much depth flickers is not known (no change)"
    assert waited(lambda: listener.lines) and said in listener.lines[0][1]
    for second in range(1, 7):
        for index, late_ns, factor in ((0, 0, 1.0), (1, 100_000_000, 1.1), (1, 200_000_000, 1.0)):  # the last is in no pair
            watch.see('front', *seen(corridor[index], second * 1_000_000_000 + late_ns, factor))
        assert waited(lambda: len(flicker.taken) >= second)
    watch.close()
    assert len(flicker.taken) == 6 and len(listener.lines) == 1
    assert abs(flicker.value - 1.4826 * math.log(1.1)) < 0.03
