"""How good the network is on frames it was not trained on, at the network's own size."""
from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from semdepth_ros.classes import UNLABELLED
from semdepth_ros.data.sample import Sequence
from semdepth_ros.evaluation.depth_metrics import clamped, depth_errors, evaluated_pixels, mean_errors
from semdepth_ros.evaluation.semantic_metrics import confusion_matrix, semantic_scores
from semdepth_ros.geometry.window import Window
from semdepth_ros.networks import JointNetwork, inverse_depth
from semdepth_ros.training.augmentation import widest_window
from semdepth_ros.training.triplets import rectified


@dataclass(frozen=True)
class ValidationFrame:
    """A frame cut to the network's size: image uint8 [3, H, W], focal length [px], truth where there is some."""

    image: Tensor
    focal_px: float
    depth: np.ndarray | None
    labels: np.ndarray | None


def validation_frames(sequences: list[Sequence], size: tuple[int, int], most: int) -> list[ValidationFrame]:
    """Return at most so many evenly spread frames of each sequence, cut to size by the widest centred window."""
    frames = []
    for sequence in sequences:
        count = min(most, len(sequence))
        for index in np.linspace(0, len(sequence) - 1, count).round().astype(int).tolist():
            sample = rectified(sequence[index])
            window = widest_window(sample.camera, size)
            image = window.images(torch.from_numpy(sample.image).permute(2, 0, 1)[None])[0].contiguous()
            frames.append(ValidationFrame(image, window.camera(sample.camera).fx,
                                          _cut(window, sample.depth, np.nan), _cut(window, sample.labels, UNLABELLED)))
    return frames


def _cut(window: Window, array: np.ndarray | None, padding: float) -> np.ndarray | None:
    return None if array is None else window.labels(torch.from_numpy(array)[None, None], padding)[0, 0].numpy()


def validate(network: JointNetwork, frames: list[ValidationFrame], focal_px: float, batch: int = 8) -> dict[str, float]:
    """Return abs_rel, rmse and d1 unscaled and with every frame median-scaled, the scale, miou and pixel_accuracy.

    Depth beyond 80 m is not evaluated. What the frames hold no truth for is left out.
    """
    plain, scaled, ratios, confusion = [], [], [], 0
    for frame, depth, _, labels in predictions(network, frames, focal_px, batch):
        if frame.depth is not None and (mask := evaluated_pixels(frame.depth)).any():
            truth, predicted = frame.depth[mask], depth[mask]
            ratios.append(float(np.median(truth) / np.median(predicted)))
            plain.append(depth_errors(clamped(predicted), truth))
            scaled.append(depth_errors(clamped(predicted * ratios[-1]), truth))
        if frame.labels is not None:
            confusion = confusion + confusion_matrix(labels, frame.labels)
    result = {}
    if plain:
        for name, errors in (('unscaled', mean_errors(plain)), ('median_scaled', mean_errors(scaled))):
            result |= {f'{metric}_{name}': errors[metric] for metric in ('abs_rel', 'rmse', 'd1')}
        result['scale_ratio'] = float(np.median(ratios))
    if np.any(confusion):
        scores = semantic_scores(confusion)
        result |= {'miou': scores['miou'], 'pixel_accuracy': scores['pixel_accuracy']}
    return result


def fit_sigma(network: JointNetwork, frames: list[ValidationFrame], focal_px: float) -> dict[str, float] | None:
    """Return floor and gain of: relative sigma = floor + gain |ln d0 - ln d1|, for the depths of scales 0 and 1.

    Maximum likelihood of normally distributed relative errors, over the values of a grid; None without true depth.
    Form ours.
    """
    errors, differences = [], []
    for frame, depth, disagreement, _ in predictions(network, frames, focal_px):
        if frame.depth is not None:
            mask = evaluated_pixels(frame.depth)
            errors.append((depth[mask] / frame.depth[mask] - 1)[::7])
            differences.append(disagreement[mask][::7])
    if not errors or not sum(map(len, errors)):
        return None
    squared, difference = np.concatenate(errors).astype(np.float64) ** 2, np.concatenate(differences)

    def cost(floor: float, gain: float) -> float:
        sigma = floor + gain * difference
        return float(np.mean(np.log(sigma) + squared / (2 * sigma ** 2)))

    floors, gains = np.geomspace(0.01, 1, 33), np.concatenate([[0], np.geomspace(0.05, 20, 32)])
    _, floor, gain = min((cost(floor, gain), floor, gain) for floor in floors for gain in gains)
    return {'floor': round(float(floor), 4), 'gain': round(float(gain), 4)}


@torch.no_grad()
def predictions(network: JointNetwork, frames: list[ValidationFrame], focal_px: float, batch: int = 8
                ) -> Iterator[tuple[ValidationFrame, np.ndarray, np.ndarray, np.ndarray]]:
    """Yield each frame with its depth [m] and what its sigma is made from (networks.inverse_depth), both float32
    [H, W], and its labels uint8 [H, W].
    """
    training, scales, device = network.training, network.returned_scales, next(network.parameters()).device
    network.eval().returned_scales = 2
    try:
        for start in range(0, len(frames), batch):
            part = frames[start:start + batch]
            prediction = network(torch.stack([frame.image for frame in part]).to(device).float() / 255)
            focal = torch.tensor([frame.focal_px / focal_px for frame in part], device=device)[:, None, None, None]
            inverse, disagreement = inverse_depth(prediction.disparities, *network.architecture['depth_range'])
            labels = prediction.logits.argmax(dim=1).to(torch.uint8)
            for frame, *arrays in zip(part, (focal / inverse)[:, 0], disagreement[:, 0], labels):
                yield frame, *(array.cpu().numpy() for array in arrays)
    finally:
        network.train(training).returned_scales = scales
