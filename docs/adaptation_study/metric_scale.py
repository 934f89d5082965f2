"""Hold the learner's metric flag against the truth: python docs/adaptation_study/metric_scale.py MODEL DRIVE ...

The learner looks at each drive and takes no step, so that what it says of the scale is of the model as it is; drives through
the world are rendered as those of the studies are, 256x96 with 2 x 2 rays, and their poses are its odometry. A line a drive:
frames; how far the median depth is off once scaled, in the median; the share of frames said to be metric; how far those are
off, and the worst of them; how many are off by more than 2.1 of the sigma that is said; and the root mean square of error
over sigma.
"""
from __future__ import annotations

import math
import sys

import numpy as np

from semdepth_ros.adaptation import Adapter, AdapterSettings
from semdepth_ros.data import open_data, rectified
from semdepth_ros.experiments.adaptation_scale import FusedColumn
from semdepth_ros.frame import Frame
from semdepth_ros.frame_perception import Scale
from semdepth_ros.networks import load_network
from semdepth_ros.perception import Perceptor

WORLD = {'size': [256, 96], 'rays': 2}


def main(model: str, *drives: str) -> None:
    """Print the lines of the drives."""
    network, card = load_network(model)
    print(f'{"":24s} frames    off  metric    off  worst  wrong  error / sigma')
    for spec in drives:
        sequence = rectified(open_data(spec, **(WORLD if spec.startswith('world:') else {}))[0])
        mount = getattr(getattr(sequence, 'drive', None), 'camera_in_base', None)
        perceptor = Perceptor(network, card, device='cpu', max_range_m=math.inf)
        adapter = Adapter(network, card, AdapterSettings(mode='shadow'), camera_in_base=mount)
        fused = FusedColumn(adapter, served=False)
        for index in range(len(sequence)):
            sample = sequence[index]
            frame = Frame(sample.image, 'rgb', sample.camera, sample.stamp_ns)
            if sample.depth is not None:
                fused.judge(perceptor.perceive(frame, Scale()).depth, sample.depth)
            pose = sample.pose if mount is None or sample.pose is None else sample.pose @ np.linalg.inv(mount)
            adapter.observe(frame, pose, may_step=False)
        said = fused.honesty()
        shares = [said.get(name, math.nan) for name in ('error', 'metric', 'metric_error', 'metric_worst')]
        print(f'{sequence.name:24s} {said["frames"]:6d}' + ''.join(f'{100 * share:6.1f}%' for share in shares)
              + f'{said.get("metric_wrong", 0):7d}{said.get("metric_sigmas", math.nan):15.2f}', flush=True)


if __name__ == '__main__':
    main(*sys.argv[1:])
