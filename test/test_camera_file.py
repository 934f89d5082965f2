"""Calibration files are read as the same numbers in a camera_info are, or refused in one line."""
import cv2
import numpy as np
import pytest
import yaml

from bridge_messages import camera_info
from semdepth_ros.data import read_camera
from semdepth_ros.data.camera_file import camera_from_dict
from semdepth_ros.geometry.camera import Camera
from semdepth_ros.geometry.camera_infos import calibration_of, camera_of

K = (187, 0, 159, 0, 187, 47, 0, 0, 1)
PINHOLE = Camera(320, 96, 187, 187, 159, 47)
OWN = {'width': 320, 'height': 96, 'fx': 187, 'fy': 187, 'cx': 159, 'cy': 47}
ROS = {'image_width': 320, 'image_height': 96, 'camera_matrix': {'rows': 3, 'cols': 3, 'data': list(K)}}


def from_info(model, d):
    """Return the camera of the same numbers in a camera_info."""
    return camera_of(calibration_of(camera_info(320, 96, K, d, model)), 320, 96)


@pytest.mark.parametrize('name', ['equi', 'equi5', 'fisheye', 'plumb4', 'plumb5', 'plumb_with8', 'plumb_zero14',
                                  'rational8', 'upper'])
def test_a_ros_file_is_read_as_the_same_numbers_in_a_camera_info(shared_data, name):
    file = shared_data / 'cases' / 'calibration_files' / f'{name}.yaml'
    values = yaml.safe_load(file.read_text())
    expected = from_info(values['distortion_model'], values['distortion_coefficients']['data'])
    assert read_camera(file) == expected and expected.is_distorted == ('zero' not in name)


@pytest.mark.parametrize('name, model, distortion', [
    ('K.json', 'none', ()), ('commas.json', 'none', ()), ('strings.json', 'none', ()),
    ('D_key.json', 'plumb_bob', (-0.3, 0.1, 0, 0, 0)), ('dist_coeffs.json', 'plumb_bob', (-0.3, 0.1, 0, 0, 0)),
    ('kalibr.yaml', 'plumb_bob', (-0.1, 0.01, 0, 0)), ('opencv.yaml', 'plumb_bob', (-0.1, 0.01, 0, 0, 0)),
    ('melodic.yaml', 'equidistant', (0.03, 0.01, -0.01, -0.01))])
def test_files_of_other_tools_are_read(shared_data, name, model, distortion):
    expected = Camera(320, 96, 187, 187, 159, 47, model, distortion)
    assert read_camera(shared_data / 'cases' / 'calibration_files' / name) == expected


@pytest.mark.parametrize('name, words', [
    ('normalised.json', 'focal length is 0.58 px for images of 320x96.*185.6, 184.3 and 160, 48 px'),
    ('other_size.yaml', r'principal point is \(159, 47\).*640x192.*fits images of 320x96.*by 2\)'),
    ('size0.yaml', 'width is 0'), ('kitti.txt', 'lacks S_rect_02')])
def test_what_cannot_be_the_camera_is_refused_with_the_number_and_what_would_be(shared_data, name, words):
    with pytest.raises(ValueError, match=f'{name}: .*{words}') as error:
        read_camera(shared_data / 'cases' / 'calibration_files' / name)
    assert '\n' not in str(error.value)


def test_every_case_is_read_as_its_lens_or_refused_in_one_line(shared_data):
    for file in (shared_data / 'cases' / 'calibration_files').iterdir():
        try:
            camera = read_camera(file)
        except ValueError as error:
            assert '\n' not in str(error) and file.name in str(error)
        else:
            assert (camera.width, camera.height, camera.fx, camera.cx, camera.cy) == (320, 96, 187, 159, 47)


def test_a_camera_info_that_was_echoed_into_a_file_is_read(tmp_path):
    info = {'header': {'stamp': {'sec': 1, 'nanosec': 2}, 'frame_id': 'lens'}, 'height': 96, 'width': 320,
            'distortion_model': 'plumb_bob', 'd': [-0.1, 0.01, 0.0, 0.0, 0.0], 'k': list(K),
            'r': np.eye(3).ravel().tolist(), 'p': [*K[:3], 0, *K[3:6], 0, *K[6:], 0], 'binning_x': 0, 'binning_y': 0,
            'roi': {'x_offset': 0, 'y_offset': 0, 'height': 0, 'width': 0, 'do_rectify': False}}
    (tmp_path / 'a.yaml').write_text(yaml.safe_dump(info) + '---\n')
    assert read_camera(tmp_path / 'a.yaml') == from_info('plumb_bob', info['d'])
    (tmp_path / 'a.yaml').write_text(yaml.safe_dump({**info, 'binning_x': 2}))
    with pytest.raises(ValueError, match='binning_x is 2, expected a calibration of whole images'):
        read_camera(tmp_path / 'a.yaml')


@pytest.mark.parametrize('suffix', ['yml', 'xml', 'json'])
def test_opencvs_file_storage_is_read_with_all_that_its_sample_writes(tmp_path, suffix):
    storage = cv2.FileStorage(str(tmp_path / f'a.{suffix}'), cv2.FILE_STORAGE_WRITE)
    for key, value in {'calibration_time': 'Mon', 'nframes': 9, 'image_width': 320, 'image_height': 96, 'flags': 0,
                       'camera_matrix': np.array(K, float).reshape(3, 3), 'fisheye_model': 1,
                       'distortion_coefficients': np.array([[1e-5], [0.02], [0], [0]]),
                       'avg_reprojection_error': 0.3}.items():
        storage.write(key, value)
    storage.release()
    assert read_camera(tmp_path / f'a.{suffix}') == from_info('equidistant', (1e-5, 0.02, 0, 0))


def test_one_of_kalibrs_cameras_is_named_behind_the_file(tmp_path):
    camera = {'camera_model': 'pinhole', 'intrinsics': [187, 187, 159, 47], 'resolution': [320, 96],
              'distortion_model': 'equidistant', 'distortion_coeffs': [0.01, 0, 0, 0], 'rostopic': '/cam0',
              'T_cam_imu': [[1, 0, 0, 0]] * 4, 'timeshift_cam_imu': 0.1, 'cam_overlaps': [1]}
    chain = {'cam0': camera, 'cam1': {**camera, 'intrinsics': [200, 200, 160, 48]}}
    (tmp_path / 'chain.yaml').write_text(yaml.safe_dump(chain))
    assert read_camera(f'{tmp_path}/chain.yaml#cam1').fx == 200
    assert read_camera(f'{tmp_path}/chain.yaml#cam0') == from_info('fisheye', (0.01, 0, 0, 0))
    for which, words in (('', 'holds the cameras cam0, cam1.*#cam0'), ('#cam2', "no camera 'cam2'")):
        with pytest.raises(ValueError, match=words):
            read_camera(f'{tmp_path}/chain.yaml{which}')
    for change, words in (({'camera_model': 'omni'}, "'omni', expected pinhole"),
                          ({'distortion_model': 'fov'}, "'fov', expected one of"), ({'xi': 1}, "unknown key 'xi'"),
                          ({'intrinsics': [1, 187, 187, 159, 47]}, 'intrinsics has 5 numbers, expected 4')):
        with pytest.raises(ValueError, match=words):
            camera_from_dict({'cam0': {**camera, **change}}, 'chain.yaml')


def test_kittis_rectified_camera_is_read_and_another_can_be_named(tmp_path):
    (tmp_path / 'calib_cam_to_cam.txt').write_text(
        'calib_time: 09-Jan-2012 13:57:47\ncorner_dist: 9.950000e-02\nS_02: 1.392000e+03 5.120000e+02\n'
        'K_02: 9.597910e+02 0 6.960217e+02 0 9.569251e+02 2.241806e+02 0 0 1\nD_02: -3.691481e-01 1.968681e-01 0 0 0\n'
        'S_rect_02: 1.242000e+03 3.750000e+02\n'
        'P_rect_02: 7.215377e+02 0 6.095593e+02 4.485728e+01 0 7.215377e+02 1.728540e+02 2.163791e-01 0 0 1 2.7e-03\n'
        'S_rect_03: 1.242000e+03 3.750000e+02\n'
        'P_rect_03: 7.215377e+02 0 6.095593e+02 -3.3e+02 0 7.215377e+02 1.728540e+02 2.3 0 0 1 3.2e-03\n')
    for which in ('', '#02', '#03'):
        camera = read_camera(f'{tmp_path}/calib_cam_to_cam.txt{which}')
        assert camera == Camera(1242, 375, 721.5377, 721.5377, 609.5593, 172.854)
    with pytest.raises(ValueError, match='lacks P_rect_01'):
        read_camera(f'{tmp_path}/calib_cam_to_cam.txt#01')
    (tmp_path / 'calib.txt').write_text('P0: 7e2 0 6e2 0 0 7e2 1e2 0 0 0 1 0\nP1: 7e2 0 6e2 0 0 7e2 1e2 0 0 0 1 0\n')
    with pytest.raises(ValueError, match='odometry calibration has no image size'):
        read_camera(tmp_path / 'calib.txt')


@pytest.mark.parametrize('values, words', [
    ({**OWN, 'k1': 0.1}, "unknown key 'k1' in a calibration, expected width, "),
    ({**OWN, 'D': [0.1] * 4, 'distortion': [0.1] * 4}, 'D and distortion are the same'),
    ({**OWN, 'K': list(K)}, 'fx and a camera matrix are the same'),
    ({**OWN, 'fx': 'wide'}, "fx is 'wide', expected a number"), ({**OWN, 'fx': True}, 'fx is True'),
    ({**OWN, 'width': 320.5}, 'width is 320.5, expected a whole number'),
    ({**OWN, 'd': [0.1] * 3}, 'plumb_bob has 3 distortion coefficients'),
    ({**OWN, 'd': 'none'}, "distortion is 'none', expected numbers"),
    ({**OWN, 'd': [0.1] * 4, 'distortion_model': 'scaramuzza'}, "'scaramuzza', expected one of"),
    ({**OWN, 'd': [0.1] * 4, 'rectified': True}, 'rectified is True, but distortion'),
    ({**ROS, 'camera_matrix': {'data': [1, 2]}}, 'camera matrix has 2 numbers, expected 9'),
    ({**ROS, 'camera_model': 'omni', 'distortion_coefficients': {'data': [0.1] * 4}}, "'omni', expected one of"),
    ({**ROS, 'camera_model': 'equidistant', 'distortion_model': 'plumb_bob'}, 'contradict each other'),
    ({'image_width': 320}, 'lacks height, fx, fy, cx, cy'), ([1, 2], 'expected the keys width')])
def test_what_is_not_understood_is_named(values, words):
    with pytest.raises(ValueError, match=f'a.yaml: .*{words}') as error:
        camera_from_dict(values, 'a.yaml')
    assert '\n' not in str(error.value)


def test_notes_of_calibration_tools_are_no_unknown_keys():
    notes = {'camera_name': 'front', 'rectification_matrix': {'data': [1]}, 'projection_matrix': {'data': [1]}}
    assert camera_from_dict({**ROS, **notes}, 'a') == PINHOLE
    assert camera_from_dict({**OWN, 'rectified': False, 'fps': 25, 'distortion': None}, 'a') == PINHOLE
