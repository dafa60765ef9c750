//! The functions that docs/ARCHITECTURE.md names, against the files that it links.

use std::path::{Component, Path, PathBuf};

use super::source::Source;
use super::{architecture, section, sources};

/// A link of the form `` [`intake::run`](../src/service/intake.rs) ``.
#[derive(Debug, PartialEq)]
struct Link<'a> {
    name: &'a str,
    target: &'a str,
}

#[test]
fn every_function_that_the_architecture_links_is_where_the_link_leads() {
    let (page, files) = (architecture(), sources());
    let faults = links(&page)
        .iter()
        .filter_map(|link| fault(link, |file| files.get(file).cloned()))
        .collect::<Vec<_>>();
    assert!(
        faults.is_empty(),
        "docs/ARCHITECTURE.md links functions that are not there:\n{}\nRemedy: name the function as the file defines \
         it, and link the file that defines it: [`intake::run`](../src/service/intake.rs).",
        faults.join("\n")
    );
}

#[test]
fn the_path_of_a_job_names_the_functions_that_it_passes() {
    let page = architecture();
    let found = links(section(&page, "The path of a job")).len();
    assert!(
        found >= 6,
        "`## The path of a job` in docs/ARCHITECTURE.md links {found} functions. Each step from submitting to \
         collecting names its function as a link: [`intake::run`](../src/service/intake.rs)."
    );
}

/// Returns the links to Rust files whose text is a name in code.
fn links(page: &str) -> Vec<Link<'_>> {
    let parts = page.match_indices("[`").filter_map(|(at, _)| {
        let (name, rest) = page[at + 2..].split_once("`](")?;
        let (target, _) = rest.split_once(')')?;
        let target = target.split('#').next()?;
        let is_name = name.chars().all(|c| c.is_alphanumeric() || "_:".contains(c));
        (is_name && target.ends_with(".rs")).then_some(Link { name, target })
    });
    parts.collect()
}

/// Says what is wrong with a link of a page in `docs/`.
fn fault(link: &Link<'_>, read: impl Fn(&str) -> Option<String>) -> Option<String> {
    let mut path = PathBuf::from("docs");
    for component in Path::new(link.target).components() {
        match component {
            Component::ParentDir => drop(path.pop()),
            component => path.push(component),
        }
    }
    let Some(text) = path.strip_prefix("src").ok().and_then(|file| read(file.to_str()?)) else {
        return Some(format!("  {} does not exist, which is linked for `{}`", path.display(), link.name));
    };
    let source = Source::new(&text);
    let (qualifier, item) = link.name.rsplit_once("::").unwrap_or(("", link.name));
    let is_defined = ["fn", "struct", "enum", "trait", "type", "const"]
        .iter()
        .any(|keyword| source.names(&format!("{keyword} {item}")));
    // A module is its file or a folder above it; a type is in the code.
    let is_place =
        |part: &str| path.with_extension("").iter().any(|component| component == part) || source.names(part);
    if !is_defined {
        return Some(format!(
            "  {} does not define `{item}`, which is linked as `{}`",
            path.display(),
            link.name
        ));
    }
    let foreign = qualifier.split("::").find(|part| !part.is_empty() && !is_place(part))?;
    Some(format!("  {} has nothing to do with `{foreign}` of `{}`", path.display(), link.name))
}

#[test]
fn a_link_to_a_function_that_moved_is_found() {
    let page = concat!(
        "See [`intake::run`](../src/service/intake.rs#L3), [`Lease::ack`](../src/service/intake.rs), ",
        "[PROTOCOL.md](PROTOCOL.md), [`gone`](../src/service/intake.rs), [`pull::run`](../src/service/intake.rs), ",
        "and [`run`](../src/intake.rs).",
    );
    let read = |file: &str| {
        (file == "service/intake.rs")
            .then(|| "// fn gone\nimpl Lease { fn ack() {} }\npub fn run() {}".to_owned())
    };
    let found = links(page);
    assert_eq!(found.len(), 5, "{found:?}");
    let faults = found.iter().filter_map(|link| fault(link, read)).collect::<Vec<_>>();
    let expected = [
        "  src/service/intake.rs does not define `gone`, which is linked as `gone`",
        "  src/service/intake.rs has nothing to do with `pull` of `pull::run`",
        "  src/intake.rs does not exist, which is linked for `run`",
    ];
    assert_eq!(faults, expected);
}
