"""Weights that are announced to a channel without a graph: what it serves, says and refuses."""
import hashlib
from types import SimpleNamespace as Fields

import pytest
import torch

from perception_client import CAMERA, PIXELS, TYPES
from ros_graph import wait_until
from tiny_model import write_models
from semdepth_ros.bridge import make_header
from semdepth_ros.frame import Frame
from semdepth_ros.frame_perception import Scale
from semdepth_ros.nodes.throttled_log import ThrottledLog
from semdepth_ros.nodes.weights_channel import WeightsChannel
from semdepth_ros.perception import Perceptor

FRAME = Frame(PIXELS, 'rgb', CAMERA)


class Recorder:
    """A node, a publisher and a logger that remember what they are given."""

    def __init__(self):
        self.infos, self.lines, self.listener, self.by_topic = [], [], None, {}

    def create_publisher(self, kind, topic, qos):
        def publish(info):
            self.infos.append(info)
            self.by_topic.setdefault(topic, []).append(info)
        return Fields(publish=publish)

    def create_subscription(self, kind, topic, callback, qos):
        self.listener = callback

    def destroy_publisher(self, publisher):
        pass

    def destroy_subscription(self, subscription):
        self.listener = None

    def get_logger(self):
        return Fields(warning=self.lines.append, info=self.lines.append)

    def told(self, *words):
        """Wait for a line that has all these words."""
        wait_until(lambda: any(all(w in line for w in words) for line in tuple(self.lines)), 30.0,
                   what=f'{words} in {self.lines}')


@pytest.fixture
def models(tmp_path):
    return write_models(tmp_path)                           # a test of its own each: rolling back puts a file aside


@pytest.fixture
def perceptor(models):
    return Perceptor.from_file(models[0], device='cpu', precision='float32')


@pytest.fixture
def node():
    return Recorder()


@pytest.fixture
def channel(models, perceptor, node):
    log = ThrottledLog(node.get_logger(), period_s=0.0)
    channel = WeightsChannel(node, TYPES, perceptor, models[0], models[0].parent, set(), log)
    channel.open()
    yield channel
    channel.end()


def update(perceptor, file, version, action=1):
    return Fields(action=action, factory_hash=perceptor.card.factory, version=version, file=file.name, reason='test',
                  sha256=hashlib.sha256(file.read_bytes()).hexdigest())


def announced(channel, node, perception, scale=Scale(), source='none'):
    """Announce a frame and return what has been said of it."""
    before = len(node.infos)
    channel.announce('', make_header(TYPES, 5, 'camera'), perception.model_version, scale, source, (96, 64))
    return [(info.version, info.file) for info in node.infos[before:]]


def test_a_frame_is_said_to_be_of_the_version_that_answered_it_whatever_is_served_since(
        channel, node, perceptor, models):
    node.listener(update(perceptor, models[1], 1))
    node.told('serving version 1')
    perception = perceptor.perceive(FRAME)
    node.listener(update(perceptor, models[2], 2))
    node.told('serving version 2')
    assert announced(channel, node, perception) == [(1, 'v1.safetensors')]
    assert announced(channel, node, perceptor.perceive(FRAME)) == [(2, 'v2.safetensors')]


def test_what_is_served_may_be_announced_again(channel, node, perceptor, models):
    node.listener(update(perceptor, models[1], 1))
    node.told('serving version 1')
    for action in (1, 2):
        node.listener(update(perceptor, models[1], 1, action))
    node.listener(update(perceptor, models[2], 1, action=2))
    node.told('refused', 'another file of version 1')
    assert len(node.lines) == 2 and perceptor.version == 1


def test_a_scale_that_changes_is_news_an_estimated_one_from_one_percent(channel, node, perceptor):
    perception = perceptor.perceive(FRAME)

    def said(source, *scales):
        return [bool(announced(channel, node, perception, Scale(*s, True), source)) for s in scales]
    assert said('fixed', (2.0, 0.0), (2.0, 0.0), (2.001, 0.0), (2.001, 0.0)) == [True, False, True, False]
    assert said('camera_height', (2.0, 0.1), (2.015, 0.1), (2.03, 0.1), (2.03, 0.12), (2.03, 0.06)) == [
        True, False, True, False, True]
    assert node.infos[-1].scale == pytest.approx(2.03) and node.infos[-1].scale_sigma == pytest.approx(0.06 / 2.03)


def test_a_refused_file_leaves_what_is_known_of_the_version_it_claims_to_be(channel, node, perceptor, models):
    node.listener(update(perceptor, models[1], 1))
    node.told('serving version 1')
    node.listener(update(perceptor, models[2], 2))
    node.told('serving version 2')
    node.listener(update(perceptor, models[0], 1, action=2))
    node.told('refused', 'model card has version 0, expected 1')
    assert channel.rollback().result(30.0) == 'serving version 1 again instead of 2'
    assert announced(channel, node, perceptor.perceive(FRAME)) == [(1, 'v1.safetensors')]
    assert not models[2].exists() and models[2].with_name('v2.safetensors.withdrawn').exists() and models[1].exists()


def fail(error):
    def failing(*arguments):
        raise error
    return failing


def test_whatever_goes_wrong_with_one_file_is_told_and_the_next_one_is_heard(
        channel, node, perceptor, models, monkeypatch):
    with monkeypatch.context() as patched:
        patched.setattr(perceptor.engine, 'twin', fail(torch.cuda.OutOfMemoryError('no room\nfor it')), raising=False)
        node.listener(update(perceptor, models[1], 1))
        node.told("weights version 1 ('v1.safetensors') refused: OutOfMemoryError: no room for it")
    with monkeypatch.context() as patched:
        patched.setattr(perceptor.engine, 'take', fail(RuntimeError('device lost')), raising=False)
        node.listener(update(perceptor, models[1], 1))
        node.told('RuntimeError: device lost')
    node.listener(update(perceptor, models[2], 2))
    node.told('serving version 2 of tiny instead of 0')


def test_every_camera_has_a_model_info_of_its_own(models, perceptor, node):
    log = ThrottledLog(node.get_logger(), period_s=0.0)
    channel = WeightsChannel(node, TYPES, perceptor, models[0], models[0].parent, set(), log, ['front', 'left'])
    try:
        channel.announce('left', make_header(TYPES, 5, 'lens'), 0, Scale(2.0, 0.0, True), 'fixed', (64, 32))
    finally:
        channel.end()
    assert {topic: [info.scale for info in infos] for topic, infos in node.by_topic.items()} == {
        'front/model_info': [1.0], 'left/model_info': [1.0, 2.0]}
