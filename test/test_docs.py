"""That README and docs point at what is there."""
from pathlib import Path
import re
import runpy

import pytest

from semdepth_ros.cli.main import COMMANDS, build_parser

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / 'README.md', *sorted((ROOT / 'docs').rglob('*.md'))]
LINK = re.compile(r'\]\((?!https?:)([^)#\s]*)(#[^)\s]*)?\)')
PATH = re.compile(r'`((?:config|launch|docs|test|msg|semdepth_ros)/[\w./-]+\.\w+)`')


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r'^#+ +(.+)$', page.read_text(encoding='utf-8'), re.MULTILINE)
    return {'#' + re.sub(r'[^\w\- ]', '', h.lower()).replace(' ', '-') for h in headings}


def commands(page: Path) -> list[str]:
    """Return the lines of a page's code blocks that call semdepth."""
    blocks = re.findall(r'^```[^\n]*\n(.*?)^```', page.read_text(encoding='utf-8'), re.MULTILINE | re.DOTALL)
    lines = [line.split('#')[0].strip() for block in blocks for line in block.splitlines()]
    return [line for line in lines if line.startswith('semdepth ')]


def options(name: str) -> set[str]:
    """Return the options that a command knows."""
    known = next(action for action in build_parser(name)._actions if action.dest == 'command').choices[name]
    return set(known._option_string_actions)


@pytest.mark.parametrize('drawing', ['pixel_adaptive', 'semhint'])
def test_a_drawing_of_a_network_is_that_of_its_shapes(drawing):
    images = ROOT / 'docs' / 'images'
    drawn = runpy.run_path(str(images / f'{drawing}.py'), run_name='drawing')['drawing']()
    assert (images / f'{drawing}.svg').read_text(encoding='utf-8') == drawn, f'python docs/images/{drawing}.py'


@pytest.mark.parametrize('page', PAGES, ids=lambda page: page.name)
def test_links_and_named_files_exist(page):
    for target, anchor in LINK.findall(page.read_text(encoding='utf-8')):
        found = (page.parent / target).resolve() if target else page
        assert found.exists(), target
        assert not anchor or anchor in anchors(found), f'{target}{anchor}'
    for path in PATH.findall(page.read_text(encoding='utf-8')):
        assert (ROOT / path).exists(), path


@pytest.mark.parametrize('page', PAGES, ids=lambda page: page.name)
def test_options_of_commands_exist(page):
    for line in commands(page):
        name = line.split()[1]
        assert name in COMMANDS or name.startswith('-'), line
        if name in COMMANDS and name not in ('run', 'bag'):
            for option in re.findall(r'(?<= )--[a-z-]+', line):
                assert option in options(name), f'{option} of {line}'
