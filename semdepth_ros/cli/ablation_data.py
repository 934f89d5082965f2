"""Rendering what an experiment learns from and is measured in."""
from __future__ import annotations

from semdepth_ros.cli.progress import Progress
from semdepth_ros.cli.world_fleet import samples, write_drives
from semdepth_ros.data import write_folder_sequence
from semdepth_ros.experiments.declaration import Experiment
from semdepth_ros.experiments.plan import Folders, Run, fleet_folder, town_folders, with_needs
from semdepth_ros.experiments.schedule import is_measured
from semdepth_ros.world import Drive, default_camera
from semdepth_ros.world.fleet import chosen_kinds, draw_fleet


def render_missing(experiment: Experiment, runs: list[Run], folders: Folders, device: str, workers: int) -> None:
    """Render the fleets that runs have yet to learn from, and the test towns, where they are missing.

    :param device: torch device that renders
    :param workers: processes that render a fleet
    :raises ValueError: an unknown preset or split, or label noise that cannot be
    """
    missing = [run for run in runs if not (run.model(folders).exists() or is_measured(run, folders))]
    learning = [run for run in with_needs(missing) if not run.model(folders).exists()]
    sets = [experiment.data_of(run.arm) for run in learning]
    fleets = {fleet_folder(data.fleet, folders): data.fleet for data in sets if data.fleet}
    for where, fleet in fleets.items():
        drives = draw_fleet(fleet.drives, fleet.frames, *fleet.size, fleet.split, fleet.seed, fleet.same_speed,
                            fleet.repetitive, fleet.preset)
        write_drives(drives, where, 'jpg' if fleet.jpeg else 'png', device, workers, fleet.label_noise)
    _render_towns(experiment, folders, device)


def _render_towns(experiment: Experiment, folders: Folders, device: str) -> None:
    towns = experiment.towns
    missing = [town for town in town_folders(towns, folders).values() if not town[2].exists()]
    if not missing:
        return
    with Progress('frames of test towns') as progress:
        for done, (preset, seed, path) in enumerate(missing):
            camera = default_camera(preset, towns.size)
            kinds = chosen_kinds(seed, towns.split, towns.same_speed, towns.repetitive)
            drive = Drive(preset, seed, towns.frames, camera, towns.rate_hz, towns.split, device, **kinds)
            before = done * towns.frames
            rendered = samples(drive, lambda n, _: progress(before + n, len(missing) * towns.frames))
            write_folder_sequence(path, rendered, camera, towns.rate_hz)
