"""The alerts: PromQL, on metrics that the service has, each with what whoever is woken needs; and the PrometheusRule,
which is the rule file with a head."""

import os
import re
from pathlib import Path

import promql_parser
import yaml

HEAD = """\
# Made of monitoring/alerts.yaml by `UPDATE_RENDERED=1 make k8s`; what to change is there.
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: sealprove
spec:
"""
SEVERITIES = {"critical", "warning"}
ANNOTATIONS = {"summary", "description", "runbook_url"}


def problems(k8s: Path) -> list[str]:
    project = k8s.parent
    rules = (project / "monitoring" / "alerts.yaml").read_text()
    metrics = set(re.findall(r'"(sealprove_[a-z_]+)"', (project / "src" / "metrics.rs").read_text()))
    found = of_rule_object(k8s / "components" / "monitoring" / "prometheusrule.yaml", rules)
    for group in yaml.safe_load(rules)["groups"]:
        for rule in group["rules"]:
            found += [f"alert {rule['alert']}: {problem}" for problem in of_rule(rule, metrics)]
    return found


def of_rule_object(committed: Path, rules: str) -> list[str]:
    body = rules[rules.index("groups:"):]
    text = HEAD + "".join(f"  {line}\n" if line else "\n" for line in body.splitlines())
    if os.environ.get("UPDATE_RENDERED"):
        committed.write_text(text)
    same = committed.is_file() and committed.read_text() == text
    return [] if same else [f"{committed.name} is not monitoring/alerts.yaml: UPDATE_RENDERED=1 make k8s"]


def of_rule(rule: dict, metrics: set[str]) -> list[str]:
    found = []
    try:
        promql_parser.parse(rule["expr"])
    except ValueError as error:
        found.append(f"no PromQL: {error}")
    for name in re.findall(r"sealprove_[a-z_]+", rule["expr"]):
        if name.removesuffix("_bucket") not in metrics:
            found.append(f"src/metrics.rs has no {name}")
    if rule.get("labels", {}).get("severity") not in SEVERITIES:
        found.append(f"severity is one of {', '.join(sorted(SEVERITIES))}")
    missing = ANNOTATIONS - set(rule.get("annotations", {}))
    found += [f"no {name}" for name in sorted(missing)]
    anchor = f"docs/OPERATING.md#{rule['alert'].lower()}"
    if rule.get("annotations", {}).get("runbook_url") != anchor:
        found.append(f"runbook_url is {anchor}")
    return found
