"""A bag through a running perception node, and what it published, recorded; the drive waits for a slow machine."""
from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
import itertools
from pathlib import Path
import threading
import time

import numpy as np
import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node

from semdepth_ros.bags.bag_reader import BagReader
from semdepth_ros.bags.bag_topics import BagTopics
from semdepth_ros.bags.bag_writer import BagWriter
from semdepth_ros.bags.cdr import stamp_of, with_stamp
from semdepth_ros.bags.qos import LATCHED
from semdepth_ros.bit_depth import BitDepth
from semdepth_ros.bridge.outputs import TOPICS
from semdepth_ros.data.bag import BagSequence
from semdepth_ros.image_messages import view_message
from semdepth_ros.live.player import BagPlayer
from semdepth_ros.live.recorder import BagRecorder

NEEDED = ('depth/image', 'semantic/image')  # a frame that has both counts as perceived
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


class Stopped(RuntimeError):
    """A signal came."""


class NoAnswer(RuntimeError):
    """The node does not do what it should."""


class Arrivals:
    """When which output of which frame arrived."""

    def __init__(self):
        self._changed, self._times = threading.Condition(), {}

    def note(self, topic: str, stamp_ns: int) -> None:
        """Remember that this output has arrived now."""
        with self._changed:
            self._times.setdefault(stamp_ns, {}).setdefault(topic, time.monotonic())
            self._changed.notify_all()

    def wait_for(self, topics: Collection[str], stamp_ns: int, timeout_s: float) -> float | None:
        """Return when the last of these outputs of a frame arrived, None if one did not within the time."""
        with self._changed:
            self._changed.wait_for(lambda: self._has(topics, stamp_ns), timeout_s)
            return max(self._times[stamp_ns][t] for t in topics) if self._has(topics, stamp_ns) else None

    def wait_for_one(self, stamps_ns: Collection[int], timeout_s: float) -> None:
        """Wait until the needed outputs of one of these frames have arrived."""
        with self._changed:
            self._changed.wait_for(lambda: any(self._has(NEEDED, s) for s in stamps_ns), timeout_s)

    def complete(self, topics: Collection[str] = NEEDED) -> dict[int, float]:
        """Return, by stamp, when the last of these outputs arrived."""
        with self._changed:
            return {stamp: max(times[t] for t in topics) for stamp, times in self._times.items()
                    if self._has(topics, stamp)}

    def _has(self, topics: Collection[str], stamp_ns: int) -> bool:
        return set(topics) <= self._times.get(stamp_ns, {}).keys()


def run_live(sequence: BagSequence, perceived: Path, check: Callable[[], None], stop: threading.Event,
             say: Callable[[str], None], progress: Callable[[int, int], None]) -> LiveRun:
    """Play a drive to the node that runs in this ROS graph and record what it publishes.

    :param sequence: the camera in the drive
    :param perceived: bag to write
    :param check: raises if the node has ended
    :raises Stopped: stop was set
    :raises NoAnswer: the node does not subscribe, or does not send anything back
    """
    drive, topics, start_ns, arrivals = sequence.path, sequence.topics, min(sequence.stamps_ns), Arrivals()
    with spinning_node('demo') as node, BagWriter(perceived, replace=True) as bag:
        recorder = BagRecorder(node, bag, by_stamp=True, since_ns=start_ns)
        for name, type_name in TOPICS.items():
            recorder.record(f'/{name}', type_name, every=CLOUDS_KEPT if name == 'points' else 1,
                            arrived=lambda stamp_ns, name=name: arrivals.note(name, stamp_ns))
        recorder.record('/perception/model_info', 'semdepth_ros/msg/ModelInfo', LATCHED)
        player = BagPlayer(node, str(drive))
        if player.left_out:
            say(f'not played, since their messages are not installed: {", ".join(player.left_out)}')
        wait_for_node(player, [t for t in (topics.image, topics.camera_info) if t], check, stop)
        latency_s = warm_up(player, drive, topics, start_ns, arrivals, check, stop)
        run = LiveRun(rate=min(1.0, 1 / (sequence.rate_hz or USUAL_HZ) / (HEADROOM * latency_s)))
        if run.rate < 1:
            say(f'a frame takes {1e3 * latency_s:.0f} ms here, so the drive is played at {run.rate:.2f} of its rate')
        play(player, drive, topics, run, arrivals, check, stop, progress)
        recorder.stop()
    if run.held_s > NOTABLE_S:
        say(f'the drive stood still for {run.held_s:.1f} s in all, for the machine to catch up')
    return run


def wait_for_node(player: BagPlayer, topics: list[str], check: Callable[[], None], stop: threading.Event) -> None:
    """Wait until the node listens to these topics."""
    end = time.monotonic() + DISCOVERY_S
    while lonely := player.wait_for_subscribers(topics, 0.5, stop):
        _expect_going(check, stop)
        if time.monotonic() > end:
            raise NoAnswer(f'nobody subscribes to {lonely[0]} within {DISCOVERY_S:g} s')


def warm_up(player: BagPlayer, drive: Path, topics: BagTopics, start_ns: int, arrivals: Arrivals,
            check: Callable[[], None], stop: threading.Event) -> float:
    """Send the first images one by one, stamped before the earliest of the drive; return the time one takes [s].

    An image is sent as soon as the needed outputs of the one before have come, so that what the node still does for
    that one is part of the time.
    """
    taken = []
    for i, messages in enumerate(itertools.islice(readable_images(drive, topics), WARM_UP)):
        stamp_ns = start_ns - (WARM_UP - i) * 10_000_000
        sent = time.monotonic()
        for name, data in messages:
            player.publishers[name].publish(with_stamp(data, stamp_ns))
        arrived, end = None, sent + (FRAME_S if i else FIRST_FRAME_S)
        while arrived is None:
            _expect_going(check, stop)
            if time.monotonic() > end:
                raise NoAnswer(f'no {" and ".join(NEEDED)} came back for an image within '
                               f'{FRAME_S if i else FIRST_FRAME_S:g} s')
            arrived = arrivals.wait_for(NEEDED, stamp_ns, 0.5)
        taken.append(arrived - sent)
    return float(np.percentile(taken[len(taken) // 2:], 90))


def play(player: BagPlayer, drive: Path, topics: BagTopics, run: LiveRun, arrivals: Arrivals,
         check: Callable[[], None], stop: threading.Event, progress: Callable[[int, int], None]) -> None:
    """Play the drive and wait for the last outputs; fill in run.

    The node works on one image and keeps one waiting: while two are unanswered the drive stands still, HOLD_S at most.
    """
    sent, total = {}, count(drive, topics.image)

    def sending(topic, recorded_ns: int, data: bytes) -> None:
        if topic.name == topics.image:
            check()
            before = time.monotonic()
            if len(sent) >= 2:
                arrivals.wait_for_one(list(sent)[-2:], HOLD_S)
            sent[stamp_of(data)] = time.monotonic()
            run.held_s += time.monotonic() - before
            progress(len(sent), total)

    began = time.monotonic()
    if not player.play(run.rate, stop, sending):
        raise Stopped('stopped by a signal')
    played_s = time.monotonic() - began
    arrivals.wait_for([LAST], list(sent)[-1], FRAME_S / 4)
    run.images, run.rate = len(sent), run.rate * (1 - run.held_s / played_s) if played_s > 0 else run.rate
    run.latencies_ms = {stamp: 1e3 * (arrived - sent[stamp]) for stamp, arrived in arrivals.complete().items()
                        if stamp in sent}


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


@contextmanager
def spinning_node(name: str) -> Iterator[Node]:
    """Run a node whose callbacks have a thread of their own."""
    node, executor = rclpy.create_node(name), SingleThreadedExecutor()
    executor.add_node(node)
    thread = threading.Thread(target=executor.spin, name=f'{name} callbacks')
    thread.start()
    try:
        yield node
    finally:
        executor.shutdown()
        thread.join()
        node.destroy_node()


def _expect_going(check: Callable[[], None], stop: threading.Event) -> None:
    if stop.is_set():
        raise Stopped('stopped by a signal')
    check()
