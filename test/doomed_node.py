"""Nodes that are killed at named stages: one process that forks a child for each, since importing torch takes longest.

`doomed_node.py learner|perception MODEL FOLDER STAGE...` prints each stage with the status that its child ended with.
The stage `none` runs until it is ended. Without stages the node runs in the process itself, for soak_kills.py.
"""
from __future__ import annotations

import os
from pathlib import Path
import signal
import sys

sys.path.insert(0, str(Path(__file__).resolve().parent))

import rclpy
import torch
from rclpy.parameter import Parameter
from test_adaptation_node import EASY

from semdepth_ros import model_file
from semdepth_ros.adaptation import Versions
from semdepth_ros.adaptation.trial import TrialReport
from semdepth_ros.nodes import weights_channel
from semdepth_ros.nodes.adaptation import AdaptationNode
from semdepth_ros.nodes.learning import Learning
from semdepth_ros.nodes.perception import PerceptionNode
from semdepth_ros.perception import Perceptor

SOAK = 'watch.frames=6', 'watch.every=2', 'trial.promotions_per_hour=1000'    # promotions every few seconds


def die(*args, **options):
    """End as SIGKILL ends: nothing is cleaned up."""
    os.kill(os.getpid(), signal.SIGKILL)


class Half:
    """A file of which half of what is written arrives."""

    def __init__(self, *args):
        self._file = open(*args)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self._file.close()

    def write(self, data):
        """Write half and die."""
        self._file.write(data[:len(data) // 2])
        self._file.flush()
        die()


def _die_before(owner, name):
    setattr(owner, name, die)


def _die_after(owner, name):
    original = getattr(owner, name)

    def dying(*args, **options):
        original(*args, **options)
        die()
    setattr(owner, name, dying)


def _die_announcing(after):
    original = Learning._announce_changes

    def announce(self):
        promoted = self.adapter.counts['promotions']
        if promoted and not after:
            die()
        original(self)
        if promoted:
            die()
    Learning._announce_changes = announce


STAGES = {
    'learner': {'half written': lambda: setattr(model_file, 'open', Half),
                'renamed': lambda: _die_before(Versions, '_tidy'), 'before announcing': lambda: _die_announcing(False),
                'announced': lambda: _die_announcing(True)},
    'perception': {'accepted': lambda: _die_after(weights_channel, 'accepted_file'),
                   'before serving': lambda: _die_before(Perceptor, 'serve'),
                   'serving': lambda: _die_after(Perceptor, 'serve')}}


def run(kind: str, model: str, folder: str, *more: str) -> None:
    """Spin a node until somebody ends it; more are settings of a learner."""
    values = {'model': model, 'weights_dir': folder, 'device': 'cpu'}
    if kind == 'learner':
        TrialReport.passed = property(lambda self: True)       # what comes after a trial is what is looked at
        values |= {'mode': 'on', 'settings': [*EASY, *more], 'camera_in_base': '0 0 0 0 0 0 1', 'busy_share': 1.0,
                   'idle_priority': False, 'status_period_s': 0.2}
    rclpy.init(args=[])
    make = {'learner': AdaptationNode, 'perception': PerceptionNode}[kind]
    rclpy.spin(make(parameter_overrides=[Parameter(name, value=value) for name, value in values.items()]))


def main(kind: str, model: str, folder: str, *stages: str) -> None:
    """Run a child for every stage, one after the other."""
    torch.set_num_threads(1)
    if not stages:
        run(kind, model, folder, *SOAK)
    for stage in stages:
        child = os.fork()
        if not child:
            if stage != 'none':
                STAGES[kind][stage]()
            run(kind, model, folder)
            os._exit(0)
        print(f'{stage}: {os.waitpid(child, 0)[1]}', flush=True)


if __name__ == '__main__':
    main(*sys.argv[1:])
