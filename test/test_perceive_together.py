"""Several frames at once: grouped by input size, as they are alone, and captured pipelines step for step."""
from contextlib import contextmanager
from dataclasses import replace
import logging

import numpy as np
import pytest
import torch

from test_perceptor import lively, same
from semdepth_ros.frame import Frame
from semdepth_ros.frame_perception import Scale
from semdepth_ros.geometry.camera import Camera
from semdepth_ros.model_file import InputRule, ModelCard
from semdepth_ros.perception import Perceptor, Request
from semdepth_ros.perception.captured_pipeline import CapturedPasses
from semdepth_ros.perception.engines.engine import IN_PLACE, REPLACED
from semdepth_ros.perception.engines.folded import FoldedEngine
from semdepth_ros.perception.engines.table import make_engine
from semdepth_ros.perception.runner import Runner, batches, rehearsals

CPU = torch.device('cpu')
WIDE, TALL = Camera.from_field_of_view(310, 94, 80), Camera.from_field_of_view(120, 150, 50)
LENS = Camera(310, 94, 200.0, 200.0, 155.0, 47.0, 'plumb_bob', (-0.2, 0.03, 0.0, 0.0))


@pytest.fixture(scope='module')
def network():
    return lively()


@pytest.fixture(scope='module')
def card(network):
    return ModelCard(architecture=network.architecture, focal_px=150.0, input=InputRule(pixels=96 * 64))


def perceptor_of(network, card, precision='float32', largest=4, **options):
    engine = FoldedEngine(network, CPU, getattr(torch, precision), largest)
    return Perceptor(network, card, engine=engine, **options)


@pytest.fixture(scope='module')
def perceptor(network, card):
    return perceptor_of(network, card)


def frame(camera, seed=0, layout='rgb', **more):
    channels = {'mono8': 1, 'bgra': 4}.get(layout, 3)
    image = np.random.default_rng(seed).integers(0, 256, (camera.height, camera.width, channels), dtype=np.uint8)
    return Frame(image, layout, camera, **more)


# two cameras of one size and layout, one behind a lens, one grey, all of one input size; and one of another
REQUESTS = [Request(frame(WIDE, 0, stamp_ns=5, frame_id='front')), Request(frame(TALL, 1), Scale(2.0, 0.1, True), 30.0),
            Request(frame(WIDE, 2), Scale(3.0), 50.0), Request(frame(LENS, 3, 'bgra')), Request(frame(WIDE, 4, 'mono8'))]


def alone(perceptor, request):
    return perceptor.perceive(request.frame, request.scale, request.max_range_m)


def close(a, b, tolerance):
    both = np.isfinite(a.depth) & np.isfinite(b.depth)
    assert both.mean() > 0.05 and (np.isfinite(a.depth) == np.isfinite(b.depth)).mean() > 1 - tolerance
    assert np.abs(np.log(a.depth[both] / b.depth[both])).mean() < tolerance
    assert np.abs(np.log(a.sigma[both] / b.sigma[both])).mean() < 3 * tolerance
    assert (a.labels == b.labels).mean() > 1 - 5 * tolerance
    assert np.abs(a.confidence.astype(int) - b.confidence).mean() < 255 * tolerance
    for field in ('scale', 'model_version', 'camera', 'stamp_ns', 'frame_id', 'input_size'):
        assert getattr(a, field) == getattr(b, field)


@pytest.mark.parametrize('precision, tolerance', [('float32', 1e-4), ('bfloat16', 0.02)])
def test_every_frame_comes_out_of_a_batch_as_it_does_alone(network, card, precision, tolerance):
    perceptor = perceptor_of(network, card, precision)
    together = perceptor.perceive_together(REQUESTS)
    assert len(together) == len(REQUESTS)
    for request, perception in zip(REQUESTS, together):
        close(perception, alone(perceptor, request), tolerance)


def test_the_same_batch_gives_the_same_bytes_whatever_ran_between(perceptor):
    first = perceptor.perceive_together(REQUESTS)
    perceptor.perceive_together(REQUESTS[::-1])
    perceptor.perceive_together([replace(r, frame=frame(WIDE, 9)) for r in REQUESTS[:3]])
    again = perceptor.perceive_together(REQUESTS)
    assert all(map(same, first, again)) and not same(first[0], first[2])


class Counting(FoldedEngine):
    """An engine that remembers the shapes of what it was given."""

    def __call__(self, images):
        self.shapes = getattr(self, 'shapes', [])
        self.shapes.append(tuple(images.shape))
        return super().__call__(images)


@pytest.mark.parametrize('largest, numbers', [(1, [1, 1, 1, 1, 1]), (3, [3, 1, 1]), (8, [4, 1])])
def test_frames_of_one_input_size_run_as_one_batch_as_large_as_pays(network, card, largest, numbers):
    perceptor = Perceptor(network, card, engine=Counting(network, CPU, torch.float32, largest))
    perceptions = perceptor.perceive_together(REQUESTS)
    assert sorted((s[0] for s in perceptor.engine.shapes), reverse=True) == numbers
    assert {p.input_size for p in perceptions} == {s[:1:-1] for s in perceptor.engine.shapes}
    assert perceptions[0].input_size != perceptions[1].input_size


def test_a_range_that_cannot_be_stops_all_before_any_has_run(network, card):
    perceptor = Perceptor(network, card, engine=Counting(network, CPU, torch.float32, 4))
    with pytest.raises(ValueError, match='max_range_m is 0'):
        perceptor.perceive_together([REQUESTS[0], replace(REQUESTS[1], max_range_m=0)])
    assert not hasattr(perceptor.engine, 'shapes') and perceptor.perceive_together([]) == []


def test_what_was_prepared_is_run_without_a_word_and_what_was_not_is_told_once(network, card, caplog):
    perceptor = perceptor_of(network, card)
    with caplog.at_level(logging.INFO):
        perceptor.prepare([WIDE, LENS, WIDE, (120, 150)], layouts=['rgb', 'bgra'])
        foreseen = [Request(frame(WIDE, 0)), Request(frame(LENS, 1, 'bgra')), Request(frame(WIDE, 2))]
        for some in (foreseen, foreseen[:1], foreseen[1:], foreseen[::-1], [Request(replace(frame(TALL), camera=None))]):
            perceptor.perceive_together(some)
        assert caplog.messages == []
        for _ in range(2):
            perceptor.perceive(frame(WIDE, 0, 'mono8'))
            perceptor.perceive_together(4 * [Request(frame(TALL, 0))])
    assert [m.split(' (')[0] for m in caplog.messages] == [f'not foreseen: {s}' for s in ('310x94 mono8', '120x150 rgb')]
    assert ', 4 together)' in caplog.messages[1]


def test_rehearsals_meet_every_pipeline_where_more_frames_come_than_go_together(perceptor):
    jobs = [perceptor._job(Request(frame(c)), perceptor.card)[0] for c in (LENS, WIDE, LENS, WIDE, WIDE, TALL)]
    met = list(rehearsals(jobs, lambda width, height: 3))
    assert {(len(m), m[0].input_size) for m in met} == {(1, jobs[5].input_size)} | {
        (n, jobs[0].input_size) for n in (1, 2, 3)}
    assert max(sum(job.frame.camera == WIDE for job in m) for m in met) == 3
    assert max(sum(job.frame.camera == LENS for job in m) for m in met) == 2
    assert list(batches(jobs, lambda width, height: 3)) == [[0, 1, 2], [3, 4], [5]]


class Replays:
    """What CudaGraphs does, on the CPU: steps are run again, and their results written where the first ones lie."""

    device = CPU

    def __init__(self):
        self.captured, self.is_running = 0, False

    def capture(self, steps):
        assert not self.is_running
        self.captured += 1
        with torch.inference_mode():
            results = steps()

        def replay():
            assert self.is_running
            for kept, new in zip(_tensors(results), _tensors(steps())):
                kept.copy_(new)
        return replay, results

    @contextmanager
    def running(self):
        self.is_running = True
        with torch.inference_mode():
            yield
        self.is_running = False

    def wait(self):
        assert self.is_running

    def host_memory(self, size):
        return torch.full((size,), 255, dtype=torch.uint8)


def _tensors(results):
    if results is None:
        return []
    return [results] if isinstance(results, torch.Tensor) else [*results.disparities, results.logits]


def test_captured_steps_give_the_bytes_of_plain_ones(network, card):
    plain, captured = perceptor_of(network, card), perceptor_of(network, card)
    graphs = Replays()
    captured._runner = Runner(captured.engine, captured._decoder, CapturedPasses(captured.engine, graphs))
    for some in (REQUESTS[:1], REQUESTS, REQUESTS[2:], REQUESTS[::-1]):
        for a, b in zip(captured.perceive_together(some), plain.perceive_together(some)):
            assert same(a, b)
    captures = graphs.captured
    captured.perceive_together(REQUESTS)
    assert graphs.captured == captures
    # 5 pipelines alone, 4 of them with a beginning and an end, and batches of 4 and of 3
    assert captures == 5 + 2 * 4 + 2


def test_captured_outputs_are_not_written_to_again(network, card):
    perceptor = perceptor_of(network, card)
    perceptor._runner = Runner(perceptor.engine, perceptor._decoder, CapturedPasses(perceptor.engine, Replays()))
    first = perceptor.perceive_together(REQUESTS)
    kept = [p.depth.copy() for p in first]
    perceptor.perceive_together([replace(r, frame=frame(r.frame.camera, 7, r.frame.layout)) for r in REQUESTS])
    for perception, depth in zip(first, kept):
        np.testing.assert_array_equal(perception.depth, depth)


def test_an_engine_says_what_it_runs_on_and_how(network):
    engine = make_engine(network, 'cpu', 'bfloat16')
    assert (engine.device, engine.precision, engine.tensor_device) == ('cpu', 'bfloat16', CPU)
    assert (engine.capturable, engine.exchange, 'cuda' in engine.devices) == (False, REPLACED, True)
    assert [engine.largest_batch(*size) for size in ((320, 96), (416, 128), (640, 192))] == [4, 2, 1]
    with pytest.raises(ValueError, match="device is 'npu:0', expected one of auto, cpu, cuda"):
        make_engine(network, 'npu:0')


def test_an_engine_that_replaces_its_weights_is_not_captured(network, card):
    """On this machine CudaGraphs cannot be made: that nothing fails says that it was not asked for."""
    engine = FoldedEngine(network, CPU, torch.float32)
    engine.capturable = True
    assert engine.exchange == REPLACED
    Perceptor(network, card, engine=engine).perceive(frame(WIDE))
    engine.exchange = IN_PLACE
    if not torch.cuda.is_available():
        with pytest.raises((RuntimeError, AssertionError, ValueError)):
            Perceptor(network, card, engine=engine)
