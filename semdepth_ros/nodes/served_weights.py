"""What perception is asked to serve, and what it says that it serves: the learner believes only that."""
from __future__ import annotations

import math
import os
import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from rclpy.lifecycle import LifecycleNode

from semdepth_ros.adaptation import Adapter, Version
from semdepth_ros.bags.qos import LATCHED
from semdepth_ros.bridge.adaptation_status import UPDATE, make_weights_update
from semdepth_ros.bridge.messages import stamp_ns
from semdepth_ros.bridge.model_info import sha256_of
from semdepth_ros.bridge.rclpy_types import RclpyTypes, qos_profile
from semdepth_ros.model_file import find_model
from semdepth_ros.nodes.declared_parameters import DeclaredParameters

FACTORY = 'factory.safetensors'     # in the folder of weights: what perception goes back to


class ServedWeights:
    """Announces versions, and hears of those that are served.

    hear() and look_again() are called by the executor's thread, announce_changes() by the learner's.

    :param folder: that perception reads, too
    :param put: has the learner's thread call a function between two frames
    """

    def __init__(self, node: LifecycleNode, types: RclpyTypes, parameters: DeclaredParameters, adapter: Adapter,
                 folder: Path, put: Callable[[Callable[[], None]], None]):
        self._node, self._types, self._parameters, self._adapter = node, types, parameters, adapter
        self._folder, self._put, self._seen = folder, put, (0, '')
        self._publisher = node.create_publisher(types.message_class(UPDATE), 'weights', qos_profile(LATCHED))
        self._announced, self._announced_at_s = 0, -math.inf    # the factory's needs no announcement
        self._info: Any = None      # what perception said last
        self._doubted: tuple = ()   # what of it has been looked at again
        self._begun: Any = None     # what it said of itself when it began

    def close(self) -> None:
        """Announce no more."""
        self._node.destroy_publisher(self._publisher)

    def announce_changes(self, stamp: int, frame_id: str) -> None:
        """Ask perception to serve what the learner serves, if that is news.

        :param stamp, frame_id: of the newest image [ns]
        """
        self._seen, version = (stamp, frame_id), self._adapter.serving.served
        if version.number != self._announced and self._adapter.mode == 'on':
            said = 0 if self._info is None else self._info.version
            self._announce(version, back=version.number < max(self._announced, said))

    def hear(self, info: Any) -> None:
        """Take in a ModelInfo."""
        self._info = info
        self._put(lambda: self._believe(info))

    def look_again(self, now_s: float) -> None:
        """Look again at what perception said last once it has had the time to change: one that refuses says nothing."""
        info, doubt = self._info, (self._info, self._announced_at_s)
        if info is None or doubt == self._doubted or info.version == self._adapter.serving.served.number:
            return
        if now_s - self._announced_at_s >= self._parameters['announcement_patience_s']:
            self._doubted = doubt
            self._put(lambda: self._believe(info))

    def _announce(self, version: Version, back: bool) -> None:
        """Ask perception to serve a version.

        :param back: whether it may be older than what perception serves
        """
        self._announced, self._announced_at_s = version.number, time.monotonic()
        if version.path is None:
            version = self._factory_file(version)
        self._publisher.publish(make_weights_update(self._types, version, back, *self._seen,
                                                    self._adapter.last_verdict or 'resumed'))

    def _factory_file(self, version: Version) -> Version:
        """Return the factory's version with a file of it in the folder that perception reads."""
        source, path = find_model(self._parameters['model']), self._folder / FACTORY
        if not path.exists() or sha256_of(path) != sha256_of(source):
            self._folder.mkdir(parents=True, exist_ok=True)
            partial = path.with_suffix('.partial')
            shutil.copyfile(source, partial)
            os.replace(partial, path)
        return replace(version, path=path, sha256=sha256_of(path))

    def _believe(self, info: Any) -> None:
        """Take it that perception serves what it says, but for what it has not yet had the time to change to.

        A perception that has just begun serves its own model first: what was announced reaches it a moment later. One
        that serves what was put aside, or cannot be read here, is asked to go back.
        """
        if self._announced and not stamp_ns(info.header) and info is not self._begun:
            self._begun, self._announced_at_s = info, time.monotonic()
        served = self._adapter.serving
        factory = served.factory.card.factory
        if info.factory_hash != factory:
            raise ValueError(f'perception serves weights of factory {info.factory_hash[:12]}, the learner has '
                             f'{factory[:12]}: start both with the same model')
        is_early = time.monotonic() - self._announced_at_s < self._parameters['announcement_patience_s']
        if info.version == served.served.number or (is_early and info.version != self._announced):
            return
        try:
            self._adapter.believe(info.version)
        except ValueError as error:
            if self._adapter.mode != 'on':
                raise
            self._announce(served.served, back=True)
            raise ValueError(f'perception serves version {info.version}, which is not to be had here ({error}): it is '
                             f'asked to serve version {self._announced}') from error
        self._announced = info.version
        self._node.get_logger().warning(f'perception serves version {info.version}; learning goes on from there')
