"""Replay: the outputs of a recording, every frame, the same bytes every time, without ROS."""
from contextlib import closing
import sqlite3
import subprocess
import sys
from dataclasses import replace

import cv2
import numpy as np
import pytest

from plane_world import Corridor
from random_model import write_random_model
from semdepth_ros.bags.bag_path import BagError
from semdepth_ros.bags.bag_reader import BagReader, Topic
from semdepth_ros.bags.bag_writer import BagWriter
from semdepth_ros.bridge.camera_info import make_camera_info
from semdepth_ros.bridge.images import make_image
from semdepth_ros.bridge.messages import make_header
from semdepth_ros.bridge.outputs import TOPICS, OutputSettings
from semdepth_ros.classes import CITYSCAPES
from semdepth_ros.cli.main import main
from semdepth_ros.data import open_data
from semdepth_ros.frame import Frame
from semdepth_ros.frame_perception import Perception, Scale
from semdepth_ros.recordings.evaluation import evaluate_bags
from semdepth_ros.recordings.excerpt import announce, copy_beginning
from semdepth_ros.recordings.perceived_frames import perceived_frames
from semdepth_ros.recordings.replay import ReplayedModel, ReplayOptions, replay
from semdepth_ros.recordings.sequence_bag import write_sequence_bag

FRAMES = 4
TRUTH = {s.stamp_ns: s for s in (Corridor(FRAMES)[i] for i in range(FRAMES))}
OFFSET_NS = 1_000_000_000  # bags begin at one second


@pytest.fixture(scope='module')
def drive(tmp_path_factory):
    path = tmp_path_factory.mktemp('drive') / 'drive.mcap'
    write_sequence_bag(path, Corridor(FRAMES))
    return path


@pytest.fixture(scope='module')
def model(tmp_path_factory):
    return write_random_model(tmp_path_factory.mktemp('model') / 'random.safetensors')


def truth(frame: Frame) -> Perception:
    """Perceive perfectly."""
    sample = TRUTH[frame.stamp_ns - OFFSET_NS]
    return Perception(sample.depth, sample.depth * np.float32(0.1), sample.labels, np.full_like(sample.labels, 200),
                      Scale(), 0, frame.camera, frame.stamp_ns, frame.frame_id)


TRUE_MODEL = ReplayedModel(truth, CITYSCAPES)


def messages(path):
    with BagReader(path) as reader:
        return {(topic.name, stamp_ns): reader.deserialize(data, topic.type)
                for topic, stamp_ns, data in reader.messages()}


@pytest.mark.parametrize('name', ['out.mcap', 'out.db3', 'out'])
def test_every_frame_has_every_output_with_the_images_own_header(drive, tmp_path, name):
    done = replay(drive, tmp_path / name, TRUE_MODEL)
    assert (done.images, done.perceived, done.reasons) == (FRAMES, FRAMES, {})
    images = {stamp: m for (topic, stamp), m in messages(drive).items() if topic == '/image'}
    found = messages(tmp_path / name)
    assert set(found) == {(f'/{topic}', stamp) for topic in TOPICS for stamp in images}
    for (topic, stamp), message in found.items():
        assert _header(message) == _header(images[stamp]), topic


def test_what_was_perceived_is_read_back_bit_for_bit(drive, tmp_path):
    replay(drive, tmp_path / 'out.mcap', TRUE_MODEL)
    frames = list(perceived_frames(tmp_path / 'out.mcap'))
    assert [p.stamp_ns - OFFSET_NS for p in frames] == sorted(TRUTH)
    for p in frames:
        sample = TRUTH[p.stamp_ns - OFFSET_NS]
        assert (p.depth == sample.depth).all() and (p.labels == sample.labels).all() and (p.confidence == 200).all()
        assert p.camera == sample.camera and p.frame_id == 'camera_optical'


def test_a_perfect_replay_is_measured_as_perfect(drive, tmp_path):
    replay(drive, tmp_path / 'out.mcap', TRUE_MODEL)
    result = evaluate_bags(drive, tmp_path / 'out.mcap', 'truth')
    sequence, = result['sequences']
    assert (result['frames_in'], result['frames_perceived'], result['frames_dropped']) == (FRAMES, FRAMES, 0)
    assert sequence['depth']['unscaled']['abs_rel'] == pytest.approx(0, abs=1e-6)
    assert sequence['semantics']['miou'] == 1.0 and sequence['frames'] == FRAMES
    assert 'latency_ms' not in sequence


def test_frames_that_are_missing_are_counted_and_others_are_not_shifted(drive, tmp_path):
    replay(drive, tmp_path / 'out.mcap', TRUE_MODEL)
    with BagReader(tmp_path / 'out.mcap') as reader, BagWriter(tmp_path / 'less.mcap') as writer:
        for topic, stamp_ns, data in reader.messages():
            if stamp_ns != OFFSET_NS + sorted(TRUTH)[1]:
                writer.write(topic.name, reader.deserialize(data, topic.type), stamp_ns)
    seen = []
    result = evaluate_bags(drive, tmp_path / 'less.mcap', 'truth', latencies_ms={OFFSET_NS: 12.0},
                           see=lambda index, total, sample, perception: seen.append((index, total)))
    assert (result['frames_perceived'], result['frames_dropped']) == (FRAMES - 1, 1)
    assert seen == [(0, 4), (2, 4), (3, 4)]
    assert result['sequences'][0]['depth']['unscaled']['abs_rel'] == pytest.approx(0, abs=1e-6)
    assert result['sequences'][0]['latency_ms']['p50'] == 12.0


def test_settings_and_topics_are_the_nodes(drive, tmp_path):
    settings = OutputSettings(stride=2, depth_encoding='16UC1', min_confidence=0.9)
    replay(drive, tmp_path / 'out.mcap', TRUE_MODEL, ReplayOptions(['depth/image', 'semantic/image', 'points'], settings))
    found = messages(tmp_path / 'out.mcap')
    assert {topic for topic, _ in found} == {'/depth/image', '/semantic/image', '/points'}
    depth, labels, points = (found['/depth/image', OFFSET_NS], found['/semantic/image', OFFSET_NS],
                             found['/points', OFFSET_NS])
    assert depth.encoding == '16UC1' and (labels.width, labels.height) == (48, 32) == (points.width, points.height)
    assert (labels.data == 255).all()
    with pytest.raises(ValueError, match="output 'cloud' is unknown"):
        replay(drive, tmp_path / 'x.mcap', TRUE_MODEL, ReplayOptions(['cloud']))


def test_the_input_is_copied_when_asked_and_outputs_of_an_earlier_run_are_not(drive, tmp_path, caplog):
    replay(drive, tmp_path / 'first.mcap', TRUE_MODEL, ReplayOptions(with_input=True))
    replay(tmp_path / 'first.mcap', tmp_path / 'second.mcap', TRUE_MODEL, ReplayOptions(with_input=True))
    first, second = messages(tmp_path / 'first.mcap'), messages(tmp_path / 'second.mcap')
    assert set(first) == set(second) >= set(messages(drive))
    lines = [r.getMessage() for r in caplog.records]
    assert len(lines) == 1 and 'written anew' in lines[0] and '/points' in lines[0] and '/depth/image' in lines[0]
    with BagReader(tmp_path / 'first.mcap') as reader:
        assert reader.topics['/tf_static'].qos.durability == 'transient_local'
    assert len(open_data(tmp_path / 'first.mcap')[0]) == FRAMES


def test_a_topic_that_nobody_defines_is_left_out_by_name_and_the_rest_is_copied(drive, tmp_path, caplog):
    with BagReader(drive) as reader, BagWriter(tmp_path / 'old.db3') as writer:
        announce(reader, writer)
        writer.add_topic(Topic('/odd', 'my_pkg/msg/Odd', definition='uint8 x', digest='RIHS01_' + 64 * '0'))
        for topic, stamp_ns, data in reader.messages():
            writer.write_bytes(topic.name, data, stamp_ns)
            writer.write_bytes('/odd', b'\0\1\0\0\5', stamp_ns)
    with closing(sqlite3.connect(tmp_path / 'old.db3')) as database, database:  # as Humble records
        database.execute('DELETE FROM message_definitions')
        database.execute("UPDATE topics SET type_description_hash = ''")
    done = replay(tmp_path / 'old.db3', tmp_path / 'out.mcap', TRUE_MODEL, ReplayOptions(['depth/image'], with_input=True))
    assert done.perceived == FRAMES and copy_beginning(tmp_path / 'old.db3', tmp_path / 'drive.mcap').images == FRAMES
    assert set(messages(tmp_path / 'drive.mcap')) == set(messages(drive))
    lines = [r.getMessage() for r in caplog.records]
    assert len(lines) == 2 and all("/odd is left out: message type 'my_pkg/msg/Odd' is unknown" in t for t in lines)


def test_what_a_node_sends_once_is_not_copied_into_a_replay_either(drive, model, tmp_path):
    first, second = tmp_path / 'first.mcap', tmp_path / 'second.mcap'
    for source, target in ((drive, first), (first, second)):
        assert main(['replay', str(source), '--out', str(target), '--model', str(model), '--with-input']) == 0
    with BagReader(second) as reader:
        counts = {topic.name: topic.count for topic in reader.topics.values()}
    assert counts['/perception/model_info'] == counts['/semantic/label_info'] == 1


def test_a_compressed_camera_gets_the_name_that_nodes_look_for(tmp_path, caplog):
    jpeg = np.frombuffer(cv2.imencode('.jpg', np.zeros((64, 96, 3), np.uint8))[1].tobytes(), np.uint8)
    with BagWriter(tmp_path / 'in.mcap') as writer:
        header = make_header(writer.types, 10**9, 'lens')
        writer.write('/cam/camera_info', make_camera_info(writer.types, header, Corridor().camera), 0)
        writer.write('/cam/jpeg', writer.types.make('sensor_msgs/msg/CompressedImage', header=header, format='jpeg',
                                                    data=jpeg), 1)
    copy_beginning(tmp_path / 'in.mcap', tmp_path / 'out.mcap')
    sequence, = open_data(tmp_path / 'out.mcap')
    assert (sequence.topics.image, sequence.topics.camera_info) == ('/cam/jpeg/compressed', '/cam/camera_info')
    assert sequence.camera == Corridor().camera and '/cam/jpeg holds compressed images' in caplog.text


def test_an_image_takes_the_camera_info_of_its_own_stamp_else_the_last_before(tmp_path):
    wide = replace(Corridor().camera, fx=77.0)
    with BagReader(_bag(tmp_path, [(1, Corridor().camera), (3, wide)])) as reader:
        assert reader.topics['/camera_info'].count == 2
    seen = []
    model = ReplayedModel(lambda f: (seen.append(f.camera.fx), _flat(f))[1], CITYSCAPES)
    replay(tmp_path / 'in.mcap', tmp_path / 'out.mcap', model)
    assert seen == [60.0, 60.0, 60.0, 77.0]


def test_a_damaged_image_is_left_out_counted_and_named(tmp_path):
    good = cv2.imencode('.jpg', np.zeros((64, 96, 3), np.uint8))[1].tobytes()
    with BagWriter(tmp_path / 'in.mcap') as writer:
        for i, data in enumerate((good, good[:200], good)):
            header = make_header(writer.types, (i + 1) * 10**9, 'lens')
            writer.write('/image/compressed', writer.types.make(
                'sensor_msgs/msg/CompressedImage', header=header, format='jpeg', data=np.frombuffer(data, np.uint8)), i)
    done = replay(tmp_path / 'in.mcap', tmp_path / 'out.mcap', ReplayedModel(_flat, CITYSCAPES))
    assert (done.images, done.perceived) == (3, 2)
    assert done.reasons == {'left out: compressed image of 200 bytes is cut off: its end marker is missing': 1}
    assert {topic for topic, _ in messages(tmp_path / 'out.mcap')}.isdisjoint({'/points', '/depth/camera_info'})


def test_a_camera_info_of_another_size_costs_the_cloud_and_nothing_else(tmp_path):
    _bag(tmp_path, [(0, replace(Corridor().camera, width=48, height=32))])
    done = replay(tmp_path / 'in.mcap', tmp_path / 'out.mcap', ReplayedModel(_flat, CITYSCAPES))
    assert done.perceived == 4
    assert list(done.reasons) == ['without its camera: camera_info is for 48x32, but the image is 96x64']


def test_a_recording_is_never_written_over_itself(drive, tmp_path):
    with pytest.raises(BagError, match='is the recording itself'):
        replay(drive, drive, TRUE_MODEL, ReplayOptions(replace=True))
    with pytest.raises(ZeroDivisionError):
        replay(drive, tmp_path / 'out.mcap', ReplayedModel(lambda frame: 1 / 0, CITYSCAPES))
    assert not list(tmp_path.iterdir())


def test_the_same_recording_gives_the_same_bytes(drive, model, tmp_path, capsys):
    for folder in ('a', 'b'):
        (tmp_path / folder).mkdir()
        assert main(['replay', str(drive), '--out', str(tmp_path / folder / 'out.mcap'), '--model', str(model)]) == 0
    assert (tmp_path / 'a' / 'out.mcap').read_bytes() == (tmp_path / 'b' / 'out.mcap').read_bytes()
    assert f'out.mcap: {FRAMES} of {FRAMES} frames perceived' in capsys.readouterr().out


def test_replay_needs_no_ros_and_names_its_model_and_labels(drive, model, tmp_path):
    block = ('import sys\n'
             'class Block:\n'
             '    def find_spec(self, name, path=None, target=None):\n'
             '        top = name.split(".")[0]\n'
             '        if top in {"rclpy", "std_msgs", "sensor_msgs", "builtin_interfaces", "rosidl_parser"} '
             'or name == "semdepth_ros.msg":\n'
             '            raise ImportError("blocked: " + name)\n'
             'sys.meta_path.insert(0, Block())\n'
             'from semdepth_ros.cli.main import main\n'
             'sys.exit(main(sys.argv[1:]))\n')
    arguments = ['replay', drive, '--out', tmp_path / 'out.db3', '--model', model]
    out = subprocess.run([sys.executable, '-c', block, *arguments], capture_output=True, text=True, timeout=300)
    assert out.returncode == 0, out.stderr
    found = messages(tmp_path / 'out.db3')
    info, labels = found['/perception/model_info', OFFSET_NS], found['/semantic/label_info', OFFSET_NS]
    assert info.file == 'random.safetensors' and info.class_names[0] == 'road' and len(info.sha256) == 64
    assert _header(info) == _header(found['/depth/image', OFFSET_NS])
    assert info.input_width and info.input_height
    assert [c.class_name for c in labels.class_map][:2] == ['road', 'sidewalk']
    depth = np.frombuffer(found['/depth/image', OFFSET_NS].data, np.float32)
    assert depth.size == 96 * 64 and np.isfinite(depth).any()


def _header(message):
    return message.header.stamp.sec, message.header.stamp.nanosec, message.header.frame_id


def _flat(frame: Frame) -> Perception:
    size = frame.image.shape[:2]
    depth, labels = np.full(size, 5, np.float32), np.zeros(size, np.uint8)
    return Perception(depth, depth, labels, labels, Scale(), 0, frame.camera, frame.stamp_ns, frame.frame_id)


def _bag(tmp_path, infos):
    """Write four images, stamped 1 to 4 s, and camera_infos before the images of these indices."""
    with BagWriter(tmp_path / 'in.mcap') as writer:
        for i in range(4):
            header = make_header(writer.types, (i + 1) * 10**9, 'lens')
            for index, camera in infos:
                if index == i:
                    writer.write('/camera_info', make_camera_info(writer.types, header, camera), i * 10)
            image = make_image(writer.types, header, np.zeros((64, 96, 3), np.uint8), 'rgb8')
            writer.write('/image', image, i * 10 + 1)
    return tmp_path / 'in.mcap'
