"""Hints and refined labels looked at against the truth: figures, pictures, and the command."""
from __future__ import annotations

import json

import cv2
import numpy as np
import pytest
import torch
from plane_world import BUILDING, CAMERA, ROAD, WALL, Corridor
from tiny_model import write_models

from semdepth_ros.classes import UNLABELLED
from semdepth_ros.cli.main import main
from semdepth_ros.data import write_folder_sequence
from semdepth_ros.losses.refinement import KINDS, PseudoDepth, PseudoSemantics
from semdepth_ros.networks import load_network
from semdepth_ros.training.hint_picture import RIGHT, WRONG, hint_sheet
from semdepth_ros.training.hint_survey import (DepthSurvey, LabelSurvey, Seen, hint_frames, log_errors, look)
from semdepth_ros.training.recipe_file import read_recipe
from semdepth_ros.training.terms.hint import Hints

SIZE = (96, 64)


class NoisyCorridor(Corridor):
    """A corridor whose walls are taken for a house."""

    def __getitem__(self, index):
        sample = super().__getitem__(index)
        noisy = np.where(sample.labels == WALL, BUILDING, sample.labels).astype(np.uint8)
        return sample.__class__(**{**sample.__dict__, 'noisy_labels': noisy})


def frame(stride=1):
    return next(hint_frames(NoisyCorridor(5), SIZE, 1, stride))


def seen_of(one, own, hint, accepted=True, refined=None):
    """Return what a network would have said: its depth and pseudo-depth times the truth, on the road."""
    kind = (one.truth == ROAD).to(torch.uint8)[None] * KINDS.index('road')
    pseudo = PseudoDepth((hint * one.depth)[None], kind)
    refined = one.batch.labels if refined is None else refined[None]
    return Seen(own * one.depth, one.truth, Hints(pseudo, (kind > 0)[None] & accepted),
                PseudoSemantics(refined, torch.ones(refined.shape)))


def test_frames_are_triplets_with_the_labels_that_teach_and_the_truth():
    found = list(hint_frames(NoisyCorridor(9), SIZE, 3, 2))
    assert [one.name.split()[-1] for one in found] == ['0002', '0004', '0006']
    one, sequence = found[0], NoisyCorridor(9)
    for image, number in zip(one.batch.images[0], (2, 0, 4)):
        assert np.array_equal(image.permute(1, 2, 0).numpy(), sequence[number].image)
    assert np.array_equal(one.truth.numpy(), sequence[2].labels)
    assert np.array_equal(one.batch.labels[0].numpy(), sequence[2].noisy_labels)
    assert one.batch.distance.tolist() == [[pytest.approx(1.2)] * 2] and np.array_equal(one.depth, sequence[2].depth)
    true = next(hint_frames(NoisyCorridor(9), SIZE, 1, labels='true'))
    assert torch.equal(true.batch.labels[0], true.truth)


def test_a_hint_is_nearer_the_truth_whatever_the_scale_of_depth():
    one = frame()
    road = (one.truth == ROAD).numpy()
    own = torch.where(one.truth == ROAD, 2.0, 1.0)
    for scale in (1.0, 0.1):
        survey = DepthSurvey()
        survey.add(one, seen_of(one, scale * own, torch.tensor(scale * 1.1)))
        figures = survey.result()['road']
        ratio = np.median(one.depth) / np.median((own * one.depth).numpy())
        assert figures['own_error'] == pytest.approx(abs(np.log(2 * ratio)), rel=1e-4)
        assert figures['hint_error'] == pytest.approx(abs(np.log(1.1 * ratio)), rel=1e-4)
        better = abs(np.log(1.1 * ratio)) < abs(np.log(2 * ratio))
        assert figures['proposed_nearer'] == figures['accepted_nearer'] == better
        assert figures['accepted'] == figures['proposed'] == pytest.approx(road.mean())
    survey.add(one, seen_of(one, own, torch.tensor(1.0), accepted=False))
    assert survey.result()['road']['accepted'] == pytest.approx(road.mean() / 2)
    assert set(survey.result()) == {'all', 'road'}


def test_in_the_sky_the_farther_one_is_nearer_the_truth():
    one = frame()
    one.depth[:] = torch.where(one.truth == ROAD, torch.inf, one.depth)
    own, hint = torch.full_like(one.depth, 20.0), torch.full_like(one.depth, 30.0)
    seen = seen_of(one, torch.ones(()), torch.ones(()))
    pseudo = PseudoDepth(hint[None], seen.hints.pseudo.kind)
    seen = Seen(own, seen.labels, Hints(pseudo, seen.hints.accepted), seen.refined)
    before, after = log_errors(one, seen)
    sky = (one.truth == ROAD).numpy()
    assert (after[sky] < before[sky]).all() and np.isfinite(before).all()
    survey = DepthSurvey()
    survey.add(one, seen)
    assert survey.result()['road']['accepted_nearer'] == 1 and survey.result()['road']['own_error'] is None


def test_labels_are_mended_spoiled_and_undecided():
    one = frame()
    wall, road = (one.truth == value for value in (WALL, ROAD))
    refined = one.batch.labels[0].clone()
    top = torch.zeros_like(wall)
    top[:30] = True
    refined[wall & top], refined[wall & ~top], refined[road] = WALL, UNLABELLED, 7
    survey = LabelSurvey()
    survey.add(one, seen_of(one, torch.ones(()), torch.ones(()), refined=refined))
    found, share = survey.result(), lambda mask: float(mask.float().mean())
    assert found['wrong'] == pytest.approx(share(wall))
    assert found['mended'] == pytest.approx(share(wall & top) / share(wall))
    assert found['spoiled'] == pytest.approx(share(road) / (1 - share(wall))) and found['undecided_wrong'] == 1
    assert found['changed'] == pytest.approx(share(wall & top) + share(road)) and found['network_wrong'] == 0
    assert found['wrong_after'] == pytest.approx(share(road) / (1 - share(wall & ~top)))


def test_a_network_is_looked_at_as_training_would(tmp_path):
    network, card = load_network(write_models(tmp_path, 1)[0])
    losses = read_recipe('semhint', {'losses.semantic.refinement.confidence': 0.0, 'losses.semantic.refinement.class_share': 1.0,
                                     'losses.hint.refinement.sky': True}).losses
    seen = look(network, frame(), losses, card.focal_px)
    assert seen.depth.shape == seen.labels.shape == (64, 96) and seen.hints.accepted.shape == (1, 1, 64, 96)
    assert torch.equal(seen.refined.labels[0], seen.labels)


def test_the_picture_is_green_where_a_hint_is_nearer_and_red_where_it_is_not():
    one = frame()
    for hint, colour, other in ((1.1, RIGHT, WRONG), (3.0, WRONG, RIGHT)):
        own = torch.where(one.truth == ROAD, 2.0, 1.0)
        sheet = hint_sheet(one, seen_of(one, own, torch.tensor(hint)))
        row = np.array_split(sheet, 5)[2]
        assert [(np.abs(row.astype(int) - c).sum(axis=-1) < 30).sum() > 1000 for c in (colour, other)] == [True, False]


def test_the_command_prints_writes_and_draws(tmp_path, capsys):
    write_folder_sequence(tmp_path / 'drive', NoisyCorridor(6), CAMERA)
    model = write_models(tmp_path, 1)[0]
    assert main(['hints', str(tmp_path / 'drive'), '--model', str(model), '--size', '96x64', '--max-frames', '3', '--out',
                 str(tmp_path / 'out'), '--pictures', '2']) == 0
    written, said = json.loads((tmp_path / 'out' / 'hints.json').read_text()), capsys.readouterr().out
    assert written['size'] == [96, 64] and written['frames'] == 3
    assert f'{written["hints"]["all"]["proposed"]:.3f}' in said and f'{written["labels"]["wrong"]:.3f}' in said
    drawn = sorted(path.name for path in (tmp_path / 'out').glob('*.png'))
    assert drawn == ['000.png', '002.png'] and cv2.imread(str(tmp_path / 'out' / '000.png')).shape[1] > 1000


@pytest.mark.parametrize('arguments, words', [(['--stride', '0'], '--stride is 0, expected at least 1'),
                                              (['--stride', '4'], 'no frame has neighbours 4 frames away'),
                                              (['--set', 'losses.hint.window=2'], 'window is 2, expected an odd number'),
                                              (['--model', 'none'], 'none')])
def test_what_the_command_cannot_do_is_said_in_one_line(tmp_path, capsys, arguments, words):
    write_folder_sequence(tmp_path / 'drive', Corridor(4), CAMERA)
    model = [] if '--model' in arguments else ['--model', str(write_models(tmp_path, 1)[0])]
    assert main(['hints', str(tmp_path / 'drive'), '--size', '96x64', *model, *arguments]) == 2
    assert words in capsys.readouterr().err.splitlines()[-1]
