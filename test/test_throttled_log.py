"""Trouble that repeats, said once in a while; Python's log said through ROS."""
import logging
import time

from node_parts import Listener
from semdepth_ros.nodes.throttled_log import ForwardToRos, ThrottledLog


def test_repeated_trouble_is_said_once_a_period_and_counted():
    listener = Listener()
    log = ThrottledLog(listener, period_s=0.05)
    assert log.last() == ('', None)
    for i in range(4):
        log.warn(f'size {i}')
    log.warn('other')
    time.sleep(0.06)
    log.warn('size 9')
    assert [t for _, t in listener.lines] == ['size 0', 'other', 'size 9 (3 more like it)']
    assert log.last()[0] == 'size 9' and log.last()[1] < 5


def test_cameras_whose_names_differ_in_a_digit_do_not_silence_each_other():
    listener = Listener()
    log = ThrottledLog(listener)
    lines = ['/cam{}/image: image step is {} bytes', '/robot/{}/image: size changed from {}x5 to 7x9',
             "no transform from base to 'camera_{}' after {:.3f} s"]
    for line in lines:
        for camera in (1, 2):
            for number in (3, 40, 500):
                log.warn(line.format(camera, number))
    assert [text for _, text in listener.lines] == [line.format(c, 3) for line in lines for c in (1, 2)]


def test_messages_of_python_s_logging_reach_the_ros_logger_with_their_severity():
    listener, source = Listener(), logging.getLogger('semdepth_ros.test_of_forwarding')
    forward = ForwardToRos(listener)
    source.warning('on the %s', 'CPU')
    source.info('fine')
    forward.close()
    source.error('not any more')
    assert listener.lines == [('warning', 'on the CPU'), ('info', 'fine')]
