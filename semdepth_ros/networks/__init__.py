"""Encoders, decoders, guidance and the pose network, and how they are put together."""
from semdepth_ros.networks.architecture import build_network
from semdepth_ros.networks.joint import JointNetwork
from semdepth_ros.networks.loading import load_network, network_of
from semdepth_ros.networks.prediction import Prediction, depth_to_disparity, disparity_to_depth

__all__ = ['JointNetwork', 'Prediction', 'build_network', 'depth_to_disparity', 'disparity_to_depth', 'load_network', 'network_of']
