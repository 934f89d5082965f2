"""Frames in, Perceptions out; the engines that run the network fast."""
from semdepth_ros.perception.perceptor import Perceptor
from semdepth_ros.perception.request import Request

__all__ = ['Perceptor', 'Request']
