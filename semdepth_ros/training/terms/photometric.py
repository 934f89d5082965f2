"""The target must look like its neighbours, painted through depth and motion."""
from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from semdepth_ros.losses import minimum_reprojection
from semdepth_ros.training.terms.weight import Weighted
from semdepth_ros.training.view import View


@dataclass(frozen=True)
class Photometric(Weighted):
    """How the photometric term counts.

    :param auto_mask: whether pixels that an unwarped source already matches are masked
    """

    weight: float = 1.0
    auto_mask: bool = True


def photometric(view: View, settings: Photometric) -> Tensor:
    """Return the mean over scales and seen pixels of the smallest photometric error (Godard et al. 2019, eq. 4 and 5)."""
    identity = view.identity_error if settings.auto_mask else None
    return view.mean(minimum_reprojection(view.warped_error, identity))
