"""Triplets and their augmentation: geometry against the camera and against exact depth, draws as pure functions."""
from dataclasses import replace

import numpy as np
import pytest
import torch
from plane_world import BUILDING, CAMERA, Corridor

from semdepth_ros.geometry.camera import Camera
from semdepth_ros.geometry.warping import warp
from semdepth_ros.geometry.window import Window
from semdepth_ros.training.augmentation import draw_window, widest_window
from semdepth_ros.training.recipe import Augmentation, DataEntry, RecipeError
from semdepth_ros.training.triplets import TripletDataset, labelled_share, open_entry, triplet_source

VARIED = Augmentation(flip=0.5, zoom=0.6, stretch=1.05, padded=0.5, gamma=0.2, blur=0.5, noise=0.02)


def dataset(sequence=None, size=(64, 32), knobs=VARIED, seed=1, **entry):
    source = triplet_source(DataEntry('corridor', **entry), [sequence or Corridor()])
    return TripletDataset([source], (size,), knobs, seed, step_size=2, length=1000)


def ramp_image(camera):
    """An image whose red and green are its own pixel coordinates."""
    v, u = np.mgrid[:camera.height, :camera.width].astype(np.float32)
    return np.stack([u, v, np.zeros_like(u)], axis=-1)


def images_of(window, image):
    """What the window makes of one image [H, W, C]."""
    return window.images(torch.from_numpy(image).permute(2, 0, 1)[None])[0].permute(1, 2, 0).numpy()


@pytest.mark.parametrize('seed', range(6))
def test_the_windows_camera_is_that_of_the_windows_pixels(seed):
    camera = Camera(96, 64, 60.0, 66.0, 45.0, 30.0)
    window = draw_window(camera, (64, 32), VARIED, np.random.default_rng(seed))
    pixels, cut = images_of(window, ramp_image(camera)), window.camera(camera)
    assert (cut.width, cut.height) == (64, 32) == pixels.shape[1::-1]
    inner = window.labels(torch.ones(1, 1, 64, 96), padding=0)[0, 0].numpy() > 0
    inner[1:-1, 1:-1] &= inner[:-2, 1:-1] & inner[2:, 1:-1] & inner[1:-1, :-2] & inner[1:-1, 2:]
    inner[[0, -1]] = inner[:, [0, -1]] = False
    u, v = np.meshgrid(np.arange(64), np.arange(32))
    sign = -1 if window.flip else 1
    rays = np.stack([sign * (u - cut.cx) / cut.fx, (v - cut.cy) / cut.fy], axis=-1)
    expected = rays * [camera.fx, camera.fy] + [camera.cx, camera.cy]
    np.testing.assert_allclose(pixels[inner][:, :2], expected[inner], atol=0.51)
    assert abs(np.mean(pixels[inner][:, :2] - expected[inner])) < 0.05
    assert 1 / 1.06 < cut.fx / cut.fy < 1.06


def test_zoom_varies_the_field_of_view_and_padding_is_marked():
    focal = [draw_window(CAMERA, (96, 64), VARIED, np.random.default_rng(i)).camera(CAMERA).fx for i in range(60)]
    assert min(focal) < 66 and max(focal) > 90
    items = [dataset()[i] for i in range(40)]
    unseen = [item for item in items if not item.seen.all()]
    assert 5 < len(unseen) < 35
    assert all((item.labels[~item.seen] == 255).all() for item in unseen)


def test_padding_repeats_the_edge():
    window = Window(0, 0, 4, 4, content=(4, 4), margins=(0, 0, 1, 3))
    image = images_of(window, np.arange(16, dtype=np.uint8).reshape(4, 4, 1).repeat(3, axis=2))
    assert image.shape == (8, 4, 3)
    assert (image[0] == image[1]).all() and (image[5:] == image[4]).all()
    assert window.camera(Camera(4, 4, 5, 5, 1.5, 1.5)).cy == 2.5


def test_the_widest_window_keeps_the_focal_lengths_equal_and_fills_the_image():
    window = widest_window(Camera(1242, 375, 721.5, 721.5, 609.5, 172.8), (256, 96))
    assert (window.top, window.height) == (0, 375) and abs(window.width - 1000) <= 1


def test_triplets_warp_onto_each_other_with_true_depth_whatever_was_drawn():
    world = Corridor()
    knobs = replace(VARIED, padded=0.0, zoom=0.8)
    for number in range(6):
        item = dataset(world, (96, 64), knobs)[number]
        sequence, frame, stride = item.origin[1:].tolist()
        window = draw_window_again(number, (96, 64), knobs)
        depth = window.labels(torch.from_numpy(world[frame].depth)[None, None], padding=0)
        images, matrix = item.images.float() / 255, item.intrinsics[None]
        errors = []
        for moved in (0.0, stride * world.step_m):
            transform = torch.eye(4)[None].clone()
            transform[0, 2, 3] = -moved
            warped, valid = warp(images[None, 2], depth, matrix, matrix, transform)
            errors.append(float(((warped - images[None, 0]).abs() * valid).sum() / valid.sum() / 3))
        assert errors[1] < 0.35 * errors[0]
        assert item.distance.tolist() == pytest.approx([0.6, 0.6])


def draw_window_again(number, size, knobs):
    """The window that a dataset of seed 1 and one source draws: its third stream, after source and target."""
    rng = np.random.default_rng([1, 2, number])
    rng.random()
    rng.integers(len(Corridor()) - 2)
    return draw_window(CAMERA, size, knobs, rng)


def test_a_triplet_is_a_pure_function_of_seed_and_number():
    first, again, other = dataset()[7], dataset()[7], dataset(seed=2)[7]
    assert all(torch.equal(a, b) for a, b in zip(first[:-1], again[:-1]))
    assert not torch.equal(first.images, other.images)


def test_weights_decide_how_often_a_source_is_drawn():
    sources = [triplet_source(DataEntry('a', weight=3), [Corridor(6)]), triplet_source(DataEntry('b'), [Corridor(6)])]
    drawn = TripletDataset(sources, ((32, 32),), Augmentation(), 1, 1, 400)
    share = np.mean([int(drawn[i].origin[0]) == 0 for i in range(400)])
    assert 0.68 < share < 0.82


def test_sizes_are_drawn_for_whole_batches():
    sources = [triplet_source(DataEntry('a'), [Corridor(6)])]
    drawn = TripletDataset(sources, ((64, 32), (32, 32)), Augmentation(), 1, step_size=4, length=400)
    widths = np.array([[drawn[4 * step + i].images.shape[-1] for i in range(4)] for step in range(12)])
    assert (widths == widths[:, :1]).all() and set(widths[:, 0]) == {32, 64}


def test_strides_widen_the_baseline():
    item = dataset(strides=(3,))[0]
    assert item.distance.tolist() == pytest.approx([1.8, 1.8])
    assert item.origin[3] == 3


def test_standing_frames_are_left_out_where_motion_is_known():
    with pytest.raises(RecipeError, match='no frame with moving neighbours'):
        triplet_source(DataEntry('standing'), [Corridor(step_m=0.0)])
    source = triplet_source(DataEntry('unknown'), [Corridor(step_m=0.0, known_poses=False)])
    assert len(source.targets) == 8


class Broken(Corridor):
    """Ten frames between whose fifth and sixth 2 s are missing, or 20 m of odometry."""

    def __init__(self, seconds=0, metres=0, known_poses=True):
        super().__init__(known_poses=known_poses)
        self.seconds, self.metres = seconds, metres

    @property
    def stamps_ns(self):
        return [stamp + 10 ** 9 * self.seconds * (i > 4) for i, stamp in enumerate(super().stamps_ns)]

    def _pose(self, index):
        pose = super()._pose(index)
        pose[2, 3] += self.metres * (index > 4)
        return pose


@pytest.mark.parametrize('cache', ['ram', 'none'])
@pytest.mark.parametrize('how, reason', [
    ({'seconds': 2}, 'across gaps in time'), ({'seconds': 2, 'known_poses': False}, 'across gaps in time'),
    ({'seconds': -1}, 'across gaps in time'), ({'metres': 20}, 'faster than 70 m/s')])
def test_no_triplet_reaches_across_a_gap_in_time_or_a_jump_of_the_pose(how, reason, cache):
    source = triplet_source(DataEntry('c', strides=(1, 2), cache=cache), [Broken(**how)])
    assert source.targets[:, 1:].tolist() == [[f, 1] for f in (1, 2, 3, 6, 7, 8)] + [[2, 2], [7, 2]]
    assert source.left_out == {reason: 6}
    assert source.said_of_left_out() == f'c: of 14 triplets are left out 6 {reason}'


def test_standing_frames_are_left_out_without_reading_images_that_are_not_cached():
    class Unread(Corridor):
        def __getitem__(self, index):
            raise AssertionError('an image was read')
    with pytest.raises(RecipeError, match='no frame with moving neighbours .* left out: 8 closer than 0.05 m'):
        triplet_source(DataEntry('standing', cache='none'), [Unread(step_m=0.0)])


def test_distances_are_nan_without_poses():
    assert dataset(Corridor(known_poses=False))[0].distance.isnan().all()


class Labelled(Corridor):
    """A corridor with noisy labels and their confidence."""

    def __getitem__(self, index):
        sample = super().__getitem__(index)
        noisy, confidence = np.full_like(sample.labels, 7), np.full_like(sample.labels, 51)
        return replace(sample, noisy_labels=noisy, noisy_confidence=confidence)


@pytest.mark.parametrize('labels, expected, confidence',
                         [('true', BUILDING, 1.0), ('noisy', 7, 0.2), ('none', 255, 1.0)])
def test_labels_are_those_asked_for(labels, expected, confidence):
    item = dataset(Labelled(), knobs=Augmentation(flip=0, shift=0), labels=labels)[0]
    assert item.labels[10, 32] == expected
    assert item.confidence[10, 32] == pytest.approx(confidence)


@pytest.mark.parametrize('cache', ['ram', 'none'])
def test_the_share_of_labelled_frames_is_known(cache):
    class Half(Labelled):
        def __getitem__(self, index):
            return super().__getitem__(index) if index % 2 else Corridor.__getitem__(self, index)
    for sequence, share in ((Corridor(), 0), (Half(), 0.5), (Labelled(), 1)):
        assert labelled_share(triplet_source(DataEntry('c', labels='noisy', cache=cache), [sequence])) == share


def test_missing_labels_are_unlabelled():
    assert (dataset(labels='noisy')[0].labels == 255).all()


def test_a_sequence_without_camera_is_refused():
    class Blind(Corridor):
        def __getitem__(self, index):
            return replace(super().__getitem__(index), camera=None)
    with pytest.raises(RecipeError, match='has no camera'):
        dataset(Blind())[0]


def test_distorted_frames_are_rectified():
    class Distorted(Corridor):
        def __getitem__(self, index):
            camera = replace(CAMERA, distortion_model='plumb_bob', distortion=(-0.2, 0.0, 0.0, 0.0))
            return replace(super().__getitem__(index), camera=camera)
    plain, straight = (dataset(s, knobs=Augmentation(flip=0, shift=0))[0] for s in (Corridor(), Distorted()))
    assert torch.equal(plain.intrinsics, straight.intrinsics)
    assert not torch.equal(plain.images, straight.images)
    assert plain.seen.all()


def test_what_lies_beyond_a_rectified_image_is_not_seen():
    class Pincushion(Corridor):
        def __getitem__(self, index):
            camera = replace(CAMERA, distortion_model='plumb_bob', distortion=(0.3, 0.0, 0.0, 0.0))
            return replace(super().__getitem__(index), camera=camera)
    item = dataset(Pincushion(), (96, 64), Augmentation(flip=0, shift=0))[0]
    assert 0.5 < item.seen.float().mean() < 0.9 and item.seen[24, 48]
    assert torch.equal(item.seen, item.labels != 255)


def test_a_pattern_opens_every_match_in_order(tmp_path):
    for name in 'ba':
        (tmp_path / name).mkdir()
    assert open_entry(DataEntry(str(tmp_path / '*')), lambda path: [path[-1]]) == ['a', 'b']
    with pytest.raises(RecipeError, match='no data matches'):
        open_entry(DataEntry(str(tmp_path / 'x*')), lambda path: [path])
