"""The perception node as a process of its own: how it starts, how it ends, and that it needs no /clock."""
import signal
import time

import pytest

from perception_client import Client
from ros_graph import Graph, wait_until
from tiny_model import write_models

NODE = ('-m', 'semdepth_ros.nodes.perception', '--ros-args')


def test_it_perceives_without_a_clock_and_survives_a_second_interrupt_while_it_shuts_down(processes, tmp_path):
    model = write_models(tmp_path, 1)[0]
    node = processes.python(*NODE, '-p', f'model:={model}', '-p', 'device:=cpu', '-p', 'use_sim_time:=true')
    graph = Graph()
    client = Client(graph, 'perception')
    node.wait_for('active', 60.0)
    client.listen('depth/image')
    client.answers(client.send(), 'depth/image')
    node.process.send_signal(signal.SIGINT)
    time.sleep(0.05)
    node.process.send_signal(signal.SIGINT)
    assert node.wait(20.0) == 0
    assert 'Traceback' not in node.output and 'terminate' not in node.output
    client.unlisten()
    graph.close()


@pytest.mark.parametrize('argument, words', [('stride:=0', 'stride'), ('depth_encoding:=8UC1', '8UC1')])
def test_a_wrong_parameter_ends_it_with_one_line(processes, argument, words):
    node = processes.python(*NODE, '-p', argument)
    assert node.wait(60.0) == 2
    line = node.output.strip().splitlines()[-1]
    assert line.startswith('perception: ') and words in line and 'Traceback' not in node.output


def test_a_missing_model_is_told_in_one_line_and_in_diagnostics(processes):
    node = processes.python(*NODE, '-p', 'model:=/no/such/model')
    line = node.wait_for('cannot be configured', 60.0)
    assert '/no/such/model' in line
    graph = Graph()
    client = Client(graph, 'perception')
    client.listen('/diagnostics', name='diagnostic_msgs/msg/DiagnosticArray')
    status = wait_until(lambda: client.heard['/diagnostics'], what='diagnostics')[0].status[0]
    assert status.level == b'\x02' and '/no/such/model' in status.message
    node.interrupt()
    assert node.wait(20.0) == 0
    graph.close()


def test_ctrl_c_while_it_is_loaded_ends_it_without_a_word(processes):
    node = processes.python('-X', 'importtime', '-m', 'semdepth_ros.nodes.start', 'perception')
    node.wait_for('| rclpy', 30.0)  # torch comes later
    node.process.send_signal(signal.SIGINT)
    assert node.wait(30.0) == 130
    assert [line for line in node.output.splitlines() if line and not line.startswith('import time:')] == []
