"""Long runs against perception and learner in processes of their own: nothing lost, nothing changed, no memory grown.

`python test/soak.py` prints a Markdown table and writes it to out/SOAK.md; it ends with 1 if anything
was not as it should be.
"""
from __future__ import annotations

import argparse
from dataclasses import dataclass
from importlib.metadata import version
import json
import os
from pathlib import Path
import platform
import shutil
import subprocess
import sys
import tempfile
import time

import numpy as np
import rclpy

from semdepth_ros.bags.qos import BEST_EFFORT, OUTPUT, RELIABLE, Qos
from semdepth_ros.bridge import make_camera_info, make_header, make_image
from semdepth_ros.bridge.middleware import PROFILE_VARIABLES, with_large_messages
from semdepth_ros.bridge.rclpy_types import RclpyTypes, qos_profile
from semdepth_ros.geometry import Camera
from semdepth_ros.live.graph import spinning_node
from semdepth_ros.live.node_process import NodeProcess

WIDTH, HEIGHT, RATE_HZ = 1242, 375, 10.0
SMALL_SHM_MB, FLAT = 64, 0.01
WARM_UP, BLOCK = 100, 1000  # frames
ENDS = ('perceived', 'dropped', 'rejected', 'failed', 'not wanted')


@dataclass(frozen=True)
class Case:
    """One run: at RATE_HZ, or as fast as outputs come back; in a /dev/shm of 64 MB or in the machine's own."""

    name: str
    reliability: str
    small_shm: bool = False
    fast: bool = False


CASES = {case.name: case for case in (
    Case('reliable', RELIABLE), Case('best effort', BEST_EFFORT), Case('reliable, 64 MB /dev/shm', RELIABLE, True),
    Case('best effort, 64 MB /dev/shm', BEST_EFFORT, True), Case('highest rate', RELIABLE, fast=True))}


class Drive:
    """A camera that publishes, and a subscriber to depth that compares every header with the one that was sent."""

    def __init__(self, node, reliability: str):
        self.types, self.node, self.sent, self.back, self.changed = RclpyTypes(), node, {}, 0, 0
        self.diagnostics, pixels = {}, np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
        header = make_header(self.types, 0, '')
        self.image = make_image(self.types, header, pixels, 'rgb8')
        self.info = make_camera_info(self.types, header, Camera.from_field_of_view(WIDTH, HEIGHT, 80))
        quality = qos_profile(Qos(reliability))
        self.images = node.create_publisher(type(self.image), 'image', quality)
        self.infos = node.create_publisher(type(self.info), 'camera_info', quality)
        node.create_subscription(type(self.image), 'depth/image', self._on_depth, qos_profile(OUTPUT))
        node.create_subscription(self.types.message_class('diagnostic_msgs/msg/DiagnosticArray'), '/diagnostics',
                                 self._on_diagnostics, 10)

    def publish(self) -> None:
        """Send the next image and its camera_info."""
        number = len(self.sent) + 1
        header = make_header(self.types, number * 100_000_000, f'camera_{number}')
        self.sent[number * 100_000_000] = header
        self.image.header = self.info.header = header
        self.infos.publish(self.info)
        self.images.publish(self.image)

    def wait(self, condition, timeout_s: float, what: str, process: NodeProcess) -> None:
        """Wait until a condition is met; raise RuntimeError if the node ends or the time is up."""
        end = time.monotonic() + timeout_s
        while not condition():
            process.expect_alive()
            if time.monotonic() > end:
                raise RuntimeError(f'{what}: not within {timeout_s:g} s: {process.last_words()}')
            time.sleep(0.002)

    def counts(self) -> dict[str, int]:
        """Return the node's own counters."""
        return {name: int(self.diagnostics.get(name, 0)) for name in ('received', 'gaps', *ENDS)}

    def is_counted(self) -> bool:
        """Return whether the node's counters are those of a node at rest that has seen every frame that came."""
        counts = self.counts()
        return counts['received'] > 0 and counts['received'] == sum(counts[name] for name in ENDS)

    def _on_depth(self, message) -> None:
        stamp = message.header.stamp.sec * 10**9 + message.header.stamp.nanosec
        self.changed += message.header != self.sent.get(stamp)
        self.back += 1

    def _on_diagnostics(self, message) -> None:
        for status in message.status:
            if status.name == 'perception: camera':
                self.diagnostics = {pair.key: pair.value for pair in status.values}


def run_case(case: Case, frames: int, model: str, log: Path) -> dict:
    """Run one case in this process's /dev/shm; return what was counted."""
    arguments = ['--ros-args', '-p', f'model:={model}', '-p', 'diagnostics_period_s:=0.5']
    resident = []
    perception = NodeProcess('semdepth_ros.nodes.perception', arguments, log, os.environ)
    with perception as process, spinning_node('soak') as node:
        drive = Drive(node, case.reliability)
        drive.wait(lambda: drive.images.get_subscription_count() and drive.infos.get_subscription_count(), 120.0,
                   'the node subscribes', process)
        time.sleep(1.0)
        start = time.monotonic()
        for i in range(frames):
            drive.publish()
            if case.fast:
                drive.wait(lambda: drive.back == len(drive.sent), 60.0, f'frame {i} comes back', process)
                resident.append(resident_bytes(process.pid))
            else:
                time.sleep(max(0.0, start + (i + 1) / RATE_HZ - time.monotonic()))
            process.expect_alive()
        elapsed = time.monotonic() - start
        time.sleep(2.0)
        drive.wait(drive.is_counted, 30.0, 'the counters come to rest', process)
    counts = drive.counts()
    result = {'case': case.name, 'sent': frames, **counts, 'back': drive.back, 'headers changed': drive.changed,
              'rate': frames / elapsed, **growth(resident)}
    result['good'] = (counts['received'] == frames and counts['perceived'] == drive.back and not drive.changed
                      and not counts['rejected'] and not counts['failed'] and result.get('grown', 0) <= FLAT)
    return result


def growth(resident: list[int]) -> dict[str, float]:
    """Return the node's memory in the first and the last block of frames after the warm-up, and how much it grew."""
    block = min(BLOCK, (len(resident) - WARM_UP) // 2)
    if block < 1:
        return {}
    first, last = np.mean(resident[WARM_UP:WARM_UP + block]), np.mean(resident[-block:])
    return {'first MB': first / 1e6, 'last MB': last / 1e6, 'grown': float(last / first - 1)}


def resident_bytes(pid: int) -> int:
    """Return a process's resident memory."""
    return int(Path(f'/proc/{pid}/statm').read_text().split()[1]) * os.sysconf('SC_PAGE_SIZE')


def run_apart(case: Case, frames: int, model: str, log: Path) -> dict:
    """Run one case in a process of its own, behind a small /dev/shm if the case says so."""
    command = [sys.executable, __file__, '--case', case.name, '--frames', str(frames), '--model', model, '--log',
               str(log)]
    if case.small_shm:
        mount = f'mount -t tmpfs -o size={SMALL_SHM_MB}m tmpfs /dev/shm && exec "$@"'
        command = ['unshare', '-m' if os.geteuid() == 0 else '-rm', 'sh', '-c', mount, 'sh', *command]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        why = ' '.join((done.stderr.strip().splitlines() or ['no word'])[-1].split())
        return {'case': case.name, 'sent': 0, 'good': False, 'error': why}
    return json.loads(done.stdout.splitlines()[-1])


def run_beside(program: str, *arguments: str) -> dict:
    """Run a program of this folder in a process of its own; return what it counted, the last line that it prints."""
    command = [sys.executable, str(Path(__file__).with_name(program)), *arguments]
    lines = subprocess.run(command, stdout=subprocess.PIPE, text=True).stdout.splitlines()
    return json.loads(lines[-1]) if lines else {'good': False}


def table(results: list[dict], model: str) -> str:
    """Return the results as Markdown."""
    lines = [f'rgb8 {WIDTH}x{HEIGHT}, model `{model}`, {platform.machine()} with {os.cpu_count()} cores, '
             f'rclpy {version("rclpy")}.', '',
             '| run | sent | received | perceived | dropped | headers changed | rate [Hz] | memory first / last [MB] | '
             'as it should be |',
             '|---|---|---|---|---|---|---|---|---|']
    for r in results:
        if 'error' in r:
            lines.append(f'| {r["case"]} | | | | | | | | no: {r["error"]} |')
            continue
        memory = f'{r["first MB"]:.1f} / {r["last MB"]:.1f} ({100 * r["grown"]:+.2f} %)' if 'grown' in r else ''
        lines.append(f'| {r["case"]} | {r["sent"]} | {r["received"]} | {r["perceived"]} | {r["dropped"]} | '
                     f'{r["headers changed"]} | {r["rate"]:.1f} | {memory} | {"yes" if r["good"] else "NO"} |')
    return '\n'.join(lines) + '\n'


def counted(result: dict) -> str:
    """Return what a program counted as Markdown."""
    names = [name for name in result if name != 'good']
    cells = [f'{result[n]:.4g}' if isinstance(result[n], float) else str(result[n]) for n in names]
    return '\n'.join([f'| {" | ".join(names)} | as it should be |', f'|{"---|" * (len(names) + 1)}',
                      f'| {" | ".join(cells)} | {"yes" if result["good"] else "NO"} |']) + '\n'


def main() -> int:
    """Run all cases, or the one that is named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--frames', type=int, default=600, help='of the runs at 10 Hz')
    parser.add_argument('--many', type=int, default=10_000, help='frames of the run at the highest rate')
    parser.add_argument('--model', default='default')
    parser.add_argument('--out', type=Path, default=Path('out/SOAK.md'))
    parser.add_argument('--only', choices=CASES, nargs='*', help='run only these, the kills and the learner')
    parser.add_argument('--kills', type=int, default=20, help='of perception and learner at random; 0: none')
    parser.add_argument('--learned', type=int, default=10_000, help='frames that a learner takes, at least 3000; 0: none')
    parser.add_argument('--case', choices=CASES, help=argparse.SUPPRESS)
    parser.add_argument('--log', type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.case:
        environ = {k: v for k, v in os.environ.items() if k not in PROFILE_VARIABLES}
        os.environ.update(with_large_messages(environ), ROS_AUTOMATIC_DISCOVERY_RANGE='LOCALHOST',
                          ROS_DOMAIN_ID=str(1 + os.getpid() % 100))
        rclpy.init()
        print(json.dumps(run_case(CASES[args.case], args.frames, args.model, args.log)))
        rclpy.shutdown()
        return 0
    results, folder = [], Path(tempfile.mkdtemp())
    for case in (CASES[name] for name in (CASES if args.only is None else args.only)):
        results.append(run_apart(case, args.many if case.fast else args.frames, args.model, folder / 'node.log'))
        print(results[-1], file=sys.stderr)
    shutil.rmtree(folder)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    text = table(results, args.model) if results else ''
    beside = {'soak_kills.py': ['--kills', str(args.kills)] if args.kills else None,
              'soak_learner.py': ['--frames', str(args.learned)] if args.learned else None}
    for program, arguments in beside.items():
        if arguments:
            results.append(run_beside(program, *arguments))
            text += f'\n{counted(results[-1])}'
    args.out.write_text(text)
    print(text)
    return 0 if all(r['good'] for r in results) else 1


if __name__ == '__main__':
    sys.exit(main())
