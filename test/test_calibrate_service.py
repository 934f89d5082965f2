"""The service that finds the scale of a live camera: by tape, by a target, by the road, by odometry; and keeps it."""
import math
import threading

import numpy as np
import pytest
import scale_street as street
from adaptation_world import CAMERA, PERIOD_NS, DepthMap, LabelMap, Pyramid, pose, view
from node_parts import TYPES
from plane_world import HEIGHT_M
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile
from ros_graph import Graph, wait_until
from tiny_model import write_models

from semdepth_ros.bridge.calibrate import ODOMETRY, POINTS, order_from, sentence
from semdepth_ros.bridge.camera_info import make_camera_info
from semdepth_ros.bridge.images import make_image
from semdepth_ros.bridge.messages import make_header
from semdepth_ros.classes import CITYSCAPES
from semdepth_ros.frame import Frame
from semdepth_ros.frame_perception import Scale
from semdepth_ros.model_file import InputRule, ModelCard
from semdepth_ros.networks import JointNetwork
from semdepth_ros.networks.guidance.plain import Plain
from semdepth_ros.nodes import perceiving
from semdepth_ros.nodes.calibration_methods import Road
from semdepth_ros.nodes.perception import PerceptionNode
from semdepth_ros.perception import Perceptor
from semdepth_ros.scale import Mount
from semdepth_ros.scale.camera_store import cameras_folder, stored_scale
from semdepth_ros.srv import Calibrate

STREET = street.Street(1.4, 5.0)
TRUE_SCALE, LOOP = 1.6, 80      # the drive begins anew after so many frames, as the corridor ends
FACTORY = 'f' * 64


def perceptor(bend=0.0):
    """Return a real Perceptor of a network that sees every image as the corridor, nearer than it is."""
    _, depth, labels = view(0.0)
    perceived = np.minimum(depth, 40.0) / TRUE_SCALE * (np.minimum(depth, 40.0) / 4) ** bend
    depth_range = (0.2, 60.0)
    architecture = {'encoder': 'pyramid', 'depth_range': list(depth_range), 'classes': 19, 'shared_decoder': 0}
    network = JointNetwork(architecture, Pyramid(), DepthMap(perceived, depth_range), LabelMap(labels), Plain(None, None), None)
    card = ModelCard(architecture, name='corridor', focal_px=CAMERA.fx, input=InputRule(pixels=128 * 64),
                     depth_range_m=depth_range, factory=FACTORY)
    return Perceptor(network.eval(), card, device='cpu', precision='float32')


class Robot:
    """Sends the corridor's images, calibration and odometry, faster than real time, until it is stopped."""

    def __init__(self, graph):
        self.graph, self.node = graph, graph.node('robot')
        self.publishers = [self.node.create_publisher(TYPES.message_class(kind), topic, QoSProfile(depth=10)) for kind, topic in (
            ('nav_msgs/msg/Odometry', 'odometry'), ('sensor_msgs/msg/CameraInfo', 'camera_info'),
            ('sensor_msgs/msg/Image', 'image'))]
        self.client = self.node.create_client(Calibrate, 'perception/calibrate')
        self.depth = []
        self.number, self.moves, self.camera, self.gain, self._end = 0, False, CAMERA, 1.0, threading.Event()
        self._thread = threading.Thread(target=self._drive, daemon=True)

    def _drive(self):
        place = 0
        while not self._end.wait(0.03):
            stamp = 1_000_000_000 + self.number * PERIOD_NS
            self.number += 1
            place += self.moves
            odometry = TYPES.message_class('nav_msgs/msg/Odometry')(header=make_header(TYPES, stamp, 'odom'), child_frame_id='base')
            odometry.pose.pose.position.z = float(self.gain * pose(place)[2, 3])
            header = make_header(TYPES, stamp, 'lens')
            self.publishers[0].publish(odometry)
            if self.camera:
                self.publishers[1].publish(make_camera_info(TYPES, header, self.camera))
            self.publishers[2].publish(make_image(TYPES, header, view((place % LOOP) * 0.45)[0], 'rgb8'))

    def start(self):
        assert self.client.wait_for_service(20.0)
        self._thread.start()

    def stop(self):
        self._end.set()
        self._thread.join(10.0)

    def ask(self, **fields):
        return self.client.call_async(Calibrate.Request(**fields))

    def answer(self, **fields):
        future = self.ask(**fields)
        wait_until(future.done, 60.0, 'an answer')
        return future.result()


@pytest.fixture(scope='module')
def parts(tmp_path_factory):
    """Return a robot and the perception node beside it."""
    graph, patch = Graph(), pytest.MonkeyPatch()
    folder = tmp_path_factory.mktemp('calibrate')
    patch.setenv('ROS_HOME', str(folder))
    patch.setattr(perceiving.Perceptor, 'from_file', classmethod(lambda cls, file, **options: perceptor()))
    node = graph.add(PerceptionNode(context=graph.context, parameter_overrides=[
        Parameter('model', value=str(write_models(folder, 1)[0])), Parameter('device', value='cpu')]))
    wait_until(lambda: node.state == 'active', 30.0, 'active')
    robot = Robot(graph)
    robot.start()
    yield robot, node
    robot.stop()
    graph.close()
    patch.undo()


@pytest.fixture
def robot(parts):
    robot, node = parts
    robot.moves, robot.camera, robot.gain = False, CAMERA, 1.0
    yield robot
    wait_until(lambda: not node.work.calibrating.wants(''), 20.0, 'the calibration to have ended')


def tape(*pixels):
    """Return x, y and distance of pixels, as a tape measure has them from the lens."""
    _, depth, _ = view(0.0)
    rays = [np.append(CAMERA.undistort([pixel])[0], 1.0) for pixel in pixels]
    return {'x': [float(x) for x, _ in pixels], 'y': [float(y) for _, y in pixels],
            'distance': [float(depth[y, x] * np.linalg.norm(ray)) for (x, y), ray in zip(pixels, rays)]}


NEAR_AND_FAR = [(64, 60), (20, 40), (100, 58), (30, 30), (90, 34)]


def test_a_tape_measure_says_the_scale_and_it_is_kept_and_applied_at_once(robot, parts):
    found = robot.answer(method=POINTS, apply=True, **tape(*NEAR_AND_FAR))
    assert found.success and found.scale == pytest.approx(TRUE_SCALE, rel=0.03) and 0.05 < found.sigma < 0.15
    assert found.measurements == 5 and len(found.residual_from) == len(found.residual_error) >= 2
    assert all(abs(error) < 0.1 for error in found.residual_error)
    assert 'known to' in found.message and found.file in found.message and '\n' not in found.message
    kept = stored_scale('lens', CAMERA, FACTORY, cameras_folder())
    assert (kept.scale, kept.sigma, kept.how) == (found.scale, found.sigma, '5 measured points')
    _, node = parts
    assert node.values['scale_source'] == 'stored'
    heard = []
    subscription = robot.node.create_subscription(TYPES.message_class('sensor_msgs/msg/Image'), 'depth/image', heard.append, 5)
    wait_until(lambda: heard, 20.0, 'depth')
    camera = node.work.cameras['']
    wait_until(lambda: camera.published and camera.published.metric, 20.0, 'depth to be metric')
    assert camera.published.value == found.scale
    again = robot.answer(method=POINTS, dry_run=True, **tape(*NEAR_AND_FAR))        # what is measured is the network's own
    assert again.scale == pytest.approx(found.scale, rel=1e-4) and again.file == '' and again.success
    robot.graph.call(lambda: robot.node.destroy_subscription(subscription))
    node.set_parameters([Parameter('scale_source', value='none')])


def test_targets_at_several_distances_are_counted_together_and_one_alone_says_little(robot):
    wall = [10.0, 20.0, 14.0, 34.0]         # narrow enough to be nearly at one distance
    depth = float(np.median(view(0.0)[1][20:34, 10:14]))
    one = robot.answer(method=2, distance=[depth], region=wall, dry_run=True)
    assert one.success and one.scale == pytest.approx(TRUE_SCALE, rel=0.05) and one.sigma > 0.15
    assert 'too little to call depth metric' in one.message
    more = robot.answer(method=2, distance=[depth], region=wall, dry_run=True, more=True)
    assert more.measurements == 2 and more.sigma < one.sigma
    fresh = robot.answer(method=2, distance=[depth], region=wall, dry_run=True)
    assert fresh.measurements == 1
    floor = robot.answer(method=2, distance=[5.0], region=[50.0, 30.0, 80.0, 63.0], dry_run=True)
    assert not floor.success and 'does not look flat' in floor.message and math.isnan(floor.scale)


def test_odometry_over_a_short_drive_says_the_scale_while_every_frame_is_published(robot, parts):
    _, node = parts
    robot.moves, heard = True, []
    subscription = robot.node.create_subscription(TYPES.message_class('sensor_msgs/msg/Image'), 'depth/image', heard.append, 50)
    wait_until(lambda: heard, 20.0, 'depth')
    before = node.work.cameras[''].statistics.total('perceived')
    found = robot.answer(method=ODOMETRY, travel=8.0, duration=50.0, camera_in_base=[0.0] * 6 + [1.0])
    assert found.success, found.message
    assert found.scale == pytest.approx(TRUE_SCALE, rel=0.08) and 'odometry over 8' in found.message
    assert found.measurements > 50 and found.file
    statistics = node.work.cameras[''].statistics
    assert not statistics.total('failed') and statistics.total('perceived') - before >= 18      # 8 m in steps of 0.45
    flicker = node.work.cameras[''].flicker
    wait_until(lambda: flicker.value == flicker.value, 40.0, 'enough pairs of frames to say how depth flickers')
    assert 0 <= flicker.value < 0.05                                    # of a network that says the same whatever it sees
    robot.graph.call(lambda: robot.node.destroy_subscription(subscription))


def test_without_a_subscriber_images_are_taken_for_as_long_as_it_takes(robot, parts):
    _, node = parts
    robot.moves = True
    wait_until(lambda: not node.work.cameras[''].input.is_open, 20.0, 'nobody to subscribe')
    asked = robot.ask(method=ODOMETRY, travel=1000.0, duration=100.0, camera_in_base=[0.0] * 6 + [1.0], dry_run=True)
    wait_until(lambda: node.work.cameras[''].input.is_open, 20.0, 'images to be subscribed to')
    refused = robot.answer(method=POINTS, **tape((64, 60)))
    assert not refused.success and 'is being calibrated by ODOMETRY' in refused.message
    start = robot.number
    wait_until(lambda: robot.number > start + 25, 30.0, 'some way')
    finished = robot.answer(method=0)               # from what has been collected
    wait_until(asked.done, 20.0, 'the answer to who asked first')
    assert finished == asked.result() and finished.success, finished.message
    wait_until(lambda: not node.work.cameras[''].input.is_open, 20.0, 'images to be left alone')
    nothing = robot.answer(method=0)
    assert not nothing.success and 'nothing is being collected' in nothing.message


def test_odometry_that_contradicts_the_images_or_has_no_mount_is_said(robot):
    robot.moves = True
    no_mount = robot.answer(method=ODOMETRY, duration=1.5)
    assert not no_mount.success and "no transform from 'base' to 'lens'" in no_mount.message
    turned = [0.0, 0.0, 0.0, 0.0, math.sin(0.35), 0.0, math.cos(0.35)]              # 40 degrees to the side
    wrong = robot.answer(method=ODOMETRY, travel=8.0, duration=30.0, camera_in_base=turned)
    assert not wrong.success and 'images and odometry contradict each other' in wrong.message and not wrong.file
    robot.moves = False
    stands = robot.answer(method=ODOMETRY, duration=1.0, camera_in_base=[0.0] * 6 + [1.0])
    assert not stands.success and 'no two frames 1 to 4 m apart' in stands.message


def test_bent_depth_is_said_to_be_beyond_a_scale(robot, parts, monkeypatch):
    _, node = parts
    bent = perceptor(bend=0.5)
    monkeypatch.setattr(node.work.frames, '_perceptor', bent)
    found = robot.answer(method=POINTS, **tape(*NEAR_AND_FAR, (56, 26), (70, 26)))
    assert not found.success and 'depth is bent, and no scale mends that' in found.message and not found.file
    assert found.bend < -0.2


def test_the_road_below_a_known_height_says_the_scale_by_the_street(robot, parts):
    robot.moves = True
    found = robot.answer(method=3, height=HEIGHT_M, duration=2.0, dry_run=True)
    assert not found.success and 'planes of the road' in found.message or 'views' in found.message


def test_the_service_s_way_by_the_road_waits_for_the_height_and_ends_when_it_is_sure():
    mounts, frame = [None], Frame(np.zeros((street.CAMERA.height, street.CAMERA.width, 3), np.uint8), 'rgb', street.CAMERA, 0, 'lens')
    road = Road(lambda frame_id: mounts[0], CITYSCAPES)
    with pytest.raises(ValueError, match='neither the call, nor camera_height_m, nor TF'):
        road.take(frame, street.perceived(STREET, 0.0))
    with pytest.raises(ValueError, match='no image has come'):
        road.answer()
    mounts[0] = Mount(1.4)
    for i in range(400):
        if road.done:
            break
        road.take(frame, street.perceived(STREET, 1.6 * i, Scale(1.0), i / 5, 1.5, noise=0.02))
        mounts[0] = Mount(1.4, STREET.tilt)                                     # TF has come meanwhile
    found, views, how = road.answer()
    assert road.done and found.scale == pytest.approx(1.5, rel=0.03) and not found.doubt and found.residuals
    assert views >= 24 and 'camera height' in how
    assert 'known to' in sentence(found, how) and 'from 3 to 6 m' in sentence(found, how)


@pytest.mark.parametrize('fields, words', [
    ({'method': 9}, 'method is 9'), ({'method': 1, 'camera': 'left'}, "camera is 'left'"), ({'method': 1}, 'x, y and distance'),
    ({'method': 1, 'x': [1.0], 'y': [1.0], 'distance': [-1.0]}, 'distance is -1 m'),
    ({'method': 2, 'distance': [1.0, 2.0]}, 'distance has 2 numbers'),
    ({'method': 2, 'distance': [1.0], 'region': [5.0, 1.0, 2.0, 3.0]}, 'left, top, right, bottom'),
    ({'method': 4, 'camera_in_base': [1.0]}, 'seven numbers'), ({'method': 4, 'camera_in_base': [0.0] * 7}, 'quaternion'),
    ({'method': 3, 'height': float('nan')}, 'height is nan'), ({'method': 4, 'duration': 1e9}, 'duration is 1e')])
def test_what_cannot_be_asked_is_refused_in_one_line(fields, words):
    with pytest.raises(ValueError, match=words) as error:
        order_from(Calibrate.Request(**fields), [''])
    assert '\n' not in str(error.value)


def test_points_that_are_not_there_and_a_camera_that_is_not_known_are_said(robot, parts):
    out = robot.answer(method=POINTS, x=[900.0], y=[1.0], distance=[2.0], duration=1.0)
    assert not out.success and 'outside the image of 128x64' in out.message


def test_a_node_that_is_switched_off_says_so(robot, parts):
    _, node = parts
    node._enabled = False
    assert 'disabled' in robot.answer(method=POINTS, **tape((64, 60))).message
    node._enabled = True
    asked = robot.ask(method=ODOMETRY, travel=1000.0, duration=100.0, camera_in_base=[0.0] * 6 + [1.0])
    wait_until(lambda: node.work.calibrating.wants(''), 20.0, 'it to begin')
    robot.graph.call(node.trigger_deactivate)
    wait_until(asked.done, 20.0, 'an answer')
    assert 'deactivated meanwhile' in asked.result().message and not asked.result().success
    assert 'not active' in robot.answer(method=POINTS, **tape((64, 60))).message
    robot.graph.call(node.trigger_activate)
