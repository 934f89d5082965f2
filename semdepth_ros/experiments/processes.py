"""Tasks in processes of their own, some side by side, that end between two steps when they are told to."""
from __future__ import annotations

import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing import connection, get_context, parent_process
from pathlib import Path
from typing import Any

STOPPED, FAILED = 3, 2
_WATCHED_S = 30.0       # how long nothing may happen before the deadline is looked at again


@dataclass(frozen=True)
class Task:
    """One piece of work.

    :param said: what messages call it
    :param function: of a module, called with the arguments; returns whether its work is done, and leaves work half done
        where SIGTERM ends it, for the next time
    :param needs: numbers of the tasks that come before it
    """

    said: str
    function: Callable[..., bool]
    arguments: tuple[Any, ...]
    needs: tuple[int, ...] = ()


@dataclass
class Outcome:
    """What came of the tasks.

    :param done: their numbers
    :param failed: what went wrong, in one line, by what the task is called
    :param stopped: whether time ran out
    """

    done: set[int] = field(default_factory=set)
    failed: dict[str, str] = field(default_factory=dict)
    stopped: bool = False


@dataclass
class _Running:
    number: int
    process: Any
    words: Any
    log: Path | None
    began: float
    told: bool = False


def run_tasks(tasks: list[Task], jobs: int = 1, deadline: float = float('inf'), logs: Path | None = None,
              say: Callable[[str], None] = print) -> Outcome:
    """Run tasks in their order, each in a process of its own, as soon as those that they need are done.

    A task that fails keeps back those that need it, and no others.

    :param jobs: how many side by side; each has its share of the cores
    :param deadline: on time.monotonic(); then what runs is told to end, and nothing begins
    :param logs: folder for what tasks print, a file each; None prints it here
    """
    outcome, waiting, running = Outcome(), dict(enumerate(tasks)), []
    try:
        while waiting or running:
            late = time.monotonic() >= deadline
            ready = [n for n, task in waiting.items() if outcome.done.issuperset(task.needs)]
            for number in [] if late else ready[:jobs - len(running)]:
                running.append(_begun(number, waiting.pop(number), jobs, logs))
                say(f'{tasks[number].said} ...' + (f' ({running[-1].log})' if running[-1].log else ''))
            if late:
                outcome.stopped = True
                _tell_to_end(running)
            if not running:
                break
            left = min(max(deadline - time.monotonic(), 0), _WATCHED_S) if not late else _WATCHED_S
            connection.wait([each.process.sentinel for each in running], left)
            for each in [each for each in running if not each.process.is_alive()]:
                running.remove(each)
                _collect(each, tasks[each.number], outcome, say)
    finally:
        _tell_to_end(running)
        for each in running:
            each.process.join()
    return outcome


def _begun(number: int, task: Task, jobs: int, logs: Path | None) -> _Running:
    context = get_context('spawn')
    ours, theirs = context.Pipe(duplex=False)
    log = None if logs is None else logs / (''.join(c if c.isalnum() else '_' for c in task.said) + '.txt')
    process = context.Process(target=_work, args=(task.function, task.arguments, log, theirs))
    with _threads(max(1, len(os.sched_getaffinity(0)) // jobs)):
        process.start()
    theirs.close()
    return _Running(number, process, ours, log, time.monotonic())


@contextmanager
def _threads(share: int) -> Iterator[None]:
    """Let processes that are started meanwhile compute with so many threads, or fewer where the user has said so."""
    before = os.environ.get('OMP_NUM_THREADS')
    os.environ['OMP_NUM_THREADS'] = str(min(share, int(before)) if before and before.isdigit() else share)
    try:
        yield
    finally:
        os.environ.pop('OMP_NUM_THREADS')
        if before is not None:
            os.environ['OMP_NUM_THREADS'] = before


def _tell_to_end(running: list[_Running]) -> None:
    """Send each process SIGTERM, once: a second one would end it within a step."""
    for each in running:
        if each.process.is_alive() and not each.told:
            each.process.terminate()
            each.told = True


def _collect(each: _Running, task: Task, outcome: Outcome, say: Callable[[str], None]) -> None:
    code, took = each.process.exitcode, time.monotonic() - each.began
    if code == 0:
        outcome.done.add(each.number)
        say(f'{task.said}: done in {spent(took)}')
    elif code == STOPPED:
        outcome.stopped = True
        say(f'{task.said}: stopped after {spent(took)}')
    else:
        ended = 'was killed, perhaps for want of memory' if code == -signal.SIGKILL else f'ended with status {code}'
        outcome.failed[task.said] = _last_words(each) or ended
        say(f'{task.said}: {outcome.failed[task.said]}')


def _last_words(each: _Running) -> str:
    try:
        return each.words.recv() if each.words.poll() else ''
    except EOFError:
        return ''


def _work(function: Callable[..., bool], arguments: tuple, log: Path | None, words) -> None:
    """Be a task's process: in a group of its own, so that Ctrl-C reaches the command alone, which tells it to end."""
    os.setpgrp()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(STOPPED))
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if log is not None:
        log.parent.mkdir(parents=True, exist_ok=True)
        with open(log, 'a') as file:
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
    try:
        done = function(*arguments)
    except (ValueError, OSError, ModuleNotFoundError) as error:
        words.send(' '.join(str(error).split()))
        sys.exit(FAILED)
    except Exception as error:
        traceback.print_exc()
        words.send(f'{type(error).__name__}: {" ".join(str(error).split())}' + (f' (see {log})' if log else ''))
        sys.exit(FAILED)
    sys.exit(0 if done else STOPPED)


def _end_with_parent() -> None:
    connection.wait([parent_process().sentinel])
    os.kill(os.getpid(), signal.SIGTERM)


def spent(seconds: float) -> str:
    """Return a time in words."""
    return f'{seconds / 60:.0f} min' if seconds >= 90 else f'{seconds:.0f} s'
