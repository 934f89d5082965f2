"""Classes by their names in settings."""
from __future__ import annotations

import torch
from torch import Tensor

from semdepth_ros.classes import TRAIN_ID, UNLABELLED
from semdepth_ros.settings import one_of


def expect_class_names(settings, *fields: str) -> None:
    """Raise SettingsError where one of these fields names what is no class."""
    for field in fields:
        for name in getattr(settings, field):
            one_of(field, name, TRAIN_ID)


def class_lookup(names: tuple[str, ...], device: torch.device) -> Tensor:
    """Return for every label whether it is one of the classes named, bool [256]."""
    table = [value in {TRAIN_ID[name] for name in names} for value in range(UNLABELLED + 1)]
    return torch.tensor(table, device=device)
