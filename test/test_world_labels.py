"""Wrong labels at the rates that were asked for."""
import numpy as np
import pytest

from semdepth_ros.classes import TRAIN_ID, UNLABELLED
from semdepth_ros.world import Drive, corrupt_labels, default_camera, noisy_labels
from semdepth_ros.world.label_noise import CONFUSED_WITH
from semdepth_ros.world.persistent_noise import persistent_objects

CAR, ROAD = TRAIN_ID['car'], TRAIN_ID['road']
SIDE, STEP = 30, 60


def cars(rows=16, columns=20):
    """Return labels with rows * columns square cars on a road, and the corners of the squares."""
    labels = np.full((rows * STEP, columns * STEP), ROAD, np.uint8)
    corners = [(r * STEP + 15, c * STEP + 15) for r in range(rows) for c in range(columns)]
    for top, left in corners:
        labels[top:top + SIDE, left:left + SIDE] = CAR
    return labels, corners


def test_no_rates_no_errors():
    labels, _ = cars(2, 2)
    assert np.array_equal(corrupt_labels(labels, 0, 0, 0).labels, labels)


def test_components_are_flipped_and_missing_at_the_asked_rates():
    labels, corners = cars()
    noisy = corrupt_labels(labels, flip_rate=0.2, missing_rate=0.1, border_rate=0, seed=3).labels
    middles = np.array([noisy[top + 15, left + 15] for top, left in corners])
    assert np.isin(middles, (CAR, ROAD, *CONFUSED_WITH[CAR])).all()
    assert np.mean(np.isin(middles, CONFUSED_WITH[CAR])) == pytest.approx(0.2, abs=0.06)
    assert np.mean(middles == ROAD) == pytest.approx(0.1, abs=0.05)


def test_borders_move_by_three_to_nine_pixels_both_ways():
    labels, corners = cars()
    noisy = corrupt_labels(labels, 0, 0, border_rate=0.6, seed=4).labels
    widths = np.array([(noisy[top + 15, left - 14:left + SIDE + 14] == CAR).sum() for top, left in corners])
    moved = np.abs(widths - SIDE) / 2
    assert np.mean(moved > 0) == pytest.approx(0.6, abs=0.08)
    assert moved[moved > 0].min() >= 3 and moved.max() <= 9
    assert 0.35 < np.mean(widths[moved > 0] > SIDE) < 0.65


def test_confidence_is_lower_where_labels_are_wrong():
    labels, corners = cars()
    noisy, confidence = corrupt_labels(labels, 0.3, 0, 0, seed=5)
    at = np.array([(noisy[t + 15, c + 15], confidence[t + 15, c + 15]) for t, c in corners])
    wrong = at[:, 0] != CAR
    assert at[wrong, 1].mean() < at[~wrong, 1].mean() - 30
    assert at[wrong, 1].max() > at[~wrong, 1].min()         # but does not give the errors away
    assert confidence.dtype == np.uint8 and confidence.shape == labels.shape


def test_the_same_seed_makes_the_same_errors_and_another_makes_others():
    labels, _ = cars(3, 3)
    first, again, other = (corrupt_labels(labels, 0.4, 0.2, seed=s) for s in (1, 1, 2))
    assert np.array_equal(first.labels, again.labels) and np.array_equal(first.confidence, again.confidence)
    assert not np.array_equal(first.labels, other.labels)


def test_unlabelled_stays_unlabelled_and_road_stays_road():
    labels, _ = cars(2, 2)
    labels[:10] = UNLABELLED
    noisy, confidence = corrupt_labels(labels, 1.0, 0, 0)
    assert (noisy[:10] == UNLABELLED).all() and (confidence[:10] == 0).all()
    assert (noisy[labels == ROAD] == ROAD).all() and not (noisy == CAR).any()


@pytest.mark.parametrize('arguments, words', [({'flip_rate': 1.2}, 'flip_rate is 1.2'),
                                              ({'flip_rate': 0.7, 'missing_rate': 0.6}, 'add up to more than 1'),
                                              ({'border_px': (9, 3)}, r'border_px is \(9, 3\)')])
def test_impossible_rates_are_named(arguments, words):
    with pytest.raises(ValueError, match=words):
        corrupt_labels(np.zeros((4, 4), np.uint8), **arguments)


@pytest.fixture(scope='module')
def drive():
    drive = Drive('day', 3, 12, default_camera('day', (320, 128)), 5.0, 'train')
    return drive, drive.render(range(0, 12, 3))


def test_what_stands_still_is_the_same_object_in_all_frames(drive):
    drive, (before, _, _, after) = drive
    first, last = (persistent_objects(frame, drive.camera) for frame in (before, after))
    assert (first[before.labels == TRAIN_ID['sky']] == 0).all() and first.min() == 0
    points = drive.camera.rays() * after.depth[..., None]
    still = np.isfinite(after.depth) & (after.instances == 0)
    world = points[still] @ after.pose[:3, :3].T + after.pose[:3, 3]
    seen = (world - before.pose[:3, 3]) @ before.pose[:3, :3]
    pixels = np.nan_to_num(drive.camera.project(seen), nan=-9.0).round().astype(int)
    inside = ((pixels >= 0) & (pixels < (320, 128))).all(1)
    column, row = pixels[inside].T
    visible = np.abs(before.depth[row, column] - seen[inside, 2]) < 0.03 * seen[inside, 2]
    same = first[row, column][visible] == last[still][inside][visible]
    assert visible.sum() > 2000 and same.mean() > 0.97      # a pixel beside the border of two blocks may be in either
    assert len(np.unique(first)) > 20


def test_an_object_keeps_its_wrong_class_through_a_drive(drive):
    drive, frames = drive
    taken_for = {}
    for frame in frames:
        noisy = noisy_labels(frame, drive.camera, 3, flip_rate=0.4, missing_rate=0.0, border_rate=0.0).labels
        keys = np.stack([frame.labels, persistent_objects(frame, drive.camera), noisy], -1).reshape(-1, 3)
        for label, thing, wrong in np.unique(keys, axis=0).tolist():
            taken_for.setdefault((label, thing), set()).add(wrong)
    assert all(len(classes) == 1 for classes in taken_for.values())
    fates = [(label, *classes) for (label, _), classes in taken_for.items() if label in CONFUSED_WITH]
    assert np.mean([label != wrong for label, wrong in fates]) == pytest.approx(0.4, abs=0.1) and len(fates) > 60
    assert {wrong for label, wrong in fates if label == CAR} <= {CAR, *CONFUSED_WITH[CAR]}


def test_borders_are_off_by_as_much_in_all_frames_and_small_things_can_be_missing():
    labels, corners = cars(4, 4)
    objects = np.zeros(labels.shape, np.int64)
    for number, (top, left) in enumerate(corners, start=1):
        objects[top:top + SIDE, left:left + SIDE] = number
    moved = np.roll(labels, 5, 1), np.roll(objects, 5, 1)
    one = corrupt_labels(labels, 0.2, 0.2, 0.5, (1, 9), seed=1, objects=objects)
    two = corrupt_labels(moved[0], 0.2, 0.2, 0.5, (1, 9), seed=1, objects=moved[1])
    np.testing.assert_array_equal(np.roll(one.labels, 5, 1)[:, 20:], two.labels[:, 20:])
    np.testing.assert_array_equal(np.roll(one.confidence, 5, 1)[:, 20:], two.confidence[:, 20:])
    assert not np.array_equal(one.labels, corrupt_labels(labels, 0.2, 0.2, 0.5, (1, 9), seed=2, objects=objects).labels)
    dot = np.where(np.arange(40) == 20, CAR, ROAD).astype(np.uint8)[None].repeat(4, 0)      # 4 pixels: below smallest_px
    gone = corrupt_labels(dot, 0.0, 1.0, 0.0, objects=(dot == CAR).astype(np.int64)).labels
    assert (gone == ROAD).all()
