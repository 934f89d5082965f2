"""A procedural driving world with exact truth, and a small one at close range."""
from semdepth_ros.world.cavity import CAVITY, Cavity, default_cavity_camera
from semdepth_ros.world.contact_sheet import contact_sheet
from semdepth_ros.world.drive import Drive, WorldFrame
from semdepth_ros.world.label_noise import NoisyLabels, corrupt_labels
from semdepth_ros.world.persistent_noise import noisy_labels
from semdepth_ros.world.presets import PRESETS, Preset, default_camera, find_preset
from semdepth_ros.world.town import SPLITS

__all__ = ['CAVITY', 'PRESETS', 'SPLITS', 'Cavity', 'Drive', 'NoisyLabels', 'Preset', 'WorldFrame', 'contact_sheet',
           'corrupt_labels', 'default_camera', 'default_cavity_camera', 'find_preset', 'noisy_labels']
