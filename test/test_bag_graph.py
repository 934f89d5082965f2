"""Playing bags into a ROS 2 graph and recording from it."""
import importlib.util
import threading
import time

import numpy as np
import pytest
import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import String

from semdepth_ros.bags.bag_reader import BagReader
from semdepth_ros.bags.bag_writer import BagWriter
from semdepth_ros.data import open_data
from semdepth_ros.data.sample import Sample
from semdepth_ros.geometry.camera import Camera
from semdepth_ros.live.player import BagPlayer
from semdepth_ros.live.recorder import BagRecorder
from semdepth_ros.recordings.sequence_bag import write_sequence_bag

CAMERA = Camera(320, 240, 300.0, 300.0, 159.5, 119.5)  # 230 kB an image
PERIOD_NS = 50_000_000
COUNT = 8


class Frames:
    camera, name = CAMERA, 'frames'

    def __len__(self):
        return COUNT

    def __getitem__(self, index):
        image = np.random.default_rng(index).integers(0, 255, (240, 320, 3), np.uint8)
        return Sample(str(index), image, CAMERA, index * PERIOD_NS, pose=np.eye(4))


@pytest.fixture(scope='module')
def bag(tmp_path_factory):
    path = tmp_path_factory.mktemp('bags') / 'frames.mcap'
    write_sequence_bag(path, Frames())
    return path


class Graph:
    """A node that spins on a thread of its own until left."""

    def __init__(self, name):
        self.context = rclpy.Context()
        rclpy.init(context=self.context)
        self.node = rclpy.create_node(name, context=self.context)
        self.executor = SingleThreadedExecutor(context=self.context)
        self.executor.add_node(self.node)
        self.thread = threading.Thread(target=self.executor.spin)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.executor.shutdown()
        self.thread.join()
        self.node.destroy_node()
        rclpy.shutdown(context=self.context)


def wait_until(condition, timeout_s=20.0):
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, 'waited in vain'
        time.sleep(0.02)


def test_the_player_publishes_every_message_as_it_was_recorded(bag, processes):
    images, infos = [], []
    with Graph('listener') as graph:
        graph.node.create_subscription(Image, '/image', images.append, 50)
        graph.node.create_subscription(CameraInfo, '/camera_info', infos.append, 50)
        child = processes.python('-m', 'semdepth_ros.live.player', bag, '--wait', '20')
        assert child.wait() == 0, child.output
        wait_until(lambda: len(images) == len(infos) == COUNT)
    sequence, = open_data(bag)
    for i, message in enumerate(images):
        assert message.header == infos[i].header and message.header.frame_id == 'camera_optical'
        assert message.header.stamp.sec * 10**9 + message.header.stamp.nanosec == sequence[i].stamp_ns
        assert (np.frombuffer(message.data, np.uint8).reshape(240, 320, 3) == sequence[i].image).all()


def test_the_player_takes_at_least_the_recordings_time_and_twice_that_at_half_rate(bag):
    duration_s = (COUNT - 1) * PERIOD_NS * 1e-9
    with Graph('source') as graph:
        player = BagPlayer(graph.node, str(bag), ['/camera_info'])
        for rate in (1.0, 0.5):
            start = time.monotonic()
            assert player.play(rate)
            assert time.monotonic() - start >= duration_s / rate - 1e-3
        with pytest.raises(ValueError, match='rate is 0, expected a positive number'):
            player.play(0)


def test_the_player_stops_when_told(bag):
    with Graph('source') as graph:
        stop, played = threading.Event(), []
        player = BagPlayer(graph.node, str(bag), ['/camera_info'])
        assert not player.play(1.0, stop, lambda topic, stamp_ns, data: (played.append(stamp_ns), stop.set()))
        assert len(played) == 1


def test_the_player_names_what_it_cannot_play(bag):
    with Graph('source') as graph:
        player = BagPlayer(graph.node, str(bag))
        installed = importlib.util.find_spec('tf2_msgs') is not None
        assert player.left_out == ([] if installed else ['/tf', '/tf_static'])
        assert ('/tf' in player.publishers) == installed
        with pytest.raises(ValueError, match=r"has no topic '/picture'; topics: /camera_info, /clock"):
            BagPlayer(graph.node, str(bag), ['/picture'])


def test_the_player_gives_the_time_of_a_bag_without_a_clock(tmp_path):
    with BagWriter(tmp_path / 'x.mcap') as writer:
        for i in (1, 2, 2, 3):
            writer.write('/word', writer.types.make('std_msgs/msg/String', data=str(i)), i * 10**9)
    times, words = [], []
    from rosgraph_msgs.msg import Clock
    with Graph('source') as graph:
        graph.node.create_subscription(Clock, '/clock', lambda m: times.append(m.clock.sec), 10)
        graph.node.create_subscription(String, '/word', lambda m: words.append(m.data), 10)
        player = BagPlayer(graph.node, str(tmp_path / 'x.mcap'), clock=True)
        assert player.wait_for_subscribers(['/word'], 20.0, threading.Event()) == []
        wait_until(lambda: graph.node.count_subscribers('/clock'))
        player.play(rate=20)
        wait_until(lambda: len(words) == 4)
    assert times == [1, 2, 3]


def test_the_recorder_keeps_what_it_hears_and_files_it_under_its_stamp(bag, tmp_path):
    arrived = []
    with Graph('listener') as graph, BagWriter(tmp_path / 'x.mcap') as writer:
        recorder = BagRecorder(graph.node, writer, by_stamp=True)
        recorder.record('/image', 'sensor_msgs/msg/Image', every=2, arrived=arrived.append)
        recorder.record('/camera_info', 'sensor_msgs/msg/CameraInfo')
        player = BagPlayer(graph.node, str(bag), ['/image', '/camera_info'])
        assert player.wait_for_subscribers(['/image', '/camera_info'], 20.0, threading.Event()) == []
        player.play()
        wait_until(lambda: recorder.counts == {'/image': COUNT, '/camera_info': COUNT})
        recorder.stop()
    with BagReader(tmp_path / 'x.mcap') as ours, BagReader(bag) as theirs:
        expected = [(t.name, stamp, data) for t, stamp, data in theirs.messages(['/image', '/camera_info'])]
        found = [(t.name, stamp, data) for t, stamp, data in ours.messages()]
    kept = [m for m in expected if m[0] == '/camera_info'] + [m for m in expected if m[0] == '/image'][::2]
    assert sorted(found) == sorted(kept)
    assert arrived == [stamp for name, stamp, _ in expected if name == '/image']


def test_the_recorders_process_closes_its_bag_on_the_second_ctrl_c_too(tmp_path, processes):
    with Graph('talker') as graph:
        publisher = graph.node.create_publisher(String, '/word', QoSProfile(
            depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL))
        publisher.publish(String(data='hello'))
        child = processes.python('-m', 'semdepth_ros.live.recorder', '/word', '--out', tmp_path / 'x.db3', '--wait', '20')
        wait_until(lambda: publisher.get_subscription_count())
        wait_until(lambda: any(tmp_path.glob('.x.db3.*.part')))
        time.sleep(0.3)
        child.interrupt()
        child.interrupt()
        assert child.wait() == 0, child.output
    with BagReader(tmp_path / 'x.db3') as recorded:
        (topic, _, data), = recorded.messages()
        assert recorded.deserialize(data, topic.type).data == 'hello'
        assert topic.qos.durability == 'transient_local'


def test_the_recorder_says_what_nobody_publishes(tmp_path, processes):
    child = processes.python('-m', 'semdepth_ros.live.recorder', '/silence', '--out', tmp_path / 'x.mcap', '--wait', '0.2')
    assert child.wait() == 2
    assert 'semdepth bag record: nobody publishes /silence (waited 0.2 s)' in child.output
    assert not list(tmp_path.glob('*.mcap')) and not list(tmp_path.glob('.*'))


def test_transforms_are_played_where_their_messages_are_installed(bag, overlays):
    from tf2_msgs.msg import TFMessage
    static, moving = [], []
    with Graph('source') as graph:
        player = BagPlayer(graph.node, str(bag))
        assert player.left_out == []
        latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        graph.node.create_subscription(TFMessage, '/tf', moving.append, 50)
        assert player.wait_for_subscribers(['/tf'], 20.0, threading.Event()) == []
        player.play(4.0)
        graph.node.create_subscription(TFMessage, '/tf_static', static.append, latched)  # late, and told all the same
        wait_until(lambda: len(moving) == COUNT and static)
    assert (moving[0].transforms[0].header.frame_id, moving[0].transforms[0].child_frame_id) == ('odom', 'base_link')
    assert static[0].transforms[0].child_frame_id == 'camera_optical'
