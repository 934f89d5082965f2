"""Play a bag into the graph, where there is no `ros2 bag`: every message as it was, at the times it was recorded."""
from __future__ import annotations

import argparse
from collections.abc import Callable, Collection
import sys
import threading
import time

import rclpy
from rclpy.node import Node
from rosgraph_msgs.msg import Clock

from semdepth_ros.bags.bag_reader import BagReader, Topic
from semdepth_ros.bags.recorded_camera import chosen_topics
from semdepth_ros.bridge.rclpy_types import RclpyTypes, qos_profile
from semdepth_ros.nodes.process import read_arguments, run_until_signal

CLOCK = '/clock'
SETTLE_S = 0.5  # for the other subscribers to be found, and for the last messages to arrive


class BagPlayer:
    """Publishes a bag's messages through a node, serialised as they are.

    Topics whose message class is not installed are left out and named in `left_out`. `awaited` is the topic whose
    subscriber is worth waiting for: the camera's image, else the first of all.

    :param topics: the topics to play; all where None
    :param clock: publish /clock from the messages' times where the bag has none
    :raises BagError: no bag, or a damaged one
    :raises ValueError: a topic that the bag does not have
    """

    def __init__(self, node: Node, path: str, topics: Collection[str] | None = None, clock: bool = False):
        self._node, self._path, types = node, path, RclpyTypes()
        with BagReader(path) as reader:
            known = reader.topics
            self.awaited = _camera(reader)
        unknown = sorted(set(topics or ()) - set(known))
        if unknown:
            raise ValueError(f'{path} has no topic {unknown[0]!r}; topics: {", ".join(sorted(known))}')
        chosen = [t for t in known.values() if topics is None or t.name in topics]
        self.left_out = sorted(t.name for t in chosen if not types.has(t.type))
        self.publishers = {t.name: _publisher(node, types, t) for t in chosen if t.name not in self.left_out}
        self._clock = node.create_publisher(Clock, CLOCK, 10) if clock and CLOCK not in self.publishers else None
        if self.awaited not in self.publishers:
            self.awaited = next(iter(self.publishers), None)

    def wait_for_subscribers(self, topics: Collection[str], timeout_s: float, stop: threading.Event) -> list[str]:
        """Wait until these topics have subscribers; return those that have none when the time is up."""
        end = time.monotonic() + timeout_s
        while True:
            lonely = [t for t in topics if not self.publishers[t].get_subscription_count()]
            if not lonely or time.monotonic() > end or stop.wait(0.05):
                return lonely

    def play(self, rate: float = 1.0, stop: threading.Event | None = None,
             sending: Callable[[Topic, int, bytes], None] | None = None) -> bool:
        """Publish everything once; return whether the end was reached.

        :param rate: 0.5 takes twice as long as the recording
        :param stop: ends the playing when set
        :param sending: called with topic, time [ns] and bytes before each message; the drive stands still meanwhile
        :raises ValueError: rate is not positive
        """
        if not rate > 0:
            raise ValueError(f'rate is {rate}, expected a positive number')
        stop, start, first_ns, clock_ns = stop or threading.Event(), time.monotonic(), None, None
        with BagReader(self._path) as reader:
            for topic, stamp_ns, data in reader.messages(self.publishers):
                first_ns = stamp_ns if first_ns is None else first_ns
                due = start + (stamp_ns - first_ns) * 1e-9 / rate
                if stop.wait(max(0.0, due - time.monotonic())):
                    return False
                if self._clock and stamp_ns != clock_ns:
                    clock_ns = stamp_ns
                    self._clock.publish(_clock_message(stamp_ns))
                if sending:
                    before = time.monotonic()
                    sending(topic, stamp_ns, data)
                    start += time.monotonic() - before
                self.publishers[topic.name].publish(bytes(data))
        return True


def main(argv: list[str] | None = None) -> int:
    """Run the player as a node; return its exit code."""
    argv = sys.argv if argv is None else argv
    parser = argparse.ArgumentParser('semdepth bag play', description=__doc__)
    parser.add_argument('bag', help='.mcap, .db3, or the folder of a rosbag2 recording')
    parser.add_argument('--topics', nargs='+', metavar='TOPIC', help='play only these')
    parser.add_argument('--rate', type=float, default=1.0, help='0.5 takes twice as long as the recording')
    parser.add_argument('--loop', action='store_true', help='begin again at the end')
    parser.add_argument('--clock', action='store_true', help='publish /clock even if the bag has none')
    parser.add_argument('--wait', type=float, default=5.0, metavar='S', help='wait so long for a subscriber first')
    args = read_arguments(parser, argv)

    def body(stop: threading.Event) -> None:
        node = rclpy.create_node('bag_player')
        player = BagPlayer(node, args.bag, args.topics, args.clock)
        if player.left_out:
            node.get_logger().warning(f'left out, since their messages are not installed: {", ".join(player.left_out)}')
        if not player.publishers:
            raise ValueError(f'{args.bag} has nothing to play')
        player.wait_for_subscribers([player.awaited], args.wait, stop)
        stop.wait(SETTLE_S)
        while player.play(args.rate, stop) and args.loop:
            pass
        stop.wait(SETTLE_S)

    return run_until_signal('semdepth bag play', body, argv)


def _publisher(node: Node, types: RclpyTypes, topic: Topic):
    return node.create_publisher(types.message_class(topic.type), topic.name, qos_profile(topic.qos))


def _camera(reader: BagReader) -> str | None:
    try:
        return chosen_topics(reader).image
    except ValueError:
        return None


def _clock_message(stamp_ns: int) -> Clock:
    message = Clock()
    message.clock.sec, message.clock.nanosec = divmod(stamp_ns, 1_000_000_000)
    return message


if __name__ == '__main__':
    sys.exit(main())
