"""The perception node on a live graph, timed: from publishing an image to receiving what was perceived."""
from __future__ import annotations

from dataclasses import dataclass
import os
from pathlib import Path
import tempfile
import time
from typing import Any

import numpy as np
from rclpy.node import Node
from rclpy.serialization import serialize_message

from semdepth_ros.bags.cdr import stamp_of, with_stamp
from semdepth_ros.bags.qos import OUTPUT, Qos
from semdepth_ros.bridge.camera_info import make_camera_info
from semdepth_ros.bridge.messages import make_header
from semdepth_ros.bridge.outputs import TOPICS
from semdepth_ros.bridge.rclpy_types import RclpyTypes, qos_profile
from semdepth_ros.geometry.camera import Camera
from semdepth_ros.live.arrivals import Arrivals
from semdepth_ros.live.graph import spinning_node
from semdepth_ros.live.node_process import NodeProcess
from semdepth_ros.perception.benchmark import Progress, percentiles

PERCEPTION = 'semdepth_ros.nodes.perception'
DEPTH_AND_MASK = ('depth/image', 'depth/camera_info', 'semantic/image')
START_S, LAST_S, IDLE_S, DIAGNOSTICS_S = 120.0, 5.0, 4.0, 0.2
COUNTS = ('received', 'perceived', 'dropped', 'gaps')
_WARM_UPS = 10
_KEPT = 8  # different images, in turns


@dataclass(frozen=True)
class Traffic:
    """What is sent to the node, and what is asked of it.

    :param topics: outputs that are subscribed to
    :param stride: the node's parameter
    :param reliability: of the image's publisher
    :param idle: first send without any subscriber, and see what the node uses
    """

    name: str
    width: int = 1242
    height: int = 375
    topics: tuple[str, ...] = DEPTH_AND_MASK
    stride: int = 1
    reliability: str = 'reliable'
    rate_hz: float = 10.0
    idle: bool = False


TRAFFIC = (Traffic('1242x375', idle=True), Traffic('1242x375 best effort', reliability='best_effort'),
           Traffic('1242x375 with cloud', topics=(*DEPTH_AND_MASK, 'points'), stride=2),
           Traffic('1280x720', 1280, 720, ('depth/image', 'semantic/image')))


def measure_graph(traffic: Traffic, model: str, device: str, frames: int, progress: Progress) -> dict:
    """Start the node, send images at their rate, and return what came back and when.

    `node_counts` says what became of the images: dropped by the node because newer ones came, or lost on the way
    (gaps).
    Times are in ms: `graph` from publishing an image to the arrival of its last output; `node` from the node's callback
    to its last publish, with its stages, as its diagnostics say over the last 200 frames. rclpy must be running.

    :param model, device: as the node's parameters
    :raises RuntimeError: the node ended, or does not answer
    """
    parameters = {'model': model, 'device': device, 'stride': traffic.stride, 'diagnostics_period_s': DIAGNOSTICS_S}
    arguments = ['--ros-args', *(a for name, value in parameters.items() for a in ('-p', f'{name}:={value}'))]
    with tempfile.TemporaryDirectory() as folder, spinning_node('bench') as node, \
            NodeProcess(PERCEPTION, arguments, Path(folder) / 'node.log', os.environ) as process:
        source = _Source(node, traffic)
        source.wait_for_node(process)
        result = {'name': traffic.name, 'rate_hz': traffic.rate_hz, 'reliability': traffic.reliability}
        if traffic.idle:
            result['idle_core_share'] = round(_idle(source, process, traffic.rate_hz), 4)
        sink = _Sink(node, traffic.topics)
        source.warm_up(sink, process)
        time.sleep(2.5 * DIAGNOSTICS_S)
        before_mb, before = _resident_mb(process.pid), sink.node_counts()
        sent = source.send(frames, traffic.rate_hz, process, progress)
        sink.wait_for_all(list(sent)[-1:], LAST_S)
        complete = sink.complete()
        received = [1e3 * (complete[stamp] - at) for stamp, at in sent.items() if stamp in complete]
        time.sleep(2.5 * DIAGNOSTICS_S)
        counts = {name: value - before[name] for name, value in sink.node_counts().items()}
        result |= {'sent': len(sent), 'received': len(received), 'node_counts': counts, 'node': sink.node_latencies(),
                   'memory_mb': [before_mb, _resident_mb(process.pid)]}
        if received:
            result['graph'] = percentiles(received)
    return result


class _Source:
    """Publishes images and their camera_info, serialised beforehand."""

    def __init__(self, node: Node, traffic: Traffic):
        types, rng = RclpyTypes(), np.random.default_rng(0)
        camera = Camera.from_field_of_view(traffic.width, traffic.height, 80)
        self.node, self.stamp_ns = node, 1_000_000_000
        self.images = node.create_publisher(types.message_class('sensor_msgs/msg/Image'), 'image',
                                            qos_profile(Qos(traffic.reliability)))
        self.infos = node.create_publisher(types.message_class('sensor_msgs/msg/CameraInfo'), 'camera_info',
                                           qos_profile(Qos(traffic.reliability)))
        header = make_header(types, 0, 'camera')
        self.data = [_image(types, header, traffic, rng) for _ in range(_KEPT)]
        self.info = serialize_message(make_camera_info(types, header, camera))

    def wait_for_node(self, process: NodeProcess) -> None:
        """Wait until the node has made its topics."""
        end = time.monotonic() + START_S
        while not self.node.count_publishers('depth/image'):
            process.expect_alive()
            if time.monotonic() > end:
                raise RuntimeError(f'the node is not there after {START_S:g} s: {process.last_words()}')
            time.sleep(0.1)

    def publish(self) -> tuple[int, float]:
        """Publish the next image; return its stamp [ns] and when [s]."""
        self.stamp_ns += 100_000_000
        image = with_stamp(self.data[self.stamp_ns // 100_000_000 % _KEPT], self.stamp_ns)
        self.infos.publish(with_stamp(self.info, self.stamp_ns))
        at = time.monotonic()
        self.images.publish(image)
        return self.stamp_ns, at

    def warm_up(self, sink: _Sink, process: NodeProcess) -> None:
        """Send images until some have come back."""
        end, back = time.monotonic() + START_S, 0
        while back < _WARM_UPS:
            process.expect_alive()
            if time.monotonic() > end:
                raise RuntimeError(f'the node does not answer within {START_S:g} s: {process.last_words()}')
            stamp, _ = self.publish()
            back += sink.wait_for_all([stamp], 1.0)

    def send(self, frames: int, rate_hz: float, process: NodeProcess, progress: Progress) -> dict[int, float]:
        """Send so many images at a rate; return when [s] by stamp [ns]."""
        sent, start = {}, time.monotonic()
        for i in range(frames):
            time.sleep(max(0.0, start + i / rate_hz - time.monotonic()))
            stamp, at = self.publish()
            sent[stamp] = at
            process.expect_alive()
            progress(i + 1, frames)
        return sent


class _Sink:
    """Subscribes to outputs and notes when they come, without unpacking them."""

    def __init__(self, node: Node, topics: tuple[str, ...]):
        types = RclpyTypes()
        self.topics, self.arrivals = topics, Arrivals()
        self.diagnostics: Any = None  # the newest message
        for topic in topics:
            node.create_subscription(types.message_class(TOPICS[topic]), topic,
                                     lambda data, topic=topic: self.arrivals.note(topic, stamp_of(data)),
                                     qos_profile(OUTPUT), raw=True)
        node.create_subscription(types.message_class('diagnostic_msgs/msg/DiagnosticArray'), '/diagnostics',
                                 lambda message: setattr(self, 'diagnostics', message), 10)

    def wait_for_all(self, stamps: list[int], timeout_s: float) -> bool:
        """Return whether all outputs of these frames came within the time."""
        end = time.monotonic() + timeout_s
        return all(self.arrivals.wait_for(self.topics, stamp, max(0.0, end - time.monotonic())) is not None
                   for stamp in stamps)

    def complete(self) -> dict[int, float]:
        """Return, by stamp, when the last of its outputs arrived, for frames that have all."""
        return self.arrivals.complete(self.topics)

    def node_latencies(self) -> dict[str, dict[str, float]]:
        """Return the newest diagnostics' percentiles by stage [ms]."""
        stages: dict[str, dict[str, float]] = {}
        for key, value in self._said().items():
            stage, _, rest = key.partition(' p')
            if rest.endswith(' [ms]'):
                stages.setdefault(stage, {})[f'p{rest.removesuffix(" [ms]")}'] = float(value)
        return stages

    def node_counts(self) -> dict[str, int]:
        """Return the newest diagnostics' counters of images."""
        said = self._said()
        return {name: int(said.get(name, 0)) for name in COUNTS}

    def _said(self) -> dict[str, str]:
        statuses = self.diagnostics.status if self.diagnostics else ()
        return {pair.key: pair.value for status in statuses for pair in status.values}


def _idle(source: _Source, process: NodeProcess, rate_hz: float) -> float:
    """Return the share of a core that the node uses while images come and nobody wants them."""
    source.send(int(rate_hz), rate_hz, process, lambda done, total: None)
    before, start = _cpu_seconds(process.pid), time.monotonic()
    source.send(int(IDLE_S * rate_hz), rate_hz, process, lambda done, total: None)
    return (_cpu_seconds(process.pid) - before) / (time.monotonic() - start)


def _image(types: RclpyTypes, header: Any, traffic: Traffic, rng: np.random.Generator) -> bytes:
    pixels = rng.integers(0, 256, (traffic.height, traffic.width, 3), dtype=np.uint8)
    image = types.make('sensor_msgs/msg/Image', header=header, height=traffic.height, width=traffic.width,
                       encoding='rgb8', step=3 * traffic.width, data=pixels.reshape(-1))
    return serialize_message(image)


def _cpu_seconds(pid: int) -> float:
    fields = Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')


def _resident_mb(pid: int) -> float:
    pages = int(Path(f'/proc/{pid}/statm').read_text().split()[1])
    return round(pages * os.sysconf('SC_PAGE_SIZE') / 1e6, 1)
