"""`semdepth world`: render a drive through the procedural world, with exact truth, to a bag or a folder sequence."""
from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from semdepth_ros.bags.bag_path import BAG_SUFFIXES
from semdepth_ros.cli.outputs import expect_writable
from semdepth_ros.cli.progress import Progress
from semdepth_ros.cli.world_fleet import CPU_BATCH, samples, write_drives
from semdepth_ros.geometry.camera import Camera
from semdepth_ros.world import (CAVITY, PRESETS, SPLITS, Cavity, Drive, contact_sheet, default_camera,
                                default_cavity_camera)
from semdepth_ros.world.drive import usable_device
from semdepth_ros.world.fleet import chosen_kinds, draw_cavities, draw_fleet
from semdepth_ros.world.photographs import draw_photographs, expect_for_training, find_photographs

PREVIEW_ROWS = 6
FLEET_SIZE, CAVITY_FLEET_SIZE = (320, 128), (160, 120)
PICTURE_SUFFIXES = ('.png', '.jpg', '.jpeg')


def add_parser(subparsers) -> None:
    """Add the command to the parser."""
    parser = subparsers.add_parser('world', help='render a drive with exact truth')
    parser.add_argument('--preset', default='day', help=f'one of {", ".join(PRESETS)}, or {CAVITY}: soft tissue '
                        'at 0.01 to 0.3 m; default day')
    parser.add_argument('--seed', type=int, default=0, help='which town, route and traffic; default 0')
    parser.add_argument('--frames', type=int, default=100, help='default 100')
    parser.add_argument('--out', metavar='OUT', help='X.mcap or X.db3: a bag; any other name: a folder sequence')
    parser.add_argument('--preview', metavar='FILE.png', help='a picture of six frames: colour, depth, classes')
    parser.add_argument('--size', type=parse_size, metavar='WxH', help="image size [px]; default: the preset's")
    parser.add_argument('--fov', type=float, metavar='DEG', help='horizontal field of view')
    parser.add_argument('--height', type=float, metavar='M', help='height of the camera above the road')
    parser.add_argument('--pitch', type=float, metavar='DEG', help='how far the camera looks down')
    parser.add_argument('--rate', type=float, default=10.0, metavar='HZ', help='frames a second; default 10')
    parser.add_argument('--split', default='test', help=f'towns of {", ".join(SPLITS)}; default test')
    parser.add_argument('--device', default='cpu', help='torch device that renders; default cpu')
    parser.add_argument('--jpeg', action='store_true', help='JPEG instead of raw images (bag) or PNG (folder)')
    parser.add_argument('--fleet', type=int, metavar='N', help='N drives for training into the folder OUT: each with a '
                        'town, light, field of view, height and pitch drawn by --seed; drives already there are kept')
    parser.add_argument('--same-speed', type=float, default=0.0, metavar='SHARE', help='share of drives behind a car that '
                        'keeps the own speed all the way, so that it stands still in the picture; default 0')
    parser.add_argument('--repetitive', type=float, default=0.0, metavar='SHARE', help='share of drives through towns '
                        'of plain walls, and of fences and fronts that repeat themselves; default 0')
    parser.add_argument('--fleet-preset', default='', metavar='PRESET', help="whose light and camera all drives of a "
                        'fleet have, without clutter and bonnets; default: drawn for each')
    parser.add_argument('--photographs', default='', metavar='FOLDER', help='pictures of surfaces, for training drives '
                        'alone (--split train): a drive, or half of a fleet, has them in place of drawn textures; those in '
                        'a sub-folder asphalt, brick, plaster ... are for that material')
    parser.add_argument('--deformation', type=float, default=0.0, metavar='M', help='how far the wall of a '
                        f'{CAVITY} is moved from its place at rest, root of the mean square; default 0')
    parser.add_argument('--workers', type=int, default=1, metavar='W', help='processes that render a fleet; default 1. '
                        'On one CUDA device about one per core')
    parser.add_argument('--force', action='store_true', help='replace a bag of this name')
    parser.set_defaults(run=run)


def parse_size(text: str) -> tuple[int, int]:
    """Return width and height [px] of a text such as 640x192."""
    width, _, height = text.partition('x')
    if not (width.isdigit() and height.isdigit() and int(width) > 0 and int(height) > 0):
        raise argparse.ArgumentTypeError(f'size is {text!r}, expected WIDTHxHEIGHT in pixels')
    return int(width), int(height)


def drive_of(args: argparse.Namespace) -> Drive | Cavity:
    """Return what the arguments name, a drive or a way through a cavity.

    :raises ValueError: a value out of range, or an argument for the other of the two
    """
    expect_of_its_kind(args)
    if args.preset == CAVITY:
        return Cavity(args.seed, args.frames, default_cavity_camera(args.size, args.fov), args.rate, args.split,
                      args.device, args.deformation)
    kinds = chosen_kinds(args.seed, args.split, args.same_speed, args.repetitive)
    return Drive(args.preset, args.seed, args.frames, camera_of(args), args.rate, args.split, args.device,
                 pitch_deg=args.pitch, photographs=photographs_of(args), **kinds)


def photographs_of(args: argparse.Namespace) -> dict[str, str] | None:
    """Return the photographs of one drive, by material; None without any."""
    if not args.photographs:
        return None
    expect_for_training(args.split)
    return draw_photographs(find_photographs(args.photographs), args.seed)


def expect_of_its_kind(args: argparse.Namespace) -> None:
    """Raise ValueError for arguments of drives that are given for a cavity, or the other way round."""
    of_drives = ('height', 'pitch', 'same_speed', 'repetitive', 'fleet_preset', 'photographs')
    others = of_drives if args.preset == CAVITY else ('deformation',)
    given = [f'--{name.replace("_", "-")}' for name in others if getattr(args, name)]
    if given:
        raise ValueError(f'{", ".join(given)} with --preset {args.preset}: expected without, since it is for '
                         f'{"drives" if args.preset == CAVITY else CAVITY}')


def camera_of(args: argparse.Namespace) -> Camera:
    """Return the preset's camera with what the arguments change."""
    camera = default_camera(args.preset, args.size, args.fov)
    return camera if args.height is None else replace(camera, height_m=args.height)


def run(args: argparse.Namespace) -> None:
    """Render and write.

    :raises ValueError: an unknown preset or split, a number out of range, or an output that is in use
    """
    if not (args.out or args.preview):
        raise ValueError('there is nothing to write: expected --out, --preview or both')
    if args.preview and Path(args.preview).suffix.lower() not in PICTURE_SUFFIXES:
        raise ValueError(f'--preview is {args.preview}, expected a name that ends in {" or ".join(PICTURE_SUFFIXES)}')
    expect_writable(args.preview)
    if args.force and args.out and Path(args.out).suffix not in BAG_SUFFIXES:
        raise ValueError(f'--force replaces bags only, and {args.out} is a folder')
    if args.fleet is not None:
        return write_fleet(args)
    if args.fleet_preset:
        raise ValueError(f'--fleet-preset {args.fleet_preset} without --fleet: one drive has --preset')
    drive = drive_of(args)
    if args.out:
        with Progress('frames') as progress:
            write(drive, Path(args.out), args.jpeg, args.force, progress)
        print(f'{args.out}: {len(drive)} frames {drive.camera.width}x{drive.camera.height} of {drive.name}')
    if args.preview:
        frames = drive.render(np.linspace(0, len(drive) - 1, min(PREVIEW_ROWS, len(drive))).astype(int).tolist())
        if not cv2.imwrite(args.preview, contact_sheet(frames, nearest_m=drive.nearest_m)[..., ::-1]):
            raise OSError(f'{args.preview} cannot be written')
        print(args.preview)


def write_fleet(args: argparse.Namespace) -> None:
    """Write a fleet's drives as folder sequences OUT/000_day, OUT/001_fog ...; those that are whole are kept.

    :raises ValueError: no folder to write to, or arguments that a fleet draws by itself
    """
    for name in ('fleet', 'workers'):
        if getattr(args, name) < 1:
            raise ValueError(f'--{name} is {getattr(args, name)}, expected at least 1')
    drawn = [name for name in ('fov', 'height', 'pitch') if getattr(args, name) is not None]
    if drawn or not args.out or Path(args.out).suffix in BAG_SUFFIXES:
        raise ValueError(f'a fleet goes to a folder and draws its cameras: got --out {args.out}'
                         + ''.join(f' and --{name}' for name in drawn))
    if args.preview:
        raise ValueError('--preview shows one drive, and a fleet is many: leave it out')
    usable_device(args.device)
    expect_of_its_kind(args)
    if args.photographs and Path(args.photographs).resolve() in (out := Path(args.out).resolve(), *out.parents):
        raise ValueError(f'--out {args.out} lies among the photographs in {args.photographs}: expected another folder')
    if args.preset == CAVITY:
        drives = draw_cavities(args.fleet, args.frames, *(args.size or CAVITY_FLEET_SIZE), args.split, args.seed,
                               args.deformation)
    else:
        drives = draw_fleet(args.fleet, args.frames, *(args.size or FLEET_SIZE), args.split, args.seed, args.same_speed,
                            args.repetitive, args.fleet_preset, args.photographs)
    kept = write_drives(drives, Path(args.out), 'jpg' if args.jpeg else 'png', args.device, args.workers)
    print(f'{args.out}: {len(drives)} drives of {args.frames} frames' + f', {kept} of them were there' * bool(kept))


def write(drive: Drive | Cavity, out: Path, jpeg: bool, force: bool, progress: Progress) -> None:
    """Write the drive as a bag or a folder sequence, by the name's suffix."""
    if out.suffix in BAG_SUFFIXES:
        from semdepth_ros.recordings.sequence_bag import write_drive_bag
        write_drive_bag(out, drive, compressed=jpeg, replace=force, progress=progress, batch=CPU_BATCH)
    else:
        from semdepth_ros.data import write_folder_sequence
        write_folder_sequence(out, samples(drive, progress), drive.camera, drive.rate_hz, 'jpg' if jpeg else 'png',
                              drive.units_per_metre)
