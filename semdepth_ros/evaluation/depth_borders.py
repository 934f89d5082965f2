"""Where depth breaks off, and how well predicted breaks lie on the true ones."""
from __future__ import annotations

import cv2
import numpy as np

REACH_PX, BREAK, TOLERANCE_PX = 3, 0.1, 3


def depth_borders(depth: np.ndarray, reach: int = REACH_PX, least: float = BREAK) -> np.ndarray:
    """Return the pixels where depth breaks off, bool [H, W].

    With d the inverse depth, those where |d(p - r) + d(p + r) - 2 d(p)| > least (d(p - r) + d(p + r)), across or down.
    A plane's inverse depth is linear in the image, so no plane has borders, however steeply it is seen; a break from
    one depth to 1.25 times as much gives 0.11, whatever the scale of depth. Pixels without depth, and those nearer than
    r to the frame, are none. Form ours.

    :param depth: [H, W] m, positive; +inf has the inverse 0
    :param reach: r [px]
    """
    inverse = 1 / np.asarray(depth, dtype=np.float64)
    borders = np.zeros(inverse.shape, dtype=bool)
    for rows in (inverse, inverse.T):
        before, middle, after = rows[:, :-2 * reach], rows[:, reach:-reach], rows[:, 2 * reach:]
        broken = np.abs(before + after - 2 * middle) > least * (before + after)
        target = borders if rows is inverse else borders.T
        target[:, reach:-reach] |= broken
    return borders


def border_counts(predicted: np.ndarray, truth: np.ndarray, counted: np.ndarray,
                  tolerance: float = TOLERANCE_PX) -> np.ndarray:
    """Return how many predicted borders lie by a true one, how many there are; true ones by a predicted one, in all.

    Counts of frames add up; border_scores reads them.

    :param predicted, truth: bool [H, W]
    :param counted: which pixels are counted, bool [H, W]; borders beyond it still count as near
    :param tolerance: how near, centre to centre [px]
    """
    counts = []
    for borders, others in ((predicted, truth), (truth, predicted)):
        here = borders & counted
        counts += [int((here & _near(others, tolerance)).sum()), int(here.sum())]
    return np.array(counts)


def border_scores(counts: np.ndarray) -> dict[str, float]:
    """Return precision, recall and their harmonic mean f_score (Martin et al. 2004); what has no pixels is left out."""
    hits, predicted, found, true = (float(count) for count in counts)
    scores = {} if not predicted else {'precision': hits / predicted}
    if true:
        scores['recall'] = found / true
        both = scores.get('precision', 0.0) + scores['recall']
        scores['f_score'] = 2 * scores.get('precision', 0.0) * scores['recall'] / both if both else 0.0
    return scores


def _near(borders: np.ndarray, tolerance: float) -> np.ndarray:
    if not borders.any():
        return np.zeros(borders.shape, dtype=bool)
    distance = cv2.distanceTransform((~borders).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return distance <= tolerance + 1e-4
