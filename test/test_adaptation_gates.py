"""Every gate opens on the clean drive, and closes on what it is for, with a reason that names the number."""
from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from adaptation_world import CAMERA, STEP_M, factory, frame, pose, view, with_pixels

from semdepth_ros.adaptation.evidence import Evidence
from semdepth_ros.adaptation.factory import FactoryModel
from semdepth_ros.adaptation.gates import GATES, GateKeeper
from semdepth_ros.adaptation.network_frame import FrameReader
from semdepth_ros.adaptation.odometry import between_deg, travel_m
from semdepth_ros.adaptation.odometry_scale import OdometryScale
from semdepth_ros.adaptation.settings import GATE_NAMES, Gates
from semdepth_ros.adaptation.track_motion import travel_along
from semdepth_ros.classes import TRAIN_ID
from semdepth_ros.frame import Frame
from semdepth_ros.settings import SettingsError

LIMITS = Gates(least_tracks=15, least_parallax_px=0.3, least_sharpness=1.0)


def evidence(frames=None, poses=None, scale=None, labels=None) -> Evidence:
    """Return the evidence of three frames, by default the clean drive's."""
    network, card = factory()
    reader = FrameReader(card.input)
    frames = [frame(i) for i in (4, 5, 6)] if frames is None else frames
    poses = [pose(i) for i in (4, 5, 6)] if poses is None else poses
    taken = tuple(reader.read(f, p) for f, p in zip(frames, poses))
    seen, model = FactoryModel(network, card).look(taken[1]), FactoryModel(network, card)
    if labels is not None:
        seen = replace(seen, labels=labels)
    return Evidence(taken, seen, model.classes, known_scale() if scale is None else scale)


def known_scale(value: float = 1.1) -> OdometryScale:
    scale = OdometryScale(2)
    scale.take([np.log(value)] * 4)
    return scale


def closed(one: Evidence, settings: Gates = LIMITS) -> tuple[str, str]:
    """Return the first gate that closes, and its reason."""
    found = GateKeeper(settings).ask(one)
    return ('', '') if found is None else (found[0], found[1].reason)


def pixels(change) -> list[Frame]:
    return [with_pixels(f, change(f.image)) for f in (frame(i) for i in (4, 5, 6))]


def far_apart(step_m: float) -> dict:
    return {'frames': [frame(i, step_m=step_m) for i in (4, 5, 6)], 'poses': [pose(i, step_m) for i in (4, 5, 6)]}


def turned(by: float) -> dict:
    frames = [with_pixels(frame(i), view(i * STEP_M, CAMERA, by * (i - 5))[0]) for i in (4, 5, 6)]
    poses = [pose(i) for i in (4, 5, 6)]
    for i, p in enumerate(poses):
        angle = by * (i - 1)
        p[:3, :3] = [[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]]
    return {'frames': frames, 'poses': poses}


def with_poses(change) -> dict:
    return {'poses': [change(i) for i in (4, 5, 6)]}


def sideways(number: int) -> np.ndarray:
    place = np.eye(4)
    place[0, 3] = number * STEP_M
    return place


NO_POSES = [None] * 3
CARS = np.full((64, 128), TRAIN_ID['car'], np.uint8)
CARS[:20] = TRAIN_ID['wall']
MOST_ARE_CARS = {'labels': CARS}
SKY = np.full((64, 128), TRAIN_ID['sky'], np.uint8)
SKY[60:] = TRAIN_ID['road']
FEW_CORNERS = {'labels': SKY}
PARKED = [frame(5, stamp_ns=s) for s in (400_000_000, 500_000_000, 600_000_000)]
RAMP = np.tile(np.linspace(40, 160, 128).astype(np.uint8)[None, :, None], (64, 1, 3))

# what each gate is for: (evidence, what its reason says)
CASES = {
    'stamps': [({'frames': [frame(4), frame(5), frame(6, stamp_ns=900_000_000)]}, 'differ by 3.00'),
               ({'frames': [frame(4), frame(5), frame(6, stamp_ns=500_000_000)]}, '0.000 s'),
               ({'frames': [frame(4), frame(5), frame(6, stamp_ns=450_000_000)]}, '-0.050 s')],
    'exposure': [({'frames': pixels(lambda image: image // 40)}, 'mean grey is'),
                 ({'frames': pixels(lambda image: 250 + image // 64)}, 'mean grey is 25'),
                 ({'frames': pixels(lambda image: np.full_like(image, 90))}, 'deviates by 0.0'),
                 ({'frames': pixels(lambda image: np.where(image > 70, 255, 0).astype(np.uint8))}, 'black or white')],
    'texture': [({'frames': pixels(lambda image: RAMP)}, 'has a gradient')],
    'tracks': [({'frames': [frame(4), frame(5), frame(90, stamp_ns=600_000_000)]}, 'found again|could be tracked')],
    'translation': [({'poses': [pose(5)] * 3}, 'travel is 0.000 m'), (far_apart(4.0), 'travel is 4.00 m'),
                    ({'frames': PARKED, 'poses': NO_POSES}, 'points moved by 0.00 px')],
    'parallax': [({'frames': PARKED}, 'parallax is 0.00 px')],
    'movable': [(MOST_ARE_CARS, 'share of 0.69 of the pixels may move')],
    'motion': [(FEW_CORNERS, 'too few points')],
    'rotation': [(turned(np.radians(6)), 'turned by 6.0 degrees')],
    'odometry': [(with_poses(sideways), '90 degrees apart'), ({'scale': known_scale(2.2)}, "odometry's travel is 0.5"),
                 ({'scale': OdometryScale(8)}, '0 of the 8 pairs')],
    'auto_mask': [({'frames': [frame(4), frame(5), frame(6)]}, 'explains a share of')]}


def test_every_gate_has_a_case_and_can_be_turned_off_by_its_name():
    assert set(CASES) == set(GATES) and GATE_NAMES == (*GATES, 'loss')
    assert Gates(off=GATE_NAMES).off == GATE_NAMES
    with pytest.raises(SettingsError, match="off is 'movers', expected one of"):
        Gates(off=('movers',))


def test_all_gates_are_open_on_the_clean_drive_with_odometry_and_without():
    assert closed(evidence()) == ('', '')
    assert closed(evidence(poses=NO_POSES)) == ('', '')


@pytest.mark.parametrize('name, case', [(n, i) for n, cases in CASES.items() for i in range(len(cases))])
def test_a_gate_closes_on_what_it_is_for_and_says_the_number(name, case):
    given, words = CASES[name][case]
    settings = replace(LIMITS, least_survivors=0.995) if name == 'auto_mask' else LIMITS
    settings = replace(settings, most_turn_deg=5.0, off=() if name != 'translation' else ('tracks',))
    gate, reason = closed(evidence(**given), settings)
    assert gate == name
    assert re.search(words, reason), reason


def test_odometry_is_not_believed_where_points_do_not_say_how_far_the_camera_went():
    silent = evidence()
    silent.__dict__['log_scales'] = []                      # a cached property: no point has travelled
    verdict = GATES['odometry'](silent, LIMITS)
    assert not verdict.open and 'points do not say how far' in verdict.reason


def test_a_gate_that_is_off_is_not_asked():
    settings = replace(LIMITS, off=('movable',))
    assert closed(evidence(**MOST_ARE_CARS), settings)[0] != 'movable'


def test_gates_count_what_they_turn_away_and_keep_what_they_measured():
    keeper = GateKeeper(LIMITS)
    for _ in range(3):
        keeper.ask(evidence(poses=[pose(5)] * 3))
    keeper.ask(evidence())
    assert keeper.rejections == {'translation': 3}
    assert keeper.last['translation'].value == pytest.approx(STEP_M) and keeper.last['translation'].open


def test_the_reference_motion_is_odometrys_in_the_networks_own_metres():
    one = evidence(scale=known_scale(1.1))
    np.testing.assert_allclose(one.motions[:, 2, 3], [STEP_M / 1.1, -STEP_M / 1.1], atol=1e-6)
    np.testing.assert_allclose(one.distance, STEP_M / 1.1)


def test_odometry_that_knows_no_pitch_lends_its_length_alone():
    def pitching(number):
        place, angle = pose(number), np.radians(2.0) * (number - 5)
        place[:3, :3] = [[1, 0, 0], [0, np.cos(angle), -np.sin(angle)], [0, np.sin(angle), np.cos(angle)]]
        return place
    one = evidence(poses=[pitching(i) for i in (4, 5, 6)])       # the images do not pitch, the poses do
    assert np.linalg.norm(one.motions[0, :3, 3]) == pytest.approx(STEP_M / 1.1, rel=1e-6)
    assert np.abs(one.motions[0, :3, :3] - np.eye(3)).max() < 0.02


def test_odometry_that_images_bear_out_is_believed_though_bent_depth_bends_the_points_own_motion():
    one = evidence()
    across = (np.arange(CAMERA.width) - CAMERA.cx) / CAMERA.width
    one.seen = replace(one.seen, depth=(one.seen.depth * np.exp(2.5 * across)).astype(np.float32))
    apart = [between_deg(told, tracked.matrix) for told, tracked in zip(one.odometry, one.tracked)]
    settings = replace(LIMITS, most_direction_deg=0.5 * max(apart))
    assert max(apart) > 1.0 and GATES['odometry'](one, settings).open
    sideways = evidence(poses=[aside(i, 20.0) for i in (4, 5, 6)])
    sideways.seen = one.seen
    assert not GATES['odometry'](sideways, settings).open
    # the scale is that of the way that odometry says, not that of the bent one
    matrix, truth = CAMERA.matrix, one.odometry[1]
    travel = travel_along(one.tracks[1], one.seen.depth, matrix, one.still, truth)
    assert one.log_scales[1] == pytest.approx(np.log(travel_m(truth) / travel))
    assert travel_along(one.tracks[1], one.seen.depth, matrix, one.still, np.eye(4)) is None


def aside(number: int, degrees: float) -> np.ndarray:
    """Return a pose of a drive that goes aside by an angle, looking ahead."""
    place, angle = pose(number), np.radians(degrees)
    place[0, 3], place[2, 3] = np.sin(angle) * place[2, 3], np.cos(angle) * place[2, 3]
    return place


def test_without_odometry_the_reference_is_that_of_the_tracked_points():
    one = evidence(poses=NO_POSES)
    assert np.isnan(one.distance).all()
    np.testing.assert_allclose(one.motions[1, :3, 3], [0, 0, -STEP_M / 1.1], atol=0.05)
