//! Holds the manifests of Kubernetes against the code: what they say of ports, paths, names, memory and time
//! is what the service does. Whether they are of the published schemas, `make k8s` says.

mod restrictions;
mod sums;

use std::path::Path;
use std::process::Command;

use sealprove::config::Admin;
use serde_json::Value;

use crate::kit::manifests::{Overlay, containers, documents, list, number, project, text};
use crate::kit::nats_server;

#[test]
fn every_object_lies_in_the_namespace_that_admits_nothing_but_restricted_pods() {
    for overlay in Overlay::all() {
        let [namespace] = overlay.of_kind("Namespace")[..] else { panic!("{}: one namespace", overlay.name) };
        for mode in ["enforce", "audit", "warn"] {
            let label = format!("pod-security.kubernetes.io/{mode}");
            assert_eq!(namespace["metadata"]["labels"][label], "restricted", "{}: {mode}", overlay.name);
        }
        for object in overlay.objects.iter().filter(|object| object["kind"] != "Namespace") {
            assert_eq!(object["metadata"]["namespace"], namespace["metadata"]["name"], "{object:#}");
        }
    }
}

#[test]
fn every_selector_finds_a_pod() {
    for overlay in Overlay::all() {
        let pods = overlay.pods();
        let finds = |selector: &Value| {
            pods.iter().any(|(_, pod)| {
                let labels = &pod["metadata"]["labels"];
                selector
                    .as_object()
                    .is_some_and(|wanted| wanted.iter().all(|(name, value)| labels[name] == *value))
            })
        };
        let mut checked = 0;
        for object in &overlay.objects {
            let spec = &object["spec"];
            let selector = match text(&object["kind"]) {
                "Service" => &spec["selector"],
                "NetworkPolicy" => &spec["podSelector"]["matchLabels"],
                "Deployment" | "StatefulSet" | "PodDisruptionBudget" | "PodMonitor" => {
                    &spec["selector"]["matchLabels"]
                }
                _ => continue,
            };
            assert!(finds(selector), "{}: {} finds no pod by {selector}", overlay.name, object["kind"]);
            checked += 1;
        }
        assert!(checked >= 4, "{}: {checked} selectors", overlay.name);
    }
}

#[test]
fn the_admin_port_is_the_same_everywhere() {
    let port = u64::from(Admin::default().listen.port());
    for overlay in Overlay::all() {
        let listen = overlay.config().admin.listen;
        assert_eq!(u64::from(listen.port()), port);
        assert!(listen.ip().is_unspecified(), "probes come from outside of the pod");
        let [of_container] = list(&overlay.service()["ports"]) else { panic!("one port") };
        assert_eq!((text(&of_container["name"]), number(&of_container["containerPort"])), ("admin", port));
        let of_service = &overlay.one("Service", "sealprove-admin")["spec"]["ports"][0];
        assert_eq!((text(&of_service["targetPort"]), number(&of_service["port"])), ("admin", port));
        for policy in
            overlay.of_kind("NetworkPolicy").into_iter().filter(|policy| has_name(policy, "monitoring"))
        {
            assert_eq!(number(&policy["spec"]["ingress"][0]["ports"][0]["port"]), port);
        }
        for monitor in overlay.of_kind("PodMonitor") {
            assert_eq!(monitor["spec"]["podMetricsEndpoints"][0]["port"], "admin");
        }
    }
}

fn has_name(object: &Value, part: &str) -> bool {
    text(&object["metadata"]["name"]).contains(part)
}

#[test]
fn the_network_policy_allows_the_configured_broker() {
    for overlay in Overlay::all() {
        let url = overlay.config().nats.url;
        let (host, port) =
            url.split_once("://").and_then(|(_, rest)| rest.split_once(':')).expect("host and port");
        let policy = overlay.one("NetworkPolicy", "sealprove");
        let [to_broker, to_dns] = list(&policy["spec"]["egress"]) else { panic!("two ways out: {policy:#}") };
        assert_eq!(number(&to_broker["ports"][0]["port"]).to_string(), port);
        let peer = &to_broker["to"][0];
        let mut names = host.split('.');
        assert_eq!(peer["podSelector"]["matchLabels"]["app.kubernetes.io/name"], names.next().unwrap());
        match names.next() {
            Some(namespace) => {
                assert_eq!(
                    peer["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"],
                    namespace
                );
            }
            None => assert!(peer["namespaceSelector"].is_null(), "{peer}"),
        }
        assert!(list(&to_dns["ports"]).iter().all(|port| port["port"] == 53), "{to_dns}");
    }
}

/// A rule without an explanation is never removed.
#[test]
fn every_ingress_and_egress_rule_has_a_comment() {
    let mut rules = 0;
    for path in ["base", "components/broker", "components/monitoring", "overlays/dev", "overlays/dev/broker"]
    {
        let path = project("k8s").join(path).join("networkpolicy.yaml");
        let policy = std::fs::read_to_string(&path).expect("a policy");
        let lines: Vec<&str> = policy.lines().collect();
        for (index, line) in lines.iter().enumerate() {
            if ["- to:", "- from:", "ingress: []", "egress: []"].contains(&line.trim()) {
                assert!(lines[index - 1].trim().starts_with('#'), "{}: line {}", path.display(), index + 1);
                rules += 1;
            }
        }
    }
    assert!(rules >= 14, "{rules} rules");
}

/// Returns the volume that a file lies on, in a container.
#[track_caller]
fn volume_of<'a>(container: &'a Value, file: &Path) -> &'a str {
    let mounts = list(&container["volumeMounts"]);
    let mount = mounts.iter().find(|mount| file.starts_with(text(&mount["mountPath"])));
    text(
        &mount.unwrap_or_else(|| panic!("{} is on no volume of {}", file.display(), container["name"]))["name"],
    )
}

#[test]
fn every_path_in_the_configuration_is_mounted() {
    for overlay in Overlay::all() {
        let (config, service) = (overlay.config(), overlay.service());
        assert_eq!(volume_of(service, &config.keys), "keys");
        assert_eq!(volume_of(service, &config.bundle), "bundle");
        let ca = config.nats.tls.and_then(|tls| tls.ca);
        for file in [config.nats.credentials, config.nats.nkey, ca].into_iter().flatten() {
            assert_eq!(volume_of(service, &file), "broker");
        }
        // The service's lock opens the folders of what it reads, and must not open the keys'.
        let folder = config.bundle.parent().expect("a folder");
        assert!(!config.keys.starts_with(folder), "the keys lie below the bundle");

        for container in overlay.pods().iter().flat_map(|(_, pod)| containers(&pod["spec"])) {
            let named = list(&container["args"]).iter().skip_while(|argument| *argument != "--config").nth(1);
            assert!(
                named.is_none_or(|file| volume_of(container, text(file).as_ref()) == "config"),
                "{container:#}"
            );
        }
    }
}

#[test]
fn the_image_has_the_version_of_the_package() {
    for overlay in Overlay::all() {
        let mut images = 0;
        for container in overlay.pods().iter().flat_map(|(_, pod)| containers(&pod["spec"])) {
            let (name, tag) = text(&container["image"]).rsplit_once(':').expect("an image with a tag");
            if name.ends_with("sealprove") {
                assert_eq!(tag, env!("CARGO_PKG_VERSION"));
                images += 1;
            }
        }
        assert!(images >= 2, "{}: {images} containers", overlay.name);
    }
}

/// The real broker reads its configuration; it is of the version that is tested.
#[test]
fn the_broker_accepts_its_configuration() {
    let file = project("k8s/overlays/dev/broker/nats.conf");
    let tried =
        Command::new(nats_server()).arg("-t").arg("-c").arg(&file).output().expect("start nats-server");
    assert!(tried.status.success(), "{}", String::from_utf8_lossy(&tried.stderr));
    let conf = std::fs::read_to_string(file).unwrap();
    assert!(conf.contains("sync_interval: always"));

    let version = Command::new(nats_server()).arg("-v").output().expect("start nats-server");
    let version = String::from_utf8(version.stdout).unwrap().trim().replace("nats-server: v", "");
    let broker = Overlay::rendered("dev");
    let image = &broker.one("StatefulSet", "nats")["spec"]["template"]["spec"]["containers"][0]["image"];
    assert_eq!(*image, format!("nats:{version}"));
    let values = documents(&project("k8s/components/broker/values.yaml"));
    let [values] = &values[..] else { panic!("values") };
    assert_eq!(values["config"]["jetstream"]["merge"]["sync_interval"], "always");
    let accounts = &values["config"]["merge"]["accounts"];
    for trigger in list(&Overlay::rendered("production").one("ScaledObject", "sealprove")["spec"]["triggers"])
    {
        let account = &accounts[text(&trigger["metadata"]["account"])];
        assert_eq!(account["jetstream"], "enabled", "no account as in {trigger}");
    }
    assert_eq!(
        values["config"]["cluster"]["replicas"],
        Overlay::rendered("production").config().streams.replicas
    );
    assert_eq!(values["container"]["image"]["tag"], format!("{version}-alpine"));
}

/// The operators' page has a heading for each alert.
#[test]
fn every_alert_has_a_heading_in_the_operators_page() {
    let [rules] = &documents(&project("monitoring/alerts.yaml"))[..] else { panic!("one document") };
    let page = std::fs::read_to_string(project("docs/OPERATING.md")).expect("the operators' page");
    let alerts: Vec<&str> = list(&rules["groups"])
        .iter()
        .flat_map(|group| list(&group["rules"]))
        .map(|rule| text(&rule["alert"]))
        .collect();
    assert!(alerts.len() >= 20, "{alerts:?}");
    for alert in alerts {
        assert!(
            page.lines().any(|line| line.trim_start_matches('#').trim() == alert),
            "docs/OPERATING.md: no {alert}"
        );
    }
}
