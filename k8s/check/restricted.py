"""The Pod Security profile "restricted", control by control, in the order of the Kubernetes documentation's page "Pod
Security Standards": the twelve of "baseline", then the six that "restricted" adds or tightens.

A control is a generator of what breaks it in one pod. The API server decides in the end (the namespace says `enforce`);
these checks say it before anything is applied.
"""

BASELINE_CAPABILITIES = {
    "AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD", "NET_BIND_SERVICE", "SETFCAP",
    "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT",
}
SELINUX_TYPES = {None, "", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"}
SAFE_SYSCTLS = {
    "kernel.shm_rmid_forced", "net.ipv4.ip_local_port_range", "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.tcp_syncookies", "net.ipv4.ping_group_range", "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.tcp_keepalive_time", "net.ipv4.tcp_fin_timeout", "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes", "net.ipv4.tcp_rmem", "net.ipv4.tcp_wmem",
}
VOLUMES = {
    "configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret",
}
PROBES = ("livenessProbe", "readinessProbe", "startupProbe")


class Pod:
    """A pod's specification, with its containers of every kind and all security contexts by name."""

    def __init__(self, template: dict):
        self.spec = template.get("spec", {})
        self.annotations = template.get("metadata", {}).get("annotations", {})
        kinds = ("initContainers", "containers", "ephemeralContainers")
        self.containers = [one for kind in kinds for one in self.spec.get(kind, [])]
        self.context = self.spec.get("securityContext", {})

    def contexts(self):
        yield "pod", self.context
        for container in self.containers:
            yield container["name"], container.get("securityContext", {})


def pod_of(item: dict) -> Pod | None:
    """The pod of a workload; none, where an object starts none."""
    if item["kind"] == "Pod":
        return Pod(item)
    spec = item.get("spec", {})
    spec = spec.get("jobTemplate", {}).get("spec", spec)
    return Pod(spec["template"]) if "template" in spec and "spec" in spec["template"] else None


def host_process(pod):
    yield from (who for who, context in pod.contexts() if context.get("windowsOptions", {}).get("hostProcess"))


def host_namespaces(pod):
    yield from (name for name in ("hostNetwork", "hostPID", "hostIPC") if pod.spec.get(name))


def privileged_containers(pod):
    yield from (who for who, context in pod.contexts() if context.get("privileged"))


def baseline_capabilities(pod):
    for who, context in pod.contexts():
        added = set(context.get("capabilities", {}).get("add", []))
        yield from (f"{who} adds {name}" for name in added - BASELINE_CAPABILITIES)


def host_path_volumes(pod):
    yield from (volume["name"] for volume in pod.spec.get("volumes", []) if "hostPath" in volume)


def host_ports(pod):
    for container in pod.containers:
        ports = [port.get("hostPort") for port in container.get("ports", [])]
        yield from (f"{container['name']}: {port}" for port in ports if port)


def host_probes(pod):
    for container in pod.containers:
        hooks = [container.get(probe, {}) for probe in PROBES] + list(container.get("lifecycle", {}).values())
        targets = [hook.get(kind, {}) for hook in hooks for kind in ("httpGet", "tcpSocket")]
        yield from (f"{container['name']} asks {target['host']}" for target in targets if target.get("host"))


def app_armor(pod):
    for who, context in pod.contexts():
        if context.get("appArmorProfile", {}).get("type") not in (None, "RuntimeDefault", "Localhost"):
            yield who
    for name, value in pod.annotations.items():
        allowed = value in ("", "runtime/default") or value.startswith("localhost/")
        if name.startswith("container.apparmor.security.beta.kubernetes.io/") and not allowed:
            yield name


def selinux(pod):
    for who, context in pod.contexts():
        options = context.get("seLinuxOptions", {})
        if options.get("type") not in SELINUX_TYPES or options.get("user") or options.get("role"):
            yield who


def proc_mount(pod):
    yield from (who for who, context in pod.contexts() if context.get("procMount") not in (None, "Default"))


def baseline_seccomp(pod):
    yield from (who for who, context in pod.contexts() if context.get("seccompProfile", {}).get("type") == "Unconfined")


def sysctls(pod):
    yield from (one["name"] for one in pod.context.get("sysctls", []) if one["name"] not in SAFE_SYSCTLS)


def volume_types(pod):
    for volume in pod.spec.get("volumes", []):
        yield from (f"{volume['name']} is {kind}" for kind in set(volume) - {"name"} - VOLUMES)


def privilege_escalation(pod):
    for container in pod.containers:
        if container.get("securityContext", {}).get("allowPrivilegeEscalation") is not False:
            yield container["name"]


def running_as_non_root(pod):
    for container in pod.containers:
        own = container.get("securityContext", {}).get("runAsNonRoot")
        if own is False or (own is None and pod.context.get("runAsNonRoot") is not True):
            yield container["name"]


def running_as_non_root_user(pod):
    yield from (who for who, context in pod.contexts() if context.get("runAsUser") == 0)


def restricted_seccomp(pod):
    of_pod = pod.context.get("seccompProfile", {}).get("type")
    for container in pod.containers:
        own = container.get("securityContext", {}).get("seccompProfile", {}).get("type", of_pod)
        if own not in ("RuntimeDefault", "Localhost"):
            yield container["name"]


def restricted_capabilities(pod):
    for container in pod.containers:
        capabilities = container.get("securityContext", {}).get("capabilities", {})
        if "ALL" not in capabilities.get("drop", []) or set(capabilities.get("add", [])) - {"NET_BIND_SERVICE"}:
            yield container["name"]


CONTROLS = {
    "baseline: HostProcess": host_process,
    "baseline: Host Namespaces": host_namespaces,
    "baseline: Privileged Containers": privileged_containers,
    "baseline: Capabilities": baseline_capabilities,
    "baseline: HostPath Volumes": host_path_volumes,
    "baseline: Host Ports": host_ports,
    "baseline: Host Probes / Lifecycle Hooks": host_probes,
    "baseline: AppArmor": app_armor,
    "baseline: SELinux": selinux,
    "baseline: /proc Mount Type": proc_mount,
    "baseline: Seccomp": baseline_seccomp,
    "baseline: Sysctls": sysctls,
    "restricted: Volume Types": volume_types,
    "restricted: Privilege Escalation": privilege_escalation,
    "restricted: Running as Non-root": running_as_non_root,
    "restricted: Running as Non-root user": running_as_non_root_user,
    "restricted: Seccomp": restricted_seccomp,
    "restricted: Capabilities": restricted_capabilities,
}


def violations(item: dict) -> list[tuple[str, str]]:
    pod = pod_of(item)
    return [(name, why) for name, control in CONTROLS.items() if pod for why in control(pod)]
