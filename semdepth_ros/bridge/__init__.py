"""Messages to our types and back. Works on any object that has a message's fields; needs no ROS installation itself."""
from semdepth_ros.bridge.camera_info import make_camera_info
from semdepth_ros.bridge.colours import ColourSampler, paint, to_rgb
from semdepth_ros.bridge.images import frame_from_message, make_depth_image, make_image
from semdepth_ros.bridge.label_info import make_label_info
from semdepth_ros.bridge.messages import MessageTypes, make_header, stamp_ns
from semdepth_ros.bridge.point_cloud import POINT, CloudMaker

__all__ = ['CloudMaker', 'ColourSampler', 'MessageTypes', 'POINT', 'frame_from_message', 'make_camera_info',
           'make_depth_image', 'make_header', 'make_image', 'make_label_info', 'paint', 'stamp_ns', 'to_rgb']
