"""How far apart the frames are that the learner looks at: farther where the camera hardly moves between them."""
from __future__ import annotations

import math

from semdepth_ros.adaptation.evidence import Evidence
from semdepth_ros.adaptation.gates import Verdict
from semdepth_ros.adaptation.odometry import travel_m
from semdepth_ros.adaptation.settings import Gates, Stride
from semdepth_ros.adaptation.tracks import flow_px

_BEFORE = ('stamps', 'exposure', 'texture', 'tracks')    # gates that are asked before anything is known of the motion


class FrameStride:
    """Says which frames are passed over, so that those looked at are a way apart that depth can be learned from.

    The two intervals of a triplet stay equal: a length changes for the next triplet as a whole (form ours; CoMoDA and
    CoVIO wait for 0.2 m of travel).
    """

    def __init__(self, settings: Stride):
        self.settings, self.length, self._left = settings, 1, 0

    def passes_over(self) -> bool:
        """Return whether the frame that has come is passed over."""
        if self._left:
            self._left -= 1
            return True
        self._left = self.length - 1
        return False

    def take(self, moved: float, interval_s: float) -> bool:
        """Take note of a triplet; return whether the next one has another length.

        :param moved: how far its pairs are apart, over the least that the gates ask for
        :param interval_s: between two of its frames
        """
        s, length = self.settings, self.length
        if moved < 1:
            length = math.ceil(s.aim * self.length / max(moved, 1e-3))
        elif moved > 2 * s.aim:
            length = math.floor(s.aim * self.length / moved)
        longest = int(s.longest_s * self.length / max(interval_s, 1e-6) + 1e-6)
        length = max(1, min(length, s.most, longest))
        changed, self.length = length != self.length, length
        self._left = length - 1 if changed else self._left
        return changed

    def restart(self) -> None:
        """Look at the next frame, and then at those a stride apart from it."""
        self._left = 0

    def begin(self) -> None:
        """Look at every frame again."""
        self.length, self._left = 1, 0


def moved(evidence: Evidence, closed: str, parallax: Verdict | None, s: Gates) -> float | None:
    """Return by how much a triplet's camera has moved, over the least that the gates ask for; None unknown.

    :param closed: the gate that turned it away; empty for none
    :param parallax: what that gate has said of this triplet; it is not asked where `translation` is closed
    """
    if closed in _BEFORE:
        return None
    ratios = []
    if 'translation' not in s.off:
        if evidence.has_odometry:
            ratios.append(min(travel_m(motion) for motion in evidence.odometry) / max(s.least_travel_m, 1e-9))
        else:
            ratios.append(min(flow_px(tracks) for tracks in evidence.tracks) / max(s.least_flow_px, 1e-9))
    if parallax is not None and closed != 'translation' and 'parallax' not in s.off:
        ratios.append(parallax.value / max(s.least_parallax_px, 1e-9))
    return min(ratios, default=None)
