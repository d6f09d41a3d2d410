"""What the site has besides the pages of this folder: the command line's reference, pages from elsewhere, and how
docstrings are read."""

import posixpath
import re
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Any

import griffe

ROOT = Path(__file__).resolve().parents[1]
#: pages of the site that are files elsewhere in the repository
ELSEWHERE = {
    "benchmarks.md": "benchmarks/README.md",
    "ablations.md": "benchmarks/ablations.md",
    "changelog.md": "CHANGELOG.md",
}
LINK = re.compile(r"(?P<mark>!?)\[(?P<label>[^\]]+)\]\((?P<target>[^)\s#]+)(?P<anchor>#[^)\s]*)?\)")

#: an entry of a docstring that speaks of several arguments at once, with the lines that go on with it
SEVERAL = re.compile(r"^ {4}(?P<names>(?:\w+,\s+)+\w+):(?P<text>.*(?:\n {8,}.*)*)", re.MULTILINE)


class OneByOne(griffe.Extension):
    """What a docstring says of several arguments at once is said of each: the tables have a row for every one."""

    def on_object(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        if obj.docstring:
            obj.docstring.value = SEVERAL.sub(
                lambda entry: "\n".join(
                    f"    {name}:{entry['text']}" for name in re.split(r",\s+", entry["names"])
                ),
                obj.docstring.value,
            )


def on_files(files: Any, config: Any) -> Any:
    from mkdocs.structure.files import File

    pages = {page: (ROOT / path).read_text() for page, path in ELSEWHERE.items()}
    for page, text in {**pages, "reference/cli.md": command_line()}.items():
        files.append(File.generated(config, page, content=text))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Links as GitHub follows them become links of the site; what the site does not have is named by its path."""
    here = posixpath.dirname(ELSEWHERE.get(page.file.src_uri, f"docs/{page.file.src_uri}"))
    pages = {**{path: name for name, path in ELSEWHERE.items()}, "README.md": "index.md"}

    def followed(link: re.Match[str]) -> str:
        if "://" in link["target"] or link["target"].startswith("mailto:"):
            return link[0]
        path = posixpath.normpath(posixpath.join(here, link["target"]))
        target = pages.get(path, path.removeprefix("docs/") if path.startswith("docs/") else "")
        if not target:
            return f"{link['label']} (`{path}`)"
        to = posixpath.relpath(target, posixpath.dirname(page.file.src_uri) or ".")
        return f"{link['mark']}[{link['label']}]({to}{link['anchor'] or ''})"

    return LINK.sub(followed, markdown)


def command_line() -> str:
    """The page of the command line, as the program itself tells it."""
    import typer

    from pocketgan.cli import app

    group = typer.main.get_command(app)
    context = group.make_context("pocketgan", [], resilient_parsing=True)
    lines = [
        "# Command line",
        "",
        "Made from the program itself: `pocketgan COMMAND --help` says the same.",
        "",
        "Exit codes: 0 on success, 2 on a mistake of the user (one line: rule, value, remedy) or Ctrl-C, 143 on "
        "SIGTERM, 1 on an error of ours.",
        "",
        *_options(group, context),
    ]
    for name, command in group.commands.items():  # type: ignore[attr-defined]
        lines += ["", f"## {name}", "", command.help.strip(), *_command(name, command, context)]
    return "\n".join(lines) + "\n"


def _command(name: str, command: Any, parent: Any) -> Iterator[str]:
    with command.make_context(name, [], parent=parent, resilient_parsing=True) as context:
        example = command.epilog.removeprefix("Example: ")
        yield from ("", "```text", command.get_usage(context).removeprefix("Usage: "), "```", "")
        yield from ("Example:", "", "```sh", example, "```", "")
        yield from _options(command, context)


def _options(command: Any, context: Any) -> Iterator[str]:
    yield from ("| Argument or option | Meaning |", "|---|---|")
    for each in command.get_params(context):
        if record := each.get_help_record(context):
            names, text = (escape(" ".join(part.split())).replace("|", "&#124;") for part in record)
            yield f"| <code>{names}</code> | {text.replace('[', '&#91;').replace('*', '&#42;')} |"
