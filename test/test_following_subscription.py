"""A subscription that follows what publishers offer: nothing lost or doubled, and overrides that come first."""
import threading

import numpy as np
import pytest
from rclpy.node import Node
from rclpy.parameter import Parameter as RosParameter
from rclpy.qos import QoSProfile, ReliabilityPolicy

from bridge_messages import Fields, header
from node_parts import IMAGE, TYPES, black, publisher
from ros_graph import wait_until
from semdepth_ros.bridge.messages import make_header
from semdepth_ros.nodes.following_subscription import FollowingSubscription, State


@pytest.mark.parametrize('clock', [1, 0])
def test_a_subscription_follows_publishers_as_they_come_and_go_without_losing_or_doubling(graph, clock):
    sender, receiver = (graph.node(f'{name}_{clock}') for name in ('sender', 'receiver'))
    seen, stop, topic = [], threading.Event(), f'followed_{clock}'
    subscription = FollowingSubscription(receiver, IMAGE, topic, lambda m: seen.append(m.width))
    receiver.create_timer(0.05, subscription.follow)
    assert subscription.qos.reliability == 'best_effort'
    first = publisher(sender, topic, True)
    wait_until(lambda: subscription.qos.reliability == 'reliable', what='reliable with one reliable publisher')

    def send():
        number = 0
        while not stop.wait(0.03):
            number += 1
            head = make_header(TYPES, clock * number, '')
            first.publish(IMAGE(header=head, width=number, data=bytes([number % 256])))
    thread = threading.Thread(target=send)
    thread.start()
    wait_until(lambda: len(seen) > 5)
    second = publisher(sender, topic, False)
    wait_until(lambda: subscription.qos.reliability == 'best_effort', what='best effort once one publisher is')
    wait_until(lambda: subscription.state is not State.CHANGING)
    sender.destroy_publisher(second)
    wait_until(lambda: subscription.qos.reliability == 'reliable', what='reliable again')
    wait_until(lambda: subscription.state is not State.CHANGING)
    count = len(seen)
    wait_until(lambda: len(seen) > count + 5)
    stop.set()
    thread.join()
    assert list(np.diff(seen)) == [1] * (len(seen) - 1)
    graph.call(subscription.close)


class TwoQualities:
    """A node whose topic is offered best effort, then reliable; messages come by hand, through what was subscribed."""

    offered, subscribed = ReliabilityPolicy.BEST_EFFORT, ()

    def resolve_topic_name(self, topic):
        return topic

    def has_parameter(self, name):
        return True

    def get_parameter(self, name):
        values = {'depth': 5, 'reliability': 'follow', 'durability': 'volatile'}
        return RosParameter(name, value=values[name.split('.')[-1]])

    def get_publishers_info_by_topic(self, topic):
        return [Fields(qos_profile=QoSProfile(depth=5, reliability=self.offered))]

    def create_subscription(self, kind, topic, receive, profile, event_callbacks):
        self.subscribed += (receive,)
        return receive

    def destroy_subscription(self, receive):
        self.subscribed = tuple(r if r is not receive else lambda message: None for r in self.subscribed)


def numbered(number, clock=1):
    return Fields(header=header(clock * number), data=bytes([number]))


@pytest.mark.parametrize('clock', [1, 0])
@pytest.mark.parametrize('old_lags, new_lags', [(0, 0), (0, 3), (0, 8), (2, 0), (1, 1)])
def test_whichever_subscription_lags_when_changing_over_nothing_is_lost_or_seen_twice(clock, old_lags, new_lags):
    node, seen = TwoQualities(), []
    subscription = FollowingSubscription(node, None, 'topic', lambda m: seen.append(m.data[0]))
    node.subscribed[0](numbered(0, clock))
    node.offered = ReliabilityPolicy.RELIABLE
    subscription.follow()
    assert len(node.subscribed) == 2
    for step in range(1, 40):
        for lag, receive in zip((old_lags, new_lags), node.subscribed):
            if step - lag >= 1:
                receive(numbered(step - lag, clock))
        if step % 4 == 0:
            subscription.follow()
    assert seen == list(range(len(seen))) and len(seen) > 30 and subscription.qos.reliability == 'reliable'


def test_a_subscription_that_falls_silent_is_changed_from_after_a_while_and_what_waited_is_delivered():
    node, seen = TwoQualities(), []
    subscription = FollowingSubscription(node, None, 'topic', lambda m: seen.append(m.data[0]))
    node.offered = ReliabilityPolicy.RELIABLE
    for step in range(9):
        subscription.follow()
        node.subscribed[1](numbered(step))
    assert seen == list(range(9))


def test_overrides_come_before_following(graph):
    names = {'reliability': 'reliable', 'depth': 2}
    node = Node('overridden', context=graph.context, parameter_overrides=[
        RosParameter(f'qos_overrides./fixed.subscription.{name}', value=value) for name, value in names.items()])
    graph.add(node)
    trouble = []
    subscription = FollowingSubscription(node, IMAGE, 'fixed', print, incompatible=trouble.append)
    publisher(node, 'fixed', False)
    wait_until(lambda: trouble, what='the event that tells of incompatible quality')
    graph.call(subscription.follow)
    assert (subscription.qos.reliability, subscription.qos.depth, trouble[0]) == ('reliable', 2, 'RELIABILITY')
    graph.call(subscription.close)


def test_durability_can_be_overridden_and_what_is_not_is_still_followed(graph):
    node = Node('latching', context=graph.context, parameter_overrides=[
        RosParameter('qos_overrides./still.subscription.durability', value='transient_local')])
    graph.add(node)
    publisher(node, 'still', True, latched=True).publish(black())
    seen = []
    subscription = FollowingSubscription(node, IMAGE, 'still', seen.append)
    node.create_timer(0.05, subscription.follow)
    wait_until(lambda: seen, what='the image sent before')
    assert (subscription.qos.reliability, subscription.qos.durability) == ('reliable', 'transient_local')
    graph.call(subscription.close)


def test_an_impossible_override_is_refused(graph):
    node = Node('impossible', context=graph.context, parameter_overrides=[
        RosParameter('qos_overrides./odd.subscription.reliability', value='mostly')])
    graph.nodes.append(node)
    with pytest.raises(ValueError, match="'mostly'.*best_effort"):
        FollowingSubscription(node, IMAGE, 'odd', print)
