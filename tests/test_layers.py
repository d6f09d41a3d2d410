"""Imports point down the layers; each kind of knowledge has one place; no file outgrows its reader.

From low to high; those side by side must not know each other either:

    errors, seeds, trees < distributed < units, files, folders, runtime < download, progress < networks, losses
    < elastic, data < models, interop, tracing < pretrained < metrics < deploy, prepare < objectives
    < training, search < pipeline < report
    < recipes, runs < methods, demo < catalog, studies < api < cli < __main__

`report` is above `pipeline` though it needs nothing of it: it shows what the stages left. `deploy` is below
`pipeline` because exporting is a stage. `cli` may be a module or a package. The package itself names what is
public, wherever that is.
"""

import ast
import re
from pathlib import Path

import pocketgan

ROOT = Path(pocketgan.__file__).parent
TEXTS = {path: path.read_text() for path in sorted(ROOT.rglob("*.py"))}
TREES = {path: ast.parse(text) for path, text in TEXTS.items()}
LAYERS = (
    {"errors", "seeds", "trees"},
    {"distributed"},
    {"units", "files", "folders", "runtime"},
    {"download", "progress"},
    {"networks", "losses"},
    {"elastic", "data"},
    {"models", "interop", "tracing"},
    {"pretrained"},
    {"metrics"},
    {"deploy", "prepare"},
    {"objectives"},
    {"training", "search"},
    {"pipeline"},
    {"report"},
    {"recipes", "runs"},
    {"methods", "demo"},
    {"catalog", "studies"},
    {"api"},
    {"cli"},
    {"__main__"},
)
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}
LONGEST = 350


def part(path: Path) -> str:
    """The sub-package or module at the top, e.g. networks; the empty string for the package itself."""
    name = path.relative_to(ROOT).parts[0].removesuffix(".py")
    return "" if name == "__init__" else name


def place(path: Path, node: ast.AST | None = None) -> str:
    where = path.relative_to(ROOT).as_posix()
    return where if node is None else f"{where}:{node.lineno}"


def nodes(*kinds: type[ast.AST], besides: str | None = None) -> list[tuple[Path, ast.AST]]:
    """All nodes of these kinds, outside of one part of the package."""
    return [
        (path, node)
        for path, tree in TREES.items()
        if part(path) != besides
        for node in ast.walk(tree)
        if isinstance(node, kinds)
    ]


def imports(besides: str | None = None) -> list[tuple[Path, ast.AST, str]]:
    """Every import, wherever in its file, with the full name of what is imported."""
    found = []
    for path, node in nodes(ast.Import, ast.ImportFrom, besides=besides):
        start = f"{'.' * node.level}{node.module}." if isinstance(node, ast.ImportFrom) else ""
        found += [(path, node, start + alias.name) for alias in node.names]
    return found


def calls(besides: str) -> list[tuple[Path, ast.AST, str]]:
    return [(path, node, ast.unparse(node.func)) for path, node in nodes(ast.Call, besides=besides)]


def test_every_part_has_its_level():
    assert {part(path) for path in TEXTS} - {""} == set(LEVEL)


def test_imports_point_down():
    wrong = []
    for path, node, name in imports():
        package, _, rest = name.partition(".")
        own, other = part(path), rest.partition(".")[0]
        if (
            package == "pocketgan"
            and other in LEVEL
            and own != other
            and LEVEL[other] >= LEVEL.get(own, len(LAYERS))
        ):
            wrong.append(f"{place(path, node)}: {own or 'the package'} imports {name}")
    assert wrong == []


def test_imports_are_absolute():
    assert [place(path, node) for path, node, name in imports() if name.startswith(".")] == []


def test_no_torchvision():
    assert [place(path, node) for path, node, name in imports() if name.split(".")[0] == "torchvision"] == []


def test_only_the_command_line_prints_and_exits():
    """And progress, which a caller asks for."""
    speaking = {"print", "exit", "quit", "sys.exit", "os._exit", "sys.stdout.write", "sys.stderr.write"}
    wrong = [place(path, node) for path, node, name in calls(besides="cli") if name in speaking]
    wrong = [where for where in wrong if not where.startswith("progress.py")]
    wrong += [place(path, node) for path, node in nodes(ast.Name, besides="cli") if node.id == "SystemExit"]
    assert wrong == []


def test_only_interop_knows_foreign_formats():
    """Pickled checkpoints, and how the official code names tensors; the command line and the networks that others
    trained may name such files."""
    pickling = {"pickle", "dill", "joblib"}
    wrong = [place(path, node) for path, node, name in imports("interop") if name.split(".")[0] in pickling]
    reading = {"torch.load", "torch.save", "torch.jit.load", "torch.hub.load"}
    wrong += [place(path, node) for path, node, name in calls(besides="interop") if name in reading]
    foreign = re.compile(r"\.(pth|ckpt|pkl)\b|\bmodel\.\d+\.|conv_block|netG|netD")
    wrong += [
        place(path, node)
        for path, node in nodes(ast.Constant, besides="interop")
        if part(path) not in ("cli", "pretrained") and isinstance(node.value, str) and foreign.search(node.value)
    ]
    assert wrong == []


def test_networks_know_only_networks():
    """Not what becomes of them."""
    other = re.compile(r"supernet|budget|stage", re.IGNORECASE)
    wrong = [
        f"{place(path)}:{number}: {line.strip()}"
        for path, text in TEXTS.items()
        if part(path) == "networks"
        for number, line in enumerate(text.splitlines(), 1)
        if other.search(line)
    ]
    assert wrong == []


def test_files_are_short():
    lengths = {place(path): len(text.splitlines()) for path, text in TEXTS.items()}
    assert {name: length for name, length in lengths.items() if length > LONGEST} == {}


def test_files_have_a_subject():
    vague = {"utils", "util", "helpers", "misc", "common"}
    assert [place(path) for path in TEXTS if vague & {path.stem, *path.relative_to(ROOT).parts}] == []
    assert [place(path) for path, tree in TREES.items() if not ast.get_docstring(tree)] == []
