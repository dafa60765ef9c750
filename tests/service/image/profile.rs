//! `seccompProfile: RuntimeDefault`, as a runtime brings it: the file that CRI-O and Podman use, in the form
//! that runc reads, for a container without any capability.

use serde_json::{Value, json};

/// Path of Debian's package.
const PROFILE: &str = "/usr/share/containers/seccomp.json";
/// Name of this machine in the profile.
const MACHINE: &str = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };

pub(crate) fn runtime_default() -> Value {
    let file = std::fs::read_to_string(PROFILE).unwrap_or_else(|error| {
        panic!("{PROFILE}: {error}; apt-get install runc golang-github-containers-common")
    });
    let profile: Value = serde_json::from_str(&file).expect("the profile is JSON");
    let rules = profile["syscalls"].as_array().expect("rules").iter().filter(|rule| applies(rule));
    let rules: Vec<Value> = rules.map(rule).collect();
    assert!(
        rules.len() > 3 && profile["defaultAction"] == "SCMP_ACT_ERRNO",
        "not the profile that this was made for"
    );
    let of_machine = if MACHINE == "arm64" { "SCMP_ARCH_AARCH64" } else { "SCMP_ARCH_X86_64" };
    json!({
        "defaultAction": profile["defaultAction"], "defaultErrnoRet": profile["defaultErrnoRet"],
        "architectures": [of_machine], "syscalls": rules,
    })
}

/// Some rules are for those with a capability, and some for other machines.
fn applies(rule: &Value) -> bool {
    let holds = |path: &str| rule.pointer(path).and_then(Value::as_array).filter(|list| !list.is_empty());
    let names_this = |list: &Vec<Value>| list.iter().any(|machine| machine == MACHINE);
    holds("/includes/caps").is_none()
        && holds("/includes/arches").is_none_or(names_this)
        && !holds("/excludes/arches").is_some_and(names_this)
}

fn rule(rule: &Value) -> Value {
    let mut kept = json!({ "names": rule["names"], "action": rule["action"] });
    for field in ["args", "errnoRet"] {
        if rule[field].as_array().is_none_or(|list| !list.is_empty()) && !rule[field].is_null() {
            kept[field] = rule[field].clone();
        }
    }
    kept
}
