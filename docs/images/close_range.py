"""Draw close_range.jpg: python docs/images/close_range.py MODEL.safetensors

Rows: test cavities; columns: image, true depth, the model's depth with the scale of the frame's median.
"""
from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from semdepth_ros.frame import Frame  # noqa: E402
from semdepth_ros.perception import Perceptor  # noqa: E402
from semdepth_ros.world import Cavity, default_cavity_camera  # noqa: E402
from semdepth_ros.world.contact_sheet import depth_colours  # noqa: E402

SEEDS, FRAME, SIZE, NEAREST_M = (104, 105, 106, 108), 20, (256, 192), 0.025


def main(model: str) -> None:
    """Write the picture beside this file."""
    perceptor, rows = Perceptor.from_file(model, device='cpu', max_range_m=np.inf), []
    for seed in SEEDS:
        cavity = Cavity(seed, FRAME + 1, default_cavity_camera(SIZE))
        frame = cavity[FRAME]
        depth = perceptor.perceive(Frame(frame.image, 'rgb', cavity.camera, frame.stamp_ns)).depth
        depth = cv2.resize(depth, SIZE, interpolation=cv2.INTER_NEAREST)
        depth = depth * (np.median(frame.depth) / np.median(depth))
        rows.append(np.concatenate((frame.image, *(depth_colours(d, NEAREST_M) for d in (frame.depth, depth))), axis=1))
    picture = np.concatenate(rows)[..., ::-1]
    cv2.imwrite(str(Path(__file__).with_suffix('.jpg')), picture, [cv2.IMWRITE_JPEG_QUALITY, 82])


if __name__ == '__main__':
    main(sys.argv[1])
