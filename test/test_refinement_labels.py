"""Pseudo-semantics from depth against a literal loop in double precision."""
from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from semdepth_ros.classes import UNLABELLED
from semdepth_ros.losses.refinement import SemanticRefinement, pseudo_semantics
from semdepth_ros.losses.refinement.pseudo_semantics import surest_of_class
from semdepth_ros.settings import SettingsError

CLASSES = 5
# 640 / 32: a window of 5x5 pixels of which every second votes, in an image 32 px wide
HOW = SemanticRefinement(confidence=0.6, window_px=100.0, spacing_px=40.0, alike=0.3, majority=0.6, undecided=0.8)


def case(seed: int) -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(2, CLASSES, 12, 32, generator=generator)
    labels = torch.randint(2, (2, 12, 32), generator=generator).to(torch.uint8)
    labels[:, :, 16:] += 1
    labels[torch.rand(labels.shape, generator=generator) < 0.1] = UNLABELLED
    depth = 10 * (0.3 * torch.randn(2, 12, 32, generator=generator)).exp()
    return logits, labels, torch.rand(labels.shape, generator=generator), depth


def surest_by_loops(probability, own, share):
    taken = np.zeros(own.shape, bool)
    for label in np.unique(own):
        places = sorted(zip(*np.nonzero(own == label)), key=lambda place: -probability[place])
        for place in places[:math.ceil(share * len(places))]:
            taken[place] = True
    return taken


def by_loops(logits, labels, confidence, depth, how):
    scores = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares = scores / scores.sum(axis=1, keepdims=True)
    share, own = shares.max(axis=1), shares.argmax(axis=1)
    sure, before = (share > how.confidence) & surest_by_loops(share, own, how.class_share), labels.copy()
    first, weight = labels.copy(), confidence.astype(np.float64)
    for place in np.ndindex(*labels.shape):
        if labels[place] != UNLABELLED and sure[place] and own[place] != labels[place]:
            first[place], weight[place] = own[place], share[place]
    result, trust, (_, height, width) = first.copy(), weight.copy(), labels.shape
    for b, r, c in np.ndindex(*labels.shape):
        votes = np.zeros(CLASSES)
        for i in (-2, 0, 2):
            for j in (-2, 0, 2):
                row, column = r + i, c + j
                if 0 <= row < height and 0 <= column < width and first[b, row, column] != UNLABELLED:
                    if abs(np.log(depth[b, row, column]) - np.log(depth[b, r, c])) <= how.alike:
                        votes[first[b, row, column]] += weight[b, row, column]
        if before[b, r, c] == UNLABELLED or not votes.sum() or sure[b, r, c] and own[b, r, c] == first[b, r, c]:
            continue
        parts = votes / votes.sum()
        if parts.max() >= how.majority and parts.argmax() != first[b, r, c]:
            result[b, r, c], trust[b, r, c] = parts.argmax(), parts.max()
        if -(parts[parts > 0] * np.log(parts[parts > 0])).sum() > how.undecided:
            result[b, r, c] = UNLABELLED
    return result, trust


@pytest.mark.parametrize('seed, share', [(0, 1.0), (1, 1.0), (2, 1.0), (0, 0.5), (1, 0.3), (2, 0.0)])
def test_labels_are_those_of_a_literal_loop(seed, share):
    logits, labels, confidence, depth = case(seed)
    how = replace(HOW, class_share=share)
    found = pseudo_semantics(logits, labels, confidence, depth, how)
    expected, trust = by_loops(*(x.numpy() for x in (logits.double(), labels, confidence, depth.double())), how)
    assert np.array_equal(found.labels.numpy(), expected)
    np.testing.assert_allclose(found.confidence.numpy(), trust, atol=1e-5)
    changed, undecided = found.labels != labels, (found.labels == UNLABELLED) & (labels != UNLABELLED)
    assert 0.1 < changed.float().mean() and undecided.any() and (changed & ~undecided).any()


def sure_of(labels: torch.Tensor, score: float) -> torch.Tensor:
    return torch.nn.functional.one_hot(labels.long(), CLASSES).movedim(-1, 1) * score


def test_a_class_that_the_network_is_sure_of_everywhere_replaces_only_where_it_is_surest():
    probability = torch.tensor([[0.99, 0.98, 0.9, 0.8], [0.5, 0.4, 0.3, 0.2]])
    own = torch.tensor([[3, 3, 3, 3], [1, 1, 1, 1]])
    assert surest_of_class(probability, own, CLASSES, 0.5).tolist() == [[True, True, False, False]] * 2
    assert surest_of_class(probability, own, CLASSES, 1.0).all() and not surest_of_class(probability, own, CLASSES, 0.0).any()


def test_only_pixels_of_like_depth_vote():
    labels = torch.zeros(1, 12, 32, dtype=torch.uint8)
    labels[:, :, 16:] = 1
    labels[0, 6, 17] = 0
    near, nothing = torch.where(torch.arange(32) < 16, 5.0, 50.0).expand(1, 12, 32), torch.zeros(1, CLASSES, 12, 32)
    found = pseudo_semantics(nothing, labels, torch.ones(labels.shape), near, HOW).labels
    assert found[0, 6, 17] == 1 and (found != labels).sum() == 1
    labels[0, 2:11:2, 17::2] = 0
    alone = near.clone()
    alone[0, 6, 17] = 20.0
    assert pseudo_semantics(nothing, labels, torch.ones(labels.shape), alone, HOW).labels[0, 6, 17] == 0


def test_what_the_network_is_sure_of_replaces_a_label_and_is_not_outvoted():
    truth = torch.zeros(1, 12, 32, dtype=torch.uint8)
    truth[0, 6, 10] = 3
    given, depth = torch.full_like(truth, 2), torch.full((1, 12, 32), 10.0)
    found = pseudo_semantics(sure_of(truth, 9.0), given, torch.ones(truth.shape), depth, HOW)
    assert torch.equal(found.labels, truth) and (found.confidence > 0.99).all()
    unsure = pseudo_semantics(sure_of(truth, 0.1), given, torch.full(truth.shape, 0.7), depth, HOW)
    assert torch.equal(unsure.labels, given) and (unsure.confidence == 0.7).all()


def test_no_window_takes_no_vote_and_unlabelled_stays_unlabelled():
    logits, labels, confidence, depth = case(5)
    found = pseudo_semantics(logits, labels, confidence, depth, SemanticRefinement(confidence=1.0, window_px=0.0))
    assert torch.equal(found.labels, labels) and torch.equal(found.confidence, confidence)
    assert (pseudo_semantics(logits, labels, confidence, depth, HOW).labels[labels == UNLABELLED] == UNLABELLED).all()


def test_what_cannot_be_chosen_is_said():
    for settings, words in (({'spacing_px': 0.0}, 'spacing_px is 0.0'), ({'confidence': 2.0}, 'confidence is 2.0'),
                            ({'class_share': -0.5}, 'class_share is -0.5')):
        with pytest.raises(SettingsError, match=words):
            SemanticRefinement(**settings)
