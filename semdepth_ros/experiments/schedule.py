"""In what order the runs of an experiment are trained and measured, and how long each trains."""
from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from semdepth_ros.experiments.arm_evaluation import measure_run, real_folders
from semdepth_ros.experiments.arm_training import measure_pace, pace_file, train_run
from semdepth_ros.experiments.declaration import Experiment
from semdepth_ros.experiments.plan import Folders, Run, fingerprint, runs_of
from semdepth_ros.experiments.processes import Outcome, Task, run_tasks
from semdepth_ros.experiments.results import find_result
from semdepth_ros.perception.benchmark import machine
from semdepth_ros.perception.device import choose_device
from semdepth_ros.whole_files import read_json, written_whole

MEASURED = 'measured'           # the state of a run that is done


@dataclass(frozen=True)
class Resources:
    """What an experiment is run with.

    :param jobs: runs side by side
    :param deadline: on time.monotonic(), when to stop
    :param logs: where tasks print; None for here
    """

    device: str = 'auto'
    jobs: int = 1
    deadline: float = float('inf')
    logs: Path | None = None
    say: Callable[[str], None] = print

    def run(self, tasks: list[Task]) -> Outcome:
        """Run tasks."""
        return run_tasks(tasks, self.jobs, self.deadline, self.logs, self.say)


def steps_file(experiment: Experiment, folders: Folders) -> Path:
    """Where the steps that follow from an experiment's minutes are written."""
    return folders.docs / experiment.name / 'steps.json'


def known_steps(experiment: Experiment, folders: Folders) -> int | None:
    """Return the steps of every arm; None where they follow from minutes and have not been found yet."""
    if experiment.steps is not None:
        return experiment.steps
    kept = read_json(steps_file(experiment, folders))
    return kept['steps'] if kept and kept.get('minutes') == experiment.minutes else None


def find_steps(experiment: Experiment, folders: Folders, resources: Resources) -> tuple[int | None, Outcome]:
    """Measure the pace of every arm, and write the steps that fill the minutes on average.

    Once written they stay, on whatever machine the experiment goes on.

    :return: the steps, None where it was not left to measure all; and what came of the measurements
    """
    runs = runs_of(experiment, 1)[:len(experiment.arms)]
    missing = [run for run in runs if read_json(pace_file(run, folders)) is None]
    outcome = resources.run([Task(f'pace of {run.arm.name}', measure_pace, (run, folders, resources.device))
                             for run in missing])
    if len(outcome.done) < len(missing):
        return None, outcome
    paces = {run.arm.name: read_json(pace_file(run, folders))['seconds_per_step'] for run in runs}
    steps = max(1, int(60 * experiment.minutes * len(paces) / sum(paces.values())))
    content = {'steps': steps, 'minutes': experiment.minutes, 'seconds_per_step': paces, 'jobs': resources.jobs,
               'machine': machine(choose_device(resources.device))}
    written_whole(steps_file(experiment, folders), lambda path: path.write_text(json.dumps(content, indent=1) + '\n'))
    return steps, outcome


def tasks_of(runs: list[Run], folders: Folders, device: str) -> list[Task]:
    """Return what is left: a task a run, and before it those that it needs; what trains the same is trained once."""
    tasks: list[Task] = []
    training: dict[str, int] = {}

    def before(run: Run) -> tuple[int, ...]:
        """Return the tasks that train what this run trains or needs; those that are not there yet are added."""
        if run.model(folders).exists():
            return ()
        if fingerprint(run.training) in training:
            return (training[fingerprint(run.training)],)
        return tuple(number for need in run.needs for number in trained(need))

    def trained(run: Run) -> tuple[int, ...]:
        if run.model(folders).exists():
            return ()
        if fingerprint(run.training) not in training:
            needs = before(run)
            tasks.append(Task(run.said, train_run, (run, folders, device), needs))
            training[fingerprint(run.training)] = len(tasks) - 1
        return (training[fingerprint(run.training)],)

    for run in runs:
        if not is_measured(run, folders):
            needs = before(run)
            tasks.append(Task(run.said, complete_run, (run, folders, device), needs))
            training.setdefault(fingerprint(run.training), len(tasks) - 1)
    return tasks


def complete_run(run: Run, folders: Folders, device: str) -> bool:
    """Train a run, where it is not trained, and measure it; return whether it came to its end."""
    return (run.model(folders).exists() or train_run(run, folders, device)) and measure_run(run, folders, device)


def is_measured(run: Run, folders: Folders) -> bool:
    """Whether a run has its result, and in it every real sequence that is there (where there is a model to measure)."""
    result = find_result(run, folders)
    if result is None:
        return False
    return not run.model(folders).exists() or real_folders(run, folders).keys() <= result['real'].keys()


def state(run: Run, folders: Folders) -> str:
    """Return how far a run has come, in a word or two."""
    if is_measured(run, folders):
        return MEASURED
    if run.model(folders).exists():
        return 'trained'
    return 'begun' if run.training_folder(folders).exists() else 'not run'
