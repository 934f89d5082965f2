"""The learner beside a stream of frames: services while it works, perception's word on its load, clocks that jump."""
import threading
import time

import pytest
from node_parts import TYPES
from ros_graph import Graph, wait_until
from test_adaptation_node import PERIOD_NS, START_NS, Drive, call, drive_until, learner, start, statuses
from tiny_model import write_models

from semdepth_ros.bridge.diagnostics import make_diagnostics, make_status
from semdepth_ros.bridge.messages import make_header, stamp_ns
from semdepth_ros.model_file import read_model
from semdepth_ros.nodes.pace import LEAST_SHARE
from semdepth_ros.nodes.perception import PerceptionNode

DIAGNOSTICS = 'diagnostic_msgs/msg/DiagnosticArray'


@pytest.fixture
def graph():
    graph = Graph()
    yield graph
    graph.close()


@pytest.fixture(scope='module')
def model(tmp_path_factory):
    return write_models(tmp_path_factory.mktemp('model'), 1)[0]


class Stream:
    """Sends frame after frame, whoever is busy; a context manager."""

    def __init__(self, drive, period_s=0.1):
        self._drive, self._period_s, self._stop = drive, period_s, threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self):
        while not self._stop.wait(self._period_s):
            self._drive.send()

    def __enter__(self):
        self._thread.start()

    def __exit__(self, *error):
        self._stop.set()
        self._thread.join()


def test_services_do_what_they_say_while_frames_stream(graph, model, tmp_path):
    drive, depth = Drive(graph), []
    perception = start(graph, PerceptionNode, model=str(model), device='cpu', weights_dir=str(tmp_path))
    drive.node.create_subscription(TYPES.message_class('sensor_msgs/msg/Image'), 'depth/image', depth.append, 10)
    node, seen = learner(graph, model, tmp_path, mode='shadow'), statuses(drive)
    adapter = node.work.adapter
    wait_until(lambda: drive.heard(2), 120.0, 'subscribers')
    with Stream(drive):
        wait_until(lambda: adapter.number > 5 and depth, 120.0, 'frames')
        assert call(graph, drive.node, 'save').success and read_model(tmp_path / 'candidate.safetensors')[1].parent == 0
        assert call(graph, drive.node, 'pause').message.startswith('paused')
        steps, number, answered = adapter.counts['steps'], adapter.number, len(depth)
        wait_until(lambda: adapter.number > number + 5, 120.0, 'frames to be let go by')
        wait_until(lambda: seen and seen[-1].state == seen[-1].STATE_PAUSED, 120.0, 'the status to say so')
        assert adapter.counts['steps'] == steps
        promoted, back = call(graph, drive.node, 'promote'), call(graph, drive.node, 'rollback')
        assert not promoted.success and ('expected 1' in promoted.message or 'since the pause' in promoted.message)
        assert not back.success and 'no earlier weights' in back.message
        assert call(graph, drive.node, 'resume').success and not adapter.paused
        resets = adapter.counts['resets']
        assert 'begin anew from the factory' in call(graph, drive.node, 'reset').message
        assert adapter.counts['resets'] > resets
        wait_until(lambda: len(depth) > answered + 5, 120.0, 'perception to go on')
    statistics = perception.work.cameras[''].statistics
    wait_until(lambda: statistics.total('received') == sum(statistics.total(name) for name in (
        'perceived', 'dropped', 'rejected', 'failed', 'not wanted')), 120.0, 'all frames to be accounted for')
    assert not statistics.total('failed') and not node.work._statistics.total('failed')


def test_a_perception_that_drops_images_is_given_way_to_until_it_does_not(graph, model, tmp_path):
    drive = Drive(graph)
    node = learner(graph, model, tmp_path, mode='shadow', busy_share=0.5)
    publisher = drive.node.create_publisher(TYPES.message_class(DIAGNOSTICS), '/diagnostics', 10)
    wait_until(lambda: drive.heard(1) and publisher.get_subscription_count(), 120.0, 'subscribers')

    def say(dropped, name='perception'):
        values = {'node p95 [ms]': 20.0, 'rate in [Hz]': 10.0, 'dropped': dropped}
        publisher.publish(make_diagnostics(TYPES, make_header(TYPES, 0, ''), [
            make_status(TYPES, f'{name}: camera', name, 0, '', values)]))
    drive_until(drive, node, lambda: node.work.adapter.counts['steps'] > 2)
    pace, adapter = node.work.device.pace, node.work.adapter
    for dropped in range(8):
        say(100 * dropped, 'other')
    say(0)
    for dropped in range(1, 8):
        say(dropped)
        wait_until(lambda: pace._dropped == dropped, 60.0, 'the learner to hear of it')
    assert pace.share == LEAST_SHARE and pace.is_behind
    say(8)
    drive_until(drive, node, lambda: adapter.gates.rejections['budget'])
    assert adapter.last_report is None or adapter.served.number == 0
    steps = adapter.counts['steps']
    for _ in range(20):
        say(8)
        time.sleep(0.01)
    wait_until(lambda: not pace.is_behind and pace.share == 0.5, 60.0, 'the share to be back')
    node.work.device.rest_until_s = 0.0                                     # what was owed to perception is not waited for here
    drive_until(drive, node, lambda: adapter.counts['steps'] > steps)


def test_steps_in_pieces_are_taken_by_the_node_as_on_a_device_that_others_share(graph, model, tmp_path):
    drive = Drive(graph)
    node = learner(graph, model, tmp_path, mode='shadow', busy_share=0.9)
    wait_until(lambda: drive.heard(1), 120.0, 'subscribers')
    node.work.device.take_pieces(node.work.adapter.learner)
    drive_until(drive, node, lambda: node.work.adapter.counts['steps'] > 3)
    assert node.work.adapter.learner.one_by_one and not node.work.adapter.counts['undone']


def test_a_bag_that_begins_again_and_a_gap_begin_the_evidence_anew_and_learning_goes_on(graph, model, tmp_path):
    drive, resets = Drive(graph), []
    node, seen = learner(graph, model, tmp_path, mode='shadow', status_period_s=0.2), statuses(drive)
    adapter = node.work.adapter
    wait_until(lambda: drive.heard(1), 120.0, 'subscribers')
    for begin in (0, 0, 0, 500):                                        # three times the same bag, then half a minute on
        drive.number, steps = begin, adapter.counts['steps']
        drive_until(drive, node, lambda: adapter.counts['steps'] > steps + 1)
        resets.append(adapter.counts['resets'])
        stamp = START_NS + (drive.number - 1) * PERIOD_NS
        wait_until(lambda: seen and stamp_ns(seen[-1].header) == stamp, 120.0, 'the status of the newest image')
        assert seen[-1].state not in (seen[-1].STATE_FAULT, seen[-1].STATE_WAITING)
    assert all(b > a for a, b in zip(resets, resets[1:])) and not node.work._statistics.total('failed')
    assert node.work._statistics.total('time jumps') == 2
    number = adapter.number
    drive.send(drive.number - 1)                                        # the very image again
    wait_until(lambda: adapter.number > number, 120.0, 'it to be looked at')
    assert adapter.gates.rejections['stamps'] >= 1 and adapter.counts['resets'] == resets[-1]


def test_with_simulated_time_the_status_comes_and_learning_goes_on_whatever_the_clock_does(graph, model, tmp_path):
    drive = Drive(graph)
    clock = TYPES.message_class('rosgraph_msgs/msg/Clock')
    publisher = drive.node.create_publisher(clock, '/clock', 10)
    node, seen = learner(graph, model, tmp_path, mode='shadow', status_period_s=0.2, use_sim_time=True), statuses(drive)
    adapter = node.work.adapter
    wait_until(lambda: seen, 120.0, 'a status without any clock')
    wait_until(lambda: drive.heard(1), 120.0, 'subscribers')
    for second in (None, 50, 3, 4):                                     # no clock, one that runs, and one that goes back
        if second is not None:
            publisher.publish(clock(clock=make_header(TYPES, second * 10**9, '').stamp))
            wait_until(lambda: node.get_clock().now().nanoseconds == second * 10**9, 60.0, 'the clock')
        steps, count = adapter.counts['steps'], len(seen)
        drive_until(drive, node, lambda: adapter.counts['steps'] > steps)
        wait_until(lambda: len(seen) > count, 120.0, 'another status')
    assert not node.work._statistics.total('failed') and adapter.counts['resets'] == 0
