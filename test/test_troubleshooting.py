"""That the messages which docs/TROUBLESHOOTING.md explains are those that the code has."""
import ast
from pathlib import Path
import re

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / 'docs' / 'TROUBLESHOOTING.md').read_text(encoding='utf-8')
ROWS = [[cell.strip() for cell in line.strip('|').split(' | ')] for line in PAGE.splitlines()
        if line.startswith('|') and not line.startswith(('|---', '| what you see'))]
MESSAGES = [row[0].strip('`') for row in ROWS if row[0].startswith('`')]
PLACEHOLDER = re.compile(r'%[-+ #0]*[\d.]*[a-zA-Z]|\{[^{}]*\}')


def text_of(node: ast.AST) -> str:
    """Return a string of the source with … for every value that is put in."""
    if isinstance(node, ast.Constant):
        return PLACEHOLDER.sub('…', node.value)
    return ''.join(value.value if isinstance(value, ast.Constant) else '…' for value in node.values)


def said_by_the_code() -> set[str]:
    """Return all texts in the package; f-strings whole, implicit concatenation joined."""
    found = set()
    for path in sorted((ROOT / 'semdepth_ros').rglob('*.py')):
        for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
            if isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str)):
                found.add(text_of(node))
    return found


SAID = said_by_the_code()


@pytest.mark.parametrize('message', MESSAGES)
def test_a_quoted_message_is_one_that_the_code_has(message):
    """Values at its ends may be left out; what stands between may not."""
    wanted = message.strip('… ').strip()
    assert len(wanted) > 10 and any(wanted in text for text in SAID), wanted


def test_a_changed_word_is_noticed():
    assert not any('no camera_info for …' in text for text in SAID)
    assert any('no camera_info on … for …: images go on' in text for text in SAID)


def test_every_row_says_what_why_and_what_to_do():
    assert len(ROWS) > 35 and len(MESSAGES) > 30
    assert all(len(row) == 3 and all(row) for row in ROWS)
