"""Scales kept per camera: found again, and refused where camera or weights are others."""
from dataclasses import replace

import pytest

from semdepth_ros.frame_perception import Scale
from semdepth_ros.geometry.camera import Camera
from semdepth_ros.scale.camera_store import StoredScale, cameras_folder, store_scale, stored_scale

CAMERA = Camera(640, 360, 500.0, 501.0, 319.5, 180.2, height_m=1.6)
STORED = StoredScale('front/optical', CAMERA, 'f' * 64, 1.31, 0.09, 'camera height 1.6 m')


def found(folder, camera=CAMERA, factory='f' * 64, frame='front/optical'):
    return stored_scale(frame, camera, factory, folder)


def test_what_was_stored_is_found_under_the_same_camera(tmp_path):
    path = store_scale(STORED, tmp_path / 'cameras')
    assert path.parent == tmp_path / 'cameras' and '/' not in path.name
    assert found(path.parent) == STORED
    assert found(path.parent, replace(CAMERA, height_m=2.0, fx=500.4)).scale == 1.31      # rounded, or mounted elsewhere
    other = store_scale(replace(STORED, factory='e' * 64, scale=3.0), path.parent)       # of another model: beside it
    assert found(path.parent).scale == 1.31 and found(path.parent, factory='e' * 64).scale == 3.0
    other.unlink()
    store_scale(replace(STORED, scale=2.0), path.parent)
    assert found(path.parent).scale == 2.0 and [p.name for p in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize('camera, factory, frame, words', [
    (replace(CAMERA, fx=510.0), 'f' * 64, 'front/optical', r'another camera \(fx was 500, is 510\)'),
    (replace(CAMERA, cx=330.0), 'f' * 64, 'front/optical', 'cx was 319.5, is 330'),
    (replace(CAMERA, distortion_model='plumb_bob', distortion=(0.1, 0, 0, 0)), 'f' * 64, 'front/optical', 'distortion'),
    (CAMERA, 'e' * 64, 'front/optical', 'factory weights ffffffffffff, served are eeeeeeeeeeee'),
    (CAMERA, 'f' * 64, 'left', "no scale is stored for 'left'"), (CAMERA, 'f' * 64, '', 'no frame_id')])
def test_what_does_not_fit_is_refused_in_one_line(tmp_path, camera, factory, frame, words):
    store_scale(STORED, tmp_path)
    with pytest.raises(ValueError, match=words) as error:
        found(tmp_path, camera, factory, frame)
    assert '\n' not in str(error.value)


def test_a_damaged_file_and_impossible_values_are_refused(tmp_path):
    path = store_scale(STORED, tmp_path)
    whole = path.read_text()
    for text in (whole[:40], '[]', whole.replace('1.31', '-1'), whole.replace('"frame"', '"name"')):
        path.write_text(text)
        with pytest.raises(ValueError, match='damaged.*calibrate again'):
            found(tmp_path)
    for changes in ({'scale': 0.0}, {'sigma': float('nan')}):
        with pytest.raises(ValueError, match='expected a positive number'):
            store_scale(replace(STORED, **changes), tmp_path)


def test_frames_that_differ_have_files_that_differ(tmp_path, monkeypatch):
    names = ['a/b', 'a_b', 'a%2fb', '..', '.hidden', 'ä']
    paths = {store_scale(replace(STORED, frame=name), tmp_path) for name in names}
    assert len(paths) == len(names) and {p.parent for p in paths} == {tmp_path}
    assert all(found(tmp_path, frame=name).frame == name for name in names)
    monkeypatch.setenv('ROS_HOME', str(tmp_path))
    assert cameras_folder() == tmp_path / 'semdepth_ros' / 'cameras'
