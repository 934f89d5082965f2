"""How good perception is: metrics, protocol and report."""
from semdepth_ros.evaluation.depth_metrics import depth_errors, evaluated_pixels
from semdepth_ros.evaluation.semantic_metrics import confusion_matrix, semantic_scores

__all__ = ['confusion_matrix', 'depth_errors', 'evaluated_pixels', 'semantic_scores']
