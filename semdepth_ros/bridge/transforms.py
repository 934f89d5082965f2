"""Rigid motions as geometry_msgs: REP 103's body axes (x forward, y left, z up), REP 105's frames."""
from __future__ import annotations

from typing import Any

import numpy as np

from semdepth_ros.bridge.messages import MessageTypes, make_header

# base axes <- optical axes: forward is the optical z, left is -x, up is -y (REP 103)
BODY_FROM_OPTICAL = np.array([[0., 0, 1, 0], [-1, 0, 0, 0], [0, -1, 0, 0], [0, 0, 0, 1]])


def quaternion(rotation: np.ndarray) -> np.ndarray:
    """Return the unit quaternion x, y, z, w of a rotation matrix [3, 3], w >= 0.

    The eigenvector of Bar-Itzhack 2000: exact at every angle, best for a matrix that is not quite orthogonal.
    """
    (a, b, c), (d, e, f), (g, h, i) = np.asarray(rotation, dtype=np.float64)
    k = np.array([[a - e - i, d + b, g + c, h - f], [d + b, e - a - i, h + f, c - g],
                  [g + c, h + f, i - a - e, d - b], [h - f, c - g, d - b, a + e + i]]) / 3
    q = np.linalg.eigh(k)[1][:, -1]
    return q if q[3] >= 0 else -q


def make_pose(types: MessageTypes, matrix: np.ndarray) -> Any:
    """Return a geometry_msgs/Pose of a rigid motion [4, 4]."""
    x, y, z = (float(v) for v in matrix[:3, 3])
    return types.make('geometry_msgs/msg/Pose', position=types.make('geometry_msgs/msg/Point', x=x, y=y, z=z),
                      orientation=_orientation(types, matrix))


def make_transforms(types: MessageTypes, stamp_ns: int, *transforms: tuple[str, str, np.ndarray]) -> Any:
    """Return a tf2_msgs/TFMessage.

    :param transforms: (frame, child frame, pose of the child in the frame [4, 4])
    """
    made = [types.make('geometry_msgs/msg/TransformStamped', header=make_header(types, stamp_ns, frame),
                       child_frame_id=child, transform=_transform(types, matrix))
            for frame, child, matrix in transforms]
    return types.make('tf2_msgs/msg/TFMessage', transforms=made)


def make_odometry(types: MessageTypes, header: Any, child: str, pose: np.ndarray, speed: float, yaw_rate: float) -> Any:
    """Return a nav_msgs/Odometry.

    :param header: its frame is the one the pose is in
    :param pose: child in that frame [4, 4]
    :param speed, yaw_rate: forward and about z, in the child frame [m/s, rad/s]
    """
    vector = 'geometry_msgs/msg/Vector3'
    twist = types.make('geometry_msgs/msg/Twist', linear=types.make(vector, x=float(speed), y=0.0, z=0.0),
                       angular=types.make(vector, x=0.0, y=0.0, z=float(yaw_rate)))
    unknown = np.zeros(36)
    return types.make(
        'nav_msgs/msg/Odometry', header=header, child_frame_id=child,
        pose=types.make('geometry_msgs/msg/PoseWithCovariance', pose=make_pose(types, pose), covariance=unknown),
        twist=types.make('geometry_msgs/msg/TwistWithCovariance', twist=twist, covariance=unknown.copy()))


def _transform(types: MessageTypes, matrix: np.ndarray) -> Any:
    x, y, z = (float(v) for v in matrix[:3, 3])
    return types.make('geometry_msgs/msg/Transform', translation=types.make('geometry_msgs/msg/Vector3', x=x, y=y, z=z),
                      rotation=_orientation(types, matrix))


def _orientation(types: MessageTypes, matrix: np.ndarray) -> Any:
    x, y, z, w = (float(v) for v in quaternion(matrix[:3, :3]))
    return types.make('geometry_msgs/msg/Quaternion', x=x, y=y, z=z, w=w)
