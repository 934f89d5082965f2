"""A picture of what guidance does to a frame: what each level changes, what attention looks at, what becomes of depth."""
from __future__ import annotations

import cv2
import numpy as np
from torch import Tensor

from semdepth_ros.evaluation.pictures import contact_sheet, depth_picture, overlay_picture
from semdepth_ros.training.guidance_survey import Guided, GuidedLevel
from semdepth_ros.training.pair_survey import SurveyFrame

TILE_WIDTH = 640
POINT, CROSS = (255, 60, 60), (60, 255, 60)
MOST_MOVED = 0.2   # |ln ratio| that is drawn at full strength


def guidance_sheet(frame: SurveyFrame, seen: Guided) -> np.ndarray:
    """Draw a frame, three pictures in a row.

    First its image with the edge points in red, if there are any, the predicted classes, and how guidance moves depth:
    red is farther, blue nearer, white where it stays. Then depth with guidance, without, and the true one. Then a row
    of every level that guidance changed: how far features moved, and of modulation gamma and beta. Last what attention
    of each place looks at, bright over the dimmed image, a green cross at the place.

    :return: uint8 [H, W, 3]
    """
    image = np.ascontiguousarray(np.rint(frame.image.permute(1, 2, 0).numpy() * 255).astype(np.uint8))
    tiles = [(f'{frame.name}', _with_points(image, seen)),
             ('predicted classes', overlay_picture(image, seen.labels.numpy())),
             (f'depth moved by guidance, up to {100 * MOST_MOVED:.0f} %', _moved_picture(seen.moved.numpy())),
             ('depth with guidance', _depth_picture(seen.depth)), ('without', _depth_picture(seen.unguided)),
             ('true depth', _depth_picture(frame.depth))]
    empty = np.zeros_like(image)
    for level in seen.levels:
        row = [(f'{level.name}: features moved by up to {float(level.change.max()):.2f}', level.change)]
        row += [(f'{name}, up to {float(gain.max()):.2f}', gain) for name, gain in level.gains.items()]
        drawn = [(text, _map_picture(values, image)) for text, values in row]
        tiles += drawn + [('', empty)] * (-len(drawn) % 3)
    for level in seen.levels:
        attended = _attended_tiles(level, image)
        tiles += attended + [('', empty)] * (-len(attended) % 3)
    return contact_sheet(tiles, columns=3, width=TILE_WIDTH)


def _depth_picture(depth: Tensor) -> np.ndarray:
    return depth_picture(depth.numpy(), legend=False)


def _moved_picture(moved: np.ndarray) -> np.ndarray:
    """White where nothing moves, towards red where depth grows, towards blue where it shrinks."""
    share = np.clip(moved / MOST_MOVED, -1, 1)[..., None]
    colour = np.where(share > 0, (220, 30, 30), (30, 60, 220))
    return np.rint(255 * (1 - np.abs(share)) + colour * np.abs(share)).astype(np.uint8)


def _map_picture(values: Tensor, image: np.ndarray) -> np.ndarray:
    """Draw a level's map [h, w] from nothing (dark) to its largest (bright), at the size of the image."""
    array = values.float().numpy()
    level = np.rint(255 * array / max(float(array.max()), 1e-12)).astype(np.uint8)
    drawn = cv2.cvtColor(cv2.applyColorMap(level, cv2.COLORMAP_INFERNO), cv2.COLOR_BGR2RGB)
    return cv2.resize(drawn, image.shape[1::-1], interpolation=cv2.INTER_NEAREST)


def _with_points(image: np.ndarray, seen: Guided) -> np.ndarray:
    if seen.points is None:
        return image
    drawn, stride = image.copy(), next(level.stride for level in reversed(seen.levels))
    width = image.shape[1] // stride
    for index in seen.points.tolist():
        row, column = divmod(index, width)
        drawn[row * stride:(row + 1) * stride, column * stride:(column + 1) * stride] = POINT
    return drawn


def _attended_tiles(level: GuidedLevel, image: np.ndarray) -> list[tuple[str, np.ndarray]]:
    if level.attended is None:
        return []
    tiles = []
    for (row, column), weights in level.attended.weights.items():
        glow = weights.float().numpy()
        glow = cv2.resize(glow / max(float(glow.max()), 1e-12), image.shape[1::-1], interpolation=cv2.INTER_NEAREST)
        picture = np.rint(image * (0.25 + 0.75 * np.sqrt(glow)[..., None])).astype(np.uint8)
        centre = int((column + 0.5) * level.stride), int((row + 0.5) * level.stride)
        cv2.drawMarker(picture, centre, CROSS, cv2.MARKER_CROSS, 11, 2)
        uniform = 1 / weights.numel()
        tiles.append((f'{level.name}, alpha {level.attended.alpha:.3f}: at most {float(weights.max()) / uniform:.1f} x even',
                      picture))
    return tiles
