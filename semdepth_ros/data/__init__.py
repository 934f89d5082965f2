"""Sequences of driving data: one protocol, many readers."""
from semdepth_ros.data.adapters import covered, rectified, rectified_sample, with_camera
from semdepth_ros.data.camera_file import read_camera
from semdepth_ros.data.folder import FolderSequence
from semdepth_ros.data.folder_writer import write_folder_sequence
from semdepth_ros.data.poses import relative_pose
from semdepth_ros.data.sample import Sample, Sequence
from semdepth_ros.data.sources import open_data
from semdepth_ros.data.video import VideoSequence
from semdepth_ros.data.world import WorldSequence

__all__ = ['FolderSequence', 'Sample', 'Sequence', 'VideoSequence', 'WorldSequence', 'covered', 'open_data',
           'read_camera', 'rectified', 'rectified_sample', 'relative_pose', 'with_camera',
           'write_folder_sequence']
