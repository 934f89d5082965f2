"""A parameter table on a node: its declaration, its limits, and what may change when."""
import time

import pytest
from rclpy.node import Node
from rclpy.parameter import Parameter as RosParameter

from semdepth_ros.bridge.perception_parameters import PERCEPTION
from semdepth_ros.nodes.declared_parameters import DeclaredParameters


def parameters(graph, configured=False, **overrides):
    node = Node(f'parameters_{time.monotonic_ns()}', context=graph.context,
                parameter_overrides=[RosParameter(k, value=v) for k, v in overrides.items()])
    graph.nodes.append(node)
    return node, DeclaredParameters(node, PERCEPTION, lambda: configured)


def test_every_parameter_is_declared_with_its_default_description_and_range(graph):
    node, values = parameters(graph)
    for p in PERCEPTION:
        descriptor = node.describe_parameter(p.name)
        assert values[p.name] == p.default and descriptor.description == p.description
    stride, alpha = (node.describe_parameter(name) for name in ('stride', 'overlay_alpha'))
    assert (stride.integer_range[0].from_value, stride.integer_range[0].to_value) == (1, 16)
    assert alpha.floating_point_range[0].to_value == 1.0
    assert node.describe_parameter('autostart').read_only


def test_a_wrong_value_given_at_start_is_refused_in_one_line(graph):
    for name, value in (('stride', 0), ('depth_encoding', '8UC1'), ('model', 3), ('max_range_m', 'far')):
        with pytest.raises(ValueError, match=name):
            parameters(graph, **{name: value})


def test_a_change_is_checked_before_it_is_made_and_whole_numbers_will_do(graph):
    node, values = parameters(graph, max_range_m=60)
    assert values['max_range_m'] == 60.0
    assert not node.set_parameters([RosParameter('depth_encoding', value='8UC1')])[0].successful
    assert values['depth_encoding'] == '32FC1'
    assert node.set_parameters([RosParameter('cloud_max_range_m', value=30)])[0].successful
    assert values['cloud_max_range_m'] == 30.0


def test_what_is_read_when_configuring_cannot_change_after_it(graph):
    node, values = parameters(graph, configured=True)
    result = node.set_parameters([RosParameter('model', value='other')])[0]
    assert not result.successful and 'clean it up' in result.reason
    assert node.set_parameters([RosParameter('model', value='default')])[0].successful
    assert node.set_parameters([RosParameter('stride', value=2)])[0].successful and values['stride'] == 2
