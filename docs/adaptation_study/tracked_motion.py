"""Print how far the camera moves from frame to frame by tracked points: python docs/adaptation_study/tracked_motion.py DRIVE

A row for every fortieth frame: its number, tracked points, their median way and the upper quartile of those that stand
still [px of the input], what no turn explains [px], the share that one motion explains, and that motion's length in the
network's own metres.
"""
from __future__ import annotations

import sys

import numpy as np

from semdepth_ros.adaptation.factory import FactoryModel
from semdepth_ros.adaptation.network_frame import FrameReader, NetworkFrame
from semdepth_ros.adaptation.odometry import travel_m
from semdepth_ros.adaptation.track_motion import track_motion
from semdepth_ros.adaptation.tracks import flow_px, follow, parallax_px
from semdepth_ros.data import open_data, rectified
from semdepth_ros.frame import Frame
from semdepth_ros.networks import load_network

EVERY = 40


def main(drive: str) -> None:
    """Print the rows of a drive."""
    network, card = load_network('default')
    factory, reader = FactoryModel(network, card), FrameReader(card.input.on('cpu'), None)
    sequence = rectified(open_data(drive)[0])

    def read(index: int) -> NetworkFrame:
        sample = sequence[index]
        return reader.read(Frame(sample.image, 'rgb', sample.camera, sample.stamp_ns), None)

    for index in range(EVERY // 2, len(sequence) - 1, EVERY):
        first, second = read(index), read(index + 1)
        seen = factory.look(first)
        still = ~np.isin(seen.labels, factory.classes.weak) & first.seen.numpy()
        tracks = follow(first.grey, second.grey)
        columns, rows = np.rint(tracks.first).astype(int).T
        ways = np.linalg.norm(tracks.second - tracks.first, axis=1)[still[rows, columns]]
        motion = track_motion(tracks, seen.depth, first.intrinsics, still)
        if motion is not None:
            print(f'{index:5} {len(tracks):4} {flow_px(tracks):5.2f} {np.quantile(ways, 0.75):5.2f} '
                  f'{parallax_px(tracks, first.intrinsics):5.2f} {motion.inliers:5.2f} {travel_m(motion.matrix):5.2f}')


if __name__ == '__main__':
    main(sys.argv[1])
