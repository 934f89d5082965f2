"""Images and truth of one stamp belong together one to one, whatever the stamps are."""
import pytest

from semdepth_ros.bags.bag_reader import BagReader
from semdepth_ros.bags.bag_writer import BagWriter
from semdepth_ros.bags.cdr import stamp_of
from semdepth_ros.bags.recorded_frames import has_times, messages_of, recorded_frames
from semdepth_ros.bridge.messages import make_header

SECOND = 10 ** 9


def write(path, images, truth):
    """Write messages of (time of recording, stamp), told apart by their frame_id."""
    with BagWriter(path) as bag:
        for topic, times in (('/image', images), ('/truth', truth)):
            for number, (recorded, stamp) in enumerate(times):
                header = bag.types.make('geometry_msgs/msg/PointStamped',
                                        header=make_header(bag.types, stamp * SECOND, f'{number}'))
                bag.write(topic, header, recorded)
    return path


def pairs(path):
    """Return time [s], image and truth of every frame."""
    with BagReader(path) as reader:
        found = []
        for frame in recorded_frames(reader, '/image', ['/truth']):
            number = {topic: reader.deserialize(data, 'geometry_msgs/msg/PointStamped').header.frame_id
                      for topic, data in messages_of(reader, frame)}
            found.append((frame.time_ns, number['/image'], number.get('/truth')))
        return found


@pytest.mark.parametrize('suffix', ['mcap', 'db3'])
@pytest.mark.parametrize('images, truth, expected', [
    ([(1, 1), (2, 2), (3, 3)], [(4, 3), (5, 1)], [(SECOND, '0', '1'), (2 * SECOND, '1', None), (3 * SECOND, '2', '0')]),
    ([(10, 0), (20, 0), (30, 0)], [(11, 0), (21, 0), (31, 0)], [(10, '0', '0'), (20, '1', '1'), (30, '2', '2')]),
    ([(10, 0), (20, 0), (30, 0)], [(21, 0), (31, 0)], [(10, '0', None), (20, '1', '0'), (30, '2', '1')]),
    ([(10, 0), (20, 0)], [(9, 0), (12, 0), (21, 0), (33, 0)], [(10, '0', '0'), (20, '1', '2')]),
    ([(1, 7), (1, 7)], [(1, 7), (1, 7)], [(7 * SECOND, '0', '0'), (7 * SECOND, '1', '1')]),
    ([(1, 1), (2, 2), (2, 2), (3, 3)], [(2, 2)],
     [(SECOND, '0', None), (2 * SECOND, '1', '0'), (2 * SECOND, '2', None), (3 * SECOND, '3', None)])])
def test_frames_are_paired_one_to_one(tmp_path, suffix, images, truth, expected):
    assert pairs(write(tmp_path / f'a.{suffix}', images, truth)) == expected


def test_a_bag_played_twice_is_two_drives_and_keeps_all_its_frames(tmp_path, caplog):
    times = [(t, t % 10) for t in range(1, 20) if t % 10]
    found = pairs(write(tmp_path / 'a.mcap', times, times))
    assert [(time // SECOND, image, truth) for time, image, truth in found] == [
        (stamp, str(n), str(n)) for n, (_, stamp) in enumerate(times)]
    assert 'set back 1 times' in caplog.text


def test_stamps_tell_a_time_unless_they_are_zero_or_one_for_many():
    assert has_times([1, 2, 2, 3]) and has_times([1, 1, 2, 2]) and has_times([0]) and has_times([])
    assert not has_times([0, 0, 0]) and not has_times([5, 5, 5, 5, 6])


def test_the_stamp_of_too_short_a_message_is_refused_with_its_length():
    with pytest.raises(ValueError, match='3 bytes'):
        stamp_of(b'\0\1\0')
