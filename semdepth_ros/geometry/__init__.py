"""Cameras, rigid motion, warping, the ground plane."""
from semdepth_ros.geometry.camera import Camera

__all__ = ['Camera']
