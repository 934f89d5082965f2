"""Stand-ins for messages: anything that has a message's fields will do for the bridge."""
from types import SimpleNamespace as Fields

import numpy as np


def header(stamp_ns=1_500_000_042, frame_id='camera_optical'):
    """Return a std_msgs/Header."""
    return Fields(stamp=Fields(sec=stamp_ns // 10**9, nanosec=stamp_ns % 10**9), frame_id=frame_id)


def image(array, encoding, padding=0, **more):
    """Return a sensor_msgs/Image whose rows have padding bytes behind them, filled with 0xAB."""
    rows = np.ascontiguousarray(array).view(np.uint8).reshape(array.shape[0], -1)
    padded = np.pad(rows, ((0, 0), (0, padding)), constant_values=0xAB)
    return Fields(**{'header': header(), 'height': array.shape[0], 'width': array.shape[1], 'encoding': encoding,
                     'is_bigendian': 0, 'step': padded.shape[1], 'data': padded.tobytes(), **more})


def camera_info(width=640, height=480, k=(500, 0, 320, 0, 510, 240, 0, 0, 1), d=(), model='plumb_bob', p=None, **more):
    """Return a sensor_msgs/CameraInfo."""
    p = [*k[:3], 0, *k[3:6], 0, *k[6:], 0] if p is None else p
    roi = Fields(x_offset=0, y_offset=0, width=0, height=0, do_rectify=False)
    return Fields(**{'header': header(), 'width': width, 'height': height, 'k': np.array(k, float), 'd': list(d),
                     'distortion_model': model, 'r': np.eye(3).reshape(-1), 'p': np.array(p, float), 'binning_x': 0,
                     'binning_y': 0, 'roi': roi, **more})
