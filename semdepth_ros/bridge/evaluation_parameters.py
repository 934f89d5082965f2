"""The parameters of the evaluation node."""
from __future__ import annotations

import os
from pathlib import Path

from semdepth_ros.bridge.parameters import START, Parameter
from semdepth_ros.geometry.transform_tree import not_a_pose

TITLE = 'Parameters of the evaluation node, all at their defaults. What follows is written from the table in the code.'


def report_folder(parameter: str) -> Path:
    """Return the folder that the parameter report_dir names; empty is one below $ROS_HOME."""
    if parameter:
        return Path(parameter).expanduser()
    return Path(os.environ.get('ROS_HOME') or '~/.ros').expanduser() / 'semdepth_ros' / 'evaluation'


EVALUATION = (
    Parameter('report_dir', '',
              'Folder that gets metrics.json and report.html when the node ends; what an earlier run left there is '
              'replaced. Empty: $ROS_HOME/semdepth_ros/evaluation ($ROS_HOME is ~/.ros unless set).'),
    Parameter('name', 'live', 'What the report calls this drive.'),
    Parameter('model', '', 'What the report calls the model; empty: as perception/model_info says.'),
    Parameter('image_transport', 'raw', 'compressed: the camera is read from image/compressed.',
              choices=('raw', 'compressed')),
    Parameter('image_kind', 'auto',
              'As for perception: whether the image has been rectified by its driver; `auto`: if its topic is named '
              'image_rect...', choices=('auto', 'raw', 'rectified')),
    Parameter('image_bits', 0, 'As for perception: how many of 16 bits the images use.', minimum=0, maximum=16),
    Parameter('queue', 40,
              'How many frames may wait for their truth, and messages of every topic for their frame.',
              minimum=2, maximum=1000),
    Parameter('patience_s', 2.0,
              'How long a frame waits for truth that somebody publishes, but not for this frame [s].',
              minimum=0.1, maximum=60.0),
    Parameter('lidar_slop_s', 0.05,
              'A scan belongs to a frame whose stamp is less than this away [s].', minimum=0.0, maximum=1.0),
    Parameter('lidar_transform', '',
              'Pose of the scanner in the camera\'s optical frame: x y z [m] and the quaternion x y z w, separated by '
              'blanks. Empty: from TF.', check=not_a_pose),
    Parameter('pictures', 3, 'Frames that the report shows.', minimum=0, maximum=20),
    Parameter('autostart', True,
              'Configure and activate without being asked; false leaves it to a lifecycle manager.', change=START),
)
