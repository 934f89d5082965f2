"""What a node says of the middleware's shared memory."""
from node_parts import Listener
from semdepth_ros.bridge.middleware import PROFILE_VARIABLES
from semdepth_ros.nodes.shared_memory_check import check_segment
from semdepth_ros.share import shared_file


def test_a_large_cloud_is_warned_of_with_the_profile_in_use(monkeypatch):
    for variable in PROFILE_VARIABLES:
        monkeypatch.setenv(variable, str(shared_file('config', 'fastdds_large_messages.xml')))
    listener, pixels = Listener(), 2048 * 1024
    for outputs in ({'depth/image': 4 * pixels}, {'depth/image': 4 * pixels, 'points': 20 * pixels // 4}):
        check_segment(listener, outputs)
    assert listener.lines == []
    check_segment(listener, {'depth/image': 4 * pixels, 'points': 20 * pixels})
    (level, text), = listener.lines
    assert level == 'warning' and 'points alone 42 MB' in text
