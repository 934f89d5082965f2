"""What every lifecycle node has around its work."""
import gc
import weakref

from perception_client import Client
from ros_graph import wait_until
from semdepth_ros.bridge.parameters import Parameter
from semdepth_ros.nodes.lifecycle_shell import LifecycleShell


class Idle(LifecycleShell):
    """A node without work, which is part of a reference cycle, as nodes with callbacks of their own are."""

    def __init__(self, graph):
        super().__init__('idle', [Parameter('autostart', False, 'whether it starts by itself')], context=graph.context)
        self.cycle = self

    def poll(self):
        pass


def test_the_remains_of_a_node_take_nothing_from_one_of_its_name_that_comes_after_it(graph):
    """rcl keeps the /rosout publishers by name: those of an earlier node must not be given back once more."""
    gc.collect()
    gc.disable()
    try:
        first = graph.add(Idle(graph))
        left = weakref.ref(first)
        graph.remove(first)
        assert first.state == 'finalized'
        del first
        second = graph.add(Idle(graph))
        client = Client(graph, 'idle')
        wait_until(lambda: second.count_subscribers('/rosout'), what='/rosout to be heard')
        second.get_logger().warning('before')
        client.warned('before')
        assert left(), 'it is no garbage that is still there'
        gc.collect()
        assert not left()
        second.get_logger().warning('after')
        client.warned('after')
    finally:
        gc.enable()
