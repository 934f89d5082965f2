"""What one batch of triplets asks of the network: the weighted terms and their sum."""
from __future__ import annotations

from dataclasses import field, fields, make_dataclass

import torch
from torch import Tensor

from semdepth_ros.settings import SettingsError
from semdepth_ros.training.terms import TERMS, Weighted
from semdepth_ros.training.view import View


def _expect_a_first_term(losses: Losses) -> None:
    if not any(settings.weight_at(0) for settings in terms_of(losses).values()):
        raise SettingsError(f'{", ".join(TERMS)} are all 0 at the first step, expected one that is not')


def losses_class() -> type:
    """Return the dataclass with the settings of every term in the table, by its name."""
    rows = [(name, term.settings, field(default=term.settings())) for name, term in TERMS.items()]
    return make_dataclass('Losses', rows, frozen=True, namespace={
        '__doc__': 'The settings of every term, by its name.', '__post_init__': _expect_a_first_term,
        '__module__': __name__})


Losses = losses_class()


def terms_of(losses: Losses) -> dict[str, Weighted]:
    """Return the settings of the terms that count at some step, by name."""
    settings = {entry.name: getattr(losses, entry.name) for entry in fields(losses)}
    return {name: each for name, each in settings.items() if each.weight}


def needs_of(losses: Losses) -> frozenset[str]:
    """Return the optional fields of TripletBatch that the terms look at."""
    return frozenset().union(*(TERMS[name].needs for name in terms_of(losses)))


def labelled_terms(losses: Losses) -> list[str]:
    """Return the names of the terms that count and are taught by labels."""
    return [name for name in terms_of(losses) if TERMS[name].labelled]


def joint_losses(view: View, losses: Losses, every: bool = False) -> dict[str, Tensor]:
    """Return the weighted terms that count at the view's step, and their sum, `total`.

    :param every: also compute those that do not count yet, times 0: all processes of a run wait for the same gradients
    """
    terms = {}
    for name, settings in terms_of(losses).items():
        weight = settings.weight_at(view.step)
        if weight or every:
            terms[name] = weight * TERMS[name].function(view, settings)
    return {'total': torch.stack(list(terms.values())).sum(), **terms}
