"""The training loop: it learns, continues bit for bit, stops where it should, and leaves what it says."""
import contextlib
import copy
import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace

import numpy as np
import pytest
import torch
from lightning.fabric.plugins import MixedPrecision
from plane_world import Corridor
from safetensors.torch import load_file
from semdepth_ros.cli.main import main
from semdepth_ros.data import write_folder_sequence
from semdepth_ros.frame import Frame
from semdepth_ros.model_file import read_model
from semdepth_ros.networks import Prediction, build_network, load_network
from semdepth_ros.networks.probes import make_probes
from semdepth_ros.perception import Perceptor
from semdepth_ros.training import trainer
from semdepth_ros.training.batch import TripletBatch, collate
from semdepth_ros.training.checkpoint import CheckpointError, NonFiniteLossError
from semdepth_ros.training.export import export_model
from semdepth_ros.training.objective import Losses, joint_losses
from semdepth_ros.training.recipe import Optimisation, RecipeError
from semdepth_ros.training.optimisation import (WeightAverage, build_optimiser, freeze_untrained, learning_rate,
                                                set_learning_rate)
from semdepth_ros.training.recipe_file import read_recipe, recipe_from
from semdepth_ros.training.trainer import ahead, build_fabric, step_seed, train
from semdepth_ros.training.terms import velocity
from semdepth_ros.training.triplets import TripletDataset, triplet_source
from semdepth_ros.training.view import View, image_pairs
from torch.utils.data import get_worker_info

TINY = {
    'architecture': {'encoder': 'small', 'initial_depth': 10.0}, 'focal_px': 60, 'sizes': [[64, 32], [32, 32]],
    'batch': 2, 'steps': 4, 'log_every': 2, 'validation_frames': 3, 'data': [{'source': 'corridor', 'strides': [1, 2]}],
    'optimisation': {'learning_rate': 1e-3, 'ema': 0.9, 'clip_norm': 1.0, 'warmup_steps': 2},
    'augmentation': {'zoom': 0.7, 'padded': 0.3, 'gamma': 0.2, 'noise': 0.02, 'blur': 0.3},
}


def corridor(source, **options):
    return [Corridor(8)]


def run(out, recipe=TINY, opener=corridor, **how):
    recipe = recipe_from(recipe)
    torch.manual_seed(recipe.seed)
    network = build_network(recipe.architecture)
    return train(recipe, network, build_fabric(recipe, 'cpu'), out, opener=opener, **how)


def lines(out, kind):
    every = [json.loads(line) for line in (out / 'log.jsonl').read_text().splitlines()]
    return [line for line in every if line['kind'] == kind]


def test_training_learns_metric_depth_and_classes_from_motion_alone(tmp_path):
    recipe = TINY | {'sizes': [[96, 64]], 'batch': 4, 'steps': 70,
                     'data': [{'source': 'corridor'}], 'validation': [{'source': 'corridor'}],
                     'losses': {'velocity': 0.3}, 'augmentation': {'colour': 0.0},
                     'optimisation': {'learning_rate': 1e-3, 'warmup_steps': 5}}
    result = run(tmp_path, recipe)
    truth = Corridor()[0].depth
    constant = np.mean(np.abs(np.median(truth) - truth) / truth)
    assert result.metrics['abs_rel_unscaled'] < 0.25 < 0.5 * constant
    assert result.metrics['miou'] > 0.9
    assert lines(tmp_path, 'train')[-1]['photometric'] < 0.5 * lines(tmp_path, 'train')[0]['photometric']


def test_an_interrupted_run_continues_bit_for_bit(tmp_path):
    whole = run(tmp_path / 'whole')
    run(tmp_path / 'parts', stop_at=1)
    parts = run(tmp_path / 'parts', resume=True)
    checkpoints = [torch.load(r.checkpoint, weights_only=True) for r in (whole, parts)]
    states = [{k: c[k] for k in ('network', 'optimiser', 'average', 'step')} for c in checkpoints]
    assert same(*states)
    assert states[0]['step'] == 4
    assert lines(tmp_path / 'whole', 'train')[-1]['total'] == lines(tmp_path / 'parts', 'train')[-1]['total']


def same(a, b):
    """Whether two nests of dicts, lists and tensors hold exactly the same."""
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b))
    return a == b


def test_readers_in_other_processes_change_nothing(tmp_path):
    results = [run(tmp_path / str(workers), TINY | {'steps': 2, 'workers': workers}) for workers in (0, 2)]
    assert same(*(result.network.state_dict() for result in results))


def test_frames_on_the_device_train_as_frames_that_are_read_do(tmp_path):
    recipes = [TINY | {'data': [{'source': 'corridor', 'cache': cache}], 'losses': {'depth': 1}, 'workers': workers}
               for cache, workers in (('ram', 0), ('device', 0), ('device', 1))]
    runs = [run(tmp_path / str(i), recipe) for i, recipe in enumerate(recipes)]
    totals = [lines(tmp_path / str(i), 'train')[-1]['total'] for i in range(3)]
    assert totals[1] == pytest.approx(totals[0], rel=0.02) and totals[2] == totals[1]
    assert same(*(result.network.state_dict() for result in runs[1:]))
    with pytest.raises(RecipeError, match='cache is device in some entries of data and not in others'):
        run(tmp_path / 'mixed', TINY | {'data': [{'source': 'a'}, {'source': 'b', 'cache': 'device'}]})


def test_a_run_of_some_minutes_ends_in_time_and_continues(tmp_path):
    began = time.monotonic()
    result = run(tmp_path, TINY | {'steps': 1}, minutes=0.1)
    assert result.step > 1 and time.monotonic() - began < 30
    assert run(tmp_path, TINY | {'steps': 1}, minutes=0.05, resume=True).step > result.step


def test_a_torn_line_of_the_log_does_not_keep_a_run_from_going_on(tmp_path):
    run(tmp_path, stop_at=2)
    whole = (tmp_path / 'log.jsonl').read_bytes()
    (tmp_path / 'log.jsonl').write_bytes(whole + b'7\n{"step": 2, "kind": "tr\xc3')
    assert run(tmp_path, resume=True, stop_at=2).step == 2
    assert (tmp_path / 'log.jsonl').read_bytes() == whole


def test_resuming_with_another_recipe_is_refused(tmp_path):
    run(tmp_path, stop_at=1)
    before = (tmp_path / 'recipe.yaml').read_text()
    with pytest.raises(CheckpointError, match="another batch: 2, now 3"):
        run(tmp_path, TINY | {'batch': 3}, resume=True)
    assert (tmp_path / 'recipe.yaml').read_text() == before


def changed_checkpoint(out, **changes):
    """Replace values of the run's checkpoint; None takes one away."""
    content = torch.load(out / 'last.ckpt', weights_only=True) | changes
    torch.save({key: value for key, value in content.items() if value is not None}, out / 'last.ckpt')


def test_resuming_with_another_number_of_processes_is_refused(tmp_path):
    run(tmp_path, stop_at=1)
    changed_checkpoint(tmp_path, processes=2)
    with pytest.raises(CheckpointError, match='comes from 2 processes, now there are 1'):
        run(tmp_path, resume=True)


def test_a_checkpoint_of_before_some_keys_were_kept_is_resumed(tmp_path):
    run(tmp_path, stop_at=1)
    recipe = recipe_from(TINY).as_dict()
    recipe['losses'] = {'photometric': 1.0, 'smoothness': 1e-3, 'velocity': 0.05, 'semantic': 0.3, 'class_weights': {}}
    del recipe['channels_last']
    changed_checkpoint(tmp_path, processes=None, recipe=recipe)
    assert run(tmp_path, resume=True, stop_at=2).step == 2
    changed_checkpoint(tmp_path, recipe=recipe | {'batch': 0})
    with pytest.raises(CheckpointError, match='cannot be followed any more: recipe: batch is 0'):
        run(tmp_path, resume=True)


def test_a_folder_that_holds_a_run_is_not_overwritten(tmp_path):
    run(tmp_path, stop_at=1)
    with pytest.raises(CheckpointError, match='holds a run already'):
        run(tmp_path)


def test_resuming_nothing_and_resuming_rubbish_are_refused(tmp_path):
    with pytest.raises(CheckpointError, match='nothing to resume'):
        run(tmp_path / 'none', resume=True)
    assert not (tmp_path / 'none').exists()
    (tmp_path / 'last.ckpt').write_bytes(b'rubbish')
    with pytest.raises(CheckpointError, match='last.ckpt') as error:
        run(tmp_path, resume=True)
    assert '\n' not in str(error.value)


def test_a_broken_save_leaves_the_last_checkpoint_whole(tmp_path, monkeypatch):
    run(tmp_path, stop_at=1)
    before = (tmp_path / 'last.ckpt').read_bytes()

    def torn(self, path, state):
        path.write_bytes(before[:100])
        raise OSError('disk full')
    monkeypatch.setattr(trainer.Fabric, 'save', torn)
    with pytest.raises(OSError, match='disk full'):
        run(tmp_path, resume=True, stop_at=2)
    assert (tmp_path / 'last.ckpt').read_bytes() == before


def test_ctrl_c_saves_between_steps_and_the_run_continues(tmp_path, monkeypatch):
    original = trainer.joint_losses

    def interrupting(*arguments, **more):
        signal.raise_signal(signal.SIGINT)
        return original(*arguments, **more)
    monkeypatch.setattr(trainer, 'joint_losses', interrupting)
    result = run(tmp_path)
    assert (result.interrupted, result.step) == (True, 1)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    monkeypatch.setattr(trainer, 'joint_losses', original)
    assert run(tmp_path, resume=True).step == 4


def test_a_ctrl_c_that_reaches_a_reader_ends_nothing(tmp_path):
    class Interrupted(Corridor):
        def __getitem__(self, index):
            if get_worker_info():
                signal.raise_signal(signal.SIGINT)
            return super().__getitem__(index)
    recipe = TINY | {'workers': 1, 'steps': 1, 'data': [{'source': 'corridor', 'cache': 'none'}]}
    assert run(tmp_path, recipe, lambda source: [Interrupted()]).step == 1


def test_a_ctrl_c_after_the_step_was_looked_at_ends_the_next_one_and_saves_it(tmp_path, monkeypatch):
    class Late(trainer.Interruption):
        requested = property(lambda self: self.looks.append(0) or len(self.looks) > 2, lambda self, value: None)
        looks = []
    monkeypatch.setattr(trainer, 'Interruption', Late)
    result = run(tmp_path)
    assert result.interrupted and result.step == torch.load(result.checkpoint, weights_only=True)['step']


def test_a_second_ctrl_c_acts_at_once(tmp_path, monkeypatch):
    def twice(*arguments, **more):
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
    monkeypatch.setattr(trainer, 'joint_losses', twice)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path)


def test_training_runs_in_a_thread_where_signals_cannot_be_caught(tmp_path):
    results = []
    thread = threading.Thread(target=lambda: results.append(run(tmp_path, stop_at=1)))
    thread.start()
    thread.join()
    assert results[0].step == 1


def test_a_loss_that_is_not_finite_stops_with_its_batch_saved(tmp_path, monkeypatch):
    monkeypatch.setattr(velocity, 'velocity_loss', lambda translation, distance: translation.sum() * float('nan'))
    with pytest.raises(NonFiniteLossError, match='loss is nan at step 0: the batch is in .*nonfinite_step_0') as error:
        run(tmp_path)
    batch = load_file(tmp_path / 'nonfinite_step_0.safetensors')
    assert batch['images'].dtype == torch.uint8 and batch['origin'].shape == (2, 4)
    assert '\n' not in str(error.value)


def broken_gradients(monkeypatch, steps=10 ** 6):
    """Give the first steps a finite loss whose gradient is NaN."""
    original, left = trainer.joint_losses, [steps]

    def broken(view, *arguments, **more):
        losses, left[0] = original(view, *arguments, **more), left[0] - 1
        infinite_slope = (view.prediction.extras['translation'] * 0).sum().sqrt()
        return losses if left[0] < 0 else losses | {'total': losses['total'] + infinite_slope}
    monkeypatch.setattr(trainer, 'joint_losses', broken)


def test_a_gradient_that_is_not_finite_stops_also_where_none_is_clipped(tmp_path, monkeypatch):
    broken_gradients(monkeypatch)
    with pytest.raises(NonFiniteLossError, match='gradient is nan at step 0: the batch is in '):
        run(tmp_path, TINY | {'optimisation': {'clip_norm': 0}})
    assert not (tmp_path / 'last.ckpt').exists()


class Scaled(MixedPrecision):
    """16-mixed with its scaled loss, but at full width: half is slow on a CPU."""

    def __init__(self):
        super().__init__('16-mixed', 'cpu')

    def forward_context(self):
        return contextlib.nullcontext()

    def convert_input(self, data):
        return data


def scaled_run(out, steps):
    recipe = recipe_from(TINY | {'steps': steps, 'precision': '16-mixed', 'log_every': 1})
    fabric = trainer.Fabric(accelerator='cpu', plugins=Scaled())
    return train(recipe, build_network(recipe.architecture), fabric, out, opener=corridor)


def test_half_width_steps_without_a_finite_gradient_are_skipped_and_counted(tmp_path, monkeypatch):
    broken_gradients(monkeypatch, steps=2)
    result = scaled_run(tmp_path / 'few', 3)
    assert [line['loss_scale'] for line in lines(tmp_path / 'few', 'train')] == [2 ** 15, 2 ** 14, 2 ** 14]
    assert torch.load(result.checkpoint, weights_only=True)['average']['updates'] == 1
    broken_gradients(monkeypatch)
    with pytest.raises(NonFiniteLossError, match='gradient is nan at step 20: the batch is in '):
        scaled_run(tmp_path / 'all', 100)


ONE_BREAKS = """
import os, sys
sys.path.insert(0, {tests!r})
from test_training_loop import TINY, build_network, corridor, recipe_from, trainer
recipe = recipe_from(TINY)
fabric = trainer.build_fabric(recipe, 'cpu', 2, strategy='ddp')
original, nan = trainer.joint_losses, float('nan')
def broken(*arguments, **more):
    losses = original(*arguments, **more)
    return losses | {{'total': losses['total'] * (nan if fabric.global_rank else 1)}}
trainer.joint_losses = broken
try:
    trainer.train(recipe, build_network(recipe.architecture), fabric, {out!r}, opener=corridor)
except ValueError as error:
    os.write(1, f'{{fabric.global_rank}} {{error}}\\n'.encode())     # at once: both write to one pipe
"""


def test_a_loss_that_is_not_finite_in_one_process_stops_all(tmp_path):
    script = tmp_path / 'one_breaks.py'
    script.write_text(ONE_BREAKS.format(tests=os.path.dirname(__file__), out=str(tmp_path / 'run')))
    done = subprocess.run([sys.executable, str(script)], stdout=subprocess.PIPE, text=True, timeout=120,
                          env=os.environ | {'OMP_NUM_THREADS': '1'})
    said = sorted(line for line in done.stdout.splitlines() if 'at step 0' in line)
    assert said[0].startswith('0 loss of another process is not finite') and said[1].startswith('1 loss is nan')
    assert len(list((tmp_path / 'run').glob('nonfinite_step_0_process_[01].safetensors'))) == 2


def test_data_that_is_not_named_is_asked_for(tmp_path):
    with pytest.raises(RecipeError, match='no training data'):
        run(tmp_path, TINY | {'data': []})


def test_labels_that_are_asked_for_must_be_there(tmp_path, caplog):
    class First(Corridor):
        def __getitem__(self, index):
            return replace(super().__getitem__(index), noisy_labels=None if index > 1 else np.zeros((64, 96), np.uint8))
    noisy = TINY | {'data': [{'source': 'corridor', 'labels': 'noisy', 'cache': 'none'}]}
    with pytest.raises(RecipeError, match="'corridor' has no noisy labels: set labels of this data to none"):
        run(tmp_path, noisy)
    assert run(tmp_path / 'a', noisy | {'losses': {'semantic': 0}}, stop_at=1).step == 1
    assert run(tmp_path / 'b', noisy, lambda source: [First(8)], stop_at=1).step == 1
    assert 'corridor: 83 % of the frames have no noisy labels' in caplog.text


def test_the_log_has_rates_losses_and_validation_and_the_recipe_is_kept(tmp_path):
    recipe = TINY | {'validation': [{'source': 'corridor'}], 'validate_every': 2, 'name': 'recipe'}
    run(tmp_path, recipe)
    train_lines = lines(tmp_path, 'train')
    assert [line['step'] for line in train_lines] == [2, 4]
    assert {'ahead', 'images_per_s', 'learning_rate'} <= set(train_lines[0])
    total = sum(train_lines[0][name] for name in ('photometric', 'smoothness', 'velocity', 'semantic'))
    assert train_lines[0]['total'] == pytest.approx(total, rel=1e-4)
    assert [line['step'] for line in lines(tmp_path, 'validation')] == [2, 4]
    assert list((tmp_path / 'tensorboard').iterdir())
    assert read_recipe(tmp_path / 'recipe.yaml') == recipe_from(recipe)


def test_half_width_training_gives_finite_losses(tmp_path, monkeypatch):
    monkeypatch.setattr(trainer, 'bfloat16_flag', lambda: 'amx_bf16')
    result = run(tmp_path, TINY | {'precision': 'bf16-mixed', 'steps': 2})
    assert all(torch.isfinite(value).all() for value in result.network.state_dict().values())


@pytest.mark.parametrize('flag, precision, computed', [
    ('amx_bf16', 'bf16-mixed', 'bf16-mixed'), ('', 'bf16-mixed', '32-true'), ('', '16-mixed', '32-true'),
    ('', '32-true', '32-true')])
def test_half_width_is_for_processors_that_have_it(flag, precision, computed, monkeypatch, caplog):
    monkeypatch.setattr(trainer, 'bfloat16_flag', lambda: flag)
    fabric = build_fabric(recipe_from(TINY | {'precision': precision}), 'cpu')
    assert fabric.strategy.precision.precision == computed
    words = [m for m in caplog.messages if 'arithmetic' in m]
    assert words == ([] if computed == precision else
                     [f'training in 32-true instead of {precision}: this processor has no bfloat16 arithmetic'])


@pytest.mark.parametrize('frames', [2, 3])
def test_the_exported_model_gives_what_was_trained(tmp_path, frames):
    recipe = recipe_from(TINY | {'validation': [{'source': 'corridor'}], 'steps': 2, 'validation_frames': frames})
    result = run(tmp_path, recipe.as_dict())
    card = export_model(tmp_path / 'model.safetensors', result.network, recipe, result.step, result.frames,
                        result.travel_known, corridor)
    network, read = load_network(tmp_path / 'model.safetensors')
    assert read == card and read.focal_px == 60 and read.metric and read.recipe['trained_steps'] == 2
    assert read.cameras[0]['fx'] == 60.0 and 0.01 <= read.sigma['floor'] <= 1
    assert next(iter(read.metrics.values()))['abs_rel_unscaled'] > 0
    tensors, _ = read_model(tmp_path / 'model.safetensors')
    probes = make_probes(network, [tensors[f'probe.{i}.image'] for i in range(2)])
    equal = [(probes[name] == tensors[name]).float().mean() for name in probes]   # but for the last bit of a few
    assert min(equal) > 0.97
    assert not torch.equal(tensors['probe.0.image'], tensors['probe.1.image'])


def test_a_model_that_nothing_taught_classes_names_none_and_has_depth_everywhere(tmp_path):
    write_folder_sequence(tmp_path / 'corridor', (Corridor()[i] for i in range(4)))
    arguments = ['--data', str(tmp_path / 'corridor'), '--steps', '2', '--set', 'sizes=[[64, 32]]', 'batch=2']
    for weight in (0, 1):
        out = [f'--out={tmp_path / str(weight)}', f'--export={tmp_path / f"{weight}.safetensors"}']
        assert main(['train', 'small_world', *arguments, f'losses.semantic={weight}', *out]) == 0
    without, taught = (Perceptor.from_file(tmp_path / f'{n}.safetensors', device='cpu', max_range_m=np.inf) for n in (0, 1))
    assert [c.name for c in taught.card.classes][10] == 'sky' and 'sky' not in [c.name for c in without.card.classes]
    perception = without.perceive(Frame(Corridor()[0].image, 'rgb', Corridor()[0].camera, 0))
    assert np.isfinite(perception.depth).all() and perception.labels.min() > 18


def test_learning_rate_rises_then_falls_along_half_a_cosine():
    settings = Optimisation(learning_rate=1.0, warmup_steps=10, final_fraction=0.1)
    assert learning_rate(settings, 0, 110) == pytest.approx(0.1)
    assert learning_rate(settings, 10, 110) == pytest.approx(1.0)
    assert learning_rate(settings, 60, 110) == pytest.approx(0.55)
    assert learning_rate(settings, 110, 110) == pytest.approx(0.1)


def test_learning_rate_falls_at_milestones():
    settings = Optimisation(learning_rate=1.0, warmup_steps=2, schedule='steps', milestones=(5, 8), factor=0.1)
    rates = [learning_rate(settings, step, 10) for step in (0, 4, 5, 7, 8, 9)]
    assert rates == pytest.approx([0.5, 1, 0.1, 0.1, 0.01, 0.01])


def made_batch(**fields):
    """One triplet of 64x64 noise with everything that a term may look at."""
    generator = torch.Generator().manual_seed(1)
    whole = TripletBatch(
        images=torch.randint(256, (1, 3, 3, 64, 64), dtype=torch.uint8, generator=generator),
        intrinsics=torch.tensor([[[60.0, 0, 31.5], [0, 60, 31.5], [0, 0, 1]]]), distance=torch.tensor([[0.5, 0.6]]),
        labels=torch.randint(19, (1, 64, 64), dtype=torch.uint8, generator=generator),
        confidence=torch.ones(1, 64, 64), seen=torch.ones(1, 64, 64, dtype=torch.bool), colour=torch.zeros(1, 7),
        origin=torch.zeros(1, 4, dtype=torch.int64), depth=torch.rand(1, 64, 64, generator=generator) * 40 + 1)
    return whole._replace(**fields)


OFF = {'photometric': 0, 'smoothness': 0, 'velocity': 0, 'semantic': 0}


def losses_of(weights):
    return recipe_from(TINY | {'losses': OFF | weights}).losses


def test_smoothness_does_not_count_what_is_not_seen():
    seen = torch.ones(1, 64, 64, dtype=torch.bool)
    seen[:, :, 40:] = False
    batch, values = made_batch(seen=seen), []
    for beyond in (0.1, 0.9):
        disparities = tuple(torch.rand(1, 1, 64 // 2 ** s, 64 // 2 ** s, generator=torch.manual_seed(s))
                            for s in range(4))
        for s, disparity in enumerate(disparities):
            disparity[..., 40 // 2 ** s:] = beyond
        view = View(Prediction(disparities, torch.zeros(1, 19, 64, 64), {}), batch, batch.images / 255, (0.1, 100.0), 60)
        values.append(joint_losses(view, losses_of({'smoothness': 1}))['total'])
    torch.testing.assert_close(*values)


def test_a_term_counts_from_its_step_on_and_is_computed_before_only_where_asked(tmp_path):
    batch, network = made_batch(), build_network({'encoder': 'small'})
    images = batch.images / 255
    prediction = network.eval()(images[:, 0], pairs=image_pairs(images))
    losses = losses_of({'semantic': 1, 'velocity': {'weight': 2, 'start': 3}})
    early, late = (View(prediction, batch, images, (0.1, 100.0), 60, step) for step in (2, 3))
    assert set(joint_losses(early, losses)) == {'total', 'semantic'}
    assert joint_losses(early, losses, every=True)['velocity'] == 0
    assert joint_losses(late, losses)['velocity'] > 0


@pytest.mark.parametrize('encoder', ['small', 'resnet18'])
@pytest.mark.parametrize('change', [
    {}, {'losses': {'semantic': 0}}, {'scales': 1}, {'scales': 2, 'losses': {'velocity': 0}},
    {'losses': {'photometric': 0, 'smoothness': 0}}, {'losses': OFF | {'velocity': 1}},
    {'losses': OFF | {'smoothness': 1}}, {'losses': OFF | {'semantic': 1}}, {'losses': OFF | {'depth': 1}},
    {'losses': OFF | {'semantic': 1, 'depth': {'weight': 1, 'start': 2}}}])
def test_exactly_what_the_loss_reaches_is_trained(encoder, change):
    recipe = recipe_from(TINY | {'architecture': {'encoder': encoder}, 'sizes': [[64, 64]]} | change)
    network = build_network(recipe.architecture).train()
    network.returned_scales = recipe.scales
    everything = copy.deepcopy(network)
    freeze_untrained(network, recipe.losses, recipe.sizes[0], recipe.focal_px)
    source = triplet_source(recipe.data[0], [Corridor(4)], keep_depth=True)
    dataset = TripletDataset([source], recipe.sizes, recipe.augmentation, 1, 2, 2, frozenset({'depth'}))
    batch = collate([dataset[0], dataset[1]])
    images = batch.images / 255
    prediction = everything(images[:, 0], pairs=image_pairs(images))
    view = View(prediction, batch, images, (0.1, 100.0), recipe.focal_px, step=10)
    joint_losses(view, recipe.losses)['total'].backward()
    reached = {name for name, p in everything.named_parameters() if p.grad is not None}
    assert reached == {name for name, p in network.named_parameters() if p.requires_grad}


def test_what_is_already_frozen_stays_so_and_trying_changes_neither_weights_nor_the_next_draw():
    network = build_network({'encoder': 'small'})
    network.encoder.stem.requires_grad_(False)
    before = copy.deepcopy(network.state_dict())
    torch.manual_seed(5)
    freeze_untrained(network, Losses(), (64, 64), 60.0)
    assert torch.rand(1) == torch.rand(1, generator=torch.manual_seed(5))
    assert same(dict(network.state_dict()), dict(before))
    assert not any(p.requires_grad for p in network.encoder.stem.parameters())
    assert all(p.requires_grad for p in network.encoder.stages.parameters())


def test_only_kernels_decay_and_the_encoder_learns_at_its_share():
    network = build_network({'encoder': 'small'})
    optimiser = build_optimiser(network, Optimisation(weight_decay=0.3, encoder_rate=0.1))
    set_learning_rate(optimiser, 2.0)
    encoder = {id(p) for p in network.encoder.parameters()}
    seen = 0
    for group in optimiser.param_groups:
        for p in group['params']:
            assert group['weight_decay'] == (0.3 if p.dim() > 1 else 0)
            assert group['lr'] == pytest.approx(0.2 if id(p) in encoder else 2.0)
            seen += 1
    assert seen == len(list(network.parameters()))


@pytest.mark.parametrize('ema', [0.0, 0.9])
def test_a_frozen_norm_keeps_its_statistics_and_weights_through_training_and_validation(tmp_path, ema):
    recipe = TINY | {'validation': [{'source': 'corridor'}], 'validate_every': 1, 'steps': 3,
                     'optimisation': {'freeze_encoder_norm': True, 'ema': ema}}
    torch.manual_seed(1)
    fresh = {n: v.clone() for n, v in build_network(recipe['architecture']).encoder.state_dict().items()}
    trained = run(tmp_path, recipe).network.encoder
    norms = [n for n, m in trained.named_modules() if isinstance(m, torch.nn.BatchNorm2d)]
    changed = {n for n, v in trained.state_dict().items() if not torch.equal(v, fresh[n])}
    assert norms and changed and not any(n.rpartition('.')[0] in norms for n in changed)


def test_averaged_weights_follow_their_formula():
    network = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.constant_(network.weight, 0.0)
    average = WeightAverage(network, decay=0.15)
    torch.nn.init.constant_(network.weight, 1.0)
    average.update(network)
    assert average.network.weight.item() == pytest.approx(0.9)         # keeps 1 / 10 at first
    average.update(network)
    assert average.network.weight.item() == pytest.approx(1 - 0.1 * 0.15)


def test_every_step_and_process_has_a_seed_of_its_own():
    assert len({step_seed(1, step, rank) for step in range(50) for rank in range(4)}) == 200


@pytest.fixture(scope='module')
def drive(tmp_path_factory):
    path = tmp_path_factory.mktemp('drives') / 'corridor'
    write_folder_sequence(path, (Corridor(6)[i] for i in range(6)))
    return path


def written_recipe(folder):
    recipe = TINY | {'data': [], 'steps': 2}
    path = folder / 'tiny.yaml'
    path.write_text(json.dumps(recipe))
    return str(path)


def test_the_command_trains_exports_and_trains_on_from_its_own_model(tmp_path, drive, capsys):
    model, again = tmp_path / 'm.safetensors', tmp_path / 'n.safetensors'
    arguments = ['train', written_recipe(tmp_path), '--device', 'cpu', '--data', f'{drive}@2', str(drive)]
    arguments += ['--val', str(drive)]
    assert main([*arguments, '--out', str(tmp_path / 'a'), '--export', str(model)]) == 0
    assert f'model in {model}' in capsys.readouterr().out
    more = ['--set', 'focal_px=77', 'losses.velocity=0', '--init', str(model), '--steps', '1']
    assert main([*arguments, '--out', str(tmp_path / 'b'), '--export', str(again), *more]) == 0
    _, card = load_network(again)
    assert (card.focal_px, card.metric, card.recipe['steps']) == (60, False, 1)
    assert [entry['weight'] for entry in card.recipe['data']] == [2.0, 1.0]


def test_a_model_gets_the_guidance_that_the_recipe_names_and_keeps_what_it_knows(tmp_path, drive, capsys):
    command = ['train', written_recipe(tmp_path), '--device', 'cpu', '--data', str(drive)]
    plain, guided, again = (tmp_path / f'{name}.safetensors' for name in ('plain', 'guided', 'again'))
    still = ['--steps', '1', '--set', 'optimisation.learning_rate=1e-12', 'optimisation.weight_decay=0']
    assert main([*command, '--out', str(tmp_path / 'a'), '--export', str(plain), *still]) == 0
    assert main([*command, '--out', str(tmp_path / 'b'), '--export', str(guided), '--init', str(plain), *still,
                 'architecture.guidance=modulation']) == 0
    said = f'{plain} gets guidance of its recipe, modulation in place of plain: depth begins as it was without'
    assert said in capsys.readouterr().out
    (before, _), (after, card) = load_network(plain), load_network(guided)
    assert card.architecture['guidance']['kind'] == 'modulation'
    image = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        torch.testing.assert_close(after(image).disparities[0], before(image).disparities[0], atol=1e-3, rtol=1e-2)
    assert main([*command, '--out', str(tmp_path / 'c'), '--export', str(again), '--init', str(guided), *still]) == 0
    assert 'gets guidance' not in capsys.readouterr().out
    assert load_network(again)[1].architecture == card.architecture


def test_a_model_that_saw_no_travel_is_not_called_metric_unless_it_was_before(tmp_path, drive):
    write_folder_sequence(tmp_path / 'still', (replace(Corridor(6)[i], pose=None) for i in range(6)))
    for name, data, more in (('first', tmp_path / 'still', []), ('metric', drive, []),
                             ('on', tmp_path / 'still', ['--init', str(tmp_path / 'metric')])):
        assert main(['train', written_recipe(tmp_path), '--device', 'cpu', '--data', str(data), '--steps', '1', *more,
                     '--out', str(tmp_path / 'runs' / name), '--export', str(tmp_path / name)]) == 0
    assert [load_network(tmp_path / name)[1].metric for name in ('first', 'metric', 'on')] == [False, True, True]


def test_the_command_says_mistakes_in_one_line(tmp_path, drive, capsys):
    for arguments, message in ((['nothing'], 'no recipe'), (['small_world', '--set', 'steps'], 'expected KEY=VALUE'),
                               (['small_world', '--data', '/nowhere', '--val', str(drive)], '/nowhere'),
                               (['small_world', '--init', '/nowhere'], 'no model'),
                               (['small_world', '--device', 'cpu', '--strategy', 'x'], 'strategy x'),
                               (['small_world', '--device', 'cuda', '--devices', '999'], 'device cuda x 999')):
        device = [] if '--device' in arguments else ['--device', 'cpu']
        assert main(['train', *arguments, '--out', str(tmp_path / 'x'), *device]) == 2
        error = capsys.readouterr().err.strip().splitlines()
        assert message in error[-1] and not any('Traceback' in line for line in error)


TWO_PROCESSES = ['--devices', '2', '--strategy', 'ddp']


@pytest.mark.parametrize('more, send', [
    ([], os.kill), (['--set', 'workers=2'], os.killpg), (TWO_PROCESSES, os.kill), (TWO_PROCESSES, os.killpg)])
def test_ctrl_c_on_the_command_says_how_to_continue(tmp_path, drive, more, send):
    arguments = ['train', written_recipe(tmp_path), '--data', str(drive), '--out', str(tmp_path / 'run'),
                 '--steps', '100000', '--device', 'cpu', *more]
    process = subprocess.Popen([sys.executable, '-m', 'semdepth_ros.cli.main', *arguments], stdout=subprocess.PIPE,
                               text=True, stderr=subprocess.DEVNULL, env=os.environ | {'OMP_NUM_THREADS': '1'},
                               start_new_session=True)
    try:
        while not (tmp_path / 'run' / 'log.jsonl').exists():
            assert process.poll() is None
            time.sleep(0.1)
        send(process.pid, signal.SIGINT)
        said, _ = process.communicate(timeout=60)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    assert process.returncode == 130
    assert 'continue with: semdepth train' in said and said.rstrip().endswith('--resume')
    assert (tmp_path / 'run' / 'last.ckpt').exists()


@pytest.mark.parametrize('settings', [[], ['--set', 'losses.semantic=0', 'scales=1']])
def test_two_processes_train_one_network(tmp_path, drive, settings):
    arguments = ['train', written_recipe(tmp_path), '--data', str(drive), '--val', str(drive),
                 '--out', str(tmp_path / 'run'), '--device', 'cpu', '--devices', '2', '--strategy', 'ddp',
                 '--export', str(tmp_path / 'm.safetensors'), *settings]
    done = subprocess.run([sys.executable, '-m', 'semdepth_ros.cli.main', *arguments], capture_output=True, text=True,
                          env=os.environ | {'OMP_NUM_THREADS': '1'}, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    assert [line['step'] for line in lines(tmp_path / 'run', 'train')] == [2]
    load_network(tmp_path / 'm.safetensors')


def test_ahead_is_the_cosine_to_the_optical_axis():
    motions = torch.tensor([[0.0, 0.0, -2.0], [1.0, 0.0, 0.0]])
    assert ahead(motions).item() == pytest.approx(0.5)
