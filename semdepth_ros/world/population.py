"""What stands still in a town, street piece by street piece."""
from __future__ import annotations

import numpy as np

from semdepth_ros.world.clutter import floaters, repainted
from semdepth_ros.world.kerbside import furnish, furnish_junction, wait_at_junction
from semdepth_ros.world.lots import build_lots, close_end
from semdepth_ros.world.relief import Relief
from semdepth_ros.world.site import Site
from semdepth_ros.world.streets import JUNCTION_RADIUS, Streets
from semdepth_ros.world.structures import divide, raise_hills, span


class Population:
    """The still things along all streets known so far.

    :param seed: of the town
    :param lit: 1 where lamps are on
    :param clutter: whether things float about and half of all has colours and textures drawn at random
    """

    def __init__(self, streets: Streets, relief: Relief, seed: list[int], lit: float, clutter: bool = False):
        self.site, self.seed, self.lit, self.clutter = Site(streets, relief), seed, lit, clutter
        self.tables: list[np.ndarray] = []

    def along(self, number: int) -> np.ndarray:
        """Return the table of the things along street piece `number`; pieces are filled in order."""
        while len(self.tables) <= number:
            self._fill(len(self.tables))
        return self.tables[number]

    def near(self, x: float, y: float, radius: float) -> tuple[int, ...]:
        """Return the numbers of the street pieces within `radius` of a point."""
        distance = np.hypot(self.site.middles[:, 0] - x, self.site.middles[:, 1] - y) - self.site.radii
        return tuple(np.nonzero(distance < radius)[0].tolist())

    def _fill(self, number: int) -> None:
        site, piece = self.site, self.site.pieces[number]
        rng = np.random.default_rng([*self.seed, 5, number])
        if piece.role == 'junction':
            furnish_junction(site, next(j for j in site.streets.junctions if j.enters == piece.s), rng)
        else:
            span(site, piece, rng)
            divide(site, piece)
            raise_hills(site, piece, rng)
            begin = JUNCTION_RADIUS + 4.0 if piece.role == 'side' else 0.0
            for side in (-1, 1):
                build_lots(site, piece, side, begin, rng)
                furnish(site, piece, side, begin, self.lit, rng)
        if piece.role == 'side':
            close_end(site, piece, rng)
            wait_at_junction(site, piece, self.lit, rng)
        if self.clutter:
            floaters(site, piece, rng)
        table = site.take()
        self.tables.append(repainted(table, rng) if self.clutter else table)
