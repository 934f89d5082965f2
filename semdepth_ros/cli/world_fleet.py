"""`semdepth world --fleet N --workers W`: many drives written as folder sequences, by one process or several."""
from __future__ import annotations

import os
import shutil
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import FIRST_EXCEPTION, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import connection, get_context, parent_process
from pathlib import Path

import torch

from semdepth_ros.cli.progress import Progress
from semdepth_ros.data.folder import FOLDERS
from semdepth_ros.data.folder_writer import write_folder_sequence
from semdepth_ros.data.sample import Sample
from semdepth_ros.world import Cavity, Drive, noisy_labels
from semdepth_ros.world.fleet import FleetCavity, FleetDrive

CPU_BATCH, GPU_BATCH = 8, 16    # frames rendered at once
PARTS = ('images', FOLDERS['depth'], FOLDERS['labels'])
NOISY_PARTS = (FOLDERS['noisy_labels'], FOLDERS['noisy_confidence'])
LOOK_S = 0.2                    # how often the workers' progress is looked at
_shared = {}                    # of a worker: `done`, frames of all workers, and `stop`, whether to end


class Stopped(Exception):
    """The command ends before this drive does."""


def samples(drive: Drive | Cavity, progress, label_noise: dict | None = None) -> Iterator[Sample]:
    """Yield the frames of a drive as samples; progress is called with (done, total).

    :param label_noise: rates that noisy_labels takes; where given, samples have noisy labels too, each object's errors
        the same through the drive
    """
    batch = CPU_BATCH if drive.device == 'cpu' else GPU_BATCH
    for first in range(0, len(drive), batch):
        numbers = range(first, min(first + batch, len(drive)))
        for i, frame in zip(numbers, drive.render(numbers)):
            noisy = (None, None) if label_noise is None else noisy_labels(
                frame, drive.camera, drive.seed, **label_noise)
            yield Sample(f'{i:06d}', frame.image, drive.camera, frame.stamp_ns, frame.depth, frame.labels, *noisy,
                         pose=frame.pose)
            progress(i + 1, len(drive))


def write_drives(drives: list[FleetDrive | FleetCavity], out: Path, image_format: str, device: str, workers: int,
                 label_noise: dict | None = None) -> int:
    """Write drives to OUT/000_day, OUT/001_fog ...; return how many were there already and are kept.

    A folder there that is not whole is done again. What is written does not depend on the number of workers.

    :param label_noise: as for samples
    :raises ValueError: what a drive or a worker fails with, its name before it
    """
    parts = PARTS if label_noise is None else PARTS + NOISY_PARTS
    missing = [drive for drive in drives if not is_whole(out / drive.name, parts)]
    total = sum(drive.frames for drive in missing)
    with Progress('frames') as progress:
        if workers == 1 or len(missing) < 2:
            done = 0
            for drive in missing:
                _write(drive, out, image_format, device, label_noise, lambda n, _: progress(done + n, total))
                done += drive.frames
        else:
            _in_processes(missing, (out, image_format, device, label_noise), min(workers, len(missing)),
                          lambda n: progress(n, total))
    return len(drives) - len(missing)


def is_whole(path: Path, parts: tuple[str, ...] = PARTS) -> bool:
    """Whether a folder sequence of the world is complete: its description, and as many files of each part as times."""
    if not (path / 'sequence.yaml').is_file() or not (path / 'times.txt').is_file():
        return False
    frames = len((path / 'times.txt').read_text().splitlines())
    written = [[p for p in (path / part).glob('*') if p.stat().st_size] for part in parts]
    return frames > 0 and all(len(files) == frames for files in written)


def _write(drive: FleetDrive, out: Path, image_format: str, device: str, label_noise: dict | None, progress) -> None:
    path = out / drive.name
    shutil.rmtree(path, ignore_errors=True)
    built = drive.build(device)
    write_folder_sequence(path, samples(built, progress, label_noise), built.camera, built.rate_hz, image_format,
                          built.units_per_metre)


def _in_processes(drives: list[FleetDrive], how: tuple, workers: int, progress) -> None:
    context = get_context('spawn')
    done, stop = context.Value('q', 0), context.Event()
    pool = ProcessPoolExecutor(workers, context, _start_worker, (done, stop))
    try:
        with _Deaf():       # a process inherits it: Ctrl-C reaches this one alone, which then ends the others
            waiting = {pool.submit(_work, drive, *how): drive.name for drive in drives}
        while waiting:
            finished, _ = wait(waiting, LOOK_S, FIRST_EXCEPTION)
            for future in finished:
                _expect_success(waiting.pop(future), future.exception())
            progress(done.value)
    finally:
        stop.set()
        pool.shutdown(cancel_futures=True)


def _expect_success(name: str, error: BaseException | None) -> None:
    if isinstance(error, BrokenProcessPool):
        raise ValueError('a worker was killed, perhaps for want of memory: try fewer workers') from None
    if error is not None:
        words = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ValueError(f'drive {name}: {words}') from error


class _Deaf:
    """Ignores Ctrl-C inside a with block, where signals can be handled at all."""

    def __enter__(self) -> None:
        self.main = threading.current_thread() is threading.main_thread()
        self.before = signal.signal(signal.SIGINT, signal.SIG_IGN) if self.main else None

    def __exit__(self, *_) -> None:
        if self.main:
            signal.signal(signal.SIGINT, self.before)


def _start_worker(done, stop) -> None:
    """Prepare a worker: one thread, deaf to Ctrl-C, and never alive without the command that started it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_num_threads(1)
    _shared.update(done=done, stop=stop)
    threading.Thread(target=_end_with, args=(parent_process().sentinel,), daemon=True).start()


def _end_with(sentinel: int) -> None:
    connection.wait([sentinel])
    os._exit(1)


def _work(drive: FleetDrive, *how) -> None:
    _write(drive, *how, _count)


def _count(*_) -> None:
    with _shared['done'].get_lock():
        _shared['done'].value += 1
    if _shared['stop'].is_set():
        raise Stopped
