"""Looking into bags: what is counted, what is a gap, what keeps a bag from being perceived."""
import json

import cv2
import numpy as np
import pytest

from semdepth_ros.bags.bag_path import BagError
from semdepth_ros.bags.bag_writer import BagWriter
from semdepth_ros.bridge.camera_info import make_camera_info
from semdepth_ros.bridge.images import make_depth_image, make_image
from semdepth_ros.bridge.messages import make_header
from semdepth_ros.bridge.transforms import make_transforms
from semdepth_ros.classes import CITYSCAPES
from semdepth_ros.cli.main import main
from semdepth_ros.frame_perception import Perception, Scale
from semdepth_ros.geometry.camera import Camera
from semdepth_ros.recordings.inspection import inspect_bag
from semdepth_ros.recordings.replay import ReplayedModel, ReplayOptions, replay

CAMERA = Camera(8, 6, 10.0, 11.0, 3.5, 2.5)
TENTH = 100_000_000


def write_bag(path, stamps=(10, 11, 12), sizes=None, info=CAMERA, topic='/image'):
    """Write images at these tenths of a second; each has the size in sizes or 8x6."""
    with BagWriter(path) as bag:
        for i, tenth in enumerate(stamps):
            header = make_header(bag.types, tenth * TENTH, 'lens')
            height, width = (sizes or [(6, 8)] * len(stamps))[i]
            bag.write(topic, make_image(bag.types, header, np.zeros((height, width, 3), np.uint8), 'rgb8'), i)
            if info:
                bag.write('/camera_info', make_camera_info(bag.types, header, info), i)
    return path


@pytest.mark.parametrize('name', ['x.mcap', 'x.db3', 'x'])
def test_topics_counts_rates_and_sizes_are_told(tmp_path, name):
    report = inspect_bag(write_bag(tmp_path / name))
    assert report['usable'] and (report['image'], report['camera_info']) == ('/image', '/camera_info')
    assert report['messages'] == 6
    image = next(t for t in report['topics'] if t['name'] == '/image')
    assert (image['type'], image['count'], image['rate_hz']) == ('sensor_msgs/msg/Image', 3, 10.0)
    assert image['forms'] == {'rgb8 8x6': 3} and image['bytes'] >= 3 * 8 * 6 * 3
    assert (image['first_s'], image['last_s']) == (1.0, 1.2)
    json.dumps(report)


def test_missing_frames_are_gaps(tmp_path):
    report = inspect_bag(write_bag(tmp_path / 'x.mcap', (0, 1, 2, 5, 6, 7, 9)))
    image = next(t for t in report['topics'] if t['name'] == '/image')
    assert (image['gaps'], image['longest_gap_s']) == (2, pytest.approx(0.3))
    assert report['usable'] and report['warnings'] == ['/image has 2 gaps, the longest 0.30 s']


def test_stamps_that_go_backwards_are_warned_of(tmp_path):
    report = inspect_bag(write_bag(tmp_path / 'x.mcap', (5, 6, 3, 4)))
    assert report['usable'] and 'stamps of /image go backwards 1 times' in report['warnings']


def test_a_bag_without_calibration_can_be_perceived_without_metres(tmp_path):
    report = inspect_bag(write_bag(tmp_path / 'x.mcap', info=None))
    assert report['usable'] and report['warnings'] == [
        'no camera_info beside /image: no cloud, no metric geometry']


def test_a_camera_info_of_another_size_is_warned_of_with_both(tmp_path):
    report = inspect_bag(write_bag(tmp_path / 'x.mcap', info=Camera(16, 12, 20.0, 20.0, 8.0, 6.0)))
    assert report['usable'] and report['warnings'] == [
        '/camera_info: camera_info is for 16x12, but the image is 8x6: no cloud, no metric geometry']


def write_compressed(path, pictures):
    """Write these JPEG or PNG bytes on /image/compressed, with a camera_info of 8x6."""
    with BagWriter(path) as bag:
        for i, data in enumerate(pictures):
            header = make_header(bag.types, (i + 1) * TENTH, 'lens')
            bag.write('/image/compressed', bag.types.make(
                'sensor_msgs/msg/CompressedImage', header=header, format='jpeg', data=np.frombuffer(data, np.uint8)), i)
            bag.write('/camera_info', make_camera_info(bag.types, header, CAMERA), i)
    return path


def picture(width, height, suffix='.jpg'):
    return cv2.imencode(suffix, np.zeros((height, width, 3), np.uint8))[1].tobytes()


def test_every_compressed_image_is_looked_at(tmp_path):
    whole = picture(8, 6)
    report = inspect_bag(write_compressed(tmp_path / 'x.mcap', [whole[:-20], whole, whole, picture(16, 12, '.png')]))
    assert report['usable'] and report['warnings'] == [
        '1 images of /image/compressed cannot be read: compressed image of 611 bytes is cut off: its end marker is '
        'missing',
        '/image/compressed changes its size or encoding: jpeg, damaged or no camera image, jpeg 8x6, jpeg 16x12',
        '/camera_info: camera_info is for 8x6, but the image is 16x12: no cloud, no metric geometry for 1 images']
    report = inspect_bag(write_compressed(tmp_path / 'y.mcap', [picture(16, 12)] * 2))
    assert report['warnings'] == [
        '/camera_info: camera_info is for 8x6, but the image is 16x12: no cloud, no metric geometry']
    for damaged in (b'', b'hello', whole[:30], whole[:-20]):
        report = inspect_bag(write_compressed(tmp_path / f'{len(damaged)}.mcap', [damaged]))
        assert not report['usable'] and 'no image of /image/compressed can be read' in report['problems'][0]


def write_images(path, *images):
    """Write images on /image with the fields given, 8x6 rgb8 where they say nothing else, and camera_infos of 8x6."""
    with BagWriter(path) as bag:
        for i, changes in enumerate(images):
            header = make_header(bag.types, (i + 1) * TENTH, 'lens')
            message = make_image(bag.types, header, np.zeros((6, 8, 3), np.uint8), 'rgb8')
            for name, value in changes.items():
                setattr(message, name, value)
            bag.write('/image', message, i)
            bag.write('/camera_info', make_camera_info(bag.types, header, CAMERA), i)
    return path


def perceived(path, tmp_path):
    """Return how many images of a bag a replay perceives."""
    def flat(frame):
        depth = np.ones(frame.image.shape[:2], np.float32)
        return Perception(depth, depth, depth.astype(np.uint8), depth.astype(np.uint8), Scale(), 0, frame.camera,
                          frame.stamp_ns, '')
    options = ReplayOptions(['depth/image'], replace=True)
    return replay(path, tmp_path / 'replayed.mcap', ReplayedModel(flat, CITYSCAPES), options).perceived


EMPTY = {'width': 0, 'height': 0, 'step': 0, 'encoding': '', 'data': np.zeros(0, np.uint8)}


@pytest.mark.parametrize('images, usable, words', [
    ([{'step': 0}], False, 'image step is 0 bytes, expected at least 24'),
    ([EMPTY], False, "image encoding is ''"), ([{'encoding': ''}], False, "no image of /image can be read: image enc"),
    ([{'width': 0, 'height': 0}], False, 'image is 0x0'), ([{'data': np.zeros(9, np.uint8)}], False, 'data is 9 bytes'),
    ([EMPTY, {}], True, '1 images of /image cannot be read'), ([{'encoding': 'nv16'}], False, '/image (nv16)'),
    ([{}, {'step': 0}, {}], True, '1 images of /image cannot be read: image step is 0')])
def test_inspecting_reads_images_as_replay_does(tmp_path, images, usable, words):
    path = write_images(tmp_path / 'x.mcap', *images)
    report = inspect_bag(path)
    assert report['usable'] is usable and any(words in line for line in report['problems'] + report['warnings'])
    assert not any('no cloud' in line for line in report['warnings'])  # the images that can be read have their camera
    if not words.startswith('/image'):
        assert (perceived(path, tmp_path) > 0) is usable


@pytest.mark.parametrize('data', [
    cv2.imencode('.webp', np.zeros((6, 8, 3), np.uint8))[1].tobytes(),
    cv2.imencode('.jpg', np.zeros((6, 8, 3), np.uint8))[1].tobytes() + bytes(5000)])
def test_webp_and_padded_jpegs_are_images(tmp_path, data):
    path = write_compressed(tmp_path / 'x.mcap', [data, data])
    report = inspect_bag(path)
    assert report['usable'] and report['warnings'] == [] and perceived(path, tmp_path) == 2


def test_intrinsics_of_another_resolution_are_warned_of_with_the_size_they_fit(tmp_path):
    report = inspect_bag(write_bag(tmp_path / 'x.mcap', info=Camera(8, 6, 10.0, 11.0, 1.6, 1.2)))
    assert report['usable'] and '/camera_info: camera_info: principal point is (1.6, 1.2)' in report['warnings'][0]
    assert 'fits images of 4x3: for 8x6 multiply the intrinsics by 2)' in report['warnings'][0]


def test_stamps_that_tell_nothing_are_warned_of(tmp_path):
    report = inspect_bag(write_bag(tmp_path / 'x.mcap', (0, 0, 0)))
    assert report['usable'] and '3 images of /image carry only 1 stamps' in report['warnings'][0]


def test_a_bag_without_a_camera_is_unusable(tmp_path):
    report = inspect_bag(write_bag(tmp_path / 'x.mcap', topic='/truth/semantic/image'))
    assert not report['usable'] and 'x.mcap: no camera image among the topics' in report['problems'][0]


def test_images_that_change_their_size_are_warned_of(tmp_path):
    report = inspect_bag(write_bag(tmp_path / 'x.mcap', sizes=[(6, 8), (6, 8), (12, 16)]))
    assert report['warnings'] == [
        '/image changes its size or encoding: rgb8 8x6, rgb8 16x12',
        '/camera_info: camera_info is for 8x6, but the image is 16x12: no cloud, no metric geometry for 1 images']


def test_an_empty_bag_is_unusable(tmp_path):
    with BagWriter(tmp_path / 'x.mcap'):
        pass
    report = inspect_bag(tmp_path / 'x.mcap')
    assert (report['messages'], report['duration_s'], report['usable']) == (0, 0.0, False)


@pytest.mark.parametrize('name', ['x.mcap', 'x.db3'])
def test_damaged_bags_are_named_in_one_line(tmp_path, name):
    whole = write_bag(tmp_path / name, range(40)).read_bytes()
    for damaged in (b'', b'hello', whole[:len(whole) // 2], whole[:60]):
        (tmp_path / f'cut{name}').write_bytes(damaged)
        with pytest.raises(BagError, match=f'bag .*cut{name} cannot be read: .') as caught:
            inspect_bag(tmp_path / f'cut{name}')
        assert '\n' not in str(caught.value)
    with pytest.raises(BagError, match='does not exist'):
        inspect_bag(tmp_path / 'nowhere.mcap')


def test_the_command_says_what_is_usable_by_its_exit_code(tmp_path, capsys):
    assert main(['bag', 'inspect', str(write_bag(tmp_path / 'x.mcap'))]) == 0
    text = capsys.readouterr().out
    assert 'usable: images on /image, calibration on /camera_info' in text and 'rgb8 8x6' in text
    assert main(['bag', 'inspect', str(write_bag(tmp_path / 'y.mcap', info=None))]) == 0
    assert 'usable: images on /image, no calibration' in capsys.readouterr().out
    assert main(['bag', 'inspect', str(write_bag(tmp_path / 'z.mcap', topic='/depth/image')), '--json']) == 1
    assert 'no camera image' in json.loads(capsys.readouterr().out)['problems'][0]
    assert main(['bag', 'inspect', str(tmp_path)]) == 2
    assert 'is not a bag' in capsys.readouterr().err


def test_the_command_makes_a_bag_of_a_folder_that_it_finds_usable(tmp_path, capsys):
    from semdepth_ros.data import FolderSequence, open_data, write_folder_sequence
    write_folder_sequence(tmp_path / 'folder', open_data(write_bag(tmp_path / 'x.mcap'))[0])
    assert main(['bag', 'make', str(tmp_path / 'folder'), '--out', str(tmp_path / 'y.db3'), '--rate', '5']) == 0
    report = inspect_bag(tmp_path / 'y.db3')
    assert report['usable'] and report['duration_s'] == pytest.approx(0.4)
    assert open_data(tmp_path / 'y.db3')[0].camera == FolderSequence(tmp_path / 'folder').camera
    assert main(['bag', 'make', str(tmp_path / 'folder'), '--out', str(tmp_path / 'y.db3')]) == 2
    assert 'exists already' in capsys.readouterr().err


def with_truth(path, depth=(), labels=(), scans=(), placed=True):
    """Write four images from 1.0 s on, truth of those frames that are named, and scans at these seconds."""
    with BagWriter(path) as bag:
        for i in range(4):
            header = make_header(bag.types, (10 + i) * TENTH, 'lens')
            bag.write('/image', make_image(bag.types, header, np.zeros((6, 8, 3), np.uint8), 'rgb8'), i)
            bag.write('/camera_info', make_camera_info(bag.types, header, CAMERA), i)
            if i in depth:
                bag.write('/truth/depth/image', make_depth_image(bag.types, header, np.ones((6, 8), np.float32)), i)
            if i in labels:
                bag.write('/truth/semantic/image', make_image(bag.types, header, np.zeros((6, 8), np.uint8), 'mono8'), i)
        for second in scans:
            header = make_header(bag.types, round(second * 1e9), 'scanner')
            bag.write('/roof/lidar', bag.types.make('sensor_msgs/msg/PointCloud2', header=header), 5)
            bag.write('/points', bag.types.make('sensor_msgs/msg/PointCloud2', header=header), 5)
        if placed:
            bag.write('/tf_static', make_transforms(bag.types, 0, ('lens', 'scanner', np.eye(4))), 0, latched=True)
    return inspect_bag(path)['evaluation']


def test_a_bag_with_truth_for_every_image_lacks_nothing(tmp_path, capsys):
    found = with_truth(tmp_path / 'x.mcap', range(4), range(4), (1.0, 1.1, 1.24, 1.26))
    assert found == {'usable': True, 'missing': [], 'truth': {
        'depth': {'topic': '/truth/depth/image', 'images': 4}, 'labels': {'topic': '/truth/semantic/image', 'images': 4},
        'lidar': {'topic': '/roof/lidar', 'images': 4}}}
    main(['bag', 'inspect', str(tmp_path / 'x.mcap')])
    line = capsys.readouterr().out.strip().splitlines()[-1]
    assert line.startswith('can be evaluated: true depth on /truth/depth/image (4 images), true classes on')


def test_what_a_bag_lacks_for_an_evaluation_is_said(tmp_path, capsys):
    assert with_truth(tmp_path / 'none.mcap') == {'usable': False, 'truth': {}, 'missing': [
        'no true depth (.../truth/depth/image)', 'no true classes (.../truth/semantic/image)',
        'no scans either (sensor_msgs/PointCloud2)']}
    main(['bag', 'inspect', str(tmp_path / 'none.mcap')])
    assert capsys.readouterr().out.strip().splitlines()[-1].startswith('cannot be evaluated; lacking: no true depth')
    few = with_truth(tmp_path / 'few.mcap', labels=[2], scans=(1.04, 1.1499), placed=False)
    assert few['truth'] == {'labels': {'topic': '/truth/semantic/image', 'images': 1},
                            'lidar': {'topic': '/roof/lidar', 'images': 2}}
    assert few['missing'] == [
        'no true depth (.../truth/depth/image)',
        'true classes for 3 of 4 images: /truth/semantic/image has nothing of their stamps',
        'scans for 2 of 4 images: /roof/lidar has nothing near their stamps',
        "no static transform from 'lens' to 'scanner': give lidar_transform"]
