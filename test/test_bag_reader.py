"""Bags of others: what is no ROS 2 message is left out by name, the rest is read, and damage names its remedy."""
import sqlite3

from mcap.writer import CompressionType, IndexType, Writer
import pytest

from semdepth_ros.bags.bag_path import BagError
from semdepth_ros.bags.bag_reader import BagReader
from semdepth_ros.bags.bag_writer import BagWriter
from semdepth_ros.bags.rosbags_types import rosbags_types
from semdepth_ros.bridge.messages import make_header
from semdepth_ros.data import open_data

STRING = 'std_msgs/msg/String'


def text(words):
    return bytes(rosbags_types().serialize(rosbags_types().make(STRING, data=words)))


def write_mcap(path, profile='ros2', times=(1, 2, 3), **options):
    """Write strings on /said, and beside them channels of other encodings."""
    with open(path, 'wb') as stream:
        writer = Writer(stream, **options)
        writer.start(profile)
        known = writer.register_schema(STRING, 'ros2msg', b'string data')
        said = writer.register_channel('/said', 'cdr', known)
        strange = {
            '/json': writer.register_channel('/json', 'json', writer.register_schema('A', 'jsonschema', b'{}')),
            '/proto': writer.register_channel('/proto', 'protobuf', writer.register_schema('B', 'protobuf', b'')),
            '/old': writer.register_channel('/old', 'ros1', writer.register_schema(STRING, 'ros1msg', b'string data')),
            '/bare': writer.register_channel('/bare', 'json', 0)}
        for time in times:
            writer.add_message(said, time, text(f'word {time}'), time)
            for channel in strange.values():
                writer.add_message(channel, time, b'{}', time)
        writer.finish()
    return path


def said(path):
    with BagReader(path) as reader:
        return {name: t.count for name, t in reader.topics.items()}, [
            reader.deserialize(data, topic.type).data for topic, _, data in reader.messages()]


@pytest.mark.parametrize('options', [
    {}, {'profile': ''}, {'use_chunking': False}, {'index_types': IndexType.NONE},
    {'use_statistics': False}, {'repeat_channels': False}, {'compression': CompressionType.NONE}])
def test_channels_of_other_encodings_are_left_out_by_name_and_the_rest_is_read(tmp_path, caplog, options):
    path = write_mcap(tmp_path / 'a.mcap', **options)
    assert said(path) == ({'/said': 3}, ['word 1', 'word 2', 'word 3'])
    line, = caplog.messages
    assert 'left out' in line and '/bare (json), /json (json jsonschema), /old (ros1 ros1msg), /proto (protobuf' in line


def test_messages_come_in_the_order_of_time_and_from_a_span_of_it(tmp_path):
    for name, options in (('a', {}), ('b', {'use_chunking': False})):
        path = write_mcap(tmp_path / f'{name}.mcap', times=(3, 1, 2), **options)
        with BagReader(path) as reader:
            assert [time for _, time, _ in reader.messages()] == [1, 2, 3]
            assert [time for _, time, _ in reader.messages(['/said'], 2, 3)] == [2]
            assert not list(reader.messages(['/elsewhere']))


@pytest.mark.parametrize('share', [0.5, 0.9])
def test_a_file_that_was_cut_off_says_what_is_whole_and_what_saves_it(tmp_path, share):
    write_mcap(tmp_path / 'a.mcap', times=range(100), use_chunking=False)
    data = (tmp_path / 'a.mcap').read_bytes()
    (tmp_path / 'cut.mcap').write_bytes(data[:int(len(data) * share)])
    words = r'messages whole: \d+ of /bare.*, \d+ of /said; `mcap recover .*cut.mcap'
    with pytest.raises(BagError, match=words) as error:
        BagReader(tmp_path / 'cut.mcap').open()
    whole = int(str(error.value).split(' of /said')[0].split()[-1])
    assert 0.7 * share * 100 < whole < 100 and '\n' not in str(error.value)


def test_a_changed_byte_in_a_chunk_is_damage(tmp_path):
    path = write_mcap(tmp_path / 'a.mcap', compression=CompressionType.NONE)
    data = bytearray(path.read_bytes())
    data[data.index(b'word 2') + 5] = ord('9')
    path.write_bytes(data)
    with BagReader(path) as reader, pytest.raises(BagError, match='mcap recover'):
        list(reader.messages())


def test_a_database_that_was_cut_off_names_its_remedy(tmp_path):
    with BagWriter(tmp_path / 'a.db3') as bag:
        for i in range(200):
            bag.write('/said', bag.types.make(STRING, data=f'word {i}' * 20), i)
    data = (tmp_path / 'a.db3').read_bytes()
    (tmp_path / 'cut.db3').write_bytes(data[:len(data) // 2])
    with pytest.raises(BagError, match=r'`sqlite3 .*cut.db3 .recover'):
        with BagReader(tmp_path / 'cut.db3') as reader:
            list(reader.messages())


def test_a_folder_whose_recording_was_cut_off_names_reindex_and_its_file_can_be_read(tmp_path):
    folder = tmp_path / 'drive'
    folder.mkdir()
    write_mcap(folder / 'drive_0.mcap')
    for opening in (lambda: BagReader(folder), lambda: open_data(str(folder))):
        with pytest.raises(ValueError, match='drive_0.mcap but no metadata.yaml.*`ros2 bag reindex .*drive`'):
            opening()
    assert said(folder / 'drive_0.mcap')[0] == {'/said': 3}


@pytest.mark.parametrize('suffix', ['.mcap', '.db3', ''])
def test_relative_names_with_colons_open(tmp_path, monkeypatch, suffix):
    monkeypatch.chdir(tmp_path)
    name = f'2024-05-01T08:15:00{suffix}'
    with BagWriter(name) as bag:
        bag.write('/said', bag.types.make(STRING, data='word'), 1)
    assert said(name) == ({'/said': 1}, ['word'])


def test_a_type_whose_definition_makes_no_sense_is_left_out_and_the_rest_is_read(tmp_path, caplog):
    with BagWriter(tmp_path / 'a.db3') as bag:
        bag.write('/said', bag.types.make(STRING, data='word'), 1)
        bag.write('/header', make_header(bag.types, 1, 'lens'), 2)
    with sqlite3.connect(tmp_path / 'a.db3') as database:
        database.execute("UPDATE message_definitions SET encoded_message_definition = 'nonsense here is' "
                         "WHERE topic_type = 'std_msgs/msg/Header'")
    database.close()
    assert said(tmp_path / 'a.db3') == ({'/said': 1}, ['word'])
    assert '/header (std_msgs/msg/Header' in caplog.text
