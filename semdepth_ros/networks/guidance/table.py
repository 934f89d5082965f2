"""The guidances that a recipe may name, and how their settings are read."""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any, NamedTuple

from torch import nn

from semdepth_ros.networks.guidance.attention import Attention, AttentionSettings
from semdepth_ros.networks.guidance.chain import Chain
from semdepth_ros.networks.guidance.concatenation import Concatenation, ConcatenationSettings
from semdepth_ros.networks.guidance.edge_points import EdgePoints, EdgePointsSettings
from semdepth_ros.networks.guidance.guide import GuidedParts
from semdepth_ros.networks.guidance.low_rank import LowRankBranch, LowRankSettings
from semdepth_ros.networks.guidance.modulation import Modulation, ModulationSettings
from semdepth_ros.networks.guidance.pixel_adaptive import PixelAdaptive, PixelAdaptiveSettings
from semdepth_ros.networks.guidance.plain import Plain, PlainSettings
from semdepth_ros.settings import SettingsError, build, one_of


class Guidance(NamedTuple):
    """A row of the table.

    :param settings: a frozen dataclass; its fields are the recipe's keys beside `kind`
    :param module: makes the module of (settings, GuidedParts). That is called once an image as (image, features,
        semantics, labels) and returns a Guide: image is normalised [B, 3, H, W]; features are the encoder's, stride 2
        first; labels are class ids [B, H, W] with 255 where unlabelled, or None, where the network's own prediction is
        to take their place. See folding.py for the order in which a module lists its convolutions. A module whose
        building filled settings in has the complete ones as `settings`; one that asks for images of a least size, that
        as `least_side` [px].
    """

    settings: type
    module: Callable[[Any, GuidedParts], nn.Module]


GUIDANCES = {
    'plain': Guidance(PlainSettings, Plain),
    'concatenation': Guidance(ConcatenationSettings, Concatenation),
    'pixel_adaptive': Guidance(PixelAdaptiveSettings, PixelAdaptive),
    'modulation': Guidance(ModulationSettings, Modulation),
    'attention': Guidance(AttentionSettings, Attention),
    'edge_points': Guidance(EdgePointsSettings, EdgePoints),
    'low_rank': Guidance(LowRankSettings, LowRankBranch),
}


def complete_guidance(content: Any) -> dict[str, Any] | list[dict[str, Any]]:
    """Return a recipe's `guidance:` as a mapping of `kind` and every setting of that kind, as plain values.

    :param content: such a mapping, or the kind alone; or a list of these, which act one after the other, and of which a
        list is returned
    :raises SettingsError: a kind or setting that is unknown or out of range, in one line
    """
    if isinstance(content, (list, tuple)):
        if not content:
            raise SettingsError(f'guidance is [], expected some of {list(GUIDANCES)}')
        return [_plain(*_read(each)) for each in content]
    return _plain(*_read(content))


def build_guidance(content: Any, parts: GuidedParts) -> tuple[nn.Module, dict[str, Any] | list[dict[str, Any]]]:
    """Return the module of a recipe's `guidance:`, and what makes the same again, with fresh weights.

    Raises as complete_guidance does, and what the module refuses.
    """
    if isinstance(content, (list, tuple)):
        modules, settings = zip(*(_build(each, parts) for each in content))
        return Chain(list(modules)), list(settings)
    return _build(content, parts)


def _build(content: Any, parts: GuidedParts) -> tuple[nn.Module, dict[str, Any]]:
    kind, settings = _read(content)
    module = GUIDANCES[kind].module(settings, parts)
    return module, _plain(kind, getattr(module, 'settings', settings))


def _plain(kind: str, settings: Any) -> dict[str, Any]:
    return {'kind': kind, **{k: list(v) if isinstance(v, tuple) else v for k, v in asdict(settings).items()}}


def _read(content: Any) -> tuple[str, Any]:
    content = dict(content) if isinstance(content, dict) else {'kind': content}
    if 'kind' not in content:
        raise SettingsError(f"guidance lacks 'kind', expected one of {list(GUIDANCES)}")
    kind = content.pop('kind')
    one_of('guidance', kind, GUIDANCES)
    return kind, build(GUIDANCES[kind].settings, content, 'guidance')
