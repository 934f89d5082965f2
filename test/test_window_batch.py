"""Windows cut in a batch against each window by itself."""
import numpy as np
import torch

from semdepth_ros.geometry.camera import Camera
from semdepth_ros.geometry.window_batch import WindowBatch, numbers_of
from semdepth_ros.training.augmentation import draw_window
from semdepth_ros.training.recipe import Augmentation

SIZE = (64, 32)
VARIED = Augmentation(flip=0.5, zoom=0.3, stretch=1.05, padded=0.5)


def drawn(count):
    camera = Camera(150, 90, 100.0, 104.0, 70.0, 40.0)
    return [draw_window(camera, SIZE, VARIED, np.random.default_rng(i)) for i in range(count)]


def test_a_batch_of_windows_cuts_as_each_by_itself():
    windows, generator = drawn(40), torch.Generator().manual_seed(1)
    assert {w.flip for w in windows} == {True, False} and any(any(w.margins) for w in windows)
    assert any(w.width < w.content[0] for w in windows) and any(w.width > 1.5 * w.content[0] for w in windows)
    images = torch.randint(256, (40, 3, 90, 150), dtype=torch.uint8, generator=generator)
    labels = torch.randint(19, (40, 90, 150), dtype=torch.uint8, generator=generator)
    batch = WindowBatch(torch.tensor([numbers_of(w) for w in windows]), SIZE)
    one_by_one = torch.cat([w.images(image[None]) for w, image in zip(windows, images)])
    difference = (batch.images(images).int() - one_by_one.int()).abs()
    assert difference.max() <= 1 and difference.float().mean() < 0.25   # torch rounds between the axes
    nearest = torch.cat([w.labels(label[None, None], 255)[0] for w, label in zip(windows, labels)])
    assert torch.equal(batch.labels(labels, 255), nearest)


def test_depth_is_cut_like_labels_and_keeps_what_is_not_a_number():
    windows = drawn(8)
    depth = torch.rand(8, 90, 150)
    depth[:, :20], depth[:, 20:30] = torch.inf, torch.nan
    batch = WindowBatch(torch.tensor([numbers_of(w) for w in windows]), SIZE)
    nearest = torch.cat([w.labels(d[None, None], torch.nan)[0] for w, d in zip(windows, depth)])
    torch.testing.assert_close(batch.labels(depth, torch.nan), nearest, rtol=0, atol=0, equal_nan=True)
