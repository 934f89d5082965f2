"""What is served, as a ModelInfo message."""
from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from semdepth_ros.bridge.messages import MessageTypes
from semdepth_ros.classes import palette
from semdepth_ros.frame_perception import Scale
from semdepth_ros.model_file import ModelCard

NAME = 'semdepth_ros/msg/ModelInfo'


@dataclass(frozen=True)
class Served:
    """The weights that answer: their card, their file's name and SHA-256 (hex), and how they are run."""

    card: ModelCard
    file: str
    sha256: str
    device: str = ''
    precision: str = ''


def make_model_info(types: MessageTypes, header: Any, served: Served, scale: Scale, scale_source: str,
                    input_size: tuple[int, int] = (0, 0)) -> Any:
    """Return the semdepth_ros/ModelInfo of what is served.

    :param header: of the first image answered; a zero one before any image
    :param input_size: width and height of the network's input for the present camera [px]
    """
    card = served.card
    names = [''] * (1 + max((c.train_id for c in card.classes), default=-1))
    for c in card.classes:
        names[c.train_id] = c.name
    return types.make(
        NAME, header=header, name=card.name, version=card.version,
        parent=card.version if card.parent is None else card.parent,
        factory_hash=card.factory, sha256=served.sha256, file=served.file,
        architecture=json.dumps(card.architecture, sort_keys=True), recipe=str(card.recipe.get('name', '')),
        class_names=names, class_colors=palette(tuple(card.classes))[:len(names)].reshape(-1), input_width=input_size[0], input_height=input_size[1],
        min_depth=float(card.depth_range_m[0]), max_depth=float(card.depth_range_m[1]),
        device=served.device, precision=served.precision, scale=float(scale.value),
        scale_sigma=float(scale.sigma / scale.value), scale_source=scale_source, metric=bool(scale.metric),
        card=json.dumps(asdict(card)))


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file, hex.

    :raises OSError: it cannot be read
    """
    return hashlib.sha256(path.read_bytes()).hexdigest()
