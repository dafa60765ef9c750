"""What the checks have to refuse: files whose first line says what is wrong with them, and nothing else is.

    # violates: baseline: Host Ports            a pod, and the one control that it breaks
    # wrong: spec.replicas                      an object, and where its schema is broken
"""

from pathlib import Path

import yaml

import restricted
import schemas


def problems(folder: Path) -> tuple[int, list[str]]:
    """How many were refused as they must be, and what was not."""
    refused, wrong, seen = 0, [], set()
    for path in sorted(folder.glob("*/*.yaml")):
        says, _, what = path.read_text().splitlines()[0].removeprefix("# ").partition(": ")
        item = yaml.safe_load(path.read_text())
        if says == "violates":
            found = {control for control, _ in restricted.violations(item)}
            seen.add(what)
            right = found == expected(what)
        else:
            found = schemas.problems(item)
            right = bool(found) and all(what in problem for problem in found)
        refused += right
        wrong += [] if right else [f"fixture {path.name} must be refused for {what}, and is for {sorted(found)}"]
    wrong += [f"no fixture violates {control}" for control in restricted.CONTROLS if control not in seen]
    return refused, wrong


def expected(control: str) -> set[str]:
    """What "restricted" tightens, a pod that breaks the looser control breaks as well."""
    tightened = {
        "baseline: Capabilities": "restricted: Capabilities",
        "baseline: HostPath Volumes": "restricted: Volume Types",
        "baseline: Seccomp": "restricted: Seccomp",
        "baseline: Privileged Containers": None,
    }
    return {control} | ({tightened[control]} if tightened.get(control) else set())
