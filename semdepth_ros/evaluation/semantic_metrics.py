"""Semantic segmentation against true labels: one confusion matrix, and what is read off it."""
from __future__ import annotations

import numpy as np

from semdepth_ros.classes import CITYSCAPES


def confusion_matrix(predicted: np.ndarray, truth: np.ndarray, classes: int = len(CITYSCAPES)) -> np.ndarray:
    """Count the labelled pixels by true (row) and predicted (column) class, int64 [classes, classes + 1].

    The last column counts predictions that are no class (255 and beyond): wrong, but of no class.

    :param predicted, truth: uint8 of equal shape; pixels whose truth is no class are left out
    :raises ValueError: shapes differ
    """
    if predicted.shape != truth.shape:
        raise ValueError(f'labels have shapes {predicted.shape} and {truth.shape}, expected equal')
    known = truth < classes
    column = np.minimum(predicted[known].astype(np.int64), classes)
    counts = np.bincount(truth[known].astype(np.int64) * (classes + 1) + column, minlength=classes * (classes + 1))
    return counts.reshape(classes, classes + 1)


def semantic_scores(confusion: np.ndarray) -> dict:
    """Return miou, pixel_accuracy and per_class (name: IoU) of a confusion matrix.

    Only classes that occur in the truth have an IoU, and miou is their mean; so a class seen only in predictions costs
    the classes it was taken for.

    :raises ValueError: no labelled pixel was counted
    """
    if not confusion.sum():
        raise ValueError('no labelled pixel was counted')
    square = confusion[:, :len(confusion)]
    hits, true = np.diag(square), confusion.sum(axis=1)
    union = true + square.sum(axis=0) - hits
    per_class = {CITYSCAPES[i].name: float(hits[i] / union[i]) for i in np.flatnonzero(true)}
    return {'miou': float(np.mean(list(per_class.values()))), 'pixel_accuracy': float(hits.sum() / confusion.sum()),
            'per_class': per_class}
