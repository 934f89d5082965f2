from dataclasses import replace
import json
import math

import numpy as np
import pytest
import torch

from semdepth_ros.classes import TRAIN_ID
from semdepth_ros.cli.evaluate import summary
from semdepth_ros.cli.main import main
from semdepth_ros.data import FolderSequence, Sample, write_folder_sequence
from semdepth_ros.evaluation import SequenceEvaluation, evaluate, evaluate_sequence, fit_baseline, write_report
from semdepth_ros.evaluation.depth_metrics import METRICS
from semdepth_ros.evaluation.protocol import spread
from semdepth_ros.frame_perception import Perception, Scale
from semdepth_ros.geometry.camera import Camera

ROAD, CAR, SKY = TRAIN_ID['road'], TRAIN_ID['car'], TRAIN_ID['sky']
CAMERA = Camera(4, 3, 5.0, 5.0, 1.5, 1.0)
TRUTH = np.array([[np.inf, np.inf, 70, 90], [20, 20, 10, np.nan], [5, 5, 5, 5]], dtype=np.float32)
LABELS = np.array([[SKY, SKY, CAR, CAR], [CAR, CAR, CAR, 255], [ROAD] * 4], dtype=np.uint8)


def sample(index=0, **changes):
    """Return a 4x3 sample with depth and labels."""
    image = np.full((3, 4, 3), index, dtype=np.uint8)
    values = dict(name=f'{index:03d}', image=image, camera=CAMERA, stamp_ns=index, depth=TRUTH, labels=LABELS)
    return Sample(**{**values, **changes})


def perception(depth, labels=LABELS, camera=CAMERA):
    """Return a perception of this depth and these labels."""
    depth = np.asarray(depth, dtype=np.float32)
    return Perception(depth, np.full_like(depth, np.nan), labels, np.zeros_like(labels), Scale(), 1, camera, 0, '')


def evaluated(*frames):
    """Return the result of (perceived depth, true depth) pairs."""
    evaluation = SequenceEvaluation('s')
    for predicted, truth in frames:
        evaluation.add(sample(depth=np.asarray(truth, dtype=np.float32)), perception(predicted))
    return evaluation.result()


class Oracle:
    """A perceptor that looks the truth up by the frame's brightness, and gets depth wrong by a factor a frame."""

    def __init__(self, *factors, **changes):
        self.factors, self.changes, self.frames = factors, changes, []

    def perceive(self, frame):
        self.frames.append(frame)
        factor = self.factors[int(frame.image.max()) % len(self.factors)]
        return perception(**{'depth': TRUTH * factor, **self.changes})


class Drive:
    """Samples as a sequence."""

    name, camera = 'drive', CAMERA

    def __init__(self, samples):
        self.samples = samples

    def __len__(self):
        return len(self.samples)

    def __getitem__(self, index):
        return self.samples[index]


def test_the_truth_itself_has_no_error():
    result = evaluated((TRUTH, TRUTH))
    perfect = {**dict.fromkeys(METRICS, 0.0), 'd1': 1.0, 'd2': 1.0, 'd3': 1.0}
    for scaling in ('median_scaled', 'one_scale', 'unscaled'):
        assert result['depth'][scaling] == perfect
    assert result['depth']['scale_ratio'] == {'median': 1.0, 'std_over_mean': 0.0}
    assert result['semantics'] == {'miou': 1.0, 'pixel_accuracy': 1.0, 'per_class': {'road': 1, 'sky': 1, 'car': 1},
                                   'frames': 1}


def test_a_wrong_scale_is_forgiven_by_scaling_and_only_by_scaling():
    depth = evaluated((2 * np.minimum(TRUTH, 39), np.minimum(TRUTH, 39)))['depth']
    assert depth['median_scaled']['abs_rel'] == pytest.approx(0, abs=1e-6)
    assert depth['one_scale']['abs_rel'] == pytest.approx(0, abs=1e-6)
    assert depth['unscaled']['abs_rel'] == pytest.approx(1)
    assert depth['scale_ratio']['median'] == pytest.approx(0.5)


def test_a_scale_that_flickers_costs_under_one_scale():
    truth = np.full((3, 4), 10.0)
    depth = evaluated((truth, truth), (2 * truth, truth))['depth']
    assert depth['median_scaled']['abs_rel'] == 0
    assert depth['scale_ratio'] == pytest.approx({'median': 0.75, 'std_over_mean': 0.25 / 0.75})
    assert depth['one_scale']['abs_rel'] == pytest.approx((0.25 + 0.5) / 2)
    assert depth['unscaled']['abs_rel'] == pytest.approx((0 + 1) / 2)


def test_figures_are_means_over_frames_not_over_pixels():
    near = np.full((3, 4), np.nan)
    near[0, 0] = 10
    depth = evaluated((1.5 * np.full((3, 4), 10.0), near), (np.full((3, 4), 10.0), np.full((3, 4), 10.0)))['depth']
    assert depth['unscaled']['abs_rel'] == pytest.approx(0.25)


def test_only_truth_below_eighty_metres_counts_and_predictions_are_clamped_to_it():
    predicted = TRUTH.copy()
    predicted[0] = [1, 1, np.inf, 1]
    depth = evaluated((predicted, TRUTH))['depth']
    assert depth['unscaled']['abs_rel'] == pytest.approx((80 - 70) / 70 / 8)
    assert depth['unscaled']['rmse'] == pytest.approx(math.sqrt(100 / 8))


def test_missing_predictions_are_left_out_and_counted():
    predicted = TRUTH.copy()
    predicted[2] = np.nan
    depth = evaluated((predicted, TRUTH))['depth']
    assert depth['coverage'] == pytest.approx(4 / 8)
    assert depth['unscaled']['abs_rel'] == 0
    assert evaluated((np.full((3, 4), np.nan), TRUTH))['depth'] == {'coverage': 0.0, 'frames': 1}


def test_errors_are_told_apart_by_class_and_by_range():
    predicted = TRUTH.copy()
    predicted[2] *= 1.1
    predicted[1, 2] = 5
    result = evaluated((predicted, TRUTH))
    by_class, by_range = result['depth_by_class'], result['depth_by_range']['unscaled']
    assert by_class['classes_from'] == 'true labels'
    road, car = (by_class['unscaled'][name] for name in ('road', 'car'))
    assert road == pytest.approx({'abs_rel': 0.1, 'rmse': 0.5, 'd1': 1.0, 'share': 0.5}, rel=1e-5)
    assert car == pytest.approx({'abs_rel': 0.5 / 4, 'rmse': 2.5, 'd1': 0.75, 'share': 0.5})
    assert {name: row['share'] for name, row in by_range.items()} == {'0-10 m': 0.5, '10-20 m': 0.125, '20-40 m': 0.25,
                                                                      '40-80 m': 0.125}
    assert by_range['10-20 m']['abs_rel'] == 0.5


def test_parts_without_truth_are_left_out():
    evaluation = SequenceEvaluation('s')
    evaluation.add(sample(depth=None, labels=None), perception(TRUTH), latency_ms=3.0)
    assert evaluation.result() == {'name': 's', 'frames': 1, 'latency_ms': {'p50': 3.0, 'p95': 3.0, 'p99': 3.0}}
    assert 'depth' not in evaluated((TRUTH, np.full((3, 4), np.inf)))


def test_noisy_labels_are_never_called_truth():
    evaluation = SequenceEvaluation('s')
    evaluation.add(sample(labels=None, noisy_labels=LABELS), perception(TRUTH))
    result = evaluation.result()
    assert 'semantics' not in result and result['agreement_with_noisy_labels']['miou'] == 1
    assert result['depth_by_class']['classes_from'] == 'noisy labels'


def test_outputs_of_another_size_take_the_nearest_pixel():
    truth = np.array([[10, 10, 20, 20], [10, 10, 20, 20], [40, 40, 5, 5], [40, 40, 5, 5]], dtype=np.float32)
    labels = np.where(truth > 15, CAR, ROAD).astype(np.uint8)
    evaluation = SequenceEvaluation('s')
    evaluation.add(sample(depth=truth, labels=labels), perception(truth[::2, ::2], labels[::2, ::2]))
    assert evaluation.result()['depth']['unscaled']['abs_rel'] == 0
    assert evaluation.result()['semantics']['miou'] == 1


def test_the_result_keeps_the_contract():
    oracle = Oracle(1.0, 2.0)
    result = evaluate(oracle, [Drive([sample(0), sample(1)])], model='oracle')
    json.dumps(result, allow_nan=False)
    assert result['model'] == 'oracle' and result['protocol']
    sequence, = result['sequences']
    assert (sequence['name'], sequence['frames']) == ('drive', 2)
    for scaling in ('median_scaled', 'one_scale', 'unscaled'):
        assert set(sequence['depth'][scaling]) == {'abs_rel', 'sq_rel', 'rmse', 'rmse_log', 'd1', 'd2', 'd3'}
    assert set(sequence['depth']['scale_ratio']) == {'median', 'std_over_mean'}
    assert set(sequence['semantics']) == {'miou', 'pixel_accuracy', 'per_class', 'frames'}
    assert set(sequence['latency_ms']) == {'p50', 'p95', 'p99'}
    assert [int(f.image.max()) for f in oracle.frames] == [0, 0, 1], 'one frame to warm up, then each once'
    assert oracle.frames[-1].camera == CAMERA and oracle.frames[-1].layout == 'rgb'


def test_distorted_frames_reach_the_perceptor_rectified():
    lens = Camera(4, 3, 5.0, 5.0, 1.5, 1.0, 'plumb_bob', (-0.1, 0, 0, 0))
    drive, oracle = Drive([sample(camera=lens)]), Oracle(1.0)
    drive.camera = lens
    evaluate_sequence(oracle, drive)
    assert oracle.frames[0].camera == lens.rectified()


def test_few_frames_are_spread_and_chosen_from_those_with_truth():
    drive = Drive([sample(i) for i in range(9)])
    assert spread(drive, None) == list(range(9)) and spread(drive, 3) == [0, 4, 8]
    drive.frames_with_truth = [2, 3, 7]
    assert spread(drive, 2) == [2, 7] and spread(drive, 5) == [2, 3, 7] and spread(drive, 9) == list(range(9))
    with pytest.raises(ValueError, match='at least 1'):
        spread(drive, 0)


def ramp(index, rows=96):
    """Return a sample whose depth and class depend on the row alone."""
    depth = np.repeat(np.linspace(60, 4, rows, dtype=np.float32)[:, None], 40, axis=1)
    labels = np.repeat(np.where(np.arange(rows) < rows // 3, SKY, ROAD).astype(np.uint8)[:, None], 40, axis=1)
    return Sample(f'{index}', np.zeros((rows, 40, 3), np.uint8), depth=depth, labels=labels)


def test_the_row_prior_learns_what_depends_on_the_row_and_the_constant_does_not():
    drive = Drive([ramp(i) for i in range(2)])
    drive.camera = None
    errors = {kind: evaluate_sequence(fit_baseline(kind, [drive]), drive) for kind in ('constant', 'row')}
    assert errors['row']['depth']['unscaled']['abs_rel'] < 0.02
    assert errors['row']['semantics']['miou'] == 1
    median = np.median(np.linspace(60, 4, 96))
    assert errors['constant']['depth']['scale_ratio']['median'] == pytest.approx(1, abs=0.02)
    expected = np.mean(np.abs(median / np.linspace(60, 4, 96) - 1))
    assert errors['constant']['depth']['median_scaled']['abs_rel'] == pytest.approx(expected, rel=1e-3)
    assert errors['constant']['semantics']['per_class'] == {'road': pytest.approx(2 / 3), 'sky': 0.0}


def test_priors_of_close_range_are_as_fine_as_those_of_streets():
    near = replace(ramp(0), depth=ramp(0).depth / 400)
    constant = fit_baseline('constant', [Drive([near])])
    assert constant.depth_m[0] == pytest.approx(np.median(near.depth), rel=0.02)
    assert evaluate_sequence(fit_baseline('row', [Drive([near])]), Drive([near]))['depth']['unscaled']['abs_rel'] < 0.02


def test_a_row_prior_fits_images_of_another_height():
    baseline = fit_baseline('row', [Drive([ramp(0)])])
    drive = Drive([ramp(0, rows=48)])
    assert evaluate_sequence(baseline, drive)['depth']['unscaled']['abs_rel'] < 0.05


def test_a_baseline_without_labels_claims_no_classes():
    baseline = fit_baseline('row', [Drive([sample(labels=None)])])
    evaluation = SequenceEvaluation('s')
    evaluation.add(sample(), perception(TRUTH, np.full((3, 4), 255, np.uint8)))
    assert 'semantics' not in evaluation.result()
    assert (baseline.labels == 255).all()


def test_a_baseline_needs_truth():
    with pytest.raises(ValueError, match='no true depth'):
        fit_baseline('row', [Drive([sample(depth=None)])])
    with pytest.raises(ValueError, match="'mean'"):
        fit_baseline('mean', [])


@pytest.mark.parametrize('name, abs_rel, rmse, d1, one_scale', [
    ('kitti_raw_0926_slow_traffic', .352, 9.14, .398, .370), ('kitti_odom00_lowres_a', .332, 7.95, .453, .332),
    ('ddad_triplet_moving', .729, 19.08, .253, .736)])
def test_constant_depth_reproduces_published_figures_on_real_lidar(shared_data, name, abs_rel, rmse, d1, one_scale):
    sequence = FolderSequence(shared_data / name, parts=['depth'])
    depth = evaluate_sequence(fit_baseline('constant', [sequence]), sequence, max_frames=55)['depth']
    scaled = [depth['median_scaled'][m] for m in ('abs_rel', 'rmse', 'd1')]
    np.testing.assert_array_less(np.abs(np.subtract(scaled, (abs_rel, rmse, d1))), (5.1e-4, 5.1e-3, 5.1e-4))
    assert depth['one_scale']['abs_rel'] == pytest.approx(one_scale, abs=5.1e-4)


@pytest.fixture
def folders(tmp_path):
    """Two folder sequences of one name in different places."""
    for place in ('a', 'b'):
        samples = [sample(i, depth=TRUTH * (1 + i)) for i in range(3)]
        (tmp_path / place).mkdir()
        write_folder_sequence(tmp_path / place / 'drive', samples)
    return [str(tmp_path / 'a'), str(tmp_path / 'b' / 'drive')]


def test_the_command_writes_figures_and_report_and_says_where(folders, tmp_path, capsys):
    code = main(['evaluate', '--model', 'baseline:row', '--data', *folders, '--json', str(tmp_path / 'out' / 'm.json'),
                 '--report', str(tmp_path / 'out'), '--max-frames', '2'])
    assert code == 0
    result = json.loads((tmp_path / 'out' / 'm.json').read_text())
    assert [(s['name'], s['frames']) for s in result['sequences']] == [('drive', 2), ('drive_2', 2)]
    assert (tmp_path / 'out' / 'report.html').exists() and list((tmp_path / 'out' / 'pictures').glob('drive_2_*.png'))
    assert 'report.html' in capsys.readouterr().out


class Damaged(Drive):
    """A sequence of which some samples cannot be read."""

    def __getitem__(self, index):
        if self.samples[index] is None:
            raise ValueError('image is cut off')
        return self.samples[index]


def test_a_frame_that_cannot_be_read_is_left_out_counted_and_named(tmp_path, capsys):
    damaged = Damaged([None, sample(1), None, sample(3)])
    result = evaluate(Oracle(1.0), [damaged])
    sequence, = result['sequences']
    assert (sequence['frames'], sequence['left_out']) == (2, {'image is cut off': 2})
    assert sequence['latency_ms']['p50'] >= 0 and sequence['depth']['frames'] == 2
    assert '2 left out: image is cut off' in summary(result)
    assert '2 frames left out: image is cut off' in write_report(tmp_path, result).read_text()
    with pytest.raises(ValueError, match='drive: not one of 2 frames can be read: image is cut off'):
        evaluate(Oracle(1.0), [Damaged([None, None])])


def test_figures_of_few_frames_say_so(tmp_path, capsys):
    few = [sample(i, depth=TRUTH if i == 0 else None, labels=LABELS if i < 2 else None) for i in range(3)]
    sequence = Drive(few)
    result = evaluate(fit_baseline('constant', [sequence]), [sequence])
    part, = result['sequences']
    assert (part['frames'], part['depth']['frames'], part['semantics']['frames']) == (3, 1, 2)
    assert 'depth (1 frame with truth), classes (2 frames with truth)' in summary(result)
    assert 'with truth' not in summary(evaluate(fit_baseline('constant', [sequence]), [Drive(few[:1])]))


def test_the_command_evaluates_a_model_file_without_cutting_its_depth_off(folders, tmp_path):
    from semdepth_ros.model_file import ModelCard, save_model
    from semdepth_ros.networks import build_network
    torch.manual_seed(0)
    network = build_network({'encoder': 'small'}).eval()
    save_model(tmp_path / 'model.safetensors', network.state_dict(), ModelCard(network.architecture, focal_px=0.01))
    code = main(['evaluate', '--model', str(tmp_path / 'model.safetensors'), '--device', 'cpu', '--data', folders[0],
                 '--json', str(tmp_path / 'm.json')])
    assert code == 0
    sequence, = json.loads((tmp_path / 'm.json').read_text())['sequences']
    assert sequence['depth']['coverage'] == 1 and sequence['frames'] == 3
    ratio = sequence['depth']['scale_ratio']['median']
    assert ratio < 0.05, 'hundreds of metres were perceived, and scaled back'
    assert sequence['depth']['median_scaled']['abs_rel'] < sequence['depth']['unscaled']['abs_rel']


@pytest.mark.parametrize('option, value', [('--pictures', '-2'), ('--max-frames', '0')])
def test_numbers_that_cannot_be_are_refused_by_the_options_name(option, value, capsys):
    with pytest.raises(SystemExit) as end:
        main(['evaluate', '--data', 'A', option, value])
    assert end.value.code == 2 and option in capsys.readouterr().err


@pytest.mark.parametrize('arguments, words', [
    (['--model', 'baseline:row', '--data', 'A'], '--fit'), (['--data', 'nowhere'], "'nowhere'"),
    (['--model', 'baseline:best', '--data', 'A', 'B'], "'best'"),
    (['--model', 'baseline:row', '--data', 'A', 'B', '--camera', 'nothing.yaml'], 'nothing.yaml')])
def test_the_command_says_in_one_line_what_is_wrong(folders, capsys, arguments, words):
    places = {'A': folders[0], 'B': folders[1]}
    assert main(['evaluate', *(places.get(a, a) for a in arguments)]) == 2
    error = capsys.readouterr().err.strip()
    assert words in error and '\n' not in error
