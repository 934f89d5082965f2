"""A drive played again and again to perception and a learner beside it, and what perception published, recorded."""
from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, replace
import os
from pathlib import Path

import numpy as np

from semdepth_ros.bags.bag_writer import BagWriter
from semdepth_ros.bridge.outputs import TOPICS
from semdepth_ros.bridge.transforms import quaternion
from semdepth_ros.data.bag import BagSequence
from semdepth_ros.live.arrivals import NEEDED, Arrivals
from semdepth_ros.live.control import RunControl
from semdepth_ros.live.graph import spinning_node
from semdepth_ros.live.learner_watch import HOLD_S, LearnerWatch
from semdepth_ros.live.node_process import NodeProcess
from semdepth_ros.live.player import BagPlayer
from semdepth_ros.live.recorder import BagRecorder
from semdepth_ros.live.run import FRAME_S, LiveRun, NoAnswer, PlayedDrive
from semdepth_ros.recordings.served_versions import Told

LEARNER = 'semdepth_ros.nodes.adaptation'
STATUS_S = 0.2      # the drive waits for the learner's status
START_S = 120.0


@dataclass(frozen=True)
class LearnerStart:
    """How the learner is started.

    :param parameters: of the node, as ROS arguments have them
    :param remaps: topics by the node's names
    """

    parameters: dict[str, str]
    remaps: dict[str, str]

    def arguments(self) -> list[str]:
        """Return the process's arguments."""
        arguments = ['--ros-args']
        for name, value in self.parameters.items():
            arguments += ['-p', f'{name}:={value}']
        for name, target in self.remaps.items():
            arguments += ['-r', f'{name}:={target}']
        return arguments


@dataclass(frozen=True)
class Turn:
    """One way through the drive.

    :param perceived: bag of what was published
    :param told: what was said to be served, and before, the version that was served when it began
    :param learner_frames: images that the learner has received since its start, and those that a newer one replaced
    """

    perceived: Path
    run: LiveRun
    told: tuple[Told, ...]
    before: int
    learner_frames: tuple[int, int] = (0, 0)


def learner_start(sequence: BagSequence, image_bits: int, model: str, device: str, weights: Path,
                  settings: tuple[str, ...] = ()) -> LearnerStart:
    """Return how a learner is started beside the perception of a bag's camera; the drive waits for it.

    It does without idle priority, pauses and giving way: the drive stands still until it has looked at every image.

    :param weights: folder of promoted weights
    :param settings: of the learner, as KEY=VALUE
    """
    image, info = sequence.topics.image, sequence.topics.camera_info
    raw = image.removesuffix('/compressed')
    parameters = {'model': model, 'device': device, 'mode': 'on', 'weights_dir': str(weights),
                  'image_bits': str(image_bits), 'image_transport': 'raw' if raw == image else 'compressed',
                  'idle_priority': 'false', 'busy_share': '1.0', 'perception': "''", 'status_period_s': str(STATUS_S)}
    remaps = {'image': raw, 'camera_info': info or '/camera_info'}
    if settings:
        parameters['settings'] = f'[{", ".join(repr(text) for text in settings)}]'
    if sequence.topics.odometry and sequence.camera_in_base is not None:
        parameters['camera_in_base'] = pose_text(sequence.camera_in_base)
        remaps['odometry'] = sequence.topics.odometry
    return LearnerStart(parameters, remaps)


def pose_text(pose: np.ndarray) -> str:
    """Return a pose [4, 4] as the parameter camera_in_base has it: x y z and the quaternion x y z w."""
    return ' '.join(repr(float(v)) for v in (*pose[:3, 3], *quaternion(pose[:3, :3])))


def run_turns(sequence: BagSequence, folder: Path, turns: int, learner: LearnerStart,
              control: RunControl) -> list[Turn]:
    """Play a drive so often to the perception node that runs in this graph, and to a learner that is started for it.

    The drive stands still until both have taken an image. Stamps go back at every new beginning, as those of a looped
    bag do. The learner starts once the perception node is warm.

    :param folder: gets perceived_1.mcap and so on, and learner.log
    :param control: its check raises if the perception node has ended
    :raises Stopped: a signal came
    :raises NoAnswer: perception or learner do not do what they should
    :raises RuntimeError: a node has ended
    """
    start_ns, arrivals, done = min(sequence.stamps_ns), Arrivals(), []
    process = NodeProcess(LEARNER, learner.arguments(), folder / 'learner.log', os.environ)
    with spinning_node('demo') as node, ExitStack() as stack:
        bag = stack.enter_context(BagWriter(perceived_path(folder, 1), replace=True))
        recorder = BagRecorder(node, bag, by_stamp=True, since_ns=start_ns)
        for name in NEEDED:
            recorder.record(f'/{name}', TOPICS[name], arrived=lambda stamp_ns, name=name: arrivals.note(name, stamp_ns))
        player, watch = BagPlayer(node, str(sequence.path)), LearnerWatch(node, control)
        drive = PlayedDrive(sequence, player, arrivals, control, watch.hold, FRAME_S)
        drive.wait_for_node()
        rate = drive.fitting_rate()
        control.say(f'starting the learner (log: {process.log})')
        with process:
            watch.control = drive.control = _with_learner(control, process)
            _wait_for_learner(watch, player, sequence, learner, process)
            for number in range(1, turns + 1):
                control.say(f'way {number} of {turns} through the drive')
                before = watch.version()
                if number > 1:
                    recorder.go_on(stack.enter_context(BagWriter(perceived_path(folder, number), replace=True)))
                    watch.begin_turn()
                    arrivals.clear()
                run = drive.play(rate, NEEDED)
                watch.wait_for(max(sequence.stamps_ns), HOLD_S)
                frames = watch.status.frames_seen, watch.status.frames_dropped
                done.append((perceived_path(folder, number), run, before, frames))
        recorder.stop()
    return [Turn(path, run, tuple(t for t in told if t.stamp_ns >= start_ns), before, frames)
            for (path, run, before, frames), told in zip(done, watch.told)]


def perceived_path(folder: Path, number: int) -> Path:
    """Return the bag of what was perceived on one way through the drive, from 1."""
    return folder / f'perceived_{number}.mcap'


def _with_learner(control: RunControl, process: NodeProcess) -> RunControl:
    """Return a control that sees whether the learner lives, too."""
    def check() -> None:
        control.check()
        process.expect_alive()
    return replace(control, check=check)


def _wait_for_learner(watch: LearnerWatch, player: BagPlayer, sequence: BagSequence, learner: LearnerStart,
                      process: NodeProcess) -> None:
    """Wait until the learner speaks, and hears what it is to learn from."""
    topics = sequence.topics
    heard = {topics.image: 2, topics.camera_info: 2, learner.remaps.get('odometry'): 1}
    publishers = {player.publishers[topic]: least for topic, least in heard.items() if topic in player.publishers}

    def is_there() -> bool:
        return watch.status is not None and all(
            publisher.get_subscription_count() >= least for publisher, least in publishers.items())
    if not watch.wait(is_there, START_S):
        raise NoAnswer(f'the learner does not begin within {START_S:g} s: {process.last_words()}')
