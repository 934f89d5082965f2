"""Drives made for what learning without truth gets wrong: cars at the own speed, surfaces that repeat themselves."""
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from semdepth_ros.classes import TRAIN_ID
from semdepth_ros.cli.main import main
from semdepth_ros.data import open_data
from semdepth_ros.world import PRESETS, Drive, default_camera
from semdepth_ros.world.fleet import chosen_kinds, draw_fleet
from semdepth_ros.world.photographs import draw_photographs, find_photographs, read_square, surface
from semdepth_ros.world.primitives import CLASS, MATERIAL_ID, PATTERN, PATTERNS
from semdepth_ros.world.textures import MATERIAL, SIZE

SMALL = default_camera('day', (96, 32))


def drive(seed=3, frames=200, **kinds):
    return Drive('day', seed, frames, SMALL, split='train', **kinds)


@pytest.mark.parametrize('seed, own, ahead, things, movers', [
    (3, [12.0, 47.074331, 123.835393], [61.913862, 92.110128, 192.760382], 43519.9378, 50),
    (5, [12.0, 51.880246, 139.827242], [232.0, 263.503014, 359.58199], 14077.9993, 47)])
def test_without_knobs_towns_and_traffic_are_what_they_were_before_there_were_any(seed, own, ahead, things, movers):
    scene = drive(seed).scene
    assert [scene.plan.arc_length(t) for t in (0, 5, 15)] == pytest.approx(own)
    assert [scene.plan.lead_arc_length(t) for t in (0, 5, 15)] == pytest.approx(ahead)
    assert np.abs(scene.population.along(1)).sum() == pytest.approx(things)
    assert len(scene.traffic.movers) == movers


def test_a_car_at_the_own_speed_keeps_its_place_but_around_halts():
    scene = drive(frames=600, same_speed=True).scene
    times = np.arange(0, 60, 0.1)
    gap = np.array([scene.plan.lead_arc_length(t) - scene.plan.arc_length(t) for t in times])
    assert scene.plan.stops and 8.2 <= gap.min() and gap.max() <= 20
    assert np.median(np.abs(np.diff(gap))) < 1e-9
    leader = next(m for m in scene.traffic.movers if m.follows == 'lead')
    assert set(leader.table[:, CLASS]) == {TRAIN_ID['car']}


def test_without_the_knob_a_car_ahead_comes_nearer_or_falls_behind():
    plan = drive(frames=600).scene.plan
    gap = np.array([plan.lead_arc_length(t) - plan.arc_length(t) for t in np.arange(0, 60, 0.1)])
    assert np.median(np.abs(np.diff(gap))) > 0.01


def test_the_car_ahead_is_in_the_picture_of_every_frame_at_the_same_depth():
    camera = default_camera('day', (192, 64))
    frames = Drive('day', 5, 12, camera, split='train', same_speed=True).render([0, 5, 11])
    numbers = set.intersection(*({int(n) for n in np.unique(f.instances) if n} for f in frames))
    depths = {n: [np.median(f.depth[f.instances == n]) for f in frames] for n in numbers}
    steady = [n for n, each in depths.items() if max(each) - min(each) < 0.2 and max(each) < 22]
    assert any((f.instances == n).sum() > 60 and (f.labels[f.instances == n] == TRAIN_ID['car']).all()
               for n in steady for f in frames[:1])


def test_a_repetitive_town_has_the_same_streets_without_windows_and_with_fences_alike():
    plain, repetitive = drive(), drive(repetitive=True)
    assert plain.scene.plan.s.tolist() == repetitive.scene.plan.s.tolist()
    tables = [np.concatenate([d.scene.population.along(n) for n in range(12)]) for d in (plain, repetitive)]
    patterns = [set(t[:, PATTERN]) for t in tables]
    assert PATTERNS['facade'] in patterns[0]
    assert not {PATTERNS['facade'], PATTERNS['shop']} & patterns[1]
    closures = [np.isin(t[:, CLASS], (TRAIN_ID['wall'], TRAIN_ID['fence'])).sum() for t in tables]
    assert closures[1] > 1.5 * closures[0]
    walls = tables[1][tables[1][:, CLASS] == TRAIN_ID['wall']]
    assert (walls[:, MATERIAL_ID] == MATERIAL['paint']).any()


def test_larger_shares_choose_the_drives_of_smaller_ones_and_change_nothing_else():
    chosen = [{n for n in range(200) if chosen_kinds(n, 'train', share, 0.0)['same_speed']}
              for share in (0.2, 0.5, 1.0)]
    assert chosen[0] < chosen[1] < chosen[2] == set(range(200)) and 25 < len(chosen[0]) < 55
    plain, mixed = draw_fleet(30, 4, 64, 32), draw_fleet(30, 4, 64, 32, same_speed=0.5, repetitive=0.5)
    assert {d.same_speed for d in plain} == {d.repetitive for d in plain} == {False}
    assert {(d.same_speed, d.repetitive) for d in mixed} == {(a, b) for a in (False, True) for b in (False, True)}
    assert [(d.name, d.seed, d.camera, d.pitch_deg, d.clutter, d.bonnet) for d in plain] == \
        [(d.name, d.seed, d.camera, d.pitch_deg, d.clutter, d.bonnet) for d in mixed]


def test_the_command_makes_such_drives_alone_and_in_fleets(tmp_path):
    sized = ['--frames', '2', '--size', '64x32', '--split', 'train']
    for name, knobs in (('plain', []), ('same', ['--same-speed', '1']), ('blank', ['--repetitive', '1'])):
        assert not main(['world', '--seed', '3', *sized, *knobs, '--out', str(tmp_path / name)])
        assert not main(['world', '--fleet', '1', *sized, *knobs, '--out', str(tmp_path / f'fleet_{name}')])
    for fleet in ('', 'fleet_'):
        plain, *others = (open_data(tmp_path / f'{fleet}{name}')[0][1].image for name in ('plain', 'same', 'blank'))
        assert all((plain != other).any() for other in others)


@pytest.mark.parametrize('arguments', [['--same-speed', '1.5', '--preview', 'x.png'],
                                       ['--fleet', '1', '--same-speed', '1.5', '--out', 'x']])
def test_a_share_that_is_none_is_refused_in_one_line(arguments, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(['world', *arguments]) == 2
    said = capsys.readouterr().err
    assert 'same_speed is 1.5, expected a share of drives, 0 to 1' in said and said.count('\n') == 1


def test_a_named_world_takes_them_as_options():
    ahead = open_data('world:day:3:4', split='train', camera=SMALL, same_speed=True)[0]
    assert ahead.drive.scene.plan.same_speed and not ahead.drive.scene.town.repetitive


def test_drives_of_a_preset_differ_in_their_towns_alone():
    drawn, alike = draw_fleet(12, 4, 64, 32), draw_fleet(12, 4, 64, 32, preset='night', same_speed=0.5)
    assert len({drive.camera for drive in drawn}) == 12 and any(drive.clutter or drive.bonnet for drive in drawn)
    assert {drive.camera for drive in alike} == {default_camera('night', (64, 32))}
    assert {(drive.preset, drive.pitch_deg, drive.clutter, drive.bonnet) for drive in alike} == {
        ('night', PRESETS['night'].pitch_deg, False, 0.0)}
    assert [drive.seed for drive in alike] == [drive.seed for drive in drawn]
    assert {drive.same_speed for drive in alike} == {True, False}
    with pytest.raises(ValueError, match="'noon'"):
        draw_fleet(1, 4, 64, 32, preset='noon')


def test_the_preset_of_a_fleet_is_an_option_of_fleets_alone(tmp_path, capsys):
    sized = ['--frames', '2', '--size', '64x32', '--split', 'train', '--out', str(tmp_path / 'fleet')]
    assert not main(['world', '--fleet', '2', '--fleet-preset', 'dusk', *sized])
    assert sorted(path.name for path in (tmp_path / 'fleet').iterdir()) == ['000_dusk', '001_dusk']
    assert main(['world', '--fleet-preset', 'dusk', *sized]) == 2
    assert '--fleet-preset dusk without --fleet: one drive has --preset' in capsys.readouterr().err
    assert main(['world', '--preset', 'cavity', '--fleet', '1', '--fleet-preset', 'dusk', *sized]) == 2
    assert '--fleet-preset with --preset cavity: expected without' in capsys.readouterr().err


@pytest.fixture(scope='module')
def photographs(tmp_path_factory):
    """Pictures of surfaces: bricks in a folder of their own with a map of their slopes, and one more."""
    folder = tmp_path_factory.mktemp('surfaces')
    (folder / 'Brick').mkdir()
    rng = np.random.default_rng(0)
    for name, size in (('Brick/red.png', (300, 400, 3)), ('Brick/red_NormalGL.png', (8, 8, 3)), ('leaves.jpg', (90, 70, 3))):
        noise = cv2.GaussianBlur(rng.uniform(0, 255, size), (0, 0), 3)
        cv2.imwrite(str(folder / name), np.clip(128 + (noise - 127) * 8 * (0.2, 0.6, 1.0), 0, 255).astype(np.uint8))
    return str(folder)


def test_photographs_change_looks_and_no_truth(photographs):
    files = draw_photographs(find_photographs(photographs), 3)
    drawn, pictured = (drive(frames=20, photographs=chosen)[10] for chosen in (None, files))
    assert np.array_equal(drawn.depth, pictured.depth) and np.array_equal(drawn.labels, pictured.labels)
    change = np.abs(drawn.image.astype(int) - pictured.image)
    assert 2 < change[drawn.depth < 60].mean() < 40 and change[np.isinf(drawn.depth)].max() <= 1
    assert np.array_equal(pictured.image, drive(frames=20, photographs=files)[10].image)


def test_pictures_in_a_materials_folder_are_for_that_material_and_maps_for_none(photographs):
    found = {name: [Path(p).name for p in files] for name, files in find_photographs(photographs).items()}
    assert found['brick'] == ['red.png'] and found['asphalt'] == ['leaves.jpg']
    assert not {'cloud', 'foliage', 'paint', 'cloth'} & found.keys()
    only = find_photographs(str(Path(photographs) / 'Brick'))       # a folder named after one is not inside one
    assert {Path(p).name for files in only.values() for p in files} == {'red.png'}


@pytest.mark.parametrize('stored', ['grey', 'alpha', 'large', 'deep'])
def test_pictures_of_any_kind_become_a_square_of_linear_colour(stored, tmp_path):
    picture = np.full((40, 60, 3), (0, 128, 255), np.uint8)
    if stored == 'large':
        picture = np.full((1100, 1500, 3), (0, 128, 255), np.uint8)
    elif stored == 'grey':
        picture = np.full((40, 60), 128, np.uint8)
    elif stored == 'alpha':
        picture = np.dstack([picture, np.full((40, 60), 7, np.uint8)])
    elif stored == 'deep':
        picture = picture.astype(np.uint16) * 257
    cv2.imwrite(str(tmp_path / 'x.png'), picture)
    square = read_square(str(tmp_path / 'x.png'))
    colour = [0.5 ** 2.2] * 3 if stored == 'grey' else [1, 0.5 ** 2.2, 0]
    assert square.shape == (SIZE, SIZE, 3) and np.abs(square - colour).max() < 0.01


def test_a_photograph_becomes_a_texture_without_seams_and_with_its_own_contrast():
    ramp = np.linspace(0.2, 0.6, SIZE)[None, :, None] * np.ones((SIZE, 1, 3))
    grain = np.random.default_rng(1).normal(0, 0.02, (SIZE, SIZE, 3))
    departs = surface(ramp + grain)
    assert np.abs(departs.mean((1, 2))).max() < 1e-9
    assert departs.std() == pytest.approx((ramp / ramp.mean() - 1).std(), rel=0.05)
    steps = np.abs(np.diff(departs.mean(1), axis=1, append=departs.mean(1)[:, :1])).max(0)
    assert steps[-1] < 1.5 * steps[:-1].max()       # the ramp itself has a step of 1 at its end
    assert 0.05 < surface(np.full((SIZE, SIZE, 3), 0.5) + 1e-4 * grain).std() < 0.07
    assert surface(np.zeros((SIZE, SIZE, 3))).max() == 0


def test_half_of_a_fleet_has_photographs_the_same_half_every_time(photographs):
    plain, pictured = draw_fleet(30, 4, 64, 32), draw_fleet(30, 4, 64, 32, photographs=photographs)
    assert 8 < sum(bool(d.photographs) for d in pictured) < 22
    assert [replace(d, photographs=None) for d in pictured] == plain
    assert {Path(d.photographs['brick']).name for d in pictured if d.photographs} == {'red.png'}
    assert pictured[:9] == draw_fleet(9, 4, 64, 32, photographs=photographs)


@pytest.mark.parametrize('arguments, words', [
    (['--preview', 'x.png', '--photographs', 'nowhere', '--split', 'train'], 'photographs are nowhere, expected a folder'),
    (['--preview', 'x.png', '--photographs', '.'], "split is 'test', expected train with photographs"),
    (['--fleet', '2', '--out', 'x', '--photographs', 'here'], "split is 'test', expected train with photographs"),
    (['--fleet', '2', '--out', 'x', '--photographs', 'here', '--split', 'train'],
     'photographs are here, expected pictures (.png, .jpg, .jpeg, .webp) of one of asphalt, slabs'),
    (['--fleet', '2', '--out', 'here/x', '--photographs', 'here', '--split', 'train'],
     '--out here/x lies among the photographs in here'),
    (['--preset', 'cavity', '--preview', 'x.png', '--photographs', 'here'], '--photographs with --preset cavity')])
def test_photographs_that_cannot_be_had_are_refused(arguments, words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'here' / 'foliage').mkdir(parents=True)
    cv2.imwrite('here/foliage/oak.png', np.zeros((8, 8, 3), np.uint8))       # leaves are drawn
    assert main(['world', '--frames', '2', '--size', '64x32', *arguments]) == 2
    captured = capsys.readouterr().err
    assert words in captured and captured.count('\n') == 1
    assert [path.name for path in tmp_path.rglob('*')] == ['here', 'foliage', 'oak.png']


@pytest.mark.parametrize('content, words', [(b'no picture', 'wall.png is no picture, expected PNG'),
                                            (None, 'wall.png cannot be read: ')])
def test_a_picture_that_is_none_or_cut_off_is_named(content, words, tmp_path, capfd):
    whole = cv2.imencode('.png', np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8))[1].tobytes()
    (tmp_path / 'wall.png').write_bytes(content or whole[:len(whole) // 2])
    assert main(['world', '--split', 'train', '--frames', '2', '--size', '64x32', '--preview', str(tmp_path / 'x.png'),
                 '--photographs', str(tmp_path)]) == 2
    captured = capfd.readouterr().err
    assert words in captured and captured.count('\n') == 1
