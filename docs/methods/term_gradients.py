"""Say how hard each term of a training pulls at depth: python docs/methods/term_gradients.py MODEL [BATCHES]

MODEL is a trained model file whose training data, with labels, lies where its recipe says; the photometric term is among its
terms. Over some batches of that training, of every weighted term's gradient with respect to the finest disparity at full
size, in 1e-6: its root mean square over all pixels and within 5 px of a border between what is movable and what is not (px
of an image 640 wide), the mean of its size over the hundredth of the pixels where it is largest, and there the cosine
between it and the photometric term's: above 0 they pull the same way.
"""
from __future__ import annotations

import sys
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from semdepth_ros.data import open_data  # noqa: E402
from semdepth_ros.evaluation.class_borders import border_distance, movable_map  # noqa: E402
from semdepth_ros.networks import load_network  # noqa: E402
from semdepth_ros.training.batch import collate  # noqa: E402
from semdepth_ros.training.objective import needs_of, terms_of  # noqa: E402
from semdepth_ros.training.recipe_file import recipe_from  # noqa: E402
from semdepth_ros.training.terms import TERMS  # noqa: E402
from semdepth_ros.training.triplets import TripletDataset, open_entry, triplet_source  # noqa: E402
from semdepth_ros.training.view import View, image_pairs  # noqa: E402

NEAR_PX = 5


def main(model: str, batches: int = 8) -> None:
    """Print the table."""
    torch.manual_seed(0)
    network, card = load_network(model)
    content = {key: value for key, value in card.recipe.items() if key != 'trained_steps'}
    recipe = replace(recipe_from(content), precision='32-true')
    needs = needs_of(recipe.losses)
    sources = [triplet_source(entry, open_entry(entry, open_data), keep_depth='depth' in needs) for entry in recipe.data]
    dataset = TripletDataset(sources, recipe.sizes, recipe.augmentation, recipe.seed, recipe.batch,
                             batches * recipe.batch, needs)
    network.returned_scales = recipe.scales
    sums = defaultdict(lambda: torch.zeros(6, dtype=torch.float64))
    for first in range(0, len(dataset), recipe.batch):
        batch = collate([dataset[i] for i in range(first, first + recipe.batch)])
        images = batch.images.float() / 255
        prediction = network(images[:, 0], pairs=image_pairs(images), labels=batch.labels)
        view = View(prediction, batch, images, tuple(network.architecture['depth_range']), recipe.focal_px, 10 ** 9)
        near, pulls = torch.from_numpy(_near(batch.labels.numpy())), {}
        for name, settings in terms_of(recipe.losses).items():
            loss = settings.weight_at(10 ** 9) * TERMS[name].function(view, settings)
            pull, = torch.autograd.grad(loss, view.disparity, retain_graph=True, allow_unused=True)
            if pull is not None:
                pulls[name] = pull[0, :, 0].double()        # of the finest scale
        for name, pull in pulls.items():
            large = pull.abs() >= pull.abs().flatten().quantile(0.99)
            ours, photometric = pull[large], pulls['photometric'][large]
            sums[name] += torch.stack([pull.square().mean(), pull[near].square().mean(), ours.abs().mean(),
                                       (ours * photometric).sum(), ours.square().sum(), photometric.square().sum()])
    print(f'{"":12s}{"all":>10s}{"borders":>10s}{"largest":>10s}{"cosine":>10s}')
    for name, total in sums.items():
        everywhere, borders, largest, dot, *norms = (total / batches).tolist()
        print(f'{name:12s}{1e6 * everywhere ** 0.5:10.1f}{1e6 * borders ** 0.5:10.1f}{1e6 * largest:10.1f}'
              f'{dot / (norms[0] * norms[1]) ** 0.5:10.2f}')


def _near(labels: np.ndarray) -> np.ndarray:
    """Return which pixels [B, H, W] lie near a border of the movable map."""
    reach = NEAR_PX * labels.shape[-1] / 640
    return np.stack([border_distance(movable_map(each)) <= reach for each in labels])


if __name__ == '__main__':
    main(sys.argv[1], *map(int, sys.argv[2:]))
