//! A pod of the manifests, as runc runs its containers: each is a folder with a `config.json` of the OCI
//! runtime specification, made of the container's own lines.

use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use super::profile;
use crate::kit::Ran;
use crate::kit::manifests::{Overlay, containers, list, memory, number, text};

/// The pod of the service, with the folders that its volumes are.
pub(crate) struct Pod<'a> {
    overlay: &'a Overlay,
    folder: &'a Path,
    root: &'a Path,
    nats_url: &'a str,
}

/// Mounts and masks that kubelet and runtime add, as containerd does.
const MASKED: [&str; 9] = [
    "/proc/acpi",
    "/proc/asound",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/sys/firmware",
];
const READ_ONLY: [&str; 5] = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

impl<'a> Pod<'a> {
    pub(crate) fn new(overlay: &'a Overlay, folder: &'a Path, root: &'a Path, nats_url: &'a str) -> Self {
        let pod = Pod { overlay, folder, root, nats_url };
        let spec = overlay.service_pod();
        for volume in list(&spec["volumes"]) {
            pod.lay(volume, number(&spec["securityContext"]["fsGroup"]));
        }
        pod
    }

    fn volume(&self, name: &str) -> PathBuf {
        self.folder.join("volumes").join(name)
    }

    /// A folder for an `emptyDir`, and a projected folder for a ConfigMap.
    fn lay(&self, volume: &Value, group: u64) {
        let path = self.volume(text(&volume["name"]));
        std::fs::create_dir_all(&path).expect("a folder");
        if volume["emptyDir"].is_null() {
            let map = self.overlay.one("ConfigMap", text(&volume["configMap"]["name"]));
            let files = map["data"].as_object().expect("files").iter();
            let files: Vec<_> =
                files.map(|(name, data)| (name.clone(), text(data).as_bytes().to_vec())).collect();
            project(&path, &files, number(&volume["configMap"]["defaultMode"]), group);
        } else {
            chown(&path, None, Some(group as u32)).expect("chown");
            std::fs::set_permissions(&path, PermissionsExt::from_mode(0o2777)).expect("chmod");
        }
    }

    /// Puts the keys that the pod has made where a Secret would be: root's, for the group to read as far as
    /// `mode` says, behind the links that the kubelet changes when a Secret changes.
    pub(crate) fn lay_keys_as_a_secret(&self, mode: u64) {
        let folder = self.volume("keys");
        let read = |entry: std::fs::DirEntry| {
            let name = entry.file_name().into_string().expect("a name");
            let is_file = !name.starts_with("..");
            is_file.then(|| (name, std::fs::read(entry.path()).expect("a key")))
        };
        let files: Vec<_> =
            std::fs::read_dir(&folder).expect("the keys").flatten().filter_map(read).collect();
        assert_eq!(files.len(), 4, "a private key of each scheme, and its public half");
        std::fs::remove_dir_all(&folder).expect("clear the keys");
        std::fs::create_dir(&folder).expect("a folder");
        let group = number(&self.overlay.service_pod()["securityContext"]["fsGroup"]);
        project(&folder, &files, mode, group);
    }

    /// The containers that run before the service, each to its end.
    pub(crate) fn first(&self) -> Vec<Container> {
        let spec = self.overlay.service_pod();
        let first = containers(spec).into_iter().filter(|container| container["name"] != "sealprove");
        first.map(|container| self.container(container, spec)).collect()
    }

    pub(crate) fn service(&self) -> Container {
        self.container(self.overlay.service(), self.overlay.service_pod())
    }

    /// A container of this pod, or of one beside it with the same volumes.
    pub(crate) fn container(&self, container: &Value, spec: &Value) -> Container {
        let mounts = list(&container["volumeMounts"]).iter().map(|mount| self.mount(mount));
        let mounts: Vec<Value> = of_the_runtime().into_iter().chain(mounts).collect();
        let (of_pod, own) = (&spec["securityContext"], &container["securityContext"]);
        assert_eq!(own["seccompProfile"]["type"], "RuntimeDefault");
        assert_eq!(own["capabilities"], json!({ "drop": ["ALL"] }));
        let arguments = list(&container["args"]).iter().map(text);
        let arguments: Vec<&str> = ["/usr/bin/sealprove"].into_iter().chain(arguments).collect();
        let user = json!({
            "uid": own["runAsUser"], "gid": own["runAsGroup"], "additionalGids": [of_pod["fsGroup"]],
        });
        let namespaces = ["pid", "ipc", "uts", "mount", "cgroup"].map(|kind| json!({ "type": kind }));
        let config = json!({
            "ociVersion": "1.0.2",
            "root": { "path": self.root, "readonly": own["readOnlyRootFilesystem"] },
            "process": {
                "user": user,
                "args": arguments, "cwd": "/",
                "env": [
                    "PATH=/usr/bin",
                    format!("SEALPROVE_NATS__URL={}", self.nats_url), "SEALPROVE_ADMIN__LISTEN=127.0.0.1:0",
                ],
                "capabilities": {},
                "noNewPrivileges": own["allowPrivilegeEscalation"] == false,
                // The least that a node grants by default.
                "rlimits": [{ "type": "RLIMIT_MEMLOCK", "soft": 65536, "hard": 65536 }],
            },
            "mounts": mounts,
            "linux": {
                // Not the network's: the broker listens on this machine.
                "namespaces": namespaces,
                "resources": { "memory": { "limit": memory(&container["resources"]["limits"]["memory"]) } },
                "seccomp": profile::runtime_default(),
                "maskedPaths": MASKED, "readonlyPaths": READ_ONLY,
            },
        });
        Container::new(self.folder, text(&container["name"]), config)
    }

    fn mount(&self, mount: &Value) -> Value {
        let mode = if mount["readOnly"] == true { "ro" } else { "rw" };
        let source = self.volume(text(&mount["name"]));
        assert!(source.is_dir(), "no volume {mount}");
        json!({
            "destination": mount["mountPath"], "type": "bind", "source": source,
            "options": ["bind", mode, "nosuid", "nodev", "noexec"],
        })
    }
}

fn of_the_runtime() -> Vec<Value> {
    vec![
        mount_of("/proc", "proc", &["nosuid", "noexec", "nodev"]),
        mount_of("/dev", "tmpfs", &["nosuid", "strictatime", "mode=755", "size=65536k"]),
        mount_of("/dev/shm", "tmpfs", &["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"]),
        mount_of("/sys", "sysfs", &["nosuid", "noexec", "nodev", "ro"]),
        mount_of("/sys/fs/cgroup", "cgroup", &["nosuid", "noexec", "nodev", "relatime", "ro"]),
    ]
}

fn mount_of(destination: &str, kind: &str, options: &[&str]) -> Value {
    json!({ "destination": destination, "type": kind, "source": kind, "options": options })
}

/// Files as the kubelet lays them: in a folder with a name of its own, behind a link that is swapped at a
/// change.
fn project(folder: &Path, files: &[(String, Vec<u8>)], mode: u64, group: u64) {
    let version = "..2026_01_01_00_00_00.000000001";
    let data = folder.join(version);
    std::fs::create_dir(&data).expect("a folder");
    for (name, bytes) in files {
        let path = data.join(name);
        std::fs::write(&path, bytes).expect("write a file");
        std::fs::set_permissions(&path, PermissionsExt::from_mode(mode as u32)).expect("chmod");
        chown(&path, Some(0), Some(group as u32)).expect("chown");
        symlink(Path::new("..data").join(name), folder.join(name)).expect("a link");
    }
    symlink(version, folder.join("..data")).expect("a link");
    for path in [folder, &data] {
        chown(path, Some(0), Some(group as u32)).expect("chown");
        std::fs::set_permissions(path, PermissionsExt::from_mode(0o2755)).expect("chmod");
    }
}

/// A container that can be started once; it is gone when this is dropped.
pub(crate) struct Container {
    id: String,
    folder: PathBuf,
    state: PathBuf,
    config: Value,
}

impl Container {
    fn new(folder: &Path, name: &str, config: Value) -> Self {
        let id = format!("sealprove-{name}-{:08x}", getrandom::u32().expect("randomness"));
        Container { folder: folder.join(&id), state: folder.join("runc"), id, config }
    }

    pub(crate) fn with_memory(mut self, bytes: u64) -> Self {
        self.config["linux"]["resources"]["memory"]["limit"] = bytes.into();
        self
    }

    pub(crate) fn with_arguments(mut self, arguments: &[&str]) -> Self {
        self.config["process"]["args"] = json!([&["/usr/bin/sealprove"], arguments].concat());
        self
    }

    /// Returns the command that starts it, and lives as long as it does.
    pub(crate) fn command(&self) -> Command {
        std::fs::create_dir(&self.folder).expect("a folder");
        std::fs::write(self.folder.join("config.json"), self.config.to_string())
            .expect("write its configuration");
        let mut command = self.runc();
        command.args(["run", "--bundle"]).arg(&self.folder).arg(&self.id);
        command
    }

    /// Runs it to its end.
    pub(crate) fn run(&self) -> Ran {
        Ran::run(&mut self.command(), b"")
    }

    /// Its processes, as this machine counts them.
    pub(crate) fn pids(&self) -> Vec<i32> {
        let ran = Ran::run(self.runc().args(["ps", "--format", "json", &self.id]), b"").exits(0);
        serde_json::from_str(&ran.stdout).expect("process ids")
    }

    fn runc(&self) -> Command {
        let mut command = Command::new("runc");
        command.arg("--root").arg(&self.state);
        command
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        let _ = self.runc().args(["delete", "--force", &self.id]).output();
    }
}
