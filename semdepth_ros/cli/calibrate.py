"""`semdepth calibrate`: the metric scale of a camera from what a person has: its height, odometry, or a tape measure."""
from __future__ import annotations

import argparse
from dataclasses import asdict
import json
import math
from pathlib import Path

from semdepth_ros.cli.outputs import expect_writable
from semdepth_ros.cli.progress import Progress


def add_parser(subparsers) -> None:
    """Add the command to the parser."""
    parser = subparsers.add_parser('calibrate', help='find the metric scale of a new camera', description=(
        'Perceive a drive and compare the height at which the road appears with the known height of the camera; or the '
        'distances of points that odometry tells (--odometry), or that were measured (--point, --target). The '
        'scale found is what the parameters scale_source: fixed and scale ask for. With --trace the drive is also '
        'followed as the node would with scale_source: camera_height, and held against the truth where there is one.'))
    parser.add_argument('--data', required=True, metavar='SPEC',
                        help='bag, folder, video or world:PRESET[:SEED[:FRAMES]]')
    parser.add_argument('--height', type=float, metavar='M',
                        help="of the lens above the road [m]; default: the data's own")
    parser.add_argument('--pitch', type=float, metavar='DEG',
                        help='by how much the camera looks down on the road; default: learned from the road')
    parser.add_argument('--odometry', action='store_true', help="by the data's poses instead: points that two places see")
    parser.add_argument('--point', nargs='+', default=[], action='extend', metavar='FRAME:X:Y:M', help='by measured '
                        'distances instead: of a frame (from 0), a pixel of its image, and metres from the lens to what '
                        'is there')
    parser.add_argument('--target', nargs='+', default=[], action='extend', metavar='FRAME:LEFT:TOP:RIGHT:BOTTOM:M', help='by '
                        'flat targets instead, square to the camera: of a frame, the part of its image that shows one, and '
                        'metres to it along the optical axis')
    parser.add_argument('--camera', metavar='FILE', help='a calibration in place of what the data has')
    parser.add_argument('--model', default='default', metavar='FILE', help='model file')
    parser.add_argument('--device', default='auto', help='auto, cpu, cuda or cuda:N')
    parser.add_argument('--frames', type=int, default=200, metavar='N', help='at most so many of each sequence')
    parser.add_argument('--json', type=Path, metavar='F', help='write the figures here')
    parser.add_argument('--store', metavar='FRAME', help="keep the scale for the camera whose images have this frame_id, in "
                        '$ROS_HOME/semdepth_ros/cameras: scale_source: stored takes it')
    parser.add_argument('--trace', type=Path, metavar='F', help='write here, as JSON, what the node would have said')
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Calibrate on every sequence that the data names, and print what to put into the parameters.

    Exit code 1 where the scale cannot be told of one of them.

    :raises ValueError: an argument or data that cannot be
    """
    from semdepth_ros.data import open_data
    from semdepth_ros.frame_perception import Scale
    from semdepth_ros.perception import Perceptor
    from semdepth_ros.scale import CameraHeight
    from semdepth_ros.scale.calibration import calibrate
    from semdepth_ros.scale.trial import ScaleTrial
    if args.frames < 1:
        raise ValueError(f'--frames is {args.frames}, expected at least 1')
    for path in (args.json, args.trace):
        expect_writable(path)
    if args.odometry or args.point or args.target:
        return _by_distances(args)
    perceptor, figures, traces, found = Perceptor.from_file(args.model, device=args.device), {}, {}, []
    for sequence in open_data(args.data, camera=args.camera):
        mount, classes = _mount(args, sequence), perceptor.card.classes
        trial = ScaleTrial(CameraHeight(mount, classes)) if args.trace else None
        with Progress(f'{sequence.name}: frames') as progress:
            result = calibrate(lambda frame: perceptor.perceive(frame, Scale()), sequence, mount, classes, args.frames,
                               trial, progress)
        figures[sequence.name] = asdict(result)
        found.append((sequence, mount, result))
        print(f'{sequence.name}: {_verdict(result)}')
        if trial:
            traces[sequence.name] = {'summary': trial.summary(), 'frames': trial.as_json()}
            print(f'{sequence.name}: {_followed(trial.summary())}')
    for path, content in ((args.json, figures), (args.trace, traces)):
        if path:
            path.write_text(_json(content), encoding='utf-8')
    if args.store is not None:
        if len(found) != 1:
            raise ValueError(f'--store takes the drive of one camera, got {len(found)}')
        sequence, mount, result = found[0]
        how = f'camera height {mount.height_m:g} m, {result.agreeing} of {result.views} views agree'
        _store(args.store, sequence, result, how, perceptor)
    return int(any(result['doubt'] for result in figures.values()))


def _by_distances(args: argparse.Namespace) -> int:
    """Calibrate by points whose distance is known, print the residual by distance, and store where asked."""
    from semdepth_ros.data import open_data, rectified
    from semdepth_ros.frame_perception import Scale
    from semdepth_ros.perception import Perceptor
    from semdepth_ros.scale.measured import measured_scale
    if sum(map(bool, (args.odometry, args.point, args.target))) > 1 or args.height is not None or args.trace:
        raise ValueError('--odometry, --point, --target and --height with --trace are ways of their own, expected one of them')
    sequences = open_data(args.data, camera=args.camera)
    if len(sequences) != 1:
        raise ValueError(f'{args.data!r} has {len(sequences)} sequences, expected the drive of one camera')
    perceptor = Perceptor.from_file(args.model, device=args.device, max_range_m=1000.0, rectify=False)

    def perceive(frame):
        return perceptor.perceive(frame, Scale())
    if args.odometry:
        from semdepth_ros.adaptation.odometry_calibration import points_by_odometry
        with Progress(f'{sequences[0].name}: pairs of frames') as progress:
            points = points_by_odometry(perceive, rectified(sequences[0]), perceptor.card.classes, args.frames, progress)
        result = measured_scale(points.perceived, points.true, points.frame)
        how = f'odometry, {len(points.true)} points'
    else:
        from semdepth_ros.recordings.measured_points import flat_targets, measured_points
        measure, texts, what = ((flat_targets, args.target, 'targets') if args.target else
                                (measured_points, args.point, 'measured points'))
        perceived, true = measure(texts, sequences[0], perceive)
        result, how = measured_scale(perceived, true), f'{len(true)} {what if len(true) > 1 else what[:-1]}'
    print(f'{sequences[0].name}: {_told(result, how)}')
    if args.json:
        args.json.write_text(_json({sequences[0].name: asdict(result)}), encoding='utf-8')
    if args.store is not None:
        _store(args.store, sequences[0], result, how, perceptor)
    return int(bool(result.doubt))


def _json(content: dict) -> str:
    return json.dumps(content, indent=1).replace('Infinity', 'null') + '\n'          # beyond the last distance


def _told(result, how: str) -> str:
    if result.doubt:
        return f'no scale that could be relied on ({how}): {result.doubt}'
    return (f'{how}; the scale is known to {100 * result.sigma:.0f} %, and leaves {result.left}\n'
            f'  scale_source: fixed\n  scale: {result.scale:.4g}')


def _store(frame: str, sequence, result, how: str, perceptor) -> None:
    from semdepth_ros.scale.camera_store import StoredScale, cameras_folder, store_scale
    if result.doubt:
        raise ValueError(f'nothing is stored for {frame!r}: {result.doubt}')
    camera = sequence.camera or sequence[0].camera
    if camera is None:
        raise ValueError(f'nothing is stored for {frame!r}: the camera is not known, expected its calibration')
    path = store_scale(StoredScale(frame, camera, perceptor.card.factory, result.scale, result.sigma, how,
                                   perceptor.version), cameras_folder())
    print(f'stored in {path}')


def _mount(args: argparse.Namespace, sequence):
    from semdepth_ros.scale import Mount, Tilt
    height_m = args.height
    if height_m is None:
        height_m = sequence.camera.height_m if sequence.camera else None
    if height_m is None:
        raise ValueError(f"{sequence.name}: the camera's height is not known, expected --height")
    if args.pitch is not None and not abs(args.pitch) <= 60:
        raise ValueError(f'--pitch is {args.pitch}, expected at most 60 degrees')
    return Mount(height_m, None if args.pitch is None else Tilt(math.radians(args.pitch)))


def _verdict(result) -> str:
    from semdepth_ros.scale.measured import said_by_distance
    seen = f'{result.agreeing} of {result.views} views of the road in {result.frames} frames agree'
    if result.doubt:
        return f'no scale that could be relied on: {result.doubt} ({seen})'
    left = f', and leaves {said_by_distance(result.residuals)} of the road' if result.residuals else ''
    return (f'{seen}; a frame scatters by {100 * result.spread:.1f} %, the camera looks down by {result.pitch_deg:.1f} '
            f'degrees, the scale is known to {100 * result.sigma:.0f} %{left}\n'
            f'  scale_source: fixed\n  scale: {result.scale:.4g}')


def _followed(summary: dict) -> str:
    said = f'the node would have said metric in {summary["metric"]} of {summary["frames"]} frames'
    if summary['metric_share_after_50_m'] is not None:
        said += f', {100 * summary["metric_share_after_50_m"]:.0f} % of those after 50 m'
    if summary['median_sigma'] is not None:
        said += f', to {100 * summary["median_sigma"]:.0f} %'
    if summary['worst_sigmas'] is not None:
        said += f'; it was never beyond {summary["worst_sigmas"]:.1f} sigma of the truth'
    return said
