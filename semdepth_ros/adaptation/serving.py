"""Which weights are served, which were before them, and how they come and go."""
from __future__ import annotations

from collections import deque
from dataclasses import replace

import numpy as np

from semdepth_ros.adaptation.comparison import compare
from semdepth_ros.adaptation.factory import Classes
from semdepth_ros.adaptation.settings import AdapterSettings
from semdepth_ros.adaptation.triplet import Triplet
from semdepth_ros.adaptation.versions import Version, Versions
from semdepth_ros.adaptation.watch import Probation, WatchReport
from semdepth_ros.geometry.camera import Camera
from semdepth_ros.model_file import ModelFileError
from semdepth_ros.networks import JointNetwork

HOUR_NS = 3_600_000_000_000


class Serving:
    """The served version, the one before it, and its probation.

    :param factory: version 0
    :param versions: where promoted weights are written; None keeps them in memory
    """

    def __init__(self, factory: Version, versions: Versions | None, settings: AdapterSettings):
        self.factory, self.served, self.previous = factory, factory, None
        self.probation: Probation | None = None
        self._versions, self._settings, self._highest = versions, settings, 0
        self._promoted_ns: deque[int] = deque()

    def may_promote(self, stamp_ns: int) -> bool:
        """Return whether nothing is on probation and the hour before this stamp has room for another promotion."""
        while self._promoted_ns and abs(stamp_ns - self._promoted_ns[0]) > HOUR_NS:
            self._promoted_ns.popleft()
        return self.probation is None and len(self._promoted_ns) < self._settings.trial.promotions_per_hour

    def promote(self, candidate: JointNetwork, probes: list[np.ndarray], camera: Camera, metrics: dict,
                stamp_ns: int) -> Version:
        """Serve a candidate from now on, on probation; return its version.

        :raises OSError, ModelFileError: its file cannot be written; what is served then stays
        """
        parent = self.served
        if self._versions is None:
            number = max(parent.number, self._highest) + 1
            version = Version(candidate, replace(self.factory.card, version=number, parent=parent.number))
        else:
            version = self._versions.write(candidate, parent, probes, camera, metrics)
        self.served, self.previous, self.probation = version, parent, Probation(self._settings.watch)
        self._highest = version.number
        self._promoted_ns.append(stamp_ns)
        return version

    def rollback(self) -> Version:
        """Serve the weights before the last promotion; return those that are withdrawn.

        :raises ValueError: there are none
        """
        if self.previous is None:
            raise ValueError('no earlier weights to go back to')
        withdrawn = self.served
        self.served, self.previous, self.probation = self.previous, None, None
        if self._versions is not None:
            self._versions.withdraw(withdrawn)
        return withdrawn

    def believe(self, number: int) -> bool:
        """Take it that this version is served; return whether that is news.

        :raises ValueError: a version that is not known here; nothing changes then
        """
        if number == self.served.number:
            return False
        known = next((v for v in (self.previous, self.factory) if v is not None and v.number == number), None)
        if known is None and self._versions is None:
            raise ValueError(f'version {number} is said to be served, which is not known here')
        self.served, self.previous, self.probation = known or self._versions.read(number), None, None
        return True

    def start_from(self, version: Version) -> None:
        """Serve weights of an earlier run, on probation where those before them can be had: whether they had passed theirs
        is not known."""
        self.served, self.previous, self.probation = version, self._parent_of(version), None
        if self.previous is not None:
            self.probation = Probation(self._settings.watch)

    def _parent_of(self, version: Version) -> Version | None:
        parent = version.card.parent
        if parent in (None, self.factory.number):
            return None if parent is None else self.factory
        try:
            return None if self._versions is None else self._versions.read(parent)
        except ModelFileError:
            return None

    def watch(self, triplet: Triplet, classes: Classes, focal_px: float) -> tuple[WatchReport, tuple | None] | None:
        """Let the previous weights see an accepted triplet now and then; None where nothing is on probation."""
        if self.probation is None or self.previous is None:
            return None
        errors = None
        if self.probation.wants:
            errors = compare(triplet, self.served.network, self.previous.network, classes, focal_px).errors
        report = self.probation.take(errors)
        if report.over:
            self.probation = None
        return report, errors
