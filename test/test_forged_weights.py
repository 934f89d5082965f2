"""Announcements that are forged, on a live graph: each is refused with its reason, and what is served stays served."""
import hashlib
from dataclasses import replace

import numpy as np
import pytest
import safetensors.torch
import torch
from perception_client import LATCHED, TYPES, Client
from rclpy.parameter import Parameter
from ros_graph import wait_until
from tiny_model import write_models

from semdepth_ros.model_file import _digest, read_model, save_model
from semdepth_ros.nodes.perception import PerceptionNode

UPDATE, HUGE = 'semdepth_ros/msg/WeightsUpdate', 1 << 40


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """Return a folder with a factory, an honest version 1 and files that only look like one."""
    folder = tmp_path_factory.mktemp('forged')
    honest = write_models(folder, 2)[1]
    tensors, card = read_model(honest)
    architecture = card.architecture | {'shared_decoder': 2}
    save_model(folder / 'other_architecture', tensors, replace(card, architecture=architecture))
    save_model(folder / 'other_input', tensors, replace(card, input=replace(card.input, pixels=640 * 192)))
    save_model(folder / 'other_probes', tensors | {'probe.0.disparity': 2 * tensors['probe.0.disparity']}, card)
    save_model(folder / 'missing_tensor', {k: v for k, v in tensors.items() if 'heads.0.weight' not in k}, card)
    name = next(name for name, t in tensors.items() if t.is_floating_point() and t.dim() == 4)
    for file, value in (('nan', float('nan')), ('infinite', float('inf'))):
        bad = tensors | {name: torch.full_like(tensors[name], value)}           # with hashes that are right
        safetensors.torch.save_file(bad, folder / file, {'card': card.to_json(), 'sha256': _digest(bad, card.to_json())})
    (folder / 'cut_short').write_bytes(honest.read_bytes()[:-100])
    (folder / 'pickle').write_bytes(b'\x80\x04cos\nsystem\n')
    with open(folder / 'huge', 'wb') as file:
        file.truncate(HUGE)                                                     # a hole: it takes no room
    (folder / 'below').mkdir()
    (folder / 'below' / 'v1').write_bytes(honest.read_bytes())
    (folder / 'link').symlink_to('/etc/hostname')
    return folder


@pytest.fixture(scope='module')
def client(graph, folder):
    values = {'model': str(folder / 'v0.safetensors'), 'weights_dir': str(folder), 'device': 'cpu', 'precision': 'float32'}
    node = graph.add(PerceptionNode(context=graph.context, parameter_overrides=[
        Parameter(name, value=value) for name, value in values.items()]))
    wait_until(lambda: node.state == 'active', 30.0, 'active')
    client = Client(graph, 'perception')
    client.perception, client.honest = node, read_model(folder / 'v1.safetensors')[1]
    client.updates = client.node.create_publisher(TYPES.message_class(UPDATE), 'weights', LATCHED)
    client.listen('depth/image')
    wait_until(client.updates.get_subscription_count, 20.0, 'perception to listen')
    return client


def announce(client, folder, file, **changes):
    path = folder / file
    whole = path.is_file() and path.stat().st_size < HUGE
    update = TYPES.make(UPDATE, action=1, factory_hash=client.honest.factory, version=1, parent=0, file=file, reason='forged',
                        sha256=hashlib.sha256(path.read_bytes()).hexdigest() if whole else '0' * 64)
    for field, value in changes.items():
        setattr(update, field, value)
    client.updates.publish(update)


@pytest.mark.parametrize('file, changes, words', [
    ('v1.safetensors', {'sha256': 'f' * 64}, ['has sha256', 'expected ffffffffffff']),
    ('v1.safetensors', {'factory_hash': 'e' * 64}, ['descend from factory', 'eeeeeeeeeeee']),
    ('v1.safetensors', {'version': 7}, ['model card has version 1, expected 7']),
    ('v1.safetensors', {'action': 9}, ['action is 9']), ('v1.safetensors', {'version': 0}, ['not newer than version 0']),
    ('below/v1', {}, ['without folders']), ('../v1.safetensors', {}, ['without folders']),
    ('/etc/hostname', {}, ['without folders']), ('below', {}, ['it is no file']), ('link', {}, ['leads out']),
    ('other_architecture', {}, ['architecture is', 'expected that of the weights being served']),
    ('other_input', {}, ['input is']), ('other_probes', {}, ['probe frame 0 differs']),
    ('missing_tensor', {}, ['heads.0.weight']), ('nan', {}, ['not finite']), ('infinite', {}, ['not finite']),
    ('cut_short', {}, ['truncated']), ('pickle', {}, ['not a safetensors file']),
    ('huge', {}, [f'has {HUGE} bytes, expected at most'])])
def test_a_forged_announcement_is_refused_with_its_reason(client, folder, file, changes, words):
    announce(client, folder, file, **changes)
    client.warned('weights version', 'refused', *words)
    assert client.perception.work.perceptor.version == 0
    client.answers(client.send(), 'depth/image')


def test_the_honest_one_is_served_after_all_of_them(client, folder):
    before = client.perception.work.perceptor.version
    client.answers(client.send(), 'depth/image')
    first = np.frombuffer(client.heard['depth/image'][-1].data, np.float32)
    announce(client, folder, 'v1.safetensors')
    wait_until(lambda: client.perception.work.perceptor.version == 1, 20.0, 'version 1')
    client.answers(client.send(), 'depth/image')
    assert before == 0 and not np.array_equal(first, np.frombuffer(client.heard['depth/image'][-1].data, np.float32))
