"""The evaluation node on a live graph: its figures are those of `semdepth evaluate` on the same frames."""
from dataclasses import replace
import json

import numpy as np
import pytest
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, QoSProfile

from node_parts import TYPES
from plane_world import CAMERA as CORRIDOR
from plane_world import Corridor
from random_model import write_random_model
from ros_graph import Graph, wait_until
from semdepth_ros.bridge.camera_info import make_camera_info
from semdepth_ros.bridge.images import make_depth_image, make_image
from semdepth_ros.bridge.messages import make_header, stamp_ns
from semdepth_ros.bridge.rclpy_types import RclpyTypes
from semdepth_ros.bridge.transforms import make_transforms
from semdepth_ros.data import rectified_sample
from semdepth_ros.evaluation import SequenceEvaluation, evaluate
from semdepth_ros.frame import Frame
from semdepth_ros.geometry.lidar import lidar_depth, without_hidden
from semdepth_ros.nodes.evaluation import EvaluationNode
from semdepth_ros.nodes.perception import PerceptionNode
from semdepth_ros.perception import Perceptor

FRAMES, START_NS = 6, 1_000_000_000
METRICS = 'semdepth_ros/msg/DepthMetrics'
# a scanner (x ahead, y left, z up) half a metre above the lens and a little behind it
CAMERA_FROM_SCANNER = np.array([[0., -1, 0, 0], [0, 0, -1, -0.5], [1, 0, 0, 0.1], [0, 0, 0, 1]])


@pytest.fixture(scope='module')
def model(tmp_path_factory):
    return write_random_model(tmp_path_factory.mktemp('model') / 'random.safetensors')


class Camera:
    """Sends a sequence and its truth in a namespace, frame after frame, and scans if the sequence has a scanner."""

    def __init__(self, graph, namespace, sequence):
        self.node, self.sequence = graph.node('camera', namespace=namespace), sequence
        kinds = {'image': 'Image', 'camera_info': 'CameraInfo', 'truth/depth/image': 'Image',
                 'truth/semantic/image': 'Image', 'noisy/semantic/image': 'Image'}
        if hasattr(sequence, 'scan'):
            kinds['lidar/points'] = 'PointCloud2'
        self.publishers = {name: self.node.create_publisher(TYPES.message_class(f'sensor_msgs/msg/{kind}'), name, 10)
                           for name, kind in kinds.items()}

    def send(self, index):
        """Send a frame; return its stamp."""
        sample = self.sequence[index]
        header = make_header(TYPES, sample.stamp_ns + START_NS, 'lens')
        if 'lidar/points' in self.publishers:
            early = make_header(TYPES, stamp_ns(header) - 20_000_000, 'scanner')
            self.publishers['lidar/points'].publish(cloud(early, self.sequence.scan(index)))
        self.publishers['camera_info'].publish(make_camera_info(TYPES, header, sample.camera))
        self.publishers['image'].publish(make_image(TYPES, header, sample.image, 'rgb8'))
        if sample.depth is not None:
            self.publishers['truth/depth/image'].publish(make_depth_image(TYPES, header, sample.depth))
        if sample.labels is not None:
            self.publishers['truth/semantic/image'].publish(make_image(TYPES, header, sample.labels, 'mono8'))
        if sample.noisy_labels is not None:
            self.publishers['noisy/semantic/image'].publish(make_image(TYPES, header, sample.noisy_labels, 'mono8'))
        return stamp_ns(header)

    def is_heard(self):
        both = ('image', 'camera_info')  # by perception and by evaluation
        return all(p.get_subscription_count() > (name in both) for name, p in self.publishers.items())


def start(graph, kind, namespace, **parameters):
    node = graph.add(kind(namespace=namespace, context=graph.context,
                          parameter_overrides=[Parameter(name, value=value) for name, value in parameters.items()]))
    wait_until(lambda: node.state == 'active', 30.0, 'active')
    return node


def run_through(graph, namespace, camera, folder, model, frames_with_truth=None, **parameters):
    """Send all frames through perception and evaluation; return metrics.json and the messages of ~/metrics."""
    perception = start(graph, PerceptionNode, namespace, model=str(model), device='cpu', precision='float32',
                       max_range_m=1000.0)
    evaluation = start(graph, EvaluationNode, namespace, report_dir=str(folder), **parameters)
    metrics, seen = [], []      # one frame after the other: of several that wait perception takes the newest
    camera.node.create_subscription(TYPES.message_class(METRICS), 'evaluation/metrics', metrics.append, 10)
    camera.node.create_subscription(TYPES.message_class('sensor_msgs/msg/Image'), 'depth/image',
                                    lambda m: seen.append(stamp_ns(m.header)), 10)
    frames_with_truth = len(camera.sequence) if frames_with_truth is None else frames_with_truth
    wait_until(camera.is_heard, what='subscribers')
    for index in range(len(camera.sequence)):
        stamp = camera.send(index)
        wait_until(lambda: seen[index:] == [stamp], 20.0, what=f'the depth of frame {index}')
    wait_until(lambda: any(m.frames == frames_with_truth and m.protocol == 'one_scale' for m in tuple(metrics)), 20.0,
               what='metrics of all frames')
    graph.call(evaluation.trigger_shutdown)
    for node in (evaluation, perception, camera.node):  # else their timers and the next ones' share one thread
        graph.remove(node)
    return json.loads((folder / 'metrics.json').read_text()), metrics


def command(model, sequence):
    """Return what `semdepth evaluate` says of a sequence, but for its name and latency."""
    perceptor = Perceptor.from_file(model, device='cpu', precision='float32', max_range_m=1000.0)
    result, = json.loads(json.dumps(evaluate(perceptor, [sequence])['sequences']))
    assert result.pop('name') and result.pop('latency_ms')
    return result


@pytest.fixture(scope='module')
def corridor(graph, model, tmp_path_factory):
    folder, sequence = tmp_path_factory.mktemp('report'), Corridor(FRAMES)
    camera = Camera(graph, 'corridor', sequence)
    result, metrics = run_through(graph, 'corridor', camera, folder, model, name='corridor')
    return folder, result, metrics


def test_its_figures_are_those_of_the_command_on_the_same_frames(corridor, model):
    _, result, _ = corridor
    sequence = dict(result['sequences'][0])
    assert (result['frames_in'], result['frames_perceived'], result['frames_dropped']) == (FRAMES, FRAMES, 0)
    assert sequence.pop('latency_ms')['p50'] > 0 and sequence.pop('name') == 'corridor'
    assert sequence == command(model, Corridor(FRAMES)) and {'semantics', 'depth_by_class'} <= sequence.keys()
    assert result['model'] == 'random version 0'


def test_metrics_of_every_protocol_say_what_the_report_says(corridor):
    _, result, metrics = corridor
    depth, semantics = result['sequences'][0]['depth'], result['sequences'][0]['semantics']
    newest = {m.protocol: m for m in metrics}
    assert set(newest) == {'median_scaled', 'one_scale', 'unscaled'}
    for protocol, message in newest.items():
        assert {name: getattr(message, name) for name in depth[protocol]} == depth[protocol]
        assert (message.frames, message.crop, message.max_depth) == (depth['frames'], 'none', 80.0)
        assert message.scale_ratio_median == depth['scale_ratio']['median']
        assert (message.miou, message.semantic_frames) == (semantics['miou'], FRAMES)
        assert message.latency_p50 > 0 and message.pixels > 0
    assert newest['unscaled'].header.frame_id == 'lens'
    assert stamp_ns(newest['unscaled'].header) == START_NS + Corridor(FRAMES)[FRAMES - 1].stamp_ns


def test_the_report_shows_frames_figures_and_how_they_were_paired(corridor):
    folder = corridor[0]
    html = (folder / 'report.html').read_text()
    assert 'corridor' in html and 'exactly the stamp of a frame' in html and 'mIoU' in html
    assert len(list((folder / 'pictures').iterdir())) >= 3


class SparseTruth(Corridor):
    """True depth on all frames but one, true classes on one, another network's on all."""

    def __init__(self):
        super().__init__(4)

    def __getitem__(self, index):
        sample = super().__getitem__(index)
        return replace(sample, depth=None if index == 1 else sample.depth, noisy_labels=sample.labels[::-1].copy(),
                       labels=sample.labels if index == 2 else None)


def test_truth_on_some_frames_gives_the_commands_figures_too(graph, model, tmp_path):
    sequence = SparseTruth()
    result, _ = run_through(graph, 'sparse', Camera(graph, 'sparse', sequence), tmp_path, model, frames_with_truth=3)
    found = result['sequences'][0]
    assert (found.pop('name'), bool(found.pop('latency_ms'))) == ('live', True)
    assert found == command(model, sequence)
    assert (found['frames'], found['depth']['frames'], found['semantics']['frames']) == (4, 3, 1)
    assert found['agreement_with_noisy_labels']['frames'] == 4


def test_truth_of_a_lens_with_distortion_is_rectified_as_what_is_perceived_has_been(graph, model, tmp_path):
    lens = replace(CORRIDOR, distortion_model='plumb_bob', distortion=(-0.1, 0.02, 0, 0))
    sequence, expected = Corridor(3, camera=lens), SequenceEvaluation('live')
    result, _ = run_through(graph, 'lens', Camera(graph, 'lens', sequence), tmp_path, model)
    perceptor = Perceptor.from_file(model, device='cpu', precision='float32', max_range_m=1000.0)
    for sample in (sequence[i] for i in range(3)):
        expected.add(rectified_sample(sample), perceptor.perceive(Frame(sample.image, 'rgb', lens)))
    found = result['sequences'][0]
    assert found.pop('latency_ms') and found == json.loads(json.dumps(expected.result()))


class Scanned(Corridor):
    """The corridor without true depth images, under a scanner that sees every third pixel."""

    def __getitem__(self, index):
        return replace(super().__getitem__(index), depth=None)

    def scan(self, index):
        depth = super().__getitem__(index).depth[::3, ::3]
        in_camera = self.camera.rays()[::3, ::3].astype(np.float64) * depth[..., None]
        in_camera = in_camera[np.isfinite(depth)]
        return (in_camera - CAMERA_FROM_SCANNER[:3, 3]) @ CAMERA_FROM_SCANNER[:3, :3]

    def seen(self):
        """Return the frames as the command would get them: the scans are their true depth."""
        depths = [lidar_depth(self.scan(index), CAMERA_FROM_SCANNER, self.camera) for index in range(len(self))]
        return Frames(self.camera, [replace(self[index], depth=without_hidden(depth, self.camera))
                                    for index, depth in enumerate(depths)])


class Frames:
    """Frames as they are given."""

    name = 'frames'

    def __init__(self, camera, frames):
        self.camera, self._frames = camera, frames

    def __len__(self):
        return len(self._frames)

    def __getitem__(self, index):
        return self._frames[index]


def cloud(header, points):
    """Return a cloud with points as float32 x y z."""
    data = np.ascontiguousarray(points, dtype=np.float32)
    fields = [TYPES.make('sensor_msgs/msg/PointField', name=name, offset=4 * i, datatype=7, count=1)
              for i, name in enumerate('xyz')]
    return TYPES.make('sensor_msgs/msg/PointCloud2', header=header, height=1, width=len(data), fields=fields,
                      point_step=12, row_step=12 * len(data), data=data.reshape(-1).view(np.uint8), is_dense=True)


def test_scans_are_truth_with_a_given_transform(graph, model, tmp_path):
    sequence = Scanned(4)
    result, _ = run_through(graph, 'scanned', Camera(graph, 'scanned', sequence), tmp_path, model,
                            lidar_transform='0 -0.5 0.1 0.5 -0.5 0.5 0.5')
    found = result['sequences'][0]
    assert found['depth']['frames'] == 4 and 'scans less than 0.05 s from it' in result['protocol']['pairing']
    expected = command(model, sequence.seen())
    for protocol in ('unscaled', 'one_scale', 'median_scaled'):
        assert found['depth'][protocol] == pytest.approx(expected['depth'][protocol], rel=1e-4)  # float32 on the way


def test_scans_are_placed_by_tf(overlays, graph, model, tmp_path):
    sequence, types = Scanned(3), RclpyTypes()
    broadcaster = graph.node('broadcaster').create_publisher(
        types.message_class('tf2_msgs/msg/TFMessage'), '/tf_static',
        QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL))
    broadcaster.publish(make_transforms(types, 0, ('lens', 'scanner', CAMERA_FROM_SCANNER)))
    result, _ = run_through(graph, 'placed', Camera(graph, 'placed', sequence), tmp_path, model)
    expected = command(model, sequence.seen())
    assert result['sequences'][0]['depth']['unscaled'] == pytest.approx(expected['depth']['unscaled'], rel=1e-4)


def test_a_clock_that_is_set_back_begins_anew_and_no_frame_is_lost(graph, model, tmp_path):
    camera = Camera(graph, 'twice', Twice())
    result, _ = run_through(graph, 'twice', camera, tmp_path, model)
    assert (result['frames_perceived'], result['sequences'][0]['depth']['frames']) == (4, 4)


class Twice(Corridor):
    """Two frames of the corridor, and the same two again."""

    def __init__(self):
        super().__init__(4)

    def __getitem__(self, index):
        return replace(super().__getitem__(index % 2), name=str(index))


@pytest.mark.parametrize('parameters, words', [
    (('-p', 'lidar_transform:="1 2 3"'), 'seven numbers'), (('-p', 'queue:=1'), 'Min: 2')])
def test_what_cannot_be_is_refused_at_start_in_one_line(processes, parameters, words):
    node = processes.python('-m', 'semdepth_ros.nodes.evaluation', '--ros-args', *parameters)
    assert node.wait(120.0) == 2 and words in node.output and 'Traceback' not in node.output


def test_the_process_says_what_it_lacked_and_ends_when_asked(processes, tmp_path):
    out = tmp_path / 'out'
    node = processes.python('-m', 'semdepth_ros.nodes.evaluation', '--ros-args', '-p', f'report_dir:={out}')
    graph = Graph()
    try:
        watcher = graph.node('watcher')
        wait_until(lambda: watcher.count_subscribers('/depth/image'), 120.0, 'the node')
    finally:
        graph.close()
    node.interrupt()
    assert node.wait(60.0) == 0
    assert 'nothing was evaluated, so there is no report: no frame on /depth/image came' in node.output
    assert not (out / 'report.html').exists() and 'Traceback' not in node.output


def test_a_folder_that_cannot_be_made_is_a_failure_of_configure(graph, tmp_path):
    (tmp_path / 'file').touch()
    node = graph.add(EvaluationNode(namespace='nowhere', context=graph.context, parameter_overrides=[
        Parameter('report_dir', value=str(tmp_path / 'file' / 'below'))]))
    wait_until(lambda: node.failure and node.state == 'unconfigured', what='a failure')
    assert 'file' in node.failure and '\n' not in node.failure
    graph.remove(node)
