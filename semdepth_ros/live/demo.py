"""The demonstration: a drive through the real node on a real ROS 2 graph, measured against the truth."""
from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
import itertools
import json
import os
from pathlib import Path

from semdepth_ros.bit_depth import AUTOMATIC
from semdepth_ros.bridge.middleware import with_large_messages
from semdepth_ros.bridge.outputs import TOPICS, OutputSettings, output_bytes
from semdepth_ros.bridge.shared_memory import DEFAULT_SEGMENT, LARGEST_MESSAGE, segment_for
from semdepth_ros.data.bag import BagSequence
from semdepth_ros.evaluation import Album, with_truth, write_report
from semdepth_ros.evaluation.film import Film, write_preview
from semdepth_ros.live.control import RunControl
from semdepth_ros.live.graph import on_graph
from semdepth_ros.live.node_process import NodeProcess
from semdepth_ros.live.run import USUAL_HZ, LiveRun, NoAnswer, run_live
from semdepth_ros.model_file import find_model, read_model
from semdepth_ros.perception.device import choose_device
from semdepth_ros.recordings.drive_source import WorldDrive, bring_drive, render_drive
from semdepth_ros.recordings.evaluation import evaluate_bags
from semdepth_ros.recordings.inspection import inspect_bag

PERCEPTION = 'semdepth_ros.nodes.perception'
WRITTEN = ('drive.mcap', 'perceived.mcap', 'metrics.json', 'preview.png', 'preview.mp4', 'report.html', 'node.log')
LEAST_COVERAGE = 0.5
PREVIEW_FRAMES = 3


@dataclass(frozen=True)
class Demo:
    """What to show.

    :param out: folder for everything that is written
    :param world: what to drive through, where source is None
    :param source: the user's own bag, folder sequence or video
    :param camera: calibration of a video
    :param frames: at most so many of source
    :param image_topic, image_bits: which camera of a bag, and how many of 16 bits its images use
    :param model, device: as the node's parameters
    """

    out: Path
    world: WorldDrive = WorldDrive()
    source: str | None = None
    camera: str | None = None
    frames: int | None = None
    image_topic: str | None = None
    image_bits: int = AUTOMATIC
    model: str = 'default'
    device: str = 'auto'


def run_demo(demo: Demo, control: RunControl) -> int:
    """Make the drive, let the node perceive it, measure and draw; return 0, or 1 if most frames were not perceived.

    The environment decides about the ROS graph, and is given a Fast DDS profile unless it has one; rclpy must not be
    running yet.

    :raises Stopped: a signal came
    :raises ValueError: the drive or the model cannot be read
    :raises RuntimeError: the node ended or does not answer
    """
    read_model(find_model(demo.model))
    choose_device(demo.device)
    clear(demo)
    drive, perceived = demo.out / 'drive.mcap', demo.out / 'perceived.mcap'
    image_topic = make_drive(demo, drive, control)
    sequence = BagSequence(drive, image_topic, image_bits=demo.image_bits)
    run = _perceive(demo, perceived, sequence, control)
    control.say('comparing with the truth and drawing')
    result = _measure_and_draw(demo, sequence, perceived, run, control)
    for line in summary(result, run, demo.out):
        control.say(line)
    return 0 if result['frames_perceived'] >= LEAST_COVERAGE * result['frames_in'] else 1


def fitting_stride(width: int, height: int) -> int:
    """Return the least stride at which a cloud of images of this size is one message for the middleware."""
    return next(s for s in itertools.count(1)
                if output_bytes(['points'], width, height, OutputSettings(stride=s))['points'] <= LARGEST_MESSAGE)


def room_for(width: int, height: int) -> int:
    """Return the segment [bytes] in which two frames of this size have room with all that is sent for them."""
    outputs = output_bytes(TOPICS, width, height, OutputSettings(stride=fitting_stride(width, height)))
    return max(DEFAULT_SEGMENT, segment_for(sum(outputs.values()), depth=2))


def node_arguments(demo: Demo, sequence: BagSequence) -> list[str]:
    """Return the perception node's arguments for the camera of a bag."""
    image, info = sequence.topics.image, sequence.topics.camera_info
    raw = image.removesuffix('/compressed')
    parameters = {'model': demo.model, 'device': demo.device, 'image_bits': demo.image_bits,
                  'stride': fitting_stride(*sequence.size),
                  'image_transport': 'raw' if raw == image else 'compressed'}
    remaps = {'image': raw, 'camera_info': info or '/camera_info'}
    arguments = ['--ros-args']
    for name, value in parameters.items():
        arguments += ['-p', f'{name}:={value}']
    for name, target in remaps.items():
        arguments += ['-r', f'{name}:={target}']
    return arguments


def summary(result: dict, run: LiveRun, out: Path) -> list[str]:
    """Return what was seen, and where to look, in a few lines."""
    sequence, images = result['sequences'][0], result['frames_in']
    lines = [f'perceived {result["frames_perceived"]} of {images} frames'
             + (f', {result["frames_dropped"]} dropped' if result['frames_dropped'] else '')]
    if result['frames_perceived'] < LEAST_COVERAGE * images:
        lines[0] += f': fewer than {100 * LEAST_COVERAGE:.0f} %, so the demonstration has failed'
    if 'latency_ms' in sequence:
        latency = sequence['latency_ms']
        lines.append(f'from image to depth and classes: {latency["p50"]:.0f} ms (half of the frames), '
                     f'{latency["p95"]:.0f} ms (95 %), the drive played at {run.rate:.2f} of its rate')
    if 'unscaled' in sequence.get('depth', {}):
        depth = sequence['depth']
        lines.append(f'depth: Abs Rel {depth["median_scaled"]["abs_rel"]:.3f} median-scaled, '
                     f'{depth["unscaled"]["abs_rel"]:.3f} in metres as published{with_truth(depth)}')
    elif 'depth' in sequence:
        lines.append(f'depth: not one pixel with true depth was perceived{with_truth(sequence["depth"])}')
    if 'semantics' in sequence:
        scores = sequence['semantics']
        lines.append(f'classes: mIoU {scores["miou"]:.3f}, {100 * scores["pixel_accuracy"]:.1f} % of the pixels right'
                     + with_truth(scores))
    return [*lines, f'look at {out / "report.html"}; beside it preview.mp4 and preview.png, and drive.mcap and '
                    'perceived.mcap for Foxglove or RViz']


def clear(demo: Demo, written: Collection[str] = WRITTEN) -> None:
    """Remove what an earlier run wrote, so that nothing old passes for new.

    :raises ValueError: the drive's source is among that
    """
    demo.out.mkdir(parents=True, exist_ok=True)
    for path in (demo.out / name for name in written):
        if demo.source and path.exists() and path.samefile(demo.source):
            raise ValueError(f'{path} is what the demonstration writes: give the drive another name')
    for name in written:
        (demo.out / name).unlink(missing_ok=True)


def make_drive(demo: Demo, drive: Path, control: RunControl) -> str | None:
    """Write the drive as a bag; return the camera's topic in it where that was a recording's."""
    image_topic = None
    if demo.source is None:
        world = demo.world
        control.say(f'rendering {world.frames} frames of {world.preset} {world.seed} at '
                    f'{world.size[0]}x{world.size[1]}')
        render_drive(drive, world, progress=control.counting('frames rendered'))
    else:
        control.say(f'taking the drive from {demo.source}')
        image_topic = bring_drive(drive, demo.source, demo.camera, demo.frames, control.counting('images taken'),
                                  demo.image_topic)
    report = inspect_bag(drive, image_topic, demo.image_bits)
    for line in (*report['problems'], *report['warnings']):
        control.say(f'{drive}: {line}')
    return image_topic


def _perceive(demo: Demo, perceived: Path, sequence: BagSequence, control: RunControl) -> LiveRun:
    """Play the drive to a node of its own, in a graph with room for its images."""
    stride = fitting_stride(*sequence.size)
    if stride > 1:
        control.say(f'the images are {sequence.size[0]}x{sequence.size[1]}, so mask, confidence and cloud are sent at '
                    f'stride {stride}')
    os.environ.update(with_large_messages(os.environ, segment=room_for(*sequence.size)))
    log = demo.out / 'node.log'
    control.say(f'starting the perception node (log: {log}) in ROS_DOMAIN_ID {os.environ["ROS_DOMAIN_ID"]}')
    with on_graph(), NodeProcess(PERCEPTION, node_arguments(demo, sequence), log, os.environ) as node:
        try:
            return run_live(sequence, perceived, replace(control, check=node.expect_alive))
        except NoAnswer as error:
            raise RuntimeError(f'{error}; the node said: {node.last_words()}') from None


def _measure_and_draw(demo: Demo, sequence: BagSequence, perceived: Path, run: LiveRun, control: RunControl) -> dict:
    album, pictures, advance = Album(), {}, control.counting('frames drawn')
    chosen = {round((i + 0.5) * len(sequence) / PREVIEW_FRAMES) for i in range(PREVIEW_FRAMES)}
    with Film(demo.out / 'preview.mp4', sequence.rate_hz or USUAL_HZ) as film:
        def see(index, total, sample, perception):
            picture = film.add(sample, perception)
            if index in chosen or not pictures:
                pictures[index] = picture
            album.offer(sequence.name, index, total, sample, perception)
            advance(index + 1, total)

        result = evaluate_bags(sequence.path, perceived, demo.model, sequence.topics.image, run.latencies_ms, see,
                               demo.image_bits)
    if pictures:
        write_preview(demo.out / 'preview.png', [pictures[i] for i in sorted(pictures)][-PREVIEW_FRAMES:])
    result['playback_rate'] = run.rate
    (demo.out / 'metrics.json').write_text(json.dumps(result, indent=1, allow_nan=False) + '\n', encoding='utf-8')
    write_report(demo.out / 'report.html', result, album.pages, 'A drive, as the node perceived it')
    return result
