"""What `semdepth bench` measures and prints, without ROS."""
import json

import pytest
import torch

from semdepth_ros.cli.main import main
from semdepth_ros.perception.benchmark import percentiles
from semdepth_ros.perception.speed_table import learner_table, speed_table
from tiny_model import write_models


def test_percentiles_of_a_known_series():
    assert percentiles(range(101)) == {'p50': 50.0, 'p95': 95.0, 'p99': 99.0}


def test_bench_writes_figures_for_network_and_stages(tmp_path, capsys):
    model = write_models(tmp_path, 1)[0]
    figures = tmp_path / 'out' / 'bench.json'
    options = ['--model', str(model), '--device', 'cpu', '--frames', '3', '--no-graph', '--json', str(figures)]
    assert main(['bench', *options]) == 0
    result = json.loads(figures.read_text())
    assert result['machine']['torch'] == torch.__version__ and result['frames'] == 3
    assert [n['size'] for n in result['network']][0] == [640, 192]
    for network in result['network']:
        assert network['engine_over_eager'] > 0 and set(network['engine']) == {'p50', 'p95', 'p99'}
    assert [s['size'] for s in result['stages']] == [[1242, 375], [1280, 720]]
    assert 0 < result['swap']['change']['p50'] < result['swap']['prepare']['p50']
    for stages in result['stages']:
        parts = sum(stages[name]['p50'] for name in ('upload', 'input', 'network', 'decode', 'download'))
        assert 0.2 < parts / stages['whole']['p50'] < 5
    printed = capsys.readouterr().out
    assert 'network 640x192 over the same in eager float32' in printed
    assert 'other weights: exchanged between two frames' in printed


@pytest.mark.parametrize('arguments, message', [(['--frames', '0'], '--frames is 0'),
                                                (['--model', 'nowhere'], 'nowhere')])
def test_arguments_that_cannot_be_end_in_one_line(arguments, message, capsys):
    assert main(['bench', '--no-graph', *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error and error.count('\n') == 1


def latencies(p50, p95, p99):
    return {'p50': p50, 'p95': p95, 'p99': p99}


@pytest.mark.parametrize('device, expected', [('cpu', ['<= 0.4', '<= 120 ms p50', '<= 12 ms p95']),
                                              ('cuda:0', ['<= 1.0 ms p50', '<= 5 ms p50, <= 8 ms p99', '<= 3 ms p95'])])
def test_the_table_sets_what_is_meant_beside_what_is(device, expected):
    facts = {'processor': 'P', 'cores': 2, 'vector': 'AVX2', 'bfloat16': 'bf16', 'torch': '2', 'load_1min': 0.1}
    stages = {name: latencies(1.0, 2.0, 3.0) for name in ('whole', 'upload', 'input', 'network', 'decode', 'download')}
    run = {'reliability': 'reliable', 'sent': 9, 'received': 8, 'memory_mb': [100.0, 101.0],
           'node_counts': {'received': 9, 'perceived': 8, 'dropped': 1, 'gaps': 0},
           'node': {'waiting': latencies(1, 1, 1), 'node': latencies(10.0, 20.0, 30.0)},
           'graph': latencies(14.0, 25.0, 30.0)}
    lines = speed_table({
        'device': device, 'precision': 'half', 'machine': facts,
        'network': [{'size': [640, 192], 'engine': latencies(2.0, 2.2, 2.5), 'eager_float32': latencies(8.0, 9.0, 9.0),
                     'engine_over_eager': 0.25}],
        'stages': [{'size': [1280, 720], **stages}],
        'graph': [{'name': '1242x375', 'idle_core_share': 0.012, **run}, {'name': '1280x720', **run}]})
    text = '\n'.join(lines)
    for part in [*expected, '0.25 (2.0 : 8.0 ms)', '10.00 / 20.00 / 30.00: waiting 1.0', '4.0 ms p50',
                 '9 of 9; 1 dropped', '1.2 %', 'node minus network, 1280x720', '19.0 ms p95']:
        assert part in text, part


def test_the_table_says_what_a_learner_costs():
    facts = {'processor': 'P', 'cores': 2, 'vector': 'AVX2', 'bfloat16': 'bf16', 'torch': '2', 'load_1min': 0.1}

    def run(mode, p95, **more):
        return {'mode': mode, 'rate_hz': 10.0, 'size': [640, 192], 'sent': 20, 'received': 19, 'graph': latencies(14.0, 25.0, 30.0),
                'node_counts': {'received': 20, 'perceived': 19, 'dropped': 1, 'gaps': 0},
                'node': {'node': latencies(10.0, p95, 40.0)}, **more}
    runs = [run('off', 20.0), run('on', 25.0, steps=12, versions=3, ms_per_step={'p50': 700.4, 'p95': 900.0})]
    text = '\n'.join(learner_table({'device': 'cpu', 'machine': facts, 'learner': runs}))
    for part in ['node, 640x192 at 10 Hz, learner off', '10.00 / 20.00 / 40.00', '12, 700 ms each; version 3 served at the end',
                 'p95 of the node, learner on over off', '+25 %', '< +50 %']:
        assert part in text, part
    assert 'learner off over off' not in text


def test_a_learner_cannot_be_left_out_of_its_own_figures(capsys):
    assert main(['bench', '--no-graph', '--learner']) == 2
    assert '--no-graph beside --learner' in capsys.readouterr().err
