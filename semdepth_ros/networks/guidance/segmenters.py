"""Segmenters that were trained elsewhere and only guide: what they give is a pyramid of features by stride."""
from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from semdepth_ros.classes import CITYSCAPES
from semdepth_ros.networks.guidance.guide import Guide
from semdepth_ros.networks.guidance.transformers_segmenter import TransformersSegmenter, published_segmenter
from semdepth_ros.settings import SettingsError

_PUBLISHED = 'transformers:'
# what of a network's description its classes are made with
_PARTS = ('encoder', 'encoder_config', 'depth_decoder', 'semantic_decoder', 'shared_decoder', 'classes')


class JointSegmenter(nn.Module):
    """Encoder and semantic path of one of our own networks, with lateral connections at strides 16 to 2 or 1: the form
    of a feature pyramid network (Lin et al. 2017).

    :param network: a JointNetwork; its parts are taken as they are

    `channels` has the features' channels by their stride, `description` is what open_segmenter makes the same one from
    with fresh weights, `least_side` the least height and width of images [px].
    """

    def __init__(self, network: nn.Module):
        super().__init__()
        decoder, architecture = network.semantic_decoder, network.architecture
        self.encoder, self.trunk, self.path = network.encoder, network.trunk, decoder.path
        levels = decoder.form.levels(architecture['shared_decoder'])
        self.channels, self.least_side = dict(zip(levels.strides, levels.channels)), decoder.least_side
        self.description = {'kind': 'model', 'architecture': {key: architecture[key] for key in _PARTS}}

    def forward(self, image: Tensor) -> dict[int, Tensor]:
        """Return the features by stride of a normalised image [B, 3, H, W]."""
        features = self.encoder(image)
        begun = None if self.trunk is None else self.trunk(features, Guide())
        levels = self.path(features, Guide(), begun).levels
        return {stride: levels[level] for level, stride in enumerate(self.channels)}


def open_segmenter(source: str | dict[str, Any], classes: int) -> nn.Module:
    """Return a segmenter with `channels`, `description` and `least_side` as JointSegmenter has them.

    :param source: a model file or a packaged model's name; transformers:NAME, of the Hugging Face hub or a folder; or a
        description, whose weights are fresh: a model file that holds a segmenter has them
    :param classes: that a model file must score; where they are the 19 of Cityscapes, they must be these. Published
        segmenters may have any, since their features alone are looked at
    :raises ValueError: what cannot be read, is damaged or has other classes, in one line
    """
    if isinstance(source, dict):
        return _described(source)
    if source.startswith(_PUBLISHED):
        return published_segmenter(source.removeprefix(_PUBLISHED))
    return _from_model_file(source, classes)


def check_source(source: Any) -> None:
    """Raise SettingsError unless open_segmenter knows such a source; no file is read."""
    if isinstance(source, dict):
        if source.get('kind') not in _KINDS:
            raise SettingsError(f"segmenter has the kind {source.get('kind')!r}, expected one of {list(_KINDS)}")
    elif not isinstance(source, str) or not source:
        raise SettingsError(f'segmenter is {source!r}, expected a model file, the name of a packaged model or '
                            f'transformers:NAME')


def _from_model_file(path: str, classes: int) -> JointSegmenter:
    from semdepth_ros.networks.loading import load_network  # a network may hold a guidance, and this guidance a network
    try:
        network, card = load_network(path)
    except ValueError as error:
        raise ValueError(f'segmenter: {error}') from error
    if len(card.classes) != classes:
        raise ValueError(f'segmenter {path} scores {len(card.classes)} classes, expected {classes}')
    names = [c.name for c in card.classes]
    expected = [c.name for c in CITYSCAPES]
    if classes == len(expected) and names != expected:
        first = next(i for i in range(classes) if names[i] != expected[i])
        raise ValueError(f'segmenter {path} has the class {names[first]!r} at {first}, expected {expected[first]!r}')
    return JointSegmenter(network)


def _described(description: dict[str, Any]) -> nn.Module:
    content = {key: value for key, value in description.items() if key != 'kind'}
    try:
        return _KINDS[description['kind']](**content)
    except (TypeError, ValueError) as error:
        raise ValueError(f'segmenter cannot be built: {error}') from error


def _fresh_model(architecture: dict[str, Any]) -> JointSegmenter:
    from semdepth_ros.networks.architecture import build_network
    return JointSegmenter(build_network(architecture | {'guidance': 'plain', 'pose': 'small'}))


_KINDS = {'model': _fresh_model, 'transformers': TransformersSegmenter}
