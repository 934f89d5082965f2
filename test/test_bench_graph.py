"""The bench's traffic through a perception node that runs as a process, alone and beside a learner."""
from adaptation_world import CAMERA, view
from node_parts import TYPES
import pytest
from test_adaptation_node import EASY
from tiny_model import write_models

from semdepth_ros.live.bench import Traffic, measure_graph
from semdepth_ros.live.graph import on_graph, spinning_node
from semdepth_ros.live.learner_bench import StepCount, measure_beside_learner


@pytest.fixture(scope='module')
def model(tmp_path_factory):
    return str(write_models(tmp_path_factory.mktemp('model'), 1)[0])


@pytest.fixture
def running():
    with on_graph():
        yield


def test_the_node_is_timed_on_the_graph(model, running):
    traffic = Traffic('small', 192, 96, ('depth/image', 'depth/camera_info', 'semantic/image', 'points'), stride=2)
    result = measure_graph(traffic, model, 'cpu', 10, lambda done, total: None)
    assert result['sent'] == 10 and result['received'] > 5
    assert 0 < result['graph']['p50'] < 5000
    assert {'waiting', 'reading', 'perceiving', 'sending', 'node'} <= set(result['node'])
    assert 0 < result['node']['node']['p50'] <= result['node']['node']['p99']
    assert result['node_counts']['received'] == 10 and result['node_counts']['gaps'] == 0
    assert result['memory_mb'][0] > 50


@pytest.mark.parametrize('mode', ['off', 'shadow'])
def test_the_node_is_timed_beside_a_learner_that_takes_steps(mode, model, running):
    settings = [*EASY[:-1], 'gates.off=[odometry, auto_mask, parallax, motion, translation, movable]']
    parameters = {'settings': repr(settings), 'idle_priority': 'false', 'busy_share': '1.0', 'status_period_s': '0.2'}
    pictures = [view(0.45 * i)[0] for i in range(40)]
    result = measure_beside_learner(mode, CAMERA, pictures, model, 'cpu', 20, 10.0, lambda done, total: None, parameters)
    assert (result['mode'], result['sent'], result['size']) == (mode, 20, [CAMERA.width, CAMERA.height])
    assert result['received'] > 5 and 0 < result['node']['node']['p50'] <= result['graph']['p99'] < 5000
    if mode == 'shadow':
        assert result['steps'] > 0 and result['versions'] == 0 and result['ms_per_step']['p50'] > 0


def test_steps_are_counted_through_resets_and_a_minute_without_any_keeps_the_last_times(running):
    status = TYPES.message_class('semdepth_ros/msg/AdaptationStatus')
    with spinning_node('counter') as node:
        count = StepCount(node)
        for steps, ms in ((4, 500.0), (7, 400.0), (2, float('nan'))):     # the third comes after a reset
            count.hear(status(steps=steps, step_ms_p50=ms, step_ms_p95=2 * ms))
    assert count.taken == 9 and count.ms == {'p50': 400.0, 'p95': 800.0}
