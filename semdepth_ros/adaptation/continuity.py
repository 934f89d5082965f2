"""Whether a frame follows the one before: the same camera, a little later, nearly the same view."""
from __future__ import annotations

from semdepth_ros.adaptation.factory import Seen
from semdepth_ros.adaptation.network_frame import NetworkFrame
from semdepth_ros.adaptation.settings import Reset

NEW_CAMERA, AGAIN = 'new camera', 'again'


def break_before(before: NetworkFrame, taken: NetworkFrame, settings: Reset, follows_ns: int | None = None) -> str:
    """Return why a frame does not follow the one before, by camera and stamps: AGAIN for the same stamp, else '' or
    words.

    :param follows_ns: the stamp of the frame that came right before it, where that is another one, which nobody looked at
    """
    if taken.source != before.source:
        return NEW_CAMERA
    elapsed_s = (taken.stamp_ns - before.stamp_ns) / 1e9
    if elapsed_s == 0:
        return AGAIN
    gap_s = elapsed_s if follows_ns is None else (taken.stamp_ns - follows_ns) / 1e9
    if min(elapsed_s, gap_s) < 0:
        return f'the stamp went back by {-min(elapsed_s, gap_s):.3f} s'
    return f'gap of {gap_s:.1f} s' if gap_s > settings.longest_gap_s else ''


def cut_before(before: Seen, seen: Seen, settings: Reset) -> str:
    """Return why a frame shows another scene than the one before, by the factory weights' features; else ''."""
    similarity = float(before.features @ seen.features)
    return f'scene cut: features are {similarity:.2f} alike' if similarity < settings.least_similarity else ''
