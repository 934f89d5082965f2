"""The shared memory of the middleware: how much is needed, what is wrong, and how to mend it."""
from pathlib import Path
import xml.etree.ElementTree as ElementTree

import pytest

from semdepth_ros.bridge import shared_memory
from semdepth_ros.share import shared_file

MB = 1 << 20
PROFILE = shared_file('config', 'fastdds_large_messages.xml')


def test_the_segment_holds_the_messages_in_flight():
    assert shared_memory.segment_for(1242 * 375 * 3, depth=5) == 8 * MB
    assert shared_memory.segment_for(1920 * 1080 * 3, depth=5) == 32 * MB
    assert shared_memory.segment_for(1) == MB


def test_four_processes_fit_into_the_64_mb_that_docker_gives():
    segment = shared_memory.segment_that_fits(64 * MB)
    assert segment >= shared_memory.segment_for(1242 * 375 * 3)
    assert 4 * shared_memory.taken_by(segment) <= 64 * MB
    assert shared_memory.segment_that_fits(24 << 30) == shared_memory.DEFAULT_SEGMENT


def test_too_little_room_is_told_with_the_options_that_mend_it():
    text = shared_memory.complaint(free=20 * MB, segment=32 * MB, image_bytes=2_000_000, size=64 * MB)
    assert '21 MB of 67 MB free' in text and '--shm-size' in text and '--ipc=host' in text


def test_a_segment_too_small_for_the_images_is_told_with_the_profile_that_mends_it():
    text = shared_memory.complaint(free=1 << 30, segment=512 << 10, image_bytes=2_000_000)
    assert '0.5 MB' in text and 'fastdds_large_messages.xml' in text
    assert shared_memory.complaint(free=1 << 30, segment=32 * MB, image_bytes=2_000_000) is None
    assert shared_memory.complaint(free=1 << 30, segment=32 * MB, image_bytes=20_000_000) is None


@pytest.mark.parametrize('variable', ['FASTDDS_DEFAULT_PROFILES_FILE', 'FASTRTPS_DEFAULT_PROFILES_FILE'])
def test_the_segment_in_use_is_read_from_the_profile_in_the_environment(variable, tmp_path):
    assert shared_memory.segment_in_use({variable: str(PROFILE)}) == 32 * MB
    assert shared_memory.segment_in_use({variable: str(tmp_path / 'gone.xml')}) == 512 << 10
    assert shared_memory.segment_in_use({}) == 512 << 10


def test_a_profile_with_another_segment_differs_in_nothing_else_but_its_largest_message():
    text = PROFILE.read_text()
    smaller = shared_memory.with_segment(text, 8 * MB)
    before, after = (dict((e.tag.split('}')[-1], e.text) for e in ElementTree.fromstring(t).iter())
                     for t in (text, smaller))
    assert {k for k in before if before[k] != after[k]} == {'segment_size', 'maxMessageSize'}
    assert (after['segment_size'], after['maxMessageSize']) == (str(8 * MB), str(4 * MB))


def test_the_largest_message_grows_with_the_segment():
    text = shared_memory.with_segment(PROFILE.read_text(), 128 * MB)
    found = {e.tag.split('}')[-1]: e.text for e in ElementTree.fromstring(text).iter()}
    assert (found['segment_size'], found['maxMessageSize']) == (str(128 * MB), str(64 * MB))
    assert shared_memory.LARGEST_MESSAGE == 16 * MB
    assert shared_memory.largest_message({'FASTDDS_DEFAULT_PROFILES_FILE': str(PROFILE)}) == 16 * MB
    assert shared_memory.largest_message({}) < 1 << 16


def test_outputs_that_do_not_pass_at_once_are_told_in_numbers_with_what_mends_it():
    assert shared_memory.lateness({'depth/image': 8_000_000, 'points': 15_000_000}, 32 * MB, 16 * MB) is None
    text = shared_memory.lateness({'depth/image': 8_388_608, 'points': 41_943_040}, 32 * MB, 16 * MB)
    assert 'one frame are 50 MB, points alone 42 MB' in text and '34 MB for messages of up to 17 MB' in text
    assert 'stride' in text and f'segment_size to {128 * MB} and maxMessageSize to {64 * MB}' in text
    crowd = {f'{i}/image': 8_388_608 for i in range(5)}
    assert 'are 42 MB' in shared_memory.lateness(crowd, 32 * MB, 16 * MB)
    assert shared_memory.lateness(crowd, 64 * MB, 16 * MB) is None


def test_room_is_that_of_the_file_system():
    size, free = shared_memory.room(str(Path(__file__).parent))
    assert size >= free > 0
    assert shared_memory.room('/nowhere/at/all') is None
