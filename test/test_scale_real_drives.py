"""The shipped weights on real drives with a camera whose height is known: never metric and wrong."""
import numpy as np
import pytest
import scale_proof

from semdepth_ros.classes import TRAIN_ID
from semdepth_ros.data import open_data
from semdepth_ros.frame import Frame
from semdepth_ros.frame_perception import Scale
from semdepth_ros.perception import Perceptor
from semdepth_ros.scale import CameraHeight, Mount, Tilt
from semdepth_ros.scale.trial import ScaleTrial

HEIGHT_M = 1.65


@pytest.fixture(scope='module')
def perceptor():
    return Perceptor.from_file('default', device='cpu')


def by_the_road_s_plane(depth, sample):
    """Return the error of depth where other labels say road, taken for the plane under a level camera."""
    slope = sample.camera.rays()[..., 1].astype(np.float64)
    road = (sample.noisy_labels == TRAIN_ID['road']) & (slope > 1 / 15) & np.isfinite(depth)
    return float(np.median(np.log(HEIGHT_M / (slope[road] * depth[road]))))


@pytest.mark.parametrize('name, step, frames',
                         [('kitti_raw_0926_slow_traffic', 1, 55), ('kitti_odom00_lowres_a', 2, 140)])
def test_no_real_drive_is_ever_metric_and_wrong(shared_data, perceptor, name, step, frames):
    """By LiDAR where there is some, else by the plane of the road; of the first seconds nothing is believed."""
    sequence, = open_data(shared_data / name)
    assert sequence.camera.height_m == HEIGHT_M
    trials = [ScaleTrial(CameraHeight(Mount(HEIGHT_M, tilt), perceptor.card.classes)) for tilt in (Tilt(0.0), None)]
    for index in range(0, frames, step):
        sample = sequence[index]
        perception = perceptor.perceive(Frame(sample.image, 'rgb', sample.camera, sample.stamp_ns), Scale())
        for trial in trials:
            trial.take(perception, sample)
            frame = trial.frames[-1]
            if frame.metric:
                error = frame.log_error
                if error is None:
                    error = by_the_road_s_plane(perception.depth * frame.scale, sample)
                assert abs(error) <= 3 * frame.sigma, f'frame {index}: {error:+.3f} with a sigma of {frame.sigma:.3f}'
                assert (sample.stamp_ns - sequence.stamps_ns[0]) / 1e9 >= 3.0


def test_the_proof_on_rendered_drives_finds_lorries_and_hills(monkeypatch):
    monkeypatch.setattr(scale_proof, 'SEARCHED', range(400, 403))
    assert sorted(scale_proof.behind_lorries(2, 4, 'test'))[0] >= 400
    names = [name for name, *_ in scale_proof.drives(['hills', 'lorries'], 4, 'test', None)]
    assert any(name.startswith('hills') for name in names) and any(name.startswith('lorries') for name in names)
