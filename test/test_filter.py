"""Images with holes in the road: how they are judged, listed, drawn, and left out of a training."""
import json
from dataclasses import dataclass, replace

import numpy as np
import pytest
from plane_world import CAMERA, Corridor
from tiny_model import write_models

from semdepth_ros.classes import TRAIN_ID
from semdepth_ros.cli.main import main
from semdepth_ros.data import write_folder_sequence
from semdepth_ros.data.pictures import read_rgb
from semdepth_ros.geometry.below_ground import distance_to_ground, heights_below
from semdepth_ros.geometry.camera import Camera
from semdepth_ros.geometry.ground_plane import fit_ground_plane
from semdepth_ros.settings import SettingsError
from semdepth_ros.training.filtering.flag_list import FlagList, flagged_frames
from semdepth_ros.training.filtering.judgement import judge
from semdepth_ros.training.filtering.picture import BELOW
from semdepth_ros.training.filtering.rule import FilterRule, label_kind
from semdepth_ros.training.filtering.survey import TABLE_NAME, FilterSource, find_flagged
from semdepth_ros.training.recipe import DataEntry, RecipeError
from semdepth_ros.training.recipe_file import read_recipe
from semdepth_ros.training.targets import find_targets
from semdepth_ros.training.triplets import triplet_source

CAR, ROAD, WALL = TRAIN_ID['car'], TRAIN_ID['road'], TRAIN_ID['wall']
HOLE = np.s_[40:48, 44:52]      # of the corridor's picture: 64 px, on the road
WIDE = Camera.from_field_of_view(320, 96, 82)


def with_car(frame, far=True):
    """Return depth and labels of a corridor's frame with a car on the road that is taken to be far away, or is not."""
    depth, labels = frame.depth.copy(), frame.labels.copy()
    labels[HOLE] = CAR
    depth[HOLE] = 200.0 if far else 0.9 * depth[HOLE].min()
    return depth, labels


@dataclass
class Seen:
    depth: np.ndarray
    labels: np.ndarray
    camera: Camera = CAMERA


class Holed:
    """Sees the corridor as it is, but for a car at 200 m in some frames; counts what it is asked."""

    def __init__(self, frames, stop_after=10 ** 6):
        self.frames, self.calls, self.stop_after = frames, 0, stop_after

    def perceive(self, sample):
        if self.calls >= self.stop_after:
            raise KeyboardInterrupt
        self.calls += 1
        return Seen(*with_car(sample, int(sample.name) in self.frames))


def drives(folder, lengths=(5, 4)):
    for n, frames in enumerate(lengths):
        write_folder_sequence(folder / f'{n:03d}_day', Corridor(frames), CAMERA)
    return folder


def found(folder, tmp_path, frames=(2,), out='flags.json', **more):
    entry = DataEntry(str(folder))
    return find_flagged([FilterSource(entry)], Holed(frames).perceive, FilterRule(), tmp_path / out, {'name': 'holed'},
                        **more)


def test_heights_below_a_tilted_plane_are_those_of_its_points():
    pitch = np.radians(4)
    normal, rays = np.array([0, np.cos(pitch), np.sin(pitch)]), WIDE.rays().astype(np.float64)
    slope = rays @ normal
    depth = np.where(slope > 0.02, 1.65 / np.maximum(slope, 1e-9), 80.0)
    plane = fit_ground_plane(depth, slope > 0.02, WIDE)
    heights = heights_below(depth * 1.4, plane, WIDE)
    points = rays * (depth * 1.4)[..., None]
    np.testing.assert_allclose(heights, points @ normal / 1.65 - 1, atol=1e-3)
    assert np.allclose(heights[slope > 0.02], 0.4, atol=1e-3)
    distance = distance_to_ground(plane, WIDE)
    assert np.isinf(distance[slope <= 0]).all() and (slope <= 0).any()
    np.testing.assert_allclose(distance[slope > 0.02], depth[slope > 0.02] / 1.65, rtol=1e-3)


@pytest.mark.parametrize('unit', [1.0, 0.03, 40.0])
def test_a_car_at_infinity_is_a_hole_in_the_road_whatever_the_unit_of_depth(unit):
    frame = Corridor(3)[1]
    depth, labels = with_car(frame)
    judgement = judge(unit * depth, labels, CAMERA)
    assert judgement.flagged and judgement.share == pytest.approx(64 / (96 * 64))
    assert judgement.below[HOLE].all() and judgement.below.sum() == 64
    assert judgement.deepest > 5
    assert judgement.plane.height_m == pytest.approx(unit * 1.5, rel=1e-3)


def test_a_car_where_it_is_and_an_empty_road_are_not_flagged():
    frame = Corridor(3)[1]
    for depth, labels in ((frame.depth, frame.labels), with_car(frame, far=False)):
        judgement = judge(depth, labels, CAMERA)
        assert judgement.plane is not None and not judgement.flagged and not judgement.below.any()
        assert judgement.share == judgement.deepest == 0


def test_what_counts_follows_the_rule():
    frame = Corridor(3)[1]
    depth, labels = with_car(frame)
    assert not judge(depth, labels, CAMERA, FilterRule(share=0.02)).flagged
    assert not judge(depth, labels, CAMERA, FilterRule(below=1000.0)).flagged
    nearer = judge(depth, labels, CAMERA, FilterRule(reach=2.9))
    assert nearer.below.sum() == 24 and nearer.below[45:48, 44:52].all()
    as_wall, unlabelled = labels.copy(), labels.copy()
    as_wall[HOLE], unlabelled[HOLE] = WALL, 255
    counts = {within: [judge(depth, each, CAMERA, FilterRule(within=within)).below.any()
                       for each in (labels, as_wall, unlabelled)] for within in ('movable', 'labelled', 'all')}
    assert counts == {'movable': [True, False, False], 'labelled': [True, True, False], 'all': [True, True, True]}


def test_an_image_whose_plane_leans_is_not_judged():
    rays = WIDE.rays().astype(np.float64)
    for lean, judged in ((5, True), (7, False), (-7, False)):
        slope = rays @ [np.sin(np.radians(lean)), np.cos(np.radians(lean)), 0.05]
        depth, labels = 1.65 / np.maximum(slope, 0.02), np.where(slope > 0.03, ROAD, WALL).astype(np.uint8)
        assert (judge(depth, labels, WIDE).plane is not None) == judged
        assert judge(depth, labels, WIDE, FilterRule(lean_deg=8.0)).plane is not None


def test_an_image_whose_road_is_mostly_off_its_plane_is_not_judged():
    frame = Corridor(3)[1]
    depth = frame.depth.copy()
    depth[:, :40] *= np.where(frame.labels[:, :40] == ROAD, np.linspace(1.2, 3, 40), 1)
    judged = [judge(depth, frame.labels, CAMERA, FilterRule(inliers=least)).plane is not None for least in (0.5, 0.7)]
    assert judged == [True, False]


def test_an_image_without_a_plane_of_road_is_not_judged():
    frame = Corridor(3)[1]
    depth, labels = with_car(frame)
    for other in (np.full_like(labels, WALL), np.where(labels == ROAD, labels, 255)[::-1]):
        judgement = judge(depth, other, CAMERA)
        assert judgement.plane is None and not judgement.flagged and not judgement.below.any()


@pytest.mark.parametrize('settings, words', [({'below': -1.0}, 'below is -1.0, expected at least 0'),
                                             ({'share': 0.0}, 'share is 0'), ({'share': 2.0}, 'share is 2.0'),
                                             ({'within': 'sky'}, "within is 'sky'"), ({'reach': 0.0}, 'reach is 0.0'),
                                             ({'lean_deg': -1.0}, 'lean_deg is -1.0'),
                                             ({'inliers': 2.0}, 'inliers is 2.0')])
def test_rules_that_cannot_be_are_refused(settings, words):
    with pytest.raises(SettingsError, match=words):
        FilterRule(**settings)


def test_road_is_the_models_word_where_it_learned_classes_and_the_datas_else():
    learned = read_recipe('small_world')
    plain = read_recipe('small_world', {'losses.semantic': 0})
    noisy, none = DataEntry('x', labels='noisy'), DataEntry('x', labels='none')
    assert label_kind(learned, none) == 'model' and label_kind(plain, noisy) == 'noisy'
    with pytest.raises(RecipeError, match="'x' is to be filtered, but its labels are none"):
        label_kind(plain, none)


def test_a_list_names_what_was_flagged_and_comes_back_from_its_file(tmp_path):
    flags = found(drives(tmp_path / 'fleet'), tmp_path, (1, 3))
    assert [[f.frame for f in own.flagged] for own in flags.sequences] == [[1, 3], [1, 3]]
    assert flags.counts() == {'images': 9, 'judged': 9, 'flagged': 4}
    first = flags.sequences[0].flagged[0]
    assert (first.stamp_ns, first.name, first.share) == (10 ** 8, '0001', pytest.approx(64 / 6144, abs=1e-6))
    assert FlagList.read(tmp_path / 'flags.json') == flags
    assert sorted(p.name for p in tmp_path.iterdir()) == ['flags.json', 'fleet']
    content = json.loads((tmp_path / 'flags.json').read_text())
    assert content['flagged'] == 4 and content['rule']['share'] == FilterRule().share


def test_every_flagged_image_has_a_picture_with_its_hole_in_red_and_a_line_in_the_table(tmp_path):
    folder = tmp_path / 'pictures'
    folder.mkdir()
    (folder / 'old_000000.below_ground.jpg').write_bytes(b'')
    (folder / 'mine.txt').write_text('kept')
    found(drives(tmp_path / 'fleet'), tmp_path, pictures=folder)
    names = ['000_day_000002.below_ground.jpg', '001_day_000002.below_ground.jpg']
    assert sorted(p.name for p in folder.iterdir()) == [*names, TABLE_NAME, 'mine.txt']
    marked = read_rgb(folder / names[0])[-420:].astype(int)     # below the image and its depth
    red = np.abs(marked - BELOW).max(axis=-1) < 40
    assert 0.5 < red.sum() / (64 * (640 / 96) ** 2) < 1.5
    table = (folder / TABLE_NAME).read_text()
    assert all(f'[{name}]({name})' in table for name in names) and '| 000_day | 2 | 0002 | 0.200 | 1.04 % |' in table


def test_a_survey_that_was_ended_goes_on_with_the_next_sequence_and_comes_to_the_same(tmp_path):
    source = FilterSource(DataEntry(str(drives(tmp_path / 'fleet'))))
    whole = found(tmp_path / 'fleet', tmp_path, out='whole.json')
    first, second = Holed((2,), stop_after=7), Holed((2,))
    with pytest.raises(KeyboardInterrupt):
        find_flagged([source], first.perceive, FilterRule(), tmp_path / 'flags.json', {'name': 'holed'})
    assert not (tmp_path / 'flags.json').exists() and (tmp_path / 'flags.json.journal').exists()
    assert find_flagged([source], second.perceive, FilterRule(), tmp_path / 'flags.json', {'name': 'holed'}) == whole
    assert second.calls == 4        # of the second drive alone
    assert (tmp_path / 'flags.json').read_text() == (tmp_path / 'whole.json').read_text()
    with pytest.raises(KeyboardInterrupt):
        find_flagged([source], Holed((2,), 7).perceive, FilterRule(), tmp_path / 'flags.json', {'name': 'holed'})
    other = Holed((2,))
    find_flagged([source], other.perceive, FilterRule(below=0.5), tmp_path / 'flags.json', {'name': 'holed'})
    assert other.calls == 9         # what was found by another rule says nothing
    with pytest.raises(KeyboardInterrupt):
        find_flagged([source], Holed((2,), 7).perceive, FilterRule(), tmp_path / 'flags.json', {'name': 'holed'})
    drawn = Holed((2,))
    find_flagged([source], drawn.perceive, FilterRule(), tmp_path / 'flags.json', {'name': 'holed'}, tmp_path / 'flagged')
    assert drawn.calls == 9 and len(list((tmp_path / 'flagged').glob('*.jpg'))) == 2       # of what was not drawn before too


def test_flagged_images_are_no_targets_but_stay_neighbours(tmp_path):
    folder = drives(tmp_path / 'fleet')
    found(folder, tmp_path)
    plain = DataEntry(str(folder), strides=(1, 2))
    filtered = replace(plain, filter=str(tmp_path / 'flags.json'))
    from semdepth_ros.data import open_data
    before, after = (triplet_source(entry, open_data(folder)) for entry in (plain, filtered))
    assert [row for row in before.targets.tolist() if row[1] != 2] == after.targets.tolist()
    assert after.left_out == {'flagged': 3} and 'flagged' in after.said_of_left_out()
    assert [0, 1, 1] in after.targets.tolist()      # whose neighbour image 2 is
    assert find_targets(Corridor(4), 0, 0.0, {1, 2}).frames.tolist() == [0, 3]


def test_a_list_of_other_data_is_refused_in_one_line(tmp_path):
    from semdepth_ros.data import open_data
    found(drives(tmp_path / 'fleet'), tmp_path)
    longer, named = drives(tmp_path / 'longer', (6, 4)), drives(tmp_path / 'named', (5,))
    (named / '000_day').rename(named / 'street')
    file = tmp_path / 'flags.json'
    for folder, words in ((longer, "says nothing of the sequence '000_day' of 6 images; it has one of 5"),
                          (named, "says nothing of the sequence 'street' of 5 images; it has 2 others")):
        with pytest.raises(RecipeError, match=words):
            flagged_frames(file, str(folder), open_data(folder))
    for text, words in (('{', 'is not JSON'), ('{}', 'is not of format 1'), ('{"format": 1}', "lacks 'model'")):
        file.write_text(text)
        with pytest.raises(RecipeError, match=words) as error:
            flagged_frames(file, 'x', open_data(tmp_path / 'fleet'))
        assert '\n' not in str(error.value)
    with pytest.raises(RecipeError, match='cannot be read: No such file'):
        flagged_frames(tmp_path / 'nowhere.json', 'x', [])


def test_of_sequences_alike_the_one_of_the_same_source_is_meant(tmp_path):
    from semdepth_ros.data import open_data
    a, b = drives(tmp_path / 'a', (5,)), drives(tmp_path / 'b', (5,))
    holes = {str(a): (1,), str(b): (2,)}
    calls = []

    def perceive(sample):
        calls.append(sample)
        return Holed(holes[str(a if len(calls) <= 5 else b)]).perceive(sample)

    sources = [FilterSource(DataEntry(str(folder))) for folder in (a, b)]
    find_flagged(sources, perceive, FilterRule(), tmp_path / 'flags.json', {}, tmp_path / 'pictures')
    assert flagged_frames(tmp_path / 'flags.json', str(b), open_data(b)) == [{2}]
    assert sorted(p.name for p in (tmp_path / 'pictures').glob('*.jpg')) == [
        '0_000_day_000001.below_ground.jpg', '1_000_day_000002.below_ground.jpg']
    with pytest.raises(RecipeError, match="2 sequences '000_day' alike"):
        flagged_frames(tmp_path / 'flags.json', 'elsewhere', open_data(a))


def test_a_recipe_takes_a_filter_for_its_data_and_not_for_validation():
    entry = {'source': 'drives', 'filter': 'flags.json'}
    assert read_recipe('small_world', {'data': [entry]}).data[0].filter == 'flags.json'
    with pytest.raises(RecipeError, match="validation 'drives' has the filter 'flags.json'"):
        read_recipe('small_world', {'validation': [entry]})


def test_the_command_lists_and_draws_by_a_model_file(tmp_path, capsys):
    drive = tmp_path / 'street'
    assert not main(['world', '--seed', '3', '--frames', '2', '--size', '320x96', '--out', str(drive)])
    command = ['filter', str(drive), '--model', 'default', '--out', str(tmp_path / 'flags.json')]
    capsys.readouterr()
    assert not main([*command, '--set', 'below=0', 'share=1e-9', 'within=labelled'])
    said = capsys.readouterr().out.splitlines()
    flags = FlagList.read(tmp_path / 'flags.json')
    assert said[1].split()[:4] == ['street', '2', '2', '2'] and said[2].split()[:2] == ['all', '2']
    assert flags.rule['below'] == 0 and flags.sources[0].labels == 'model' and len(flags.model['weights']) == 64
    assert (tmp_path / 'flags_flagged' / TABLE_NAME).exists()
    assert len(list((tmp_path / 'flags_flagged').glob('*.jpg'))) == flags.counts()['flagged'] == 2


@pytest.mark.parametrize('arguments, words', [
    (['{fleet}', '--model', '{fleet}/no.safetensors'], 'no.safetensors'),
    (['{fleet}/nowhere'], 'does not exist'),
    (['{fleet}', '--labels', 'noisy'], 'no image in which noisy labels show a plane of road'),
    (['{fleet}', '--set', 'share=0'], 'share is 0'),
    (['{fleet}', '--set', 'deep=1'], "has unknown key 'deep', expected one of"),
    (['{fleet}', '--out', '/proc/flags.json'], '/proc/flags.json cannot be written')])
def test_errors_of_the_command_are_one_line(arguments, words, tmp_path, capsys):
    folder, model = drives(tmp_path / 'fleet', (3,)), write_models(tmp_path, 1)[0]
    given = [each.format(fleet=folder) for each in arguments]
    defaults = ['--model', str(model)] * ('--model' not in given) + ['--out', str(tmp_path / 'f.json')] * (
        '--out' not in given)
    assert main(['filter', *given, *defaults]) == 2
    said = capsys.readouterr().err
    assert words in said and said.strip().splitlines()[-1].startswith('semdepth filter: ')
