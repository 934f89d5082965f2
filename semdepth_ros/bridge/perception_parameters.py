"""The parameters of the perception node."""
from __future__ import annotations

import re

from semdepth_ros.bridge.parameters import RUNNING, START, Parameter

TITLE = 'Parameters of the perception node, all at their defaults. What follows is written from the table in the code.'


def _not_a_device(value: str) -> str | None:
    return None if re.fullmatch(r'auto|cpu|cuda(:\d+)?', value) else 'auto, cpu, cuda or cuda:N'


def _not_bits(value: int) -> str | None:
    return None if value == 0 or 8 <= value <= 16 else '0 (automatic) or 8 to 16'


def _not_cameras(value: list[str]) -> str | None:
    names = [name for name in value if name]
    good = all(re.fullmatch(r'[A-Za-z_]\w*(/[A-Za-z_]\w*)*', name) for name in names)
    return None if good and len(set(names)) == len(names) else "different names such as 'front' or 'left/wide'"


def _not_sizes(value: list[str]) -> str | None:
    good = all(re.fullmatch(r'[1-9]\d{0,4}x[1-9]\d{0,4}', size) for size in value if size)
    return None if good else "sizes such as '1280x720'"


PERCEPTION = (
    Parameter('model', 'default', 'Model file (*.safetensors); `default` is the one that comes with the package.'),
    Parameter('device', 'auto',
              'What the network runs on: `auto` takes CUDA where there is one, else `cpu`; `cuda:1` the second GPU.',
              check=_not_a_device),
    Parameter('precision', 'auto',
              'Arithmetic of the network; `auto` takes half precision on CUDA, bfloat16 on a CPU that computes with '
              'it, else float32.', choices=('auto', 'float32', 'bfloat16', 'float16')),
    Parameter('threads', 0, 'CPU threads the network may use; 0 leaves it to torch.', minimum=0, maximum=256),
    Parameter('input_pixels', 0,
              'Budget of the network\'s input [px]: 53248 is 416x128 of an image of that shape. 0 leaves it to the model, '
              'which may want fewer on a CPU; more pixels see farther and finer, and cost time in proportion.',
              minimum=0, maximum=4194304),
    Parameter('output', 'input',
              'Size of the outputs: that of the `input` image, or that at which the `network` sees it, which costs '
              'less.', choices=('input', 'network')),
    Parameter('cameras', [''],
              'Name prefixes of several cameras served by this node: [front, left] reads front/image and left/image '
              'and publishes front/depth/image and so on; empty is one camera without a prefix.',
              check=_not_cameras),
    Parameter('image_sizes', [''],
              'Sizes of the images to make ready for before the node is active, so that the first ones do not wait: '
              '[1280x720] for all cameras, or one for each. A camera_info that is published by then says it too.',
              check=_not_sizes),
    Parameter('image_transport', 'raw',
              'compressed: JPEG or PNG from image/compressed.', choices=('raw', 'compressed')),
    Parameter('image_kind', 'auto',
              'Whether the image is as the lens made it or has been rectified by its driver, so that P of '
              'camera_info applies and not K and D; `auto`: rectified if the topic is named image_rect...',
              choices=('auto', 'raw', 'rectified')),
    Parameter('image_bits', 0,
              'How many of their 16 bits images in words use (mono16, bayer_rggb16, 16-bit PNG): sensors of 10 to 14 '
              'bits do not fill them. 0 tells it by the largest value so far; a number also admits 16UC1 as a camera '
              'image.',
              check=_not_bits),
    Parameter('rectify', True,
              'Rectify images of a distorted camera (D of camera_info is not zero) on the device; without it such a '
              'camera has images but no cloud.'),
    Parameter('stride', 1,
              'Every how many pixels mask, confidence and cloud are sent, along rows and columns alike.',
              change=RUNNING, minimum=1, maximum=16),
    Parameter('depth_encoding', '32FC1',
              '32FC1 is metres with NaN and infinity (REP 118); 16UC1 is millimetres with 0 for both.',
              change=RUNNING, choices=('32FC1', '16UC1')),
    Parameter('max_range_m', 80.0,
              'Depth beyond this is sent as infinity [m].', change=RUNNING, minimum=1.0, maximum=1000.0),
    Parameter('cloud_max_range_m', 0.0,
              'Points beyond this are left out of the cloud [m]; 0: max_range_m alone counts.',
              change=RUNNING, minimum=0.0, maximum=1000.0),
    Parameter('cloud_rate_hz', 0.0,
              'How many clouds a second are sent at most, by the stamps of the images [Hz]; 0: one of every frame.',
              change=RUNNING, minimum=0.0, maximum=1000.0),
    Parameter('min_confidence', 0.0,
              'Labels less probable than this are sent as 255, unlabelled.',
              change=RUNNING, minimum=0.0, maximum=1.0),
    Parameter('overlay_alpha', 0.5,
              'Opacity of the class colours over the image in semantic_color/image.',
              change=RUNNING, minimum=0.0, maximum=1.0),
    Parameter('scale_source', 'none',
              'What makes depth metric on this camera: `none` (as the network says), `fixed` (the parameter scale), '
              '`camera_height` (the road seen against the height), `stored` (what semdepth calibrate --store has kept of '
              'this camera), `adaptation` (the learner).',
              change=RUNNING, choices=('none', 'fixed', 'camera_height', 'stored', 'adaptation')),
    Parameter('scale', 1.0, 'Factor on depth for scale_source `fixed`.', change=RUNNING, minimum=0.01, maximum=100.0),
    Parameter('camera_height_m', 0.0,
              'Height of the lens above the road [m]; 0: from TF, the height above base_frame. The tilt is TF\'s in either '
              'case, else learned.',
              change=RUNNING, minimum=0.0, maximum=20.0),
    Parameter('base_frame', 'base_footprint', 'Frame of the vehicle whose origin lies on the road.', change=RUNNING),
    Parameter('weights_dir', '',
              'Folder of the weights that a learner announces on the topic weights; empty: '
              '$ROS_HOME/semdepth_ros/weights ($ROS_HOME is ~/.ros unless set).'),
    Parameter('diagnostics_period_s', 1.0, 'Time between diagnostics [s].', change=RUNNING, minimum=0.1, maximum=60.0),
    Parameter('autostart', True,
              'Configure and activate without being asked; false leaves it to a lifecycle manager.', change=START),
)
