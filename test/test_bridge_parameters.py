"""One table a node declares, checks and explains its parameters."""
from pathlib import Path

import pytest
import yaml

from semdepth_ros.bridge import adaptation_parameters, evaluation_parameters, perception_parameters
from semdepth_ros.bridge.adaptation_parameters import ADAPTATION
from semdepth_ros.bridge.evaluation_parameters import EVALUATION
from semdepth_ros.bridge.parameters import Parameter, as_markdown, as_yaml
from semdepth_ros.bridge.perception_parameters import PERCEPTION

ROOT = Path(__file__).resolve().parents[1]
TABLE = {p.name: p for p in PERCEPTION}


NODES = pytest.mark.parametrize('node, table, title', [
    ('perception', PERCEPTION, perception_parameters.TITLE), ('evaluation', EVALUATION, evaluation_parameters.TITLE),
    ('adaptation', ADAPTATION, adaptation_parameters.TITLE)])


@NODES
def test_the_parameter_file_is_the_table_written_down(node, table, title):
    text = (ROOT / 'config' / f'{node}.yaml').read_text()
    assert text == as_yaml(table, title)
    assert yaml.safe_load(text) == {'/**': {'ros__parameters': {p.name: p.default for p in table}}}


@NODES
def test_the_page_on_the_node_has_the_table(node, table, title):
    assert as_markdown(table) in (ROOT / 'docs' / f'{node.upper()}_NODE.md').read_text()


@NODES
def test_every_default_is_valid_and_every_name_is_unique(node, table, title):
    assert len({p.name for p in table}) == len(table)
    assert [p.validated(p.default) for p in table] == [p.default for p in table]


@pytest.mark.parametrize('name, value, words', [
    ('stride', 0, 'stride is 0, expected 1 to 16'), ('stride', 2.0, 'whole number'), ('stride', True, 'whole number'),
    ('max_range_m', float('nan'), 'finite'), ('max_range_m', '80', "'80'"),
    ('depth_encoding', '8UC1', '8UC1.*32FC1, 16UC1'),
    ('device', 'gpu', "'gpu'.*cuda:N"), ('cameras', ['front', 'front'], 'different'),
    ('cameras', ['/front'], 'different'),
    ('cameras', [1], 'list'), ('overlay_alpha', 1.5, '1.5.*0 to 1'), ('rectify', 1, 'true or false'),
    ('model', 7, 'text'), ('image_sizes', ['1280x'], "1280x.*sizes such as '1280x720'")])
def test_a_wrong_value_is_refused_with_what_was_expected(name, value, words):
    with pytest.raises(ValueError, match=words):
        TABLE[name].validated(value)


def test_a_whole_number_will_do_where_a_number_is_expected():
    assert TABLE['max_range_m'].validated(60) == 60.0 and type(TABLE['max_range_m'].validated(60)) is float


def test_on_and_off_may_come_as_what_yaml_makes_of_them():
    mode = next(p for p in ADAPTATION if p.name == 'mode')
    assert [mode.validated(value) for value in (True, False, 'on', 'shadow')] == ['on', 'off', 'on', 'shadow']
    with pytest.raises(ValueError, match='model is True, expected text'):
        TABLE['model'].validated(True)


def test_names_of_several_cameras_and_of_none_are_accepted():
    assert TABLE['cameras'].validated(('front', 'left/wide')) == ['front', 'left/wide']
    assert TABLE['cameras'].validated(['']) == ['']


def test_a_bound_on_one_side_is_told_as_such():
    with pytest.raises(ValueError, match='n is -1, expected at least 0'):
        Parameter('n', 1, 'A number.', minimum=0).validated(-1)
