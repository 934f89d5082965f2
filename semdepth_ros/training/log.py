"""What a run says while it runs: a progress bar, a line file and TensorBoard."""
from __future__ import annotations

import json
import math
import os
import sys
import time
from pathlib import Path
from typing import Any

from torch import Tensor
from tqdm import tqdm

LOG_NAME = 'log.jsonl'


class TrainingLog:
    """Losses averaged between log lines, written to `log.jsonl` and TensorBoard, shown beside the progress bar.

    Lines of steps that a resumed run repeats are dropped. Where TensorBoard is not installed the line file is all.

    :param folder: None writes nothing (every process but the first)
    """

    def __init__(self, folder: Path | None, first: int, last: int, every: int):
        self.folder, self.every = folder, every
        self._sums: dict[str, Tensor] = {}
        self._steps, self._images, self._since = 0, 0, time.perf_counter()
        self._bar = tqdm(total=_known(last), initial=first, unit='step', dynamic_ncols=True, disable=folder is None,
                         mininterval=0.5 if sys.stderr.isatty() else 60)
        self._board = None
        if folder is not None:
            _drop_lines_from(folder / LOG_NAME, first)
            self._board = _tensorboard(folder, first)

    def expect(self, last: int) -> None:
        """Say how many steps there will be."""
        self._bar.total = _known(last)

    def step(self, step: int, losses: dict[str, Tensor], images: int, **more: float) -> None:
        """Count one step; write a line if one is due."""
        self._steps, self._images = self._steps + 1, self._images + images
        for name, value in losses.items():
            self._sums[name] = self._sums.get(name, 0) + value.detach()
        self._bar.update()
        if (step + 1) % self.every == 0:
            means = {name: float(total) / self._steps for name, total in self._sums.items()}
            rate = self._images / (time.perf_counter() - self._since)
            self._bar.set_postfix_str(f'{rate:.1f} images/s ' + ' '.join(f'{k} {v:.4f}' for k, v in means.items()))
            self.write(step + 1, 'train', {**means, **more, 'images_per_s': rate})
            self.restart_clock()

    def restart_clock(self) -> None:
        """Forget the losses and the time since the last line, so that validation does not count as training."""
        self._sums, self._steps, self._images, self._since = {}, 0, 0, time.perf_counter()

    def write(self, step: int, kind: str, values: dict[str, Any]) -> None:
        """Write one line of values, and its numbers to TensorBoard."""
        if self.folder is None:
            return
        rounded = {k: float(f'{v:.6g}') if isinstance(v, float) else v for k, v in values.items()}
        with open(self.folder / LOG_NAME, 'a') as file:
            file.write(json.dumps({'step': step, 'kind': kind, **rounded}) + '\n')
        for name, value in values.items():
            if self._board is not None and isinstance(value, (int, float)):
                self._board.add_scalar(f'{kind}/{name}', value, step)

    def say(self, text: str) -> None:
        """Print a line without breaking the progress bar."""
        if self.folder is not None:
            self._bar.write(text, file=sys.stderr)

    def __enter__(self) -> TrainingLog:
        return self

    def __exit__(self, *exception) -> None:
        self._bar.close()
        if self._board is not None:
            self._board.close()


def _known(last: int) -> int | None:
    """Return the number of steps, None where it is not known yet."""
    return None if last == sys.maxsize else last


def _drop_lines_from(path: Path, first: int) -> None:
    """Leave the lines of steps up to the first, and none that was torn when its writer was stopped."""
    if path.exists():
        kept = [line + '\n' for line in path.read_text(errors='replace').splitlines() if _step_of(line) <= first]
        partial = path.with_suffix('.partial')
        partial.write_text(''.join(kept))
        os.replace(partial, path)


def _step_of(line: str) -> float:
    """Return the step of a line, infinity where it is not a whole one."""
    try:
        return json.loads(line)['step']
    except (ValueError, KeyError, TypeError):
        return math.inf


def _tensorboard(folder: Path, first: int):
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(str(folder / 'tensorboard'), purge_step=first)
