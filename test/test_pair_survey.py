"""The survey of pairs: what the truth says of them, the loss's slope there, and the command."""
import json

import cv2
import numpy as np
import pytest
import torch

from semdepth_ros.classes import TRAIN_ID
from semdepth_ros.cli.main import main
from semdepth_ros.data import Sample, write_folder_sequence
from semdepth_ros.geometry.camera import Camera
from semdepth_ros.losses import PairSampling, Pairs, ranking_loss
from semdepth_ros.training.pair_picture import COLOURS, pair_sheet
from semdepth_ros.training.pair_survey import PairSurvey, SurveyFrame, log_steps, slopes_at_truth, survey
from semdepth_ros.training.terms.ranking import Ranking

CAR, HOUSE = TRAIN_ID['car'], TRAIN_ID['building']
SETTINGS = Ranking(weight=1.0, pairs=PairSampling(quadruples=2000, couples=2000))


def car(shift=0):
    """Labels and image of a car before a house; its labels may be shifted to the right."""
    labels = torch.full((64, 160), HOUSE, dtype=torch.uint8)
    labels[16:48, 60 + shift:110 + shift] = CAR
    return labels


def frame(behind_m=20.0, shift=0):
    """A car at 10 m, what is behind it, and labels that are true and shifted."""
    truth = car()
    image = torch.where(truth == CAR, 0.8, 0.2).expand(3, 64, 160)
    return SurveyFrame('frame', image, {'true': truth, 'noisy': car(shift)}, torch.where(truth == CAR, 10.0, behind_m))


def pairs_at(*places, apart):
    index = torch.tensor([places])
    return Pairs(index, torch.tensor([[[True, not a] for a in apart]]), torch.ones(index.shape[:2], dtype=torch.bool))


def test_steps_are_differences_of_logarithms_and_the_sky_is_one_place():
    depth = torch.tensor([[[10.0, 20.0, torch.inf, torch.inf, torch.nan]]])
    steps = log_steps(pairs_at((0, 1), (1, 2), (2, 3), (0, 4), apart=[True] * 4), depth)[0]
    assert steps[:3].tolist() == pytest.approx([np.log(2), np.inf, 0]) and steps[3].isnan()


@pytest.mark.parametrize('margin_is', ['relative', 'absolute'])
def test_slopes_at_the_truth_are_those_of_the_loss(margin_is):
    depth = torch.rand(1, 4, 5, generator=torch.manual_seed(2), dtype=torch.float64) * 4 + 10
    settings = Ranking(weight=1.0, margin_is=margin_is)
    disparity = 1 / depth / (1 / depth).mean()
    for apart in (True, False):
        for place in range(1, 20):
            pair = pairs_at((0, place), apart=[apart])
            values = disparity[:, None].clone().requires_grad_()
            ranking_loss(values, pair, torch.ones(1, 1).double(), settings.margin, margin_is).backward()
            assert slopes_at_truth(pair, depth, settings).item() == pytest.approx(values.grad.abs().max().item())


def test_labels_that_fit_a_step_are_right_and_their_loss_rests():
    result = survey([frame()], SETTINGS)['true']
    assert set(result) == {'naive', 'robust'}
    for family in ('quadruples, apart', 'couples, apart'):
        assert result['robust'][family]['right'] == 1 and result['robust'][family]['slope_of_rest'] is None
        assert result['robust'][family]['pairs_a_frame'] > 50
    assert result['robust']['quadruples, together']['right'] == 1


def test_a_border_without_a_step_is_wrong_and_pushed_by_half():
    result = survey([frame(behind_m=10.0)], SETTINGS)['true']['robust']['couples, apart']
    assert result['right'] == 0 and result['slope_of_rest'] == pytest.approx(0.5, abs=0.02)


def test_shifted_labels_are_wrong_more_often_and_robust_sampling_finds_fewer_of_their_errors():
    result = survey([frame(shift=3)], SETTINGS)
    true, noisy = (result[kind] for kind in ('true', 'noisy'))
    assert noisy['naive']['quadruples, apart']['right'] < true['naive']['quadruples, apart']['right']
    assert noisy['naive']['quadruples, apart']['right'] < noisy['robust']['quadruples, apart']['right']


def test_certainty_weights_the_pairs_of_an_arm_of_its_own():
    knows = torch.zeros(1, 19, 64, 160).scatter_(1, car().long()[None, None], 20.0)
    result = survey([frame(shift=6)], SETTINGS, lambda image: knows)['noisy']
    robust, weighted = (result[arm]['couples, apart']['right'] for arm in ('robust', 'robust, weighted'))
    assert robust < 0.97 and weighted == pytest.approx(1)


def test_depth_that_is_not_known_is_not_judged():
    pairs, counted = pairs_at((0, 1), (0, 2), apart=[True, True]), PairSurvey(SETTINGS)
    counted.add((pairs, pairs), (torch.ones(1, 2),) * 2, torch.tensor([[[10.0, 20.0, torch.nan]]]))
    assert counted.result()['couples, apart']['pairs_a_frame'] == 1


def test_a_picture_has_a_tile_for_each_labels_and_sampling_in_the_colours_of_the_truth():
    for behind_m, wanted in ((20.0, (True, True)), (10.0, (True, False))):
        sheet = pair_sheet(frame(behind_m), SETTINGS)
        tiles = [half for row in np.array_split(sheet, 2) for half in np.array_split(row, 2, axis=1)]
        assert all((np.abs(tile.astype(int) - COLOURS[wanted]).sum(axis=-1) < 30).sum() > 50 for tile in tiles)


def folder(path, labels=True):
    camera = Camera(160, 64, 100.0, 100.0, 79.5, 31.5)
    one = frame(shift=3)
    sample = Sample('0', (one.image.permute(1, 2, 0).numpy() * 255).astype(np.uint8), camera, depth=one.depth.numpy(),
                    labels=car().numpy() if labels else None, noisy_labels=car(3).numpy() if labels else None)
    write_folder_sequence(path, [sample], camera)
    return str(path)


def test_the_command_prints_figures_and_writes_them_and_a_picture(tmp_path, capsys):
    picture, figures = tmp_path / 'pairs.png', tmp_path / 'pairs.json'
    assert main(['pairs', folder(tmp_path / 'drive'), '--size', '160x64', '--picture', str(picture), '--json',
                 str(figures), '--model', 'default', '--set', 'losses.ranking.pairs.quadruples=2000']) == 0
    written = json.loads(figures.read_text())
    assert written['size'] == [160, 64] and written['frames'] == 1
    assert set(written['labels']['noisy']) == {'naive', 'robust', 'robust, weighted'}
    right = written['labels']['true']['robust']['couples, apart']['right']
    assert f'{right:.3f}' in capsys.readouterr().out and cv2.imread(str(picture)).shape[1] > 1000


def test_worlds_get_wrong_labels_on_request(capsys):
    assert main(['pairs', 'world:day:1:1', '--size', '64x32', '--label-noise']) == 0
    assert '1 frames 64x32' in capsys.readouterr().out


@pytest.mark.parametrize('arguments, message', [
    (['--picture', 'pairs.txt'], '--picture is pairs.txt, expected a name that ends in .png'),
    (['--frame', '3'], '--frame is 3, expected 0 to 0'), (['--max-frames', '0'], 'at most 0 frames were asked for'),
    (['--recipe', 'none'], "no recipe 'none'"), (['--set', 'losses.ranking.skip=1'], "unknown key 'skip'")])
def test_what_the_command_cannot_do_is_said_in_one_line(tmp_path, capsys, arguments, message):
    assert main(['pairs', folder(tmp_path / 'drive'), '--size', '160x64', *arguments]) == 2
    said = capsys.readouterr().err.splitlines()
    assert message in said[-1]


def test_data_without_labels_is_refused(tmp_path, capsys):
    assert main(['pairs', folder(tmp_path / 'drive', labels=False), '--size', '160x64']) == 2
    assert 'no frame has labels' in capsys.readouterr().err
