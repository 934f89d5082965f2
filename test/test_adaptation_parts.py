"""The learner's parts: what is trained, tracks and motion, odometry, memory, held-out frames, the signed-rank test."""
from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch
from adaptation_world import CAMERA, factory, frame, pose, view
from scipy.stats import wilcoxon

from semdepth_ros.adaptation import AdaptationError, OdometryTrack, camera_motion
from semdepth_ros.adaptation.anchors import knows_the_world, world_anchors
from semdepth_ros.adaptation.branch import with_branch
from semdepth_ros.adaptation.factory import FactoryModel
from semdepth_ros.adaptation.held_out import HeldOut
from semdepth_ros.adaptation.low_rank import make_low_rank, plain_state
from semdepth_ros.adaptation.network_frame import FrameReader
from semdepth_ros.adaptation.odometry import between_deg, travel_m
from semdepth_ros.adaptation.odometry_scale import OdometryScale
from semdepth_ros.adaptation.profiles import find_profile
from semdepth_ros.adaptation.replay import ReplayMemory, pack, unpack
from semdepth_ros.adaptation.settings import Memory, Trial
from semdepth_ros.adaptation.signed_rank import p_of_positive
from semdepth_ros.adaptation.track_motion import epipolar_px, track_motion
from semdepth_ros.adaptation.tracks import Tracks, flow_px, follow, parallax_px, rays
from semdepth_ros.adaptation.triplet import Triplet
from semdepth_ros.geometry.camera import Camera
from semdepth_ros.model_file import InputRule, ModelCard
from semdepth_ros.networks import build_network
from semdepth_ros.networks.guidance.table import GUIDANCES as TABLE
from semdepth_ros.training.view import image_pairs
from semdepth_ros.world import Drive

SEGMENTER = {'kind': 'model', 'architecture': {'encoder': 'small'}}
GUIDANCES = {'plain': 'plain', 'concatenation': {'kind': 'concatenation', 'segmenter': SEGMENTER},
             'pixel_adaptive': {'kind': 'pixel_adaptive', 'segmenter': SEGMENTER}, 'modulation': 'modulation',
             'attention': 'attention', 'edge_points': 'edge_points', 'low_rank': 'low_rank',
             'both of SEEM': ['attention', 'edge_points']}


def network_of(**architecture):
    torch.manual_seed(3)
    return build_network({'encoder': 'small', **architecture}).eval()


def after_steps(network, names, steps=2):
    """Return the network after steps that move all these parameters for depth and motion's sake."""
    named = dict(network.named_parameters())
    network.requires_grad_(False)
    trained = [named[name].requires_grad_(True) for name in names]
    optimiser, images = torch.optim.SGD(trained, lr=0.1), torch.rand(2, 3, 3, 64, 96)
    for _ in range(steps):
        prediction = network(images[:, 0], pairs=image_pairs(images))
        loss = sum(d.std() for d in prediction.disparities) + prediction.extras['translation'].square().sum()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        with torch.no_grad():
            for parameter in trained:
                parameter.add_(0.01 * torch.randn_like(parameter))
    return network


@pytest.mark.parametrize('guidance', GUIDANCES)
@pytest.mark.parametrize('decoders', ['small', 'monodepth2'])
def test_what_the_depth_profile_trains_leaves_class_scores_as_they_are_to_the_bit(guidance, decoders):
    network = network_of(guidance=GUIDANCES[guidance], depth_decoder=decoders, semantic_decoder=decoders)
    image = torch.rand(1, 3, 64, 96)
    with torch.no_grad():
        before = network(image)
    moved = after_steps(network, find_profile(network, 'depth').names)
    with torch.no_grad():
        after = moved(image)
    assert torch.equal(after.logits, before.logits)
    assert not torch.equal(after.disparities[0], before.disparities[0])


def test_a_guidance_of_its_own_is_trained_with_depth_and_the_encoder_is_not():
    names = find_profile(network_of(guidance='modulation'), 'depth').names
    assert any(name.startswith('guidance.') for name in names)
    assert not any(name.startswith(('encoder.', 'semantic_decoder.')) for name in names)


def test_a_segmenter_that_guides_stays_what_it_was():
    network = network_of(guidance=GUIDANCES['pixel_adaptive'])
    frozen = {name for name, p in network.named_parameters() if not p.requires_grad}
    for kind in ('depth', 'all', 'batch_norm'):
        assert frozen and not frozen & set(find_profile(network, kind).names)


def test_every_guidance_of_the_table_is_among_those_tried():
    kinds = {name.split(' ')[0] for name in GUIDANCES}
    assert set(TABLE) <= kinds


def test_convolutions_that_both_decoders_share_are_not_trained():
    names = find_profile(network_of(shared_decoder=4), 'depth').names
    assert not any(name.startswith('trunk.') for name in names)
    assert any(name.startswith('depth_decoder.path.') for name in names)


def test_where_only_heads_are_left_it_says_so_in_one_line_and_what_to_do():
    shared = network_of(shared_decoder=10, depth_decoder='monodepth2', semantic_decoder='monodepth2')
    for kind in ('depth', 'low_rank'):
        with pytest.raises(AdaptationError, match='shared_decoder is 10: .* only the heads .* expected'):
            find_profile(shared, kind)
    assert not find_profile(shared, 'all').semantics_fixed


SHARED = {'shared_decoder': 10, 'depth_decoder': 'monodepth2', 'semantic_decoder': 'monodepth2'}


@pytest.mark.parametrize('shared', [SHARED, {'shared_decoder': 8}, {'guidance': ['attention', 'edge_points']}])
def test_a_branch_gives_the_depth_side_something_of_its_own_and_changes_nothing_at_first(shared, tmp_path):
    network = network_of(**shared)
    card = ModelCard(network.architecture, focal_px=100.0, input=InputRule(pixels=96 * 64), name='shared', factory='f')
    branched, its_card = with_branch(network, card)
    image = torch.rand(1, 3, 64, 96)
    with torch.no_grad():
        before, after = network(image), branched(image)
    assert torch.equal(before.logits, after.logits) and torch.equal(before.disparities[0], after.disparities[0])
    assert (its_card.factory, its_card.version, its_card.name) == ('', 0, 'shared_branch')
    assert build_network(its_card.architecture).architecture == branched.architecture
    moved = after_steps(branched, find_profile(branched, 'depth').names)
    with torch.no_grad():
        trained = moved(image)
    assert torch.equal(trained.logits, before.logits) and not torch.equal(trained.disparities[0], before.disparities[0])


def test_a_foreign_librarys_model_is_refused_in_one_line():
    network = network_of()
    network.architecture['encoder'] = 'timm:mobilenetv3_small_100'
    with pytest.raises(AdaptationError, match='timm:mobilenetv3_small_100, expected one of this package'):
        find_profile(network, 'depth')


def test_batch_norm_is_all_scales_and_shifts_that_depth_depends_on():
    network = network_of()
    profile = find_profile(network, 'batch_norm')
    assert not profile.semantics_fixed and all(dict(network.named_parameters())[n].dim() == 1 for n in profile.names)
    assert any(n.startswith('encoder.') for n in profile.names)
    assert not any(n.startswith('semantic_decoder.') for n in profile.names)


def test_a_low_rank_branch_starts_at_nothing_and_moves_a_weight_by_its_rank():
    network = network_of()
    names = find_profile(network, 'low_rank').low_rank
    before = {name: value.clone() for name, value in network.state_dict().items()}
    trained = make_low_rank(network, names, rank=2)
    state = plain_state(network, list(before))
    assert all(torch.equal(state[name], before[name]) for name in before)
    with torch.no_grad():
        for parameter in trained:
            parameter.normal_()
    change = plain_state(network, [names[0]])[names[0]] - before[names[0]]
    assert torch.linalg.matrix_rank(change.flatten(1)) == 2


def test_the_signed_rank_test_is_exact_for_every_pattern_of_signs():
    magnitudes = np.array([0.3, 1.0, 2.0, 0.1, 0.7])
    rank_sums = [sum(r for r, s in zip(np.argsort(np.argsort(magnitudes)) + 1, signs) if s > 0)
                 for signs in itertools.product([1, -1], repeat=5)]
    for signs, rank_sum in zip(itertools.product([1, -1], repeat=5), rank_sums):
        expected = np.mean(np.array(rank_sums) >= rank_sum)
        assert p_of_positive(magnitudes * signs) == pytest.approx(expected)


@pytest.mark.parametrize('count', [6, 9, 25, 80])
def test_the_signed_rank_test_agrees_with_scipys(count):
    values = np.random.default_rng(count).normal(0.2, 1, count)
    method = 'exact' if count <= 60 else 'asymptotic'
    expected = wilcoxon(values, alternative='greater', method=method, correction=True).pvalue
    assert p_of_positive(values) == pytest.approx(expected, rel=1e-6)


def test_ties_share_their_rank_and_nothing_but_zeros_says_nothing():
    assert p_of_positive(np.array([1.0, 1.0, -1.0, 1.0])) == pytest.approx(5 / 16)
    assert p_of_positive(np.zeros(7)) == 1.0
    with pytest.raises(ValueError, match='not a number'):
        p_of_positive(np.array([1.0, np.nan]))


def test_points_of_a_camera_that_only_turns_show_no_parallax_and_those_of_one_that_moves_do():
    still, turned, moved = view(3.0)[0], view(3.0, yaw=0.03)[0], view(3.5)[0]
    grey = [image.mean(axis=2).astype(np.uint8) for image in (still, turned, moved)]
    turn, drive = follow(grey[0], grey[1]), follow(grey[0], grey[2])
    assert flow_px(turn) > 1.5 and parallax_px(turn, CAMERA.matrix) < 0.3
    assert parallax_px(drive, CAMERA.matrix) > 0.4


def test_motion_from_tracks_is_that_of_the_camera_and_its_length_that_of_the_depth():
    (first, depth, _), (second, _, _) = view(3.0), view(3.5, yaw=0.02)
    tracks = follow(first.mean(axis=2).astype(np.uint8), second.mean(axis=2).astype(np.uint8))
    everywhere = np.ones(depth.shape, dtype=bool)
    for factor in (1.0, 3.0):
        found = track_motion(tracks, factor * depth, CAMERA.matrix, everywhere, farthest_m=1e3)
        assert travel_m(found.matrix) == pytest.approx(0.5 * factor, rel=0.1)
        assert found.inliers > 0.8
    right, wrong = np.eye(4), np.eye(4)
    right[:3, :3] = [[np.cos(0.02), 0, -np.sin(0.02)], [0, 1, 0], [np.sin(0.02), 0, np.cos(0.02)]]
    right[:3, 3] = right[:3, :3] @ [0, 0, -0.5]
    wrong[0, 3] = 0.5
    assert epipolar_px(tracks, CAMERA.matrix, right) < 0.4 < epipolar_px(tracks, CAMERA.matrix, wrong)


def test_far_things_that_are_perceived_too_near_do_not_bend_or_shorten_the_motion():
    rng, (height, width) = np.random.default_rng(0), (96, 320)
    matrix = np.array([[260.0, 0, 159.5], [0, 260.0, 47.5], [0, 0, 1]])
    first = np.stack([rng.uniform(0, width - 1, 200), rng.uniform(0, height - 1, 200)], axis=1)
    near = first[:, 1] > 60                                   # a road below, hills above
    depth = np.where(near, 1.5 * 260 / (first[:, 1] - 40), 300.0)
    motion = np.eye(4)
    motion[:3, :3], motion[:3, 3] = turn_aside(0.01), [0.05, 0, -1.0]
    there = (rays(first, matrix) * depth[:, None]) @ motion[:3, :3].T + motion[:3, 3]
    second = (there / there[:, 2:] @ matrix.T)[:, :2] + rng.normal(0, 0.2, (200, 2))
    perceived = np.full((height, width), 30.0)                # hills at a tenth of their distance
    rows = np.arange(height)[:, None]
    perceived = np.where(rows > 60, 1.5 * 260 / np.maximum(rows - 40, 1) * np.exp(rng.normal(0, 0.1, (height, width))), perceived)
    found = track_motion(Tracks(first, second, 200), perceived, matrix, np.ones((height, width), bool))
    assert between_deg(motion, found.matrix) < 3 and travel_m(found.matrix) == pytest.approx(1.0, rel=0.15)
    assert found.inliers > 0.5


def test_points_without_any_way_leave_the_length_to_the_fit():
    rng = np.random.default_rng(1)
    first = rng.uniform([0, 0], [127, 63], (100, 2))
    found = track_motion(Tracks(first, first.copy(), 100), np.full((64, 128), 5.0), CAMERA.matrix, np.ones((64, 128), bool))
    assert travel_m(found.matrix) < 1e-6 and found.inliers == 1


def test_too_few_points_make_no_motion():
    grey = np.full((64, 128), 90, np.uint8)
    assert track_motion(follow(grey, grey), np.ones((64, 128)), CAMERA.matrix, np.ones((64, 128), bool)) is None


def turn_aside(angle: float) -> np.ndarray:
    """Return a turn to the side."""
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, 0, -s], [0, 1, 0], [s, 0, c]])


def drive_of_a_long_base(frames: int = 6):
    """Return poses of a base that goes 0.3 m and turns 4 degrees a frame, and its lens 3 m ahead."""
    step, lens = np.eye(4), np.eye(4)
    angle = np.radians(4)
    step[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    step[0, 3] = 0.3
    lens[:3, :3] = [[0, 0, 1], [-1, 0, 0], [0, -1, 0]]
    lens[0, 3] = 3.0
    poses = [np.eye(4)]
    for _ in range(frames - 1):
        poses.append(poses[-1] @ step)
    return poses, lens


def test_the_lever_arm_makes_the_cameras_motion_exact_and_its_lack_is_seen_in_the_scale():
    poses, lens = drive_of_a_long_base()
    truth = [np.linalg.inv(b @ lens) @ (a @ lens) for a, b in zip(poses, poses[1:])]
    known, ignored = OdometryScale(2), OdometryScale(2)
    for a, b, true in zip(poses, poses[1:], truth):
        motion = camera_motion(a, b, lens)
        np.testing.assert_allclose(motion, true, atol=1e-3)
        known.take([np.log(travel_m(motion) / travel_m(true))])
        ignored.take([np.log(travel_m(camera_motion(a, b)) / travel_m(true))])
    assert known.value == pytest.approx(1, abs=0.01) and abs(ignored.value - 1) > 0.15


def test_on_a_drive_of_the_world_the_cameras_translation_is_the_true_one_within_a_millimetre():
    drive = Drive('day', 4, 60, Camera.from_field_of_view(64, 32, 80.0, height_m=1.65), rays=1)
    frames = drive.render(range(0, 60, 12))
    for a, b in zip(frames, frames[1:]):
        truth = np.linalg.inv(b.pose) @ a.pose
        found = camera_motion(a.odometry_pose, b.odometry_pose, drive.camera_in_base)
        assert np.linalg.norm(found[:3, 3] - truth[:3, 3]) < 1e-3
        without = camera_motion(a.odometry_pose, b.odometry_pose)
        assert travel_m(truth) > 0.5 and np.linalg.norm(without[:3, 3] - truth[:3, 3]) > 0.5


def test_the_reader_applies_the_lever_arm():
    poses, lens = drive_of_a_long_base()
    reader = FrameReader(factory()[1].input, lens)
    taken = [reader.read(frame(i), p) for i, p in enumerate(poses[:2])]
    np.testing.assert_allclose(taken[1].pose, poses[1] @ lens)
    assert taken[0].image.shape == (3, 64, 128) and taken[0].grey.shape == (64, 128)


def test_odometry_is_interpolated_at_an_images_stamp_and_never_beyond():
    track = OdometryTrack()
    for i in range(4):
        track.add(i * 100, pose(i))
    np.testing.assert_allclose(track.at(150)[2, 3], 1.5 * pose(1)[2, 3])
    assert track.at(301) is None and track.at(-1) is None and track.newest_ns == 300
    track.add(250, pose(9))
    assert track.at(200) is None and track.newest_ns == 250


def test_anchors_are_rendered_once_alike_and_again_where_their_file_is_broken(tmp_path):
    camera, seen = Camera.from_field_of_view(64, 32, 80.0), torch.ones(32, 64, dtype=torch.bool)
    network = network_of()
    model = FactoryModel(network, ModelCard(network.architecture, focal_px=40.0, input=InputRule(pixels=64 * 32)))
    first = world_anchors(camera, seen, 1, model, tmp_path)
    file, = tmp_path.iterdir()
    file.write_bytes(file.read_bytes()[:1000])
    again, kept = (world_anchors(camera, seen, 1, model, tmp_path) for _ in range(2))
    for one, two, three in zip(first, again, kept):
        assert torch.equal(one.images, two.images) and torch.equal(two.images, three.images)
        np.testing.assert_array_equal(one.depth, three.depth)
        assert (one.distance > 0.2).all() and np.isfinite(one.depth).mean() > 0.3
        np.testing.assert_allclose(np.linalg.norm(one.motions[:, :3, 3], axis=1), one.distance, rtol=1e-5)
    assert not knows_the_world(first)
    assert knows_the_world([replace(t, factory_depth=np.where(np.isfinite(t.depth), 2 * t.depth, 90.0)) for t in first])


def triplet(number: int, features=None, camera=CAMERA) -> Triplet:
    rng = np.random.default_rng(number)
    smooth = torch.from_numpy(np.tile(np.linspace(20, 200, 128).astype(np.uint8), (3, 3, 64, 1))) // (1 + number % 3)
    features = rng.normal(size=8).astype(np.float32) if features is None else np.asarray(features, np.float32)
    return Triplet(smooth, camera, torch.ones(64, 128, dtype=torch.bool), np.zeros((2, 4, 4), np.float32),
                   np.ones(2, np.float32), np.full((64, 128), 5.0, np.float32),
                   np.full((64, 128), number % 5, np.uint8), features / np.linalg.norm(features), number=number)


def test_a_packed_triplet_comes_back_nearly_the_same_in_less_room():
    one = triplet(4)
    again = unpack(pack(one))
    assert (again.images.int() - one.images.int()).abs().max() <= 6
    np.testing.assert_array_equal(again.labels, one.labels)
    np.testing.assert_allclose(again.factory_depth, one.factory_depth, rtol=1e-3)
    assert pack(one).bytes < one.images.numel()


def test_the_memory_keeps_what_differs_and_stays_within_its_bound():
    memory = ReplayMemory(Memory(triplets=3, similar=0.95))
    assert memory.offer(triplet(0, [1, 0, 0, 0])) and not memory.offer(triplet(1, [1, 0.01, 0, 0]))
    for number, features in enumerate(([0, 1, 0, 0], [0, 0, 1, 0], [0.7, 0.7, 0.1, 0], [0, 0, 0, 1]), start=2):
        memory.offer(triplet(number, features))
    kept = {t.number for t in memory.draw(CAMERA, 10, np.random.default_rng(0))}
    assert len(memory) == 3 and 5 in kept and 4 not in kept      # the one between two others made room


def test_the_memory_draws_of_the_camera_that_is_asked_for_alone():
    other = replace(CAMERA, fx=70.0)
    memory = ReplayMemory(Memory(triplets=4))
    for number in range(3):
        memory.offer(triplet(number))
    memory.offer(triplet(9, camera=other))
    assert [t.number for t in memory.draw(other, 5, np.random.default_rng(0))] == [9]
    for number in range(10, 14):
        memory.offer(triplet(number, camera=other))
    assert len(memory) == 4 and memory.of(other) == 4


def test_held_out_frames_are_in_no_trained_triplet_and_blocks_are_taken_once():
    held, trained, blocks = HeldOut(Trial()), set(), []
    for target in range(1, 120):
        if held.kind(target) == 'held':
            held.add(triplet(target))
        elif held.kind(target) == 'train':
            trained |= {target - 1, target, target + 1}
        block = held.close(target + 1)
        blocks += [block] if block else []
    assert [b.first for b in blocks] == [20, 45, 70, 95]
    assert all(not held.is_held(frame) for frame in trained) and len(trained) == 4 * 20 + 20
    assert [len(b.triplets) for b in blocks] == [3] * 4
    assert len(held.take()) == 4 and not held.take()


def test_the_factory_model_says_depth_classes_and_features_of_unit_length():
    network, card = factory()
    taken = FrameReader(card.input).read(frame(3))
    seen = FactoryModel(network, card).look(taken)
    assert seen.depth.shape == seen.labels.shape == (64, 128)
    assert np.linalg.norm(seen.features) == pytest.approx(1, abs=1e-5)
    assert (seen.labels == view(1.35)[2]).mean() > 0.98
