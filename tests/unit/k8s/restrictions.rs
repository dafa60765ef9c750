//! The restrictions of a pod are written out line by line, and not left to defaults.

use serde_json::{Value, json};

use crate::kit::manifests::{Overlay, containers, in_memory, list, memory, number, text};

/// The user of the image, which owns nothing.
const USER: u64 = 65532;

#[test]
fn every_pod_states_what_it_may_not_do() {
    for overlay in Overlay::all() {
        for (name, pod) in overlay.pods() {
            let spec = &pod["spec"];
            for line in
                ["automountServiceAccountToken", "enableServiceLinks", "hostNetwork", "hostPID", "hostIPC"]
            {
                assert_eq!(spec[line], false, "{name}: {line}");
            }
            assert_eq!(
                spec["securityContext"],
                json!({
                    "runAsNonRoot": true, "runAsUser": USER, "runAsGroup": USER, "fsGroup": USER,
                    "supplementalGroups": [], "seccompProfile": { "type": "RuntimeDefault" },
                }),
                "{name}"
            );
        }
        for account in overlay.of_kind("ServiceAccount") {
            assert_eq!(account["automountServiceAccountToken"], false);
        }
    }
}

#[test]
fn every_container_states_what_it_may_not_do() {
    for overlay in Overlay::all() {
        for (name, pod) in overlay.pods() {
            for container in containers(&pod["spec"]) {
                assert_eq!(
                    container["securityContext"],
                    json!({
                        "privileged": false, "allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true,
                        "runAsNonRoot": true, "runAsUser": USER, "runAsGroup": USER,
                        "capabilities": { "drop": ["ALL"] }, "seccompProfile": { "type": "RuntimeDefault" },
                    }),
                    "{name}: {}",
                    container["name"]
                );
                let resources = &container["resources"];
                assert!(
                    memory(&resources["requests"]["memory"]) <= memory(&resources["limits"]["memory"]),
                    "{name}"
                );
                assert!(resources["limits"]["cpu"].is_null(), "{name}: a throttled lease is a lost one");
            }
        }
    }
}

/// Such a container gets no swap, which would be a witness on a disk.
#[test]
fn in_production_the_service_requests_all_the_memory_it_may_use() {
    let overlay = Overlay::rendered("production");
    let resources = &overlay.service()["resources"];
    assert_eq!(resources["requests"]["memory"], resources["limits"]["memory"]);
}

/// The chamber refuses a key that others can read, and is not root: the group of the files is its own.
#[test]
fn one_container_can_read_the_keys_and_no_other_can() {
    let overlay = Overlay::rendered("production");
    let mut seen = Vec::new();
    for (name, pod) in overlay.pods() {
        let spec = &pod["spec"];
        let volumes = spec["volumes"].as_array().into_iter().flatten();
        for volume in volumes.filter(|volume| volume["secret"]["secretName"] == "sealprove-keys") {
            let mode = number(&volume["secret"]["defaultMode"]);
            assert_eq!(mode & 0o007, 0, "others can read the keys: {mode:o}");
            assert_eq!(mode & 0o040, 0o040, "the group cannot read the keys: {mode:o}");
            assert_eq!(spec["securityContext"]["fsGroup"], USER);
            for container in containers(spec) {
                let mounts =
                    list(&container["volumeMounts"]).iter().filter(|mount| mount["name"] == volume["name"]);
                seen.extend(mounts.map(|mount| (name.clone(), mount["readOnly"].clone())));
            }
        }
    }
    assert_eq!(seen, [("production: \"Deployment\" \"sealprove\"".to_owned(), Value::Bool(true))]);
}

/// Nothing else than a few sockets: what a pod could leave on a node's disk, it has no place to write to.
#[test]
fn the_service_writes_to_memory_alone() {
    for overlay in Overlay::all() {
        let (pod, container) = (overlay.service_pod(), overlay.service());
        let writable: Vec<&str> = list(&container["volumeMounts"])
            .iter()
            .filter(|mount| mount["readOnly"] != true)
            .map(|mount| text(&mount["mountPath"]))
            .collect();
        assert_eq!(writable, ["/tmp"], "{}", overlay.name);
        let tmp =
            list(&pod["volumes"]).iter().find(|volume| volume["name"] == "tmp").expect("a volume for /tmp");
        assert_eq!(tmp["emptyDir"]["medium"], "Memory");
        assert!(in_memory(pod) <= 4 << 20, "{}", overlay.name);
    }
}
