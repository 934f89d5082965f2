"""The demonstration, small: a drive through the node's own process, recorded, measured and drawn."""
from dataclasses import replace
import json
import os
from pathlib import Path
import time

import cv2
import numpy as np
import psutil
import pytest

from plane_world import Corridor
from random_model import write_random_model
from semdepth_ros.bags.bag_reader import BagReader
from semdepth_ros.bags.bag_writer import BagWriter
from semdepth_ros.bags.cdr import stamp_of, with_stamp
from semdepth_ros.bridge.camera_info import make_camera_info
from semdepth_ros.bridge.images import make_image
from semdepth_ros.bridge.messages import make_header
from semdepth_ros.bridge.outputs import TOPICS, OutputSettings, output_bytes
from semdepth_ros.bridge.shared_memory import lateness
from semdepth_ros.cli.demo import free_domain, read_size
from semdepth_ros.cli.main import main
from semdepth_ros.data import open_data, write_folder_sequence
from semdepth_ros.data.bag import BagSequence
from semdepth_ros.data.camera_file import camera_to_dict
from semdepth_ros.live.arrivals import NEEDED, Arrivals
from semdepth_ros.live.demo import fitting_stride, room_for, summary
from semdepth_ros.live.run import LiveRun
from semdepth_ros.recordings.drive_source import WorldDrive, bring_drive, render_drive
from semdepth_ros.recordings.excerpt import announce
from semdepth_ros.recordings.sequence_bag import write_sequence_bag
from semdepth_ros.world import find_preset

LENS = replace(Corridor().camera, distortion_model='plumb_bob', distortion=(-0.1, 0.02, 0, 0, 0))
HERE = Path(__file__).resolve().parent
HALF_BLIND = ('import sys, semdepth_ros.live.demo as demo\n'
              'demo.PERCEPTION = "half_blind_node"\n'
              'from semdepth_ros.cli.main import main\n'
              'sys.exit(main(sys.argv[1:]))\n')


@pytest.fixture(scope='module')
def model(tmp_path_factory):
    return write_random_model(tmp_path_factory.mktemp('model') / 'random.safetensors')


def film_frames(path):
    capture, count = cv2.VideoCapture(str(path)), 0
    while capture.read()[0]:
        count += 1
    return count


def topic_counts(path):
    with BagReader(path) as reader:
        return {t.name: t.count for t in reader.topics.values()}


def half_blind(processes, every, model, *arguments):
    """Start the demonstration with a node that answers one image of so many."""
    path = os.pathsep.join([str(HERE), os.environ.get('PYTHONPATH', '')])
    return processes.python('-c', HALF_BLIND, 'demo', '--model', model, *arguments,
                            env={'PYTHONPATH': path, 'EVERY': str(every)})


def test_a_drive_through_a_distorting_lens_is_perceived_measured_and_drawn(model, tmp_path, processes):
    frames, out = 12, tmp_path / 'out'
    write_folder_sequence(tmp_path / 'drive', Corridor(frames, camera=LENS))
    child = processes.python('-m', 'semdepth_ros.cli.main', 'demo', '--out', out, '--drive', tmp_path / 'drive',
                             '--model', model)
    assert child.wait(180) == 0, child.output
    metrics = json.loads((out / 'metrics.json').read_text())
    assert metrics['frames_in'] == frames == metrics['frames_perceived'] + metrics['frames_dropped']
    sequence, = metrics['sequences']
    assert sequence['frames'] == metrics['frames_perceived']
    for scaling in ('median_scaled', 'one_scale', 'unscaled'):
        assert set(sequence['depth'][scaling]) >= {'abs_rel', 'sq_rel', 'rmse', 'rmse_log', 'd1', 'd2', 'd3'}
    assert 0 <= sequence['semantics']['miou'] <= 1 and sequence['latency_ms']['p50'] > 0
    assert 0 < metrics['playback_rate'] <= 1
    assert film_frames(out / 'preview.mp4') == metrics['frames_perceived']
    assert cv2.imread(str(out / 'preview.png')).std() > 10
    assert '<html' in (out / 'report.html').read_text()
    drive, perceived = topic_counts(out / 'drive.mcap'), topic_counts(out / 'perceived.mcap')
    assert drive['/image'] == drive['/truth/depth/image'] == frames
    assert perceived['/depth/image'] >= metrics['frames_perceived']
    assert perceived['/perception/model_info'] and perceived['/points']
    stamps = {s.stamp_ns for s in (open_data(out / 'drive.mcap')[0][i] for i in range(frames))}
    with BagReader(out / 'perceived.mcap') as reader:
        assert {stamp for topic, stamp, _ in reader.messages(['/depth/image'])} <= stamps
    assert f'perceived {metrics["frames_perceived"]} of {frames} frames' in child.output
    assert str(out / 'report.html') in child.output


def test_a_video_takes_the_calibration_beside_it_if_that_has_its_size(tmp_path, caplog):
    video = tmp_path / 'dashcam.mp4'
    writer = cv2.VideoWriter(str(video), cv2.VideoWriter_fourcc(*'mp4v'), 10, (96, 64))
    for i in range(8):
        writer.write(np.ascontiguousarray(Corridor()[i].image[..., ::-1]))
    writer.release()
    (tmp_path / 'camera.json').write_text(json.dumps(camera_to_dict(LENS)))
    bring_drive(tmp_path / 'drive.mcap', video, frames=6)
    sequence, = open_data(tmp_path / 'drive.mcap')
    assert sequence.camera == LENS and len(sequence) == 6
    (tmp_path / 'camera.json').write_text(json.dumps(camera_to_dict(LENS.scaled(48, 32))))
    bring_drive(tmp_path / 'drive.mcap', video)
    sequence, = open_data(tmp_path / 'drive.mcap')
    assert sequence.camera is None and len(sequence) == 8
    assert 'camera.json is not used' in caplog.text


def test_a_node_that_perceives_too_little_fails_the_demonstration(model, tmp_path, processes):
    write_folder_sequence(tmp_path / 'drive', Corridor(10))
    child = half_blind(processes, 3, model, '--out', tmp_path / 'out', '--drive', tmp_path / 'drive')
    assert child.wait(120) == 1, child.output
    assert 'perceived 3 of 10 frames, 7 dropped: fewer than 50 %, so the demonstration has failed' in child.output
    metrics = json.loads((tmp_path / 'out' / 'metrics.json').read_text())
    assert (metrics['frames_in'], metrics['frames_perceived'], metrics['frames_dropped']) == (10, 3, 7)
    assert metrics['sequences'][0]['frames'] == 3


def test_frames_stamped_before_the_first_image_are_perceived_too(model, tmp_path, processes):
    write_sequence_bag(tmp_path / 'drive.mcap', Corridor(8), rate_hz=10)
    with BagReader(tmp_path / 'drive.mcap') as reader, BagWriter(tmp_path / 'late.mcap') as writer:
        announce(reader, writer)
        for i, (topic, stamp_ns, data) in enumerate(reader.messages(['/image'])):  # 4 5 6 7 0 1 2 3
            writer.write_bytes('/image', with_stamp(data, stamp_of(data) + (400_000_000 if i < 4 else -400_000_000)),
                               stamp_ns)
    child = half_blind(processes, 1, model, '--out', tmp_path / 'out', '--drive', tmp_path / 'late.mcap')
    assert child.wait(120) == 0, child.output
    assert 'perceived 8 of 8 frames' in child.output and 'dropped' not in child.output


def rgbd_recording(path, stamps_s):
    """Write images of two cameras and a depth camera, the first image of each empty; stamps as given."""
    with BagWriter(path) as bag:
        for i, stamp_s in enumerate(stamps_s):
            header = make_header(bag.types, stamp_s * 10 ** 9, 'lens')
            image = make_image(bag.types, header, Corridor()[i % 4].image, 'rgb8')
            depth = make_image(bag.types, header, np.full((64, 96), 2000, np.uint16), '16UC1')
            if i == 0:
                image.width = image.height = image.step = 0
                image.data, image.encoding = np.zeros(0, np.uint8), ''
            bag.write('/aligned_depth_to_color/image_raw', depth, 10 ** 8 * i)
            for name in ('color', 'other'):
                bag.write(f'/{name}/image_raw', image, 10 ** 8 * i)
                bag.write(f'/{name}/camera_info', make_camera_info(bag.types, header, Corridor().camera), 10 ** 8 * i)
    return path


def test_the_camera_of_an_rgbd_recording_with_an_empty_first_image_is_shown(model, tmp_path, processes):
    drive = rgbd_recording(tmp_path / 'rgbd.mcap', range(1, 9))
    child = processes.python('-m', 'semdepth_ros.cli.main', 'demo', '--out', tmp_path / 'out', '--drive', drive,
                             '--model', model, '--image-topic', '/other/image_raw')
    assert child.wait(180) == 0, child.output
    metrics = json.loads((tmp_path / 'out' / 'metrics.json').read_text())
    assert metrics['frames_in'] == 8 and 4 <= metrics['frames_perceived'] <= 7
    assert '1 images of /other/image_raw cannot be read: image encoding is' in child.output
    sequence = BagSequence(tmp_path / 'out' / 'drive.mcap', '/other/image_raw')
    assert len(sequence) == 8 and film_frames(tmp_path / 'out' / 'preview.mp4') == metrics['frames_perceived']


def test_images_that_their_stamps_do_not_tell_apart_are_refused_or_left_out(tmp_path, caplog):
    for stamps, words in (([0] * 4, '4 images carry only 1 stamps'), ([7, 7, 7, 7, 8], '5 images carry only 2 stamps')):
        with pytest.raises(ValueError, match=f'rgbd.mcap: /color/image_raw: {words}.*semdepth replay') as error:
            bring_drive(tmp_path / 'drive.mcap', rgbd_recording(tmp_path / 'rgbd.mcap', stamps))
        assert '\n' not in str(error.value) and not (tmp_path / 'drive.mcap').exists()
        (tmp_path / 'rgbd.mcap').unlink()
    topic = bring_drive(tmp_path / 'drive.mcap', rgbd_recording(tmp_path / 'rgbd.mcap', [1, 2, 2, 3, 4]))
    assert topic == '/color/image_raw' and len(BagSequence(tmp_path / 'drive.mcap', topic)) == 4
    assert '1 of 5 images repeat a stamp and are left out' in caplog.text


def test_ctrl_c_ends_everything_and_leaves_nothing_half_written(model, tmp_path, processes):
    out = tmp_path / 'out'
    write_sequence_bag(tmp_path / 'drive.db3', Corridor(36), rate_hz=0.5)
    child = half_blind(processes, 1, model, '--out', out, '--drive', tmp_path / 'drive.db3')
    child.wait_for('images played', 90)
    family = psutil.Process(child.process.pid).children(recursive=True)
    assert any('half_blind_node' in ' '.join(p.cmdline()) for p in family)
    child.interrupt()
    child.interrupt()
    assert child.wait(60) == 130, child.output
    assert not psutil.wait_procs(family, timeout=10)[1]
    assert {p.name for p in out.iterdir()} == {'drive.mcap', 'node.log'}


def test_what_cannot_be_used_is_said_before_anything_starts(model, tmp_path, processes):
    write_sequence_bag(tmp_path / 'drive.mcap', Corridor(3))
    (tmp_path / 'broken.safetensors').write_bytes(b'no model')
    for arguments, message in ((('--model', tmp_path / 'broken.safetensors'), 'broken.safetensors'),
                               (('--model', model, '--out', tmp_path), 'is what the demonstration writes')):
        child = processes.python('-m', 'semdepth_ros.cli.main', 'demo', '--out', tmp_path / 'out', '--drive',
                                 tmp_path / 'drive.mcap', *arguments)
        assert child.wait(60) == 2 and message in child.output and 'Traceback' not in child.output
    assert (tmp_path / 'drive.mcap').is_file()


def test_the_worlds_pixels_are_square_at_every_size(tmp_path):
    for preset in ('day', 'other_camera'):
        render_drive(tmp_path / f'{preset}.mcap', WorldDrive(preset, frames=1, size=(96, 32)))
        camera = open_data(tmp_path / f'{preset}.mcap')[0].camera
        assert (camera.width, camera.height) == (96, 32) and camera.fx == camera.fy
        assert np.degrees(2 * np.arctan(camera.width / 2 / camera.fx)) == pytest.approx(find_preset(preset).fov_deg)


def test_figures_say_how_many_frames_they_stand_on():
    scores = {'abs_rel': 0.1}
    sequence = {'depth': {'median_scaled': scores, 'unscaled': scores, 'coverage': 1.0, 'frames': 1},
                'semantics': {'miou': 0.5, 'pixel_accuracy': 0.9, 'frames': 2}}
    result = {'sequences': [sequence], 'frames_in': 20, 'frames_perceived': 20, 'frames_dropped': 0}
    lines = summary(result, LiveRun(1.0), Path('out'))
    assert lines[1].endswith('(1 frame with truth)') and lines[2].endswith('(2 frames with truth)')
    sequence['depth'] = {'coverage': 0.0, 'frames': 3}
    assert summary(result, LiveRun(1.0), Path('out'))[1] == (
        'depth: not one pixel with true depth was perceived (3 frames with truth)')


def test_large_images_get_a_larger_segment_and_a_thinner_cloud():
    assert [fitting_stride(*size) for size in ((640, 192), (960, 600), (2048, 1024), (3840, 2160))] == [1, 1, 2, 4]
    assert room_for(640, 192) == 32 << 20
    for size in ((1280, 720), (2048, 1024), (3840, 2160)):
        outputs = output_bytes(TOPICS, *size, OutputSettings(stride=fitting_stride(*size)))
        assert lateness({'all': 2 * sum(outputs.values())}, room_for(*size), 1 << 40) is None
        assert lateness(outputs, room_for(*size), room_for(*size) // 2) is None


def test_the_pace_is_that_of_the_outputs_that_are_needed():
    arrivals = Arrivals()
    arrivals.note('depth/image', 5)
    assert arrivals.wait_for(NEEDED, 5, 0) is None
    arrivals.note('semantic/image', 5)
    assert arrivals.wait_for(NEEDED, 5, 0) == arrivals.complete()[5]
    began = time.monotonic()
    arrivals.wait_for_one([9, 5], 60)
    assert time.monotonic() - began < 30


def test_arguments_that_cannot_be_are_named(capsys):
    for arguments, message in ((['--size', 'big'], "--size is 'big', expected WxH"),
                               (['--seed', '-1'], '--seed is -1, expected zero or a positive number'),
                               (['--frames', '0'], '--frames is 0, expected at least 1'),
                               (['--image-bits', '7'], 'image_bits is 7, expected 0 (automatic) or 8 to 16')):
        assert main(['demo', *arguments]) == 2
        assert message in capsys.readouterr().err


def test_the_domain_is_one_that_every_system_has_ports_for_and_sizes_are_read():
    assert all(1 <= free_domain() <= 101 for _ in range(5))
    assert read_size('640x192') == (640, 192)
    for text in ('640', 'x', '0x5', '-3x5', '3x5x6'):
        with pytest.raises(ValueError, match='expected WxH'):
            read_size(text)
