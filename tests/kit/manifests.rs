//! The manifests as a cluster gets them: `k8s/rendered/`, which `make k8s` holds to the overlays that it is
//! made of.

use std::path::{Path, PathBuf};

use sealprove::config::ServiceConfig;
use serde_json::Value;

/// A folder or file of the project.
pub(crate) fn project(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Every document of a YAML file.
pub(crate) fn documents(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_saphyr::from_multiple(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// An overlay, rendered.
pub(crate) struct Overlay {
    pub(crate) name: String,
    pub(crate) objects: Vec<Value>,
}

impl Overlay {
    pub(crate) fn rendered(name: &str) -> Self {
        let objects = documents(&project("k8s/rendered").join(format!("{name}.yaml")));
        Overlay { name: name.to_owned(), objects }
    }

    /// Every overlay that there is.
    pub(crate) fn all() -> Vec<Self> {
        let folders = std::fs::read_dir(project("k8s/overlays")).expect("the overlays").flatten();
        let overlays: Vec<_> =
            folders.map(|folder| Self::rendered(folder.file_name().to_str().expect("a name"))).collect();
        assert!(overlays.len() >= 2, "the overlays are not where this test looks for them");
        overlays
    }

    pub(crate) fn of_kind(&self, kind: &str) -> Vec<&Value> {
        self.objects.iter().filter(|object| object["kind"] == kind).collect()
    }

    #[track_caller]
    pub(crate) fn one(&self, kind: &str, name: &str) -> &Value {
        let mut found = self.of_kind(kind).into_iter().filter(|object| object["metadata"]["name"] == name);
        found.next().unwrap_or_else(|| panic!("{} has no {kind} {name}", self.name))
    }

    /// The pod of the service.
    pub(crate) fn service_pod(&self) -> &Value {
        &self.one("Deployment", "sealprove")["spec"]["template"]["spec"]
    }

    /// The container of the service.
    pub(crate) fn service(&self) -> &Value {
        &self.service_pod()["containers"][0]
    }

    /// Every pod template, with what it belongs to.
    pub(crate) fn pods(&self) -> Vec<(String, &Value)> {
        let with_pods = self.objects.iter().filter(|object| !object["spec"]["template"]["spec"].is_null());
        let named =
            |object: &Value| format!("{}: {} {}", self.name, object["kind"], object["metadata"]["name"]);
        with_pods.map(|object| (named(object), &object["spec"]["template"])).collect()
    }

    /// The file of the ConfigMap that a pod mounts as this volume.
    pub(crate) fn file_of(&self, pod: &Value, volume: &str, file: &str) -> &str {
        let volumes = list(&pod["volumes"]);
        let volume = volumes.iter().find(|one| one["name"] == volume).expect("the volume");
        let map = self.one("ConfigMap", text(&volume["configMap"]["name"]));
        text(&map["data"][file])
    }

    /// The service's configuration, as text.
    pub(crate) fn configuration(&self) -> &str {
        self.file_of(self.service_pod(), "config", "sealprove.toml")
    }

    /// The service's configuration, as the service reads it.
    pub(crate) fn config(&self) -> ServiceConfig {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), self.configuration()).expect("write the configuration");
        ServiceConfig::read(file.path()).unwrap_or_else(|error| panic!("{}: {error}", self.name))
    }
}

/// All containers of a pod, in the order in which they start.
pub(crate) fn containers(pod: &Value) -> Vec<&Value> {
    let of_kind = |kind: &str| pod[kind].as_array().into_iter().flatten();
    of_kind("initContainers").chain(of_kind("containers")).collect()
}

#[track_caller]
pub(crate) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("expected a text, found {value}"))
}

#[track_caller]
pub(crate) fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("expected a number, found {value}"))
}

#[track_caller]
pub(crate) fn list(value: &Value) -> &[Value] {
    value.as_array().unwrap_or_else(|| panic!("expected a list, found {value}"))
}

/// A quantity of memory, in bytes.
#[track_caller]
pub(crate) fn memory(value: &Value) -> u64 {
    let quantity = text(value);
    let (digits, unit) = quantity.split_at(quantity.len() - 2);
    let shift = match unit {
        "Mi" => 20,
        "Gi" => 30,
        _ => panic!("write {quantity} in Mi or Gi"),
    };
    digits.parse::<u64>().expect("a whole number") << shift
}

/// Returns the bytes that containers of a pod may fill in memory by writing files: they count towards their limits.
pub(crate) fn in_memory(pod: &Value) -> u64 {
    let volumes = list(&pod["volumes"]).iter().filter(|volume| volume["emptyDir"]["medium"] == "Memory");
    volumes.map(|volume| memory(&volume["emptyDir"]["sizeLimit"])).sum()
}
