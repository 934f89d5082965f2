"""Record topics of the graph into a bag, where there is no `ros2 bag`."""
from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from dataclasses import replace
import sys
import threading
import time

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.subscription import Subscription

from semdepth_ros.bags.bag_reader import Topic
from semdepth_ros.bags.bag_writer import BagWriter
from semdepth_ros.bags.cdr import begins_with_header, stamp_of
from semdepth_ros.bags.qos import INPUT, LATCHED, OUTPUT, TRANSIENT_LOCAL, Qos, following
from semdepth_ros.bridge.rclpy_types import RclpyTypes, qos_of, qos_profile
from semdepth_ros.nodes.process import read_arguments, run_until_signal

QUEUE = 20  # messages a topic that may wait while the disk is busy


class BagRecorder:
    """Writes what arrives on its topics into a bag, serialised as it came.

    :param bag: where to; open while the recorder is in use
    :param by_stamp: file messages under their header's stamp instead of their time of arrival, so that a recording of
        outputs lines up with the recording of the inputs
    :param since_ns: messages stamped before this are neither kept nor counted, unless they are latched
    """

    def __init__(self, node: Node, bag: BagWriter, by_stamp: bool = False, since_ns: int = 0):
        self._node, self._bag, self._by_stamp, self._since_ns = node, bag, by_stamp, since_ns
        self._types = RclpyTypes()
        self._subscriptions: list[Subscription] = []
        self._topics: list[Topic] = []
        self._lock, self._recording = threading.Lock(), True
        self.counts: dict[str, int] = {}

    def record(self, name: str, type_name: str, qos: Qos = OUTPUT, every: int = 1,
               arrived: Callable[[int], None] | None = None) -> None:
        """Begin to record one topic.

        :param every: keep one message of so many
        :param arrived: called with the header's stamp [ns] of every message, kept or not; 0 where it has no header
        :raises ImportError: its message class is not installed
        :raises ValueError: its definition is unknown
        """
        self._topics.append(Topic(name, type_name, qos))
        self._bag.add_topic(self._topics[-1])
        self.counts[name] = 0
        stamped = begins_with_header(self._bag.types.store, type_name)
        latched = qos.durability == LATCHED.durability

        def take(data: bytes) -> None:
            stamp_ns = stamp_of(data) if stamped else 0
            if latched or not 0 < stamp_ns < self._since_ns:
                self._keep(name, data, max(stamp_ns, self._since_ns), every)
            if arrived:
                arrived(stamp_ns)

        deep = replace(qos, depth=max(qos.depth, QUEUE))
        self._subscriptions.append(self._node.create_subscription(
            self._types.message_class(type_name), name, take, qos_profile(deep), raw=True))

    def go_on(self, bag: BagWriter) -> None:
        """Write the same topics into another bag from now on, counted anew; the one before may be closed then."""
        for topic in self._topics:
            bag.add_topic(topic)
        with self._lock:
            self._bag, self.counts = bag, dict.fromkeys(self.counts, 0)

    def stop(self) -> None:
        """Keep nothing any more; the bag may be closed then."""
        with self._lock:
            self._recording = False

    def _keep(self, name: str, data: bytes, stamp_ns: int, every: int) -> None:
        with self._lock:
            if self._recording and self.counts[name] % every == 0:
                now_ns = self._node.get_clock().now().nanoseconds
                self._bag.write_bytes(name, data, stamp_ns if self._by_stamp and stamp_ns else now_ns)
            self.counts[name] += 1


def find_topics(node: Node, names: list[str], timeout_s: float, stop: threading.Event) -> Mapping[str, tuple[str, Qos]]:
    """Wait until these topics have publishers; return type and the quality of service to subscribe with.

    :raises ValueError: some have none when the time is up
    """
    end = time.monotonic() + timeout_s
    while True:
        offers = {name: node.get_publishers_info_by_topic(name) for name in names}
        missing = [name for name, found in offers.items() if not found]
        if not missing:
            return {name: (found[0].topic_type, _quality(found)) for name, found in offers.items()}
        if time.monotonic() > end or stop.wait(0.1):
            raise ValueError(f'nobody publishes {missing[0]} (waited {timeout_s:g} s)')


def main(argv: list[str] | None = None) -> int:
    """Run the recorder as a node until a signal comes; return its exit code."""
    argv = sys.argv if argv is None else argv
    parser = argparse.ArgumentParser('semdepth bag record', description=__doc__)
    parser.add_argument('topics', nargs='+', metavar='TOPIC')
    parser.add_argument('--out', required=True, metavar='BAG', help='X.mcap, X.db3, or no suffix: a folder')
    parser.add_argument('--force', action='store_true', help='replace BAG if it exists')
    parser.add_argument('--by-stamp', action='store_true', help="file messages under their header's stamp")
    parser.add_argument('--wait', type=float, default=10.0, metavar='S', help='wait so long for publishers')
    args = read_arguments(parser, argv)

    def body(stop: threading.Event) -> None:
        bag = BagWriter(args.out, args.force)
        node = rclpy.create_node('bag_recorder')
        executor = SingleThreadedExecutor()
        executor.add_node(node)
        topics = find_topics(node, args.topics, args.wait, stop)
        with bag:
            recorder = BagRecorder(node, bag, args.by_stamp)
            for name, (type_name, qos) in topics.items():
                recorder.record(name, type_name, qos)
            while not stop.is_set():
                executor.spin_once(timeout_sec=0.1)
            recorder.stop()
        print(f'{args.out}: ' + ', '.join(f'{name} {count}' for name, count in recorder.counts.items()))

    return run_until_signal('semdepth bag record', body, argv)


def _quality(publishers: list) -> Qos:
    offered = [qos_of(p.qos_profile) for p in publishers]
    if all(o.durability == TRANSIENT_LOCAL for o in offered):
        return LATCHED
    return following(INPUT, offered)


if __name__ == '__main__':
    sys.exit(main())
