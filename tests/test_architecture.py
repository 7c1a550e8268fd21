"""The shape of the house, enforced: who may import whom, what may not exist, and that every exhibit is whole."""

import ast
import dataclasses
import importlib.metadata
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import pytest

from app.registry import EXHIBITS, Exhibit

ROOT = Path(__file__).resolve().parents[1]
LAYERS = ("cython_ext", "core", "app", "pages")
"""From the bottom up: a layer imports itself and what stands before it."""
SHARED = {"errors", "exhibit", "arrays", "io", "ran"}
"""What lies under core/ for every system; all else there is a system and knows no other."""
SCREEN = {"streamlit", "gradio", "plotly", "fastapi", "starlette", "uvicorn"}
TOP_LEVEL = {
    "app", "pages", "core", "cython_ext", "assets", "tests", "requirements.txt", "launch.py",
    "README.md", "ARCHITECTURE.md", "CHANGELOG.md", "LICENSE", "pyproject.toml", ".streamlit", ".ci", ".gitignore",
}
NOT_OURS = {".git", ".venv", ".hypothesis", ".rivals", "build", "wheelhouse", "__pycache__"}
LONGEST_FUNCTION = 70
ASSETS_BYTES = 40_000_000


@lru_cache
def files() -> tuple[Path, ...]:
    """Every file of the repository, relative to its root: what git would keep, or what lies here where there is no git."""
    try:
        listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard", "-z"], cwd=ROOT, capture_output=True, check=True).stdout.decode()
        found = [Path(name) for name in listed.split("\0") if name]
    except (OSError, subprocess.CalledProcessError):
        found = [p.relative_to(ROOT) for p in ROOT.rglob("*") if p.is_file()]
    return tuple(sorted(p for p in found if (ROOT / p).is_file() and not NOT_OURS & set(p.parts) and p.suffix not in (".so", ".pyd", ".pyc")))


def sources(*folders: str) -> list[Path]:
    """The Python files of these top-level folders (of all, with none named)."""
    return [p for p in files() if p.suffix == ".py" and (not folders or p.parts[0] in folders)]


@lru_cache
def tree(path: Path) -> ast.Module:
    return ast.parse((ROOT / path).read_text("utf8"), str(path))


def imports(path: Path) -> Iterator[tuple[str, ...]]:
    """The dotted names a file imports anywhere in it, split; `from a import b` counts as a.b."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from (tuple(alias.name.split(".")) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = (path.parent.parts[:len(path.parent.parts) - node.level + 1] if node.level else ()) + tuple((node.module or "").split(".") if node.module else ())
            yield from ((*base, alias.name) for alias in node.names)


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (node for node in ast.walk(tree(path)) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)))


# ---------------------------------------------------------------- who imports whom

@pytest.mark.parametrize("layer", LAYERS)
def test_imports_run_one_way(layer: str) -> None:
    above = set(LAYERS[LAYERS.index(layer) + 1:]) | {"tests", "launch"}
    wrong = [f"{path}: {'.'.join(name)}" for path in sources(layer) for name in imports(path) if name[0] in above]
    assert not wrong


def test_the_core_knows_no_screen() -> None:
    wrong = [f"{path}: {name[0]}" for path in sources("core", "cython_ext") for name in imports(path) if name[0] in SCREEN]
    assert not wrong


def test_the_kernels_import_nothing_of_ours() -> None:
    ours = {*LAYERS, "tests", "launch"} - {"cython_ext"}
    assert not [f"{path}: {name[0]}" for path in sources("cython_ext") for name in imports(path) if name[0] in ours]


def test_no_system_imports_another() -> None:
    wrong = []
    for path in sources("core"):
        system = path.parts[1] if len(path.parts) > 2 else None
        known = SHARED | ({system} if system not in SHARED else set())
        wrong += [f"{path}: {'.'.join(name)}" for name in imports(path) if name[0] == "core" and len(name) > 1 and name[1] not in known]
    assert not wrong


def test_what_is_imported_is_declared() -> None:
    """A package that only comes along with another may be gone with its next version."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf8"))
    listed = [*project["project"]["dependencies"], *sum(project["project"]["optional-dependencies"].values(), [])]
    declared = {re.match(r"[A-Za-z0-9._-]+", entry)[0].lower().replace("_", "-") for entry in listed} | {"torch"}
    origin = importlib.metadata.packages_distributions()
    missing = set()
    for path in sources(*LAYERS):
        for name in {n[0] for n in imports(path)} - sys.stdlib_module_names - set(LAYERS):
            wheels = {wheel.lower().replace("_", "-") for wheel in origin.get(name, [name])}
            missing |= {f"{path}: {name}"} if not wheels & declared else set()
    assert not missing


def test_gradio_builds_nothing_at_import() -> None:
    """Building Blocks at import starts threads and look-ups before the port is open."""
    wrong = []
    for path in sources("app"):
        names = {alias.asname or alias.name for node in ast.walk(tree(path)) if isinstance(node, ast.Import) for alias in node.names if alias.name.startswith("gradio")}
        names |= {alias.asname or alias.name for node in ast.walk(tree(path)) if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("gradio")
                  for alias in node.names}
        wrong += [f"{path}:{call.lineno}" for call in _calls_at_import(tree(path)) if _root_name(call.func) in names]
    assert not wrong


def _calls_at_import(node: ast.AST) -> Iterator[ast.Call]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            continue
        if isinstance(child, ast.Call):
            yield child
        yield from _calls_at_import(child)


def _root_name(node: ast.AST) -> str:
    while isinstance(node, ast.Attribute):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""


# ---------------------------------------------------------------- what may not exist

def test_the_top_level_is_the_agreed_one() -> None:
    assert {path.parts[0] for path in files()} <= TOP_LEVEL


def test_no_drawer_for_odds_and_ends() -> None:
    assert not [path for path in files() if path.stem in ("utils", "util", "helpers", "helper", "common", "misc")]


def test_functions_stay_short() -> None:
    long = [f"{path}:{f.lineno} {f.name}: {f.end_lineno - f.lineno + 1}" for path in sources() for f in functions(path)
            if f.end_lineno - f.lineno + 1 > LONGEST_FUNCTION]
    assert not long


def test_every_module_says_what_it_is() -> None:
    assert not [str(path) for path in sources() if tree(path).body and not ast.get_docstring(tree(path))]


# Spelt in two halves so that this file does not contain what it looks for.
FORBIDDEN = {
    "a path of one machine": re.compile(r"(?<![\w.}])/(?:wor" r"k|roo" r"t|ho" r"me/\w+|tm" r"p|op" r"t|User" r"s)/\w"),
    "the host of a package index": re.compile(r"pypi\.or" r"g|pythonhosted\.or" r"g|download\.pytorc" r"h", re.I),
    "an unfinished place": re.compile(r"\b(?:TOD" r"O|FIXM" r"E|XX" r"X)\b"),
}


@pytest.mark.parametrize("what", FORBIDDEN)
def test_no_file_contains(what: str) -> None:
    found = []
    for path in files():
        data = (ROOT / path).read_bytes()
        if b"\0" not in data[:4096] and path.suffix not in (".svg", ".woff2"):
            lines = data.decode("utf8", "replace").splitlines()
            found += [f"{path}:{number}: {line.strip()[:100]}" for number, line in enumerate(lines, 1) if FORBIDDEN[what].search(line)]
    assert not found


def test_assets_are_bounded_and_hold_data_only() -> None:
    held = [path for path in files() if path.parts[0] == "assets"]
    assert sum((ROOT / path).stat().st_size for path in held) < ASSETS_BYTES
    assert not [path for path in held if path.suffix in (".py", ".pyx", ".ipynb", ".pkl", ".pickle", ".pt", ".pth")]


# ---------------------------------------------------------------- the locks

@pytest.mark.parametrize("lock", ["requirements.txt", "tests/requirements.txt"])
def test_locks_pin_and_hash_every_package(lock: str) -> None:
    blocks = re.split(r"\n(?=[A-Za-z0-9])", (ROOT / lock).read_text("utf8").strip())
    assert len(blocks) > 20
    assert not [block.splitlines()[0] for block in blocks if "==" not in block.splitlines()[0] or "--hash=sha256:" not in block]


def test_the_lock_holds_what_is_declared_one_opencv_and_no_torch() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf8"))
    names = set(re.findall(r"^([A-Za-z0-9._-]+)==", (ROOT / "requirements.txt").read_text("utf8"), re.M))
    declared = {re.match(r"[A-Za-z0-9._-]+", entry)[0] for entry in project["project"]["dependencies"]}
    assert declared <= names
    assert {name for name in names if name.startswith("opencv")} == {"opencv-python-headless"} and "torch" not in names


# ---------------------------------------------------------------- every exhibit is whole

@pytest.fixture(params=EXHIBITS, ids=lambda row: row.slug)
def row(request: pytest.FixtureRequest) -> Exhibit:
    return request.param


def test_slugs_and_pages_are_unique() -> None:
    assert len({row.slug for row in EXHIBITS}) == len({row.page for row in EXHIBITS}) == len(EXHIBITS) > 0
    assert all(re.fullmatch(r"[a-z][a-z0-9-]*", row.slug) and row.slug not in ("widgets", "api", "static", "media", "component") for row in EXHIBITS)


def test_an_exhibit_has_its_core_module(row: Exhibit) -> None:
    module = row.module()
    assert dataclasses.is_dataclass(module.Config) and module.Config.__dataclass_params__.frozen
    assert callable(module.run) and callable(module.warm)
    assert module.Config() == module.Config(), "every setting has a default"


def test_an_exhibit_has_a_short_page(row: Exhibit) -> None:
    text = (ROOT / row.page).read_text("utf8")
    assert 0 < len(text.splitlines()) <= 200
    assert not [name for name in imports(Path(row.page)) if name[0] in ("numpy", "scipy", "cv2", "torch")], "a page does no maths"


def test_an_exhibit_has_samples_whose_origin_is_stated(row: Exhibit) -> None:
    assert row.samples
    stated = "".join(path.read_text("utf8") for path in (ROOT / "assets" / "samples").rglob("SOURCES.md"))
    for sample in row.samples:
        assert sample.path.is_file() and sample.path.stat().st_size <= row.max_bytes
        assert sample.path.suffix[1:].lower() in row.accepts
        assert sample.path.name in stated


@pytest.mark.parametrize("part, names", [("figures", {"finding", "comparison", "report"}), ("blocks", {"build"})])
def test_an_exhibits_modules_have_their_functions(row: Exhibit, part: str, names: set[str]) -> None:
    module = getattr(row, part)
    if module is None:
        pytest.skip(f"{row.slug} has no {part}")
    path = Path(*module.split(".")).with_suffix(".py")
    assert (ROOT / path).is_file()
    assert names <= {node.name for node in tree(path).body if isinstance(node, ast.FunctionDef)}


# ---------------------------------------------------------------- the tests themselves

def test_every_test_can_fail() -> None:
    """A test function asserts, expects an exception, or calls something whose name says that it checks."""
    empty = []
    for path in sources("tests"):
        if path.name.startswith("test_"):
            empty += [f"{path}:{f.lineno} {f.name}" for f in functions(path) if f.name.startswith("test_") and not _checks(f)]
    assert not empty


def _checks(function: ast.AST) -> bool:
    for node in ast.walk(function):
        if isinstance(node, ast.Assert):
            return True
        if isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            strict = any(k.arg == "check" and getattr(k.value, "value", None) is True for k in node.keywords)  # subprocess.run(check=True)
            if strict or re.search(r"assert|expect|check|raises|fail|^wait_for", name):  # Playwright's wait_for raises when it waits in vain
                return True
    return False


def test_the_check_of_a_change_is_the_readmes_command() -> None:
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    assert script.read_text("utf8").rstrip().endswith('exec python3 launch.py test "$@"')
    assert "python3 launch.py test" in (ROOT / "README.md").read_text("utf8")
