"""The plan of the house, executed: who may import what, how large a room may grow."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import REPO

PACKAGE = REPO / "histoclf"
MODULES = sorted(PACKAGE.rglob("*.py"))
ROOMS = sorted(folder.parent.name for folder in PACKAGE.glob("*/__init__.py"))

MOST_LINES_IN_A_MODULE = 400
MOST_LINES_IN_A_BODY = 40

# Loaded only by the work that needs them, so that a listing of files answers at once. (pandas is not among
# them: scikit-learn loads it wherever it is installed.)
HEAVY = {"tensorflow", "keras", "scikeras", "matplotlib", "imblearn"}
OPTIONAL = {"cleanlab", "imblearn", "jinja2", "matplotlib", "pandas", "psutil"}
ROOMS_WITHOUT_A_NETWORK = {"io", "preprocessing", "datasets", "metrics"}

FUNCTION = ast.FunctionDef | ast.AsyncFunctionDef

each_module = pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))


def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def imports(tree: ast.AST) -> Iterator[tuple[str, list[str]]]:
    """Each import as (module, names taken from it); no names for a plain ``import module``."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, []) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: write the module's full name"
            yield node.module or "", [alias.name for alias in node.names]


def names_private_part_of_sklearn(module: str, names: list[str]) -> bool:
    parts = [*module.split("."), *names]
    return parts[0] == "sklearn" and any(part.startswith("_") for part in parts[1:])


def body_length(function: FUNCTION) -> int:
    """Lines from the first statement to the last, the docstring left out."""
    body = function.body[1:] if ast.get_docstring(function) is not None else function.body
    return 1 + (body[-1].end_lineno or 0) - body[0].lineno if body else 0


def loaded_by(statement: str, env: dict[str, str]) -> set[str]:
    """Names of the modules in a fresh interpreter after a statement."""
    script = f"{statement}\nimport sys\nprint(*sys.modules)"
    return set(run_script(script, env).split())


def run_script(script: str, env: dict[str, str]) -> str:
    """What a script prints in a fresh interpreter where warnings are errors."""
    command = [sys.executable, "-W", "error", "-c", script]
    done = subprocess.run(command, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


# --- who imports what --------------------------------------------------------------------------------------


def test_imports_keep_the_contract_of_setup_cfg():
    # In a process of its own: import-linter configures logging, which closes handlers of other libraries.
    code = "import sys; from importlinter import cli; sys.exit(cli.lint_imports(no_cache=True, no_logo=True))"
    linter = subprocess.run([sys.executable, "-c", code], cwd=REPO, capture_output=True, text=True)
    assert linter.returncode == 0, linter.stdout + linter.stderr


@each_module
def test_imports_go_to_the_module_and_not_through_a_package(path):
    if path == PACKAGE / "__init__.py":
        pytest.skip("the top level is the one place that gathers names")
    for module, names in imports(parse(path)):
        package = REPO.joinpath(*module.split("."))
        if module.split(".")[0] != "histoclf" or not package.is_dir():
            continue
        through = [name for name in names if not (package / f"{name}.py").exists()]
        assert (module, {*through} - {"__version__"}) == ("histoclf", set()), (
            f"{path.name} takes {', '.join(names)} from the package {module}; name the module that defines it"
        )


@each_module
def test_only_validation_knows_private_scikit_learn(path):
    if path == PACKAGE / "_validation.py":
        pytest.skip("the door itself")
    private = [found for found in imports(parse(path)) if names_private_part_of_sklearn(*found)]
    assert not private, f"take these from histoclf._validation: {private}"


@each_module
def test_optional_packages_are_imported_where_they_are_used(path):
    at_import = [node for node in parse(path).body if isinstance(node, ast.Import | ast.ImportFrom)]
    found = {module.split(".")[0] for node in at_import for module, _ in imports(node)}
    assert not found & OPTIONAL


@pytest.mark.parametrize(
    ("module", "names", "private"),
    [
        ("sklearn.base", ["BaseEstimator"], False),
        ("sklearn.base", ["_fit_context"], True),
        ("sklearn.utils._param_validation", ["Interval"], True),
        ("sklearn", ["_config"], True),
        ("numpy._core", ["x"], False),
    ],
)
def test_the_check_for_private_scikit_learn_sees_what_it_should(module, names, private):
    assert names_private_part_of_sklearn(module, names) is private


# --- what an import loads ----------------------------------------------------------------------------------


def test_import_histoclf_loads_next_to_nothing(child_env):
    loaded = loaded_by("import histoclf", child_env)
    own = {name for name in loaded if name.split(".")[0] == "histoclf"}
    assert own == {"histoclf", "histoclf.exceptions"}
    heavy = loaded & (HEAVY | {"sklearn", "numpy", "pandas", "PIL", "joblib", "tqdm"})
    assert not heavy


def test_import_histoclf_adds_at_most_a_fifth_of_a_second_to_sklearn(child_env):
    script = """
import sklearn, time
start = time.process_time()
import histoclf
print(time.process_time() - start)
"""
    assert float(run_script(script, child_env)) < 0.2


@pytest.mark.parametrize("room", sorted(ROOMS_WITHOUT_A_NETWORK & {*ROOMS}))
def test_rooms_below_networks_load_nothing_heavy(room, child_env):
    heavy = loaded_by(f"import histoclf.{room}", child_env) & HEAVY
    assert not heavy


# --- how large a room may grow -----------------------------------------------------------------------------


@each_module
def test_modules_stay_small(path):
    n_lines = len(path.read_text(encoding="utf-8").splitlines())
    assert n_lines <= MOST_LINES_IN_A_MODULE


@each_module
def test_functions_stay_small(path):
    functions = (node for node in ast.walk(parse(path)) if isinstance(node, FUNCTION))
    lengths = {f"{node.name}, line {node.lineno}": body_length(node) for node in functions}
    long = {name: length for name, length in lengths.items() if length > MOST_LINES_IN_A_BODY}
    assert not long, f"lines in the body: {long}"


def test_no_module_without_a_subject():
    assert not {"utils", "_utils", "helpers", "_helpers", "misc", "common"} & {path.stem for path in MODULES}


def test_every_room_has_its_folder_of_tests():
    """Tests mirror the rooms, so that a reader finds them."""
    assert all((REPO / "tests" / room).is_dir() for room in ROOMS)
