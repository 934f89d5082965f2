"""Several cameras on a live graph: what waits goes through the network together; and what is made ready beforehand."""
import threading

import numpy as np
import pytest
import torch

from perception_client import CAMERA, LATCHED, PIXELS, TYPES, Client
from ros_graph import wait_until
from test_perception_node import array, start
from tiny_model import write_models
from semdepth_ros.bridge import make_camera_info
from semdepth_ros.frame import Frame
from semdepth_ros.geometry.camera import Camera

TALL, SMALL = Camera(64, 96, 80.0, 80.0, 31.5, 47.5), CAMERA.scaled(48, 32)
TALL_PIXELS, SMALL_PIXELS = PIXELS.transpose(1, 0, 2).copy(), PIXELS[::2, ::2].copy()


@pytest.fixture(scope='module')
def model(tmp_path_factory):
    return write_models(tmp_path_factory.mktemp('models'), 1)[0]


@pytest.fixture(scope='module')
def node(graph, model):
    node = start(graph, 'three', model=str(model), cameras=['front', 'left', 'right'])
    wait_until(lambda: node.state == 'active', 20.0, 'active')
    return node


@pytest.fixture(scope='module')
def clients(graph, node):
    clients = {name: Client(graph, 'three', f'{name}/') for name in ('front', 'left', 'right')}
    for client in clients.values():
        client.listen('depth/image')
    yield clients
    for client in clients.values():
        client.unlisten()


class Gate:
    """Lets nothing through a Perceptor until it is opened, and remembers of which sizes frames came together.

    :param broken: a size for which there is no room on the device
    """

    def __init__(self, perceptor, monkeypatch, broken):
        self.together, self.opened, self._real = [], threading.Event(), perceptor.perceive_together
        self._broken = broken
        monkeypatch.setattr(perceptor, 'perceive_together', self)

    def __call__(self, requests):
        self.together.append([(r.frame.width, r.frame.height) for r in requests])
        assert self.opened.wait(20.0)
        if self._broken in self.together[-1]:
            raise torch.cuda.OutOfMemoryError('no room')
        return self._real(requests)


@pytest.fixture
def wait(node, clients, monkeypatch):
    """Return a function that sends images while one of the front camera is being worked on, and lets go."""
    def send(*images, broken=None):
        for name, camera, pixels in {image[0]: image for image in images}.values():
            clients[name].answers(clients[name].send(camera, pixels), 'depth/image')
        counts = {name: dict(node.work.cameras[name].statistics.totals()) for name in clients}
        gate = Gate(node.work.perceptor, monkeypatch, broken)
        clients['front'].send()
        wait_until(lambda: gate.together, what='the first image to be taken')
        headers = []
        for name, camera, pixels in images:
            received = node.work.cameras[name].statistics.total('received')
            headers.append((name, clients[name].send(camera, pixels)))
            wait_until(lambda: node.work.cameras[name].statistics.total('received') > received, what=f'{name} to come')
        wait_until(lambda: len(node.work._worker._waiting) == len({name for name, _ in headers}))
        gate.opened.set()
        newest = dict(headers)
        statistics = {name: node.work.cameras[name].statistics for name in clients}
        wait_until(lambda: all(s.total('received') == sum(s.total(end) for end in ('perceived', 'dropped', 'failed'))
                               for s in statistics.values()), what='all to be worked on')
        counted = {name: {key: s.total(key) - counts[name].get(key, 0) for key in ('perceived', 'dropped', 'failed')}
                   for name, s in statistics.items()}
        return gate.together, newest, counted
    return send


def depth_of(client, header):
    return array(client.answers(header, 'depth/image')[0], np.float32)


def test_two_cameras_of_one_size_go_as_one_batch_and_the_newest_of_each_counts(node, clients, wait):
    other = PIXELS[::-1].copy()
    together, newest, counted = wait(('left', CAMERA, other), ('front', CAMERA, PIXELS), ('left', CAMERA, other))
    assert together == [[(96, 64)], [(96, 64), (96, 64)]]
    assert counted['left'] == {'perceived': 1, 'dropped': 1, 'failed': 0}
    assert counted['front'] == {'perceived': 2, 'dropped': 0, 'failed': 0}
    for name, pixels in (('left', other), ('front', PIXELS)):
        alone = node.work.perceptor.perceive(Frame(pixels, 'rgb', CAMERA)).depth
        np.testing.assert_allclose(depth_of(clients[name], newest[name]), alone, rtol=1e-3)
    stages = node.work.cameras['left'].statistics.percentiles()
    assert {'waiting', 'reading', 'perceiving', 'sending', 'node'} <= set(stages)


def test_three_cameras_of_two_sizes_go_as_two_batches_in_the_order_of_waiting(node, clients, wait):
    together, newest, counted = wait(('left', TALL, TALL_PIXELS), ('front', CAMERA, PIXELS), ('right', CAMERA, PIXELS))
    assert together == [[(96, 64)], [(64, 96)], [(96, 64), (96, 64)]]
    assert [counted[name]['perceived'] for name in ('front', 'left', 'right')] == [2, 1, 1]
    assert [depth_of(clients[name], newest[name]).shape for name in ('front', 'left', 'right')] == [
        (64, 96), (96, 64), (64, 96)]
    assert [m.header for m in clients['right'].heard['depth/image']][-1] == newest['right']


def test_a_camera_whose_frames_fail_spoils_none_of_those_they_came_with(clients, wait):
    together, newest, counted = wait(('right', CAMERA, PIXELS), ('left', SMALL, SMALL_PIXELS), broken=(48, 32))
    assert together == [[(96, 64)], [(96, 64), (48, 32)], [(96, 64)], [(48, 32)]]
    assert counted['left'] == {'perceived': 0, 'dropped': 0, 'failed': 1}
    assert counted['right'] == {'perceived': 1, 'dropped': 0, 'failed': 0}
    assert depth_of(clients['right'], newest['right']).shape == (64, 96)
    clients['left'].warned('/left/image: a frame failed with', 'no room')


def test_announced_images_are_made_ready_for_before_the_node_is_active_and_others_are_told(graph, model):
    announcing = Client(graph, 'announced', 'rear/')
    infos = announcing.node.create_publisher(TYPES.message_class('sensor_msgs/msg/CameraInfo'), 'side/camera_info',
                                             LATCHED)
    infos.publish(make_camera_info(TYPES, announcing.header(), CAMERA.scaled(120, 80)))
    node = start(graph, 'announced', model=str(model), cameras=['rear', 'side'], image_sizes=['96x64'])
    wait_until(lambda: node.state == 'active', 20.0, 'active')
    announcing.listen('depth/image')
    announcing.answers(announcing.send(), 'depth/image')
    announcing.answers(announcing.send(SMALL, SMALL_PIXELS), 'depth/image')
    announcing.warned('not foreseen: 48x32 rgb')
    announcing.warned('active: perceives /rear/image, /side/image')
    lines = [line for line in announcing.log if line.startswith(('ready for', 'active:', 'not foreseen'))]
    lines = lines[next(i for i, line in enumerate(lines) if line.startswith('ready')):]  # what older nodes said comes first
    # a log may come by way of another node of this process too: once is enough
    assert list(dict.fromkeys(line.split()[0] for line in lines)) == ['ready', 'active:', 'not']
    assert lines[0].startswith('ready for images of 96x64, 120x80 in ')
    assert node.work.cameras['side'].input.announced.width == 120
    announcing.unlisten()
