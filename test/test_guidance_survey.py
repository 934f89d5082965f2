"""The survey of what guidance does: changes of features and depth, the maps of attention, the picture and the command."""
from __future__ import annotations

import json

import cv2
import numpy as np
import pytest
import torch
from torch import nn

from semdepth_ros.classes import TRAIN_ID
from semdepth_ros.cli.guidance import usual_size
from semdepth_ros.cli.main import main
from semdepth_ros.data.folder_writer import write_folder_sequence
from semdepth_ros.data.sample import Sample
from semdepth_ros.geometry.camera import Camera
from semdepth_ros.model_file import InputRule, ModelCard
from semdepth_ros.networks import build_network, save_network
from semdepth_ros.networks.guidance.attention import AttentionLevel, attend
from semdepth_ros.training.guidance_picture import guidance_sheet
from semdepth_ros.training.guidance_survey import guided, parts_of, survey
from semdepth_ros.training.pair_survey import SurveyFrame

RANGE = (0.1, 100.0)
ALL = [{'kind': 'modulation', 'levels': [2, 1]}, {'kind': 'attention', 'levels': [3, 2]}, {'kind': 'edge_points'}]
PROBES = [np.random.default_rng(i).integers(0, 256, (64, 96, 3), dtype=np.uint8) for i in range(2)]


def network_of(guidance, lively=True) -> nn.Module:
    torch.manual_seed(2)
    network = build_network({'encoder': 'small', 'guidance': guidance}).eval()
    if lively:
        for tensor in network.guidance.parameters():
            tensor.data += torch.randn_like(tensor) * (0.05 if tensor.dim() > 1 else 0.3)
    return network


def a_frame(labelled=True) -> SurveyFrame:
    labels = np.full((64, 96), TRAIN_ID['road'], np.uint8)
    labels[10:40, 30:60], labels[5:50, 80:82] = TRAIN_ID['car'], TRAIN_ID['pole']
    image = torch.from_numpy(np.random.default_rng(0).random((3, 64, 96), np.float32))
    return SurveyFrame('a frame', image, {'true': torch.from_numpy(labels)} if labelled else {},
                       torch.full((64, 96), 8.0))


@pytest.mark.parametrize('guidance', ALL + ['plain'])
def test_a_guidance_that_has_learned_nothing_moves_no_depth(guidance):
    network = network_of(guidance, lively=False)
    kept = network.guidance
    seen = guided(network, a_frame(), RANGE)
    assert seen.moved.abs().max() < 1e-5 and network.guidance is kept
    assert all(float(level.change.max()) < 1e-5 for level in seen.levels)


def test_what_is_said_of_features_and_depth_is_what_the_network_does():
    network, frame = network_of({'kind': 'modulation', 'levels': [2]}), a_frame()
    inputs = []
    hook = network.guidance.levels['2'].register_forward_hook(lambda m, i, o: inputs.append((i[0], i[2], o)))
    seen = guided(network, frame, RANGE)
    hook.remove()
    (before, label_map, after), level = inputs[0], seen.levels[0]
    assert len(seen.levels) == 1 and (level.name, level.stride) == ('Modulation, level 2', 8)
    change = (after - before)[0].norm(dim=0) / before[0].norm(dim=0)
    torch.testing.assert_close(level.change, change)
    module = network.guidance.levels['2']
    gamma = module.gamma(module.labels(label_map))[0]
    torch.testing.assert_close(level.gains['gamma'], gamma.square().mean(0).sqrt())
    depth = 1 / (0.01 + 9.99 * network(frame.image[None]).disparities[0][0, 0])
    torch.testing.assert_close(seen.depth, depth)
    assert float((seen.depth / seen.unguided).log().abs().max()) > 1e-4


def test_labels_that_are_given_are_looked_at():
    network, frame = network_of({'kind': 'modulation'}), a_frame()
    own, given = (guided(network, frame, RANGE, given) for given in (False, True))
    assert (own.unguided == given.unguided).all() and (own.depth != given.depth).any()


@pytest.mark.parametrize('pooling', [1, 2])
def test_what_a_pixel_looks_at_makes_what_it_gets(pooling):
    torch.manual_seed(0)
    level = AttentionLevel(6, 16, 8, pooling, 'depth')
    depth, semantic = torch.randn(2, 16, 4, 6), torch.randn(2, 6, 4, 6)
    values = level.value(level._pooled(depth))
    whole = attend(level.query(semantic), level.key(level._pooled(semantic)), values)
    weights = level.looked_at(semantic, 3, 1)
    torch.testing.assert_close(weights.sum(dim=(1, 2)), torch.ones(2))
    torch.testing.assert_close(torch.einsum('bhw,bchw->bc', weights, values), whole[..., 3, 1])


def test_parts_are_those_of_labels():
    parts = parts_of(a_frame().labels['true'])
    assert parts['movable'].sum() == 30 * 30 and parts['thin'].sum() == 45 * 2
    assert (parts['at borders'] ^ parts['elsewhere']).all()
    assert parts['at borders'][12, 26] and not parts['at borders'][12, 24] and not parts['at borders'][25, 45]


def test_figures_are_means_over_the_pixels_of_a_part():
    network, frame = network_of(ALL), a_frame()
    result = survey(network, [frame, frame], RANGE)
    seen = guided(network, frame, RANGE)
    car = frame.labels['true'] == TRAIN_ID['car']
    assert result['depth']['movable'] == pytest.approx(float(seen.moved.abs()[car].mean()), rel=1e-5)
    assert set(result['levels']) == {f'{name}, level {n}' for name, levels in (
        ('Modulation', (2, 1)), ('Attention', (3, 2, 1, 0)), ('EdgePoints', (0,))) for n in levels}
    assert set(result['attention']) == {'Attention, level 3', 'Attention, level 2'}
    unlabelled = survey(network, [a_frame(labelled=False)], RANGE)
    assert unlabelled['depth']['all'] == pytest.approx(result['depth']['all'])


def test_the_picture_shows_points_and_marks_where_attention_is_asked():
    network, frame = network_of(ALL), a_frame()
    seen = guided(network, frame, RANGE, places=((32, 48), (60, 10)))
    sheet = guidance_sheet(frame, seen)
    assert sheet.ndim == 3 and sheet.shape[1] >= 3 * 640
    assert seen.points is not None and ((sheet == (255, 60, 60)).all(axis=-1)).sum() > len(seen.points)
    attended = [level.attended for level in seen.levels if level.attended]
    assert [set(each.weights) for each in attended] == [{(2, 3), (3, 0)}, {(4, 6), (7, 1)}]
    assert ((sheet == (60, 255, 60)).all(axis=-1)).sum() > 4 * 20


def test_points_that_attend_to_each_other_are_no_map_to_look_at():
    network = network_of({'kind': 'edge_points', 'attention': True})
    seen = guided(network, a_frame(), RANGE, places=((32, 48), (60, 10)))
    assert seen.points is not None and all(level.attended is None for level in seen.levels)
    assert not survey(network, [a_frame()], RANGE)['attention']


def model_of(path, guidance) -> str:
    network = network_of(guidance)
    card = ModelCard(network.architecture, name='guided', focal_px=100.0, input=InputRule(pixels=96 * 64))
    save_network(path, network, card, PROBES)
    return str(path)


def drive_of(path) -> str:
    frame, camera = a_frame(), Camera(96, 64, 80.0, 80.0, 47.5, 31.5)
    image = (frame.image.permute(1, 2, 0).numpy() * 255).astype(np.uint8)
    write_folder_sequence(path, [Sample('0', image, camera, depth=frame.depth.numpy(),
                                        labels=frame.labels['true'].numpy())], camera)
    return str(path)


def test_the_command_prints_figures_and_writes_them_and_a_picture(tmp_path, capsys):
    model, drive = model_of(tmp_path / 'm.safetensors', ALL), drive_of(tmp_path / 'drive')
    picture, figures = tmp_path / 'g.png', tmp_path / 'g.json'
    assert main(['guidance', model, drive, '--size', '96x64', '--given', '--picture', str(picture), '--json',
                 str(figures)]) == 0
    written, said = json.loads(figures.read_text()), capsys.readouterr().out
    assert written['frames'] == 1 and written['given'] and f'{written["depth"]["thin"]:.4f}' in said
    assert 'Attention, level 3' in said and 'alpha' in said
    assert cv2.imread(str(picture)).shape[1] >= 3 * 640


@pytest.mark.parametrize('arguments, message', [
    (['--picture', 'g.txt'], '--picture is g.txt, expected a name that ends in .png'),
    (['--frame', '2'], '--frame is 2, expected 0 to 0'), (['--size', '96'], "size is '96'")])
def test_what_the_command_cannot_do_is_said_in_one_line(tmp_path, capsys, arguments, message):
    model, drive = model_of(tmp_path / 'm.safetensors', {'kind': 'modulation'}), drive_of(tmp_path / 'drive')
    try:
        assert main(['guidance', model, drive, *['--size', '96x64'], *arguments]) == 2
    except SystemExit as left:      # of the parser of arguments
        assert left.code == 2
    assert message in capsys.readouterr().err


def test_a_model_without_guidance_is_refused(tmp_path, capsys):
    assert main(['guidance', model_of(tmp_path / 'm.safetensors', 'plain'), drive_of(tmp_path / 'drive')]) == 2
    assert 'has no guidance' in capsys.readouterr().err


@pytest.mark.parametrize('pixels, size', [(640 * 192, (640, 192)), (53248, (416, 128)), (256 * 96, (256, 96))])
def test_a_budget_is_a_road_s_size(pixels, size):
    assert usual_size(pixels) == size
