"""What an experiment declares, what follows from it, and when a result is of just that."""
import pytest
import yaml
from tiny_experiment import DECLARED, declare, experiment

from semdepth_ros.experiments import known_experiments, read_experiment
from semdepth_ros.experiments.plan import (ARM_SEED, Folders, Run, expect_sound, fleet_folder, runs_of,
                                           town_folders, with_needs)
from semdepth_ros.experiments.plan import declared as plain_values
from semdepth_ros.settings import SettingsError
from semdepth_ros.training.recipe import RecipeError

FLEET = {'drives': 2, 'frames': 3, 'size': [64, 32]}


@pytest.fixture
def folders(tmp_path):
    return Folders(tmp_path / 'work', tmp_path / 'docs')


@pytest.mark.parametrize('changes, words', [
    ({'arm': []}, "has unknown key 'arm', expected one of"),
    ({'steps': None}, 'steps and minutes are both given or both missing'),
    ({'minutes': 3.0}, 'steps and minutes are both given or both missing'),
    ({'steps': 0}, 'steps or minutes is 0, expected a positive number'),
    ({'seeds': []}, 'arms, data or seeds is empty'),
    ({'seeds': [1, 2, 1]}, 'seeds has 1 twice'),
    ({'arms': [{'name': 'a'}, {'name': 'a'}]}, "arms has 'a' twice"),
    ({'arms': [{'name': 'a/b'}]}, "name is 'a/b', expected letters, digits and _"),
    ({'arms': [{'name': 'plain', 'against': 'b'}]}, "arm 'plain': against is 'b', expected one of ['plain']"),
    ({'arms': [{'name': 'plain', 'data': 'b'}]}, "arm 'plain': data is 'b', expected one of ['clean', 'none']"),
    ({'arms': [{'name': 'plain', 'given': 'truth'}]}, "given is 'truth', expected one of ['prediction', 'labels']"),
    ({'start': {'arm': 'bare', 'steps': 3}}, "start.arm is 'bare', expected one of"),
    ({'arms': [{'name': 'plain', 'filter': {'by': 'b'}}]}, "arm 'plain': filter.by is 'b', expected one of ['plain']"),
    ({'arms': [{'name': 'plain', 'filter': {'by': 'plain'}}]}, "filter.by is 'plain', which has a filter itself"),
    ({'arms': [{'name': 'plain', 'filter': {}}]}, "lacks 'by'"),
    ({'arms': [{'name': 'a'}, {'name': 'plain', 'filter': {'by': 'a'}}]}, "start.arm is 'plain', which has a filter"),
    ({'arms': [{'name': 'plain'}, {'name': 'b', 'filter': {'by': 'plain', 'labels': 'own'}}]}, "labels is 'own'"),
    ({'arms': [{'name': 'plain'}, {'name': 'b', 'filter': {'by': 'plain', 'rule': {'share': 2}}}]}, 'share is 2.0'),
    ({'towns': {'count': 1}}, 'count is 1, expected at least 2'),
    ({'towns': {'same_speed': 2}}, 'same_speed is 2.0, expected 0 to 1'),
    ({'data': {'a': {'fleet': FLEET | {'repetitive': -1}}}}, 'repetitive is -1.0, expected 0 to 1'),
    ({'towns': {'presets': []}}, 'presets is []'),
    ({'data': {'a': {}}}, 'fleet and source are both given or both missing'),
    ({'data': {'a': {'fleet': FLEET | {'drives': 0}}}}, 'drives is 0, expected a positive number'),
    ({'hypotheses': [DECLARED['hypotheses'][0] | {'arm': 'x'}]}, "arm or reference is 'x', expected one of"),
    ({'hypotheses': [DECLARED['hypotheses'][0] | {'metric': 'abs_rel'}]}, "metric is 'abs_rel', expected one of those"),
    ({'hypotheses': [DECLARED['hypotheses'][0] | {'at_least': 1}]}, 'at_most and at_least are both given'),
    ({'hypotheses': [DECLARED['hypotheses'][0] | {'change': 'times'}]}, "change is 'times', expected one of"),
])
def test_what_cannot_be_declared_is_said_in_one_line(tmp_path, changes, words):
    with pytest.raises(SettingsError) as error:
        experiment(tmp_path, **changes)
    assert words in str(error.value) and '\n' not in str(error.value)


def written(file, content):
    file.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
    return file


def test_files_that_hold_no_experiment_are_refused_in_one_line(tmp_path):
    for content, words in (('a: [', 'is not YAML'), ('- 1', 'holds list, expected a mapping'),
                           ('data: 1', 'data is 1, expected a mapping')):
        with pytest.raises(SettingsError, match=words):
            read_experiment(written(tmp_path / 'x.yaml', content))
    with pytest.raises(SettingsError, match="no experiment 'nowhere': neither a file nor one of"):
        read_experiment('nowhere')


def test_an_extending_experiment_adds_to_what_it_extends(tmp_path):
    declare(tmp_path, set={'batch': 4, 'scales': 2})
    file = written(tmp_path / 'large.yaml', {'extends': 'tiny', 'steps': 7, 'set': {'batch': 8}, 'towns': {'count': 3}})
    large = read_experiment(file)
    assert (large.name, large.title, large.steps) == ('large', 'A tiny experiment', 7)
    assert large.arm_names == ('plain', 'semantic')
    assert large.set == {'batch': 8, 'scales': 2} and (large.towns.count, large.towns.frames) == (3, 2)
    (tmp_path / 'deeper').mkdir()
    for path in ('../tiny.yaml', str(tmp_path / 'tiny.yaml')):
        assert read_experiment(written(tmp_path / 'deeper' / 'one.yaml', {'extends': path, 'steps': 9})).steps == 9
    with pytest.raises(SettingsError, match="no experiment '../none.yaml'"):
        read_experiment(written(tmp_path / 'deeper' / 'two.yaml', {'extends': '../none.yaml'}))
    written(tmp_path / 'tiny.yaml', {'extends': 'large'})
    with pytest.raises(SettingsError, match='extends itself'):
        read_experiment(file)


def test_every_shipped_experiment_can_be_read():
    assert 'core_li2021' in known_experiments()
    for name in known_experiments():
        declared = read_experiment(name)
        assert declared.name == name and declared.hypotheses and declared.towns.count >= 16
        assert len(declared.seeds) >= 2 and declared.start.arm == 'plain'


def test_arms_of_shipped_experiments_have_sound_recipes(folders):
    for name in known_experiments():
        declared = read_experiment(name)
        expect_sound(runs_of(declared, 100)[:len(declared.arms)], folders)


def test_what_an_arm_sets_within_a_mapping_stays_its_own(tmp_path, folders):
    arms = [{'name': 'plain'}, {'name': 'few', 'set': {'architecture.classes': 7}}]
    declared = experiment(tmp_path, set={'architecture': {'encoder': 'small'}}, arms=arms)
    few, plain = (Run(declared, declared.arm(name), 1, 3) for name in ('few', 'plain'))
    before = plain.fingerprint
    assert few.recipe(folders).architecture == {'encoder': 'small', 'classes': 7}
    assert plain.recipe(folders).architecture == {'encoder': 'small'} and plain.fingerprint == before


def test_arms_are_the_recipe_with_what_the_experiment_and_then_the_arm_say(tmp_path, folders):
    declared = experiment(tmp_path, seeds=[5], set={'batch': 4, 'losses.semantic': 0.1})
    recipes = [Run(declared, arm, 5, 30).recipe(folders) for arm in declared.arms]
    assert [r.losses.semantic.weight for r in recipes] == [0.1, 0.5] and {r.batch for r in recipes} == {4}
    assert {(r.seed, r.steps, r.validation) for r in recipes} == {(5 + ARM_SEED, 30, ())}
    start = Run(declared, declared.arms[1], 5, 30).begins_from
    assert start.said == 'start, seed 5' and start.begins_from is None
    assert (start.recipe(folders).seed, start.recipe(folders).steps) == (5, 2)
    assert start.recipe(folders).losses.semantic.weight == 0.1


def test_data_are_a_source_or_a_fleet_in_a_folder_of_its_own(tmp_path, folders):
    noise = {'flip_rate': 0.4}
    declared = experiment(tmp_path, data={'a': {'fleet': FLEET}, 'b': {
        'fleet': FLEET | {'label_noise': noise}, 'labels': 'noisy', 'strides': [1, 2]}}, arms=[
        {'name': 'plain'}, {'name': 'noisy', 'data': 'b'}])
    clean, noisy = (Run(declared, arm, 1, 3).recipe(folders).data[0] for arm in declared.arms)
    assert (clean.labels, noisy.labels, noisy.strides) == ('true', 'noisy', (1, 2))
    expected = [str(fleet_folder(declared.data[name].fleet, folders)) for name in 'ab']
    assert [entry.source for entry in (clean, noisy)] == expected
    assert clean.source != noisy.source


def test_a_broken_arm_is_named_in_one_line_and_only_if_it_is_to_be_run(tmp_path, folders):
    declared = experiment(tmp_path, arms=[{'name': 'plain'}, {'name': 'odd', 'set': {'losses.magic': 1}}])
    expect_sound(runs_of(declared, 3, ('plain',)), folders)
    with pytest.raises(RecipeError, match="^arm 'odd': .*unknown key 'magic'"):
        expect_sound(runs_of(declared, 3), folders)
    with pytest.raises(SettingsError, match="arm is 'even', expected one of"):
        runs_of(declared, 3, ('even',))


def test_runs_come_seed_by_seed(tmp_path):
    declared = experiment(tmp_path, seeds=[2, 7])
    assert [r.said for r in runs_of(declared, 3)] == ['plain, seed 2', 'semantic, seed 2', 'plain, seed 7',
                                                      'semantic, seed 7']
    assert [r.said for r in runs_of(declared, 3, ('semantic',))] == ['semantic, seed 2', 'semantic, seed 7']


def fingerprints(folder, **changes):
    return [run.fingerprint for run in runs_of(experiment(folder, **changes), changes.get('steps', 3))]


def test_a_fingerprint_is_of_what_decides_the_figures_and_of_nothing_else(tmp_path):
    same = fingerprints(tmp_path)
    assert fingerprints(tmp_path, title='Other', hypotheses=[], real=[], set={'checkpoint_every': 7}) == same
    arms = [{'name': 'bare', 'about': 'other words'}, DECLARED['arms'][1] | {'against': None}]
    assert fingerprints(tmp_path, arms=arms, start={'arm': 'bare', 'steps': 2}) == same
    for changes in ({'seeds': [2]}, {'steps': 4}, {'set': {'batch': 3}}, {'start': {'arm': 'plain', 'steps': 3}},
                    {'start': None}, {'towns': DECLARED['towns'] | {'frames': 3}},
                    {'data': {'clean': {'source': 'corridor', 'labels': 'noisy'}}}):
        assert not set(fingerprints(tmp_path, **changes)) & set(same), changes
    arms[1] = arms[1] | {'set': {'losses.semantic': 0.25}}
    other = fingerprints(tmp_path, arms=arms, start={'arm': 'bare', 'steps': 2})
    assert (other[0] == same[0], other[1] == same[1]) == (True, False)


def test_knobs_of_the_world_are_part_of_a_fingerprint_and_a_folder_only_where_they_are_on(tmp_path, folders):
    data = {'a': {'fleet': FLEET}}
    plain = experiment(tmp_path, data=data)
    run = runs_of(plain, 3)[0]
    assert not {'same_speed', 'repetitive'} & (run.training['data']['fleet'].keys() | plain_values(plain.towns).keys())
    known = fingerprints(tmp_path, data=data)
    assert fingerprints(tmp_path, data={'a': {'fleet': FLEET | {'same_speed': 0}}}) == known
    alike = {'a': {'fleet': FLEET | {'preset': 'day'}}}
    assert fingerprints(tmp_path, data={'a': {'fleet': FLEET | {'preset': ''}}}) == known
    assert not set(fingerprints(tmp_path, data=alike)) & set(known)
    where = fleet_folder(experiment(tmp_path, data=alike).data['a'].fleet, folders)
    assert where.name == f'{fleet_folder(plain.data["a"].fleet, folders).name}_day'
    for name in ('same_speed', 'repetitive'):
        fleet = FLEET | {name: 0.5}
        other = experiment(tmp_path, data={'a': {'fleet': fleet}}, towns=DECLARED['towns'] | {name: 1})
        assert not set(fingerprints(tmp_path, data={'a': {'fleet': fleet}})) & set(known)
        assert not set(fingerprints(tmp_path, data=data, towns=DECLARED['towns'] | {name: 1})) & set(known)
        where = fleet_folder(other.data['a'].fleet, folders)
        assert where.name == f'{fleet_folder(plain.data["a"].fleet, folders).name}_{name}0.5'
        places = [{path.parent for *_, path in town_folders(each.towns, folders).values()} for each in (plain, other)]
        assert places[1].pop().name == f'{places[0].pop().name}_{name}1'


def test_an_arm_with_a_filter_is_another_training_that_needs_the_one_that_filters(tmp_path, folders):
    arms = [{'name': 'plain'}, {'name': 'two', 'filter': {'by': 'plain', 'labels': 'true'}}]
    known = fingerprints(tmp_path, arms=arms)
    assert len(set(known)) == 2
    arms[1] = {'name': 'two', 'filter': {'by': 'plain', 'labels': 'true', 'rule': {'below': 0.9}}}
    assert [a == b for a, b in zip(fingerprints(tmp_path, arms=arms), known)] == [True, False]
    plain, two = runs_of(experiment(tmp_path, arms=arms), 3)
    assert two.filtered_by == plain and [run.said for run in with_needs([two])] == [
        'two, seed 1', 'start, seed 1', 'plain, seed 1', 'start, seed 1']
    assert two.recipe(folders).data[0].filter == str(two.training_folder(folders) / 'filter.json')
    assert plain.recipe(folders).data[0].filter is None


def test_a_filter_that_nothing_tells_the_road_is_said_before_any_work(tmp_path, folders):
    arms = [{'name': 'plain'}, {'name': 'two', 'data': 'none', 'filter': {'by': 'plain'}}]
    with pytest.raises(RecipeError, match='its labels are none and losses.semantic is 0'):
        expect_sound(runs_of(experiment(tmp_path, arms=arms), 3), folders)


def test_measuring_with_labels_given_is_another_result_of_the_same_training(tmp_path, folders):
    arms = [{'name': 'plain'}, {'name': 'told', 'given': 'labels'}]
    plain, told = runs_of(experiment(tmp_path, arms=arms, start=None), 3)
    assert plain.model(folders) == told.model(folders) and plain.fingerprint != told.fingerprint


def test_towns_take_presets_in_turn_and_seeds_one_after_the_other(tmp_path, folders):
    declared = experiment(tmp_path, towns={'count': 3, 'frames': 1, 'first_seed': 40, 'presets': ['day', 'fog']})
    towns = town_folders(declared.towns, folders)
    assert [(name, preset, seed) for name, (preset, seed, _) in towns.items()] == [
        ('day_40', 'day', 40), ('fog_41', 'fog', 41), ('day_42', 'day', 42)]
