"""What a triplet must be to be learned from: a table of gates, asked in order, each with its reason."""
from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from semdepth_ros.adaptation.evidence import Evidence
from semdepth_ros.adaptation.odometry import between_deg, travel_m, turn_deg
from semdepth_ros.adaptation.settings import Gates
from semdepth_ros.adaptation.tracks import flow_px, parallax_px


@dataclass(frozen=True)
class Verdict:
    """What a gate says.

    :param open: whether the triplet may pass
    :param value, limit: what was measured, and the bound it was held against
    :param reason: one line where it may not
    """

    open: bool
    value: float = float('nan')
    limit: float = float('nan')
    reason: str = ''


Gate = Callable[[Evidence, Gates], Verdict]


def stamps(evidence: Evidence, s: Gates) -> Verdict:
    """Stamps rise, by nearly equal steps."""
    first, second = ((b.stamp_ns - a.stamp_ns) / 1e9 for a, b in zip(evidence.frames, evidence.frames[1:]))
    if first <= 0 or second <= 0:
        return Verdict(False, min(first, second), 0.0, f'stamps step by {first:.3f} and {second:.3f} s')
    uneven = max(first, second) / min(first, second) - 1
    return _at_most(uneven, s.stamp_irregularity, 'intervals between stamps differ by {:.2f}')


def exposure(evidence: Evidence, s: Gates) -> Verdict:
    """Every frame is neither dark, nor burnt out, nor of one grey."""
    for frame in evidence.frames:
        grey = frame.grey
        mean, deviation = float(grey.mean()), float(grey.std())
        if not s.least_mean <= mean <= s.most_mean:
            limit = s.least_mean if mean < s.least_mean else s.most_mean
            return Verdict(False, mean, limit, f'mean grey is {mean:.0f}')
        if deviation < s.least_deviation:
            return Verdict(False, deviation, s.least_deviation, f'grey deviates by {deviation:.1f} only')
        saturated = float(((grey <= 2) | (grey >= 253)).mean())
        if saturated > s.most_saturated:
            reason = f'{100 * saturated:.0f} % of the pixels are black or white'
            return Verdict(False, saturated, s.most_saturated, reason)
    return Verdict(True, mean, s.least_mean)


def texture(evidence: Evidence, s: Gates) -> Verdict:
    """The target has gradients, and is sharp."""
    if evidence.texture < s.least_texture:
        return _at_least(evidence.texture, s.least_texture, 'a share of {:.3f} of the pixels has a gradient')
    return _at_least(evidence.sharpness, s.least_sharpness, "the Laplacian's variance is {:.1f}")


def tracks(evidence: Evidence, s: Gates) -> Verdict:
    """Enough corners are found again in both neighbours: the frames follow each other."""
    fewest = min(len(t) for t in evidence.tracks)
    if fewest < s.least_tracks:
        return _at_least(fewest, s.least_tracks, '{:.0f} points could be tracked')
    found = min(t.found for t in evidence.tracks)
    return _at_least(found, s.least_found, 'a share of {:.2f} of the points was found again')


def translation(evidence: Evidence, s: Gates) -> Verdict:
    """The camera has travelled, and not too far; where odometry does not say so, the images' flow does."""
    if evidence.has_odometry:
        travels = [travel_m(motion) for motion in evidence.odometry]
        if min(travels) < s.least_travel_m:
            return _at_least(min(travels), s.least_travel_m, 'travel is {:.3f} m')
        return _at_most(max(travels), s.most_travel_m, 'travel is {:.2f} m')
    return _at_least(min(flow_px(t) for t in evidence.tracks), s.least_flow_px, 'points moved by {:.2f} px')


def parallax(evidence: Evidence, s: Gates) -> Verdict:
    """Points move by more than a turn of the camera explains."""
    least = min(parallax_px(t, evidence.target.intrinsics) for t in evidence.tracks)
    return _at_least(least, s.least_parallax_px, 'parallax is {:.2f} px')


def rotation(evidence: Evidence, s: Gates) -> Verdict:
    """The camera does not turn fast."""
    turns = [turn_deg(told if told is not None else tracked.matrix if tracked is not None else np.eye(4))
             for told, tracked in zip(evidence.odometry, evidence.tracked)]
    return _at_most(max(turns), s.most_turn_deg, 'the camera turned by {:.1f} degrees')


def movable(evidence: Evidence, s: Gates) -> Verdict:
    """Most of what is seen stands still."""
    return _at_most(evidence.movable, s.most_movable, 'a share of {:.2f} of the pixels may move')


def motion(evidence: Evidence, s: Gates) -> Verdict:
    """One motion explains the tracked points of either pair."""
    if any(t is None for t in evidence.tracked):
        return Verdict(False, 0.0, s.least_inliers, 'too few points that stand still could be tracked')
    inliers = min(t.inliers for t in evidence.tracked)
    return _at_least(inliers, s.least_inliers, 'one motion explains a share of {:.2f} of the points')


def odometry(evidence: Evidence, s: Gates) -> Verdict:
    """Odometry and tracked points agree on the direction, and on the length once the scale is taken out.

    Of two directions images may bear out odometry's rather than that of the points' own fit, which the network's depth
    bends: then they agree.
    """
    if not evidence.has_odometry:
        return Verdict(True)
    for told, tracked, tracks in zip(evidence.odometry, evidence.tracked, evidence.tracks):
        apart = between_deg(told, tracked.matrix) if tracked is not None else 180.0
        if apart > s.most_direction_deg and not (tracked is not None and evidence.bears_out(tracks, told, tracked)):
            return _at_most(apart, s.most_direction_deg, 'odometry and images go {:.0f} degrees apart')
    if not evidence.scale.ready:
        count, least = len(evidence.scale), evidence.scale.least
        return Verdict(False, count, least, f'{count} of the {least} pairs that tell the scale of odometry')
    low, high = s.length_ratio
    if not evidence.log_scales:
        return Verdict(False, 0.0, low, 'the points do not say how far the camera went')
    for log_scale in evidence.log_scales:
        ratio = float(np.exp(log_scale)) / evidence.scale.value
        if not low <= ratio <= high:
            reason = f"odometry's travel is {ratio:.2f} times that of images"
            return Verdict(False, ratio, low if ratio < low else high, reason)
    return Verdict(True, ratio, high)


def auto_mask(evidence: Evidence, s: Gates) -> Verdict:
    """Enough pixels are explained better by the motion than by standing still."""
    return _at_least(evidence.survivors, s.least_survivors, 'the motion explains a share of {:.2f} of the pixels')


# in the order they are asked: cheap ones first, those that run the network last
GATES: dict[str, Gate] = {
    'stamps': stamps, 'exposure': exposure, 'texture': texture, 'tracks': tracks, 'translation': translation,
    'parallax': parallax, 'movable': movable, 'motion': motion, 'rotation': rotation, 'odometry': odometry,
    'auto_mask': auto_mask}
# asked by the adapter itself, in and around the step
OTHER_GATES = ('camera', 'settling', 'budget', 'loss', 'finite_loss', 'finite_gradient', 'finite_weights')
# those that close where something is wrong with camera, clock or odometry, not where there is merely nothing to learn
DISTRUSTED = ('camera', 'stamps', 'exposure', 'tracks', 'motion', 'odometry')


class GateKeeper:
    """Asks the gates, and counts what they turned away."""

    def __init__(self, settings: Gates):
        self.settings = settings
        self.rejections: Counter[str] = Counter()
        self.last: dict[str, Verdict] = {}

    def ask(self, evidence: Evidence) -> tuple[str, Verdict] | None:
        """Return the first gate that is closed, with its verdict; None where all are open."""
        for name, gate in GATES.items():
            if name in self.settings.off:
                continue
            verdict = gate(evidence, self.settings)
            self.last[name] = verdict
            if not verdict.open:
                self.rejections[name] += 1
                return name, verdict
        return None

    def close(self, name: str, verdict: Verdict) -> tuple[str, Verdict]:
        """Count a gate that somebody else has found closed."""
        self.last[name] = verdict
        self.rejections[name] += 1
        return name, verdict


def _at_least(value: float, limit: float, words: str) -> Verdict:
    return Verdict(True, value, limit) if value >= limit else Verdict(
        False, value, limit, f'{words.format(value)}, expected at least {limit:g}')


def _at_most(value: float, limit: float, words: str) -> Verdict:
    return Verdict(True, value, limit) if value <= limit else Verdict(
        False, value, limit, f'{words.format(value)}, expected at most {limit:g}')
