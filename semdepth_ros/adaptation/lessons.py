"""What a step is taken on: the live triplet beside replayed ones and anchors."""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from semdepth_ros.adaptation.anchors import knows_the_world
from semdepth_ros.adaptation.factory import FactoryModel
from semdepth_ros.adaptation.learner import Learner, Outcome
from semdepth_ros.adaptation.replay import ReplayMemory
from semdepth_ros.adaptation.road_plane import RoadPlaneMemory
from semdepth_ros.adaptation.settings import AdapterSettings
from semdepth_ros.adaptation.triplet import Triplet, batch_of
from semdepth_ros.adaptation.view import AdaptationBatch
from semdepth_ros.geometry.camera import Camera

Render = Callable[[Camera, Tensor, int, FactoryModel], list[Triplet]]


class Lessons:
    """Keeps replay memory, anchors and the road's plane, and teaches the learner with them.

    :param render: gives anchors of (camera of the input, seen, count, factory)
    """

    def __init__(self, factory: FactoryModel, settings: AdapterSettings, render: Render):
        self.settings, self.replay, self.road = settings, ReplayMemory(settings.memory), RoadPlaneMemory()
        self._factory, self._render = factory, render
        self._anchors: dict[Camera, list[Triplet] | None] = {}

    def look(self, triplet: Triplet) -> None:
        """Take note of the road of an accepted triplet."""
        road = np.isin(triplet.labels, self._factory.classes.road) & triplet.seen.numpy()
        self.road.take(triplet.factory_depth, road, triplet.camera)

    def teach(self, learner: Learner, triplet: Triplet) -> tuple[int, Outcome]:
        """Take the steps of one triplet, and keep it if it is new; return how many stand, and what the last came to."""
        taken = 0
        for draw in range(self.settings.step.steps):
            outcome = learner.step(self.batch(triplet, draw))
            if outcome.closed:
                break
            taken += 1
        self.replay.offer(triplet)
        return taken, outcome

    def batch(self, triplet: Triplet, draw: int = 0) -> AdaptationBatch:
        """Return the live triplet with what is drawn beside it, the same for the same triplet and memory."""
        step, rng = self.settings.step, np.random.default_rng([self.settings.seed, triplet.number, draw])
        replayed = self.replay.draw(triplet.camera, step.replay, rng)
        anchors = self.anchors(triplet)[0] if step.anchors else []
        held = [anchors[i] for i in rng.permutation(len(anchors))[:step.anchors]]
        held = [t if t.depth is not None else replace(t, depth=t.factory_depth) for t in held]
        triplets, logits = [triplet, *replayed, *held], None
        if self.settings.step.profile in ('batch_norm', 'all'):
            logits = self._factory.predict(torch.stack([t.images[0] for t in triplets]), triplet.camera.fx)[1]
        return batch_of(triplets, self._factory.classes, self.settings.gates.texture_step, self.road.plane, logits,
                        self._factory.device)

    def anchors(self, triplet: Triplet) -> tuple[list[Triplet], list[Triplet]]:
        """Return anchors to learn from, and others to judge by, under this triplet's camera.

        They are the world's where the factory weights know it, else the first triplets that were kept of the drive. None is
        in both lists, but for a single one.
        """
        source, camera, most = self.settings.step.anchors_from, triplet.camera, self.settings.memory.anchor_frames
        if source == 'none':
            return [], []
        if camera not in self._anchors:
            found = [] if source == 'stored' else self._render(camera, triplet.seen, most, self._factory)
            self._anchors[camera] = found if source == 'world' or knows_the_world(found) else None
        found = self._anchors[camera]
        if found is None:
            found = self.replay.first(camera, most)           # more come as the drive goes on: every second one judges
            return found[::2], found[1::2] or found
        half = (len(found) + 1) // 2                          # both halves have frames of day, night, fog ...
        return found[:half], found[half:] or found
