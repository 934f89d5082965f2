"""Tasks in processes of their own: order, failures, time that runs out."""
import math
import os
import time
from pathlib import Path

import pytest

from semdepth_ros.experiments import processes
from semdepth_ros.experiments.processes import Task, run_tasks, spent


def note(path, word):
    with open(path, 'a') as file:
        file.write(f'{word} {os.environ["OMP_NUM_THREADS"]} {os.getpid()}\n')
    print('said', word)
    return True


def fail(kind):
    raise {'value': ValueError('batch is -1,\n expected more'), 'other': KeyError('odd')}[kind]


def vanish():
    os.kill(os.getpid(), 9)


def linger(path):
    """Work until told to end, and leave a trace of having been told."""
    try:
        Path(path).touch()
        time.sleep(600)
    finally:
        Path(path).write_text('ended in order')


def meet(own, other):
    """Return once the other has come too."""
    Path(own).touch()
    while not Path(other).exists():
        time.sleep(0.02)
    return True


def test_tasks_run_in_order_after_what_they_need_and_say_so(tmp_path, monkeypatch):
    monkeypatch.setenv('OMP_NUM_THREADS', '1')
    path, lines = tmp_path / 'notes', []
    tasks = [Task('second', note, (path, 'second'), needs=(1,)), Task('first', note, (path, 'first'))]
    outcome = run_tasks(tasks, logs=tmp_path / 'logs', say=lines.append)
    assert outcome.done == {0, 1} and not outcome.failed and not outcome.stopped
    noted = [line.split() for line in path.read_text().splitlines()]
    assert [(word, threads) for word, threads, _ in noted] == [('first', '1'), ('second', '1')]
    assert os.getpid() not in {int(process) for _, _, process in noted} and os.environ['OMP_NUM_THREADS'] == '1'
    assert (tmp_path / 'logs/first.txt').read_text() == 'said first\n'
    assert [line.split()[0] for line in lines] == ['first', 'first:', 'second', 'second:']


def test_two_jobs_run_side_by_side(tmp_path):
    a, b = tmp_path / 'a', tmp_path / 'b'
    outcome = run_tasks([Task('a', meet, (a, b)), Task('b', meet, (b, a))], jobs=2, say=lambda line: None)
    assert outcome.done == {0, 1}


def test_a_task_that_fails_keeps_back_those_that_need_it_and_no_others(tmp_path):
    path, lines = tmp_path / 'notes', []
    tasks = [Task('bad', fail, ('value',)), Task('after bad', note, (path, 'no'), needs=(0,)), Task('gone', vanish, ()),
             Task('odd', fail, ('other',)), Task('good', note, (path, 'good'))]
    outcome = run_tasks(tasks, jobs=2, logs=tmp_path / 'logs', say=lines.append)
    assert outcome.done == {4} and path.read_text().split()[0] == 'good'
    assert outcome.failed.pop('gone') == 'was killed, perhaps for want of memory'
    assert outcome.failed == {'bad': 'batch is -1, expected more',
                              'odd': f"KeyError: 'odd' (see {tmp_path}/logs/odd.txt)"}
    assert 'Traceback' in (tmp_path / 'logs/odd.txt').read_text()
    assert 'bad: batch is -1, expected more' in lines


def test_when_time_runs_out_what_runs_ends_in_order_and_nothing_begins(tmp_path, monkeypatch):
    path = tmp_path / 'begun'
    clock = type('Clock', (), {'monotonic': staticmethod(lambda: math.inf if path.exists() else 0.0)})
    monkeypatch.setattr(processes, 'time', clock)
    monkeypatch.setattr(processes, '_WATCHED_S', 0.1)
    tasks = [Task('long', linger, (path,)), Task('next', note, (tmp_path / 'notes', 'next'))]
    outcome = run_tasks(tasks, deadline=100.0, say=lambda line: None)
    assert outcome.stopped and not outcome.done and not outcome.failed
    assert path.read_text() == 'ended in order' and not (tmp_path / 'notes').exists()


def test_ctrl_c_ends_what_runs_in_order(tmp_path, monkeypatch):
    path = tmp_path / 'begun'

    def interrupted(sentinels, timeout):
        while not path.exists():
            time.sleep(0.02)
        raise KeyboardInterrupt
    monkeypatch.setattr(processes.connection, 'wait', interrupted)
    with pytest.raises(KeyboardInterrupt):
        run_tasks([Task('long', linger, (path,))], say=lambda line: None)
    assert path.read_text() == 'ended in order'


def test_times_are_said_in_seconds_or_minutes():
    assert [spent(s) for s in (3.4, 89, 91, 3600)] == ['3 s', '89 s', '2 min', '60 min']
