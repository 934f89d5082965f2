"""How good perception is: metrics, protocol, baselines and report."""
from semdepth_ros.evaluation.album import Album
from semdepth_ros.evaluation.baselines import Baseline, check_baseline, fit_baseline
from semdepth_ros.evaluation.depth_metrics import depth_errors, evaluated_pixels
from semdepth_ros.evaluation.protocol import SequenceEvaluation, evaluate, evaluate_sequence, with_truth
from semdepth_ros.evaluation.report import write_report
from semdepth_ros.evaluation.semantic_metrics import confusion_matrix, semantic_scores

__all__ = ['Album', 'Baseline', 'SequenceEvaluation', 'check_baseline', 'confusion_matrix', 'depth_errors', 'evaluate',
           'evaluate_sequence', 'evaluated_pixels', 'fit_baseline', 'semantic_scores', 'with_truth', 'write_report']
