"""What everything in the world is made of: boxes, cylinders, ellipsoids, and crowns, as rows of one table."""
from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from semdepth_ros.classes import TRAIN_ID
from semdepth_ros.world.textures import MATERIAL

BOX, CYLINDER, ELLIPSOID, CROWN = 0, 1, 2, 3      # a crown is an ellipsoid's skin with holes: see crowns.py
# columns of a table row
CENTRE, AXES, HALF, KIND = slice(0, 3), slice(3, 12), slice(12, 15), 15
COLOUR, MATERIAL_ID, PERIOD, CLASS, OBJECT = slice(16, 19), 19, 20, 21, 22
PATTERN, PARAMETERS, GLOW, SEED = 23, slice(24, 28), 28, 29
COLUMNS = 30
PATTERNS = {name: i for i, name in enumerate(('plain', 'facade', 'glass', 'sign', 'signal', 'slats', 'shop',
                                           'panels'))}


def yaw_matrix(yaw: float) -> np.ndarray:
    """Return the rotation about z, float64 [3, 3]."""
    c, s = np.cos(yaw), np.sin(yaw)
    return np.array([[c, -s, 0], [s, c, 0], [0, 0, 1.0]])


def rotation(yaw: float = 0.0, pitch: float = 0.0, roll: float = 0.0) -> np.ndarray:
    """Return Rz(yaw) Ry(pitch) Rx(roll), float64 [3, 3], angles [rad]."""
    cp, sp, cr, sr = np.cos(pitch), np.sin(pitch), np.cos(roll), np.sin(roll)
    ry = np.array([[cp, 0, sp], [0, 1, 0], [-sp, 0, cp]])
    rx = np.array([[1, 0, 0], [0, cr, -sr], [0, sr, cr]])
    return yaw_matrix(yaw) @ ry @ rx


def along(start, end) -> tuple[np.ndarray, float]:
    """Return axes [3, 3] whose z points from start to end, and the distance [m]."""
    step = np.asarray(end, float) - np.asarray(start, float)
    length = float(np.linalg.norm(step))
    z = step / length
    x = np.cross(z, (0, 1, 0)) if abs(z[1]) < 0.9 else np.cross(z, (1, 0, 0))
    x /= np.linalg.norm(x)
    return np.stack([x, np.cross(z, x), z], 1), length


@dataclass
class Parts:
    """A growing list of primitives in one frame of reference (an object's own, or the world's)."""

    rows: list[np.ndarray] = field(default_factory=list)

    def add(self, kind: int, centre, size, colour, cls: str, material='paint', period=4.0, axes=None, pattern='plain',
            parameters=(0, 0, 0, 0), glow=0.0, seed=0.0) -> None:
        """Append one primitive.

        :param centre, size: middle and full extent along the primitive's own axes [m]
        :param colour: albedo, linear rgb 0..1
        :param period: size of one repeat of the texture [m]
        :param axes: rotation of the primitive [3, 3]; a cylinder stands along its own z
        :param pattern, parameters: what is drawn on it (a key of PATTERNS), four numbers of its own
        :param glow: light it gives off by itself
        """
        row = np.zeros(COLUMNS)
        row[CENTRE], row[HALF], row[KIND] = centre, np.maximum(np.asarray(size, float) / 2, 1e-3), kind
        row[AXES] = (np.eye(3) if axes is None else axes).reshape(-1)
        row[COLOUR], row[MATERIAL_ID], row[PERIOD] = colour, MATERIAL[material], period
        row[CLASS], row[PATTERN], row[PARAMETERS] = TRAIN_ID[cls], PATTERNS[pattern], parameters
        row[GLOW], row[SEED] = glow, seed
        self.rows.append(row)

    def box(self, centre, size, colour, cls, **more) -> None:
        """Append a box; see `add`."""
        self.add(BOX, centre, size, colour, cls, **more)

    def cylinder(self, centre, size, colour, cls, **more) -> None:
        """Append a cylinder; see `add`."""
        self.add(CYLINDER, centre, size, colour, cls, **more)

    def ellipsoid(self, centre, size, colour, cls, **more) -> None:
        """Append an ellipsoid; see `add`."""
        self.add(ELLIPSOID, centre, size, colour, cls, **more)

    def crown(self, centre, size, colour, cls, **more) -> None:
        """Append an ellipsoid's skin with holes; parameters: share of holes, their grain [m], two places; see `add`."""
        self.add(CROWN, centre, size, colour, cls, **more)

    def table(self) -> np.ndarray:
        """Return the rows, float64 [n, COLUMNS]."""
        return np.stack(self.rows) if self.rows else np.zeros((0, COLUMNS))


def placed(table: np.ndarray, pose: np.ndarray, identity: int = 0) -> np.ndarray:
    """Return a copy of the table moved by a rigid pose [4, 4], marked with its object's number."""
    out = table.copy()
    out[:, CENTRE] = table[:, CENTRE] @ pose[:3, :3].T + pose[:3, 3]
    out[:, AXES] = np.einsum('ij,njk->nik', pose[:3, :3], table[:, AXES].reshape(-1, 3, 3)).reshape(-1, 9)
    out[:, OBJECT] = identity
    return out
