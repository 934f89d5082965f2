"""Say what hints and refined labels cost a training step: python docs/methods/hint_cost.py [WIDTH HEIGHT BATCH]

The least of several runs on one thread of this machine, the thread's own time: the step as it is without them, and what
the term `hint` (pseudo-depth, warping by it, the loss and its gradient) and the refinement of labels add. Images are of
noise; labels are blots of a few hundred pixels.
"""
from __future__ import annotations

import sys
import time
from pathlib import Path

import torch
import torch.nn.functional as F

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from semdepth_ros.networks import build_network  # noqa: E402
from semdepth_ros.training.batch import TripletBatch  # noqa: E402
from semdepth_ros.training.objective import joint_losses  # noqa: E402
from semdepth_ros.training.recipe_file import read_recipe  # noqa: E402
from semdepth_ros.training.terms import TERMS  # noqa: E402
from semdepth_ros.training.terms.semantic import refined_labels  # noqa: E402
from semdepth_ros.training.view import View, image_pairs  # noqa: E402

RUNS = 5


def batch_of(width: int, height: int, count: int) -> TripletBatch:
    """Return triplets of noise with labels in blots."""
    blots = F.interpolate(torch.rand(count, 1, height // 8, width // 8), (height, width), mode='bicubic')[:, 0]
    labels = (blots * 19).clamp(0, 18).to(torch.uint8)
    matrix = torch.tensor([[0.6 * width, 0, width / 2], [0, 0.6 * width, height / 2], [0, 0, 1]])
    return TripletBatch(torch.randint(256, (count, 3, 3, height, width), dtype=torch.uint8),
                        matrix.expand(count, 3, 3), torch.ones(count, 2), labels, torch.ones(labels.shape), labels < 255,
                        torch.zeros(count, 1), torch.zeros(count, 4, dtype=torch.int64))


def main(width: int = 256, height: int = 96, count: int = 8) -> None:
    """Print the times."""
    torch.set_num_threads(1)
    recipe = read_recipe('semhint', {'architecture.pretrained': False})
    plain = read_recipe('semhint', {'losses.hint': 0.0, 'losses.semantic.refinement': None}).losses
    network, batch = build_network(recipe.architecture).train(), batch_of(width, height, count)
    optimiser, images = torch.optim.AdamW(network.parameters()), batch.images.float() / 255
    best = dict.fromkeys(('step', 'hint', 'labels'), float('inf'))
    for _ in range(RUNS):
        began = time.thread_time()
        view = View(network(images[:, 0], pairs=image_pairs(images)), batch, images, (0.1, 100.0), 150.0, 10 ** 9)
        joint_losses(view, plain)['total'].backward(retain_graph=True)
        optimiser.step()
        optimiser.zero_grad()
        marks = [began, time.thread_time()]
        torch.autograd.grad(TERMS['hint'].function(view, recipe.losses.hint), view.depth)
        marks.append(time.thread_time())
        refined_labels(view, recipe.losses.semantic)
        marks.append(time.thread_time())
        best = {name: min(best[name], after - before) for name, before, after in zip(best, marks, marks[1:])}
    print(f'{width}x{height}, batch {count}, one thread: step {1e3 * best["step"]:.0f} ms, hint '
          f'{1e3 * best["hint"]:.0f} ms more, refined labels {1e3 * best["labels"]:.0f} ms more')


if __name__ == '__main__':
    main(*map(int, sys.argv[1:]))
