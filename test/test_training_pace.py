"""A run that is given a time: how many steps it takes."""
import pytest

from semdepth_ros.training.pace import MEASURED, SETTLING, Steps


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


def run(seconds, a_step, first=0, validation=0.0):
    """Drive Steps with a clock until it says stop; a_step gives the seconds of a step by its number."""
    clock = Clock()
    steps, step, totals = Steps(5, seconds, clock), first, []
    while step < steps.total:
        clock.now += a_step(step)
        step += 1
        steps.done(step, first)
        if validation and step % 100 == 0:
            clock.now += validation
            steps.validated(validation)
        totals.append(steps.total)
    return step - first, clock.now - 100.0, totals


def test_without_a_time_the_recipes_steps_are_taken():
    steps = Steps(5)
    steps.done(3)
    assert steps.total == 5


@pytest.mark.parametrize('first', [0, 1000])
def test_the_steps_fit_into_the_time_and_use_it(first):
    taken, spent, _ = run(600.0, lambda step: 0.5, first)
    assert taken == pytest.approx(1200, abs=2) and 598 <= spent <= 600.5


def test_slow_first_steps_do_not_count_and_a_changed_pace_is_noticed():
    taken, spent, totals = run(600.0, lambda step: 5.0 if step < SETTLING else 0.5)
    assert 598 <= spent <= 600.5 and len(set(totals)) <= 3
    _, spent, _ = run(600.0, lambda step: 0.5 if step < 300 else 0.8)
    assert 590 <= spent <= 605


def test_the_last_validation_has_its_time():
    _, spent, _ = run(600.0, lambda step: 0.5, validation=10.0)
    assert 575 <= spent <= 592


def test_a_time_too_short_for_measuring_stops_the_run_when_it_is_over():
    taken, spent, _ = run(10.0, lambda step: 0.5)
    assert taken == 20 < SETTLING + MEASURED and spent == 10
