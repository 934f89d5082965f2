"""What decides which pairs of points the ranking loss looks at."""
from __future__ import annotations

import math
from dataclasses import dataclass

from semdepth_ros.classes import CITYSCAPES, TRAIN_ID
from semdepth_ros.settings import SettingsError, between, one_of

# the width of the images that distances and numbers are said for [px]
SAID_AT = 640
DIRECTIONS = ('label', 'image')
MOVABLE = tuple(c.train_id for c in CITYSCAPES if c.movable)
THIN = tuple(TRAIN_ID[name] for name in ('pole', 'traffic light', 'traffic sign'))
GROUND = tuple(c.train_id for c in CITYSCAPES if c.ground)


@dataclass(frozen=True)
class PairSampling:
    """How pairs are drawn. Numbers are of an image 640 px wide: all but edge_share scale with the width.

    :param quadruples: border pixels of an image around which four points on a line are drawn, three pairs each
    :param couples: border pixels of an image around which one point on either side is drawn
    :param nearest, farthest: distance of a point from its border pixel [px]
    :param direction: what the line across the border follows the gradient of, the 'label' map or the 'image'
    :param thin: whether poles, traffic lights and signs are objects, as what moves is
    :param ground: whether pairs with a point on the ground count: wheels touch it, and it slopes
    :param robust: whether pairs that labels may well be wrong about are left out: a quadruple needs two points on
        either side, points that are to stay together one class; skip holds; an image edge must lie within edge_reach of
        the border pixel, and none between points that are to stay together; no point is unlabelled or on the frame
    :param skip: points nearer to the border pixel than this are not trusted; but of an object too thin for that the
        middle may be the one of a couple [px]
    :param edge_reach: 0 does not look for image edges [px]
    :param edge_share: share of the image's largest gradient that makes an edge
    """

    quadruples: int = 1000
    couples: int = 1000
    nearest: float = 2.0
    farthest: float = 30.0
    direction: str = 'label'
    thin: bool = False
    ground: bool = False
    robust: bool = True
    skip: float = 4.0
    edge_reach: float = 3.0
    edge_share: float = 0.1

    def __post_init__(self):
        one_of('direction', self.direction, DIRECTIONS)
        between(self, 0, math.inf, 'quadruples', 'couples', 'nearest', 'skip', 'edge_reach')
        between(self, 0, 1, 'edge_share')
        if not self.quadruples + self.couples:
            raise SettingsError('quadruples and couples are both 0, expected one that is not')
        between(self, self.least, math.inf, 'farthest')

    @property
    def least(self) -> float:
        """The least distance of a point from its border pixel [px at SAID_AT]."""
        return max(self.nearest, self.skip) if self.robust else self.nearest

    @property
    def looks_for_edges(self) -> bool:
        """Whether image edges decide about pairs."""
        return self.robust and self.edge_reach > 0

    @property
    def objects(self) -> tuple[int, ...]:
        """The train ids of the objects: one side of the binary map."""
        return MOVABLE + THIN if self.thin else MOVABLE
