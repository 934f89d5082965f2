"""The parameters of the adaptation node."""
from __future__ import annotations

import re

from semdepth_ros.adaptation import AdapterSettings
from semdepth_ros.adaptation.settings import MODES
from semdepth_ros.bridge.parameters import RUNNING, START, Parameter
from semdepth_ros.geometry.transform_tree import not_a_pose
from semdepth_ros.settings import build, nested, settings_of

TITLE = 'Parameters of the adaptation node, all at their defaults. What follows is written from the table in the code.'


def adapter_settings(mode: str, texts: list[str]) -> AdapterSettings:
    """Return the learner's settings: the mode, and KEY=VALUE texts such as gates.least_travel_m=0.3.

    :raises ValueError: an unknown key or a value that cannot be, naming what was expected
    """
    content = nested(settings_of(filter(None, texts), 'settings'))
    return build(AdapterSettings, content | {'mode': mode}, 'settings')


def _wrong_settings(texts: list[str]) -> str | None:
    try:
        adapter_settings('on', texts)
    except ValueError as error:
        return f'settings of docs/ADAPTATION.md as KEY=VALUE ({error})'
    return None


def _not_a_device(value: str) -> str | None:
    return None if re.fullmatch(r'auto|cpu|cuda(:\d+)?', value) else 'auto, cpu, cuda or cuda:N'


ADAPTATION = (
    Parameter('model', 'default', 'The factory weights: the model file that perception was started with.'),
    Parameter('mode', 'shadow',
              '`shadow` learns, holds trials and reports, and serves nothing; `on` serves what has proved better; `off` '
              'only counts frames.', choices=MODES),
    Parameter('device', 'auto', 'What steps are taken on; `auto` takes CUDA where there is one.', check=_not_a_device),
    Parameter('threads', 1, 'CPU threads that learning may use.', minimum=1, maximum=256),
    Parameter('idle_priority', True,
              'Learn only while nobody else wants the core (Linux\'s idle class); on a machine that is always busy nothing '
              'is learned then.'),
    Parameter('busy_share', 0.7,
              'Share of the time that learning may take; between steps it waits for the rest, so that what shares the '
              'device has its turn.', minimum=0.02, maximum=1.0),
    Parameter('perception', 'perception',
              'Name of the perception node, with its namespace: while its diagnostics say that it drops images, takes '
              'longer than the time between them, or is slower than most_slowdown allows, the share is halved again and '
              'again. Empty: nobody is given way to.'),
    Parameter('most_slowdown', 0.5,
              'By how much of its least the 95th percentile of perception\'s time for a frame may rise before the '
              'learner gives way.', minimum=0.05, maximum=100.0),
    Parameter('settings', [''],
              'Settings of the learner as KEY=VALUE, such as gates.least_travel_m=0.3; docs/ADAPTATION.md has them all.',
              check=_wrong_settings),
    Parameter('input_pixels', 0, 'Budget of the network\'s input [px], as perception has it; 0 leaves it to the model.',
              minimum=0, maximum=4194304),
    Parameter('image_transport', 'raw', 'compressed: the camera is read from image/compressed.',
              choices=('raw', 'compressed')),
    Parameter('image_kind', 'auto',
              'As for perception: whether the image has been rectified by its driver; `auto`: if its topic is named '
              'image_rect...', choices=('auto', 'raw', 'rectified')),
    Parameter('image_bits', 0, 'As for perception: how many of 16 bits the images use.', minimum=0, maximum=16),
    Parameter('odometry_patience_s', 0.2,
              'How long a frame waits for odometry up to its stamp [s]; without, images alone tell its motion.',
              minimum=0.0, maximum=5.0),
    Parameter('camera_in_base', '',
              'Pose of the camera\'s optical frame in the frame that odometry moves: x y z [m] and the quaternion x y z w, '
              'separated by blanks. Empty: from TF, the child_frame_id of odometry and the frame of the images. Odometry '
              'without it is not used.', check=not_a_pose),
    Parameter('camera_height_m', 0.0,
              'Height of the lens above the road [m], for the metric scale; 0: from TF, the height above base_frame, where '
              'that is sent. The tilt is TF\'s in either case, else learned.', change=RUNNING, minimum=0.0, maximum=20.0),
    Parameter('base_frame', 'base_footprint', 'Frame of the vehicle whose origin lies on the road.', change=RUNNING),
    Parameter('weights_dir', '',
              'Folder of promoted weights, which perception reads too; empty: $ROS_HOME/semdepth_ros/weights ($ROS_HOME '
              'is ~/.ros unless set).'),
    Parameter('resume', True, 'Start from the newest weights that this folder has of this camera.'),
    Parameter('journal', True, 'Write every decision as a line of JSON to journal.jsonl in weights_dir.'),
    Parameter('announcement_patience_s', 20.0,
              'How long perception may take to serve what was announced, before it is believed not to [s].',
              minimum=0.5, maximum=600.0),
    Parameter('status_period_s', 1.0, 'How often the status is sent [s].', minimum=0.2, maximum=10.0),
    Parameter('autostart', True,
              'Configure and activate without being asked; false leaves it to a lifecycle manager.', change=START),
)
