"""Encoders, decoders, guidance and the pose network, and how they are put together."""
from semdepth_ros.networks.adoption import adopt, with_guidance
from semdepth_ros.networks.architecture import build_network
from semdepth_ros.networks.averaging import average_networks
from semdepth_ros.networks.folding import fold_batch_norm
from semdepth_ros.networks.joint import JointNetwork
from semdepth_ros.networks.loading import load_network, network_of, save_network
from semdepth_ros.networks.prediction import Prediction, depth_to_disparity, disparity_to_depth, inverse_depth
from semdepth_ros.networks.probes import check_probes, make_probes
from semdepth_ros.networks.published_weights import (
    load_efficientnet_lite0, load_monodepth2_depth, load_monodepth2_pose, load_resnet18, save_imagenet_lite0,
)

__all__ = [
    'JointNetwork', 'Prediction', 'adopt', 'average_networks', 'build_network', 'check_probes', 'depth_to_disparity',
    'disparity_to_depth', 'fold_batch_norm', 'inverse_depth', 'load_efficientnet_lite0', 'load_monodepth2_depth', 'load_monodepth2_pose',
    'load_network', 'load_resnet18', 'make_probes', 'network_of', 'save_imagenet_lite0', 'save_network',
    'with_guidance',
]
