"""A segmenter is trained of single labelled pictures, and guides a model that is trained after it."""
from __future__ import annotations

import json

import numpy as np
import pytest
import safetensors.torch
import torch
from plane_world import Corridor

from semdepth_ros.cli.main import main
from semdepth_ros.data import write_folder_sequence
from semdepth_ros.frame import Frame
from semdepth_ros.perception import Perceptor
from semdepth_ros.training.recipe import DataEntry, RecipeError
from semdepth_ros.training.recipe_file import read_recipe, recipe_from
from semdepth_ros.training.targets import find_targets
from semdepth_ros.training.triplets import TripletDataset, triplet_source

TINY = ['workers=0', 'log_every=5', 'validation_frames=2']


@pytest.fixture(scope='module')
def drive(tmp_path_factory):
    folder = tmp_path_factory.mktemp('data') / 'drive'
    write_folder_sequence(folder, Corridor(6))
    return folder


def train(recipe, drive, out, *settings):
    """Run the command, which exports out.safetensors, and return its validation."""
    assert main(['train', recipe, '--data', str(drive), '--val', str(drive), '--out', str(out), '--device', 'cpu',
                 '--export', f'{out}.safetensors', '--set', *TINY, *settings]) == 0
    lines = map(json.loads, (out / 'log.jsonl').read_text().splitlines())
    return [line for line in lines if line['kind'] == 'validation'][-1]


def test_a_segmenter_is_trained_and_guides_what_is_trained_after_it(drive, tmp_path):
    said = train('segmenter', drive, tmp_path / 'segmenter', 'sizes=[[64, 64]]', 'steps=40', 'batch=4',
                 'augmentation.colour=0', 'augmentation.zoom=1', 'optimisation.warmup_steps=5', 'optimisation.ema=0.5')
    assert said['miou'] > 0.8
    train('pixel_adaptive', drive, tmp_path / 'guided', 'sizes=[[64, 32]]', 'steps=3', 'batch=2',
          f'architecture.guidance.segmenter={tmp_path}/segmenter.safetensors')
    kept, own = (safetensors.torch.load_file(tmp_path / f'{name}.safetensors') for name in ('guided', 'segmenter'))
    prefix = 'guidance.segmenter.module.'
    frozen = {name.removeprefix(prefix): tensor for name, tensor in kept.items() if name.startswith(prefix)}
    assert {name.split('.')[0] for name in frozen} == {'encoder', 'path'}
    for name, tensor in frozen.items():
        original = own[name if name.startswith('encoder') else f'semantic_decoder.{name}']
        assert torch.equal(tensor, original) and tensor.dtype == original.dtype
    (tmp_path / 'segmenter.safetensors').unlink()
    sample = Corridor(1)[0]
    perception = Perceptor.from_file(tmp_path / 'guided.safetensors', device='cpu').perceive(
        Frame(sample.image, 'rgb', sample.camera, 0, 'camera'))
    assert np.isfinite(perception.depth).any() and perception.labels.shape == sample.image.shape[:2]


def test_a_stride_of_nothing_takes_every_frame_alone():
    sequence = Corridor(1)
    assert find_targets(sequence, 0, 0.05).frames.tolist() == [0]
    recipe = read_recipe('segmenter')
    source = triplet_source(DataEntry('x', strides=(0,), cache='none'), [sequence])
    item = TripletDataset([source], ((96, 64),), recipe.augmentation, 1, 1, 1)[0]
    assert torch.equal(item.images[0], item.images[1]) and torch.equal(item.images[0], item.images[2])
    assert (item.labels != 255).any() and item.origin.tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize('losses, looking', [
    ({}, 'photometric and velocity'), ({'velocity': 0}, 'photometric'), ({'photometric': 0}, 'velocity')])
def test_terms_that_look_at_neighbours_refuse_frames_without(losses, looking):
    with pytest.raises(RecipeError, match=rf"strides of 'x' is \[1, 0\], expected positive ones where {looking} look"):
        recipe_from({'architecture': {'encoder': 'small'}, 'focal_px': 60, 'losses': losses,
                     'data': [{'source': 'x', 'strides': [1, 0]}]})
