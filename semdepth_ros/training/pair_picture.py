"""A picture of the ranking loss's pairs, each in the colour of what the truth says of it."""
from __future__ import annotations

import cv2
import numpy as np
import torch

from semdepth_ros.evaluation.pictures import contact_sheet
from semdepth_ros.losses import Pairs
from semdepth_ros.losses.class_border import among
from semdepth_ros.training.pair_survey import ALIKE, STEP, SurveyFrame, log_steps, pairs_of
from semdepth_ros.training.terms.ranking import Ranking

# rgb, by whether the points are to be apart and whether the truth agrees
COLOURS = {(True, True): (70, 255, 70), (True, False): (255, 40, 40),
           (False, True): (80, 170, 255), (False, False): (255, 160, 0)}
NO_TRUTH, OUTLINE = (160, 160, 160), (255, 255, 255)
TILE_WIDTH, DRAWN = 960, 150


def pair_sheet(frame: SurveyFrame, settings: Ranking, seed: int = 0) -> np.ndarray:
    """Draw pairs of a frame, a column for every kind of its labels, and a row each for naive and robust sampling.

    Pairs across the border are green where true depth has a step and red where not; pairs that are to stay together are
    blue where it is alike and orange where not; grey where it is not known. Objects have a white outline.

    :return: uint8 [H, W, 3]
    """
    tiles = []
    torch.manual_seed(seed)
    for sampling, robust in (('naive', False), ('robust', True)):
        for kind in frame.labels:
            picture = _outlined(frame, kind, settings)
            for pairs in pairs_of(frame, kind, settings, robust):
                _draw(picture, pairs, frame)
            tiles.append((f'{frame.name}, {kind} labels, {sampling} sampling', picture))
    return contact_sheet(tiles, columns=len(frame.labels), width=TILE_WIDTH)


def _outlined(frame: SurveyFrame, kind: str, settings: Ranking) -> np.ndarray:
    """Return the image, darkened and enlarged to TILE_WIDTH, with the outline of the objects."""
    height, width = frame.image.shape[-2:]
    size = TILE_WIDTH, round(height * TILE_WIDTH / width)
    image = (frame.image.permute(1, 2, 0).numpy() * 150).astype(np.uint8)
    picture = cv2.resize(image, size, interpolation=cv2.INTER_CUBIC)
    objects = among(frame.labels[kind], settings.pairs.objects).numpy().astype(np.uint8)
    outlines, _ = cv2.findContours(cv2.resize(objects, size, interpolation=cv2.INTER_NEAREST), cv2.RETR_LIST,
                                   cv2.CHAIN_APPROX_NONE)
    return cv2.drawContours(picture, outlines, -1, OUTLINE, 1)


def _draw(picture: np.ndarray, pairs: Pairs, frame: SurveyFrame) -> None:
    """Draw at most about DRAWN of the pairs, as lines between the centres of their pixels."""
    width = frame.image.shape[-1]
    steps, scale = log_steps(pairs, frame.depth[None])[0], picture.shape[1] / width
    valid = pairs.valid[0].nonzero()[:, 0]
    for n in valid[::max(len(valid) // DRAWN, 1)].tolist():
        ends = [(round((index % width + 0.5) * scale), round((index // width + 0.5) * scale))
                for index in pairs.index[0, n].tolist()]
        colour = _colour(bool(pairs.apart[0, n]), float(steps[n]))
        cv2.line(picture, *ends, colour, 1, cv2.LINE_AA)
        for end in ends:
            cv2.circle(picture, end, 2, colour, -1, cv2.LINE_AA)


def _colour(apart: bool, step: float) -> tuple[int, int, int]:
    if np.isnan(step):
        return NO_TRUTH
    return COLOURS[apart, step > STEP if apart else step < ALIKE]
