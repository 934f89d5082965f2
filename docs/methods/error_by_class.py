"""Say which things make up a model's Abs Rel: python docs/methods/error_by_class.py MODEL DATA [DATA ...]

DATA are folder sequences with true depth and labels, such as an ablation's test towns; of each every fourth frame is taken.
A row is a true class, apart where the model takes it for sky: its share of the pixels with depth, what it adds to the
median-scaled Abs Rel of all of them, and the share of pixels whose depth is over twice the truth there.
"""
from __future__ import annotations

import sys
from collections import defaultdict

import numpy as np
import torch

from semdepth_ros.classes import SKY, TRAIN_ID
from semdepth_ros.data import open_data
from semdepth_ros.evaluation.depth_metrics import clamped, in_range
from semdepth_ros.experiments.depth_perceptor import DepthPerceptor
from semdepth_ros.networks import load_network

EVERY, FIRST, ROWS = 4, 1, 12


def main(model: str, *data: str) -> None:
    """Print the rows, the largest first."""
    perceptor = DepthPerceptor(*load_network(model), torch.device('cpu'))
    rows, pixels = defaultdict(lambda: np.zeros(3)), 0
    for source in data:
        for sequence in open_data(source):
            for index in range(FIRST, len(sequence), EVERY):
                sample = sequence[index]
                seen = perceptor.perceive(sample)
                known = in_range(sample.depth)
                scale = np.median(sample.depth[known]) / np.median(seen.depth[known])
                ratio = clamped(seen.depth * scale) / np.where(known, sample.depth, 1)
                pixels += known.sum()
                for name, number in TRAIN_ID.items():
                    for sky in (False, True):
                        of = known & (sample.labels == number) & ((seen.labels == SKY) == sky)
                        rows[name + ', taken for sky' * sky] += of.sum(), np.abs(ratio[of] - 1).sum(), (ratio[of] > 2).sum()
    print(f'{"":28s}{"share":>8s}{"adds":>8s}{"over 2x":>9s}')
    for name, row in sorted(rows.items(), key=lambda item: -item[1][1])[:ROWS]:
        print(f'{name:28s}{row[0] / pixels:8.4f}{row[1] / pixels:8.4f}{row[2] / pixels:9.4f}')
    print(f'{"all":28s}{1:8.4f}{sum(rows.values())[1] / pixels:8.4f}{sum(rows.values())[2] / pixels:9.4f}')


if __name__ == '__main__':
    main(*sys.argv[1:])
