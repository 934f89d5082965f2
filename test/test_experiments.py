"""Runs of a tiny experiment: what they begin from, what is measured, what is kept, and how it is judged and shown."""
import copy
import hashlib
import json
import xml.etree.ElementTree as ElementTree
from dataclasses import replace

import numpy as np
import pytest
import torch
from plane_world import CAMERA, ROAD, Corridor
from safetensors.torch import load_file, save_file
from test_filter import Holed
from tiny_experiment import DECLARED, build_towns, experiment
from torch import nn

from semdepth_ros.classes import CITYSCAPES, SKY
from semdepth_ros.data import FolderSequence, open_data, write_folder_sequence
from semdepth_ros.evaluation.bootstrap import Change, paired_change
from semdepth_ros.evaluation.dense_evaluation import DenseEvaluation
from semdepth_ros.evaluation.protocol import evaluate_sequence
from semdepth_ros.experiments import arm_training, cost
from semdepth_ros.experiments.arm_evaluation import start_perceptor, town
from semdepth_ros.experiments.arm_training import begun_network, digest_of, measure_pace, train_run
from semdepth_ros.experiments.declaration import Hypothesis
from semdepth_ros.experiments.depth_perceptor import DepthPerceptor
from semdepth_ros.experiments.page import write_page
from semdepth_ros.experiments.plan import Folders, runs_of, town_folders
from semdepth_ros.experiments.plots import changes_plot
from semdepth_ros.experiments.processes import Outcome
from semdepth_ros.experiments.results import find_result, read_result, write_result
from semdepth_ros.experiments.schedule import complete_run, find_steps, known_steps, state, tasks_of
from semdepth_ros.experiments.verdicts import HELD, NO_FIGURE, NOT_HELD, NOT_RUN, Results, judged
from semdepth_ros.frame import Frame
from semdepth_ros.model_file import InputRule, ModelCard, read_model
from semdepth_ros.networks import adopt, build_network, load_network
from semdepth_ros.perception import Perceptor
from semdepth_ros.training import trainer
from semdepth_ros.training.filtering.flag_list import flagged_frames
from semdepth_ros.training.recipe_file import read_recipe

BAND = 'median_scaled.within_border_5px.abs_rel'


@pytest.fixture(scope='module')
def run_through(tmp_path_factory):
    """Return the tiny experiment and its folders, after every task was done in this process."""
    folder = tmp_path_factory.mktemp('tiny')
    declared, folders = experiment(folder), Folders(folder / 'work', folder / 'docs', folder / 'real')
    build_towns(declared, folders)
    write_folder_sequence(folders.real / 'street', Corridor(2), CAMERA)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cost, 'TIMED_RUNS', 2)
        for task in tasks_of(runs_of(declared, 3), folders, 'cpu'):
            assert task.function(*task.arguments)
    return declared, folders


def results(declared, folders):
    return {run.arm.name: read_result(run.result(folders)) for run in runs_of(declared, 3)}


def test_tasks_are_starts_then_runs_and_each_is_there_once(tmp_path):
    arms = [*DECLARED['arms'], {'name': 'told', 'given': 'labels', 'set': {'losses.semantic': 0.5}}]
    declared, folders = experiment(tmp_path, arms=arms, seeds=[1, 2]), Folders(tmp_path / 'w', tmp_path / 'd')
    tasks = tasks_of(runs_of(declared, 3), folders, 'cpu')
    assert [(t.said, t.needs) for t in tasks] == [
        ('start, seed 1', ()), ('plain, seed 1', (0,)), ('semantic, seed 1', (0,)), ('told, seed 1', (2,)),
        ('start, seed 2', ()), ('plain, seed 2', (4,)), ('semantic, seed 2', (4,)), ('told, seed 2', (6,))]


def filtered(folder, **changes):
    rule = {'within': 'labelled'}       # the corridor's own labels know no car
    arms = [{'name': 'two', 'filter': {'by': 'plain', 'labels': 'true', 'rule': rule}}, {'name': 'plain'}]
    return experiment(folder, arms=arms, **changes), Folders(folder / 'work', folder / 'docs')


def test_an_arm_that_filters_comes_first_whether_it_is_to_be_run_or_not(tmp_path):
    declared, folders = filtered(tmp_path)
    runs = [runs_of(declared, 3, only) for only in ((), ('two',))]
    said = [[(task.said, task.needs) for task in tasks_of(each, folders, 'cpu')] for each in runs]
    begun = [('start, seed 1', ()), ('plain, seed 1', (0,)), ('two, seed 1', (0, 1))]
    assert said == [[*begun, ('plain, seed 1', (1,))], begun]


def test_an_arm_with_a_filter_learns_from_what_the_other_arm_sees_no_holes_in(tmp_path, monkeypatch):
    declared, folders = filtered(tmp_path, steps=2, start={'arm': 'plain', 'steps': 1})
    build_towns(declared, folders)
    monkeypatch.setattr(cost, 'TIMED_RUNS', 2)
    asked = []

    def perceiver(model, device):       # a model of two steps sees no road
        asked.append(model)
        return Holed((2,)).perceive, {'name': 'holed'}

    monkeypatch.setattr(arm_training, 'perceiver', perceiver)
    two, plain = runs_of(declared, 2)
    for task in tasks_of([two, plain], folders, 'cpu'):
        assert task.function(*task.arguments)
    assert asked == [plain.model(folders)]
    kept = read_recipe(two.training_folder(folders) / 'recipe.yaml').data[0]
    flags = flagged_frames(kept.filter, kept.source, open_data(kept.source))
    assert flags == [{2}] and (two.training_folder(folders) / 'flagged' / 'flagged.md').exists()
    result = read_result(two.result(folders))
    assert result['flagged'] == {'images': 5, 'judged': 5, 'flagged': 1}
    assert 'flagged' not in read_result(plain.result(folders))
    page = write_page(declared, folders).read_text()
    assert '`two` learns from what `plain` sees no holes in. Images left out: 1 of 5 (20.0 %) with seed 1.' in page


def test_what_is_done_is_kept_and_only_what_is_missing_is_done_again(run_through, monkeypatch):
    declared, folders = run_through
    runs = runs_of(declared, 3)
    assert [state(run, folders) for run in runs] == ['measured'] * 2 and not tasks_of(runs, folders, 'cpu')
    result, kept = runs[1].result(folders), read_result(runs[1].result(folders))
    result.unlink()
    (task,) = tasks_of(runs, folders, 'cpu')
    assert (task.said, task.needs, state(runs[1], folders)) == ('semantic, seed 1', (), 'trained')
    monkeypatch.setattr('semdepth_ros.experiments.arm_evaluation.town', None)       # single towns are kept too
    assert complete_run(*task.arguments) and read_result(result)['towns'] == kept['towns']
    (measured,) = runs[1].measured_folder(folders).iterdir()                        # of these weights, and of no others
    assert measured.name == hashlib.sha256(runs[1].model(folders).read_bytes()).hexdigest()[:8]


def test_a_run_that_was_stopped_ends_with_the_weights_of_one_that_was_not(run_through, tmp_path, monkeypatch):
    declared, folders = run_through
    run, other = runs_of(declared, 3)[1], replace(folders, work=tmp_path)
    begin = run.begins_from.model(other)
    begin.parent.mkdir(parents=True)
    save_file(load_file(run.begins_from.model(folders)), begin)
    with monkeypatch.context() as patch:
        patch.setattr(trainer, 'any_process', lambda fabric, flag: True)        # as if Ctrl-C came in the first step
        assert not train_run(run, other, 'cpu')
    assert state(run, other) == 'measured' and not run.model(other).exists()    # the result of the whole run counts
    assert train_run(run, other, 'cpu')
    again, whole = (load_file(run.model(each)) for each in (other, folders))
    assert all(torch.equal(again[name], whole[name]) for name in whole)


def test_the_model_of_an_arm_names_classes_where_it_or_its_start_was_taught_any(run_through, tmp_path):
    declared, folders = run_through
    named = {run.arm.name: {c.name for c in read_model(run.model(folders))[1].classes} for run in runs_of(declared, 3)}
    known = {c.name for c in CITYSCAPES}
    assert named == {'plain': {f'untaught {i}' for i in range(19)}, 'semantic': known}
    taught = experiment(tmp_path, steps=1, start={'arm': 'semantic', 'steps': 1})
    plain, folders = runs_of(taught, 1)[0], Folders(tmp_path / 'work', tmp_path / 'docs')
    assert train_run(plain.begins_from, folders, 'cpu') and train_run(plain, folders, 'cpu')
    assert {c.name for c in read_model(plain.model(folders))[1].classes} == known


def test_arms_of_a_seed_begin_from_the_same_weights_and_parts_of_their_own_are_fresh(run_through):
    declared, folders = run_through
    run = runs_of(declared, 3)[1]
    weights, recipe = run.begins_from.model(folders), run.recipe(folders)
    network, fresh = begun_network(recipe, weights)
    begun, trained = network.state_dict(), load_file(weights)
    assert fresh == [] and all(torch.equal(tensor, begun[name]) for name, tensor in trained.items())
    shared = replace(recipe, architecture=recipe.architecture | {'shared_decoder': 2})
    network, fresh = begun_network(shared, weights)
    assert fresh == []
    for name, tensor in network.state_dict().items():
        before = f'depth_decoder.path.{name.removeprefix("trunk.")}' if name.startswith('trunk.') else name
        assert torch.equal(tensor, trained[before]), name
    guided = replace(recipe, architecture=recipe.architecture | {'guidance': {'kind': 'modulation'}})
    network, fresh = begun_network(guided, weights)
    torch.manual_seed(recipe.seed)
    alone = build_network(guided.architecture).state_dict()
    assert fresh == ['guidance']
    for name, tensor in network.state_dict().items():
        expected = alone if name.startswith('guidance.') else trained
        assert torch.equal(tensor, expected[name]), name


def test_weights_of_another_shape_are_not_adopted():
    torch.manual_seed(0)
    one, other = build_network({'encoder': 'small'}), build_network({'encoder': 'small', 'classes': 7})
    before = {name: tensor.clone() for name, tensor in other.state_dict().items()}
    assert adopt(other, one.state_dict()) == ['semantic_decoder']
    after, given = other.state_dict(), one.state_dict()
    for name, tensor in after.items():
        assert torch.equal(tensor, given[name] if given[name].shape == tensor.shape else before[name]), name


def test_a_result_has_what_was_run_where_and_the_figures_of_every_town(run_through):
    declared, folders = run_through
    plain, semantic = results(declared, folders).values()
    assert (semantic['experiment'], semantic['arm'], semantic['seed'], semantic['steps'], semantic['start_steps']) == (
        'tiny', 'semantic', 1, 3, 2)
    assert semantic['seconds_per_step'] > 0 and semantic['machine']['cores'] and semantic['code']
    assert semantic['fresh'] == [] and semantic['precision'] == '32-true'
    assert len(semantic['start']) == 8 and semantic['start'] == plain['start']
    assert len(semantic['rendering']) == 2 and semantic['rendering'] == plain['rendering']
    assert set(semantic['towns']) == {'day_300', 'day_301'}
    assert 'classes.miou' in semantic['towns']['day_300'] and 'classes.miou' not in plain['towns']['day_300']
    assert 'semantics' in semantic['real']['street'] and 'semantics' not in plain['real']['street']
    assert str(folders.work) not in json.dumps(semantic)


def test_figures_of_a_town_are_those_of_the_exported_network_on_its_frames(run_through):
    declared, folders = run_through
    run = runs_of(declared, 3)[1]
    path = town_folders(declared.towns, folders)['day_301'][2]
    perceptor = Perceptor.from_file(run.model(folders), device='cpu', precision='float32', max_range_m=np.inf)
    evaluation, sequence = DenseEvaluation(), FolderSequence(path)
    start = start_perceptor(run, folders, perceptor.card, torch.device('cpu'))
    for sample in (sequence[0], sequence[1]):
        depth = DepthPerceptor(*load_network(run.model(folders)), torch.device('cpu')).perceive(sample).depth
        seen = perceptor.perceive(frame_of(sample))
        not_sky = seen.labels != SKY
        np.testing.assert_allclose(depth[not_sky], seen.depth[not_sky], rtol=1e-3)
        evaluation.add(depth, sample.depth, sample.labels, seen.labels, start.perceive(sample).depth, sample.camera)
    kept = read_result(run.result(folders))['towns']['day_301']
    assert kept == pytest.approx(evaluation.result(), rel=1e-4)


def frame_of(sample):
    return Frame(sample.image, 'rgb', sample.camera, sample.stamp_ns)


def test_real_frames_are_measured_by_the_protocol_of_evaluate(run_through):
    declared, folders = run_through
    run = runs_of(declared, 3)[1]
    model = DepthPerceptor(*load_network(run.model(folders)), torch.device('cpu'))

    class OfFrames:
        def perceive(self, frame):
            return model.perceive(type('Sample', (), {'image': frame.image, 'camera': frame.camera}))
    theirs = evaluate_sequence(OfFrames(), FolderSequence(folders.real / 'street'))
    ours = read_result(run.result(folders))['real']['street']
    assert ours == json.loads(json.dumps({name: theirs[name] for name in ('frames', 'depth', 'semantics')}))


def test_depth_stays_what_the_network_says_where_its_classes_say_sky():
    torch.manual_seed(1)
    network = build_network({'encoder': 'small'})
    network.semantic_decoder.requires_grad_(False)
    for layer in network.semantic_decoder.modules():
        if isinstance(layer, nn.Conv2d) and layer.out_channels == 19:
            layer.bias[SKY] = 1e4
    card = ModelCard(network.architecture, focal_px=60.0)
    output = DepthPerceptor(network, card, torch.device('cpu')).perceive(Corridor()[0])
    assert (output.labels == SKY).all() and np.isfinite(output.depth).all()


def test_a_guidance_by_labels_is_given_the_true_ones_where_that_is_asked_for():
    sample, given = Corridor()[0], []

    class Listening(nn.Module):
        def __init__(self, network):
            super().__init__()
            self.network = network

        def forward(self, image, labels=None):
            given.append(labels)
            return self.network(image)
    network = build_network({'encoder': 'small'})
    card = ModelCard(network.architecture, focal_px=60.0, input=InputRule(pixels=96 * 64))
    for asked in (False, True):
        DepthPerceptor(Listening(network), card, torch.device('cpu'), given_labels=asked).perceive(sample)
    assert given[0] is None and given[1].shape == (1, 64, 96)
    assert torch.equal(given[1][0], torch.from_numpy(sample.labels)) and (given[1] == ROAD).any()
    with pytest.raises(ValueError, match='frame 0000 has no true labels to give'):
        DepthPerceptor(network, card, torch.device('cpu'), given_labels=True).perceive(replace(sample, labels=None))


def test_a_town_is_known_by_what_was_rendered(run_through, tmp_path):
    declared, folders = run_through
    path, perceptor = tmp_path / 'town', DepthPerceptor(*load_network('default'), torch.device('cpu'))
    write_folder_sequence(path, Corridor(2, step_m=1.0), CAMERA)
    there = town_folders(declared.towns, folders)
    digests = [town(perceptor, each, False)['rendering'] for each in (path, there['day_300'][2], there['day_301'][2])]
    assert digests[0] == digests[1] != digests[2]


def test_data_are_known_by_the_first_picture_of_every_drive(tmp_path):
    assert digest_of([tmp_path]) == ''
    write_folder_sequence(tmp_path / 'a', Corridor(1), CAMERA)
    one = digest_of([tmp_path])
    write_folder_sequence(tmp_path / 'b', Corridor(1), CAMERA)
    assert one and digest_of([tmp_path]) != one


def test_macs_and_parameters_are_those_counted_layer_by_layer():
    network = build_network({'encoder': 'small'}).eval()
    counted = []

    def count(layer, inputs, output):
        counted.append(output.numel() * layer.weight[0].numel())
    for name, layer in network.named_modules():
        if isinstance(layer, nn.Conv2d) and not name.startswith('pose_network'):
            layer.register_forward_hook(count)
    network.returned_scales = 2
    with torch.no_grad():
        network(torch.zeros(1, 3, 64, 96))
    hooked = sum(counted)
    network.returned_scales = 4
    assert cost.macs(network, (96, 64)) == hooked > 1e7 and network.returned_scales == 4
    parts = (network.encoder, network.semantic_decoder, network.depth_decoder)
    assert cost.parameters(network) == sum(p.numel() for part in parts for p in part.parameters())


def test_the_products_of_attention_are_counted():
    class Attention(nn.Module):
        returned_scales = 4

        def __init__(self):
            super().__init__()
            self.scale = nn.Parameter(torch.ones(1))

        def forward(self, image):
            q = (self.scale * image).flatten(2).transpose(1, 2)[:, None]                # [1, 1, H W, 3]
            return nn.functional.scaled_dot_product_attention(q, q, q)
    assert cost.macs(Attention(), (8, 4)) == 2 * 32 * 32 * 3


def fake(towns, seed=1, **more):
    return {'seed': seed, 'fingerprint': 'x', 'towns': towns} | more


def band(*values):
    return {f'day_{n}': {BAND: value} for n, value in enumerate(values)}


def test_a_result_is_read_back_as_it_was_written_to_five_digits(tmp_path):
    towns = {'a': {BAND: 0.123456789, 'classes.miou': 0.5}, 'b': {BAND: 2.0}}
    write_result(tmp_path / 'r.json', fake(towns, real={}))
    rounded = {'a': {BAND: 0.12346, 'classes.miou': 0.5}, 'b': {BAND: 2.0}}
    assert read_result(tmp_path / 'r.json') == fake(rounded, real={})
    assert (tmp_path / 'r.json').read_text().splitlines()[-2:] == ['  "a": [0.12346, 0.5],', '  "b": [2.0, null]}}']
    (tmp_path / 'r.json').write_text('{"fingerprint": 1')
    assert read_result(tmp_path / 'r.json') is None


def test_a_result_of_the_same_run_is_found_in_another_experiment_and_a_stale_one_is_not(run_through, tmp_path):
    declared, folders = run_through
    run = runs_of(declared, 3)[1]
    docs = replace(folders, docs=tmp_path)
    assert find_result(run, docs) is None
    write_result(tmp_path / 'other' / 'results' / 'x_s1.json', fake(band(1.0), fingerprint=run.fingerprint))
    assert find_result(run, docs)['towns'] == band(1.0)
    write_result(run.result(docs), fake(band(2.0), fingerprint='of another declaration'))
    assert find_result(run, docs)['towns'] == band(1.0)


def test_changes_average_seeds_then_pair_towns_that_all_have():
    found = Results({('a', 1): fake(band(0.1, 0.2, 0.4)), ('a', 2): fake(band(0.3, 0.2, 0.2)),
                     ('a', 3): fake(band(9, 9)), ('b', 1): fake(band(0.4, 0.3)), ('b', 2): fake(band(0.6, 0.1))})
    expected = paired_change(np.array([0.2, 0.2]), np.array([0.5, 0.2]))
    assert found.change(BAND, 'a', 'b') == pytest.approx(expected)
    assert expected.value == pytest.approx(0.2 / 0.35 - 1)
    assert found.change('classes.miou', 'a', 'b') is None and found.change(BAND, 'a', 'c') is None
    assert found.by_seed(BAND, 'a') == pytest.approx([0.7 / 3, 0.7 / 3, 9])


def test_towns_that_were_rendered_otherwise_are_not_paired():
    found = Results({('a', 1): fake(band(0.1, 0.2), rendering={'day_0': 'x', 'day_1': 'y'}),
                     ('b', 1): fake(band(0.2, 0.4), rendering={'day_0': 'x', 'day_1': 'other'}),
                     ('a', 2): fake(band(0.3, 0.6), rendering={'day_0': 'x', 'day_1': 'y'}),
                     ('b', 2): fake(band(0.3, 0.6), rendering={'day_0': 'x', 'day_1': 'y'})})
    assert found.seeds('a', 'b') == [1, 2] and found.comparable('a', 'b') == [2]
    assert found.change(BAND, 'a', 'b').value == 0
    hypothesis = Hypothesis('b is less', BAND, 'a', 'b', at_most=0.0, interval=0.1)
    assert judged(hypothesis, found, 2)[::2] == (NOT_RUN, 1) and judged(hypothesis, found, 1).word == HELD


def test_times_of_a_network_are_the_lowest_of_all_its_runs_on_each_kind_of_machine():
    def timed(macs, machine, precision, engine, eager):
        return fake({}, machine=machine, cost={'size': [64, 32], 'parameters': 5, 'macs': macs, 'latency_ms': {
            'precision': precision, 'engine': engine, 'eager_float32': eager}})
    xeon, gpu = {'processor': 'Xeon'}, {'processor': 'Xeon', 'cuda_device': 'H200'}
    found = Results({('a', 1): timed(7, xeon, 'bfloat16', 3.0, 9.0), ('a', 2): timed(7, xeon, 'bfloat16', 4.0, 8.0),
                     ('b', 1): timed(7, xeon, 'float32', 2.0, 6.0), ('c', 1): timed(8, gpu, 'float16', 0.6, 0.7)})
    assert found.latencies('a') == found.latencies('b') == {('Xeon', 'float32'): {'engine': 2.0, 'eager_float32': 6.0},
                                                            ('Xeon', 'bfloat16'): {'engine': 3.0, 'eager_float32': 8.0}}
    assert list(found.latencies('a')) == [('Xeon', 'float32'), ('Xeon', 'bfloat16')]
    assert found.latencies('c') == {('H200', 'float16'): {'engine': 0.6, 'eager_float32': 0.7}}
    assert found.latencies('d') == {}


@pytest.mark.parametrize('wanted, word', [
    ({'at_most': -0.10}, HELD), ({'at_most': -0.25}, NOT_HELD), ({'at_least': -0.25, 'interval': None}, HELD),
    ({'at_least': -0.25}, NOT_HELD), ({'at_most': -0.1, 'interval': -0.19}, HELD),
    ({'at_most': -0.1, 'interval': -0.21}, NOT_HELD),
    ({'at_most': -0.04, 'change': 'absolute'}, HELD), ({'at_most': -0.07, 'change': 'absolute'}, NOT_HELD)])
def test_a_hypothesis_holds_where_change_and_interval_are_as_wanted(wanted, word):
    # -20 % in every town
    found = Results({('a', 1): fake(band(0.16, 0.24, 0.32)), ('b', 1): fake(band(0.2, 0.3, 0.4))})
    hypothesis = Hypothesis('text', BAND, 'a', 'b', **wanted)
    assert judged(hypothesis, found, 1)[0] == word
    assert judged(hypothesis, found, 2) == (NOT_RUN, found.change(BAND, 'a', 'b', hypothesis.change), 1)
    assert judged(replace(hypothesis, metric='classes.miou'), found, 1) == (NO_FIGURE, None, 1)


def test_a_gain_that_only_some_towns_show_is_not_held():
    found = Results({('a', 1): fake(band(0.05, 0.42, 0.42)), ('b', 1): fake(band(0.3, 0.4, 0.4))})
    assert judged(Hypothesis('text', BAND, 'a', 'b', at_most=-0.1), found, 1)[0] == NOT_HELD


def test_the_page_has_every_arm_says_what_was_not_run_and_is_the_same_when_written_again(run_through, tmp_path):
    declared, folders = run_through
    arms = (*declared.arms, replace(declared.arms[1], name='later', set={'losses.semantic': 0.7}))
    text = write_page(replace(declared, arms=arms), replace(folders, work=tmp_path)).read_text()
    before = {path.name: path.read_bytes() for path in (folders.docs / 'tiny').iterdir() if path.is_file()}
    write_page(replace(declared, arms=arms), folders)
    assert {path.name: path.read_bytes() for path in (folders.docs / 'tiny').iterdir() if path.is_file()} == before
    rows = [line for line in text.splitlines() if line.startswith('| `later`')]
    assert len(rows) >= 6 and all('not run' in row for row in rows)
    value = np.mean([t[BAND] for t in results(declared, folders)['plain']['towns'].values()])
    assert f' {value:.3f} |' in next(line for line in text.splitlines() if line.startswith('| `plain` | ') and
                                     'within' not in line and f'{value:.3f}' in line)
    assert '**not held**' in text or '**held**' in text
    assert '| `plain` | 1 | 3 | 2 |' in text and 'not found yet' not in text
    for name in ('changes.svg', 'bands.svg'):
        assert ElementTree.parse(folders.docs / 'tiny' / name).getroot().tag.endswith('svg')


def test_the_page_warns_where_runs_differ_in_towns_starts_or_precision(run_through, tmp_path):
    declared, folders = run_through
    other = replace(folders, docs=tmp_path)
    for run in runs_of(declared, 3):
        result = copy.deepcopy(read_result(run.result(folders)))
        write_result(run.result(other), result)
    text = write_page(declared, other).read_text()
    assert 'has changed' not in text and 'the same start' not in text and 'trained in' not in text
    result['rendering']['day_300'] = 'ffffffff'
    result |= {'start': 'eeeeeeee', 'precision': 'bf16-mixed'}
    write_result(run.result(other), result)
    text = write_page(declared, other).read_text()
    assert 'compared with the same renderings' in text
    assert ('Not all runs of seed 1 began from the same start, which was trained anew between them: `plain` from another than '
            'the rest.' in text)
    assert 'trained in 32-true: `semantic` (seed 1, bf16-mixed).' in text
    assert 'by the same segmenter' not in text
    for run, weights in zip(runs_of(declared, 3), ('aaaaaaaa', 'bbbbbbbb')):
        write_result(run.result(other), read_result(run.result(other)) | {'segmenter': weights})
    assert 'Not all runs with a segmenter were guided by the same one' in write_page(declared, other).read_text()


def test_a_page_without_results_says_so_everywhere(tmp_path):
    text = write_page(experiment(tmp_path), Folders(tmp_path / 'w', tmp_path / 'd')).read_text()
    assert '**not run** (0 of 1 seeds)' in text and 'not run' in (tmp_path / 'd/tiny/changes.svg').read_text()


def test_plots_are_blue_where_an_arm_is_surely_better_red_where_worse_and_grey_else():
    sure, unsure = Change(-0.1, -0.2, -0.05), Change(-0.1, -0.2, 0.1)

    def colours(change, higher):
        root = ElementTree.fromstring(changes_plot({'m': {'a': change}}, ['m'] if higher else []))
        return [e.get('fill') for e in root.iter('{http://www.w3.org/2000/svg}circle')]
    assert [colours(*case) for case in ((sure, False), (sure, True), (unsure, False), (None, False))] == [
        ['#1f6fb2'], ['#c4512d'], ['#6b7480'], []]


def test_steps_that_fill_the_minutes_follow_from_the_pace_and_stay(run_through, tmp_path, monkeypatch):
    declared, folders = experiment(tmp_path, steps=None, minutes=0.5), Folders(tmp_path / 'w', tmp_path / 'd')
    monkeypatch.setattr('semdepth_ros.experiments.arm_training.PACE_SETTLING', 1)
    monkeypatch.setattr('semdepth_ros.experiments.arm_training.PACE_STEPS', 1)

    class Here:
        device, jobs = 'cpu', 1

        def run(self, tasks):
            assert [task.said for task in tasks] == ['pace of plain', 'pace of semantic']
            return Outcome({n for n, task in enumerate(tasks) if measure_pace(*task.arguments)})
    assert known_steps(declared, folders) is None
    steps, _ = find_steps(declared, folders, Here())
    kept = json.loads((tmp_path / 'd/tiny/steps.json').read_text())
    assert steps == kept['steps'] == int(60 * 0.5 / np.mean(list(kept['seconds_per_step'].values())))
    assert known_steps(declared, folders) == steps
    assert known_steps(replace(declared, minutes=0.7), folders) is None
    assert not list((tmp_path / 'w/pace').glob('*/'))
