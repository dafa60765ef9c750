"""Renders every overlay, and holds each object of it against what was published: `make k8s`.

 1. k8s/rendered/ is what `kubectl kustomize` makes of overlays and broker (UPDATE_RENDERED=1 writes it).
 2. Every object is of the schemas of the three newest Kubernetes versions; those of KEDA and of the Prometheus operator
    are of the models that were generated from their definitions.
 3. Every pod is of the Pod Security profile "restricted", control by control.
 4. The alerts are PromQL on metrics that the service has, and the PrometheusRule is the rule file.

Each check must be able to fail: fixtures/ holds what each of them has to refuse. What the manifests must agree on
with the code (ports, paths, memory, durations), tests/unit/k8s.rs holds.
"""

import sys
from pathlib import Path

import yaml

import alerts
import fixtures
import render
import restricted
import schemas

K8S = Path(__file__).resolve().parent.parent


def main() -> int:
    problems = alerts.problems(K8S)
    refused, wrong = fixtures.problems(Path(__file__).resolve().parent / "fixtures")
    problems += wrong
    checked = pods = 0
    for overlay in [*sorted((K8S / "overlays").iterdir()), K8S / "components" / "broker"]:
        text = render.overlay(overlay)
        problems += render.differences(K8S / "rendered" / f"{overlay.name}.yaml", text)
        for item in filter(None, yaml.safe_load_all(text)):
            name = f"{overlay.name}: {item['kind']} {item['metadata']['name']}"
            problems += [f"{name}: {problem}" for problem in schemas.problems(item)]
            problems += [f"{name}: {control}: {why}" for control, why in restricted.violations(item)]
            checked += 1
            pods += restricted.pod_of(item) is not None
    for problem in problems:
        print(f"k8s: {problem}", file=sys.stderr)
    if not checked or not pods or not refused:
        print("k8s: nothing was checked", file=sys.stderr)
        return 1
    print(f"k8s: {checked} objects, {pods} of them with pods, against Kubernetes {', '.join(schemas.VERSIONS)}")
    print(f"k8s: {len(restricted.CONTROLS)} controls of the restricted profile; {refused} fixtures refused as they must")
    print(f"k8s: {len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
