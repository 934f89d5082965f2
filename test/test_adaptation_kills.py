"""Nodes killed at every stage of a change of weights: perception goes on, and whoever comes back takes the newest."""
import hashlib
import time
from pathlib import Path

import pytest
from adaptation_world import CAMERA, PERIOD_NS, view
from doomed_node import STAGES
from node_parts import TYPES
from rclpy.qos import DurabilityPolicy, QoSProfile
from ros_graph import Graph, wait_until
from test_adaptation_node import START_NS, Drive, drive_until, learner, start, statuses
from tiny_model import write_models

from semdepth_ros.adaptation import Versions, read_journal
from semdepth_ros.bridge.messages import stamp_ns
from semdepth_ros.bridge.perceived import perception_of
from semdepth_ros.frame import Frame
from semdepth_ros.nodes.perception import PerceptionNode
from semdepth_ros.perception import Perceptor
from semdepth_ros.recordings.served_versions import Told, answered_by, nearest_version

LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
WRITTEN = {'renamed': 1, 'before announcing': 2, 'announced': 3}     # the newest whole file after a kill at this stage
KILLED = 9


@pytest.fixture
def graph():
    graph = Graph()
    yield graph
    graph.close()


@pytest.fixture(scope='module')
def models(tmp_path_factory):
    return write_models(tmp_path_factory.mktemp('models'), 3)


class Watched(Drive):
    """A drive whose answers are kept: depth by stamp, model_info in order."""

    def __init__(self, graph):
        super().__init__(graph)
        self.depth, self.infos = {}, []
        self.node.create_subscription(TYPES.message_class('sensor_msgs/msg/Image'), 'depth/image',
                                      lambda m: self.depth.setdefault(stamp_ns(m.header), m), 20)
        self.node.create_subscription(TYPES.message_class('semdepth_ros/msg/ModelInfo'), 'perception/model_info',
                                      self.infos.append, LATCHED)

    def stamp(self, number):
        return START_NS + number * PERIOD_NS


def doomed(processes, kind, model, folder, stages):
    return processes.python(Path(__file__).with_name('doomed_node.py'), kind, model, folder, *stages)


def endings(child, stage):
    """Return the line that says how a stage's child ended, in a list; an empty one while it has not."""
    return [line for line in child.output.splitlines() if line.startswith(f'{stage}: ')]


def test_a_learner_killed_at_any_stage_of_a_promotion_is_followed_by_one_that_goes_on(graph, models, tmp_path, processes):
    stages, folder = STAGES['learner'], tmp_path / 'weights'    # those within a file: test_adaptation_versions.py
    drive = Watched(graph)
    perception = start(graph, PerceptionNode, model=str(models[0]), device='cpu', weights_dir=str(folder))
    child, seen, newest = doomed(processes, 'learner', models[0], folder, stages), statuses(drive), 0
    versions = Versions(folder, perception.work.perceptor.card)
    for stage in stages:
        end = time.monotonic() + 90.0
        while not (ended := endings(child, stage)):
            assert time.monotonic() < end and child.process.poll() is None, (stage, child.output)
            number, before = drive.number, time.monotonic()
            drive.send()
            wait_until(lambda: drive.stamp(number) in drive.depth, 30.0, 'perception to go on')
            while time.monotonic() < before + 0.5 and not (
                    seen and stamp_ns(seen[-1].header) == drive.stamp(number)):
                time.sleep(0.005)
        assert ended == [f'{stage}: {KILLED}']
        newest = WRITTEN.get(stage, newest)
        found = versions.newest(CAMERA)
        assert (0 if found is None else found.number) == newest, stage
        assert perception.work.perceptor.version <= newest
    assert child.wait(30) == 0

    last = learner(graph, models[0], folder)          # takes up where the newest whole file is, and perception follows
    drive_until(drive, last, lambda: last.work.adapter.served.number >= 3 and perception.work.perceptor.version >= 3)
    assert {'resumed', 'promotion'} <= {line['event'] for line in read_journal(folder / 'journal.jsonl')}
    assert not [p.name for p in folder.glob('.v*') if last.work.adapter.counts['promotions']]


def test_perception_killed_while_it_changes_weights_starts_whole_and_takes_the_newest(graph, models, tmp_path, processes):
    stages = [*STAGES['perception'], 'none']
    drive, (update, kind) = Watched(graph), (models[2], TYPES.message_class('semdepth_ros/msg/WeightsUpdate'))
    factory = Perceptor.from_file(models[0], device='cpu')
    graph.node('stand_in').create_publisher(kind, 'weights', LATCHED).publish(kind(
        action=1, factory_hash=factory.card.factory, version=2, file=update.name, reason='test',
        sha256=hashlib.sha256(update.read_bytes()).hexdigest()))
    child = doomed(processes, 'perception', models[0], models[0].parent, stages)
    for stage in stages:
        end, drive.infos[:] = time.monotonic() + 60.0, []
        while not endings(child, stage) and not any(i.version == 2 and stamp_ns(i.header) for i in drive.infos):
            assert time.monotonic() < end and child.process.poll() is None, (stage, child.output)
            if drive.image.get_subscription_count():
                drive.send()
            time.sleep(0.05)
        if stage != 'none':                # it began whole, whatever the one before was killed at, and served nothing else
            assert endings(child, stage) == [f'{stage}: {KILLED}'] and {i.version for i in drive.infos} <= {0}
    number = drive.number
    drive.send()
    wait_until(lambda: drive.stamp(number) in drive.depth, 20.0, 'a frame by the newest weights')
    told = [Told(stamp_ns(i.header), i.version, i.file, i.sha256) for i in drive.infos]
    since = [s for s in drive.depth if s >= min(t.stamp_ns for t in told if t.stamp_ns)]
    versions = answered_by(since, told)
    assert set(versions.values()) >= {2}
    known = {0: factory, 2: Perceptor.from_file(models[2], device='cpu')}
    for stamp, version in versions.items():
        image = view((stamp - START_NS) // PERIOD_NS * 0.45 % 40.0)[0]
        seen = perception_of({'depth': drive.depth[stamp]})
        assert nearest_version(Frame(image, 'rgb', CAMERA, stamp), seen, known)[0] == version
