"""Pictures of hints and of refined labels, each pixel in the colour of what the truth says of it."""
from __future__ import annotations

import numpy as np

from semdepth_ros.classes import UNLABELLED
from semdepth_ros.evaluation.pictures import contact_sheet, depth_picture, labels_picture, overlay_picture
from semdepth_ros.training.hint_survey import HintFrame, Seen, nearer_the_truth

# rgb: right, wrong, and without truth; what is not accepted is dimmed
RIGHT, WRONG, UNKNOWN = (70, 255, 70), (255, 40, 40), (160, 160, 160)
TILE_WIDTH = 640


def hint_sheet(frame: HintFrame, seen: Seen) -> np.ndarray:
    """Draw a frame in ten pictures, two in a row.

    Its image and the predicted classes; its depth and the true one; pseudo-depth, black where there is none, and over
    the dimmed image where that is accepted: green where it is nearer the truth than the network's own depth, red where
    it is farther from it; the labels that teach and the true ones; refined ones, black where undecided, and over the
    dimmed image the changed ones: green where they are right now, red where they are not.

    :return: uint8 [H, W, 3]
    """
    image = frame.batch.images[0, 0].permute(1, 2, 0).numpy()
    given, refined = frame.batch.labels[0].numpy(), seen.refined.labels[0].numpy()
    truth = np.full_like(given, UNLABELLED) if frame.truth is None else frame.truth.numpy()
    hint = np.where(seen.hints.pseudo.kind[0].numpy() > 0, seen.hints.pseudo.depth[0].numpy(), np.nan)
    known, nearer = nearer_the_truth(frame, seen)
    accepted = seen.hints.accepted[0, 0].numpy()
    tiles = [(frame.name, image), ('predicted classes', overlay_picture(image, seen.labels.numpy())),
             ('predicted depth', depth_picture(seen.depth.numpy(), legend=False)),
             ('true depth', depth_picture(frame.depth.numpy(), legend=False)),
             ('pseudo-depth from classes', depth_picture(hint, legend=False)),
             ('accepted: green is nearer the truth', _marked(image, accepted, known, nearer)),
             ('labels that teach', labels_picture(given)), ('true labels', labels_picture(truth)),
             ('refined labels', labels_picture(refined)),
             ('changed: green is right, grey undecided',
              _marked(image, refined != given, (truth != UNLABELLED) & (refined != UNLABELLED), refined == truth))]
    return contact_sheet(tiles, columns=2, width=TILE_WIDTH)


def _marked(image: np.ndarray, chosen: np.ndarray, known: np.ndarray, right: np.ndarray) -> np.ndarray:
    picture = image // 3
    for mask, colour in ((~known, UNKNOWN), (known & right, RIGHT), (known & ~right, WRONG)):
        picture[chosen & mask] = colour
    return picture
