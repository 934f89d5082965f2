"""The names of the labels, as vision_msgs has them."""
from __future__ import annotations

from collections.abc import Collection
from typing import Any

from semdepth_ros.bridge.messages import MessageTypes
from semdepth_ros.classes import SemanticClass

NAME = 'vision_msgs/msg/LabelInfo'


def make_label_info(types: MessageTypes, header: Any, classes: Collection[SemanticClass],
                    threshold: float = 0.0) -> Any:
    """Return a vision_msgs/LabelInfo that names every label; 255 in an image is no class.

    :param threshold: labels less probable than this have been sent as 255
    """
    names = [types.make('vision_msgs/msg/VisionClass', class_id=c.train_id, class_name=c.name) for c in classes]
    return types.make(NAME, header=header, class_map=names, threshold=threshold)
