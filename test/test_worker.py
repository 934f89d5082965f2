"""The thread that works on the newest of every source."""
import threading
import time

from ros_graph import wait_until
from semdepth_ros.nodes.worker import NewestFirstWorker


def test_the_worker_takes_the_newest_of_each_source_in_turn():
    gate, started, done = threading.Event(), threading.Event(), []

    def work(taken):
        started.set()
        gate.wait(5)
        done.extend(taken)
    worker = NewestFirstWorker(work, print)
    worker.put('front', 0)
    assert started.wait(5)
    replaced = [worker.put(s, i) for s, i in (('front', 1), ('left', 1), ('front', 2), ('left', 2), ('front', 3))]
    gate.set()
    wait_until(lambda: len(done) == 3)
    assert replaced == [False, False, True, True, True]
    assert done == [('front', 0), ('front', 3), ('left', 2)]
    worker.stop()


def test_those_beside_the_one_whose_turn_it_is_are_taken_with_it_and_the_others_keep_their_turns():
    gate, started, done = threading.Event(), threading.Event(), []

    def work(taken):
        started.set()
        gate.wait(5)
        done.append(taken)

    def of_the_same_side(source, waiting):
        return [other for other in waiting if other[0] == source[0]][:1]
    worker = NewestFirstWorker(work, print, of_the_same_side)
    worker.put('left', 0)
    assert started.wait(5)
    for source, item in (('right', 1), ('left far', 1), ('left', 1), ('right far', 1), ('right', 2), ('left', 2), ('l', 1)):
        worker.put(source, item)
    gate.set()
    wait_until(lambda: len(done) == 4)
    assert done == [[('left', 0)], [('right', 2), ('right far', 1)], [('left far', 1), ('left', 2)], [('l', 1)]]
    worker.stop()


def test_clearing_the_worker_drops_what_waits_and_waits_for_what_runs():
    started, done = threading.Event(), []

    def work(taken):
        started.set()
        time.sleep(0.1)
        done.extend(item for _, item in taken)
    worker = NewestFirstWorker(work, print)
    worker.put('a', 1)
    assert started.wait(5)
    worker.put('a', 2)
    assert worker.clear() == ['a'] and done == [1]
    worker.stop()


def test_a_worker_that_fails_says_so():
    failures = []
    worker = NewestFirstWorker(lambda taken: 1 / 0, failures.append)
    worker.put('a', 1)
    wait_until(lambda: failures)
    assert isinstance(failures[0], ZeroDivisionError)
    assert worker.clear() == []
