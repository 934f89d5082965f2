"""`semdepth ablate CONFIG`: train the arms of a declared experiment, measure them, judge what was expected of them."""
from __future__ import annotations

import argparse
import fcntl
import shlex
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from semdepth_ros.cli.outputs import expect_folder


def add_parser(subparsers) -> None:
    """Add the command to the parser."""
    parser = subparsers.add_parser(
        'ablate', help='run a declared experiment: arms, equal budgets, tables', description=(
            'Render, train and measure what is missing of an experiment, and write its page. What was done is kept: '
            'the same command goes on after Ctrl-C.'))
    parser.add_argument('config', nargs='?', metavar='CONFIG', help='a YAML file, or the name of an experiment of the '
                        'package')
    parser.add_argument('--list', action='store_true', help='say how far its runs have come; without CONFIG, which '
                        'experiments there are')
    parser.add_argument('--only', nargs='+', action='extend', default=[], metavar='ARM', help='run these arms')
    parser.add_argument('--report-only', action='store_true', help='write the page from the results that are there')
    parser.add_argument('--budget-minutes', type=float, metavar='M', help='stop after this time; the same command '
                        'goes on')
    parser.add_argument('--jobs', type=int, default=1, metavar='N', help='runs side by side, each with its share of '
                        'the cores (default: 1)')
    parser.add_argument('--device', default='auto', choices=('auto', 'cpu', 'cuda'))
    parser.add_argument('--render-device', default='cpu', help='torch device that renders towns (default: cpu)')
    parser.add_argument('--work', type=Path, default=Path('runs/ablations'), metavar='DIR',
                        help='renderings, checkpoints and models (default: %(default)s)')
    parser.add_argument('--docs', type=Path, default=Path('docs/ablations'), metavar='DIR',
                        help='results, tables and plots, a folder an experiment (default: %(default)s)')
    parser.add_argument('--real', type=Path, metavar='DIR', help='the folder in which real sequences that the '
                        'experiment names are')
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """List, report, or run and report; return 130 where Ctrl-C ended it.

    :raises ValueError: an experiment, arm or folder that cannot be used, or runs that failed, in one line
    """
    from semdepth_ros.experiments import known_experiments, read_experiment
    if not args.config:
        if not args.list:
            raise ValueError(f'name an experiment: a file, or one of {list(known_experiments())}')
        print('\n'.join(f'{name:24} {read_experiment(name).title}' for name in known_experiments()))
        return 0
    from semdepth_ros.experiments.page import write_page
    from semdepth_ros.experiments.plan import Folders
    _check(args)
    experiment, folders = read_experiment(args.config), Folders(args.work, args.docs, args.real)
    for name in args.only:
        experiment.arm(name)
    if args.list:
        print(_states(experiment, folders))
        return 0
    expect_folder(args.docs)
    if not args.report_only:
        expect_folder(args.work)
        with _alone(args.work):
            code = _run(experiment, folders, args)
        if code:
            return code
    print(f'page: {write_page(experiment, folders)}')
    return 0


def _check(args: argparse.Namespace) -> None:
    if args.jobs < 1:
        raise ValueError(f'--jobs is {args.jobs}, expected at least 1')
    if args.budget_minutes is not None and not args.budget_minutes > 0:
        raise ValueError(f'--budget-minutes is {args.budget_minutes:g}, expected a positive number')
    if args.real is not None and not args.real.is_dir():
        raise ValueError(f'--real {args.real}: no such folder')


@contextmanager
def _alone(work: Path) -> Iterator[None]:
    """Keep other commands out of the folder, which would train the same; raise ValueError where one is in it."""
    with open(work / 'lock', 'w') as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ValueError(f'another semdepth ablate works in {work}: wait for it, or name another --work') from None
        yield


def _run(experiment, folders, args: argparse.Namespace) -> int:
    """Do what is missing; return 130 after Ctrl-C, else 0. Whatever ends it, the page is written."""
    from semdepth_ros.experiments.page import write_page
    began = time.monotonic()
    try:
        outcome = _done(experiment, folders, args, began)
    except KeyboardInterrupt:
        print(f'stopped; continue with: {_again()}')
        write_page(experiment, folders)
        return 130
    if outcome.failed:
        write_page(experiment, folders)
        raise ValueError('; '.join(f'{said}: {why}' for said, why in outcome.failed.items()))
    if outcome.stopped:
        print(f'stopped after {(time.monotonic() - began) / 60:.0f} minutes; continue with: {_again()}')
    return 0


def _done(experiment, folders, args: argparse.Namespace, began: float):
    from semdepth_ros.cli.ablation_data import render_missing
    from semdepth_ros.experiments.arm_training import expect_networks
    from semdepth_ros.experiments.plan import expect_sound, runs_of
    from semdepth_ros.experiments.schedule import MEASURED, Resources, find_steps, known_steps, state, tasks_of
    deadline = float('inf') if args.budget_minutes is None else began + 60 * args.budget_minutes
    resources = Resources(args.device, args.jobs, deadline, args.work / 'logs' if args.jobs > 1 else None, _say)
    steps, only = known_steps(experiment, folders), tuple(args.only)
    chosen = runs_of(experiment, steps or 1, only if steps else ())     # the steps follow from the pace of all arms
    expect_sound(chosen, folders)
    expect_networks([each for each in chosen if state(each, folders) != MEASURED], folders)
    render_missing(experiment, chosen, folders, args.render_device, args.jobs)
    if steps is None:
        steps, outcome = find_steps(experiment, folders, resources)
        if steps is None:
            return outcome
    return resources.run(tasks_of(runs_of(experiment, steps, only), folders, args.device))


def _states(experiment, folders) -> str:
    from semdepth_ros.experiments.plan import runs_of
    from semdepth_ros.experiments.schedule import known_steps, state
    from semdepth_ros.training.recipe import RecipeError
    steps, lines = known_steps(experiment, folders), []
    for each in runs_of(experiment, steps or 1):
        try:
            each.recipe(folders)
            said = f'{state(each, folders):10} {each.model(folders) if each.model(folders).exists() else ""}'
        except RecipeError as error:
            said = f'cannot run: {error}'
        lines.append(f'{each.arm.name:28} seed {each.seed:<4} {said}'.rstrip())
    return '\n'.join([f'{experiment.name}: {experiment.title}', *lines])


def _say(text: str) -> None:
    print(text, flush=True)


def _again() -> str:
    return shlex.join(['semdepth', *sys.argv[1:]])
