"""Where a camera is mounted on its vehicle, as transforms between their frames say."""
from __future__ import annotations

from semdepth_ros.geometry.transform_tree import TransformTree
from semdepth_ros.scale.tilt import Mount, Tilt


def camera_mount(tree: TransformTree, base_frame: str, camera_frame: str) -> Mount | None:
    """Return the camera's height above base_frame's origin and its tilt, None while unknown or not above it.

    The tilt is None where the frame, as an optical one (REP 103), would not see the road ahead.
    """
    pose = tree.lookup(base_frame, camera_frame)
    if pose is None or not pose[2, 3] > 0:
        return None
    return Mount(float(pose[2, 3]), Tilt.of_pose(pose))
