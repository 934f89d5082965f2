"""What travels inside a model file beside the weights."""
from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from semdepth_ros.classes import CITYSCAPES, SemanticClass
from semdepth_ros.model_card_checks import ModelFileError, check_card

CARD_VERSION = 1


@dataclass(frozen=True)
class InputRule:
    """How a camera image becomes the network's input.

    :param pixels: budget of the network input [px]
    :param cpu_pixels: budget on a CPU, where it is another one; None is `pixels` there too
    :param multiple: of which height and width are multiples [px]
    :param max_anisotropy: largest ratio by which fx : fy may change
    :param mean, std: what the network itself subtracts and divides by, of rgb in 0..1
    """

    pixels: int = 640 * 192
    multiple: int = 32
    max_anisotropy: float = 1.05
    mean: float = 0.45
    std: float = 0.225
    cpu_pixels: int | None = None

    def on(self, device: str, pixels: int = 0) -> InputRule:
        """Return the rule that holds on a kind of device ('cpu', 'cuda').

        :param pixels: a budget in place of the rule's own; 0 for none
        """
        own = self.cpu_pixels if device == 'cpu' and self.cpu_pixels else self.pixels
        return replace(self, pixels=pixels or own, cpu_pixels=None)


@dataclass(frozen=True)
class ModelCard:
    """All that is known of one set of weights.

    :param architecture: what build_network makes the network from
    :param focal_px: horizontal focal length the network was trained for, at network size [px]
    :param name: what people call it
    :param version: counts up from 0, the factory's, with each set of weights learned from it
    :param parent: the version these weights were learned from; None for the factory's
    :param factory: tensor_hash of the factory's tensors; empty until first saved
    :param classes: one for each class score
    :param input: how camera images become inputs
    :param depth_range_m: nearest and farthest canonical depth [m]
    :param cameras: the cameras it was trained on
    :param recipe: the training recipe
    :param metrics: what was measured, by protocol
    :param sigma: relative sigma of depth = floor + gain * |ln d0 - ln d1|, of the depths of scales 0 and 1
    :param metric: whether depth is in metres on the cameras it was trained on
    :param created: date, ISO 8601
    :raises ModelFileError: a field of the wrong kind, or with a value that cannot be; see model_card_checks
    """

    architecture: dict
    focal_px: float
    name: str = ''
    version: int = 0
    parent: int | None = None
    factory: str = ''
    classes: tuple[SemanticClass, ...] = CITYSCAPES
    input: InputRule = InputRule()
    depth_range_m: tuple[float, float] = (0.1, 100.0)
    cameras: list = field(default_factory=list)
    recipe: dict = field(default_factory=dict)
    metrics: dict = field(default_factory=dict)
    sigma: dict = field(default_factory=lambda: {'floor': 0.05, 'gain': 1.0})
    metric: bool = False
    created: str = ''
    card_version: int = CARD_VERSION

    def __post_init__(self):
        check_card(vars(self))

    def to_json(self) -> str:
        """Return the card as one line of JSON; raises ModelFileError where it holds what JSON has not."""
        try:
            return json.dumps(asdict(self), allow_nan=False, sort_keys=True)
        except (TypeError, ValueError) as error:
            raise ModelFileError(f'model card cannot be written as JSON: {error}') from error

    @classmethod
    def from_json(cls, text: str) -> ModelCard:
        """Return the card of to_json's text; raises ModelFileError naming the field that is wrong."""
        try:
            values = json.loads(text)
        except ValueError as error:
            raise ModelFileError(f'model card is not JSON: {error}') from error
        if not isinstance(values, dict):
            raise ModelFileError(f'model card is a {type(values).__name__}, expected an object')
        if values.get('card_version') != CARD_VERSION:
            raise ModelFileError(f'model card has version {values.get("card_version")!r}, expected {CARD_VERSION}')
        names = {f.name for f in fields(cls)}
        if set(values) != names:
            lacking, unknown = sorted(names - set(values)), sorted(set(values) - names)
            raise ModelFileError(f'model card lacks {lacking} and has unknown {unknown}')
        try:
            return cls(**values | _typed(values))
        except ModelFileError:
            raise
        except (TypeError, ValueError, KeyError, OverflowError) as error:
            raise ModelFileError(f'model card cannot be understood: {error}') from error


def _typed(values: dict[str, Any]) -> dict[str, Any]:
    """Return those fields of a card that JSON has no type for."""
    classes = tuple(SemanticClass(**c | {'colour': tuple(c['colour'])}) for c in values['classes'])
    low, high = values['depth_range_m']
    return {'classes': classes, 'input': InputRule(**values['input']), 'depth_range_m': (float(low), float(high))}
