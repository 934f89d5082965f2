"""The parameters a town is grown from; each split and each town kind draws them from ranges of its own."""
from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

SPLITS = ('train', 'val', 'test')
KINDS, KIND_SHARES = ('town', 'boulevard', 'country'), (0.5, 0.3, 0.2)
SEASONS, SEASON_SHARES = ('summer', 'autumn', 'winter'), (0.6, 0.2, 0.2)

_PLASTERS = {
    'train': ((0.62, 0.58, 0.50), (0.55, 0.45, 0.32), (0.48, 0.47, 0.45), (0.60, 0.50, 0.40), (0.42, 0.30, 0.22),
              (0.66, 0.64, 0.60), (0.35, 0.36, 0.38), (0.50, 0.40, 0.22)),
    'val': ((0.55, 0.50, 0.44), (0.40, 0.42, 0.38), (0.60, 0.47, 0.35), (0.30, 0.28, 0.27), (0.62, 0.60, 0.52)),
    'test': ((0.58, 0.53, 0.42), (0.50, 0.36, 0.26), (0.44, 0.46, 0.48), (0.64, 0.60, 0.55), (0.46, 0.44, 0.30)),
    'other': ((0.75, 0.70, 0.60), (0.62, 0.36, 0.24), (0.70, 0.52, 0.30), (0.40, 0.48, 0.50), (0.72, 0.60, 0.52)),
}
_BRICKS = {
    'train': ((0.28, 0.12, 0.08), (0.36, 0.20, 0.13), (0.22, 0.13, 0.10), (0.40, 0.30, 0.22)),
    'val': ((0.32, 0.15, 0.10), (0.26, 0.18, 0.14)),
    'test': ((0.30, 0.14, 0.11), (0.38, 0.26, 0.18), (0.20, 0.12, 0.10)),
    'other': ((0.45, 0.22, 0.12), (0.50, 0.38, 0.26)),
}
_ROOFS = ((0.26, 0.09, 0.05), (0.10, 0.10, 0.11), (0.17, 0.12, 0.09), (0.30, 0.14, 0.08))


@dataclass(frozen=True)
class Town:
    """Everything that makes one town look and feel different from another. Lengths in metres, shares 0..1.

    :param kind: 'town'; 'boulevard': two lanes a way, straight, in slow dense traffic; 'country': grass and no houses
    :param overhang: share of street trees that reach over the lane
    :param rough: how much the asphalt's tone varies
    :param marking: how much of the roads' paint is left; patches: share of asphalt that was mended
    :param verge_m: width of grass between kerb and sidewalk
    :param bridges: bridges and gantries over a kilometre of route
    :param plain: whether houses have no windows
    :param repetitive: whether walls are plain, and fences and fronts repeat themselves; houses have no windows then
    """

    lane_m: float
    sidewalk_m: tuple[float, float]
    parking_share: float
    second_lane_share: float
    kerb_m: float
    curviness: float
    leg_m: tuple[float, float]
    steepest: float
    left_hand: bool
    yellow_lines: bool
    asphalt: tuple[float, float, float]
    paving: tuple[float, float, float]
    grass: tuple[float, float, float]
    leaf: tuple[float, float, float]
    plasters: tuple
    bricks: tuple
    roofs: tuple
    brick_share: float
    storey_m: tuple[float, float]
    window_spacing: tuple[float, float]
    window_share: tuple[float, float]
    floors: tuple[int, int]
    balconies: float
    districts: tuple[float, float, float, float]    # shares of city, suburb, park, works
    tree_share: float
    tree_height: tuple[float, float]
    tree_kinds: tuple[float, float, float]
    car_share: float
    people_per_100m: float
    cyclists_per_100m: float
    oncoming_gap_m: tuple[float, float]
    speed_limit: float
    lamp_height: float
    pole_colour: tuple[float, float, float]
    season: str = 'summer'
    overhang: float = 0.0
    kind: str = 'town'
    marking: float = 1.0
    patches: float = 0.0
    verge_m: float = 0.0
    rough: float = 1.0
    bridges: tuple[float, float] = (0.0, 0.0)
    plain: bool = False
    repetitive: bool = False
    sun_azimuth_deg: float = 0.0
    sun_elevation_deg: float = 45.0
    cloudiness: float = 0.4

    @property
    def windowless(self) -> bool:
        """Whether houses have no windows, shops and balconies."""
        return self.plain or self.repetitive


def _span(rng: np.random.Generator, low: float, high: float, width: float) -> tuple[float, float]:
    a = rng.uniform(low, high - width)
    return a, a + width


def random_town(rng: np.random.Generator, split: str, other: bool = False, plain: bool = False) -> Town:
    """Return a town of a split ('train', 'val' or 'test'); `other` draws from ranges that no split uses.

    The training range surrounds less than the validation and test ranges do: lanes, storeys, bends, districts, window
    spacings and palettes of held-out towns reach beyond it.
    """
    held_out = {'train': 0.0, 'val': 0.5, 'test': 1.0}[split]
    u = rng.uniform
    lane = u(3.55, 3.85) if other else u(3.0, 3.5) if not held_out else u(2.9, 3.6)
    tone = u(0.085, 0.16) if not other else u(0.17, 0.24)
    warm = u(-0.012, 0.014)
    green = (u(0.07, 0.13), u(0.12, 0.19), u(0.03, 0.06))
    leaf = ((0.12, 0.20), (0.11, 0.16), (0.03, 0.05)) if other else ((0.055, 0.13), (0.11, 0.18), (0.02, 0.05))
    leaf = tuple(u(*span) for span in leaf)
    low = int(rng.integers(2, 4))
    palette = 'other' if other else split
    districts = rng.dirichlet((3.0 + held_out, 3.0, 1.6, 1.2 + held_out))
    town = Town(
        lane_m=lane, sidewalk_m=_span(rng, 1.6, 4.2, 1.2), parking_share=u(0.3, 0.9), second_lane_share=u(0.0, 0.3),
        kerb_m=u(0.09, 0.15), curviness=u(0.3, 1.0) + 0.2 * held_out, leg_m=_span(rng, 70, 190, 60),
        steepest=u(0.005, 0.035) if not other else u(0.03, 0.05), left_hand=other,
        yellow_lines=bool(other or rng.random() < 0.12), asphalt=(tone + warm, tone, tone - warm),
        paving=tuple(np.array((u(0.19, 0.31),) * 3) * (1.04, 1.0, u(0.86, 0.98))), grass=green, leaf=leaf,
        plasters=_PLASTERS[palette], bricks=_BRICKS[palette], roofs=_ROOFS,
        brick_share=u(0, 0.15) if other else u(0.1, 0.6),
        storey_m=_span(rng, 2.7, 3.7, 0.3), window_spacing=_span(rng, 1.8, 4.4, 0.8 + 0.3 * held_out),
        window_share=_span(rng, 0.30, 0.66, 0.15), floors=(low, low + int(rng.integers(2, 5)) + int(2 * held_out)),
        balconies=u(0, 0.5), districts=tuple(districts), tree_share=u(0.25, 0.8),
        tree_height=_span(rng, 5.0, 13.0, 4.0),
        tree_kinds=tuple(rng.dirichlet((1, 3, 3) if other else (4, 0.8, 0.8))), car_share=u(0.4, 0.85),
        people_per_100m=u(3.5, 9.0), cyclists_per_100m=u(1.0, 2.4), oncoming_gap_m=_span(rng, 25, 110, 50),
        speed_limit=u(8.0, 12.5), lamp_height=u(5.0, 8.0), pole_colour=(u(0.05, 0.35),) * 3, plain=plain,
        season=str(rng.choice(SEASONS, p=SEASON_SHARES)), overhang=u(0, 0.7),
        sun_azimuth_deg=u(0, 360), sun_elevation_deg=u(28, 62), cloudiness=u(0.1, 0.8))
    return replace(town, **_road(rng, town, other))


def _road(rng: np.random.Generator, town: Town, other: bool) -> dict:
    """Return what depends on the kind of town: drawn last, so that the rest does not depend on it."""
    kind = 'town' if other else str(rng.choice(KINDS, p=KIND_SHARES))
    u = rng.uniform
    changes = dict(kind=kind, marking=u(0.0, 0.5) if rng.random() < 0.3 else u(0.7, 1.0), patches=u(0.0, 0.25),
                   verge_m=u(1.0, 2.2) if rng.random() < 0.3 else 0.0, bridges=(u(0, 5), u(0, 4)),
                   rough=u(0.2, 1.0))
    if kind == 'boulevard':
        changes.update(second_lane_share=1.0, curviness=0.3 * town.curviness, leg_m=(140.0, 300.0),
                       speed_limit=u(4.0, 10.0), parking_share=u(0.0, 0.4), bridges=(u(0, 7), u(1, 8)))
    elif kind == 'country':
        changes.update(second_lane_share=float(rng.random() < 0.5), curviness=0.6 * town.curviness,
                       leg_m=(260.0, 500.0), parking_share=0.0, sidewalk_m=(0.3, 0.9), speed_limit=u(10.0, 12.5),
                       tree_share=u(0.0, 0.5), verge_m=0.0, people_per_100m=0.3, cyclists_per_100m=0.4, bridges=(u(0, 6), u(0, 6)))
    return changes
