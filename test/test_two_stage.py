"""Training twice, without the images with holes the second time, ended and continued in every part."""
import os
import signal
from dataclasses import replace
from functools import partial

import pytest
import torch
from plane_world import CAMERA, Corridor
from safetensors.torch import load_file
from test_filter import Holed

from semdepth_ros.cli.main import main
from semdepth_ros.data import write_folder_sequence
from semdepth_ros.model_file import read_model
from semdepth_ros.networks import build_network, load_network
from semdepth_ros.training.checkpoint import CheckpointError
from semdepth_ros.training.export import export_model
from semdepth_ros.training.filtering.flag_list import FlagList
from semdepth_ros.training.filtering.rule import FilterRule
from semdepth_ros.training.recipe import RecipeError
from semdepth_ros.training.recipe_file import read_recipe, recipe_from
from semdepth_ros.training.trainer import build_fabric, train
from semdepth_ros.training.two_stage import TwoStages

TINY = {
    'architecture': {'encoder': 'small', 'initial_depth': 10.0}, 'focal_px': 60, 'sizes': [[64, 32]], 'batch': 2,
    'steps': 3, 'log_every': 1, 'checkpoint_every': 1, 'losses': {'photometric': 1.0, 'semantic': 0.0},
    'data': [{'source': 'corridor', 'cache': 'none'}], 'optimisation': {'learning_rate': 1e-3, 'ema': 0.5}}


class Interrupting(Corridor):
    """A corridor that presses Ctrl-C when it is read for the so-manieth time."""

    reads, ends_at = 0, None

    def __getitem__(self, index):
        Interrupting.reads += 1
        if Interrupting.reads == Interrupting.ends_at:
            os.kill(os.getpid(), signal.SIGINT)
        return super().__getitem__(index)


@pytest.fixture(autouse=True)
def uninterrupted():
    Interrupting.reads, Interrupting.ends_at = 0, None


def begin(recipe):
    torch.manual_seed(recipe.seed)
    return build_network(recipe.architecture)


# the corridor's own labels know no car
LABELLED = FilterRule(within='labelled')


def stages(recipe, holed=None, rule=LABELLED, **more):
    holed = holed or Holed((2, 5))
    return TwoStages(partial(begin, recipe), lambda: build_fabric(recipe, 'cpu'),
                     lambda model: (holed.perceive, {'name': 'holed', 'bytes': model.stat().st_size}),
                     lambda result: False, rule, opener=lambda source, **options: [Interrupting(8)], **more)


def weights(model):
    return {name: tensor for name, tensor in load_file(model).items() if not name.startswith('probe')}


def equal(first, second):
    one, other = weights(first), weights(second)
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_stage_two_is_a_training_of_its_own_without_what_stage_one_sees_holes_in(tmp_path, capsys):
    recipe = recipe_from(TINY)
    model = stages(recipe).train(recipe, tmp_path / 'run')
    assert model == tmp_path / 'run' / 'stage2' / 'model.safetensors'
    flags = FlagList.read(tmp_path / 'run' / 'filter.json')
    assert [f.frame for f in flags.sequences[0].flagged] == [2, 5] and flags.sources[0].labels == 'true'
    assert len(list((tmp_path / 'run' / 'flagged').glob('*.jpg'))) == 2
    said = capsys.readouterr().out
    assert 'flagged: 2 of 8 images' in said and 'stage 2: 3 steps done' in said

    entry = replace(recipe.data[0], filter=str(tmp_path / 'run' / 'filter.json'))
    alone = train(replace(recipe, data=(entry,)), begin(recipe), build_fabric(recipe, 'cpu'), tmp_path / 'alone',
                  opener=lambda source, **options: [Corridor(8)])
    export_model(tmp_path / 'alone.safetensors', alone.network, recipe, alone.step, alone.frames, False,
                 lambda source, **options: [Corridor(8)])
    assert equal(model, tmp_path / 'alone.safetensors')
    assert not equal(model, tmp_path / 'run' / 'stage1' / 'model.safetensors')


def test_ended_in_every_part_and_continued_it_comes_to_the_same_bytes(tmp_path):
    recipe = recipe_from(TINY)
    whole = stages(recipe).train(recipe, tmp_path / 'run')
    assert Interrupting.reads > 40      # 3 steps of 6, 8 to filter, 3 steps of 6; and for probes
    flags, expected = (tmp_path / 'run' / 'filter.json').read_bytes(), weights(whole)
    (tmp_path / 'run').rename(tmp_path / 'whole')

    Interrupting.reads, Interrupting.ends_at = 0, 8
    assert stages(recipe).train(recipe, tmp_path / 'run') is None                   # in stage 1
    assert not (tmp_path / 'run' / 'stage1' / 'model.safetensors').exists()
    Interrupting.ends_at = None
    with pytest.raises(KeyboardInterrupt):                                          # while filtering
        stages(recipe, Holed((2, 5), stop_after=3)).train(recipe, tmp_path / 'run', resume=True)
    assert (tmp_path / 'run' / 'stage1' / 'model.safetensors').exists()
    assert not (tmp_path / 'run' / 'filter.json').exists()
    Interrupting.reads, Interrupting.ends_at = 0, 8 + 8
    assert stages(recipe).train(recipe, tmp_path / 'run', resume=True) is None      # in stage 2
    assert (tmp_path / 'run' / 'stage2' / 'last.ckpt').exists()
    Interrupting.ends_at = None
    done = stages(recipe).train(recipe, tmp_path / 'run', resume=True)
    assert (tmp_path / 'run' / 'filter.json').read_bytes() == flags
    assert all(torch.equal(weights(done)[name], tensor) for name, tensor in expected.items())

    nothing_left = stages(recipe, Holed((), stop_after=0)).train(recipe, tmp_path / 'run', resume=True)
    assert nothing_left == done


def test_classes_are_named_by_models_that_learned_some(tmp_path):
    def classes(name, recipe, **more):
        return [c.name for c in read_model(stages(recipe, **more).train(recipe, tmp_path / name))[1].classes]
    plain = recipe_from(TINY | {'steps': 1})
    assert set(classes('plain', plain)) == {f'untaught {i}' for i in range(19)}
    assert classes('knows', plain, knows_classes=True)[0] == 'road'
    assert classes('learns', recipe_from(TINY | {'steps': 1, 'losses': {'semantic': 0.1}}))[0] == 'road'


def test_stage_two_may_begin_with_what_stage_one_came_to(tmp_path):
    recipe = recipe_from(TINY | {'steps': 1})
    anew = stages(recipe).train(recipe, tmp_path / 'anew')
    on = stages(recipe, second_from='stage1').train(recipe, tmp_path / 'on')
    assert equal(tmp_path / 'anew' / 'stage1' / 'model.safetensors', tmp_path / 'on' / 'stage1' / 'model.safetensors')
    assert not equal(anew, on)


def test_what_does_not_belong_together_is_refused_in_one_line(tmp_path):
    recipe = recipe_from(TINY | {'steps': 1})
    run = stages(recipe)
    with pytest.raises(CheckpointError, match='nothing to resume'):
        run.train(recipe, tmp_path / 'run', resume=True)
    run.train(recipe, tmp_path / 'run')
    with pytest.raises(CheckpointError, match='holds a run already: continue it with --resume'):
        run.train(recipe, tmp_path / 'run')
    with pytest.raises(CheckpointError, match='was trained with another batch: 2, now 3'):
        run.train(replace(recipe, batch=3), tmp_path / 'run', resume=True)
    with pytest.raises(CheckpointError, match='filter.json was made by another model or rule'):
        stages(recipe, rule=FilterRule(below=1.0)).train(recipe, tmp_path / 'run', resume=True)
    with pytest.raises(CheckpointError, match='by other labels'):
        stages(recipe, labels='model').train(recipe, tmp_path / 'run', resume=True)
    with pytest.raises(CheckpointError, match="began with the weights of 'start', not 'stage1'"):
        stages(recipe, second_from='stage1').train(recipe, tmp_path / 'run', resume=True)
    for change, words in (({'filter': 'x.json'}, 'has a filter already'), ({'labels': 'none'}, 'its labels are none')):
        other = replace(recipe, data=(replace(recipe.data[0], **change),))
        with pytest.raises(RecipeError, match=words):
            stages(other).train(other, tmp_path / 'other')
    assert not (tmp_path / 'other').exists()


def test_the_command_trains_filters_and_trains(tmp_path, capsys):
    drive, out = tmp_path / 'street', tmp_path / 'run'
    assert not main(['world', '--seed', '3', '--frames', '5', '--size', '192x64', '--out', str(drive)])
    command = ['train', 'small_finetune', '--init', 'default', '--data', str(drive), '--labels', 'true', '--out',
               str(out), '--device', 'cpu', '--steps', '1', '--two-stage', '--set', 'sizes=[[192, 64]]', 'batch=1',
               'log_every=1', 'optimisation.learning_rate=1e-9']
    filtering = ['--filter-set', 'below=0.2', 'share=0.5', '--export', str(tmp_path / 'model.safetensors')]
    assert not main([*command, *filtering])
    flags = FlagList.read(out / 'filter.json')
    assert flags.rule['below'] == 0.2 and flags.sources[0].labels == 'model' and flags.counts()['judged'] == 5
    assert read_recipe(out / 'stage2' / 'recipe.yaml').data[0].filter == str(out / 'filter.json')
    assert read_recipe(out / 'stage1' / 'recipe.yaml').data[0].filter is None
    assert equal(tmp_path / 'model.safetensors', out / 'stage2' / 'model.safetensors')
    capsys.readouterr()
    assert main([*command, *filtering]) == 2
    assert 'holds a run already' in capsys.readouterr().err


def test_both_stages_are_guided_by_the_segmenter_that_was_named(tmp_path, capsys):
    assert not main(['world', '--seed', '3', '--frames', '5', '--size', '192x64', '--out', str(tmp_path / 'drive')])
    assert not main(['train', 'small_finetune', '--init', 'default', '--data', str(tmp_path / 'drive'), '--labels', 'true',
                     '--out', str(tmp_path / 'run'), '--device', 'cpu', '--steps', '1', '--two-stage', '--filter-set',
                     'share=0.9', '--set', 'sizes=[[192, 64]]', 'batch=1', 'log_every=1',
                     'architecture.guidance={kind: concatenation, segmenter: default}'])
    assert 'in place of plain: depth begins as it was without' in capsys.readouterr().out
    part, expected = 'guidance.segmenter.module.encoder.', load_network('default')[0].encoder.state_dict()
    for stage in ('stage1', 'stage2'):
        kept = {name.removeprefix(part): tensor
                for name, tensor in load_network(tmp_path / 'run' / stage / 'model.safetensors')[0].state_dict().items()
                if name.startswith(part)}
        assert kept.keys() == expected.keys() and all(torch.equal(kept[name], expected[name]) for name in kept)


@pytest.mark.parametrize('arguments, words', [
    (['--two-stage', '--minutes', '5'], '--minutes is of one training'),
    (['--two-stage', '--devices', '2'], 'trains in one process, and 2 x 1 devices are several'),
    (['--two-stage', '--filter-set', 'share'], "--filter-set 'share': expected KEY=VALUE"),
    (['--two-stage', '--filter-set', 'share=0'], 'share is 0'),
    (['--filter-set', 'share=0.1'], 'are of --two-stage, which is not given'),
    (['--second-from', 'stage1'], 'are of --two-stage, which is not given')])
def test_arguments_that_do_not_go_together_are_refused_in_one_line(arguments, words, tmp_path, capsys):
    write_folder_sequence(tmp_path / 'drive', Corridor(4), CAMERA)
    command = ['train', 'small_world', '--data', str(tmp_path / 'drive'), '--out', str(tmp_path / 'run')]
    assert main([*command, *arguments]) == 2
    said = capsys.readouterr().err
    assert words in said and said.count('\n') == 1 and not (tmp_path / 'run').exists()
