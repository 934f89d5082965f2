"""Recipes: what they say, and what is said about their mistakes."""
import pytest
import yaml

from semdepth_ros.networks.architecture import complete
from semdepth_ros.settings import SettingsError
from semdepth_ros.training.optimisation import learning_rate
from semdepth_ros.training.recipe import Augmentation, DataEntry, RecipeError
from semdepth_ros.training.recipe_file import find_recipe, read_recipe, recipe_from
from semdepth_ros.training.terms import Weighted

SMALL = {'architecture': {'encoder': 'small'}, 'focal_px': 100}


@pytest.mark.parametrize('name', ['small_world', 'resnet18_world', 'small_finetune', 'monodepth2', 'lite0_world', 'segmenter',
                                  'pixel_adaptive', 'ssfm_srl', 'seem_attention', 'semhint', 'close_range', 'indoor',
                                  'small_day', 'lite0_more'])
def test_shipped_recipes_are_found_by_name_and_read(name):
    recipe = read_recipe(name)
    assert recipe.name == name and find_recipe(name).suffix == '.yaml'


def test_the_base_systems_recipe_is_the_published_one():
    recipe = read_recipe('monodepth2', {'architecture.pretrained': 'resnet18.safetensors'})
    optimisation, epoch = recipe.optimisation, 39_810 // 12
    assert (recipe.batch, recipe.steps, recipe.sizes, recipe.scales) == (12, 20 * epoch, ((640, 192),), 4)
    assert [learning_rate(optimisation, step, recipe.steps) for step in (0, 15 * epoch - 1, 15 * epoch)] == [
        1e-4, 1e-4, pytest.approx(1e-5)]
    assert (optimisation.optimiser, optimisation.weight_decay, optimisation.clip_norm) == ('adam', 0, 0)
    assert [getattr(recipe.losses, name).weight for name in ('velocity', 'semantic', 'smoothness')] == [0, 0, 1e-3]
    assert recipe.augmentation == Augmentation()
    assert complete(recipe.architecture) == complete({}) | {'pretrained': 'resnet18.safetensors'}


@pytest.mark.parametrize('name', ['small_world', 'resnet18_world'])
def test_recipes_of_rendered_towns_name_the_drives_that_vary_the_camera(name):
    text = find_recipe(name).read_text()
    assert 'semdepth world --fleet' in text and f'semdepth train {name} --data renders' in text
    assert all('other_camera' not in entry.source for entry in read_recipe(name).data)


def test_a_recipe_survives_being_written_as_yaml(tmp_path):
    recipe = read_recipe('small_world')
    (tmp_path / 'again.yaml').write_text(yaml.safe_dump(recipe.as_dict()))
    assert read_recipe(tmp_path / 'again.yaml') == recipe


def test_what_is_not_said_has_the_base_systems_values():
    recipe = recipe_from(SMALL)
    assert (recipe.losses.photometric.weight, recipe.losses.smoothness.weight, recipe.scales) == (1.0, 1e-3, 4)
    assert recipe.losses.photometric.auto_mask and recipe.optimisation.learning_rate == 1e-4


def test_settings_replace_values_by_dotted_key(tmp_path):
    (tmp_path / 'r.yaml').write_text(yaml.safe_dump(SMALL))
    recipe = read_recipe(tmp_path / 'r.yaml', {'losses.velocity': 2, 'steps': 7})
    assert (recipe.losses.velocity.weight, recipe.steps) == (2.0, 7)


@pytest.mark.parametrize('written', [
    {'photometric': 2, 'auto_mask': False, 'class_weights': {'road': 3}},
    {'photometric': {'weight': 2, 'auto_mask': False}, 'semantic': {'class_weights': {'road': 3}}}])
def test_a_terms_settings_stand_in_it_or_beside_its_weight(written):
    losses = recipe_from(SMALL | {'losses': written}).losses
    assert (losses.photometric.weight, losses.photometric.auto_mask) == (2.0, False)
    assert (losses.semantic.weight, losses.semantic.class_weights) == (0.3, {'road': 3})


def test_a_weight_that_is_replaced_keeps_the_terms_other_settings(tmp_path):
    (tmp_path / 'r.yaml').write_text(yaml.safe_dump(SMALL | {'losses': {
        'depth': {'weight': 1, 'sky': 0.1}, 'velocity': 1}}))
    losses = read_recipe(tmp_path / 'r.yaml', {'losses.depth': 2, 'losses.velocity.start': 5}).losses
    assert (losses.depth.weight, losses.depth.sky) == (2.0, 0.1)
    assert (losses.velocity.weight, losses.velocity.start) == (1.0, 5)


def test_a_terms_weight_starts_late_and_rises_along_a_line():
    term = Weighted(weight=2.0, start=10, ramp=3)
    assert [term.weight_at(step) for step in (0, 9, 10, 11, 12, 13, 99)] == [0, 0, 0.5, 1, 1.5, 2, 2]


@pytest.mark.parametrize('labels, meant', [(True, 'true'), ('noisy', 'noisy'), (None, 'none'), ('none', 'none')])
def test_yaml_words_for_labels_are_understood(labels, meant):
    assert recipe_from(SMALL | {'data': [{'source': 'x', 'labels': labels}]}).data[0].labels == meant


@pytest.mark.parametrize('change, message', [
    ({'learning_rate': 1}, r"unknown key 'learning_rate', expected one of \[.*'optimisation'"),
    ({'losses': {'velocty': 1}}, r"recipe.losses has unknown key 'velocty', expected one of \[.*'velocity'"),
    ({'focal_px': None}, 'recipe.focal_px is None'),
    ({'batch': 'many'}, "recipe.batch is 'many', expected int"),
    ({'batch': 0}, 'batch is 0, expected a positive number'),
    ({'batch': True}, 'recipe.batch is True, expected int'),
    ({'losses': 3}, 'recipe.losses is 3, expected a mapping'),
    ({'sizes': [[250, 96]]}, r'sizes holds \[250, 96\], expected \[width, height\] in multiples of 32'),
    ({'architecture': {}, 'sizes': [[256, 32]]}, r'sizes holds \[256, 32\], expected .* multiples of 32 from 64'),
    ({'architecture': {'encodr': 'small'}}, "architecture has unknown key 'encodr', expected one of"),
    ({'sizes': []}, 'sizes is .., expected at least one'),
    ({'sizes': [[256]]}, 'expected 2 values'),
    ({'sizes': 256}, 'recipe.sizes is 256, expected a list'),
    ({'precision': 'half'}, "precision is 'half', expected one of"),
    ({'data': [{'source': 'x', 'strides': []}]}, 'strides is'),
    ({'data': [{'source': 'x', 'strides': [-1]}]}, r'strides is \[-1\], expected frame counts from 0'),
    ({'data': [{'source': 'x', 'labels': 'good'}]}, "labels is 'good', expected one of"),
    ({'data': [{}]}, r"recipe.data\[0\] lacks 'source'"),
    ({'optimisation': {'ema': 1.0}}, 'ema is 1.0'),
    ({'augmentation': {'zoom': 0}}, 'zoom is 0'),
    ({'scales': 5}, 'scales is 5'),
    ({'seed': -1}, 'seed is -1, expected at least 0'),
    ({'workers': -1}, 'workers is -1'),
    ({'validation_frames': -3}, 'validation_frames is -3'),
    ({'focal_px': float('inf')}, 'focal_px is inf'),
    ({'losses': {'photometric': -1}}, 'recipe.losses.photometric: weight is -1.0, expected at least 0'),
    ({'losses': {'velocity': float('nan')}}, 'velocity: weight is nan'),
    ({'losses': {'depth': {'wait': 1}}}, "recipe.losses.depth has unknown key 'wait', expected one of \\[.*'weight'"),
    ({'losses': {'depth': {'weight': 1, 'sky_m': 0}}}, 'sky_m is 0.0, expected a positive number'),
    ({'losses': {'depth': {'nearest_m': 200}}}, 'nearest_m is 200.0, expected less than farthest_m, 120.0'),
    ({'losses': {'depth': 'much'}}, "recipe.losses.depth.weight is 'much', expected a number"),
    ({'losses': {'ranking': {'margin_is': 'wide'}}}, "recipe.losses.ranking: margin_is is 'wide', expected one of"),
    ({'losses': {'ranking': {'scales': 5}}}, 'scales is 5, expected 1 to 4'),
    ({'losses': {'ranking': {'pairs': {'farthest': 1}}}}, 'ranking.pairs: farthest is 1.0, expected at least 4'),
    ({'losses': {'photometric': 0, 'smoothness': 0, 'velocity': 0, 'semantic': 0}}, 'are all 0 at the first step, expected'),
    ({'losses': {'label_smoothing': 2}}, 'label_smoothing is 2.0, expected 0 to 1'),
    ({'losses': {'class_weights': {'road': 'much'}}}, "class_weights gives road 'much', expected a number"),
    ({'optimisation': {'clip_norm': -1}}, 'clip_norm is -1.0'),
    ({'optimisation': {'weight_decay': float('inf')}}, 'weight_decay is inf'),
    ({'optimisation': {'warmup_steps': -1}}, 'warmup_steps is -1'),
    ({'optimisation': {'final_fraction': 1.5}}, 'final_fraction is 1.5'),
    ({'optimisation': {'schedule': 'linear'}}, "schedule is 'linear', expected one of"),
    ({'optimisation': {'schedule': 'steps'}}, r'milestones is \[\] in the schedule steps, expected positive'),
    ({'optimisation': {'milestones': [5]}}, r'milestones is \[5\] in the schedule cosine'),
    ({'optimisation': {'schedule': 'steps', 'milestones': [0]}}, r'milestones is \[0\]'),
    ({'optimisation': {'schedule': 'steps', 'milestones': [5], 'factor': 2}}, 'factor is 2.0, expected 0 to 1'),
    ({'augmentation': {'shift': 2}}, 'shift is 2.0, expected 0 to 1'),
    ({'augmentation': {'flip': -0.1}}, 'flip is -0.1'),
    ({'augmentation': {'stretch': 0.9}}, 'stretch is 0.9, expected 1 to 2'),
    ({'data': [{'source': 'x', 'min_distance_m': -1}]}, 'min_distance_m is -1'),
    ({'losses': {'class_weights': {'rode': 2}}}, "class_weights names 'rode'"),
])
def test_mistakes_are_named_in_one_line(change, message):
    with pytest.raises(RecipeError, match=message) as error:
        recipe_from(SMALL | change)
    assert '\n' not in str(error.value)


def test_a_recipe_that_does_not_exist_names_those_that_do():
    with pytest.raises(RecipeError, match="no recipe 'medium_world'.*small_world"):
        read_recipe('medium_world')


@pytest.mark.parametrize('text, message', [('a: [', 'is not YAML'), ('- 1', 'holds list')])
def test_files_that_are_no_recipe_are_refused(tmp_path, text, message):
    (tmp_path / 'r.yaml').write_text(text)
    with pytest.raises(RecipeError, match=message):
        read_recipe(tmp_path / 'r.yaml')


def test_a_data_entry_wants_a_positive_weight():
    with pytest.raises(SettingsError, match='weight is 0'):
        DataEntry('x', weight=0)
