"""One frame in, one Perception out; the engines that run the network fast."""
from semdepth_ros.frame_perception import Perception, Scale
from semdepth_ros.perception.perceptor import Perceptor
from semdepth_ros.perception.scale import CameraHeight, GivenScale, ScaleSource, fixed_scale

__all__ = ['CameraHeight', 'GivenScale', 'Perception', 'Perceptor', 'Scale', 'ScaleSource', 'fixed_scale']
