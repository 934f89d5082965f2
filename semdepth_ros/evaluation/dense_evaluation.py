"""Depth and classes against dense rendered truth, told apart by where in the picture they are."""
from __future__ import annotations

import cv2
import numpy as np

from semdepth_ros.classes import CITYSCAPES, GROUND, MOVABLE, SKY, THIN
from semdepth_ros.evaluation.below_ground import below_ground
from semdepth_ros.evaluation.class_borders import border_distance, movable_map
from semdepth_ros.evaluation.depth_borders import REACH_PX, TOLERANCE_PX, border_counts, border_scores, depth_borders
from semdepth_ros.evaluation.depth_evaluation import pixel_errors, scale_ratio
from semdepth_ros.evaluation.depth_metrics import METRICS, clamped, depth_errors, in_range, mean_errors
from semdepth_ros.evaluation.far_objects import far_vehicles
from semdepth_ros.evaluation.local_minima import FIGURES, minimum_counts, minimum_figures
from semdepth_ros.evaluation.semantic_metrics import confusion_matrix, semantic_scores
from semdepth_ros.geometry.camera import Camera

SCALINGS = ('unscaled', 'median_scaled')
BANDS_PX = (2, 5, 10)
LEAST_PIXELS = 100      # of a region, within a town, for it to have a figure
BANDS = tuple(f'{side}_{kind}_{px}px' for kind in ('border', 'movable_border') for px in BANDS_PX
              for side in ('within', 'beyond'))
GROUPS = {'thin': THIN, 'movable': MOVABLE, 'ground': GROUND}
CLASSES = tuple(c.name.replace(' ', '_') for c in CITYSCAPES)
CLASS_BAND_PX = 5
CLASS_BANDS = tuple(f'{name}_within_border_{CLASS_BAND_PX}px' for name in CLASSES)
REGION_METRICS = ('abs_rel', 'rmse', 'd1')
BORDER_SCORES, CLASS_SCORES = ('precision', 'recall', 'f_score'), ('miou', 'pixel_accuracy')


def metric_names() -> tuple[str, ...]:
    """Return every name that DenseEvaluation may give a figure.

    SCALING.all.METRIC with the seven metrics; SCALING.REGION.METRIC with abs_rel, rmse, d1, where a region is one of
    BANDS or GROUPS; SCALING.CLASS.abs_rel, and of all classes their mean SCALING.class_mean.abs_rel;
    SCALING.CLASS_within_border_5px.abs_rel, of a class's pixels so near to a border; depth_borders.SCORE;
    far_vehicles.rate; below_ground.rate; local_minima.stuck, local_minima.left, local_minima.fell; classes.miou,
    classes.pixel_accuracy, classes.CLASS.
    """
    depth = [f'{region}.{metric}' for region in (*BANDS, *GROUPS) for metric in REGION_METRICS]
    depth = [f'all.{metric}' for metric in METRICS] + depth
    depth += [f'{name}.abs_rel' for name in ('class_mean', *CLASSES, *CLASS_BANDS)]
    return (*(f'{scaling}.{name}' for scaling in SCALINGS for name in depth),
            *(f'depth_borders.{name}' for name in BORDER_SCORES), 'far_vehicles.rate', 'below_ground.rate',
            *(f'local_minima.{name}' for name in FIGURES), *(f'classes.{name}' for name in (*CLASS_SCORES, *CLASSES)))


class DenseEvaluation:
    """Takes the frames of one town.

    Depth is compared where the truth is between 0.001 and 80 m, sky is not, and nothing is cropped. `median_scaled`
    multiplies each frame's prediction by median(truth) / median(prediction), `unscaled` by nothing; then predictions
    are clamped. The seven figures over all pixels are means over frames; those of regions are over the pixels of all
    frames, and a region of fewer than LEAST_PIXELS has none. Depth's borders are counted off the sky; vehicles and
    pixels below the ground are those of the median-scaled depth; so are local minima, and the start's depth is
    median-scaled by itself.
    """

    def __init__(self):
        self.frames = 0
        self._errors = {name: [] for name in SCALINGS}
        self._sums = {name: {} for name in SCALINGS}
        self._borders, self._far, self._sunk = np.zeros(4, dtype=int), np.zeros(2, dtype=int), np.zeros(2, dtype=int)
        self._minima, self._confusion = np.zeros(5, dtype=int), None

    def add(self, depth: np.ndarray, truth: np.ndarray, true_labels: np.ndarray,
            labels: np.ndarray | None = None, start: np.ndarray | None = None, camera: Camera | None = None) -> None:
        """Compare one frame; all arrays [H, W].

        :param depth: predicted, m, positive; also where classes say sky
        :param truth: m; NaN no truth, +inf sky
        :param true_labels: uint8, 255 unlabelled
        :param labels: predicted classes, None where none were learned
        :param start: depth of the weights that training began from, m, positive; None where it is not known
        :param camera: of these arrays; without it there are no pixels below the ground
        :raises ValueError: shapes differ, or depth is not positive
        """
        if not depth.shape == truth.shape == true_labels.shape:
            raise ValueError(f'depth, truth and labels have shapes {depth.shape}, {truth.shape} and '
                             f'{true_labels.shape}, expected equal')
        if not (depth > 0).all():
            raise ValueError('predicted depth has values that are not positive')
        self.frames += 1
        if labels is not None:
            matrix = confusion_matrix(labels, true_labels)
            self._confusion = matrix if self._confusion is None else self._confusion + matrix
        mask = in_range(truth)
        if mask.any():
            self._add_depth(depth.astype(np.float64), truth, true_labels, mask, camera)
            if start is not None:
                before, after, target = (values[mask].astype(np.float64) for values in (start, depth, truth))
                before, after = (values * scale_ratio(values, target) for values in (before, after))
                self._minima += minimum_counts(before, after, target)

    def _add_depth(self, depth: np.ndarray, truth: np.ndarray, labels: np.ndarray, mask: np.ndarray,
                   camera: Camera | None) -> None:
        target, regions = truth[mask].astype(np.float64), {name: r[mask] for name, r in _regions(labels).items()}
        scaled = depth * scale_ratio(depth[mask], target)
        for scaling, values in (('unscaled', depth), ('median_scaled', scaled)):
            predicted = clamped(values[mask])
            self._errors[scaling].append(depth_errors(predicted, target))
            errors = np.stack([np.ones_like(target), *pixel_errors(predicted, target)])
            for name, region in regions.items():
                self._sums[scaling][name] = self._sums[scaling].get(name, 0) + errors[:, region].sum(axis=1)
        away_from_sky = _distance_to(labels == SKY) > REACH_PX + TOLERANCE_PX
        self._borders += border_counts(depth_borders(depth), depth_borders(truth), mask & away_from_sky)
        evaluated = np.where(mask, truth, np.nan)
        self._far += far_vehicles(scaled, evaluated, labels)
        if camera is not None:
            self._sunk += below_ground(scaled, evaluated, labels, camera)

    def result(self) -> dict[str, float]:
        """Return the town's figures by name (metric_names); what the frames have no pixels for is left out."""
        figures = {}
        for scaling in SCALINGS:
            regions = {name: _figures(sums) for name, sums in self._sums[scaling].items() if sums[0] >= LEAST_PIXELS}
            classes = [regions[name]['abs_rel'] for name in CLASSES if name in regions]
            regions |= {name: {'abs_rel': regions[name]['abs_rel']} for name in (*CLASSES, *CLASS_BANDS) if name in regions}
            if self._errors[scaling]:
                regions['all'] = mean_errors(self._errors[scaling])
            if classes:
                regions['class_mean'] = {'abs_rel': float(np.mean(classes))}
            figures |= {f'{scaling}.{name}.{metric}': value for name, part in regions.items()
                        for metric, value in part.items()}
        figures |= {f'depth_borders.{name}': value for name, value in border_scores(self._borders).items()}
        figures |= {f'local_minima.{name}': value for name, value in minimum_figures(self._minima).items()}
        if self._far[1]:
            figures['far_vehicles.rate'] = float(self._far[0] / self._far[1])
        if self._sunk[1]:
            figures['below_ground.rate'] = float(self._sunk[0] / self._sunk[1])
        return figures | self._class_figures()

    def _class_figures(self) -> dict[str, float]:
        if self._confusion is None or not self._confusion.any():
            return {}
        scores = semantic_scores(self._confusion)
        named = {name: scores[name] for name in CLASS_SCORES} | scores['per_class']
        return {f'classes.{name.replace(" ", "_")}': value for name, value in named.items()}


def _regions(labels: np.ndarray) -> dict[str, np.ndarray]:
    """Return the regions of a picture by name, bool [H, W]."""
    regions = {}
    for kind, map_ in (('border', labels), ('movable_border', movable_map(labels))):
        distance = border_distance(map_)
        for px in BANDS_PX:
            regions |= {f'within_{kind}_{px}px': distance <= px, f'beyond_{kind}_{px}px': distance > px}
    regions |= {name: np.isin(labels, group) for name, group in GROUPS.items()}
    classes = {name: labels == value for value, name in enumerate(CLASSES)}
    band = regions[f'within_border_{CLASS_BAND_PX}px']
    return regions | classes | {name: region & band for name, region in zip(CLASS_BANDS, classes.values())}


def _distance_to(mask: np.ndarray) -> np.ndarray:
    if not mask.any():
        return np.full(mask.shape, np.inf, dtype=np.float32)
    return cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)


def _figures(sums: np.ndarray) -> dict[str, float]:
    pixels, relative, square, near = sums
    return {'abs_rel': float(relative / pixels), 'rmse': float(np.sqrt(square / pixels)), 'd1': float(near / pixels)}
