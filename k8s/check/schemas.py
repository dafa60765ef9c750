"""Whether an object is of its published schema, and has no field that the schema does not know."""

import kubernetes_validate
from cloudcoil.models.keda.v1alpha1 import ScaledObject
from cloudcoil.models.prometheus_operator.v1 import PodMonitor, PrometheusRule
from kubernetes_validate.utils import all_versions
from pydantic import ValidationError

# Each is listed twice, strict and not.
VERSIONS = [version.removesuffix(".0") for version in list(dict.fromkeys(all_versions()))[-3:]]

CUSTOM = {
    ("keda.sh/v1alpha1", "ScaledObject"): ScaledObject,
    ("monitoring.coreos.com/v1", "PodMonitor"): PodMonitor,
    ("monitoring.coreos.com/v1", "PrometheusRule"): PrometheusRule,
}
# What came after the models, with the values that it may have: the first is of KEDA 2.17.
NEWER = {
    "ScaledObject spec.fallback.behavior": (
        "static", "currentReplicas", "currentReplicasIfHigher", "currentReplicasIfLower",
    ),
}


def problems(item: dict) -> list[str]:
    model = CUSTOM.get((item["apiVersion"], item["kind"]))
    return of_custom(model, item) if model else of_kubernetes(item)


def of_kubernetes(item: dict) -> list[str]:
    found = []
    for version in VERSIONS:
        try:
            kubernetes_validate.validate(item, version, strict=True)
        except kubernetes_validate.ValidationError as error:
            found.append(f"Kubernetes {version}: {'.'.join(map(str, error.path))}: {error.message}")
        except kubernetes_validate.SchemaNotFoundError:
            found.append(f"Kubernetes {version} has no {item['apiVersion']} {item['kind']}")
    return found


def of_custom(model, item: dict) -> list[str]:
    try:
        read = model.model_validate(item)
    except ValidationError as error:
        return [f"{'.'.join(map(str, part['loc']))}: {part['msg']}" for part in error.errors()]
    # The models drop what they do not know: what does not come back was not known.
    back = read.model_dump(by_alias=True, exclude_unset=True, mode="json")
    kind = item["kind"]
    unknown = [path for path in lost(item, back) if at(item, path) not in NEWER.get(f"{kind} {path}", ())]
    return [f"{path}: not a field of {kind}, or not a value of it" for path in unknown]


def at(item: dict, path: str):
    """What stands at a path of names; nothing, where lists are on the way."""
    for name in path.split("."):
        item = item.get(name, {}) if isinstance(item, dict) else {}
    return item if isinstance(item, str) else None


def lost(given, back, path="") -> list[str]:
    """The paths of what stands in `given` and not in `back`."""
    if isinstance(given, dict) and isinstance(back, dict):
        missing = [f"{path}.{key}".lstrip(".") for key in given if key not in back]
        return missing + [one for key in given if key in back for one in lost(given[key], back[key], f"{path}.{key}")]
    if isinstance(given, list) and isinstance(back, list):
        return [one for index, (a, b) in enumerate(zip(given, back)) for one in lost(a, b, f"{path}[{index}]")]
    return []
