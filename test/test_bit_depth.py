"""Pictures of 10 to 14 bits in words of 16 come out as bright as those that fill them."""
import cv2
import numpy as np
import pytest

from bridge_messages import image
from semdepth_ros.bags.bag_writer import BagWriter
from semdepth_ros.bit_depth import BitDepth
from semdepth_ros.bridge.messages import make_header
from semdepth_ros.classes import CITYSCAPES
from semdepth_ros.cli.main import main
from semdepth_ros.data import FolderSequence
from semdepth_ros.data.bag import BagSequence
from semdepth_ros.image_encodings import decompress
from semdepth_ros.image_messages import view_message
from semdepth_ros.recordings.replay import ReplayedModel, ReplayOptions, replay

RAMP = np.tile(np.linspace(0, 1, 64), (8, 1))


def ramp(bits):
    return np.rint(RAMP * (2 ** bits - 1)).astype(np.uint16)


@pytest.mark.parametrize('bits', [8, 10, 12, 14, 16])
def test_words_that_use_so_many_bits_are_scaled_to_white(bits):
    scaled = BitDepth().scaled(ramp(bits))
    np.testing.assert_allclose(scaled / 65535, RAMP, atol=2.0 ** -7 if bits == 8 else 2.0 ** (1 - bits))
    assert scaled.dtype == np.uint16


@pytest.mark.parametrize('encoding', ['mono16', 'rgb16', 'bgra16', 'bayer_rggb16'])
@pytest.mark.parametrize('bits', [10, 12, 16])
def test_messages_of_every_encoding_in_words_are_as_bright_as_their_sensor_saw(encoding, bits):
    channels = {'mono16': 1, 'bayer_rggb16': 1, 'rgb16': 3, 'bgra16': 4}[encoding]
    words = np.repeat(ramp(bits)[..., None], channels, axis=2)
    pixels, layout = view_message(image(words if channels > 1 else words[..., 0], encoding), BitDepth())
    shares = pixels.astype(float) / (65535 if layout == 'mono16' else 255)
    np.testing.assert_allclose(shares[:, 2:-2].reshape(8, 60, -1).max(axis=2), RAMP[:, 2:-2], atol=0.02)


def test_a_png_of_twelve_bits_in_words_is_scaled_too():
    grey, colour = ramp(12), np.repeat(ramp(12)[..., None], 3, axis=2)
    pixels, layout = decompress(cv2.imencode('.png', grey)[1], depth=BitDepth())
    assert layout == 'mono16' and pixels.max() == 65520
    pixels, layout = decompress(cv2.imencode('.png', colour)[1], depth=BitDepth())
    assert layout == 'bgr' and pixels.max() == 255


def test_what_is_known_of_a_camera_comes_before_what_its_images_show(caplog):
    known = BitDepth(12)
    assert known.scaled(ramp(10)).max() == 1023 << 4 and known.scaled(ramp(16)).max() == 4095 << 4
    assert BitDepth(16).scaled(ramp(10)).max() == 1023 and not caplog.messages
    with pytest.raises(ValueError, match='image_bits is 7, expected 0'):
        BitDepth(7)


def test_one_warning_names_the_bits_and_a_brighter_frame_widens_them_aloud(caplog):
    depth = BitDepth(name='/front')
    assert depth.scaled(np.zeros((2, 2), np.uint16)).max() == 0 and not caplog.messages
    for bits in (10, 10, 12):
        assert depth.scaled(ramp(bits)).max() > 65000
    assert [line.split(';')[0] for line in caplog.messages] == [
        '/front: of 16 bits only 10 are used (the largest value is 1023), and images are scaled by that',
        '/front: a value of 4095 needs 12 bits, not 10']


def test_full_words_and_bytes_are_left_as_they_are_without_a_copy(caplog):
    words = ramp(16)
    assert BitDepth().scaled(words) is words
    message = image(np.full((2, 4), 9, np.uint8), 'mono8')
    assert view_message(message, BitDepth())[0].max() == 9 and not caplog.messages


@pytest.mark.parametrize('bits, given', [(12, 0), (10, 12)])
def test_a_recording_is_as_bright_in_its_first_frame_as_in_the_others_in_any_order(tmp_path, bits, given):
    with BagWriter(tmp_path / 'a.mcap') as bag:
        for i, share in enumerate((0.1, 1.0, 0.5)):  # a dark frame comes first
            words = np.rint(RAMP * share * (2 ** bits - 1)).astype('<u2')
            message = image(words, 'mono16')
            bag.write('/image', bag.types.make(
                'sensor_msgs/msg/Image', header=make_header(bag.types, i + 1, 'lens'), height=8, width=64, step=128,
                encoding='mono16', is_bigendian=0, data=np.frombuffer(message.data, np.uint8)), i)
    white = 255 if not given else 255 // 4
    sequence = BagSequence(tmp_path / 'a.mcap', image_bits=given)
    assert [int(sequence[i].image.max()) for i in (2, 0, 1)] == pytest.approx([white / 2, white / 10, white], abs=1.5)
    seen = []
    with pytest.raises(ZeroDivisionError):
        model = ReplayedModel(lambda f: (seen.append(int(f.image.max()) >> 8), 1 / 0), CITYSCAPES)
        replay(tmp_path / 'a.mcap', tmp_path / 'b.mcap', model, ReplayOptions(image_bits=given))
    assert seen == pytest.approx([white / 10], abs=1.5)


@pytest.mark.parametrize('key', [0, 12])
def test_a_folder_of_pictures_in_words_is_scaled_by_its_first_images(tmp_path, key):
    (tmp_path / 'images').mkdir()
    for i, share in enumerate((0.2, 1.0)):
        cv2.imwrite(str(tmp_path / 'images' / f'{i}.png'), (ramp(12) * share).astype(np.uint16))
    if key:
        (tmp_path / 'sequence.yaml').write_text(f'image_bits: {key}')
    sequence = FolderSequence(tmp_path)
    assert [int(sequence[i].image.max()) for i in (1, 0)] == pytest.approx([255, 51], abs=1.5)
    (tmp_path / 'sequence.yaml').write_text('image_bits: many')
    with pytest.raises(ValueError, match="image_bits is 'many', expected 0"):
        FolderSequence(tmp_path)


def test_sixteen_bits_of_one_channel_are_depth_until_somebody_says_how_many_bits():
    message = image(ramp(12), '16UC1')
    with pytest.raises(ValueError, match='16UC1.*image_bits'):
        view_message(message, BitDepth())
    assert view_message(message, BitDepth(12))[0].max() == 65520


def test_the_command_line_hands_the_bits_to_whatever_has_them(tmp_path, capsys):
    (tmp_path / 'images').mkdir()
    cv2.imwrite(str(tmp_path / 'images' / '0.png'), ramp(12))
    for command in (['evaluate', '--model', 'baseline:constant', '--fit', str(tmp_path), '--data', str(tmp_path)],
                    ['demo', '--drive', str(tmp_path)]):
        assert main([*command, '--image-bits', '7']) == 2
        assert 'image_bits is 7, expected 0 (automatic) or 8 to 16' in capsys.readouterr().err
