"""The demonstration of adaptation: perception and a learner on a real ROS 2 graph, frozen and adapted side by side."""
from __future__ import annotations

from dataclasses import dataclass, replace
import os
from pathlib import Path

from semdepth_ros.bridge.adaptation_parameters import adapter_settings
from semdepth_ros.bridge.middleware import with_large_messages
from semdepth_ros.data.bag import BagSequence
from semdepth_ros.live import demo as base
from semdepth_ros.live.adaptation_report import report_on
from semdepth_ros.live.adaptation_run import Turn, learner_start, run_turns
from semdepth_ros.live.control import RunControl
from semdepth_ros.live.graph import on_graph
from semdepth_ros.live.node_process import NodeProcess
from semdepth_ros.live.run import NoAnswer
from semdepth_ros.model_file import find_model, read_model
from semdepth_ros.perception.device import choose_device

WEIGHTS, FROZEN = 'weights', 'frozen.mcap'


@dataclass(frozen=True)
class AdaptationDemo(base.Demo):
    """What to show.

    :param turns: how often the drive is played
    :param settings: of the learner, as KEY=VALUE
    """

    turns: int = 3
    settings: tuple[str, ...] = ()


def run_adaptation_demo(demo: AdaptationDemo, control: RunControl) -> int:
    """Make the drive, play it again and again to both nodes, compare with the frozen weights and draw.

    The environment decides about the ROS graph, and is given a Fast DDS profile unless it has one; rclpy must not be
    running yet.

    :return: 0; 1 if most frames were not perceived, or a frame was not of the version that was said
    :raises Stopped: a signal came
    :raises ValueError: the drive or the model cannot be read, or a setting of the learner cannot be
    :raises RuntimeError: a node ended or does not answer
    """
    read_model(find_model(demo.model))
    choose_device(demo.device)
    blocks = adapter_settings('on', list(demo.settings)).trial.blocks
    _clear(demo)
    image_topic = base.make_drive(demo, demo.out / 'drive.mcap', control)
    sequence = BagSequence(demo.out / 'drive.mcap', image_topic, image_bits=demo.image_bits)
    turns = _run(demo, sequence, control)
    control.say('perceiving the drive with the frozen weights, comparing and drawing')
    result = report_on(demo, sequence, turns, demo.out / WEIGHTS, demo.out / FROZEN, control, blocks)
    for line in summary(result, demo.out):
        control.say(line)
    enough = result['frames_perceived'] >= base.LEAST_COVERAGE * result['frames_in']
    return 0 if enough and not result['adaptation']['frames_of_another_version'] else 1


def summary(result: dict, out: Path) -> list[str]:
    """Return what was seen, and where to look, in a few lines."""
    adaptation = result['adaptation']
    ways = f'{adaptation["turns"]} way{"s" if adaptation["turns"] != 1 else ""} through the drive'
    lines = [f'perceived {result["frames_perceived"]} of {result["frames_in"]} frames in {ways}', adaptation['outcome'], adaptation['versions_checked']]
    for sequence in result['sequences']:
        depth = sequence.get('depth', {})
        if 'unscaled' in depth:
            lines.append(f'{sequence["name"]}: Abs Rel {depth["median_scaled"]["abs_rel"]:.3f} median-scaled, '
                         f'{depth["unscaled"]["abs_rel"]:.3f} in metres as published'
                         + base.with_truth(depth))
    return [*lines, f'look at {out / "report.html"}']


def _clear(demo: AdaptationDemo) -> None:
    """Remove what an earlier run wrote, so that nothing old passes for new; rendered anchors may stay."""
    weights = demo.out / WEIGHTS
    base.clear(demo, (*base.WRITTEN, FROZEN, 'learner.log',
                      *(path.name for path in demo.out.glob('perceived_*.mcap'))))
    for path in (*weights.glob('*.safetensors*'), *weights.glob('.v*'), *weights.glob('journal.jsonl*')):
        path.unlink()


def _run(demo: AdaptationDemo, sequence: BagSequence, control: RunControl) -> list[Turn]:
    """Play the drive to both nodes, each a process of its own, in a graph with room for its images."""
    weights, log = demo.out / WEIGHTS, demo.out / 'node.log'
    learner = learner_start(sequence, demo.image_bits, demo.model, demo.device, weights.absolute(), demo.settings)
    if 'odometry' not in learner.remaps:
        control.say('the drive has no odometry with a camera in its frame: images alone tell how the camera moves')
    os.environ.update(with_large_messages(os.environ, segment=base.room_for(*sequence.size)))
    control.say(f'starting the perception node (log: {log}) in ROS_DOMAIN_ID {os.environ["ROS_DOMAIN_ID"]}')
    arguments = [*base.node_arguments(demo, sequence), '-p', f'weights_dir:={weights.absolute()}']
    with on_graph(), NodeProcess(base.PERCEPTION, arguments, log, os.environ) as node:
        try:
            return run_turns(sequence, demo.out, demo.turns, learner, replace(control, check=node.expect_alive))
        except NoAnswer as error:
            raise RuntimeError(f'{error}; the perception node said: {node.last_words()}') from None
