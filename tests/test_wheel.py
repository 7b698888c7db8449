"""What users install: the wheel, in an environment of its own, in a folder that is not the clone."""

import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent


def run(*command: object, folder: Path, **environment: str) -> str:
    done = subprocess.run(
        [str(word) for word in command],
        cwd=folder,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from what git knows, as a release would be."""
    clone = tmp_path_factory.mktemp("clone")
    for name in run("git", "ls-files", folder=ROOT).splitlines():
        if (ROOT / name).exists():
            (clone / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, clone / name, follow_symlinks=False)
    build = (sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", clone / "out")
    run(*build, folder=clone)
    (built,) = (clone / "out").glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The commands' folder of an environment that has the wheel, and the dependencies of this one."""
    folder = tmp_path_factory.mktemp("environment")
    run(sys.executable, "-m", "venv", "--without-pip", folder, folder=folder)
    python = folder / "bin" / "python"
    install = ("-m", "pip", "--python", python, "install", "--quiet", "--no-deps", wheel)
    run(sys.executable, *install, folder=folder)
    site = run(
        python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", folder=folder
    )
    # A path line, not a site folder: this environment's editable install is not seen.
    Path(site.strip(), "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return folder / "bin"


def test_the_wheel_holds_what_runs(wheel: Path) -> None:
    """Lua scripts, the console, the decoder and its card, the type marker; no tests and no data."""
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {
        "service/adapters/lua/claim.lua",
        "service/api/console/index.html",
        "service/api/console/app.js",
        "service/bundled_decoders/mnist/decoder.onnx",
        "service/bundled_decoders/mnist/card.json",
        "latentmill/__init__.py",
        "latentmill/py.typed",
        "workers/archives/zip.py",
        "workers/kernel/png.py",
        "export/publish.py",
    } <= names
    tops = {name.partition("/")[0] for name in names if ".dist-info" not in name}
    assert tops == {"service", "workers", "export", "latentmill"}


def test_the_wheel_is_what_runs(installed: Path, tmp_path: Path) -> None:
    """Not the clone: the test below would otherwise prove nothing."""
    told = run(
        installed / "python", "-c", "import service; print(service.__file__)", folder=tmp_path
    )
    assert Path(told.strip()).is_relative_to(installed.parent)


@pytest.mark.slow
def test_the_demo_runs_from_the_wheel(
    installed: Path, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """In an empty folder: images made, verified and drawn, and only the asked folder is left."""
    # Once, and not in each of the demo's workers at the same time.
    kept = {"NUMBA_CACHE_DIR": str(tmp_path_factory.mktemp("kernels"))}
    assert "compiled" in run(installed / "latentmill", "compile", folder=tmp_path, **kept)
    told = run(installed / "latentmill", "demo", "--count", "3000", folder=tmp_path, **kept)
    assert "verified 3,000 images" in told
    assert "ratio" in told
    assert [path.name for path in tmp_path.iterdir()] == ["latentmill-demo"]
    assert (tmp_path / "latentmill-demo" / "contact-sheet.png").stat().st_size > 1000
