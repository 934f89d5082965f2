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


def test_room_is_that_of_the_file_system():
    size, free = shared_memory.room(str(Path(__file__).parent))
    assert size >= free > 0
    assert shared_memory.room('/nowhere/at/all') is None
