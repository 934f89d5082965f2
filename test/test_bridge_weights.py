"""Which announced weights may be served, and what is said about those that are."""
from dataclasses import replace
import json
import os
from types import SimpleNamespace as Fields

import pytest

from bridge_messages import header
from semdepth_ros.bags.rosbags_types import rosbags_types
from semdepth_ros.bridge.model_info import Served, make_model_info, sha256_of
from semdepth_ros.bridge.weights_update import PROMOTE, ROLLBACK, accepted_file, weights_folder
from semdepth_ros.frame_perception import Scale
from semdepth_ros.model_file import ModelCard

CARD = ModelCard({'encoder': 'small'}, focal_px=100.0, name='town', version=3, parent=2, factory='f' * 64)


@pytest.fixture
def update(tmp_path):
    file = tmp_path / 'weights' / 'v4.safetensors'
    file.parent.mkdir()
    file.write_bytes(b'some weights')
    return Fields(action=PROMOTE, factory_hash='f' * 64, version=4, parent=3, sha256=sha256_of(file), file=file.name)


def accepted(update, tmp_path, withdrawn=()):
    return accepted_file(update, CARD, tmp_path / 'weights', withdrawn)


def test_a_newer_version_of_the_same_factory_is_accepted_whatever_its_parent(update, tmp_path):
    update.version, update.parent = 9, 8
    assert accepted(update, tmp_path) == tmp_path / 'weights' / 'v4.safetensors'


def test_a_rollback_may_name_an_older_version_and_one_that_was_withdrawn(update, tmp_path):
    update.action, update.version = ROLLBACK, 1
    assert accepted(update, tmp_path, {update.sha256})


@pytest.mark.parametrize('change, words', [
    ({'version': 3}, 'not newer than version 3'),
    ({'version': 3, 'action': ROLLBACK}, 'another file of version 3'), ({'action': 0}, 'action is 0'),
    ({'factory_hash': 'a' * 64}, 'aaaa.*ffff'),
    ({'file': 'v5.safetensors'}, 'v5.safetensors.*cannot be read'),
    ({'file': ''}, 'without folders'),
    ({'file': '/etc/passwd'}, 'without folders'), ({'file': '..'}, 'without folders'),
    ({'file': '../v4'}, 'without folders')])
def test_anything_else_is_refused_in_one_line_with_both_values(update, tmp_path, change, words):
    with pytest.raises(ValueError, match=words) as error:
        accepted(Fields(**vars(update) | change), tmp_path)
    assert '\n' not in str(error.value) and 'version' in str(error.value)


def test_a_link_out_of_the_folder_is_refused(update, tmp_path):
    outside = tmp_path / 'outside'
    outside.write_bytes(b'some weights')
    (tmp_path / 'weights' / 'link').symlink_to(outside)
    update.file = 'link'
    with pytest.raises(ValueError, match='leads out'):
        accepted(update, tmp_path)


def test_a_pipe_is_refused_instead_of_waited_for(update, tmp_path):
    os.mkfifo(tmp_path / 'weights' / 'pipe')
    update.file = 'pipe'
    with pytest.raises(ValueError, match='pipe cannot be read: it is no file'):
        accepted(update, tmp_path)


def test_weights_that_a_person_rolled_back_from_are_not_promoted_again(update, tmp_path):
    with pytest.raises(ValueError, match='rolled back from'):
        accepted(update, tmp_path, {update.sha256})


def test_without_a_folder_given_weights_lie_below_ros_home(monkeypatch, tmp_path):
    monkeypatch.setenv('ROS_HOME', str(tmp_path))
    assert weights_folder('') == tmp_path / 'semdepth_ros' / 'weights'
    assert str(weights_folder('/somewhere')) == '/somewhere'


def test_model_info_says_who_answers_and_with_what_scale():
    served = Served(replace(CARD, recipe={'name': 'small_world'}), 'v3.safetensors', 'c' * 64, 'cpu', 'float32')
    info = make_model_info(rosbags_types(), header(), served, Scale(2.0, 0.1, True), 'camera_height', (256, 96))
    assert (info.name, info.version, info.parent, info.factory_hash) == ('town', 3, 2, 'f' * 64)
    assert (info.scale, info.metric, info.scale_source, info.recipe) == (2.0, True, 'camera_height', 'small_world')
    assert info.scale_sigma == 0.05  # relative
    assert info.class_names[13] == 'car' and len(info.class_names) == 19
    assert list(info.class_colors[39:42]) == [0, 0, 142] and len(info.class_colors) == 3 * 19
    assert json.loads(info.architecture) == {'encoder': 'small'} and json.loads(info.card)['version'] == 3
    factory = make_model_info(rosbags_types(), header(), replace(served, card=replace(CARD, version=0, parent=None)),
                              Scale(), 'none')
    assert (factory.parent, factory.input_width) == (0, 0)
