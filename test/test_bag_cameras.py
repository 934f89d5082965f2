"""A camera is chosen by what its images are, then by its name."""
import cv2
import numpy as np
import pytest

from semdepth_ros.bags.bag_topics import choose_topics
from semdepth_ros.bags.bag_writer import BagWriter
from semdepth_ros.bridge.camera_info import make_camera_info
from semdepth_ros.bridge.messages import make_header
from semdepth_ros.classes import CITYSCAPES
from semdepth_ros.data.bag import BagSequence
from semdepth_ros.geometry.camera import Camera
from semdepth_ros.recordings.inspection import inspect_bag
from semdepth_ros.recordings.replay import ReplayedModel, replay

CAMERA = Camera(8, 6, 10.0, 11.0, 3.5, 2.5)
BYTES = {'rgb8': 3, 'bgra8': 4, 'mono8': 1, 'mono16': 2, '16UC1': 2, '32FC1': 4, 'bayer_rggb8': 1, 'yuyv': 2,
         'rgb16': 6}


def rgbd_bag(path, cameras, infos=(), frames=2):
    """Write images of these encodings, by topic, and camera_infos."""
    with BagWriter(path) as bag:
        for i in range(frames):
            header = make_header(bag.types, (i + 1) * 10 ** 8, 'lens')
            for topic in infos:
                bag.write(topic, make_camera_info(bag.types, header, CAMERA), i)
            for topic, encoding in cameras.items():
                bag.write(topic, message(bag.types, header, encoding), i)
    return path


def message(types, header, encoding):
    if ';' in encoding or encoding in ('jpeg', 'png'):
        data = cv2.imencode('.png', np.full((6, 8), 9, np.uint16 if '16' in encoding else np.uint8))[1].reshape(-1)
        return types.make('sensor_msgs/msg/CompressedImage', header=header, format=encoding, data=data)
    step = 8 * BYTES[encoding]
    return types.make('sensor_msgs/msg/Image', header=header, height=6, width=8, encoding=encoding, is_bigendian=0,
                      step=step, data=np.full(6 * step, 1, np.uint8))


@pytest.mark.parametrize('cameras, chosen', [
    ({'/aligned_depth_to_color/image_raw': '16UC1', '/color/image_raw': 'rgb8'}, '/color/image_raw'),
    ({'/depth_to_rgb/image_raw': '16UC1', '/rgb/image_raw': 'bgra8'}, '/rgb/image_raw'),
    ({'/depth_registered/image_rect': '32FC1', '/rgb/image_rect_color': 'bgra8'}, '/rgb/image_rect_color'),
    ({'/a/depth_front': '32FC1', '/z/front': 'bayer_rggb8'}, '/z/front'),
    ({'/confidence_map': '32FC1', '/left/image': 'yuyv'}, '/left/image'),
    ({'/person_mask': 'mono8', '/z': 'mono8'}, '/z'),
    ({'/a_mono': 'mono8', '/z_colour': 'rgb8'}, '/z_colour'),
    ({'/a_thermal': 'mono16', '/z_mono': 'mono8'}, '/z_mono'),
    ({'/a_colormap_of_depth': 'rgb8', '/z_mono': 'mono8'}, '/z_mono'),
    ({'/ir/image_raw': 'mono16', '/rgb_to_depth/image_raw': 'bgra8'}, '/rgb_to_depth/image_raw'),
    ({'/a/compressed': '16UC1; png compressed ', '/z/compressed': 'rgb8; jpeg compressed bgr8'}, '/z/compressed'),
    ({'/a/compressedDepth': '32FC1; compressedDepth png', '/z': 'rgb16'}, '/z')])
def test_the_camera_of_an_rgbd_driver_is_its_colours(tmp_path, cameras, chosen):
    path = rgbd_bag(tmp_path / 'a.mcap', cameras, infos=[f'{next(iter(cameras)).rpartition("/")[0]}/camera_info'])
    assert BagSequence(path).topics.image == chosen
    report = inspect_bag(path)
    assert (report['usable'], report['image']) == (True, chosen)
    seen = []
    with pytest.raises(ZeroDivisionError):
        replay(path, tmp_path / 'out.mcap', ReplayedModel(lambda frame: (seen.append(frame), 1 / 0), CITYSCAPES))
    assert len(seen) == 1


@pytest.mark.parametrize('encoding', ['16UC1', '32FC1'])
def test_depth_alone_is_no_camera_unless_somebody_says_so(tmp_path, encoding):
    path = rgbd_bag(tmp_path / 'a.mcap', {'/front': encoding})
    with pytest.raises(ValueError, match=rf'no camera image among the topics /front \({encoding}\)'):
        BagSequence(path)
    report = inspect_bag(path)
    assert not report['usable'] and f'/front ({encoding})' in report['problems'][0]
    words = 'image_bits' if encoding == '16UC1' else 'expected a camera image'
    with pytest.raises(ValueError, match=f'{encoding}.*, {words}'):
        BagSequence(path, '/front')
    if encoding == '16UC1':
        assert BagSequence(path, '/front', image_bits=9)[0].image.max() == 128  # 257 of 511


def test_what_was_chosen_is_said_with_what_was_not(tmp_path, caplog):
    path = rgbd_bag(tmp_path / 'a.mcap', {'/color/image': 'rgb8', '/color/image/compressed': 'jpeg', '/d': '16UC1',
                                          '/left': 'mono8', '/truth/depth/image': '32FC1'})
    BagSequence(path)
    assert 'a.mcap: the camera is /color/image, chosen before /d (16UC1), /left (mono8);' in caplog.text
    assert inspect_bag(path)['chosen_before'] == ['/d (16UC1)', '/left (mono8)']
    caplog.clear()
    assert BagSequence(path, '/left').topics.image == '/left' and not caplog.messages


def test_an_empty_first_image_says_nothing_of_its_topic(tmp_path):
    with BagWriter(tmp_path / 'a.mcap') as bag:
        for i, (height, width, encoding) in enumerate(((0, 0, ''), (6, 8, '16UC1'))):
            header = make_header(bag.types, i + 1, 'lens')
            bag.write('/a', bag.types.make('sensor_msgs/msg/Image', header=header, height=height, width=width,
                                           encoding=encoding, step=2 * width, data=np.zeros(96, np.uint8)), i)
            bag.write('/z', message(bag.types, header, 'mono8'), i)
    assert BagSequence(tmp_path / 'a.mcap').topics.image == '/z'


IMAGE, COMPRESSED, INFO = (f'sensor_msgs/msg/{n}' for n in ('Image', 'CompressedImage', 'CameraInfo'))


@pytest.mark.parametrize('types, info', [
    ({'/front/compressed': COMPRESSED, '/front/camera_info': INFO, '/camera_info': INFO}, '/front/camera_info'),
    ({'/front/compressed': COMPRESSED, '/camera_info': INFO, '/b/camera_info': INFO}, '/camera_info'),
    ({'/front/image': IMAGE, '/front/camera_info': INFO, '/front/image/camera_info': INFO}, '/front/camera_info'),
    ({'/front': IMAGE, '/front/camera_info': INFO, '/b/camera_info': INFO}, '/front/camera_info'),
    ({'/color': IMAGE, '/depth/camera_info': INFO}, None)])
def test_the_camera_info_beside_an_image_is_found(types, info):
    assert choose_topics(types).camera_info == info
