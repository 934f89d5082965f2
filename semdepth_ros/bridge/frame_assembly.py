"""What has come over several topics for one frame, until nothing more can come for it."""
from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any


class FrameAssembly:
    """Collects the parts of frames, each under the stamp of the frame's first part.

    A frame is whole once every part that is expected has come, or its topic has gone past the frame: every topic is
    taken to be in order. Beyond `most` frames that wait, the oldest is taken as it is, and so is one that has waited
    for long.

    :param slop_ns: how far from a frame's stamp its part may be, by part; 0 where not said
    """

    def __init__(self, most: int, slop_ns: Mapping[str, int]):
        self._most, self._slop_ns = most, slop_ns
        self._frames: dict[int, dict[str, Any]] = {}
        self._begun_s: dict[int, float] = {}
        self._newest: dict[str, int] = {}

    def begin(self, stamp_ns: int, name: str, part: Any, at_s: float) -> None:
        """Take in the first part of a frame, which came at this time [s]."""
        self._frames.setdefault(stamp_ns, {})[name] = part
        self._begun_s.setdefault(stamp_ns, at_s)

    def add(self, stamp_ns: int, name: str, part: Any) -> None:
        """Take in another part of the frame of this stamp; one that is gone already is let be."""
        if stamp_ns in self._frames:
            self._frames[stamp_ns][name] = part

    def passed(self, name: str, stamp_ns: int) -> None:
        """Note how far a part's topic has come, whichever frames its messages belong to."""
        self._newest[name] = stamp_ns

    def begin_anew(self) -> None:
        """Forget how far topics have come, as when their clock is set back: where they were is past no new frame."""
        self._newest.clear()

    def whole(self, expected: Collection[str], before_s: float) -> list[tuple[int, dict[str, Any]]]:
        """Take out the frames that are whole, in the order of their stamps, up to the first that is not.

        :param expected: the parts that somebody sends
        :param before_s: frames that began before this time have waited for long [s]; infinity at the end
        """
        found = []
        for stamp_ns in sorted(self._frames):
            is_waiting = any(name not in self._frames[stamp_ns] and not self._is_past(name, stamp_ns)
                             for name in expected)
            if is_waiting and self._begun_s[stamp_ns] >= before_s and len(self._frames) <= self._most:
                break
            del self._begun_s[stamp_ns]
            found.append((stamp_ns, self._frames.pop(stamp_ns)))
        return found

    def _is_past(self, name: str, stamp_ns: int) -> bool:
        return self._newest.get(name, stamp_ns - 1) >= stamp_ns + self._slop_ns.get(name, 0)
