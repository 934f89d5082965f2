"""Point clouds of scanners to arrays."""
from __future__ import annotations

from typing import Any

import numpy as np

CLOUD = 'sensor_msgs/msg/PointCloud2'
_TYPES = {7: 'f4', 8: 'f8'}  # sensor_msgs/PointField


def points_of(cloud: Any) -> np.ndarray:
    """Return the points of a sensor_msgs/PointCloud2, float64 [N, 3] m, as it orders them; NaN where it has none.

    :raises ValueError: a field x, y or z is missing or no floating-point number, or the data does not fill the cloud
    """
    fields = {field.name: field for field in cloud.fields}
    missing = [name for name in 'xyz' if name not in fields]
    if missing:
        raise ValueError(f'cloud has fields {", ".join(fields) or "none"}, expected x, y and z')
    wrong = [name for name in 'xyz' if fields[name].datatype not in _TYPES]
    if wrong:
        raise ValueError(f'field {wrong[0]} of a cloud has datatype {fields[wrong[0]].datatype}, expected 7 or 8, a '
                         'floating-point number')
    order = '>' if cloud.is_bigendian else '<'
    point = np.dtype({'names': list('xyz'), 'formats': [order + _TYPES[fields[name].datatype] for name in 'xyz'],
                      'offsets': [fields[name].offset for name in 'xyz'], 'itemsize': cloud.point_step})
    data = np.frombuffer(cloud.data, dtype=np.uint8)
    if cloud.row_step < cloud.width * cloud.point_step or len(data) < cloud.height * cloud.row_step:
        raise ValueError(f'cloud of {cloud.width}x{cloud.height} points of {cloud.point_step} bytes has rows of '
                         f'{cloud.row_step} and {len(data)} bytes in all')
    rows = data[:cloud.height * cloud.row_step].reshape(cloud.height, cloud.row_step)
    points = np.ascontiguousarray(rows[:, :cloud.width * cloud.point_step]).reshape(-1).view(point)
    return np.stack([points[name].astype(np.float64) for name in 'xyz'], axis=-1)
