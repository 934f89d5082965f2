"""One frame in, one Perception out; the engines that run the network fast."""
from semdepth_ros.perception.perceptor import Perceptor

__all__ = ['Perceptor']
