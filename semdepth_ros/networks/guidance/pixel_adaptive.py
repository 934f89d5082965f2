"""Pixel-adaptive guidance: features of depth are mixed with those of pixels that a segmenter finds alike."""
from __future__ import annotations

from dataclasses import dataclass

from semdepth_ros.networks.guidance.guide import GuidedParts
from semdepth_ros.networks.guidance.segmenter_guidance import SegmenterGuidance, SegmenterSettings
from semdepth_ros.networks.pixel_adaptive_convolution import PixelAdaptiveConvolution
from semdepth_ros.settings import SettingsError


@dataclass(frozen=True)
class PixelAdaptiveSettings(SegmenterSettings):
    """The segmenter, and how the kernels adapt.

    :param kernel: of the pixel-adaptive convolution [px], odd
    :param initial_kernel: how much an unrelated pixel counts at the start
    """

    kernel: int = 3
    initial_kernel: float = 0.3

    def __post_init__(self):
        super().__post_init__()
        if self.kernel not in (3, 5, 7):
            raise SettingsError(f'kernel is {self.kernel}, expected 3, 5 or 7')
        if not 0 < self.initial_kernel < 1:
            raise SettingsError(f'initial_kernel is {self.initial_kernel}, expected 0 < initial_kernel < 1')


class PixelAdaptive(SegmenterGuidance):
    """Pixel-adaptive convolutions steered by a frozen segmenter (after Guizilini et al. 2020; the mapping of each level
    and where sigma starts are ours).
    """

    def __init__(self, settings: PixelAdaptiveSettings, parts: GuidedParts):
        super().__init__(settings, parts, lambda channels, guidance: PixelAdaptiveConvolution(
            channels, channels, guidance, settings.kernel, settings.initial_kernel))
