"""What `run.py` needs installed, in `.tools/interop`: Node's packages and Python's, as the lock files name them.

The clients are copied there first, so that what is built and run is what somebody has who copies the folder.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

EXAMPLES = Path(__file__).resolve().parent.parent
PROJECT = EXAMPLES.parent
HOME = PROJECT / ".tools" / "interop"
TYPESCRIPT = HOME / "typescript"
PYTHON = HOME / "python"
INTERPRETER = HOME / "venv" / "bin" / "python"

NO_NODE = """Node is missing, and the TypeScript client needs it (20 or newer). On Debian and Ubuntu this installs it:

    sudo apt-get install --yes nodejs npm
"""


class Missing(Exception):
    """Something that the run needs is not there; the message says what installs it."""


def install() -> None:
    """Makes both clients ready, and checks their types."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        raise Missing(NO_NODE)
    _copy(EXAMPLES / "typescript", TYPESCRIPT, keep="node_modules")
    _copy(EXAMPLES / "python", PYTHON)
    _once(TYPESCRIPT / "package-lock.json", ["npm", "ci", "--no-progress", "--loglevel", "error"], TYPESCRIPT)
    requirements = PYTHON / "requirements-dev.txt"
    if not INTERPRETER.exists():
        _run([sys.executable, "-m", "venv", str(INTERPRETER.parent.parent)], HOME)
    pip = [str(INTERPRETER), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    _once(requirements, [*pip, "--require-hashes", "--only-binary", ":all:", "-r", str(requirements)], PYTHON)
    _run(["npx", "tsc"], TYPESCRIPT)
    for folder in (PYTHON, EXAMPLES / "interop"):
        _run([str(INTERPRETER), "-m", "mypy", "--strict", "--no-error-summary", "."], folder)


def _copy(source: Path, target: Path, keep: str = "") -> None:
    """`target` becomes `source`, but for the folder `keep`."""
    target.mkdir(parents=True, exist_ok=True)
    for old in target.iterdir():
        if old.is_dir() and old.name != keep:
            shutil.rmtree(old)
        elif not old.is_dir() and not old.name.endswith(".installed"):
            old.unlink()
    left = shutil.ignore_patterns("node_modules", "dist", "__pycache__", ".mypy_cache", "sealprove-state")
    shutil.copytree(source, target, ignore=left, dirs_exist_ok=True)


def _once(lock: Path, command: list[str], folder: Path) -> None:
    """Runs an installation anew where the lock file is another than the one that was installed."""
    digest = hashlib.sha256(lock.read_bytes()).hexdigest()
    stamp = folder / f"{lock.name}.installed"
    if not stamp.exists() or stamp.read_text() != digest:
        _run(command, folder)
        stamp.write_text(digest)


def _run(command: list[str], folder: Path) -> None:
    ended = subprocess.run(command, cwd=folder, timeout=300, check=False, stdin=subprocess.DEVNULL)
    if ended.returncode != 0:
        raise Missing(f"this failed: {' '.join(command)}")
