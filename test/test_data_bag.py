from dataclasses import replace
import pickle

import cv2
import numpy as np
import pytest

from semdepth_ros.bags.bag_reader import BagReader, Topic
from semdepth_ros.bags.bag_topics import choose_topics
from semdepth_ros.bags.bag_writer import BagWriter
from semdepth_ros.bridge.camera_info import make_camera_info
from semdepth_ros.bridge.images import make_depth_image
from semdepth_ros.bridge.messages import make_header
from semdepth_ros.bridge.transforms import make_odometry, make_transforms
from semdepth_ros.data import Sample, open_data, rectified, relative_pose
from semdepth_ros.data.bag import BagSequence
from semdepth_ros.geometry.camera import Camera
from semdepth_ros.recordings.excerpt import announce
from semdepth_ros.recordings.sequence_bag import write_sequence_bag
from semdepth_ros.training.recipe import DataEntry
from semdepth_ros.training.triplets import triplet_source

CAMERA = Camera(8, 6, 5.0, 6.0, 3.5, 2.5, 'plumb_bob', (0.1, 0.0, 0.0, 0.01, 0.0))
START_NS, STEP_NS = 1_700_000_000_123_456_789, 100_000_000


class Drive:
    """Four 8x6 samples with every part, moving forward and turning."""

    name, camera = 'drive', CAMERA

    def __len__(self):
        return 4

    def __getitem__(self, index):
        if index >= 4:
            raise IndexError
        rng = np.random.default_rng(index)
        pose = np.eye(4)
        pose[:3, :3] = cv2.Rodrigues(np.array([0, 0.1 * index, 0]))[0]
        pose[:3, 3] = 0.2 * index, 0, 1.1 * index
        image = rng.integers(0, 255, (6, 8, 3), dtype=np.uint8)
        depth = np.where(image[..., 0] > 200, np.inf, image[..., 1] + 0.3).astype(np.float32)
        labels = rng.integers(0, 19, (3, 6, 8), dtype=np.uint8)
        return Sample(f'{index:06d}', image, CAMERA, START_NS + index * STEP_NS, depth, *labels, pose)


@pytest.fixture(scope='module', params=['bag.mcap', 'bag.db3', 'bag'])
def bag(request, tmp_path_factory):
    """The drive as one of the three kinds of bag."""
    path = tmp_path_factory.mktemp('bags') / request.param
    write_sequence_bag(path, Drive())
    return path


def test_a_bag_returns_what_was_written_bit_for_bit(bag):
    sequence, = open_data(str(bag))
    assert (len(sequence), sequence.camera, sequence.name) == (4, CAMERA, 'bag')
    assert sequence.rate_hz == pytest.approx(10)
    for read, wrote in zip((sequence[i] for i in range(4)), Drive()):
        assert (read.stamp_ns, read.camera) == (wrote.stamp_ns, CAMERA)
        for part in ('image', 'depth', 'labels', 'noisy_labels', 'noisy_confidence'):
            np.testing.assert_array_equal(getattr(read, part), getattr(wrote, part), part)


def test_motion_between_frames_survives_odometry_and_tf(bag):
    read, wrote = BagSequence(bag), Drive()
    np.testing.assert_allclose(relative_pose(read[1], read[3]), relative_pose(wrote[1], wrote[3]), atol=1e-9)
    np.testing.assert_array_equal(read.poses[2], read[2].pose)


def test_frames_are_read_in_any_order_and_in_other_processes(bag):
    sequence = BagSequence(bag, parts=['labels'])
    assert sequence[3].depth is None
    copy = pickle.loads(pickle.dumps(sequence))
    for index in (2, 0, 3):
        np.testing.assert_array_equal(copy[index].labels, Drive()[index].labels)
    with pytest.raises(IndexError):
        sequence[4]


class Camera2D:
    """A camera at the left of a vehicle, its bag written message by message."""

    def __init__(self, path, topic='/cam/image_raw', static=True):
        with BagWriter(path) as bag:
            self.bag, self.types = bag, bag.types
            mount = np.array([[0., 0, 1, 1.5], [-1, 0, 0, 0.5], [0, -1, 0, 1.2], [0, 0, 0, 1]])
            if static:
                bag.write('/tf_static', make_transforms(self.types, START_NS, ('base', 'mast', np.eye(4)),
                                                        ('mast', 'optical', mount)), START_NS, latched=True)
            for i in range(5):
                stamp_ns = START_NS + i * STEP_NS
                pose = np.eye(4)
                pose[0, 3] = i
                odometry = make_odometry(self.types, self.header(stamp_ns, 'odom'), 'base', pose, 0, 0)
                bag.write('/odom', odometry, stamp_ns)
            for i in range(3):
                self.image(topic, START_NS + i * STEP_NS + STEP_NS // 4, np.full((6, 8, 3), 10 * i, np.uint8))

    def header(self, stamp_ns, frame='optical'):
        return make_header(self.types, stamp_ns, frame)

    def image(self, topic, stamp_ns, array):
        padded = np.zeros((6, 40), dtype=np.uint8)
        padded[:, :24] = array.reshape(6, 24)
        message = self.types.make('sensor_msgs/msg/Image', header=self.header(stamp_ns), height=6, width=8,
                                  encoding='bgr8', is_bigendian=0, step=40, data=padded.reshape(-1))
        self.bag.write(topic, message, stamp_ns + 7_000_000)


def test_poses_between_odometry_are_interpolated_and_moved_to_the_camera(tmp_path):
    Camera2D(tmp_path / 'a.mcap')
    sequence = BagSequence(tmp_path / 'a.mcap')
    assert sequence.camera is None
    np.testing.assert_allclose(sequence[1].pose[:3, 3], [1.25 + 1.5, 0.5, 1.2], atol=1e-9)
    np.testing.assert_allclose(relative_pose(sequence[0], sequence[2])[:3, 3], [0, 0, 2], atol=1e-9)
    np.testing.assert_array_equal(sequence[2].image, np.full((6, 8, 3), 20))


def test_odometry_without_a_mount_gives_no_pose_and_says_so(tmp_path, caplog):
    Camera2D(tmp_path / 'a.mcap', static=False)
    assert BagSequence(tmp_path / 'a.mcap')[0].pose is None
    assert "'base' to 'optical'" in caplog.text


def test_compressed_images_are_read(tmp_path):
    write_sequence_bag(tmp_path / 'a.mcap', Drive(), compressed=True)
    sequence = BagSequence(tmp_path / 'a.mcap')
    assert sequence.topics.image == '/image/compressed' and sequence.camera == CAMERA
    assert np.abs(sequence[0].image.mean(axis=(0, 1)) - Drive()[0].image.mean(axis=(0, 1))).max() < 12


IMAGE, COMPRESSED, INFO = (f'sensor_msgs/msg/{n}' for n in ('Image', 'CompressedImage', 'CameraInfo'))


@pytest.mark.parametrize('types, image, info', [
    ({'/a/image': IMAGE, '/b/image': IMAGE, '/b/camera_info': INFO}, '/b/image', '/b/camera_info'),
    ({'/b/image': IMAGE, '/b/image/compressed': COMPRESSED}, '/b/image', None),
    ({'/b/image/compressed': COMPRESSED, '/info': INFO}, '/b/image/compressed', '/info'),
    ({'/b/depth/image_raw': IMAGE, '/semantic/image': IMAGE, '/z': IMAGE}, '/z', None),
    ({'/b/image_raw/compressed': COMPRESSED, '/b/camera_info': INFO, '/camera_info': INFO}, '/b/image_raw/compressed',
     '/b/camera_info')])
def test_the_camera_is_found_by_type_and_name(types, image, info):
    topics = choose_topics(types)
    assert (topics.image, topics.camera_info) == (image, info)


@pytest.mark.parametrize('options, words', [
    ({'image_topic': '/nowhere'}, "'/nowhere'.*/image"), ({'image_topic': '/camera_info'}, 'CameraInfo, expected'),
    ({'depth': '/odometry'}, 'Odometry, expected'), ({'depth': '/elsewhere'}, "'/elsewhere'")])
def test_topics_that_are_not_there_are_named_with_those_that_are(bag, options, words):
    with pytest.raises(ValueError, match=words):
        BagSequence(bag, **options)


def test_a_bag_without_camera_images_says_what_it_has(tmp_path):
    with BagWriter(tmp_path / 'a.mcap') as bag:
        header = make_header(bag.types, 1, 'odom')
        bag.write('/odom', make_odometry(bag.types, header, 'base', np.eye(4), 0, 0), 1)
    with pytest.raises(ValueError, match='no camera image among the topics /odom'):
        BagSequence(tmp_path / 'a.mcap')


def test_truth_with_other_stamps_is_refused(tmp_path):
    class Late(Camera2D):
        def image(self, topic, stamp_ns, array):
            super().image(topic, stamp_ns, array)
            depth = self.types.make('sensor_msgs/msg/Image', header=self.header(stamp_ns + 1), height=6, width=8,
                                    encoding='32FC1', is_bigendian=0, step=32, data=np.zeros(192, np.uint8))
            self.bag.write('/truth/depth/image', depth, stamp_ns)

    Late(tmp_path / 'a.mcap')
    with pytest.raises(ValueError, match='/truth/depth/image has the stamp of an image'):
        BagSequence(tmp_path / 'a.mcap')


def test_camera_info_of_another_size_leaves_the_images_without_a_camera_and_says_both_sizes(tmp_path, caplog):
    class Smaller(Camera2D):
        def image(self, topic, stamp_ns, array):
            super().image(topic, stamp_ns, array)
            info = make_camera_info(self.types, self.header(stamp_ns), Camera(4, 3, 5.0, 5.0, 2, 1))
            self.bag.write('/cam/camera_info', info, stamp_ns)

    Smaller(tmp_path / 'a.mcap', static=False)
    sequence = BagSequence(tmp_path / 'a.mcap')
    assert sequence.camera is None and [sample.camera for sample in sequence] == [None] * 3
    assert caplog.text.count('camera_info is for 4x3, but the image is 8x6') == 1


def test_every_image_has_the_camera_of_its_own_camera_info_and_an_empty_first_one_is_none(tmp_path):
    """A camera that zooms on its way, whose driver begins with an empty message."""
    class Zooming(Camera2D):
        def image(self, topic, stamp_ns, array):
            super().image(topic, stamp_ns, array)
            step = (stamp_ns - START_NS) // STEP_NS
            info = make_camera_info(self.types, self.header(stamp_ns), replace(CAMERA, fx=5.0 + step))
            if step == 0:
                info.k[:], info.p[:], info.d = 0, 0, np.zeros(0)
            self.bag.write('/cam/camera_info', info, stamp_ns)

    Zooming(tmp_path / 'a.mcap', static=False)
    sequence = pickle.loads(pickle.dumps(BagSequence(tmp_path / 'a.mcap')))
    assert [sample.camera.fx for sample in sequence] == [6.0, 6.0, 7.0] and sequence.camera.fx == 6.0
    assert [sample.camera.is_distorted for sample in rectified(sequence)] == [False] * 3


def test_a_damaged_first_image_does_not_hide_the_camera(tmp_path):
    write_sequence_bag(tmp_path / 'whole.mcap', Drive(), compressed=True)
    with BagReader(tmp_path / 'whole.mcap') as reader, BagWriter(tmp_path / 'a.mcap') as writer:
        announce(reader, writer)
        first = True
        for topic, stamp_ns, data in reader.messages():
            if first and topic.name == '/image/compressed':
                message = reader.deserialize(data, topic.type)
                message.data, first = message.data[:100], False
                data = writer.types.serialize(message)
            writer.write_bytes(topic.name, data, stamp_ns)
    sequence = BagSequence(tmp_path / 'a.mcap')
    assert (sequence.camera, sequence.size, sequence[1].image.shape) == (CAMERA, (8, 6), (6, 8, 3))
    with pytest.raises(ValueError, match='cut off'):
        sequence[0]


class Recording(Camera2D):
    """Images and odometry at these times [steps after START_NS], in this order, at x = metres."""

    def __init__(self, path, steps, metres):
        with BagWriter(path) as bag:
            self.bag, self.types, self.now = bag, bag.types, START_NS
            for step, x in zip(steps, metres):
                pose = np.eye(4)
                pose[0, 3] = x
                stamp_ns, self.now = START_NS + round(step * STEP_NS), self.now + STEP_NS
                header = self.header(stamp_ns, 'odom')
                bag.write('/odom', make_odometry(self.types, header, 'optical', pose, 0, 0), self.now)
                self.image('/cam/image_raw', stamp_ns, np.full((6, 8, 3), x, np.uint8))

    def image(self, topic, stamp_ns, array):
        message = self.types.make('sensor_msgs/msg/Image', header=self.header(stamp_ns), height=6, width=8,
                                  encoding='bgr8', is_bigendian=0, step=24, data=array.reshape(-1))
        self.bag.write(topic, message, self.now)


def test_a_second_drive_whose_clock_was_set_back_follows_the_first(tmp_path, caplog):
    steps, metres = [0, 1, 2, 4, 3, 5, 6, 0.5, 1.5, 2.5, 3.5], [0, 1, 2, 4, 3, 5, 6, 100, 101, 102, 103]
    Recording(tmp_path / 'a.mcap', steps, metres)
    sequence = BagSequence(tmp_path / 'a.mcap')
    expected = [0, 1, 2, 3, 4, 5, 6, 100, 101, 102, 103]
    assert [int(sample.image.max()) for sample in sequence] == expected
    assert [pose[0, 3] for pose in sequence.poses] == expected
    assert 'a.mcap: the stamps of /cam/image_raw are set back 1 times' in caplog.text
    source = triplet_source(DataEntry('a', cache='none'), [sequence])
    assert source.targets[:, 1].tolist() == [1, 2, 3, 4, 5, 8, 9]


@pytest.mark.parametrize('data', [b'', b'\0\1\0\0', b'\0\1\0\0\1\0\0'])
def test_a_message_too_short_for_a_stamp_is_one_line(tmp_path, data):
    with BagWriter(tmp_path / 'a.mcap') as bag:
        bag.add_topic(Topic('/image', 'sensor_msgs/msg/Image'))
        bag.write_bytes('/image', data, 1)
    with pytest.raises(ValueError, match=f'a.mcap: a message of /image is damaged: it has {len(data)} bytes'):
        BagSequence(tmp_path / 'a.mcap')


def test_odometry_that_holds_no_pose_is_left_out(tmp_path, caplog, monkeypatch):
    def damaged(types, header, base, pose, *twist):
        message = whole(types, header, base, pose, *twist)
        if pose[0, 3] == 1:
            message.pose.pose.orientation.w = 0.0
        if pose[0, 3] == 3:
            message.pose.pose.position.x = float('nan')
        return message
    whole = make_odometry
    monkeypatch.setitem(globals(), 'make_odometry', damaged)
    Recording(tmp_path / 'a.mcap', range(5), range(5))
    assert [pose[0, 3] for pose in BagSequence(tmp_path / 'a.mcap').poses] == [0, 1, 2, 3, 4]
    assert 'a.mcap: 2 of 5 messages of /odom hold no pose and are left out' in caplog.text


def test_labels_that_are_no_train_ids_are_refused(tmp_path):
    class Ids(Drive):
        def __getitem__(self, index):
            return replace(super().__getitem__(index), labels=np.full((6, 8), 33, np.uint8))

    write_sequence_bag(tmp_path / 'a.mcap', Ids())
    with pytest.raises(ValueError, match='a.mcap: /truth/semantic/image: label is 33, expected train ids 0 to 18'):
        BagSequence(tmp_path / 'a.mcap')[0]


@pytest.mark.parametrize('kind', ['.mcap', '.db3'])
def test_damaged_bags_are_one_line(tmp_path, kind):
    write_sequence_bag(tmp_path / f'a{kind}', Drive())
    data = (tmp_path / f'a{kind}').read_bytes()
    for name, part in (('cut', data[:len(data) // 2]), ('rubbish', b'rubbish' * 100), ('empty', b'')):
        path = tmp_path / f'{name}{kind}'
        path.write_bytes(part)
        with pytest.raises(ValueError) as error:
            open_data(str(path))
        assert '\n' not in str(error.value) and str(path) in str(error.value)


def test_images_without_stamps_are_frames_all_the_same_each_with_its_own_truth(tmp_path, caplog):
    class Unstamped(Camera2D):
        def header(self, stamp_ns, frame='optical'):
            return super().header(0, frame)

        def image(self, topic, stamp_ns, array):
            super().image(topic, stamp_ns, array)
            depth = make_depth_image(self.types, self.header(0), np.full((6, 8), array.max() + 1, np.float32))
            self.bag.write('/truth/depth/image', depth, stamp_ns + 9_000_000)

    Unstamped(tmp_path / 'a.mcap', static=False)
    sequence = BagSequence(tmp_path / 'a.mcap')
    assert [(int(s.image.max()), float(s.depth.max())) for s in sequence] == [(0, 1.0), (10, 11.0), (20, 21.0)]
    assert np.diff(sequence.stamps_ns).tolist() == [STEP_NS, STEP_NS]
    assert '3 images carry only 1 stamps; their time is that of recording' in caplog.text


def test_odometry_on_another_clock_is_said_with_both_ranges(tmp_path, caplog):
    class OtherClock(Camera2D):
        def header(self, stamp_ns, frame='optical'):
            return super().header(stamp_ns - START_NS + 10 ** 9 if frame == 'odom' else stamp_ns, frame)

    OtherClock(tmp_path / 'a.mcap')
    assert BagSequence(tmp_path / 'a.mcap').poses == [None] * 3
    assert ('/odom is stamped 1.000 to 1.400 s, but the images 1700000000.148 to 1700000000.348 s: on another clock'
            in caplog.text)
