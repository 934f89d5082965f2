"""What latencies are meant to be, and the table that sets measured ones beside it."""
from __future__ import annotations

from collections.abc import Iterator

NETWORK_SIZE = (640, 192)
# what: (on a GPU of 2024 or later, on two CPU cores)
MEANT = {
    'network': ('<= 1.0 ms p50', ''),
    'network p99/p50': ('<= 1.2', ''),
    'network over eager': ('', '<= 0.4'),
    'node': ('<= 5 ms p50, <= 8 ms p99', '<= 120 ms p50'),
    'node with cloud': ('<= 8 ms p50', '<= 140 ms p50'),
    'node minus network': ('<= 3 ms p95', '<= 12 ms p95'),
    'graph minus node': ('<= 12 ms', '<= 12 ms'),
    'received': ('all', 'all'),
    'idle': ('< 5 %', '< 5 %'),
    'memory': ('flat within 1 %', 'flat within 1 %'),
    'beside a learner': ('< +20 %', '< +50 %'),
}
STAGES = ('upload', 'input', 'network', 'decode', 'download')
Row = tuple[str, str, str]


def speed_table(result: dict) -> list[str]:
    """Return the lines of a table: what was measured, what it is meant to be on such a device, what it is here.

    :param result: of `semdepth bench`
    """
    return _table(result, [*_network_rows(result), *_frame_rows(result), *_swap_rows(result), *_graph_rows(result)], result['precision'])


def learner_table(result: dict) -> list[str]:
    """Return the lines of a table: the node alone and beside a learner, and by how much its p95 differs.

    :param result: of `semdepth bench --learner`
    """
    return _table(result, [*_learner_rows(result['learner'])])


def _table(result: dict, rows: list[Row], *precision: str) -> list[str]:
    facts, column = result['machine'], 0 if result['device'].startswith('cuda') else 1
    device = facts.get('cuda_device') or facts['processor']
    lines = [', '.join([f'{device}, {facts["cores"]} CPU cores ({facts["vector"]}, bfloat16: {facts["bfloat16"]})',
                        f'torch {facts["torch"]}', *precision, f'load {facts["load_1min"]}']),
             f'{"p50 / p95 / p99 [ms]":52} {"meant to be":>24}  here']
    return lines + [f'{what:52} {MEANT.get(key, ("", ""))[column]:>24}  {here}' for key, what, here in rows]


def _network_rows(result: dict) -> Iterator[Row]:
    for network in result['network']:
        size, engine, eager = _size(network), network['engine'], network['eager_float32']
        if tuple(network['size']) == NETWORK_SIZE:
            yield 'network', f'network {size}', _triple(engine)
            yield 'network p99/p50', f'network {size}, p99/p50', f'{engine["p99"] / engine["p50"]:.2f}'
        yield ('network over eager', f'network {size} over the same in eager float32',
               f'{network["engine_over_eager"]:.2f} ({engine["p50"]:.1f} : {eager["p50"]:.1f} ms)')


def _frame_rows(result: dict) -> Iterator[Row]:
    for stages in result['stages']:
        parts = ' + '.join(f'{name} {stages[name]["p50"]:.2f}' for name in STAGES)
        yield '', f'frame {_size(stages)} without ROS', f'{_triple(stages["whole"])}: {parts}'


def _swap_rows(result: dict) -> Iterator[Row]:
    if 'swap' in result:
        yield '', 'other weights: read, checked and tried beside', _triple(result['swap']['prepare'])
        yield '', 'other weights: exchanged between two frames', _triple(result['swap']['change'])


def _graph_rows(result: dict) -> Iterator[Row]:
    for run in result.get('graph', ()):
        name, stages = run['name'], dict(run['node'])
        if 'node' in stages and 'graph' in run:
            node = stages.pop('node')
            parts = ' + '.join(f'{stage} {value["p50"]:.1f}' for stage, value in stages.items())
            key = 'node with cloud' if 'cloud' in name else 'node' if name.startswith('1242x375') else ''
            yield key, f'node, {name}', f'{_triple(node)}: {parts}'
            if name == '1280x720':
                network = next(s['network']['p50'] for s in result['stages'] if s['size'] == [1280, 720])
                yield 'node minus network', f'node minus network, {name}', f'{node["p95"] - network:.1f} ms p95'
            yield 'graph minus node', f'graph minus node, {name}', f'{run["graph"]["p50"] - node["p50"]:.1f} ms p50'
        counts = run['node_counts']
        yield ('received', f'images received by the node, {name}, {run["reliability"]}',
               f'{counts["received"]} of {run["sent"]}; {counts["dropped"]} dropped for newer ones, '
               f'{run["received"]} results came back')
        if 'idle_core_share' in run:
            yield 'idle', 'nobody subscribes: share of a core', f'{100 * run["idle_core_share"]:.1f} %'
        before, after = run['memory_mb']
        yield 'memory', f'resident memory, {name}', f'{before:.0f} MB, {after:.0f} MB after {run["sent"]} frames'


def _learner_rows(runs: list[dict]) -> Iterator[Row]:
    alone = next((run for run in runs if run['mode'] == 'off'), None)
    for run in runs:
        name, counts = f'learner {run["mode"]}', run['node_counts']
        yield '', f'node, {_size(run)} at {run["rate_hz"]:g} Hz, {name}', _triple(run['node']['node'])
        if 'graph' in run:
            yield '', f'on the graph, {name}', _triple(run['graph'])
        yield 'received', f'images received by the node, {name}', (
            f'{counts["received"]} of {run["sent"]}; {counts["dropped"]} dropped for newer ones, '
            f'{run["received"]} results came back')
        if run is not alone:
            yield '', f'steps meanwhile, {name}', (
                f'{run["steps"]}, {run["ms_per_step"].get("p50", 0):.0f} ms each; version {run["versions"]} served at the end')
        if alone and run is not alone:
            change = run['node']['node']['p95'] / alone['node']['node']['p95'] - 1
            yield 'beside a learner', f'p95 of the node, {name} over off', f'{100 * change:+.0f} %'


def _size(values: dict) -> str:
    return 'x'.join(map(str, values['size']))


def _triple(values: dict[str, float]) -> str:
    return ' / '.join(f'{values[p]:.2f}' for p in ('p50', 'p95', 'p99') if p in values)
