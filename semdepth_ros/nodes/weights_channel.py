"""Weights that change while the node runs: announcements, the way back, and what is said about what is served."""
from __future__ import annotations

from collections.abc import Collection
from concurrent.futures import Future
import os
import queue
import threading
from pathlib import Path
from typing import Any

from rclpy.node import Node

from semdepth_ros.bags.qos import LATCHED
from semdepth_ros.bridge.messages import make_header
from semdepth_ros.bridge.model_info import NAME as MODEL_INFO, Served, make_model_info, sha256_of
from semdepth_ros.bridge.rclpy_types import RclpyTypes, qos_profile
from semdepth_ros.bridge.weights_update import accepted_file
from semdepth_ros.frame_perception import Scale
from semdepth_ros.model_file import ModelCard
from semdepth_ros.nodes.one_line import one_line
from semdepth_ros.nodes.throttled_log import ThrottledLog
from semdepth_ros.perception import Perceptor

UPDATE = 'semdepth_ros/msg/WeightsUpdate'
MOST_GROWTH = 2  # of an announced file over the one loaded at first: of one architecture, they are equally large
_NOISE = 0.01  # of the scale: a smaller change of one that is estimated in every image is no news


class WeightsChannel:
    """Loads announced weights beside the running ones, and says on model_info what answers which images.

    Loading, checking and going back happen on a thread of its own, one after the other; the Perceptor changes over
    between two frames.

    :param file: what was loaded at first
    :param folder: where announced files lie
    :param withdrawn: SHA-256 (hex) of files that a person has rolled back from; rollback() adds to it
    :param cameras: their names, each with a model_info of its own; the one without a name has ~/model_info
    """

    def __init__(self, node: Node, types: RclpyTypes, perceptor: Perceptor, file: Path, folder: Path,
                 withdrawn: set[str], log: ThrottledLog, cameras: Collection[str] = ('',)):
        self._node, self._types, self._perceptor, self._folder, self._log = node, types, perceptor, folder, log
        self._versions = {perceptor.version: self._served(perceptor.card, file.name, sha256_of(file))}
        self._withdrawn, self._most_bytes = withdrawn, MOST_GROWTH * file.stat().st_size
        self._announced: dict[str, tuple[tuple, Scale]] = {}  # what was said of each camera, and its scale then
        kind = types.message_class(MODEL_INFO)
        self._publishers = {name: node.create_publisher(kind, f'{name or "~"}/model_info', qos_profile(LATCHED))
                            for name in cameras}
        self._subscription = None
        self._asked: queue.SimpleQueue = queue.SimpleQueue()  # announcements, Futures of rollbacks, None for the end
        self._thread = threading.Thread(target=self._change_weights, name='change weights', daemon=True)
        for name in cameras:
            self._publish(name, make_header(types, 0, ''), perceptor.version, Scale(), 'none', (0, 0))
        self._thread.start()

    def open(self) -> None:
        """Listen to announcements; the newest one comes at once."""
        self._subscription = self._node.create_subscription(self._types.message_class(UPDATE), 'weights',
                                                            self._asked.put, qos_profile(LATCHED))

    def close(self) -> None:
        """Listen no longer."""
        if self._subscription is not None:
            self._node.destroy_subscription(self._subscription)
            self._subscription = None

    def end(self) -> None:
        """Close, finish what is being loaded, and take model_info back."""
        self.close()
        self._asked.put(None)
        self._thread.join(timeout=60.0)
        for publisher in self._publishers.values():
            self._node.destroy_publisher(publisher)

    def announce(self, camera: str, header: Any, version: int, scale: Scale, scale_source: str,
                 input_size: tuple[int, int]) -> None:
        """Say what answers this image, if that is news; to be called before its outputs are sent.

        :param camera: the camera's name; each is told of its own first image
        """
        news = (version, scale_source, scale.metric, input_size)
        told, told_scale = self._announced.get(camera, (None, scale))
        if news != told or _has_moved(told_scale, scale, 0.0 if scale_source == 'fixed' else _NOISE):
            self._announced[camera] = news, scale
            self._publish(camera, header, version, scale, scale_source, input_size)

    def rollback(self) -> Future[str]:
        """Go back to the weights served before, and refuse those left from here on.

        Their file is put aside, as the learner does with weights that it withdraws, so that no later start finds them.

        :return: says in one line what is served then; a ValueError where there are no earlier weights, another error
            where the device has no room for them
        """
        done: Future[str] = Future()
        self._asked.put(done)
        return done

    def _change_weights(self) -> None:
        while (asked := self._asked.get()) is not None:
            try:
                if isinstance(asked, Future):
                    asked.set_result(self._roll_back())
                else:
                    self._take(asked)
            except Exception as error:  # whatever one file does, the next announcement must be heard
                if isinstance(asked, Future):
                    asked.set_exception(error)
                else:
                    self._log.warn(one_line(error))

    def _roll_back(self) -> str:
        left = self._versions[self._perceptor.version]
        card = self._perceptor.rollback()
        self._withdrawn.add(left.sha256)
        self._put_aside(left)
        return f'serving version {card.version} again instead of {left.card.version}'

    def _put_aside(self, left: Served) -> None:
        path = self._folder / left.file
        try:
            if left.card.version and sha256_of(path) == left.sha256:
                os.replace(path, path.with_name(f'{path.name}.withdrawn'))
        except FileNotFoundError:
            pass                                            # the learner was quicker, or it was loaded from elsewhere
        except OSError as error:
            self._log.warn(f'{path} stays where a learner that begins anew will find it: {one_line(error)}')

    def _take(self, update: Any) -> None:
        before = self._perceptor.version
        if update.sha256 == self._versions[before].sha256:
            return  # the latched announcement of what is served comes again with every activation
        path = accepted_file(update, self._perceptor.card, self._folder, self._withdrawn, self._most_bytes)
        try:
            candidate = self._perceptor.prepare_weights(path, update.version, update.sha256)
        except Exception as error:
            raise ValueError(f'weights version {update.version} ({path.name!r}) refused: {one_line(error)}') from error
        # Known before they are served: the next frame may already be answered by them.
        self._versions[update.version] = self._served(candidate.card, path.name, update.sha256)
        self._perceptor.serve(candidate)
        self._node.get_logger().info(f'serving version {update.version} of {candidate.card.name or path.name} instead '
                                     f'of {before}: {update.reason or "no reason given"}')

    def _served(self, card: ModelCard, file: str, sha256: str) -> Served:
        return Served(card, file, sha256, self._perceptor.device, self._perceptor.precision)

    def _publish(self, camera: str, header: Any, version: int, scale: Scale, scale_source: str,
                 input_size: tuple[int, int]) -> None:
        served = self._versions[version]
        self._publishers[camera].publish(
            make_model_info(self._types, header, served, scale, scale_source, input_size))


def _has_moved(told: Scale, scale: Scale, fraction: float) -> bool:
    """Return whether the value or the deviation has changed by more than this fraction of the value told last."""
    return max(abs(scale.value - told.value), abs(scale.sigma - told.sigma)) > fraction * told.value
