"""The perception node serves a model of every method: one file, no segmenter beside it, what the perceptor says."""
import numpy as np
import pytest
from rclpy.parameter import Parameter
import torch
from torch import nn

from perception_client import CAMERA, PIXELS, Client
from ros_graph import wait_until
from semdepth_ros.frame import Frame
from semdepth_ros.model_file import InputRule, ModelCard
from semdepth_ros.networks import build_network, save_network
from semdepth_ros.nodes.perception import PerceptionNode
from semdepth_ros.perception import Perceptor

SEGMENTER = {'kind': 'model', 'architecture': {'encoder': 'small'}}
METHODS = {
    'modulation': {'guidance': {'kind': 'modulation'}},
    'attention and edge points': {'guidance': [{'kind': 'attention'}, {'kind': 'edge_points'}]},
    'pixel-adaptive guidance': {'guidance': {'kind': 'pixel_adaptive', 'segmenter': SEGMENTER}},
    'concatenation': {'guidance': {'kind': 'concatenation', 'segmenter': SEGMENTER}},
    'shared decoder and modulation': {'shared_decoder': 3, 'guidance': {'kind': 'modulation'}},
    'packnet_slim': {'encoder': 'packnet_slim'},
}


@pytest.mark.parametrize('method', METHODS)
def test_the_node_serves_it(graph, tmp_path, method):
    torch.manual_seed(3)
    network = build_network({'encoder': 'small'} | METHODS[method])
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.7, 1.4)
    probes = [np.random.default_rng(i).integers(0, 256, (64, 96, 3), dtype=np.uint8) for i in range(2)]
    model = tmp_path / 'method.safetensors'
    save_network(model, network, ModelCard(network.architecture, name='method', focal_px=100.0,
                                           input=InputRule(pixels=96 * 64)), probes)
    expected = Perceptor.from_file(model, device='cpu', precision='float32').perceive(Frame(PIXELS, 'rgb', CAMERA))
    node = graph.add(PerceptionNode('perception', context=graph.context, parameter_overrides=[
        Parameter(key, value=value) for key, value in {'device': 'cpu', 'precision': 'float32', 'model': str(model)}.items()]))
    wait_until(lambda: node.state == 'active', 30.0, f'active: {node.failure}')
    client = Client(graph, 'perception')
    client.listen('depth/image', 'semantic/image')
    header = wait_until(lambda: (sent := client.send()) and client.answers(sent, 'depth/image', 'semantic/image') and sent)
    depth, labels = client.answers(header, 'depth/image', 'semantic/image')
    np.testing.assert_allclose(np.frombuffer(depth.data, np.float32).reshape(64, 96), expected.depth, rtol=1e-4)
    assert np.array_equal(np.frombuffer(labels.data, np.uint8).reshape(64, 96), expected.labels)
    assert len(np.unique(expected.labels)) > 1 and np.ptp(expected.depth[np.isfinite(expected.depth)]) > 0
    client.unlisten()
    graph.remove(node)
