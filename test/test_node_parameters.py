"""A parameter table on a node: its declaration, its limits, what may change when, and what the log says of it."""
import time

import pytest
from rcl_interfaces.msg import Log
from rclpy.node import Node
from rclpy.parameter import Parameter as RosParameter
from rclpy.qos import DurabilityPolicy, QoSProfile

from ros_graph import wait_until
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
        assert values[p.name] == p.default and descriptor.description == p.explanation
    stride, alpha = (node.describe_parameter(name) for name in ('stride', 'overlay_alpha'))
    assert (stride.integer_range[0].from_value, stride.integer_range[0].to_value) == (1, 16)
    assert alpha.floating_point_range[0].to_value == 1.0
    assert node.describe_parameter('autostart').read_only
    for name, when in (('stride', 'applies at once.'), ('model', 'needs cleanup before it.'), ('autostart', 'cannot change.')):
        assert node.describe_parameter(name).description.endswith(when)


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


@pytest.fixture
def log(graph):
    """Return the lines of the log as (node, text), as they come."""
    lines = []
    listener = graph.node(f'listener_{time.monotonic_ns()}')
    listener.create_subscription(Log, '/rosout', lambda m: lines.append((m.name, m.msg)),
                                 QoSProfile(depth=1000, durability=DurabilityPolicy.TRANSIENT_LOCAL))
    return lines


def said_by(node, log):
    """Return what a node has said of parameters so far."""
    return [text for name, text in tuple(log) if name == node.get_name() and text.startswith('parameter ')]


def test_a_misspelt_parameter_is_named_with_what_is_likely_meant(graph, log):
    override = 'qos_overrides./depth/image.publisher.depth'  # declared with its topic, later
    node, values = parameters(graph, strid=4, colour='red', **{override: 2})
    wait_until(lambda: len(said_by(node, log)) == 2, what=f'two warnings, not {log}')
    assert set(said_by(node, log)) == {'parameter strid is unknown here and has no effect; is stride meant?',
                                       'parameter colour is unknown here and has no effect'}
    assert values['stride'] == 1


def test_a_change_leaves_one_line_with_both_values_and_what_does_not_change_leaves_none(graph, log):
    node, _ = parameters(graph)
    for name, value in (('stride', 1), ('stride', 99), ('stride', 3), ('stride', 3), ('max_range_m', 60)):
        node.set_parameters([RosParameter(name, value=value)])
    wait_until(lambda: any('max_range_m' in line for line in said_by(node, log)), what='the line on max_range_m')
    assert said_by(node, log) == ['parameter stride is 3 from now on, no longer 1',
                                  'parameter max_range_m is 60.0 from now on, no longer 80.0']
