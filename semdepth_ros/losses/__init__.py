"""What training minimises: small free functions on tensors."""
from semdepth_ros.losses.depth import log_depth_error, log_gradient_error, nearness
from semdepth_ros.losses.hint import accept_hints, hint_loss, image_median
from semdepth_ros.losses.pair_sampling import PairSampling
from semdepth_ros.losses.photometric import minimum_reprojection, photometric_error
from semdepth_ros.losses.ranking import certainty, object_probability, ranking_loss
from semdepth_ros.losses.ranking_pairs import Pairs, draw_pairs
from semdepth_ros.losses.semantic import semantic_cross_entropy
from semdepth_ros.losses.smoothness import edge_aware_smoothness
from semdepth_ros.losses.velocity import velocity_loss

__all__ = ['PairSampling', 'Pairs', 'accept_hints', 'certainty', 'draw_pairs', 'edge_aware_smoothness', 'hint_loss',
           'image_median', 'log_depth_error', 'log_gradient_error', 'minimum_reprojection', 'nearness',
           'object_probability', 'photometric_error', 'ranking_loss', 'semantic_cross_entropy', 'velocity_loss']
