"""The learner over many frames: steps, trials and promotions to the end, and no memory grown.

`python test/soak_learner.py` prints one line of JSON; test/soak.py runs it and makes a table of it.
"""
from __future__ import annotations

import argparse
import gc
import json
from pathlib import Path
import resource
import sys
import tempfile
import time

from adaptation_world import PERIOD_NS, STEP_M, adapter, frame, pose, view, with_pixels
import torch

FLAT, BLOCK = 0.01, 1000    # frames between two looks at the memory, which is compared from the second on
ROUND = round(40.0 / STEP_M)    # frames until the corridor begins anew: one in so many triplets does not fit


def run(frames: int, folder: Path) -> dict:
    """Drive down the corridor; return what was counted, and the memory after each block [MB]."""
    torch.set_num_threads(1)
    learner = adapter(folder=folder / 'weights', journal=folder / 'journal.jsonl')
    memory, began = [], time.monotonic()
    for number in range(frames):
        seen = with_pixels(frame(0, stamp_ns=number * PERIOD_NS), view(number % ROUND * STEP_M)[0])
        learner.observe(seen, pose(number))
        if (number + 1) % BLOCK == 0:
            gc.collect()
            memory.append(_resident_mb())
            print(number + 1, memory[-1], dict(learner.counts), file=sys.stderr)
    learner.journal.close()
    grown = memory[-1] / memory[1] - 1 if len(memory) > 2 else float('nan')
    steps, kept = learner.counts['steps'], len(list((folder / 'weights').glob('v*.safetensors')))
    return {'frames': frames, 'steps': steps, 'promotions': learner.counts['promotions'],
            'trials refused': learner.counts['rejections'], 'resets': learner.counts['resets'], 'versions kept': kept,
            'frames per second': frames / (time.monotonic() - began),
            'first MB': memory[1] if len(memory) > 1 else 0.0, 'last MB': memory[-1] if memory else 0.0, 'grown': grown,
            'good': steps > frames / 4 and grown < FLAT}


def _resident_mb() -> float:
    pages = int(Path('/proc/self/statm').read_text().split()[1])
    return round(pages * resource.getpagesize() / 1e6, 1)


def main() -> int:
    """Run it; the last line is JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--frames', type=int, default=10_000)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        result = run(args.frames, Path(folder))
    print(json.dumps(result))
    return 0 if result['good'] else 1


if __name__ == '__main__':
    sys.exit(main())
