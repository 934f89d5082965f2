from html.parser import HTMLParser
import re
import shutil
import subprocess

import cv2
import numpy as np
import pytest

from semdepth_ros.classes import TRAIN_ID, palette
from semdepth_ros.data import Sample
from semdepth_ros.evaluation import Album, evaluate, write_report
from semdepth_ros.evaluation.pictures import (SKY_COLOUR, cloud_picture, contact_sheet, depth_picture, error_picture,
                                              fitting_range, overlay_picture)
from semdepth_ros.frame_perception import Perception, Scale
from semdepth_ros.geometry.camera import Camera

CAMERA = Camera.from_field_of_view(96, 32, 80)
BROWSER = shutil.which('chromium') or shutil.which('chromium-browser') or shutil.which('google-chrome')


class Street:
    """A flat street under the sky with a car-coloured box, 96x32; the truth on the even frames."""

    name, camera = 'street <1>', CAMERA

    def __len__(self):
        return 5

    def __getitem__(self, index):
        row = np.arange(32)[:, None] - CAMERA.cy
        depth = np.where(row > 0, CAMERA.fy * 1.5 / np.maximum(row, 0.1), np.inf).astype(np.float32)
        depth = np.repeat(depth, 96, axis=1)
        labels = np.where(np.isinf(depth), TRAIN_ID['sky'], TRAIN_ID['road']).astype(np.uint8)
        depth[12:24, 40:56], labels[12:24, 40:56] = 6, TRAIN_ID['car']
        image = palette()[labels]
        truth = {'depth': depth, 'labels': labels} if index % 2 == 0 else {}
        return Sample(f'{index:02d}', image, CAMERA, index, **truth)


class Guess:
    """A perceptor that sees everything a fifth too far."""

    def perceive(self, frame):
        truth = Street()[0]
        depth = truth.depth * np.float32(1.2)
        return Perception(depth, depth * 0.1, truth.labels, np.full((32, 96), 200, np.uint8), Scale(), 3, CAMERA, 0, '')


@pytest.fixture(scope='module')
def report(tmp_path_factory):
    """A report of one sequence, with pictures and further numbers."""
    album = Album(frames=2)
    result = evaluate(Guess(), [Street()], model='guess & co', keeper=album)
    folder = tmp_path_factory.mktemp('report')
    return write_report(folder, {**result, 'frames_dropped': 4}, album.pages)


class Links(HTMLParser):
    """Collects whatever a page could fetch, and its ids."""

    def __init__(self):
        super().__init__()
        self.targets, self.ids, self.tags = [], set(), set()

    def handle_starttag(self, tag, attributes):
        """Note one tag."""
        self.tags.add(tag)
        for name, value in attributes:
            if name in ('src', 'href', 'srcset', 'poster', 'data', 'action'):
                self.targets.append(value)
            if name == 'id':
                self.ids.add(value)


def test_a_report_fetches_nothing_and_its_links_lead_somewhere(report):
    text, links = report.read_text(encoding='utf-8'), Links()
    links.feed(text)
    outward = [t for t in links.targets if not t.startswith(('#', 'data:image/'))]
    assert not outward and not links.tags & {'script', 'link', 'iframe', 'object'}
    assert 'url(' not in text and '@import' not in text
    inner = {t[1:] for t in links.targets if t.startswith('#')}
    assert inner and inner <= links.ids
    assert "default-src 'none'" in text


def test_a_report_shows_every_figure_with_its_protocol(report):
    text = report.read_text(encoding='utf-8')
    for word in ('guess &amp; co', 'street &lt;1&gt;', 'unscaled', 'median-scaled', 'one scale', 'Garg', 'mIoU',
                 'frames dropped', 'Depth by class', 'Depth by range', 'p95 [ms]'):
        assert word in text, word
    assert re.search(r'unscaled</td><td>0\.200</td>', text)


def test_a_report_counts_the_frames_that_its_figures_stand_on(report):
    text = report.read_text(encoding='utf-8')
    summary = text[text.index('id="summary"'):text.index('</section>', text.index('id="summary"'))]
    rows = dict(re.findall(r'<h3>(\w+)</h3>.*?street &lt;1&gt;</a></td><td>(\d)</td>', summary))
    assert rows == {'Depth': '3', 'Classes': '3', 'Latency': '5'}
    assert '3 frames with true depth' in text and '3 frames: mIoU' in text


def test_pictures_lie_beside_the_report(report):
    files = sorted(p.name for p in (report.parent / 'pictures').iterdir())
    assert files == [f'street__1__{page}.png' for page in ('cloud', 'frame_00', 'frame_01', 'frame_03')]


def test_without_truth_among_the_chosen_frames_the_first_with_truth_is_added():
    album = Album(frames=1)
    street = Street()
    for index in (0, 1, 2):
        album.offer('s', index, 3, street[[1, 1, 2][index]], Guess().perceive(None))
    assert [c for c in album.pages['s'] if c != 'cloud'] == ['frame 01', 'frame 02']


@pytest.mark.skipif(BROWSER is None, reason='no Chromium on this machine')
@pytest.mark.parametrize('dark', [False, True])
def test_a_browser_renders_the_report_light_and_dark(report, tmp_path, dark):
    screenshot = tmp_path / 'report.png'
    command = [BROWSER, '--headless', '--no-sandbox', '--disable-gpu', '--hide-scrollbars', '--window-size=1200,1600',
               f'--user-data-dir={tmp_path / "profile"}', f'--screenshot={screenshot}', '--dump-dom',
               *(['--force-dark-mode'] if dark else []), report.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert 'guess &amp; co' in done.stdout and '<figure>' in done.stdout
    assert 'Content Security Policy' not in done.stderr
    pixels = cv2.imread(str(screenshot))
    assert pixels.shape == (1600, 1200, 3)
    ground = pixels[:, :8].mean()
    assert ground < 40 if dark else ground > 240
    assert pixels.std() > 10, 'the page is not empty'
    assert (pixels.max(axis=2).astype(int) - pixels.min(axis=2) > 80).mean() > 0.02, 'the pictures are in it'


def test_near_is_warm_far_is_cool_and_what_is_not_known_is_plain():
    picture = depth_picture(np.array([[3.0, 60.0, np.inf, np.nan]], dtype=np.float32), legend=False)
    near, far, sky, unknown = picture[0].astype(int)
    assert near[0] > near[2] and far[2] > far[0]
    assert tuple(sky) == SKY_COLOUR and tuple(unknown) == (0, 0, 0)


def test_the_legend_runs_as_the_picture_does():
    depth = np.repeat(np.geomspace(2, 80, 600)[None], 20, axis=0)
    picture = depth_picture(depth)
    strip = picture[20:]
    ramp = strip[8, 60:540].astype(int)
    assert np.abs(ramp - picture[10, np.linspace(30, 570, 480).astype(int)].astype(int)).mean() < 25
    assert picture.shape[1] == 600 and strip.min() < 60, 'there are words in it'


def test_larger_errors_are_brighter():
    truth = np.full((1, 3), 10.0)
    brightness = error_picture(np.array([[10.0, 12.0, 20.0]]), truth, legend=False).sum(axis=2)[0]
    assert brightness[0] < brightness[1] < brightness[2]


def test_rooms_are_drawn_in_a_rooms_range():
    assert fitting_range(np.array([1.0, 3.0, np.nan])) == (0.5, 8.0)
    assert fitting_range(np.array([3.0, 50.0, np.inf])) == (2.0, 80.0)


def test_unlabelled_pixels_keep_the_image():
    image = np.full((1, 2, 3), 100, dtype=np.uint8)
    mixed = overlay_picture(image, np.array([[255, 0]], dtype=np.uint8))
    np.testing.assert_array_equal(mixed[0], [[100, 100, 100], [114, 82, 114]])


def test_a_cloud_shows_near_points_in_front_of_far_ones_and_survives_an_empty_depth():
    depth = np.full((32, 96), 20, dtype=np.float32)
    depth[12:20, 40:56] = 8
    colours = np.zeros((32, 96, 3), dtype=np.uint8)
    colours[..., 1] = 200
    colours[12:20, 40:56] = (250, 0, 0)
    picture = cloud_picture(depth, CAMERA, colours, size=(240, 120))
    red = (picture[..., 0] > 200) & (picture[..., 1] < 50)
    green = picture[..., 1] > 150
    assert red.sum() > 50 and green.sum() > 500
    assert np.argwhere(red).mean(axis=0)[0] > np.argwhere(green).mean(axis=0)[0], 'near points are lower from above'
    empty = cloud_picture(np.full((32, 96), np.nan, np.float32), CAMERA, colours, size=(240, 120))
    assert empty.std(axis=(0, 1)).max() == 0


def test_a_contact_sheet_holds_all_pictures_side_by_side():
    sheet = contact_sheet([('a', np.zeros((10, 20, 3), np.uint8)), ('b', np.zeros((10, 40, 3), np.uint8)),
                           ('c', np.zeros((30, 20, 3), np.uint8))], columns=2, width=100)
    assert sheet.shape == (26 + 50 + 26 + 150, 200, 3)
