"""What diagnostics say of a camera: images that did not come, silence, publishers that cannot be heard."""
import time

import pytest
from rclpy.node import Node
from rclpy.parameter import Parameter as RosParameter

from node_parts import TYPES, Listener, black, publisher
from ros_graph import wait_until
from semdepth_ros.bridge.diagnostics import OK, WARN, Statistics
from semdepth_ros.nodes.camera_input import CameraInput
from semdepth_ros.nodes.camera_channel import CameraChannel
from semdepth_ros.nodes.perception_diagnostics import PerceptionDiagnostics
from semdepth_ros.nodes.throttled_log import ThrottledLog


def diagnosed(diagnostics, camera_input, statistics):
    """Return level and message of the status of a camera with this input."""
    channel = CameraChannel('', camera_input, None, None, statistics)
    status = diagnostics.camera_status(channel, time.monotonic())
    return ord(status.level), status.message


def test_gaps_are_told_of_once_and_anew_for_every_configuration(graph):
    node = graph.node('told', namespace='told')
    diagnostics = PerceptionDiagnostics(node, TYPES, ThrottledLog(Listener()))
    for lost in (20, 5):
        statistics = Statistics()
        camera_input = CameraInput(node, TYPES, '', False, 'auto', statistics, ThrottledLog(Listener()), print)
        statistics.count('lost', times=lost)
        assert diagnosed(diagnostics, camera_input, statistics) == (WARN, f'{lost} images did not come')
        assert diagnosed(diagnostics, camera_input, statistics)[0] == OK


def test_a_camera_that_sends_nothing_is_warned_of_with_its_topic_and_publishers(graph):
    node, statistics = graph.node('silent', namespace='silent'), Statistics()
    diagnostics = PerceptionDiagnostics(node, TYPES, ThrottledLog(Listener()))
    camera_input = CameraInput(node, TYPES, '', False, 'auto', statistics, ThrottledLog(Listener()), print)
    assert diagnosed(diagnostics, camera_input, statistics)[0] == OK
    images = publisher(node, 'image', True)
    graph.call(camera_input.open)
    wait_until(lambda: diagnosed(diagnostics, camera_input, statistics)[0] == WARN, what='a warning')
    message = diagnosed(diagnostics, camera_input, statistics)[1]
    assert message.startswith('no image on /silent/image for ') and message.endswith('(publishers: 1)')
    images.publish(black())
    wait_until(lambda: diagnosed(diagnostics, camera_input, statistics)[0] == OK, what='no warning')
    now = statistics.last_s('received')
    for second in (1, 2):
        statistics.count('received', now + second)
    assert camera_input.silence_s(now + 6.9) == 0 and camera_input.silence_s(now + 7.1) == pytest.approx(5.1)
    graph.call(camera_input.close)
    assert diagnosed(diagnostics, camera_input, statistics)[0] == OK


def test_a_publisher_that_cannot_be_heard_is_told_of_while_it_is_there(graph):
    node = Node('choosy', namespace='choosy', context=graph.context, parameter_overrides=[
        RosParameter('qos_overrides./choosy/image.subscription.reliability', value='reliable')])
    graph.add(node)
    sender, statistics, listener = graph.node('sender', namespace='choosy'), Statistics(), Listener()
    diagnostics = PerceptionDiagnostics(node, TYPES, ThrottledLog(listener))
    camera_input = CameraInput(node, TYPES, '', False, 'auto', statistics, ThrottledLog(listener), print)
    images = publisher(sender, 'image', False)
    graph.call(camera_input.open)
    words = 'a publisher of /choosy/image offers another reliability than qos_overrides ask for'
    wait_until(lambda: diagnosed(diagnostics, camera_input, statistics) == (WARN, words), what=words)
    wait_until(lambda: any(words in text for _, text in listener.lines), what='a line in the log')
    graph.call(lambda: sender.destroy_publisher(images))
    wait_until(lambda: diagnosed(diagnostics, camera_input, statistics)[1] != words, what='no warning')
    graph.call(camera_input.close)
