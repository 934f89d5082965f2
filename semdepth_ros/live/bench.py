"""The perception node on a live graph, timed: from publishing an image to receiving what was perceived."""
from __future__ import annotations

from dataclasses import dataclass
import os
from pathlib import Path
import tempfile
import time

import numpy as np

from semdepth_ros.geometry.camera import Camera
from semdepth_ros.live.graph import spinning_node
from semdepth_ros.live.node_process import NodeProcess
from semdepth_ros.live.traffic import ImageSource, OutputSink
from semdepth_ros.perception.benchmark import Progress, percentiles

PERCEPTION = 'semdepth_ros.nodes.perception'
DEPTH_AND_MASK = ('depth/image', 'depth/camera_info', 'semantic/image')
LAST_S, IDLE_S, DIAGNOSTICS_S = 5.0, 4.0, 0.2
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
    with tempfile.TemporaryDirectory() as folder, spinning_node('bench') as node, \
            perception(model, device, Path(folder), stride=traffic.stride) as process:
        camera = Camera.from_field_of_view(traffic.width, traffic.height, 80)
        source = ImageSource(node, camera, _noise(camera, np.random.default_rng(0)), traffic.reliability)
        source.wait_for_node(process)
        result = {'name': traffic.name, 'rate_hz': traffic.rate_hz, 'reliability': traffic.reliability}
        if traffic.idle:
            result['idle_core_share'] = round(_idle(source, process, traffic.rate_hz), 4)
        sink = OutputSink(node, traffic.topics)
        source.warm_up(sink, process)
        return result | timed(source, sink, process, traffic.rate_hz, frames, progress)


def perception(model: str, device: str, folder: Path, **parameters: object) -> NodeProcess:
    """Return a perception node that is timed, to be started; its log is in the folder.

    :param parameters: of the node, beside model and device
    """
    parameters = {'model': model, 'device': device, 'diagnostics_period_s': DIAGNOSTICS_S} | parameters
    arguments = ['--ros-args', *(a for name, value in parameters.items() for a in ('-p', f'{name}:={value}'))]
    return NodeProcess(PERCEPTION, arguments, folder / 'node.log', os.environ)


def timed(source: ImageSource, sink: OutputSink, process: NodeProcess, rate_hz: float, frames: int,
          progress: Progress) -> dict:
    """Send images at a rate and return what measure_graph says of them.

    :param process: of the node, which is warm
    :raises RuntimeError: it ended
    """
    time.sleep(2.5 * DIAGNOSTICS_S)
    before_mb, before = _resident_mb(process.pid), sink.node_counts()
    sent = source.send(frames, rate_hz, process, progress)
    sink.wait_for_all(list(sent)[-1:], LAST_S)
    complete = sink.complete()
    received = [1e3 * (complete[stamp] - at) for stamp, at in sent.items() if stamp in complete]
    time.sleep(2.5 * DIAGNOSTICS_S)
    counts = {name: value - before[name] for name, value in sink.node_counts().items()}
    result = {'sent': len(sent), 'received': len(received), 'node_counts': counts, 'node': sink.node_latencies(),
              'memory_mb': [before_mb, _resident_mb(process.pid)]}
    return result | {'graph': percentiles(received)} if received else result


def _noise(camera: Camera, rng: np.random.Generator) -> list[np.ndarray]:
    return [rng.integers(0, 256, (camera.height, camera.width, 3), dtype=np.uint8) for _ in range(_KEPT)]


def _idle(source: ImageSource, process: NodeProcess, rate_hz: float) -> float:
    """Return the share of a core that the node uses while images come and nobody wants them."""
    source.send(int(rate_hz), rate_hz, process, lambda done, total: None)
    before, start = _cpu_seconds(process.pid), time.monotonic()
    source.send(int(IDLE_S * rate_hz), rate_hz, process, lambda done, total: None)
    return (_cpu_seconds(process.pid) - before) / (time.monotonic() - start)


def _cpu_seconds(pid: int) -> float:
    fields = Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')


def _resident_mb(pid: int) -> float:
    pages = int(Path(f'/proc/{pid}/statm').read_text().split()[1])
    return round(pages * os.sysconf('SC_PAGE_SIZE') / 1e6, 1)
