import struct

import cv2
import numpy as np
import pytest

from semdepth_ros.image_encodings import BAYER, PLANAR, YUV422, decompress, depth_view, view

RGB = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)


def padded(array, step):
    """Return the rows of array as one buffer with step bytes a row, the padding filled with 99."""
    rows = np.full((array.shape[0], step), 99, dtype=np.uint8)
    flat = array.reshape(array.shape[0], -1).view(np.uint8)
    rows[:, :flat.shape[1]] = flat
    return rows.reshape(-1)


@pytest.mark.parametrize('encoding, layout', [('rgb8', 'rgb'), ('bgr8', 'bgr'), ('8UC3', 'bgr')])
def test_colour_encodings_share_the_buffer_and_skip_the_padding(encoding, layout):
    buffer = padded(RGB, 16)
    image, found = view(buffer, 2, 3, 16, encoding)
    assert found == layout
    assert np.shares_memory(image, buffer)
    np.testing.assert_array_equal(image, RGB)


@pytest.mark.parametrize('encoding, dtype, layout', [('mono8', 'u1', 'mono8'), ('8UC1', 'u1', 'mono8'),
                                                     ('mono16', 'u2', 'mono16'), ('16UC1', 'u2', 'mono16'),
                                                     ('32FC1', 'f4', 'float32')])
def test_one_channel_encodings_share_the_buffer(encoding, dtype, layout):
    expected = np.arange(6).reshape(2, 3).astype(dtype)
    buffer = padded(expected, 20)
    image, found = view(buffer, 2, 3, 20, encoding)
    assert (found, image.dtype) == (layout, np.dtype(dtype))
    assert np.shares_memory(image, buffer)
    np.testing.assert_array_equal(image, expected)


@pytest.mark.parametrize('encoding', ['rgba8', 'bgra8'])
def test_alpha_encodings_keep_four_channels(encoding):
    image, layout = view(bytes(range(16)), 2, 2, 8, encoding)
    assert layout == encoding[:4]
    np.testing.assert_array_equal(image.reshape(-1), np.arange(16))


def test_bigendian_words_arrive_in_native_order():
    image, _ = view(np.array([[1, 2], [3, 500]], '>u2').tobytes(), 2, 2, 4, 'mono16', is_bigendian=True)
    assert image.dtype == np.uint16
    np.testing.assert_array_equal(image, [[1, 2], [3, 500]])


def test_bigendian_says_nothing_about_bytes():
    buffer = padded(RGB, 9)
    assert np.shares_memory(view(buffer, 2, 3, 9, 'rgb8', is_bigendian=True)[0], buffer)


def test_sixteen_bit_colours_keep_their_upper_byte():
    image, layout = view(np.full((2, 2, 3), 0x1234, dtype='<u2').tobytes(), 2, 2, 12, 'bgr16')
    assert (layout, image.dtype, image.max(), image.min()) == ('bgr', np.uint8, 0x12, 0x12)


@pytest.mark.parametrize('encoding', sorted(BAYER))
def test_bayer_mosaic_of_one_colour_returns_that_colour(encoding):
    pattern, size = encoding[6:10], BAYER[encoding][0]
    colour = {'r': 200, 'g': 120, 'b': 40}
    tile = np.array([[colour[pattern[0]], colour[pattern[1]]], [colour[pattern[2]], colour[pattern[3]]]])
    mosaic = (np.tile(tile, (4, 4)) * (1 if size == 1 else 256)).astype(f'<u{size}')
    image, layout = view(mosaic.tobytes(), 8, 8, 8 * size, encoding)
    assert layout == 'rgb'
    np.testing.assert_array_equal(image[3, 3], [200, 120, 40])


def yuv_of(rgb):
    """BT.601 in the studio range, in float64."""
    r, g, b = (float(c) for c in rgb)
    return (16 + (65.738 * r + 129.057 * g + 25.064 * b) / 256, 128 + (-37.945 * r - 74.494 * g + 112.439 * b) / 256,
            128 + (112.439 * r - 94.154 * g - 18.285 * b) / 256)


@pytest.mark.parametrize('encoding', sorted(YUV422))
def test_packed_yuv_of_one_colour_returns_that_colour(encoding):
    y, u, v = np.rint(yuv_of((200, 120, 40)))
    pair = [u, y, v, y] if encoding in ('uyvy', 'yuv422') else [y, u, y, v]
    buffer = padded(np.tile(np.array(pair, dtype=np.uint8), (2, 2)), 12)
    image, layout = view(buffer, 2, 4, 12, encoding)
    assert layout == 'rgb'
    np.testing.assert_allclose(image[1, 2], [200, 120, 40], atol=2)


@pytest.mark.parametrize('step', [4, 6, 10])
@pytest.mark.parametrize('encoding', sorted(PLANAR))
def test_planar_yuv_of_one_colour_returns_that_colour_with_any_step(encoding, step):
    y, u, v = np.rint(yuv_of((200, 120, 40)))
    pair = [v, u] if encoding == 'nv21' else [u, v]
    pairs = 4 if encoding == 'nv24' else 2
    chroma = np.tile(np.array(pair, dtype=np.uint8), (4 if encoding == 'nv24' else 2, pairs))
    luma = np.full((4, 4), y, dtype=np.uint8)
    if step == 6:  # a driver that divides the bytes of all planes by the height
        buffer = np.concatenate([luma.reshape(-1), chroma.reshape(-1)])
    else:
        buffer = np.concatenate([padded(luma, step), padded(chroma, step * chroma.shape[1] // 4)])
    image, layout = view(buffer, 4, 4, step, encoding)
    assert (layout, image.shape) == ('rgb', (4, 4, 3))
    np.testing.assert_allclose(image[3, 3], [200, 120, 40], atol=2)


@pytest.mark.parametrize('changes, words', [
    ({'encoding': 'rgb9'}, ("'rgb9'", 'rgb8', 'bayer_rggb8', 'nv21')), ({'height': 0}, ('3x0',)),
    ({'step': 8}, ('8 bytes', 'at least 9')), ({'data': bytes(17)}, ('17 bytes', 'expected 18'))])
def test_contradictions_are_named_with_both_values(changes, words):
    arguments = {'data': bytes(18), 'height': 2, 'width': 3, 'step': 9, 'encoding': 'rgb8', **changes}
    with pytest.raises(ValueError) as error:
        view(**arguments)
    assert all(word in str(error.value) for word in words)


def test_depth_in_millimetres_becomes_metres_with_nan_for_zero():
    depth = depth_view(np.array([[0, 1500]], '<u2').tobytes(), 1, 2, 4, '16UC1')
    assert depth.dtype == np.float32
    np.testing.assert_array_equal(depth, np.array([[np.nan, 1.5]], np.float32))
    with pytest.raises(ValueError, match="'rgb8'"):
        depth_view(bytes(6), 1, 2, 6, 'rgb8')


@pytest.mark.parametrize('image, layout', [(RGB, 'bgr'), (RGB[..., 0], 'mono8'),
                                           (RGB[..., 0].astype(np.uint16) * 257, 'mono16')])
def test_a_png_returns_its_pixels(image, layout):
    pixels, found = decompress(cv2.imencode('.png', image)[1])
    assert found == layout
    np.testing.assert_array_equal(pixels, image)


@pytest.mark.parametrize('extension', ['.jpg', '.png'])
def test_compressed_images_that_are_cut_off_are_refused(extension):
    noise = np.random.default_rng(0).integers(0, 255, (60, 60, 3), dtype=np.uint8)
    data = cv2.imencode(extension, noise)[1].tobytes()
    with pytest.raises(ValueError, match='cut off'):
        decompress(data[:len(data) // 2])


def jpeg(image, *options):
    return cv2.imencode('.jpg', image, list(options))[1].tobytes()


NOISE = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)
PLAIN, RESTARTS = jpeg(NOISE), jpeg(NOISE, cv2.IMWRITE_JPEG_RST_INTERVAL, 2)
PROGRESSIVE = jpeg(NOISE, cv2.IMWRITE_JPEG_PROGRESSIVE, 1, cv2.IMWRITE_JPEG_RST_INTERVAL, 1)
SCAN = PLAIN.index(b'\xff\xda')


def with_segment(data, code, payload):
    """Return a JPEG with one more segment behind its first two bytes."""
    return data[:2] + bytes([255, code]) + (len(payload) + 2).to_bytes(2, 'big') + payload + data[2:]


@pytest.mark.parametrize('data', [
    PLAIN, RESTARTS, PROGRESSIVE, jpeg(NOISE[..., 0]), jpeg(NOISE[:1, :1]),
    jpeg(NOISE, cv2.IMWRITE_JPEG_QUALITY, 100, cv2.IMWRITE_JPEG_OPTIMIZE, 1),
    with_segment(PLAIN, 0xE1, b'Exif\0\0' + jpeg(NOISE[::4, ::4])), with_segment(PLAIN, 0xFE, b'\xff\xda \xff\xd9'),
    PLAIN + bytes(9999), PLAIN + b'\xff' * 9999, PLAIN + PLAIN[99:], PLAIN[:-2] + b'\xff\xff\xff' + PLAIN[-2:],
    PLAIN[:SCAN] + b'\xff\xff' + PLAIN[SCAN:]])
def test_every_whole_jpeg_is_read(data):
    assert decompress(data)[0].shape[0] in (48, 1)


def changed(data, at, new):
    return data[:at] + new + data[at + len(new):]


@pytest.mark.parametrize('data, words', [
    (changed(PLAIN, SCAN + 500, b'\xff\x53'), f'marker ff53 at byte {SCAN + 500}'),
    (changed(PLAIN, SCAN + 500, b'\xff\xd8'), f'marker ffd8 at byte {SCAN + 500}'),
    (changed(PLAIN, SCAN + 500, b'\xff\xd0'), f'restart marker at byte {SCAN + 500}, but no restart interval'),
    (changed(PLAIN, SCAN + 500, b'\xff\xda'), 'segment ffda .* expected'),
    (changed(PLAIN, SCAN + 500, b'\xff\xfe\x00\x10'), f'no marker at byte {SCAN + 518}'),
    (changed(RESTARTS, RESTARTS.index(b'\xff\xd1'), b'xx'), 'out of order'),
    (changed(PROGRESSIVE, PROGRESSIVE.rindex(b'\xff\xd1'), b'xx'), 'out of order'),
    (changed(PLAIN, 4, b'\x20\x00'), 'cut off'), (changed(PLAIN, 4, b'\x00\x11'), 'no marker at byte 21'),
    (PLAIN[:SCAN + 4], 'cut off'), (PLAIN[:SCAN + 300], 'cut off'), (PLAIN[:-2] + bytes(9999), 'cut off')])
def test_a_jpeg_is_refused_for_its_markers_with_the_place(data, words):
    with pytest.raises(ValueError, match=words):
        decompress(data)


def test_foreign_data_in_a_jpeg_is_mostly_found():
    random, refused = np.random.default_rng(1), 0
    for _ in range(100):
        at = int(random.integers(SCAN + 20, len(PLAIN) - 402))
        try:
            decompress(changed(PLAIN, at, random.bytes(400)))
        except ValueError:
            refused += 1
    assert refused > 60


@pytest.mark.parametrize('data', [b'', b'not an image at all', bytes(100)])
def test_rubbish_is_no_image(data):
    with pytest.raises(ValueError, match='compressed image'):
        decompress(data)


SCENE = np.zeros((16, 16, 3), np.uint8)
SCENE[:, :8], SCENE[:8, 8:] = (200, 40, 20), (30, 180, 60)  # rgb


def mosaic(pattern):
    """Return what a sensor with this pattern of red, green and blue sees of SCENE."""
    channel = {'r': 0, 'g': 1, 'b': 2}
    plane = np.zeros((16, 16), np.uint8)
    for i, letter in enumerate(pattern):
        plane[i // 2::2, i % 2::2] = SCENE[i // 2::2, i % 2::2, channel[letter]]
    return plane


def as_rgb(array, layout):
    return array[..., ::-1] if layout == 'bgr' else array


@pytest.mark.parametrize('pattern', ['rggb', 'bggr', 'gbrg', 'grbg'])
@pytest.mark.parametrize('image_format, suffix', [
    ('bayer_{}8; jpeg compressed ', '.jpg'), ('bayer_{}8; png compressed ', '.png'), ('bayer_{}8', '.png')])
def test_a_mosaic_that_was_compressed_as_grey_is_made_colour(pattern, image_format, suffix):
    data = cv2.imencode(suffix, mosaic(pattern), [cv2.IMWRITE_JPEG_QUALITY, 100])[1]
    found = as_rgb(*decompress(data, image_format.format(pattern)))
    np.testing.assert_allclose(found[3:5, 3:5].mean((0, 1)), SCENE[4, 4], atol=12)
    np.testing.assert_allclose(found[3:5, 11:13].mean((0, 1)), SCENE[4, 12], atol=12)


def test_a_mosaic_in_three_equal_channels_and_one_in_words_are_made_colour_too():
    grey = np.repeat(mosaic('rggb')[..., None], 3, axis=2)
    found = as_rgb(*decompress(cv2.imencode('.png', grey)[1], 'bayer_rggb8; png compressed '))
    np.testing.assert_allclose(found[4, 4], SCENE[4, 4], atol=2)
    words = mosaic('rggb').astype(np.uint16) * 257
    found = as_rgb(*decompress(cv2.imencode('.png', words)[1], 'bayer_rggb16; png compressed '))
    np.testing.assert_allclose(found[4, 4], SCENE[4, 4], atol=2)


@pytest.mark.parametrize('image_format, written', [
    ('jpeg', 'bgr'), ('', 'bgr'), ('rgb8; jpeg compressed bgr8', 'bgr'), ('bgr8; jpeg compressed bgr8', 'bgr'),
    ('bayer_rggb8; jpeg compressed bgr8', 'bgr'), ('rgb8; jpeg compressed rgb8', 'rgb'),
    ('rgb8; png compressed rgb8', 'rgb'), ('rgba8; png compressed rgba8', 'rgba')])
def test_colours_keep_the_order_that_the_format_says(image_format, written):
    """What was handed to the codec as rgb comes out of it with red and blue exchanged."""
    handed = {'bgr': SCENE[..., ::-1], 'rgb': SCENE, 'rgba': np.dstack([SCENE, SCENE[..., 0]])}[written]
    suffix = '.png' if 'png' in image_format else '.jpg'
    array, layout = decompress(cv2.imencode(suffix, handed, [cv2.IMWRITE_JPEG_QUALITY, 100])[1], image_format)
    assert layout == written
    np.testing.assert_allclose(as_rgb(array, layout)[4, 4, :3], SCENE[4, 4], atol=6)


@pytest.mark.parametrize('image_format', [
    '16UC1; compressedDepth png', '32FC1; compressedDepth rvl', '16UC1; png compressed '])
def test_compressed_depth_is_no_camera_image(image_format):
    with pytest.raises(ValueError, match=f'format {image_format!r}, which is that of a depth image'):
        decompress(cv2.imencode('.png', np.ones((4, 4), np.uint16))[1], image_format)


def with_orientation(jpeg, orientation):
    """Return a JPEG with an EXIF segment that holds nothing but the orientation."""
    entry = struct.pack('>HHIHH', 0x0112, 3, 1, orientation, 0)
    tiff = b'MM\0*' + struct.pack('>I', 8) + struct.pack('>H', 1) + entry + struct.pack('>I', 0)
    body = b'Exif\0\0' + tiff
    return jpeg[:2] + b'\xff\xe1' + struct.pack('>H', len(body) + 2) + body + jpeg[2:]


UPRIGHT = np.zeros((16, 24, 3), np.uint8)
UPRIGHT[:8, :8] = 250  # a corner


@pytest.mark.parametrize('orientation, stored', [
    (1, UPRIGHT), (2, UPRIGHT[:, ::-1]), (3, UPRIGHT[::-1, ::-1]), (4, UPRIGHT[::-1]),
    (5, UPRIGHT.transpose(1, 0, 2)), (6, np.rot90(UPRIGHT, 1)), (7, np.rot90(UPRIGHT, 2).transpose(1, 0, 2)),
    (8, np.rot90(UPRIGHT, -1))])
@pytest.mark.parametrize('colours', [True, False])
def test_a_jpeg_is_turned_as_its_exif_orientation_says(orientation, stored, colours):
    stored = np.ascontiguousarray(stored if colours else stored[..., 0])
    jpeg = cv2.imencode('.jpg', stored, [cv2.IMWRITE_JPEG_QUALITY, 100])[1].tobytes()
    array, layout = decompress(with_orientation(jpeg, orientation))
    assert layout == ('bgr' if colours else 'mono8')
    np.testing.assert_allclose(array, UPRIGHT if colours else UPRIGHT[..., 0], atol=8)


def test_webp_is_read():
    assert decompress(cv2.imencode('.webp', SCENE)[1], 'webp')[0].shape == SCENE.shape
