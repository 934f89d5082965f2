"""What is kept of a measured run: a JSON file that can be committed."""
from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from semdepth_ros import __version__
from semdepth_ros.evaluation.dense_evaluation import metric_names
from semdepth_ros.experiments.plan import Folders, Run
from semdepth_ros.whole_files import read_json, written_whole

Result = dict[str, Any]


def write_result(path: Path, result: Result) -> None:
    """Write a result as lines that differ where results do: a town a line, its figures in the order of `metrics`.

    :param result: its `towns` are mappings of names to figures
    """
    towns = result['towns']
    names = [name for name in metric_names() if any(name in figures for figures in towns.values())]
    rows = {town: [_rounded(figures.get(name)) for name in names] for town, figures in towns.items()}
    lines = [f' {json.dumps(key)}: {json.dumps(value)}' for key, value in (result | {'metrics': names}).items()
             if key != 'towns']
    table = ',\n'.join(f'  {json.dumps(town)}: {json.dumps(row)}' for town, row in rows.items())
    text = '{\n' + ',\n'.join([*lines, f' "towns": {{\n{table}}}']) + '}\n'
    written_whole(path, lambda partial: partial.write_text(text))


def read_result(path: Path) -> Result | None:
    """Return a result as it was given to write_result, to five digits; None where there is none that is whole."""
    content = read_json(path)
    if content is None or not {'fingerprint', 'metrics', 'towns'} <= content.keys():
        return None
    names = content.pop('metrics')
    towns = {town: {name: value for name, value in zip(names, row) if value is not None}
             for town, row in content['towns'].items()}
    return content | {'towns': towns}


def find_result(run: Run, folders: Folders) -> Result | None:
    """Return the result of just this run: the experiment's own, or another's that trained and measured the same."""
    own = run.result(folders)
    for path in (own, *sorted(folders.docs.glob('*/results/*.json'))):
        result = read_result(path)
        if result is not None and result['fingerprint'] == run.fingerprint:
            return result
    return None


def code_version() -> str:
    """Return the commit of the source tree, with a + where files differ from it; the version where it is installed."""
    root = Path(__file__).resolve().parents[2]
    if not (root / '.git').exists():
        return __version__
    try:
        commit, changed = (
            subprocess.run(['git', '-C', root, *words], capture_output=True, text=True, check=True).stdout
            for words in (('rev-parse', '--short=10', 'HEAD'), ('status', '--porcelain', '-uno')))
    except (OSError, subprocess.CalledProcessError):
        return __version__
    return commit.strip() + '+' * bool(changed.strip())


def _rounded(value: float | None) -> float | None:
    return None if value is None else float(f'{value:.5g}')
