"""Sequences of driving data: one protocol, many readers."""
from semdepth_ros.data.camera_file import read_camera
from semdepth_ros.data.folder import FolderSequence
from semdepth_ros.data.folder_writer import write_folder_sequence
from semdepth_ros.data.sample import Sample, Sequence
from semdepth_ros.data.sources import open_data

__all__ = ['FolderSequence', 'Sample', 'Sequence', 'open_data', 'read_camera', 'write_folder_sequence']
