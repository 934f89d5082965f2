"""The bench's traffic through a perception node that runs as a process."""
import rclpy
from rclpy.signals import SignalHandlerOptions

from semdepth_ros.live.bench import Traffic, measure_graph
from tiny_model import write_models


def test_the_node_is_timed_on_the_graph(tmp_path):
    model = str(write_models(tmp_path, 1)[0])
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    try:
        traffic = Traffic('small', 192, 96, ('depth/image', 'depth/camera_info', 'semantic/image', 'points'), stride=2)
        result = measure_graph(traffic, model, 'cpu', 10, lambda done, total: None)
    finally:
        rclpy.shutdown()
    assert result['sent'] == 10 and result['received'] > 5
    assert 0 < result['graph']['p50'] < 5000
    assert {'waiting', 'reading', 'perceiving', 'sending', 'node'} <= set(result['node'])
    assert 0 < result['node']['node']['p50'] <= result['node']['node']['p99']
    assert result['node_counts']['received'] == 10 and result['node_counts']['gaps'] == 0
    assert result['memory_mb'][0] > 50
