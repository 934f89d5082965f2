import struct

import cv2
import numpy as np
import pytest
import yaml

from semdepth_ros.data import FolderSequence, Sample, open_data, read_camera, write_folder_sequence
from semdepth_ros.data.camera_file import camera_to_dict
from semdepth_ros.geometry.camera import Camera

CAMERA = Camera(4, 3, 5.0, 6.0, 1.5, 1.0, 'plumb_bob', (0.1, 0.0, 0.0, 0.01), height_m=1.5)


def sample(index, **changes):
    """Return a 4x3 sample with every part."""
    rng = np.random.default_rng(index)
    parts = {part: rng.integers(0, 19, (3, 4), dtype=np.uint8)
             for part in ('labels', 'noisy_labels', 'noisy_confidence')}
    pose = np.eye(4)
    pose[:3, 3] = index, 0.25, -1
    depth = np.full((3, 4), 10.5 + index, dtype=np.float32)
    values = {'name': f'{index:06d}', 'image': rng.integers(0, 255, (3, 4, 3), dtype=np.uint8), 'camera': CAMERA,
              'stamp_ns': 1_700_000_000_123_456_789 + index, 'depth': depth, 'pose': pose, **parts}
    return Sample(**{**values, **changes})


@pytest.fixture
def folder(tmp_path):
    """A whole folder sequence of three samples."""
    write_folder_sequence(tmp_path / 'drive', [sample(i) for i in range(3)], rate_hz=10.0)
    return tmp_path / 'drive'


def test_what_was_written_is_read_back_bit_for_bit(folder):
    sequence = FolderSequence(folder)
    assert (sequence.name, len(sequence), sequence.camera, sequence.rate_hz) == ('drive', 3, CAMERA, 10.0)
    for index, read in enumerate(sequence[i] for i in range(3)):
        wrote = sample(index)
        assert (read.name, read.stamp_ns, read.camera) == (wrote.name, wrote.stamp_ns, wrote.camera)
        for part in ('image', 'depth', 'labels', 'noisy_labels', 'noisy_confidence', 'pose'):
            np.testing.assert_array_equal(getattr(read, part), getattr(wrote, part), part)
            assert getattr(read, part).dtype == getattr(wrote, part).dtype


def test_a_sequence_ends(folder):
    assert [s.name for s in FolderSequence(folder)] == ['000000', '000001', '000002']
    with pytest.raises(IndexError):
        FolderSequence(folder)[3]


def test_sky_and_what_uint16_cannot_hold_is_no_truth(tmp_path):
    depth = np.array([[np.inf, np.nan, 300.0, 255.5], [0, -1, 1 / 1024, 1.0], [2, 2, 2, 2]], dtype=np.float32)
    write_folder_sequence(tmp_path / 'd', [sample(0, depth=depth)])
    nan = np.nan
    expected = np.array([[nan, nan, nan, 255.5], [nan, nan, nan, 1.0], [2, 2, 2, 2]], dtype=np.float32)
    np.testing.assert_array_equal(FolderSequence(tmp_path / 'd')[0].depth, expected)


def test_parts_that_were_not_asked_for_stay_on_disk(folder):
    (folder / 'depth' / '000000.png').write_bytes(b'damaged')
    read = FolderSequence(folder, parts=['labels'])[0]
    assert read.depth is None and read.noisy_labels is None and read.labels is not None


def test_images_alone_are_a_sequence(tmp_path):
    (tmp_path / 'images').mkdir()
    grey = np.arange(12, dtype=np.uint8).reshape(3, 4)
    cv2.imwrite(str(tmp_path / 'images' / 'a.png'), grey)
    cv2.imwrite(str(tmp_path / 'images' / 'b.png'), grey)
    sequence = FolderSequence(tmp_path)
    assert sequence.camera is None and [s.stamp_ns for s in sequence] == [0, 100_000_000]
    read = sequence[0]
    np.testing.assert_array_equal(read.image, np.repeat(grey[..., None], 3, axis=2))
    assert read.depth is None and read.labels is None and read.pose is None


def test_jpeg_images_are_rgb(tmp_path):
    red = np.zeros((3, 4, 3), dtype=np.uint8)
    red[..., 0] = 250
    write_folder_sequence(tmp_path / 'd', [sample(0, image=red)], image_format='jpg')
    np.testing.assert_allclose(FolderSequence(tmp_path / 'd')[0].image, red, atol=4)


def rewrite(folder, **changes):
    """Change keys of the folder's sequence.yaml."""
    file = folder / 'sequence.yaml'
    file.write_text(yaml.safe_dump({**yaml.safe_load(file.read_text()), **changes}))


def broken(folder, fault):
    """Break one thing in a folder sequence."""
    if fault == 'camera of another size':
        rewrite(folder, camera={**camera_to_dict(CAMERA), 'width': 8})
    elif fault == 'no images':
        (folder / 'images').rename(folder / 'pictures')
    elif fault == 'too few poses':
        (folder / 'poses.txt').write_text('1 0 0 0 0 1 0 0 0 0 1 0\n' * 2)
    elif fault == 'poses that are none':
        (folder / 'poses.txt').write_text('1 0 0 0 0 1 0 0 0 0 2 0\n' * 3)
    elif fault == 'too few times':
        (folder / 'times.txt').write_text('1\n2\n')
    elif fault == 'times backwards':
        (folder / 'times.txt').write_text('1\n3\n2\n')
    elif fault == 'unreadable image':
        (folder / 'images' / '000000.png').write_bytes(b'rubbish')
    elif fault == 'unreadable yaml':
        (folder / 'sequence.yaml').write_text('camera: [')
    elif fault == 'zero focal length':
        rewrite(folder, camera={**camera_to_dict(CAMERA), 'fx': 0})
    elif fault == 'no focal length':
        rewrite(folder, camera={'width': 4, 'height': 3})
    elif fault == 'depth without units':
        rewrite(folder, depth=None)
    elif fault == 'depth of eight bits':
        cv2.imwrite(str(folder / 'depth' / '000000.png'), np.ones((3, 4), np.uint8))
    elif fault == 'labels of another size':
        cv2.imwrite(str(folder / 'labels' / '000000.png'), np.ones((3, 5), np.uint8))
    elif fault == 'labels of no image':
        cv2.imwrite(str(folder / 'labels' / 'other.png'), np.ones((3, 4), np.uint8))
    elif fault == 'labels as a word':
        rewrite(folder, labels='cityscapes')
    elif fault == 'depth as a word':
        rewrite(folder, depth='16bit')
    elif fault == 'unlabelled as a word':
        rewrite(folder, labels={'unlabelled': 'none'})
    elif fault == 'height as a word':
        rewrite(folder, camera={**camera_to_dict(CAMERA), 'height_m': 'tall'})
    elif fault == 'labels of another kind':
        cv2.imwrite(str(folder / 'labels' / '000000.png'), np.full((3, 4), 33, np.uint8))
    elif fault == 'noisy labels of another kind':
        cv2.imwrite(str(folder / 'labels_noisy' / '000000.png'), np.full((3, 4), 254, np.uint8))


@pytest.mark.parametrize('fault, words', [
    ('camera of another size', ('4x3', '8x3')), ('no images', ('images/',)), ('too few poses', ('2 lines', '3')),
    ('poses that are none', ('line 1', 'rotation')), ('too few times', ('2 numbers', '3')),
    ('times backwards', ('times.txt', 'line 3')), ('unreadable image', ('000000.png',)),
    ('unreadable yaml', ('sequence.yaml',)), ('zero focal length', ('fx', '0')),
    ('no focal length', ('fx, fy, cx, cy',)),
    ('depth without units', ('units_per_metre',)), ('depth of eight bits', ('mono8', '16-bit')),
    ('labels of another size', ('5x3', '4x3')), ('labels of no image', ('other.png',)),
    ('labels as a word', ('sequence.yaml', "labels is 'cityscapes', expected a mapping")),
    ('depth as a word', ('sequence.yaml', "depth is '16bit', expected a mapping")),
    ('unlabelled as a word', ('sequence.yaml', "unlabelled is 'none', expected 0 to 255")),
    ('height as a word', ('sequence.yaml', 'tall')),
    ('labels of another kind', ('labels/000000.png', 'label is 33, expected train ids 0 to 18, or 255')),
    ('noisy labels of another kind', ('labels_noisy/000000.png', 'label is 254'))])
def test_contradictions_are_named_in_one_line(folder, fault, words):
    broken(folder, fault)
    with pytest.raises(ValueError) as error:
        FolderSequence(folder)[0]
    message = str(error.value)
    assert '\n' not in message and all(word in message for word in words), message


@pytest.mark.parametrize('kind', [RuntimeError, KeyboardInterrupt])
def test_a_broken_run_leaves_nothing_and_the_next_run_succeeds(tmp_path, kind):
    def breaking():
        yield sample(0)
        raise kind('stop')

    with pytest.raises(kind):
        write_folder_sequence(tmp_path / 'd', breaking())
    assert not list(tmp_path.iterdir())
    with pytest.raises(ValueError):
        open_data(str(tmp_path / 'd'))
    (tmp_path / 'd.partial').mkdir()  # a power cut leaves it
    assert write_folder_sequence(tmp_path / 'd', [sample(0)]) == 1
    assert [p.name for p in tmp_path.iterdir()] == ['d']


@pytest.mark.parametrize('samples, words', [
    ([], 'no samples'), ([sample(1), sample(0)], 'order'),
    ([sample(0), sample(1, camera=CAMERA.rectified())], 'another camera'),
    ([sample(0), sample(1, pose=None)], 'lacks a pose'), ([sample(0, pose=None), sample(1)], 'has a pose')])
def test_samples_that_contradict_each_other_are_refused(tmp_path, samples, words):
    with pytest.raises(ValueError, match=words):
        write_folder_sequence(tmp_path / 'd', samples)
    assert not (tmp_path / 'd').exists()


def test_a_folder_in_use_is_never_written_over(folder):
    with pytest.raises(ValueError, match='in use'):
        write_folder_sequence(folder, [sample(0)])


def test_open_data_takes_a_folder_and_a_folder_of_folders(folder):
    assert [s.name for s in open_data(str(folder))] == ['drive']
    assert [s.name for s in open_data(str(folder.parent))] == ['drive']


def test_data_that_does_not_exist_is_named_with_the_forms_understood():
    with pytest.raises(ValueError, match="'nowhere'.*world:PRESET"):
        open_data('nowhere')


@pytest.mark.parametrize('form', ['own', 'short', 'ros'])
def test_calibration_files_of_each_form_give_the_same_camera(tmp_path, form):
    own = camera_to_dict(CAMERA)
    forms = {'own': own, 'short': {**{k: v for k, v in own.items() if k != 'distortion'}, 'd': own['distortion']},
             'ros': {'image_width': 4, 'image_height': 3, 'distortion_model': 'plumb_bob', 'height_m': 1.5,
                     'camera_matrix': {'data': [5.0, 0, 1.5, 0, 6.0, 1.0, 0, 0, 1]},
                     'distortion_coefficients': {'data': [0.1, 0.0, 0.0, 0.01]}}}
    (tmp_path / 'camera.yaml').write_text(yaml.safe_dump(forms[form]))
    assert read_camera(tmp_path / 'camera.yaml') == CAMERA


def pictures(folder, *names):
    """Write a grey picture of these names, each as bright as its place in them."""
    (folder / 'images').mkdir(parents=True)
    for i, name in enumerate(names):
        cv2.imwrite(str(folder / 'images' / name), np.full((3, 4), 10 * i, np.uint8))
    return folder


@pytest.mark.parametrize('names', [
    [f'{i}.png' for i in range(1, 12)], [f'frame{i}_left.png' for i in (8, 9, 10, 100)],
    ['000009.png', '000010.png'], ['12.25.png', '12.5.png', '101.0.png'], ['a.png', 'b1.png', 'b02.png', 'b10.png'],
    ['aachen_000001_000019.png', 'aachen_000001_000020.png', 'aachen_000002_000000.png']])
def test_pictures_come_in_the_order_of_the_numbers_in_their_names(tmp_path, caplog, names):
    sequence = FolderSequence(pictures(tmp_path, *names))
    assert [int(sample.image.max()) for sample in sequence] == [10 * i for i in range(len(names))]
    assert bool(caplog.messages) == (sorted(names) != names)
    if sorted(names) != names:
        assert 'in the order of their numbers' in caplog.text


def test_what_macos_leaves_beside_pictures_is_no_frame(tmp_path):
    pictures(tmp_path, '1.png', '2.png')
    for junk in ('images/._1.png', 'images/.DS_Store', 'labels/._1.png'):
        (tmp_path / junk).parent.mkdir(exist_ok=True)
        (tmp_path / junk).write_bytes(b'Mac OS X')
    assert [sample.name for sample in FolderSequence(tmp_path)] == ['1', '2']


def test_a_sequence_whose_names_have_no_zeros_in_front_can_be_written(tmp_path):
    write_folder_sequence(tmp_path / 'd', [sample(i, name=str(i)) for i in (9, 10)])
    assert [s.name for s in FolderSequence(tmp_path / 'd')] == ['9', '10']


@pytest.mark.parametrize('lines, words', [
    ('0 100 200', r'images are 100 s apart.*expected seconds \(as milliseconds they would be 0.1 s apart\)'),
    ('0 100000 200000', r'as microseconds they would be 0.1 s'),
    ('1700000000000 1700000000040 1700000000080', r'as milliseconds they would be 0.04 s'),
    ('1700000000000000 1700000000040000 1700000000080000', r'as microseconds they would be 0.04 s'),
    ('1700000000000000000 1700000000040000000 1700000000080000000', r'as nanoseconds they would be 0.04 s'),
    ('0 1 1', 'repeats 1 at line 3'), ('2 1 3', 'goes back from 2 at line 2: 1'), ('0 x 1', 'not seconds'),
    ('0 nan 1', 'not seconds'), ('0 1', '2 numbers, expected 3')])
def test_times_that_are_not_seconds_are_refused_with_what_they_look_like(tmp_path, lines, words):
    pictures(tmp_path, '1.png', '2.png', '3.png')
    (tmp_path / 'times.txt').write_text(lines)
    with pytest.raises(ValueError, match=f'times.txt.*{words}') as error:
        FolderSequence(tmp_path)
    assert '\n' not in str(error.value)


@pytest.mark.parametrize('lines, stamps', [
    ('0 0.1 0.2', [0, 100_000_000, 200_000_000]), ('0 1 2', [0, 10 ** 9, 2 * 10 ** 9]),
    ('0.0 60.0 120.0', [0, 60 * 10 ** 9, 120 * 10 ** 9]),  # a film in fast motion, said with a decimal point
    ('1700000000.123456789 1700000001 1.700000002e9',
     [1_700_000_000_123_456_789, 1_700_000_001_000_000_000, 1_700_000_002_000_000_000])])
def test_seconds_are_read_to_the_nanosecond(tmp_path, lines, stamps):
    pictures(tmp_path, '1.png', '2.png', '3.png')
    (tmp_path / 'times.txt').write_text(lines)
    assert FolderSequence(tmp_path).stamps_ns.tolist() == stamps


def exif_turned(path, orientation=6):
    """Write a JPEG 4x3 that its EXIF orientation turns to 3x4."""
    entry = struct.pack('>HHIHH', 0x0112, 3, 1, orientation, 0)
    body = b'Exif\0\0MM\0*' + struct.pack('>IH', 8, 1) + entry + struct.pack('>I', 0)
    jpeg = cv2.imencode('.jpg', np.arange(12, dtype=np.uint8).reshape(3, 4) * 20)[1].tobytes()
    path.write_bytes(jpeg[:2] + b'\xff\xe1' + struct.pack('>H', len(body) + 2) + body + jpeg[2:])


def test_a_picture_is_turned_as_its_exif_says_and_the_camera_is_that_of_what_is_seen(tmp_path):
    (tmp_path / 'images').mkdir()
    exif_turned(tmp_path / 'images' / 'a.jpg')
    assert FolderSequence(tmp_path)[0].image.shape == (4, 3, 3)
    (tmp_path / 'sequence.yaml').write_text('camera: {width: 3, height: 4, fx: 5, fy: 5, cx: 1, cy: 1.5}')
    assert FolderSequence(tmp_path)[0].camera.height == 4
    (tmp_path / 'sequence.yaml').write_text('camera: {width: 4, height: 3, fx: 5, fy: 5, cx: 1.5, cy: 1}')
    with pytest.raises(ValueError, match='a.jpg is 3x4 as its EXIF orientation turns it, but the camera .* is 4x3'):
        FolderSequence(tmp_path)[0]
