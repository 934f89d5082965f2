"""Perception and a learner beside it, one of them killed at random again and again: who goes on, and what is served then.

`python test/soak_kills.py --kills 20` prints what was counted as JSON. Both run as processes of their own with a tiny
model, and trials are passed whatever they say: the learner promotes every few seconds, so that kills fall into all of
what it does.
"""
from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
import signal
import sys
import tempfile
import time

sys.path.insert(0, str(Path(__file__).resolve().parent))

import numpy as np
import rclpy
from adaptation_world import CAMERA, PERIOD_NS
from node_parts import TYPES
from rclpy.qos import DurabilityPolicy, QoSProfile
from test_adaptation_node import START_NS, Drive
from tiny_model import write_models

from semdepth_ros.adaptation import Versions, read_journal
from semdepth_ros.bridge.messages import stamp_ns
from semdepth_ros.bridge.middleware import PROFILE_VARIABLES, with_large_messages
from semdepth_ros.cli.demo import free_domain
from semdepth_ros.live.graph import spinning_node
from semdepth_ros.live.node_process import NodeProcess
from semdepth_ros.model_file import read_model

RATE_HZ, DOWN_FRAMES, PATIENCE_S, LEARNER_S = 6.0, 10, 180.0, 2.0
NODES = ('learner', 'perception')


class Soak(Drive):
    """A drive, both processes, and what they said."""

    def __init__(self, node, folder: Path, seed: int):
        self.node, self.number, self.folder = node, 0, folder
        self._publish()
        self.model = write_models(folder, 1)[0]
        self.weights, self.rng = folder / 'weights', np.random.default_rng(seed)
        self.versions = Versions(self.weights, read_model(self.model)[1])
        self.answered, self.info, self.status, self.served = set(), None, None, set()
        for name, topic, callback, latched in (
                ('sensor_msgs/msg/Image', 'depth/image', lambda m: self.answered.add(stamp_ns(m.header)), False),
                ('semdepth_ros/msg/ModelInfo', 'perception/model_info', self._hear, True),
                ('semdepth_ros/msg/AdaptationStatus', 'adaptation/status', lambda m: setattr(self, 'status', m), False)):
            durability = DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE
            node.create_subscription(TYPES.message_class(name), topic, callback, QoSProfile(depth=20, durability=durability))
        self.processes = {kind: self.begin(kind) for kind in NODES}

    def begin(self, kind: str) -> NodeProcess:
        """Start a node."""
        path = os.pathsep.join([str(Path(__file__).resolve().parent), os.environ.get('PYTHONPATH', '')])
        return NodeProcess('doomed_node', [kind, str(self.model), str(self.weights)], self.folder / f'{kind}.log',
                           {**os.environ, 'PYTHONPATH': path}).__enter__()

    def stream(self, condition, patience_s: float) -> bool:
        """Send frame after frame until something is so; return whether it is."""
        end = time.monotonic() + patience_s
        while not condition():
            if time.monotonic() > end:
                return False
            self.send()
            sent = time.monotonic()
            last = START_NS + (self.number - 1) * PERIOD_NS
            time.sleep(1 / RATE_HZ)
            _wait(lambda: self.status is None or stamp_ns(self.status.header) >= last - PERIOD_NS,
                  sent + LEARNER_S - time.monotonic())              # a frame that it has dropped would be missed
        return True

    def agree(self) -> bool:
        """Return whether perception serves the newest whole version, answers, and the learner knows."""
        newest = self.versions.newest(CAMERA)
        number = 0 if newest is None else newest.number
        return (self.info is not None and self.status is not None and self.info.version == number
                and self.status.served_version == number and START_NS + (self.number - 2) * PERIOD_NS in self.answered)

    def kill(self, kind: str) -> tuple[int, int]:
        """Kill a node, and start it again; return how many frames were sent while a learner was down, and answered."""
        victim = self.processes[kind]
        os.kill(victim.pid, signal.SIGKILL)
        victim.__exit__(None, None, None)
        sent, answered = 0, 0
        if kind == 'learner':
            first = self.number
            self.stream(lambda: self.number >= first + DOWN_FRAMES, PATIENCE_S)
            stamps = {START_NS + number * PERIOD_NS for number in range(first, self.number)}
            _wait(lambda: stamps <= self.answered, 20.0)
            sent, answered = len(stamps), len(stamps & self.answered)
        self.info, self.status = (None, self.status) if kind == 'perception' else (self.info, None)
        self.processes[kind] = self.begin(kind)
        return sent, answered

    def end(self) -> None:
        """End both."""
        for process in self.processes.values():
            process.__exit__(None, None, None)

    def _hear(self, info) -> None:
        self.info = info
        self.served.add(info.version)


def run(kills: int, folder: Path, seed: int) -> dict:
    """Kill so many times; return what was counted."""
    with spinning_node('soak') as node:
        soak = Soak(node, folder, seed)
        try:
            killed, sent, answered, back_s = {kind: 0 for kind in NODES}, 0, 0, []
            together = soak.stream(lambda: soak.agree() and bool(soak.info.version), 2 * PATIENCE_S)
            for _ in range(kills if together else 0):
                until = time.monotonic() + soak.rng.uniform(0.5, 8.0)
                soak.stream(lambda: time.monotonic() > until, 60.0)
                kind = str(soak.rng.choice(NODES))
                more, of_them = soak.kill(kind)
                killed[kind], sent, answered = killed[kind] + 1, sent + more, answered + of_them
                began = time.monotonic()
                if not soak.stream(soak.agree, PATIENCE_S):
                    break
                back_s.append(time.monotonic() - began)
        finally:
            soak.end()
    events = [line['event'] for line in read_journal(soak.weights / 'journal.jsonl')]
    return {'kills': sum(killed.values()), **{f'of {kind}': count for kind, count in killed.items()},
            'sent without learner': sent, 'answered of them': answered, 'promotions': events.count('promotion'),
            'rollbacks': events.count('rollback'), 'versions served': len(soak.served),
            'back after [s], median': float(np.median(back_s or [np.nan])), 'most': float(np.max(back_s or [np.nan])),
            'good': len(back_s) == kills and sent == answered}


def _wait(condition, patience_s: float) -> None:
    end = time.monotonic() + patience_s
    while not condition() and time.monotonic() < end:
        time.sleep(0.02)


def main() -> int:
    """Run it in a graph of its own; the last line is JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--kills', type=int, default=20)
    parser.add_argument('--seed', type=int, default=0)
    args = parser.parse_args()
    environ = {k: v for k, v in os.environ.items() if k not in PROFILE_VARIABLES}
    os.environ.update(with_large_messages(environ), ROS_AUTOMATIC_DISCOVERY_RANGE='LOCALHOST',
                      ROS_DOMAIN_ID=str(free_domain()))
    rclpy.init()
    with tempfile.TemporaryDirectory() as folder:
        result = run(args.kills, Path(folder), args.seed)
    rclpy.shutdown()
    print(json.dumps(result))
    return 0 if result['good'] else 1


if __name__ == '__main__':
    sys.exit(main())
