"""What a drive through the procedural world promises: the same bytes again, all classes and presets, other towns."""
from dataclasses import asdict

import numpy as np
import pytest

from semdepth_ros.classes import SKY
from semdepth_ros.geometry.camera import Camera
from semdepth_ros.world import PRESETS, Drive, default_camera

SMALL = Camera.from_field_of_view(160, 48, 81, height_m=1.65)


@pytest.fixture(scope='module')
def day():
    """A drive through a test town."""
    return Drive('day', 3, 200, SMALL)


def test_the_same_seed_gives_the_same_bytes_in_whatever_order_frames_are_asked_for(day):
    again = Drive('day', 3, 200, SMALL)
    for i in (150, 0, 40):
        for part in ('image', 'depth', 'labels', 'instances', 'pose', 'odometry_pose'):
            assert getattr(day[i], part).tobytes() == getattr(again[i], part).tobytes(), part


def test_frames_rendered_together_are_those_rendered_one_by_one(day):
    together = day.render([20, 21, 22])
    for frame, alone in zip(together, (day[20], day[21], day[22])):
        assert np.array_equal(frame.image, alone.image) and np.array_equal(frame.depth, alone.depth)


def test_a_longer_drive_begins_like_a_shorter_one(day):
    longer = Drive('day', 3, 900, SMALL)
    assert np.array_equal(day[190].image, longer[190].image)
    assert set(day[190].motions) == set(longer[190].motions)


def test_another_seed_and_another_split_are_other_towns(day):
    towns = [asdict(Drive('day', seed, 5, SMALL, split=split).scene.town)
             for seed, split in ((3, 'test'), (4, 'test'), (3, 'train'), (3, 'val'))]
    for i, town in enumerate(towns):
        for other in towns[i + 1:]:
            different = [name for name in town if town[name] != other[name]]
            assert len(different) > 25
    assert towns[0]['plasters'] != towns[2]['plasters'] != towns[3]['plasters']
    assert not np.array_equal(day[0].image, Drive('day', 4, 5, SMALL)[0].image)


def test_the_other_town_drives_on_the_left_between_other_colours():
    town, usual = (Drive(preset, 0, 5, SMALL).scene.town for preset in ('other_town', 'day'))
    assert town.left_hand and town.yellow_lines and not usual.left_hand
    assert not set(town.plasters) & set(usual.plasters)


def test_parts_have_the_promised_shapes_and_types(day):
    frame = day[7]
    for part, shape, kind in (('image', (48, 160, 3), np.uint8), ('depth', (48, 160), np.float32),
                              ('labels', (48, 160), np.uint8), ('instances', (48, 160), np.int32)):
        assert getattr(frame, part).shape == shape and getattr(frame, part).dtype == kind
    assert frame.stamp_ns == 700_000_000
    assert len(day) == 200


def test_sky_and_only_sky_is_infinitely_far(day):
    for frame in day.render(range(0, 200, 40)):
        assert np.array_equal(np.isinf(frame.depth), frame.labels == SKY)
        assert frame.depth.min() > 0.1


def test_fourteen_classes_are_seen_regularly(day):
    counts = np.zeros(256)
    for frame in [*day.render(range(0, 200, 12)), *Drive('day', 1, 300, SMALL).render(range(0, 300, 12))]:
        counts += np.bincount(np.unique(frame.labels), minlength=256)
    assert (counts >= 4).sum() >= 14        # in at least a tenth of all frames
    assert counts[19:].sum() == 0


@pytest.mark.parametrize('preset', PRESETS)
def test_every_preset_renders_through_its_own_camera(preset):
    camera = default_camera(preset)
    drive = Drive(preset, 1, 30, camera.scaled(camera.width // 8, camera.height // 8))
    frame = drive[20]
    assert 15 < frame.image.mean() < 235 and frame.image.std() > 8
    assert len(np.unique(frame.labels)) >= 5


def test_presets_show_the_same_street_in_another_light():
    drives = {name: Drive(name, 1, 30, SMALL) for name in ('day', 'dusk', 'night', 'fog', 'glare')}
    frames = {name: drive[10] for name, drive in drives.items()}
    for name, frame in frames.items():
        assert np.mean(frame.labels == frames['day'].labels) > 0.97, name
    lights = {name: drive.scene.light for name, drive in drives.items()}
    light = {name: np.add(each.sunlight, each.skylight).sum() for name, each in lights.items()}
    assert light['night'] < light['dusk'] < light['day']
    assert frames['night'].image.mean() < 0.8 * frames['day'].image.mean()
    far = (frames['day'].depth > 40) & np.isfinite(frames['day'].depth)
    assert frames['fog'].image[far].std() < 0.5 * frames['day'].image[far].std()


def test_the_hard_town_has_plain_walls():
    assert Drive('hard', 0, 5, SMALL).scene.town.plain


def test_unknown_names_and_impossible_numbers_are_named():
    with pytest.raises(ValueError, match="preset is 'noon', expected one of day, dusk"):
        Drive('noon')
    with pytest.raises(ValueError, match="split is 'dev', expected one of train, val, test"):
        Drive(split='dev')
    with pytest.raises(ValueError, match='frames is 0'):
        Drive(frames=0)
    with pytest.raises(ValueError, match='bonnet is 1.2'):
        Drive(bonnet=1.2)
    with pytest.raises(ValueError, match="device is 'cpuu'"):
        Drive(device='cpuu')


def test_a_frame_beyond_the_end_is_an_index_error(day):
    with pytest.raises(IndexError, match='200'):
        day[200]
    assert np.array_equal(day[-1].depth, day[199].depth)


def test_iterating_visits_every_frame():
    assert [f.stamp_ns for f in Drive('day', 0, 3, SMALL, rate_hz=4)] == [0, 250_000_000, 500_000_000]


def test_noise_is_the_presets_and_new_in_every_frame():
    drive = Drive('night', 2, 3, SMALL)
    stop = [np.asarray(f.image, float) for f in drive.render([0, 0, 1])]
    assert np.array_equal(stop[0], stop[1])
    dark = (stop[0].max(-1) < 60) & (stop[2].max(-1) < 60)
    assert 1.0 < (stop[0] - stop[2])[dark].std() < 20
