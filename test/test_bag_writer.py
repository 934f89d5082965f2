"""Bags: what is written can be read by anybody, and nothing half-written stays."""
from dataclasses import dataclass, replace
import sqlite3

import numpy as np
import pytest
from rosbags.highlevel import AnyReader
from rosbags.typesys import Stores, get_typestore

from semdepth_ros.bags.bag_path import BagError
from semdepth_ros.bags.bag_reader import BagReader, Topic
from semdepth_ros.bags.bag_writer import BagWriter
from semdepth_ros.bags.rosbags_types import rosbags_types
from semdepth_ros.bridge.transforms import BODY_FROM_OPTICAL, quaternion
from semdepth_ros.data import open_data
from semdepth_ros.data.sample import Sample
from semdepth_ros.geometry.camera import Camera
from semdepth_ros.recordings.sequence_bag import write_drive_bag, write_sequence_bag

CAMERA = Camera(8, 6, 10.0, 11.0, 3.5, 2.5)
SECOND = 1_000_000_000


@dataclass
class Frames:
    """A sequence held in memory."""

    samples: list
    camera: Camera | None = CAMERA
    name: str = 'frames'

    def __len__(self):
        return len(self.samples)

    def __getitem__(self, index):
        return self.samples[index]


@dataclass
class DriveFrame:
    image: np.ndarray
    depth: np.ndarray
    labels: np.ndarray
    odometry_pose: np.ndarray
    odometry_twist: tuple
    camera_in_base: np.ndarray
    stamp_ns: int


class Drive:
    """A drive as semdepth_ros.world has them, straight ahead at 5 m/s."""

    camera = CAMERA

    def __len__(self):
        return 3

    def render(self, indices):
        return [self._frame(i) for i in indices]

    def _frame(self, i):
        pose, mount = np.eye(4), BODY_FROM_OPTICAL.copy()
        pose[0, 3], mount[:3, 3] = 0.5 * i, (1.7, 0, 1.5)
        image = np.full((6, 8, 3), 40 * i + np.arange(3), np.uint8)
        depth = np.where(np.arange(8) < 4, np.float32(7 + i), np.float32(np.inf)) * np.ones((6, 1), np.float32)
        return DriveFrame(image, depth, np.full((6, 8), i, np.uint8), pose, (5.0, 0.1), mount, i * SECOND // 10)


def frames(count=3, **more):
    rng = np.random.default_rng(1)
    return Frames([Sample(f'{i}', rng.integers(0, 255, (6, 8, 3), np.uint8), CAMERA, i * SECOND // 10, **more)
                   for i in range(count)])


@pytest.mark.parametrize('name', ['x.mcap', 'x.db3', 'x'])
def test_a_bag_of_every_form_brings_its_own_definitions_and_leaves_nothing_beside_it(tmp_path, name):
    write_sequence_bag(tmp_path / name, frames(), compressed=False)
    assert [p.name for p in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).is_dir() == (name == 'x')
    with AnyReader([tmp_path / name]) as reader:  # no default types: only what the bag itself defines
        images = [reader.deserialize(data, c.msgtype) for c, _, data in reader.messages() if c.topic == '/image']
    assert [m.encoding for m in images] == ['rgb8'] * 3
    assert (images[2].data.reshape(6, 8, 3) == frames()[2].image).all()


def test_an_mcap_file_is_whole_from_magic_to_magic_and_names_itself(tmp_path):
    write_sequence_bag(tmp_path / 'x.mcap', frames())
    data = (tmp_path / 'x.mcap').read_bytes()
    assert data.startswith(b'\x89MCAP0\r\n') and data.endswith(b'\x89MCAP0\r\n')
    assert b'serialized_metadata' in data and b'- x.mcap' in data


def test_an_sqlite_file_holds_rosbag2s_tables(tmp_path):
    write_sequence_bag(tmp_path / 'x.db3', frames())
    with sqlite3.connect(tmp_path / 'x.db3') as base:
        topics = dict(base.execute('SELECT name, type FROM topics'))
        assert topics['/image'] == 'sensor_msgs/msg/Image'
        assert base.execute('SELECT count(*) FROM messages').fetchone() == (9,)
        (text,), = base.execute("SELECT encoded_message_definition FROM message_definitions "
                                "WHERE topic_type LIKE '%/Image'")
        assert 'uint8[] data' in text


@pytest.mark.parametrize('name', ['x.mcap', 'x.db3', 'x'])
def test_a_bag_that_fails_halfway_is_not_there(tmp_path, name):
    with pytest.raises(ZeroDivisionError), BagWriter(tmp_path / name) as bag:
        bag.write('/clock', bag.types.make('rosgraph_msgs/msg/Clock'), 1)
        raise ZeroDivisionError
    assert not list(tmp_path.iterdir())


def test_a_bag_that_is_stopped_while_it_is_opened_leaves_nothing(tmp_path, monkeypatch):
    def stopped(writer):
        assert len(list(tmp_path.iterdir())) == 1
        raise KeyboardInterrupt
    monkeypatch.setattr('semdepth_ros.bags.bag_writer.Writer.open', stopped)
    with pytest.raises(KeyboardInterrupt), BagWriter(tmp_path / 'drive.mcap'):
        pytest.fail('it was entered')
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize('name', ['x.mcap', 'x.db3', 'x'])
def test_a_bag_is_replaced_only_when_asked_and_stays_when_the_new_one_fails(tmp_path, name):
    write_sequence_bag(tmp_path / name, frames(3))
    with pytest.raises(BagError, match='exists already'):
        write_sequence_bag(tmp_path / name, frames(2))
    with pytest.raises(ZeroDivisionError), BagWriter(tmp_path / name, replace=True):
        raise ZeroDivisionError
    assert len(open_data(tmp_path / name)[0]) == 3
    write_sequence_bag(tmp_path / name, frames(2), replace=True)
    assert len(open_data(tmp_path / name)[0]) == 2


def test_what_is_no_bag_is_never_replaced(tmp_path):
    (tmp_path / 'photos').mkdir()
    with pytest.raises(BagError, match='is not a bag'):
        BagWriter(tmp_path / 'photos', replace=True)
    with pytest.raises(BagError, match=r"suffix '.bag', expected .mcap, .db3 or none"):
        BagWriter(tmp_path / 'x.bag')


def test_a_drive_comes_back_as_it_was_rendered(tmp_path):
    write_drive_bag(tmp_path / 'drive.mcap', Drive())
    sequence, = open_data(tmp_path / 'drive.mcap')
    assert len(sequence) == 3 and sequence.camera == CAMERA
    for i, expected in enumerate(Drive().render(range(3))):
        sample = sequence[i]
        assert (sample.image == expected.image).all() and (sample.labels == expected.labels).all()
        assert (sample.depth == expected.depth).all()
        assert sample.stamp_ns == SECOND + expected.stamp_ns
        assert np.allclose(sample.pose, expected.odometry_pose @ expected.camera_in_base, atol=1e-9)


def test_a_drives_transforms_lead_from_odom_over_base_link_to_the_optical_frame(tmp_path):
    write_drive_bag(tmp_path / 'drive.mcap', Drive())
    with BagReader(tmp_path / 'drive.mcap') as bag:
        assert bag.topics['/tf_static'].qos.durability == 'transient_local'
        found = {(t.header.frame_id, t.child_frame_id): t.transform
                 for topic, _, data in bag.messages(['/tf', '/tf_static'])
                 for t in bag.deserialize(data, topic.type).transforms}
        odometry = [bag.deserialize(d, t.type) for t, _, d in bag.messages(['/odometry'])]
    assert set(found) == {('odom', 'base_link'), ('base_link', 'camera_optical')}
    mount = found['base_link', 'camera_optical'].translation
    assert (mount.x, mount.y, mount.z) == (1.7, 0, 1.5)
    assert odometry[1].twist.twist.linear.x == 5.0 and odometry[1].twist.twist.angular.z == 0.1
    assert odometry[1].child_frame_id == 'base_link' and odometry[1].pose.pose.position.x == 0.5


def test_compressed_images_are_jpeg_and_keep_their_colours(tmp_path):
    write_drive_bag(tmp_path / 'drive.mcap', Drive(), compressed=True)
    sequence, = open_data(tmp_path / 'drive.mcap')
    assert sequence.topics.image == '/image/compressed'
    assert np.abs(sequence[1].image.astype(int) - [40, 41, 42]).max() <= 2


def test_poses_of_a_bare_camera_are_kept_relative_to_the_first(tmp_path):
    turn = np.eye(4)
    turn[:3, :3] = [[0, 0, 1], [0, 1, 0], [-1, 0, 0]]
    turn[:3, 3] = 4, 0, 2
    start = np.eye(4)
    start[:3, 3] = 100, -3, 50
    samples = [replace(s, pose=start @ p) for s, p in zip(frames(2).samples, (np.eye(4), turn))]
    write_sequence_bag(tmp_path / 'x.mcap', Frames(samples))
    sequence, = open_data(tmp_path / 'x.mcap')
    assert np.allclose(np.linalg.inv(sequence[0].pose) @ sequence[1].pose, turn, atol=1e-9)


def test_distortion_travels_in_camera_info(tmp_path):
    eight = (0.1, -0.2, 0.0, 0.01, 0.3, 0.4, 0.5, 0.6)
    lens = replace(CAMERA, distortion_model='rational_polynomial', distortion=eight)
    write_sequence_bag(tmp_path / 'x.mcap', Frames([replace(s, camera=lens) for s in frames().samples], lens))
    assert open_data(tmp_path / 'x.mcap')[0].camera == lens


def test_a_rate_replaces_the_sequences_own_times(tmp_path):
    write_sequence_bag(tmp_path / 'x.mcap', frames(), rate_hz=4)
    sequence, = open_data(tmp_path / 'x.mcap')
    assert [sequence[i].stamp_ns for i in range(3)] == [SECOND, SECOND + SECOND // 4, SECOND + SECOND // 2]
    with pytest.raises(ValueError, match='rate is 0 Hz'):
        write_sequence_bag(tmp_path / 'y.mcap', frames(), rate_hz=0)


def test_parts_without_truth_have_no_topic(tmp_path):
    write_sequence_bag(tmp_path / 'x.mcap', Frames([replace(s, camera=None) for s in frames().samples], None))
    with BagReader(tmp_path / 'x.mcap') as bag:
        assert set(bag.topics) == {'/image', '/clock'}


def test_made_messages_have_the_defaults_and_hashes_of_ros():
    types = rosbags_types()
    pose = types.make('geometry_msgs/msg/Pose')
    assert (pose.orientation.w, pose.orientation.x, pose.position.z) == (1.0, 0.0, 0.0)
    assert types.definition('sensor_msgs/msg/Image')[1].endswith('9582527d47')
    assert types.has('vision_msgs/msg/LabelInfo') and types.has('semdepth_ros/msg/ModelInfo')
    assert not types.has('nav2_msgs/msg/Costmap')
    with pytest.raises(ValueError, match="no field 'colour'"):
        types.make('sensor_msgs/msg/Image', colour='red')
    with pytest.raises(ValueError, match="'x/msg/Y' is unknown"):
        types.make('x/msg/Y')


def test_every_known_message_can_be_made_serialised_and_read():
    types, own = rosbags_types(), get_typestore(Stores.ROS2_KILTED)
    for name in types.store.fielddefs:
        data = types.serialize(types.make(name))
        if name in own.fielddefs:
            own.deserialize_cdr(data, name)


def test_messages_are_known_by_rclpy_byte_for_byte():
    pytest.importorskip('rclpy', reason='no ROS 2 in this environment')
    from rclpy.serialization import deserialize_message
    from sensor_msgs.msg import CameraInfo
    types = rosbags_types()
    made = types.make('sensor_msgs/msg/CameraInfo', width=640, k=np.arange(9.0), d=np.array([0.5, 0.25]),
                      header=types.make('std_msgs/msg/Header', frame_id='lens'))
    read = deserialize_message(bytes(types.serialize(made)), CameraInfo)
    assert (read.width, read.header.frame_id, list(read.d), list(read.k)) == (640, 'lens', [0.5, 0.25], list(range(9)))


def test_an_unknown_type_cannot_be_put_into_a_bag(tmp_path):
    with BagWriter(tmp_path / 'x.mcap') as bag, pytest.raises(ValueError, match='definition cannot be put in a bag'):
        bag.add_topic(Topic('/costmap', 'nav2_msgs/msg/Costmap'))


def test_a_quaternion_turns_as_its_matrix_does():
    from scipy.spatial.transform import Rotation as rotation
    for seed in range(20):
        turn = rotation.random(rng=seed)
        q = quaternion(turn.as_matrix())
        assert q[3] >= 0 and np.allclose(np.abs(q @ turn.as_quat()), 1, atol=1e-12)
    assert np.allclose(quaternion(np.diag([1.0, -1, -1])), [1, 0, 0, 0])
