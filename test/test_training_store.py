"""Triplets cut from frames in the device's memory against the same triplets read and cut one by one."""
from dataclasses import replace

import pytest
import torch
from plane_world import CAMERA, Corridor

from semdepth_ros.training.batch import TripletBatch, collate
from semdepth_ros.training.frame_store import DrawDataset, FrameStore
from semdepth_ros.training.recipe import Augmentation, DataEntry, RecipeError
from semdepth_ros.training.triplets import TripletDataset, triplet_source
from torch.utils.data import default_collate

VARIED = Augmentation(flip=0.5, zoom=0.6, stretch=1.05, padded=0.5)
NEEDS = frozenset({'depth'})


class Distorted(Corridor):
    """A corridor of another size, seen through a lens whose rectified image has unseen corners."""

    def __getitem__(self, index):
        camera = replace(CAMERA.scaled(80, 48), distortion_model='plumb_bob', distortion=(0.3, 0.0, 0.0, 0.0))
        sample = Corridor(self.frames, camera=CAMERA.scaled(80, 48))[index]
        return replace(sample, camera=camera)


def triplets(*sequences, **entry):
    sources = [triplet_source(DataEntry('corridor', cache='device', **entry), [s], keep_depth=True) for s in sequences]
    return TripletDataset(sources, ((64, 32), (32, 32)), VARIED, 1, step_size=4, length=1000, needs=NEEDS)


class Zooming(Corridor):
    """A corridor whose lens zooms in after the fifth frame."""

    def __getitem__(self, index):
        camera = CAMERA if index < 5 else replace(CAMERA, fx=120.0, fy=120.0)
        return Corridor(self.frames, camera=camera)[index]


def test_no_triplet_warps_across_a_zoom():
    dataset, across = triplets(Zooming()), 0
    for number in range(40):
        item = dataset[number]
        stands = torch.equal(item.images[0], item.images[1]) and torch.equal(item.images[0], item.images[2])
        assert stands == (int(item.origin[2]) in (4, 5))
        assert not stands or item.distance.tolist() == [0, 0]
        across += stands
    assert 0 < across < 40


@pytest.mark.parametrize('sequences', [[Zooming()], [Corridor()], [Corridor(), Distorted(8), Corridor(known_poses=False)]])
def test_a_batch_from_the_store_is_the_batch_that_is_read(sequences):
    dataset = triplets(*sequences, strides=(1, 2))
    store = FrameStore(dataset.sources, NEEDS, torch.device('cpu'))
    draws = DrawDataset(dataset, store)
    for step in range(4):
        numbers = range(4 * step, 4 * step + 4)
        read = collate([dataset[n] for n in numbers])
        cut = store.cut(default_collate([draws[n] for n in numbers]))
        assert (cut.images.int() - read.images.int()).abs().max() <= 1
        torch.testing.assert_close(cut.depth, read.depth, rtol=1e-3, atol=0, equal_nan=True)
        for name in set(TripletBatch._fields) - {'images', 'depth'}:
            torch.testing.assert_close(getattr(cut, name), getattr(read, name), rtol=0, atol=0, equal_nan=True)


def test_depth_stays_where_it_is_unless_a_term_asks_for_it():
    dataset = triplets(Corridor())
    store = FrameStore(dataset.sources, frozenset(), torch.device('cpu'))
    assert store.cut(default_collate([DrawDataset(dataset, store)[0]])).depth is None


def test_a_device_without_room_is_named(monkeypatch):
    def full(*shape, **how):
        raise torch.OutOfMemoryError('CUDA out of memory')
    monkeypatch.setattr(torch, 'empty', full)
    with pytest.raises(RecipeError, match='cache is device, but cpu has no room for 0.0 GB of images: set cache to ram'):
        FrameStore(triplets(Corridor()).sources, NEEDS, torch.device('cpu'))
