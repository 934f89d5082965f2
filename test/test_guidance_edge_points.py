"""Edge points lie where they should, each once, and what is written there is what all maps say there."""
from __future__ import annotations

import numpy as np
import pytest
import torch
from slow_maths import array, convolved, softmax

from semdepth_ros.classes import MOVABLE, THIN
from semdepth_ros.networks import build_network
from semdepth_ros.networks.guidance import Semantics
from semdepth_ros.networks.guidance.edge_points import EdgePointsGuide
from semdepth_ros.networks.guidance.point_enhancement import PointEnhancement
from semdepth_ros.networks.guidance.point_sampling import (at_points, drawn_points, edge_strength, strongest_points,
                                                           written_at)

ROAD, POLE, SKY, CAR = 0, 5, 10, 13


def edge_points(**settings) -> torch.nn.Module:
    torch.manual_seed(0)
    return build_network({'encoder': 'small', 'guidance': {'kind': 'edge_points'} | settings}).guidance.eval()


def street(car: slice = slice(8, 20)) -> torch.Tensor:
    """Return labels of a car on a road, a pole beside it, uint8 [1, 16, 32]."""
    labels = torch.full((1, 16, 32), ROAD, dtype=torch.uint8)
    labels[:, 4:12, car] = CAR
    labels[:, :, 26] = POLE
    return labels


def scores_of(labels: torch.Tensor) -> torch.Tensor:
    return 20 * torch.nn.functional.one_hot(labels.long(), 19).permute(0, 3, 1, 2).float()


def slow_edges(foreground: np.ndarray, known: np.ndarray, stride: int) -> np.ndarray:
    """Return the largest less the smallest known value of each cell and the pixels around it, 0 where none is known."""
    height, width = foreground.shape
    edges = np.zeros((height // stride, width // stride))
    for row, column in np.ndindex(edges.shape):
        values = [foreground[y, x] for y in range(row * stride - 1, row * stride + stride + 1)
                  for x in range(column * stride - 1, column * stride + stride + 1)
                  if 0 <= y < height and 0 <= x < width and known[y, x]]
        edges[row, column] = max(values) - min(values) if values else 0
    return edges


@pytest.mark.parametrize('stride', [1, 2])
def test_an_edge_is_the_largest_less_the_smallest_value_around(stride):
    rng = np.random.default_rng(0)
    foreground, known = rng.random((8, 12)), rng.random((8, 12)) < 0.6
    known[:3, :4] = False
    result = edge_strength(torch.tensor(foreground)[None], torch.tensor(known)[None], stride)[0]
    np.testing.assert_allclose(array(result), slow_edges(foreground, known, stride), atol=1e-12)


@pytest.mark.parametrize('thin', [False, True])
def test_label_edges_are_those_of_what_moves_and_of_thin_things_if_asked(thin):
    labels = street()
    labels[:, 4:8, 10] = 255
    foreground = np.isin(labels[0].numpy(), MOVABLE + THIN if thin else MOVABLE).astype(float)
    expected = slow_edges(foreground, labels[0].numpy() < 19, 2)
    assert np.array_equal(array(edge_points(thin=thin).label_edges(labels)[0]), expected)
    assert (expected[:, 13] == 1).all() == thin and expected[3, 4] == 1 and expected[3, 7] == 0


@pytest.mark.parametrize('predicted', ['gradient', 'uncertainty'])
def test_predicted_edges_are_those_of_the_probability_of_what_moves(predicted):
    torch.manual_seed(0)
    logits = 3 * torch.randn(1, 19, 8, 12)
    foreground = np.zeros((4, 6))
    for row, column in np.ndindex(4, 6):
        foreground[row, column] = softmax(array(logits[0, :, 2 * row + 1, 2 * column + 1]))[list(MOVABLE)].sum()
    expected = (slow_edges(foreground, foreground >= 0, 1) if predicted == 'gradient'
                else 1 - np.abs(2 * foreground - 1))
    np.testing.assert_allclose(array(edge_points(predicted=predicted).predicted_edges(logits)[0]), expected, atol=1e-6)


def test_the_strongest_edges_are_taken_each_once_and_equal_ones_spread_over_the_map():
    rows, columns = 24, 32
    strength = torch.zeros(2, rows * columns)
    strength[0, 100:108] = torch.linspace(0.5, 1, 8)
    points = strongest_points(strength, 64)
    assert points.shape == (2, 64) and all(len(set(p.tolist())) == 64 for p in points)
    assert points[0, :8].tolist() == list(range(107, 99, -1))
    assert torch.equal(points, strongest_points(strength, 64))
    quarters = (points[1] // columns * 2 // rows) * 2 + points[1] % columns * 2 // columns
    assert all(10 <= (quarters == q).sum() <= 22 for q in range(4))


@pytest.mark.parametrize('count', [1, 40, 768])
def test_drawn_points_are_never_repeated(count):
    torch.manual_seed(0)
    points = drawn_points((torch.rand(3, 768) < 0.1).float(), count, 3, 0.75)
    assert points.shape == (3, count) and all(len(set(p.tolist())) == count for p in points)
    assert points.min() >= 0 and points.max() < 768


def test_points_are_drawn_by_importance_and_the_rest_evenly():
    torch.manual_seed(0)
    strength, counts = torch.zeros(1, 400), torch.zeros(400)
    strength[0, :60] = 1
    for _ in range(400):
        points = drawn_points(strength, 40, 3, 0.5)[0]
        counts[points] += 1
        assert (points < 60).sum() >= 10  # of 120 candidates of 400 pixels 18 are edges, more or less
    rest = counts[60:] / 400
    assert counts[:60].mean() / 400 > 3 * rest.mean()
    assert rest.std() < 2 * (rest.mean() / 400).sqrt()  # no more than chance varies


def test_maps_are_looked_at_between_their_pixels():
    torch.manual_seed(0)
    size, maps = (8, 12), torch.randn(2, 3, 4, 6)
    points = torch.randperm(96)[:40].view(2, 20)
    result = array(at_points(maps, points, size))
    for b, n in np.ndindex(2, 20):
        row, column = divmod(int(points[b, n]), 12)
        y, x = np.clip((row + 0.5) / 2 - 0.5, 0, 3), np.clip((column + 0.5) / 2 - 0.5, 0, 5)
        expected = sum(max(0, 1 - abs(y - i)) * max(0, 1 - abs(x - j)) * array(maps[b, :, i, j])
                       for i, j in np.ndindex(4, 6))
        np.testing.assert_allclose(result[b, n], expected, atol=1e-5)
    own = at_points(maps, points % 24, (4, 6))
    assert all(torch.equal(own[b, n], maps[b, :, points[b, n] % 24 // 6, points[b, n] % 6])
               for b, n in np.ndindex(2, 20))


@pytest.mark.parametrize('write', ['substitution', 'residual'])
def test_what_is_written_is_its_equations(write):
    guidance = edge_points(write=write, attention=True, width=64, points=3072 * 8)
    for tensor in guidance.parameters():
        tensor.data.normal_(0, 0.1)
    guidance, size = guidance.double(), (4, 8)
    torch.manual_seed(1)
    encoder, path = (32, 48, 96), (32, 48, 96)
    features, semantic, depth = ([torch.randn(1, c, 4 >> i, 8 >> i, dtype=torch.float64) for i, c in enumerate(widths)]
                                 for widths in (encoder, path, path))
    points = torch.tensor([[3, 31, 8]])
    guide = EdgePointsGuide(guidance, features, Semantics(dict(enumerate(semantic)), None), points)
    result = guide.output(0, depth[0], {1: depth[1], 2: depth[2]})
    known = np.concatenate([array(torch.nn.functional.interpolate(m, size, mode='bilinear')).reshape(-1, 32)
                            if i else array(m).reshape(-1, 32)
                            for maps in (features, semantic, depth) for i, m in enumerate(maps)])[:, points[0]]
    own, hidden = guidance.enhancement, known[:, :, None]
    for layer in (own.layers[0], own.layers[2]):
        hidden = np.maximum(convolved(hidden, layer.weight, layer.bias), 0)
    a = own.attention
    query, key, value = (convolved(hidden, part.weight, part.bias)[..., 0] for part in (a.query, a.key, a.value))
    attended = np.stack([sum(w * value[:, j] for j, w in enumerate(softmax(query[:, i] @ key / np.sqrt(8))))
                         for i in range(3)], 1)[..., None]
    hidden = hidden + a.alpha.item() * convolved(attended, a.write.weight, a.write.bias)
    written = convolved(hidden, own.write.weight, own.write.bias)[..., 0]
    expected = array(depth[0]).reshape(32, 32)
    expected[:, points[0]] = written + (expected[:, points[0]] if write == 'residual' else 0)
    np.testing.assert_allclose(array(result).reshape(32, 32), expected, rtol=1e-9, atol=1e-12)
    assert guide.output(1, depth[1], {}) is depth[1]


@pytest.mark.parametrize('write', ['substitution', 'residual'])
def test_gradients_are_those_of_finite_differences(write):
    torch.manual_seed(0)
    enhancement = PointEnhancement(7, 2, 5, 4, True, write).double()
    for tensor in enhancement.parameters():
        tensor.data.normal_(0, 0.5)
    points = torch.tensor([[3, 8, 0, 14]])

    def written(coarse, depth):
        known = torch.cat((at_points(coarse, points, (4, 4)), at_points(depth, points, (4, 4))), 2)
        new = enhancement(known, at_points(depth, points, (4, 4)))
        return written_at(depth, points, new)
    coarse, depth = (torch.randn(1, c, s, s, dtype=torch.float64, requires_grad=True) for c, s in ((5, 2), (2, 4)))
    assert torch.autograd.gradcheck(written, (coarse, depth))


def edges_of(guidance: torch.nn.Module, logits: torch.Tensor, labels: torch.Tensor | None) -> set[int]:
    """Return the columns, two pixels wide each, that points of an image of a street lie in."""
    return set((guidance.points(logits, labels)[0] % 16).tolist())


def test_without_training_points_lie_on_predicted_edges_and_on_those_of_labels_where_they_are_given():
    guidance = edge_points(points=3072 * 2)
    here, there = street(), street(slice(2, 6))
    predicted, labelled = edges_of(guidance, scores_of(here), None), edges_of(guidance, scores_of(here), there)
    assert {3, 4, 9, 10} <= predicted and not {3, 4, 9, 10} <= labelled
    nothing = torch.full_like(here, 255)
    assert torch.equal(guidance.points(scores_of(here), nothing), guidance.points(scores_of(here), None))


@pytest.mark.parametrize('label_share', [0.0, 0.5, 1.0])
def test_in_training_a_share_of_the_labelled_images_takes_edges_of_labels(label_share):
    guidance = edge_points(points=3072 * 2, candidates=100, share=1.0, label_share=label_share).train()
    here, there = street().expand(200, -1, -1), street(slice(2, 6)).expand(200, -1, -1)
    torch.manual_seed(0)
    points = guidance.points(scores_of(here), there)
    at_predicted = (points % 16 >= 7).sum(1) > 4  # where the car of the labels has no edge
    assert abs((1 - at_predicted.float()).mean() - label_share) < 0.1
    points = guidance.points(scores_of(here), torch.full_like(there, 255))
    assert ((points % 16 >= 7).sum(1) > 4).all()


def test_a_network_has_a_fixed_number_of_points_and_says_where_they_were():
    network, image = build_network({'encoder': 'small', 'guidance': 'edge_points'}).eval(), torch.rand(2, 3, 64, 128)
    for mode in (True, False):
        points = network.train(mode)(image).extras['edge_points']
        assert points.shape == (2, 205) and all(len(set(p.tolist())) == 205 for p in points)  # 3072 of 640x192
    assert torch.equal(points, network(image).extras['edge_points'])


def test_training_draws_anew_and_the_same_after_the_same_seed():
    network, image = build_network({'encoder': 'small', 'guidance': 'edge_points'}).train(), torch.rand(1, 3, 32, 64)
    draws = []
    for seed in (1, 2, 1):
        torch.manual_seed(seed)
        draws.append(network(image).extras['edge_points'])
    assert torch.equal(draws[0], draws[2]) and not torch.equal(draws[0], draws[1])


def test_points_bring_gradients_to_both_decoders_and_the_encoder():
    guidance = edge_points(points=640 * 192 // 40, maps=1)
    maps = [torch.randn(1, c, 4, 8, requires_grad=True) for c in (32, 32, 32)]
    guide = EdgePointsGuide(guidance, maps[:1], Semantics({0: maps[1]}, None), torch.tensor([[5]]))
    for tensor in guidance.parameters():
        tensor.data.normal_(0, 0.1)
    guide.output(0, maps[2], {})[0, :, 0, 5].sum().backward()
    for each in maps:
        assert each.grad[0, :, 0, 5].any() and each.grad.count_nonzero() <= 32


@pytest.mark.parametrize('architecture, message', [
    ({'classes': 3}, 'classes is 3, expected 19: edge points ask which of them move'),
    ({'guidance': {'kind': 'edge_points', 'width': 63}}, 'width is 63, expected at least 64, twice the channels'),
    ({'guidance': {'kind': 'edge_points', 'share': 1.5}}, 'share is 1.5, expected 0 to 1'),
    ({'guidance': {'kind': 'edge_points', 'write': 'sum'}}, "write is 'sum', expected one of .'substitution'"),
    ({'guidance': {'kind': 'edge_points', 'predicted': 'sobel'}}, "predicted is 'sobel', expected one of .'grad"),
])
def test_settings_that_cannot_be_followed_are_named(architecture, message):
    with pytest.raises(ValueError, match=message):
        build_network({'encoder': 'small', 'guidance': 'edge_points'} | architecture)
