"""The evaluation of a drive whose frames come one by one, and what is left of it when it ends."""
from __future__ import annotations

import json
from pathlib import Path

from semdepth_ros.data.sample import Sample
from semdepth_ros.evaluation.album import Album
from semdepth_ros.evaluation.depth_metrics import is_kitti_shaped
from semdepth_ros.evaluation.protocol import PROTOCOL, Perceived, SequenceEvaluation
from semdepth_ros.evaluation.report import write_report
from semdepth_ros.evaluation.spread_frames import SpreadFrames

LATENCY = 'From the arrival of an image to the arrival of both depth and classes, at the node that evaluates.'


class LiveEvaluation:
    """Compares frame after frame; one thread at a time.

    :param name: of the drive
    :param pictures: frames that the report shows
    """

    def __init__(self, name: str, pictures: int):
        self.sequence = SequenceEvaluation(name)
        self.frames, self.crop, self.newest_ns = 0, 'none', 0
        self._pictures, self._with_truth = SpreadFrames(pictures), SpreadFrames(pictures)

    def add(self, sample: Sample, perception: Perceived, latency_ms: float | None) -> None:
        """Compare one frame with whatever truth its sample has."""
        self.sequence.add(sample, perception, latency_ms)
        self.frames, self.newest_ns = self.frames + 1, sample.stamp_ns
        self.crop = 'garg' if is_kitti_shaped(*sample.image.shape[:2]) else 'none'
        self._pictures.offer((sample, perception))
        if sample.depth is not None or sample.labels is not None:
            self._with_truth.offer((sample, perception))

    def result(self, model: str, images: int, protocol: dict[str, str]) -> dict:
        """Return the evaluation contract, and frames_in, frames_perceived, frames_dropped.

        :param images: that came from the camera; 0 where it was not listened to
        :param protocol: what is added to the protocol's words
        """
        images = max(images, self.frames)
        return {'model': model, 'protocol': {**PROTOCOL, 'latency': LATENCY, **protocol},
                'sequences': [self.sequence.result()], 'frames_in': images, 'frames_perceived': self.frames,
                'frames_dropped': images - self.frames}

    def write(self, folder: Path, result: dict) -> Path:
        """Write metrics.json and report.html with its pictures; return the report's path.

        :raises OSError: the folder cannot be written
        """
        name = self.sequence.name
        chosen = self._with_truth.chosen() or self._pictures.chosen()
        album = Album(len(chosen))
        for sample, perception in chosen:
            album.draw(name, sample, perception)
        folder.mkdir(parents=True, exist_ok=True)
        partial = folder / 'metrics.json.partial'
        partial.write_text(json.dumps(result, indent=1, allow_nan=False) + '\n', encoding='utf-8')
        partial.replace(folder / 'metrics.json')
        return write_report(folder, result, album.pages, 'A drive, as it was perceived')
