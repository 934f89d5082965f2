"""A bag through a running perception node, and what it published, recorded; the drive waits for a slow machine."""
from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
import itertools
from pathlib import Path
import time

import numpy as np

from semdepth_ros.bags.bag_reader import BagReader
from semdepth_ros.bags.bag_topics import BagTopics
from semdepth_ros.bags.bag_writer import BagWriter
from semdepth_ros.bags.cdr import stamp_of, with_stamp
from semdepth_ros.bags.qos import LATCHED
from semdepth_ros.bit_depth import BitDepth
from semdepth_ros.bridge.outputs import TOPICS
from semdepth_ros.data.bag import BagSequence
from semdepth_ros.image_messages import view_message
from semdepth_ros.live.arrivals import NEEDED, Arrivals
from semdepth_ros.live.control import RunControl, Stopped
from semdepth_ros.live.graph import spinning_node
from semdepth_ros.live.player import BagPlayer
from semdepth_ros.live.recorder import BagRecorder

LAST = list(TOPICS)[-1]  # to be sent, and sent for every frame
CLOUDS_KEPT = 5     # one of so many
USUAL_HZ = 10       # of a drive that does not say
WARM_UP = 8         # frames, of which the first few are not counted
HEADROOM = 1.25     # between the time a frame takes and the time between frames
NOTABLE_S = 0.2     # of standing still in all
HOLD_S = 2.0        # the drive stands still for a frame
FIRST_FRAME_S, FRAME_S, DISCOVERY_S = 120.0, 20.0, 60.0


@dataclass
class LiveRun:
    """What came of a run.

    :param rate: time the drive took when recorded / time it took to play
    :param images: sent to the node
    :param held_s: time the drive stood still for the node to catch up
    :param latencies_ms: by stamp [ns], from sending an image to the arrival of its depth and classes
    """

    rate: float
    images: int = 0
    held_s: float = 0.0
    latencies_ms: dict[int, float] = field(default_factory=dict)


class NoAnswer(RuntimeError):
    """The node does not do what it should."""


def run_live(sequence: BagSequence, perceived: Path, control: RunControl) -> LiveRun:
    """Play a drive to the node that runs in this ROS graph and record what it publishes.

    :param sequence: the camera in the drive
    :param perceived: bag to write
    :param control: its check raises if the node has ended
    :raises Stopped: a signal came
    :raises NoAnswer: the node does not subscribe, or does not send anything back
    """
    arrivals = Arrivals()
    with spinning_node('demo') as node, BagWriter(perceived, replace=True) as bag:
        recorder = BagRecorder(node, bag, by_stamp=True, since_ns=min(sequence.stamps_ns))
        for name, type_name in TOPICS.items():
            recorder.record(f'/{name}', type_name, every=CLOUDS_KEPT if name == 'points' else 1,
                            arrived=lambda stamp_ns, name=name: arrivals.note(name, stamp_ns))
        recorder.record('/perception/model_info', 'semdepth_ros/msg/ModelInfo', LATCHED)
        player = BagPlayer(node, str(sequence.path))
        if player.left_out:
            control.say(f'not played, since their messages are not installed: {", ".join(player.left_out)}')
        drive = PlayedDrive(sequence, player, arrivals, control)
        drive.wait_for_node()
        run = drive.play(drive.fitting_rate())
        recorder.stop()
    if run.held_s > NOTABLE_S:
        control.say(f'the drive stood still for {run.held_s:.1f} s in all, for the machine to catch up')
    return run


class PlayedDrive:
    """A drive on its way to the node.

    :param hold: called before every image with the stamps sent so far [ns]; the drive stands still meanwhile
    :param patience_s: for how long it stands still for a frame
    """

    def __init__(self, sequence: BagSequence, player: BagPlayer, arrivals: Arrivals, control: RunControl,
                 hold: Callable[[list[int]], None] = lambda sent: None, patience_s: float = HOLD_S):
        self._path, self._topics, self._start_ns = sequence.path, sequence.topics, min(sequence.stamps_ns)
        self._usual_hz = sequence.rate_hz or USUAL_HZ
        self._player, self._arrivals, self.control = player, arrivals, control
        self._hold, self._patience_s = hold, patience_s

    def wait_for_node(self) -> None:
        """Wait until the node listens to the camera."""
        camera = [t for t in (self._topics.image, self._topics.camera_info) if t]
        end = time.monotonic() + DISCOVERY_S
        while lonely := self._player.wait_for_subscribers(camera, 0.5, self.control.stop):
            self.control.expect_going()
            if time.monotonic() > end:
                raise NoAnswer(f'nobody subscribes to {lonely[0]} within {DISCOVERY_S:g} s')

    def fitting_rate(self) -> float:
        """Return the rate that the machine can keep up with, 1 at most, once the node is warm."""
        latency_s = self.warm_up()
        rate = min(1.0, 1 / self._usual_hz / (HEADROOM * latency_s))
        if rate < 1:
            self.control.say(f'a frame takes {1e3 * latency_s:.0f} ms here, so the drive is played at {rate:.2f} of '
                              'its rate')
        return rate

    def warm_up(self) -> float:
        """Send the first images one by one, stamped before the earliest of the drive; return the time one takes [s].

        An image is sent as soon as the needed outputs of the one before have come, so that what the node still does for
        that one is part of the time.
        """
        taken = []
        for i, messages in enumerate(itertools.islice(readable_images(self._path, self._topics), WARM_UP)):
            stamp_ns = self._start_ns - (WARM_UP - i) * 10_000_000
            sent = time.monotonic()
            for name, data in messages:
                self._player.publishers[name].publish(with_stamp(data, stamp_ns))
            taken.append(self._answer(stamp_ns, sent, FRAME_S if i else FIRST_FRAME_S) - sent)
        return float(np.percentile(taken[len(taken) // 2:], 90))

    def play(self, rate: float, last: Collection[str] = (LAST,)) -> LiveRun:
        """Play the drive, wait for these outputs of the last image and return what came of it.

        The node works on one image and keeps one waiting: while two are unanswered the drive stands still, for
        patience_s at most.
        """
        run, sent, total = LiveRun(rate), {}, count(self._path, self._topics.image)
        progress = self.control.counting('images played')

        def sending(topic, recorded_ns: int, data: bytes) -> None:
            if topic.name == self._topics.image:
                before = time.monotonic()
                if len(sent) >= 2:
                    self._arrivals.wait_for_one(list(sent)[-2:], self._patience_s)
                self._hold(list(sent))
                sent[stamp_of(data)] = time.monotonic()
                run.held_s += time.monotonic() - before
                progress(len(sent), total)

        began = time.monotonic()
        if not self._player.play(rate, self.control.stop, sending):
            raise Stopped('stopped by a signal')
        played_s = time.monotonic() - began
        self._arrivals.wait_for(last, list(sent)[-1], FRAME_S / 4)
        run.images = len(sent)
        run.rate *= 1 - run.held_s / played_s if played_s > 0 else 1
        run.latencies_ms = {stamp: 1e3 * (arrived - sent[stamp])
                            for stamp, arrived in self._arrivals.complete().items() if stamp in sent}
        return run

    def _answer(self, stamp_ns: int, sent: float, patience_s: float) -> float:
        """Return when the needed outputs of an image had come."""
        while True:
            self.control.expect_going()
            if time.monotonic() > sent + patience_s:
                raise NoAnswer(f'no {" and ".join(NEEDED)} came back for an image within {patience_s:g} s')
            arrived = self._arrivals.wait_for(NEEDED, stamp_ns, 0.5)
            if arrived is not None:
                return arrived


def readable_images(drive: Path, topics: BagTopics) -> Iterator[list[tuple[str, bytes]]]:
    """Yield for every image of a bag that can be read its messages: camera_info, where there is one, and the image."""
    with BagReader(drive) as reader:
        first_info = next(reader.messages([topics.camera_info]), None) if topics.camera_info else None
        info, any_depth = first_info and first_info[2], BitDepth(16)
        for topic, _, data in reader.messages([topics.image]):
            with suppress(ValueError):
                view_message(reader.deserialize(data, topic.type), any_depth)
                yield [*([(topics.camera_info, info)] if info else []), (topic.name, data)]


def count(drive: Path, topic: str) -> int:
    """Return how many messages a bag has on a topic."""
    with BagReader(drive) as reader:
        return reader.topics[topic].count
