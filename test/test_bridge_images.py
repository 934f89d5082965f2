"""Image messages become frames without a copy where that is possible, and arrays become image messages."""
import logging
from types import SimpleNamespace as Fields

import cv2
import numpy as np
import pytest

from bridge_messages import header, image
from semdepth_ros.bags.rosbags_types import rosbags_types
from semdepth_ros.bridge import frame_from_message, make_depth_image, make_image
from semdepth_ros.bridge.images import millimetres
from semdepth_ros.frame import LAYOUTS
from semdepth_ros.geometry import Camera
from semdepth_ros.image_messages import HOT, view_message

RGB = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
FAMOUS = {'rgb8': RGB, 'bgr8': RGB, 'rgba8': np.arange(24, dtype=np.uint8).reshape(2, 3, 4),
          'bgra8': np.arange(24, dtype=np.uint8).reshape(2, 3, 4), 'mono8': RGB[..., 0],
          'mono16': np.arange(6, dtype=np.uint16).reshape(2, 3) * 1000}


@pytest.mark.parametrize('encoding', HOT)
@pytest.mark.parametrize('padding', [0, 5])
def test_hot_encodings_are_seen_without_a_copy_even_with_padded_rows(encoding, padding):
    message = image(FAMOUS[encoding], encoding, padding)
    message.data = np.frombuffer(message.data, np.uint8).copy()
    array, layout = view_message(message)
    np.testing.assert_array_equal(array, FAMOUS[encoding])
    assert np.shares_memory(array, message.data)
    assert LAYOUTS[layout][0] == (array.shape[2] if array.ndim == 3 else 1)


def test_a_frame_keeps_stamp_and_frame_id_of_the_header():
    frame = frame_from_message(image(RGB, 'bgr8'))
    assert (frame.layout, frame.stamp_ns, frame.frame_id) == ('bgr', 1_500_000_042, 'camera_optical')


def test_big_endian_mono16_is_read_as_numbers():
    values = FAMOUS['mono16']
    frame = frame_from_message(image(values.astype('>u2'), 'mono16', is_bigendian=1))
    np.testing.assert_array_equal(frame.image, values)


def test_encodings_outside_the_hot_list_go_through_the_fallback_and_hot_ones_do_not():
    def fallback(message):
        return np.full((2, 4, 3), 7, np.uint8), 'rgb'
    assert (view_message(image(np.zeros((2, 4), np.uint8), 'bayer_rggb8'), fallback=fallback)[0] == 7).all()
    assert (view_message(image(RGB, 'rgb8'), fallback=fallback)[0] == RGB).all()
    assert view_message(image(np.zeros((2, 4), np.uint8), 'bayer_rggb8'))[0].shape == (2, 4, 3)


def test_what_the_fallback_cannot_convert_is_converted_here_and_said_once(caplog):
    def fallback(message):
        raise ValueError(f'cv_bridge has no newbyteorder for {message.encoding}')
    grey = image(np.full((2, 4, 2), 128, np.uint8), 'yuyv')
    with caplog.at_level(logging.WARNING):
        assert all((view_message(grey, fallback=fallback)[0] == 130).all() for _ in range(2))
    assert len(caplog.messages) == 1 and 'newbyteorder for yuyv' in caplog.text and 'OpenCV' in caplog.text
    with pytest.raises(ValueError, match='newbyteorder for colourful'):
        view_message(image(RGB, 'colourful'), fallback=fallback)


@pytest.mark.parametrize('message, words', [
    (image(RGB, 'colourful'), 'colourful'), (image(np.zeros((2, 3), np.float32), '32FC1'), '32FC1'),
    (image(RGB, 'rgb8', step=8), '8 bytes'), (image(RGB, 'rgb8', height=3), '18 bytes'),
    (image(RGB, 'rgb8', height=0, width=0, data=b''), '0x0')])
def test_what_is_no_camera_image_is_refused_with_what_it_has(message, words):
    with pytest.raises(ValueError, match=words):
        frame_from_message(message)


def test_a_camera_of_another_size_is_refused_with_both_sizes():
    with pytest.raises(ValueError, match='3x2.*640x480'):
        frame_from_message(image(RGB, 'rgb8'), Camera(640, 480, 500, 500, 320, 240))


def test_jpeg_and_png_become_frames_and_damaged_ones_are_refused():
    colours = np.full((16, 16, 3), (10, 200, 90), np.uint8)
    for extension, tolerance in (('.jpg', 4), ('.png', 0)):
        data = cv2.imencode(extension, colours)[1].tobytes()
        frame = frame_from_message(Fields(header=header(), format=extension[1:], data=data))
        assert frame.layout == 'bgr' and np.abs(frame.image.astype(int) - colours).max() <= tolerance
        for damaged in (data[:len(data) // 2], b'', b'\x00' * 100, data[:2] + bytes(len(data) - 2)):
            with pytest.raises(ValueError):
                frame_from_message(Fields(header=header(), format='', data=damaged))


@pytest.mark.parametrize('encoding, array', [
    ('32FC1', np.array([[1.5, np.nan], [np.inf, 2]], np.float32)), ('16UC1', np.array([[1, 65535]], np.uint16)),
    ('mono8', RGB[::2, ::2, 0]), ('rgb8', RGB[:, ::-1])])
def test_an_array_comes_back_from_its_message_bit_for_bit_with_the_header_it_was_given(encoding, array):
    types, mine = rosbags_types(), header()
    message = make_image(types, mine, array, encoding)
    assert message.header is mine and (message.height, message.width) == array.shape[:2]
    assert message.step == array.strides[-1] * 0 + message.width * array.itemsize * (3 if encoding == 'rgb8' else 1)
    np.testing.assert_array_equal(np.frombuffer(message.data, array.dtype).reshape(array.shape), array)


@pytest.mark.parametrize('array, encoding', [(np.zeros((2, 2)), '32FC1'), (RGB, 'mono8'), (RGB, 'bgr8')])
def test_an_array_that_is_not_of_the_encoding_is_refused(array, encoding):
    with pytest.raises(ValueError, match=encoding):
        make_image(rosbags_types(), header(), array, encoding)


def test_depth_in_millimetres_has_zero_for_everything_that_is_no_distance():
    depth = np.array([[1.2344, np.nan, np.inf, -1, 0, 65.535, 65.536, 70]], np.float32)
    np.testing.assert_array_equal(millimetres(depth), [[1234, 0, 0, 0, 0, 65535, 0, 0]])
    message = make_depth_image(rosbags_types(), header(), depth, '16UC1')
    assert message.encoding == '16UC1' and message.step == 16
