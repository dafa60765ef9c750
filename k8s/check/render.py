"""What kustomize makes of an overlay, and whether that is what is committed."""

import os
import subprocess
import sys
from pathlib import Path

# The tools folder's own, whatever this machine has.
KUBECTL = Path(__file__).resolve().parents[2] / ".tools" / "k8s" / "bin" / "kubectl"


def overlay(folder: Path) -> str:
    done = subprocess.run([KUBECTL, "kustomize", folder], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"k8s: {folder.name}: {done.stderr.strip()}")
    return "# Made by `UPDATE_RENDERED=1 make k8s`; what to change is in k8s/.\n" + done.stdout


def differences(committed: Path, text: str) -> list[str]:
    if os.environ.get("UPDATE_RENDERED"):
        committed.write_text(text)
        return []
    if committed.is_file() and committed.read_text() == text:
        return []
    return [f"{committed.parent.name}/{committed.name} is not what its overlay renders to: UPDATE_RENDERED=1 make k8s"]
