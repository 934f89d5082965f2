"""What the perception node keeps of one camera."""
from __future__ import annotations

from dataclasses import dataclass, field

from semdepth_ros.adaptation.flicker import Flicker
from semdepth_ros.bridge.diagnostics import Statistics
from semdepth_ros.frame_perception import Scale
from semdepth_ros.nodes.camera_input import CameraInput
from semdepth_ros.nodes.camera_output import CameraOutput
from semdepth_ros.nodes.camera_scale import CameraScale


@dataclass
class CameraChannel:
    """One camera: its input, output, scale and statistics, what was seen and published last, and how depth flickers.

    :param size: of the last image [px]
    :param input_size: at which the network saw it [px]
    """

    name: str
    input: CameraInput
    output: CameraOutput
    scale: CameraScale
    statistics: Statistics
    size: tuple[int, int] | None = None
    input_size: tuple[int, int] | None = None
    stamp_ns: int = 0
    published: Scale | None = None
    failed_in_a_row: int = 0
    flicker: Flicker = field(default_factory=Flicker)
