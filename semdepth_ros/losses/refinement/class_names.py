"""Classes by their names in settings."""
from __future__ import annotations

from torch import Tensor

from semdepth_ros.classes import TRAIN_ID
from semdepth_ros.losses.class_border import among
from semdepth_ros.settings import one_of


def expect_class_names(settings, *fields: str) -> None:
    """Raise SettingsError where one of these fields names what is no class."""
    for field in fields:
        for name in getattr(settings, field):
            one_of(field, name, TRAIN_ID)


def named(labels: Tensor, names: tuple[str, ...]) -> Tensor:
    """Return where labels are one of the classes named, bool of their shape."""
    return among(labels, tuple(TRAIN_ID[name] for name in names))
