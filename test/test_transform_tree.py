"""The newest transform between two frames, through whatever lies between them."""
from types import SimpleNamespace as Fields

import numpy as np
import pytest

from semdepth_ros.bridge.camera_mount import camera_mount
from semdepth_ros.geometry.transform_tree import TransformTree, pose_from


def message(parent, child, translation, rotation=(0, 0, 0, 1)):
    t, q = Fields(**dict(zip('xyz', translation))), Fields(**dict(zip('xyzw', rotation)))
    return Fields(transforms=[Fields(header=Fields(frame_id=parent), child_frame_id=child,
                                     transform=Fields(translation=t, rotation=q))])


def test_a_chain_is_followed_up_and_down():
    tree, half = TransformTree(), np.sqrt(0.5)
    tree.update(message('base', 'mast', (1, 2, 1), (0, 0, half, half)))  # a quarter turn about z
    tree.update(message('mast', 'camera', (0.5, 0, 0.25), (0, 0, 0, 2)))  # not of length one, as some drivers send it
    np.testing.assert_allclose(tree.lookup('base', 'camera')[:3, 3], [1, 2.5, 1.25])
    np.testing.assert_allclose(tree.lookup('camera', 'base') @ tree.lookup('base', 'camera'), np.eye(4), atol=1e-12)
    assert camera_mount(tree, 'base', '/camera').height_m == 1.25


def test_frames_of_two_branches_meet_at_their_common_ancestor():
    tree = TransformTree()
    tree.update(message('base', 'left', (0, 1, 0)))
    tree.update(message('base', 'right', (0, -1, 0)))
    np.testing.assert_allclose(tree.lookup('left', 'right')[:3, 3], [0, -2, 0])


@pytest.mark.parametrize('bad', [((0, 0, np.nan), (0, 0, 0, 1)), ((0, 0, 1), (0, 0, 0, 0))])
def test_frames_not_connected_or_connected_by_nonsense_have_no_transform(bad):
    tree = TransformTree()
    assert tree.lookup('base', 'camera') is None and camera_mount(tree, 'base', 'camera') is None
    tree.update(message('base', 'camera', *bad))
    assert tree.lookup('base', 'camera') is None


def test_a_loop_of_frames_ends():
    tree = TransformTree()
    tree.update(message('a', 'b', (0, 0, 1)))
    tree.update(message('b', 'a', (0, 0, 1)))
    assert tree.lookup('elsewhere', 'a') is None


def test_a_camera_below_the_base_has_no_height():
    tree = TransformTree()
    tree.update(message('base', 'camera', (0, 0, -0.2)))
    assert camera_mount(tree, 'base', 'camera') is None


def test_the_orientation_of_an_optical_frame_is_its_tilt_and_that_of_another_is_not():
    tree, half = TransformTree(), 0.5
    tree.update(message('base', 'camera_link', (1, 0, 1.5), (0, np.sin(np.radians(3)), 0, np.cos(np.radians(3)))))
    tree.update(message('camera_link', 'camera_optical', (0, 0, 0), (-half, half, -half, half)))  # REP 103
    assert np.degrees(camera_mount(tree, 'base', 'camera_optical').tilt.pitch) == pytest.approx(6)
    assert camera_mount(tree, 'base', 'camera_optical').tilt.roll == pytest.approx(0)
    assert camera_mount(tree, 'base', 'camera_link').tilt is None


def test_a_chain_is_static_if_all_that_lies_between_is():
    tree = TransformTree()
    tree.update(message('odom', 'base', (0, 0, 0)))
    tree.update(message('base', 'mast', (0, 0, 1)), is_static=True)
    tree.update(message('mast', 'camera', (0, 0, 0.5)))
    assert tree.is_static('base', 'mast') and not tree.is_static('base', 'camera')
    assert not tree.is_static('base', 'elsewhere')
    tree.update(message('mast', 'camera', (0, 0, 0.5)), is_static=True)
    assert tree.is_static('base', 'camera') and not tree.is_static('odom', 'camera')


def test_a_quaternion_of_any_length_becomes_a_rotation():
    half = np.pi / 6
    turned = pose_from(Fields(x=1, y=2, z=3), Fields(x=0, y=2 * np.sin(half), z=0, w=2 * np.cos(half)))
    expected = [[0.5, 0, np.sqrt(0.75), 1], [0, 1, 0, 2], [-np.sqrt(0.75), 0, 0.5, 3], [0, 0, 0, 1]]
    np.testing.assert_allclose(turned, expected, atol=1e-12)
    with pytest.raises(ValueError, match='quaternion'):
        pose_from(Fields(x=0, y=0, z=0), Fields(x=0, y=0, z=0, w=0))
