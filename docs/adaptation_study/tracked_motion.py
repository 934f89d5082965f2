"""Print how the camera moves by tracked points: python docs/adaptation_study/tracked_motion.py DRIVE [MODEL] [EVERY]

A row for every EVERYth frame (40): its number, tracked points, their median way and the upper quartile of those that
stand still [px of the input], what no turn explains [px], the share that the motion explains, and the motion's length in
the network's own metres. Where the drive has poses, frames in which the camera moves by MOVING_M or more also have how
many degrees the direction is off and ln of the true length over that one; the last line has medians.
"""
from __future__ import annotations

import sys

import numpy as np

from semdepth_ros.adaptation.factory import FactoryModel
from semdepth_ros.adaptation.network_frame import FrameReader
from semdepth_ros.adaptation.odometry import between_deg, travel_m
from semdepth_ros.adaptation.track_motion import track_motion
from semdepth_ros.adaptation.tracks import flow_px, follow, parallax_px
from semdepth_ros.data import open_data, rectified
from semdepth_ros.frame import Frame
from semdepth_ros.networks import load_network

MOVING_M = 0.15


def main(drive: str, model: str = 'default', every: str = '40') -> None:
    """Print the rows of a drive."""
    network, card = load_network(model)
    factory, reader = FactoryModel(network, card), FrameReader(card.input.on('cpu'), None)
    sequence, apart = rectified(open_data(drive)[0]), []
    for index in range(int(every) // 2, len(sequence) - 1, int(every)):
        samples = [sequence[i] for i in (index, index + 1)]
        first, second = (reader.read(Frame(s.image, 'rgb', s.camera, s.stamp_ns), None) for s in samples)
        seen = factory.look(first)
        still = ~np.isin(seen.labels, factory.classes.weak) & first.seen.numpy()
        tracks = follow(first.grey, second.grey)
        columns, rows = np.rint(tracks.first).astype(int).T
        ways = np.linalg.norm(tracks.second - tracks.first, axis=1)[still[rows, columns]]
        motion = track_motion(tracks, seen.depth, first.intrinsics, still)
        if motion is None:
            continue
        row = (f'{index:5} {len(tracks):4} {flow_px(tracks):5.2f} {np.quantile(ways, 0.75):5.2f} '
               f'{parallax_px(tracks, first.intrinsics):5.2f} {motion.inliers:5.2f} {travel_m(motion.matrix):5.2f}')
        true = [s.pose for s in samples]
        if all(pose is not None for pose in true):
            true = np.linalg.inv(true[1]) @ true[0]
            if travel_m(true) >= MOVING_M:
                apart.append((between_deg(true, motion.matrix), np.log(travel_m(true) / travel_m(motion.matrix))))
                row += ' {:6.1f} {:6.2f}'.format(*apart[-1])
        print(row)
    if apart:
        degrees, ratios = np.array(apart).T
        spread = np.median(np.abs(ratios - np.median(ratios)))
        print(f'{len(apart)} frames: {np.median(degrees):.1f} degrees off, a tenth more than {np.quantile(degrees, 0.9):.1f}; '
              f'ln of the length off by {np.median(ratios):.2f}, and around that by {spread:.3f}')


if __name__ == '__main__':
    main(*sys.argv[1:])
