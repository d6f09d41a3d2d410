"""The README shows commands that exist and files that are there."""

import re
import shlex
from pathlib import Path

import pytest
import typer

from pocketgan.cli import app

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()
COMMANDS = [
    command.strip()
    for line in README.splitlines()
    if line.startswith("    ") and "pocketgan " in line
    for command in re.split(r"\s{3,}|;", line.strip().split("#")[0])
    if "pocketgan " in command
]


def test_the_readme_shows_commands():
    assert len(COMMANDS) >= 6


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_parses(command):
    """Verbs, options and the number of arguments are those of the command line."""
    words = shlex.split(command)
    arguments = words[words.index(next(w for w in words if w.endswith("pocketgan"))) + 1 :]
    group = typer.main.get_command(app)
    verb = group.commands[arguments[0]]
    verb.make_context(arguments[0], arguments[1:], resilient_parsing=False)


def test_make_targets_exist():
    targets = re.findall(r"^    make (\w+)", README, re.MULTILINE)
    makefile = (ROOT / "Makefile").read_text()
    assert targets
    for target in targets:
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_every_link_leads_somewhere():
    links = re.findall(r"\]\(([^)#]+)\)", README)
    assert len(links) >= 8
    for link in links:
        assert (ROOT / link).exists(), link
