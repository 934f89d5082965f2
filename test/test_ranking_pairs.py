"""The pairs of the ranking loss: where their points lie, what is left out, and how they are drawn."""
from dataclasses import replace
import math

import cv2
import numpy as np
import pytest
import torch

from semdepth_ros.classes import TRAIN_ID, UNLABELLED
from semdepth_ros.losses import PairSampling, draw_pairs
from semdepth_ros.losses.class_border import find_border, image_edges
from semdepth_ros.losses.pair_sampling import GROUND, MOVABLE, THIN
from semdepth_ros.settings import SettingsError

CAR, TRUCK, POLE, ROAD, BUILDING, SKY = (TRAIN_ID[n] for n in ('car', 'truck', 'pole', 'road', 'building', 'sky'))
WIDTH = 320
HOW = PairSampling(quadruples=600, couples=600)


def street(width=WIDTH, height=192):
    """Two cars, one before a truck, on a road before a house, with a pole, void, sky, and an image that shows it."""
    scale = width / WIDTH
    labels = np.full((round(height * scale), width), BUILDING, np.uint8)

    def fill(top, bottom, left, right, label):
        labels[round(top * scale):round(bottom * scale), round(left * scale):round(right * scale)] = label
    fill(0, 40, 0, 320, SKY)
    fill(140, 192, 0, 320, ROAD)
    fill(60, 150, 180, 260, TRUCK)
    fill(90, 160, 40, 120, CAR)
    fill(100, 160, 220, 320, CAR)
    fill(20, 140, 150, 152, POLE)
    fill(80, 120, 126, 140, UNLABELLED)
    image = np.stack([(labels.astype(np.float32) * k) % 17 / 17 for k in (3, 7, 11)])
    return torch.from_numpy(labels)[None], torch.from_numpy(image)[None]


def drawn(how=HOW, labels=None, image=None, seen=None, seed=0):
    made = street()
    labels, image = (made[0] if labels is None else labels), (made[1] if image is None else image)
    torch.manual_seed(seed)
    return draw_pairs(labels, torch.ones_like(labels, dtype=torch.bool) if seen is None else seen, image, how)


def listed(pairs, width=WIDTH):
    """The pairs that count of the first image, as ((row, column), (row, column), apart)."""
    return [(divmod(first, width), divmod(second, width), apart) for (first, second), apart in zip(
        pairs.index[0][pairs.valid[0]].tolist(), pairs.apart[0][pairs.valid[0]].tolist())]


def label_pairs(pairs, labels):
    """The classes of the pairs that count of the first image, as (first, second, apart)."""
    return [(int(labels[0][a]), int(labels[0][b]), apart) for a, b, apart in listed(pairs, labels.shape[-1])]


def noise(height=24, width=32, seed=0):
    """Labels of all kinds, mostly of those behind objects, and where they are seen."""
    shares = [0.08, 0.05, 0.25, 0.25, 0.27, 0.1]
    labels = np.random.default_rng(seed).choice([CAR, POLE, ROAD, BUILDING, SKY, UNLABELLED], (height, width), p=shares)
    labels = labels.astype(np.uint8)
    seen = np.ones((height, width), bool)
    seen[:, :5] = False
    return torch.from_numpy(labels)[None], torch.from_numpy(seen)[None]


@pytest.mark.parametrize('robust', [False, True])
@pytest.mark.parametrize('ground', [False, True])
@pytest.mark.parametrize('thin', [False, True])
def test_border_pixels_are_those_of_loops_over_their_neighbours(robust, ground, thin):
    labels, seen = noise()
    how = PairSampling(robust=robust, ground=ground, thin=thin, edge_reach=0)
    found = find_border(labels, seen, torch.zeros(1, 3, 24, 32), how).pixels[0]
    objects = MOVABLE + (THIN if thin else ())

    def neighbours(row, column):
        return [(r, c) for r in (row - 1, row, row + 1) for c in (column - 1, column, column + 1)]

    def usable(row, column):
        if not robust:
            return 0 <= row < 24 and 0 <= column < 32 and bool(seen[0, row, column])
        whole = all(0 <= r < 24 and 0 <= c < 32 and seen[0, r, c] for r, c in neighbours(row, column))
        return whole and labels[0, row, column] != UNLABELLED
    for row in range(24):
        for column in range(32):
            classes = [int(labels[0, r, c]) for r, c in neighbours(row, column) if usable(r, c)]
            behind = [c for c in classes if c not in objects and (ground or c not in GROUND)]
            assert found[row, column] == (any(c in objects for c in classes) and bool(behind))


def test_image_edges_are_those_of_opencvs_gradient():
    image = torch.rand(2, 3, 20, 30, generator=torch.Generator().manual_seed(1))
    found = image_edges(image, torch.ones(2, 20, 30, dtype=torch.bool), 0.4)
    for picture, edges in zip(image.mean(dim=1).numpy(), found.numpy()):
        strength = np.hypot(*(cv2.Sobel(picture, cv2.CV_32F, *axis, ksize=3, borderType=cv2.BORDER_REPLICATE)
                              for axis in ((1, 0), (0, 1))))
        assert np.array_equal(edges, strength > 0.4 * strength.max()) and 0.05 < edges.mean() < 0.95


def test_quadruples_have_two_points_of_one_class_on_either_side_and_couples_one():
    labels, image = street()
    quadruples, couples = drawn()
    places = quadruples.index[0].unflatten(0, (-1, 3))
    ends = labels.flatten()[places].tolist()
    valid = quadruples.valid[0].unflatten(0, (-1, 3)).tolist()
    assert sum(map(any, valid)) > 100 and sum(v[0] for v in valid) > 30 and sum(v[2] for v in valid) > 30
    for place, ((a, b), (b_too, c), (c_too, d)), (first, across, second) in zip(places.tolist(), ends, valid):
        if first or across or second:
            assert (b, c) == (b_too, c_too) and (b in MOVABLE) != (c in MOVABLE)
            assert (a in MOVABLE) == (b in MOVABLE) and (c in MOVABLE) == (d in MOVABLE)
            assert place[0][0] != place[0][1] == place[1][0] and place[1][1] == place[2][0] != place[2][1]
        assert (not first or a == b) and (not second or c == d)
    assert all(apart for *_, apart in listed(couples)) and len(listed(couples)) > 100


def test_naive_pairs_are_what_the_labels_of_their_two_points_make_of_them():
    labels, _ = street()
    for pairs in drawn(replace(HOW, robust=False)):
        made = label_pairs(pairs, labels)
        assert len(made) > 200
        assert all(((first in MOVABLE) != (second in MOVABLE)) == apart for first, second, apart in made)
    quadruples, couples = drawn(replace(HOW, robust=False))
    assert any(UNLABELLED in made for made in label_pairs(quadruples, labels))
    assert not quadruples.apart[quadruples.valid].all() and couples.apart[couples.valid].all()


@pytest.mark.parametrize('robust', [False, True])
def test_no_pair_lies_on_the_ground_unless_that_is_wanted(robust):
    labels, _ = street()
    without, with_it = (label_pairs(drawn(replace(HOW, robust=robust, ground=ground))[0], labels)
                        for ground in (False, True))
    assert not any(ROAD in pair[:2] for pair in without)
    assert any(pair[:2] == (CAR, ROAD) or pair[:2] == (ROAD, CAR) for pair in with_it)


def test_robust_pairs_are_neither_void_nor_on_the_frame_nor_nearer_than_skip():
    labels, _ = street()
    border = find_border(labels, torch.ones_like(labels, dtype=torch.bool), street()[1], HOW).pixels[0].nonzero()
    quadruples, couples = drawn()
    for pairs in (quadruples, couples):
        for first, second, apart in listed(pairs):
            for row, column in (first, second):
                assert labels[0, row, column] != UNLABELLED and 0 < row < 191 and 0 < column < WIDTH - 1
    for first, second, apart in listed(quadruples):
        for end in (first, second):
            nearest = (border - torch.tensor(end)).double().norm(dim=1).min()
            assert nearest <= 15 + 1                                         # farthest, 30 px of 640, and rounding
        if apart:
            assert np.hypot(*np.subtract(first, second)) >= 2 * 2 - 1.5      # skip, 4 px of 640, either way


def test_points_beyond_the_image_are_none():
    labels = torch.full((1, 64, 320), BUILDING, dtype=torch.uint8)
    labels[..., :4] = CAR                                                     # narrower than the nearest point is far
    how = replace(HOW, robust=False, nearest=10)
    assert not any(map(listed, drawn(how, labels, torch.rand(1, 3, 64, 320))))
    labels[..., :16] = CAR
    assert all(map(listed, drawn(how, labels, torch.rand(1, 3, 64, 320))))


def test_pairs_never_lie_where_nothing_is_seen():
    labels, _ = street()
    seen = torch.ones_like(labels, dtype=torch.bool)
    seen[:, :, 230:] = False
    for robust in (False, True):
        for pairs in drawn(replace(HOW, robust=robust), seen=seen):
            places = listed(pairs)
            assert places and all(column < 230 for first, second, _ in places for _, column in (first, second))


def test_a_border_without_an_image_edge_counts_only_where_the_image_is_not_looked_at():
    labels, image = street()
    flat = image.clone()
    flat[..., :130] = 0.5                                                     # nothing can be seen of the left car
    places = [first for pairs in drawn(image=flat) for first, *_ in listed(pairs)]
    assert places and all(column > 130 for _, column in places)
    blind = [first for pairs in drawn(replace(HOW, edge_reach=0), image=flat) for first, *_ in listed(pairs)]
    assert any(column < 120 for _, column in blind)


def test_no_image_edge_lies_between_points_that_are_to_stay_together():
    labels, image = street(160)
    image[..., 24:] += 1.0                                                    # a line through the left car
    how = replace(HOW, quadruples=4000)

    def crosses(pair):
        return min(pair[0][1], pair[1][1]) < 24 <= max(pair[0][1], pair[1][1])
    together = [pair for pair in listed(drawn(how, labels, image)[0], 160) if not pair[2]]
    assert together and not any(map(crosses, together))
    blind = [pair for pair in listed(drawn(replace(how, edge_reach=0), labels, image)[0], 160) if not pair[2]]
    assert any(map(crosses, blind))


def test_a_pole_is_too_thin_for_quadruples_and_trusted_in_its_middle():
    labels = torch.full((1, 64, 640), BUILDING, dtype=torch.uint8)
    labels[..., 300:304] = POLE
    image = (labels == POLE).float().expand(1, 3, 64, 640)
    quadruples, couples = drawn(replace(HOW, thin=True), labels, image)
    assert not listed(quadruples, 640)
    on_pole = [column for a, b, _ in listed(couples, 640) for _, column in (a, b) if 300 <= column < 304]
    assert len(on_pole) > 100 and set(on_pole) == {301, 302}
    assert not listed(drawn(HOW, labels, image)[1], 640)


def test_directions_follow_the_image_where_that_is_wanted_and_lead_to_the_object():
    labels = torch.full((1, 96, 320), BUILDING, dtype=torch.uint8)
    labels[:, 40:60, 100:200] = CAR
    slanted = (torch.arange(96) / 96).expand(1, 3, 320, 96).transpose(2, 3)   # brighter downwards everywhere
    pairs = listed(drawn(replace(HOW, direction='image', edge_reach=0), labels, slanted)[1])
    assert all(abs(first[1] - second[1]) <= 1 for first, second, _ in pairs)  # straight up or down
    above = sum(first[0] < 40 for first, *_ in pairs)
    assert 0.3 < above / len(pairs) < 0.7 and len(pairs) > 100


def test_distances_and_numbers_scale_with_the_width():
    reach, count = {}, {}
    for width in (160, 640):
        labels, image = street(width)
        pairs = drawn(replace(HOW, thin=True), labels, image)[1]
        places = np.array([(a, b) for a, b, _ in listed(pairs, width)], float)
        reach[width] = np.linalg.norm(places[:, 0] - places[:, 1], axis=1)
        count[width] = pairs.valid.shape[1]
    assert (count[160], count[640]) == (150, 600)
    assert reach[640].max() == pytest.approx(4 * reach[160].max(), rel=0.15)
    assert np.median(reach[640]) == pytest.approx(4 * np.median(reach[160]), rel=0.15)


def test_a_short_border_is_drawn_once_and_a_long_one_evenly():
    labels = torch.full((2, 96, 320), BUILDING, dtype=torch.uint8)
    labels[0, 40:60, 40:80] = CAR                                             # 2 x 19 + 2 x 39 pixels, and those around
    labels[1, 30:60, 10:310] = CAR
    image = torch.rand(2, 3, 96, 320)
    how = PairSampling(couples=600, quadruples=0, nearest=0, farthest=10, robust=False)
    border = find_border(labels, labels < 255, image, how).pixels.sum(dim=(1, 2)).tolist()
    quadruples, couples = drawn(how, labels, image)
    assert quadruples.valid.shape == (2, 0) and couples.valid.shape == (2, 300)
    counts = couples.valid.sum(dim=1).tolist()
    assert border[0] < 300 < border[1] and 0.5 * border[0] < counts[0] <= border[0] and counts[1] > 150
    columns = couples.index[1][couples.valid[1]][:, 0] % 320
    shares = torch.histc(columns.float(), 4, 0, 320) / len(columns)
    assert (shares > 0.15).all()


def test_the_same_seed_draws_the_same_pairs_and_another_others():
    first, again, other = (drawn(seed=seed) for seed in (1, 1, 2))
    for one, two, three in zip(first, again, other):
        assert all(map(torch.equal, one, two)) and not torch.equal(one.index, three.index)


def test_images_without_objects_have_no_pairs():
    labels = torch.full((1, 64, 64), BUILDING, dtype=torch.uint8)
    assert not any(pairs.valid.any() for pairs in drawn(labels=labels, image=torch.rand(1, 3, 64, 64)))


@pytest.mark.parametrize('direction', ['label', 'image'])
def test_no_value_is_read_back_while_pairs_are_drawn(direction):
    labels, image = (each.to('meta') for each in street())
    pairs = draw_pairs(labels, labels != 3, image, replace(HOW, direction=direction, thin=True))
    assert [tuple(each.index.shape) for each in pairs] == [(1, 900, 2), (1, 300, 2)]


@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a CUDA device')
def test_nothing_waits_for_the_device_and_pairs_are_sampled_alike():
    labels, image = (each.cuda() for each in street())
    seen = torch.ones_like(labels, dtype=torch.bool)
    draw_pairs(labels, seen, image, HOW)
    torch.cuda.set_sync_debug_mode('error')
    try:
        there = draw_pairs(labels, seen, image, HOW)
    finally:
        torch.cuda.set_sync_debug_mode('default')
    for here, pairs in zip(drawn(), there):
        assert pairs.valid.float().mean().item() == pytest.approx(here.valid.float().mean().item(), abs=0.1)


@pytest.mark.parametrize('change, message', [
    ({'direction': 'up'}, "direction is 'up', expected one of"),
    ({'farthest': 3.0}, 'farthest is 3.0, expected at least 4'),
    ({'quadruples': 0, 'couples': 0}, 'quadruples and couples are both 0'), ({'skip': -1}, 'skip is -1, expected'),
    ({'edge_share': 1.5}, 'edge_share is 1.5, expected 0 to 1'), ({'couples': -1}, 'couples is -1')])
def test_what_cannot_be_sampled_is_named(change, message):
    with pytest.raises(SettingsError, match=message):
        PairSampling(**change)


def replayed(labels, seen, image, how, seed):
    """Draw quadruples and couples once more, anchor by anchor in double precision, with the same random numbers.

    :return: of each, the list of (first index, second index, valid)
    """
    border, height, width, scale = find_border(labels, seen, image, how), *labels.shape[1:], labels.shape[-1] / 640
    torch.manual_seed(seed)
    places = [divmod(int(i), width) for i in border.pixels[0].flatten().nonzero()[:, 0]]
    counts = [math.ceil(count * scale) for count in (how.quadruples, how.couples)]
    drawn_anchors = [torch.rand(1, count)[0].double().tolist() for count in counts]
    reach = [[torch.rand(1, counts[0], 2)[0].double().tolist() for _ in range(2)], torch.rand(1, counts[1], 2)[0].double().tolist()]

    def anchors(count, numbers):
        taken = min(count, len(places))
        for j, number in enumerate(numbers):
            k = min(int((j + number) * len(places) / max(taken, 1)), len(places) - 1)
            row, column = places[k]
            right, down = (float(each[0, row, column]) for each in (border.right, border.down))
            length = math.hypot(right, down)
            yield row, column, down / length if length else 0.0, right / length if length else 0.0, j < taken and length > 0

    def pixel(row, column, down, right, at):
        r, c = round(row + at * down), round(column + at * right)
        return min(max(r, 0), height - 1), min(max(c, 0), width - 1), 0 <= r < height and 0 <= c < width

    def look(maps, place):
        return maps[0, place[0], place[1]].item()

    def may_lie(place):
        return place[2] and look(border.usable, place)

    def counts_as_pair(first, second):
        one, other = look(labels, first), look(labels, second)
        if first[:2] == second[:2] or (not how.ground and {one, other} & set(GROUND)):
            return False
        alike = look(border.objects, first) == look(border.objects, second)
        return not (how.robust and alike and one != other)

    def distance(number):
        return (how.least + (how.farthest - how.least) * number) * scale

    def edge_between(anchor, first, second):
        return any(look(border.edges, pixel(*anchor, first + (second - first) * part / 6)) for part in range(7))

    quadruples, couples = [], []
    for (*anchor, valid), *drawn_at in zip(anchors(counts[0], drawn_anchors[0]), *reach[0]):
        sides = [sorted((distance(drawn_at[0][side]), distance(drawn_at[1][side]))) for side in (0, 1)]
        at = (-sides[0][1], -sides[0][0], sides[1][0], sides[1][1])
        points = [pixel(*anchor, each) for each in at]
        kept = valid and all(may_lie(point) for point in points)
        if how.robust:
            a, b, c, d = (look(border.objects, point) for point in points)
            kept = kept and a == b and c == d and b != c and points[0][:2] != points[1][:2] and points[2][:2] != points[3][:2]
        for i in range(3):
            good = kept and counts_as_pair(points[i], points[i + 1])
            if how.looks_for_edges and i != 1:
                good = good and not edge_between(anchor, at[i], at[i + 1])
            quadruples.append((points[i], points[i + 1], bool(good)))
    for (*anchor, valid), (behind, inside) in zip(anchors(counts[1], drawn_anchors[1]), reach[1]):
        behind, inside = distance(behind), distance(inside)
        if how.robust:
            extent = 0
            while extent < math.ceil(2 * how.farthest * scale):
                place = pixel(*anchor, extent + 1)
                if not (place[2] and look(border.objects, place)):
                    break
                extent += 1
            inside = min(inside, extent / 2)
        points = [pixel(*anchor, -behind), pixel(*anchor, inside)]
        good = valid and all(map(may_lie, points)) and counts_as_pair(*points)
        couples.append((*points, bool(good and look(border.objects, points[0]) != look(border.objects, points[1]))))
    return quadruples, couples


@pytest.mark.parametrize('how', [HOW, replace(HOW, robust=False), replace(HOW, ground=True, thin=True, edge_reach=0),
                                 replace(HOW, direction='image', skip=1.0)])
def test_points_and_what_counts_are_those_of_a_loop_over_anchors_with_the_same_draws(how):
    labels, image = street()
    seen = torch.ones_like(labels, dtype=torch.bool)
    seen[:, :, :8] = False
    torch.manual_seed(4)
    for found, expected in zip(draw_pairs(labels, seen, image, how), replayed(labels, seen, image, how, 4)):
        index = [[r * WIDTH + c for r, c, _ in pair[:2]] for pair in expected]
        same = (found.index[0] == torch.tensor(index)).all(dim=-1)
        assert same.float().mean() > 0.995                      # a point halfway between two pixels may round the other way
        valid = torch.tensor([pair[2] for pair in expected])
        assert torch.equal(found.valid[0][same], valid[same]) and 20 < valid.sum() < len(valid)
