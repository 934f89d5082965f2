"""A procedural driving world with exact truth."""
from semdepth_ros.world.drive import Drive, WorldFrame
from semdepth_ros.world.presets import PRESETS, Preset, default_camera

__all__ = ['PRESETS', 'Drive', 'Preset', 'WorldFrame', 'default_camera']
