"""Blocks of consecutive frames that are never learned from, each used in one trial at most."""
from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from semdepth_ros.adaptation.replay import Stored, pack, unpack
from semdepth_ros.adaptation.settings import Trial
from semdepth_ros.adaptation.triplet import Triplet


@dataclass(frozen=True)
class Block:
    """Triplets of held-out frames that passed the gates.

    :param first: number of the block's first frame
    """

    first: int
    stored: tuple[Stored, ...]

    @property
    def triplets(self) -> list[Triplet]:
        """The triplets, their images decoded."""
        return [unpack(stored) for stored in self.stored]


class HeldOut:
    """Says which frames are held out, and keeps their blocks until a trial takes them.

    Frames that are passed over do not count here.
    Of every `period` frames the last `block` are held out. A triplet is learned from if none of its three frames is,
    and belongs to a block if all are; else it is neither.
    """

    def __init__(self, settings: Trial):
        self.settings = settings
        self.fresh: deque[Block] = deque(maxlen=settings.most_blocks)
        self._first, self._open = -1, []

    def is_held(self, number: int) -> bool:
        """Return whether the frame of this number is held out."""
        return number % self.settings.period >= self.settings.period - self.settings.block

    def kind(self, target: int) -> str:
        """Return what the triplet around a target is: `train`, `held` or `between`."""
        held = sum(self.is_held(n) for n in (target - 1, target, target + 1))
        return {0: 'train', 3: 'held'}.get(held, 'between')

    def add(self, triplet: Triplet) -> None:
        """Take a held-out triplet."""
        first = triplet.number - triplet.number % self.settings.period
        if first != self._first:
            self._first, self._open = first, []
        self._open.append(pack(triplet))

    def close(self, number: int, frame_of: Callable[[int], int] = int) -> Block | None:
        """Return the block that ends before the frame of this number, where any of its triplets were taken.

        :param frame_of: gives a frame's number among all frames, those passed over too
        """
        if not self._open or number - self._first < self.settings.period:
            return None
        block = Block(frame_of(self._first + self.settings.period - self.settings.block), tuple(self._open))
        self._open = []
        self.fresh.append(block)
        return block

    def take(self) -> list[Block]:
        """Return all fresh blocks, which are not fresh any more."""
        blocks, self.fresh = list(self.fresh), deque(maxlen=self.settings.most_blocks)
        return blocks

    def clear(self) -> None:
        """Drop all blocks, an unfinished one too."""
        self.fresh.clear()
        self._first, self._open = -1, []
