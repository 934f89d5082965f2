"""Where things may stand: placing them along streets without overlaps."""
from __future__ import annotations

import numpy as np

from semdepth_ros.world.ego import on_ground
from semdepth_ros.world.primitives import COLUMNS, Parts, placed, yaw_matrix
from semdepth_ros.world.relief import Relief
from semdepth_ros.world.shadows import extent
from semdepth_ros.world.streets import Piece, Streets

FAR_M = 50.0


class Site:
    """The building ground of a town.

    rows: what was placed since `take`; objects: pose and extent of every numbered thing, in the order of their numbers;
    lamps: street lamps' positions.
    """

    def __init__(self, streets: Streets, relief: Relief):
        self.streets, self.relief, self.town = streets, relief, streets.town
        self.pieces = list(streets.every)
        ends = np.array([[*p.at(p.length / 2)[:2], p.length / 2] for p in self.pieces], float)
        self.middles, self.radii = ends[:, :2], ends[:, 2]
        self.houses = np.zeros((0, 5))       # x, y, yaw, half depth, half width
        self.lamps: list[tuple[float, float]] = []
        self.objects: list[tuple[np.ndarray, np.ndarray]] = []
        self.rows: list[np.ndarray] = []

    def take(self) -> np.ndarray:
        """Return the table of what was placed since the last call."""
        rows, self.rows = self.rows, []
        return np.concatenate([np.zeros((0, COLUMNS)), *rows])

    def stand(self, piece: Piece, s: float, d: float, turn: float, parts: Parts, own: bool = False,
              lift: float | None = None, flip: bool = False, upright: bool = True) -> None:
        """Place parts at (s, d) of a piece.

        :param turn: against the direction of the piece [rad]
        :param own: give them an instance number
        :param lift: height above the road [m], None for the sidewalk's
        :param flip: mirror them left to right first
        :param upright: False to tilt them as the land is
        """
        x, y, heading = (float(v) for v in piece.at(s, d))
        pose = on_ground(self.relief, x, y, heading + turn, self.town.kerb_m if lift is None else lift)
        if upright:
            pose[:3, :3] = yaw_matrix(heading + turn)
        table = parts.table()
        if flip:
            table[:, 1] *= -1
        identity = 0
        if own:
            self.objects.append((pose, extent(table)))
            identity = len(self.objects)
        self.rows.append(placed(table, pose, identity))

    def clearance(self, x, y) -> np.ndarray:
        """Return how far points [n] lie outside all streets and their sidewalks [m], negative inside."""
        x, y = np.atleast_1d(x), np.atleast_1d(y)
        reach = np.hypot(self.middles[:, 0] - x.mean(), self.middles[:, 1] - y.mean()) - self.radii
        best = np.full(x.shape, FAR_M)
        for i in np.nonzero(reach < FAR_M)[0]:
            piece = self.pieces[i]
            s, d = piece.locate(x, y)
            beside = np.abs(d) - piece.half_width - piece.sidewalk
            best = np.minimum(best, np.maximum(beside, np.maximum(-s, s - piece.length)))
        return best

    def on_sidewalk(self, piece: Piece, s: float, d: float) -> bool:
        """Whether (s, d) of a piece lies on a sidewalk or beyond, off every road."""
        x, y, _ = piece.at(s, d)
        return bool(self.clearance(x, y)[0] + piece.sidewalk > 0.25)

    def off_other_streets(self, piece: Piece, s: float, d: float, margin: float = 4.0) -> bool:
        """Whether (s, d) of a piece is at least `margin` from every other street's road."""
        x, y, _ = piece.at(s, d)
        for i in np.nonzero(np.hypot(self.middles[:, 0] - x, self.middles[:, 1] - y) < self.radii + 20)[0]:
            other = self.pieces[i]
            if other is piece or (piece.role == other.role == 'street' and abs(other.s - piece.s) < 120):
                continue
            along, across = other.locate(x, y)
            if -margin < along < other.length + margin and abs(across) < other.half_width + margin:
                return False
        return True

    def reserve(self, x: float, y: float, yaw: float, deep: float, wide: float) -> bool:
        """Reserve a rectangle whose front middle is (x, y) and which reaches `deep` behind it, if it is free."""
        c, n = np.cos(yaw), np.sin(yaw)
        u = np.array([-0.02, -0.02, -0.02, -0.5, -0.5, -1, -1, -1]) * deep
        v = np.array([-0.5, 0, 0.5, -0.5, 0.5, -0.5, 0, 0.5]) * wide
        rect = np.array([x - c * deep / 2, y - n * deep / 2, yaw, deep / 2, wide / 2])
        if self.clearance(x + c * u - n * v, y + n * u + c * v).min() < 0.02 or overlap(rect, self.houses):
            return False
        self.houses = np.concatenate([self.houses, rect[None]])
        return True

    def inside_house(self, x: float, y: float, margin: float) -> bool:
        """Whether a point is inside a house or nearer to it than margin [m]."""
        return overlap(np.array([x, y, 0.0, margin, margin]), self.houses)


def overlap(rect: np.ndarray, others: np.ndarray) -> bool:
    """Whether a rectangle (x, y, yaw, half x, half y) overlaps any of the others [n, 5]."""
    reach = np.hypot(rect[3], rect[4]) + np.hypot(others[:, 3], others[:, 4])
    near = others[np.hypot(others[:, 0] - rect[0], others[:, 1] - rect[1]) < reach]
    if not len(near):
        return False
    delta, turn = near[:, :2] - rect[:2], near[:, 2] - rect[2]
    c, n = np.abs(np.cos(turn)), np.abs(np.sin(turn))
    gaps = []
    for yaw, own, other in ((rect[2], rect[3:5], near[:, 3:5].T), (near[:, 2], near[:, 3:5].T, rect[3:5])):
        u = np.abs(delta[:, 0] * np.cos(yaw) + delta[:, 1] * np.sin(yaw))
        v = np.abs(delta[:, 1] * np.cos(yaw) - delta[:, 0] * np.sin(yaw))
        gaps += [u - own[0] - other[0] * c - other[1] * n, v - own[1] - other[0] * n - other[1] * c]
    return bool((np.max(gaps, axis=0) < -0.02).any())
