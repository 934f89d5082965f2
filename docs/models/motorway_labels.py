"""Labels of what is certain in the MIT-licensed motorway frames: sky above the horizon, road between the lane marks.

    python docs/models/motorway_labels.py FOLDER OUT [STRIDE]

FOLDER is the sequence udacity_highway (udacity/CarND-Advanced-Lane-Lines), OUT a new folder sequence, rectified and 512
pixels wide, of every STRIDE-th frame (default 6). Everything else in it is unlabelled, and its depth unknown.
"""
import sys
from dataclasses import replace

import cv2
import numpy as np

from semdepth_ros.classes import TRAIN_ID, UNLABELLED
from semdepth_ros.data import open_data, rectified, write_folder_sequence

WIDTH, HORIZON = 512, 0.49                 # the horizon as a share of the rows
SKY_PX = 9                                 # twice what is left unlabelled at the sky's border
BLUE, BRIGHT = 18, 120                     # of sky: how much more blue than red, and its brightest channel, at least
LANE = ((0.30, 0.88), (0.70, 0.88), (0.56, 0.70), (0.44, 0.70))    # corners of what is road in every frame, x and y


def labels(image: np.ndarray) -> np.ndarray:
    """Return train ids, uint8 [H, W], of an rgb image."""
    height, width = image.shape[:2]
    out = np.full((height, width), UNLABELLED, np.uint8)
    smooth = cv2.GaussianBlur(image, (0, 0), 1.0).astype(np.int16)
    blue = (smooth[..., 2] > smooth[..., 0] + BLUE) & (smooth.max(2) > BRIGHT)
    blue[int(HORIZON * height):] = False
    _, part, stats, _ = cv2.connectedComponentsWithStats(blue.astype(np.uint8), connectivity=4)
    top = np.unique(part[0][blue[0]])
    sky = np.isin(part, top[stats[top, cv2.CC_STAT_AREA] > 0.02 * height * width]).astype(np.uint8)
    sky = cv2.erode(np.pad(sky, SKY_PX, mode='edge'), np.ones((SKY_PX, SKY_PX)))[SKY_PX:-SKY_PX, SKY_PX:-SKY_PX]
    out[sky > 0] = TRAIN_ID['sky']
    lane = np.round(np.array(LANE) * (width - 1, height - 1)).astype(np.int32)
    cv2.fillPoly(out, [lane], TRAIN_ID['road'])
    return out


def main(folder: str, out: str, stride: str = '6') -> None:
    """Write the labelled sequence."""
    (sequence,) = map(rectified, open_data(folder))

    def samples():
        for index in range(0, len(sequence), int(stride)):
            sample = sequence[index]
            camera = sample.camera.scaled(WIDTH, round(WIDTH * sample.camera.height / sample.camera.width))
            image = cv2.resize(sample.image, (camera.width, camera.height), interpolation=cv2.INTER_AREA)
            unknown = np.full(image.shape[:2], np.nan, np.float32)      # with it, sky is taken to be infinitely far
            yield replace(sample, image=image, camera=camera, labels=labels(image), depth=unknown)
    print(write_folder_sequence(out, samples(), rate_hz=sequence.rate_hz / int(stride), image_format='jpg'), 'frames')


if __name__ == '__main__':
    main(*sys.argv[1:])
