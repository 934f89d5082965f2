"""The factor from the network's depth to metres: where it comes from, and when it may be believed."""
from semdepth_ros.scale.camera_height import CameraHeight
from semdepth_ros.scale.sources import GivenScale, ScaleSource, fixed_scale
from semdepth_ros.scale.tilt import Mount, Tilt

__all__ = ['CameraHeight', 'GivenScale', 'Mount', 'ScaleSource', 'Tilt', 'fixed_scale']
