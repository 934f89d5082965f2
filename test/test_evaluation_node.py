"""The evaluation node on a live graph: its figures are those of `semdepth evaluate` on the same frames."""
from dataclasses import replace
import json

import numpy as np
import pytest
from rclpy.parameter import Parameter

from node_parts import TYPES
from plane_world import Corridor
from random_model import write_random_model
from ros_graph import wait_until
from semdepth_ros.bridge.camera_info import make_camera_info
from semdepth_ros.bridge.images import make_depth_image, make_image
from semdepth_ros.bridge.messages import make_header, stamp_ns
from semdepth_ros.evaluation import evaluate
from semdepth_ros.nodes.evaluation import EvaluationNode
from semdepth_ros.nodes.perception import PerceptionNode
from semdepth_ros.perception import Perceptor

FRAMES = 6
METRICS = 'semdepth_ros/msg/DepthMetrics'


@pytest.fixture(scope='module')
def model(tmp_path_factory):
    return write_random_model(tmp_path_factory.mktemp('model') / 'random.safetensors')


class Camera:
    """Sends a sequence and its truth in a namespace, one frame after the other."""

    def __init__(self, graph, namespace, sequence, parts=('depth', 'labels')):
        self.node, self.sequence, self.parts = graph.node('camera', namespace=namespace), sequence, parts
        self.publishers = {name: self.node.create_publisher(TYPES.message_class(f'sensor_msgs/msg/{kind}'), name, 10)
                           for name, kind in (('image', 'Image'), ('camera_info', 'CameraInfo'),
                                              ('truth/depth/image', 'Image'), ('truth/semantic/image', 'Image'))}

    def send(self, index, offset_ns=1_000_000_000):
        """Send a frame; return its stamp."""
        sample = self.sequence[index]
        header = make_header(TYPES, sample.stamp_ns + offset_ns, 'lens')
        self.publishers['camera_info'].publish(make_camera_info(TYPES, header, sample.camera))
        self.publishers['image'].publish(make_image(TYPES, header, sample.image, 'rgb8'))
        if 'depth' in self.parts and sample.depth is not None:
            self.publishers['truth/depth/image'].publish(make_depth_image(TYPES, header, sample.depth))
        if 'labels' in self.parts and sample.labels is not None:
            self.publishers['truth/semantic/image'].publish(make_image(TYPES, header, sample.labels, 'mono8'))
        return stamp_ns(header)

    def is_heard(self):
        return all(p.get_subscription_count() for p in self.publishers.values())


def start(graph, kind, namespace, **parameters):
    node = graph.add(kind(namespace=namespace, context=graph.context,
                          parameter_overrides=[Parameter(name, value=value) for name, value in parameters.items()]))
    wait_until(lambda: node.state == 'active', 30.0, 'active')
    return node


def run_through(graph, namespace, camera, folder, model, **parameters):
    """Send all frames through perception and evaluation; return metrics.json and the messages of ~/metrics."""
    perception = start(graph, PerceptionNode, namespace, model=str(model), device='cpu', precision='float32',
                       max_range_m=1000.0)
    evaluation = start(graph, EvaluationNode, namespace, report_dir=str(folder), **parameters)
    metrics, seen = [], set()
    camera.node.create_subscription(TYPES.message_class(METRICS), 'evaluation/metrics', metrics.append, 10)
    camera.node.create_subscription(TYPES.message_class('sensor_msgs/msg/Image'), 'depth/image',
                                    lambda m: seen.add(stamp_ns(m.header)), 10)
    wait_until(camera.is_heard, what='subscribers')
    for index in range(len(camera.sequence)):
        stamp = camera.send(index)
        wait_until(lambda: stamp in seen, 20.0, what=f'the depth of frame {index}')
    wait_until(lambda: any(m.frames == len(camera.sequence) and m.protocol == 'one_scale' for m in tuple(metrics)), 20.0,
               what='metrics of all frames')
    graph.call(evaluation.trigger_shutdown)
    graph.call(perception.trigger_shutdown)
    return json.loads((folder / 'metrics.json').read_text()), metrics


@pytest.fixture(scope='module')
def corridor(graph, model, tmp_path_factory):
    folder, sequence = tmp_path_factory.mktemp('report'), Corridor(FRAMES)
    result, metrics = run_through(graph, 'corridor', Camera(graph, 'corridor', sequence), folder, model, name='corridor')
    perceptor = Perceptor.from_file(model, device='cpu', precision='float32', max_range_m=1000.0)
    return folder, result, metrics, evaluate(perceptor, [sequence])


def test_its_figures_are_those_of_the_command_on_the_same_frames(corridor):
    _, result, _, expected = corridor
    sequence, = result['sequences']
    theirs, = json.loads(json.dumps(expected['sequences']))
    assert (result['frames_in'], result['frames_perceived'], result['frames_dropped']) == (FRAMES, FRAMES, 0)
    assert sequence.pop('latency_ms')['p50'] > 0 and theirs.pop('latency_ms')
    assert sequence.pop('name') == 'corridor' and theirs.pop('name')
    assert sequence == theirs and 'semantics' in sequence and 'depth_by_class' in sequence
    assert result['model'] == 'random version 0'


def test_metrics_of_every_protocol_say_what_the_report_says(corridor):
    _, result, metrics, _ = corridor
    depth, semantics = result['sequences'][0]['depth'], result['sequences'][0]['semantics']
    newest = {m.protocol: m for m in metrics}
    assert set(newest) == {'median_scaled', 'one_scale', 'unscaled'}
    for protocol, message in newest.items():
        assert {name: getattr(message, name) for name in depth[protocol]} == depth[protocol]
        assert (message.frames, message.crop, message.max_depth) == (depth['frames'], 'none', 80.0)
        assert message.scale_ratio_median == depth['scale_ratio']['median']
        assert (message.miou, message.semantic_frames) == (semantics['miou'], FRAMES)
        assert message.latency_p50 > 0 and message.pixels > 0
    assert stamp_ns(newest['unscaled'].header) == 1_000_000_000 + Corridor(FRAMES)[FRAMES - 1].stamp_ns


def test_the_report_shows_frames_figures_and_how_they_were_paired(corridor):
    folder = corridor[0]
    html = (folder / 'report.html').read_text()
    assert 'corridor' in html and 'exactly the stamp of a frame' in html and 'mIoU' in html
    assert len(list((folder / 'pictures').iterdir())) >= 3
