//! The list of modules in docs/ARCHITECTURE.md against the tree of `src/`.

use super::graph::{Graph, Module};
use super::{architecture, section, sources};

const FORMAT: &str = "The first code block below `## Modules` begins with the line `src/`. Each following line has one \
     module: its file, two or more spaces, and a description. A file of `src/` is two spaces deeper than `src/`, and a \
     child is two spaces deeper than its parent. Modules stand in the order of the `mod` lines, after `lib.rs` and \
     `main.rs`. Children of a top-level module are all listed; those further down all or none. Blank lines and lines \
     that begin with `#` divide groups. What only tests compile is not listed.";

#[test]
fn the_list_of_modules_is_the_tree() {
    let graph = Graph::new(&sources());
    let page = architecture();
    let listed = entries(section(&page, "Modules"));
    let expected = expected(&graph, listed.as_deref().unwrap_or_default());
    let faults = listed.map_or_else(|fault| vec![fault], |listed| differences(&listed, &expected));
    assert!(
        faults.is_empty(),
        "docs/ARCHITECTURE.md differs from src/:\n{}\n{FORMAT} The files of src/:\n{}",
        faults.join("\n"),
        expected.iter().map(|file| indented(file)).collect::<Vec<_>>().join("\n")
    );
}

/// Returns the file as a line of the list has it.
fn indented(file: &str) -> String {
    let (depth, name) = (file.matches('/').count(), file.rsplit('/').next().unwrap_or(file));
    format!("{:1$}{name}", "", 6 + 2 * depth)
}

/// Reads the list: the files with their folders, as `service/intake.rs`.
fn entries(section: &str) -> Result<Vec<String>, String> {
    let lines = section.lines().skip_while(|line| line.trim() != "src/");
    let first = lines.clone().next().ok_or("  no line `src/` is below `## Modules`")?;
    let margin = first.find("src/").unwrap_or_default();
    let mut folders = Vec::<String>::new();
    let mut entries = Vec::new();
    for line in lines.skip(1) {
        let text = line.trim();
        if text.is_empty() || text.starts_with('#') {
            continue;
        }
        let depth = line.find(text).and_then(|indent| indent.checked_sub(margin)).unwrap_or_default() / 2;
        if depth == 0 {
            break;
        }
        let (file, description) = text.split_once("  ").unwrap_or((text, ""));
        let name =
            file.strip_suffix(".rs").ok_or_else(|| format!("  `{text}` does not begin with a file"))?;
        if description.trim().is_empty() || depth > folders.len() + 1 {
            return Err(format!("  `{text}` has no description or is too deep"));
        }
        folders.truncate(depth - 1);
        entries.push([&folders[..], &[file.to_owned()]].concat().join("/"));
        folders.push(name.to_owned());
    }
    Ok(entries)
}

/// Returns the files that a complete list has, in its order.
fn expected(graph: &Graph, listed: &[String]) -> Vec<String> {
    let root = &graph.modules[graph.modules.len() - 1];
    let mut files = vec!["lib.rs".to_owned(), "main.rs".to_owned()];
    for (_, module) in &root.children {
        add(graph, &graph.modules[*module], listed, &mut files);
    }
    files
}

fn add(graph: &Graph, module: &Module, listed: &[String], files: &mut Vec<String>) {
    files.push(module.file.clone());
    let is_top_level = !module.path.contains("::");
    let children = || module.children.iter().map(|(_, child)| &graph.modules[*child]);
    if is_top_level || children().any(|child| listed.contains(&child.file)) {
        children().for_each(|child| add(graph, child, listed, files));
    }
}

/// Says what is missing, what is too much, and what stands in another order.
fn differences(listed: &[String], expected: &[String]) -> Vec<String> {
    let missing =
        expected.iter().filter(|file| !listed.contains(file)).map(|file| format!("  {file} is not listed"));
    let extra =
        listed.iter().filter(|file| !expected.contains(file)).map(|file| format!("  {file} is no module"));
    let mut faults = missing.chain(extra).collect::<Vec<_>>();
    if faults.is_empty() {
        let moved = listed.iter().zip(expected).find(|(listed, expected)| listed != expected);
        faults.extend(moved.map(|(listed, expected)| format!("  {listed} stands where {expected} belongs")));
    }
    if faults.is_empty() && listed.len() != expected.len() {
        faults.push("  a file is listed twice".to_owned());
    }
    faults
}

#[test]
fn a_list_is_read_by_its_indentation() {
    let section = concat!(
        "In reading order.\n\n",
        "    src/\n",
        "      lib.rs      what this is\n\n",
        "      # network side\n",
        "      service.rs  the table of contents\n",
        "        job.rs    one job\n",
        "          ack.rs  its end\n",
        "        pull.rs   intake\n",
        "      cli.rs      commands\n\n",
        "Features add.\n",
    );
    let read = entries(section).unwrap();
    assert_eq!(
        read,
        ["lib.rs", "service.rs", "service/job.rs", "service/job/ack.rs", "service/pull.rs", "cli.rs"]
    );
}

#[test]
fn a_list_that_lacks_a_module_or_has_one_too_many_is_told_so() {
    let files = [
        ("lib.rs", "mod a; mod b;"),
        ("a.rs", "mod c;"),
        ("a/c.rs", "mod d;"),
        ("a/c/d.rs", ""),
        ("b.rs", ""),
    ];
    let graph = Graph::new(&files.map(|(file, text)| (file.to_owned(), text.to_owned())).into());
    let told = |listed: &[&str]| {
        let listed = listed.iter().map(|file| (*file).to_owned()).collect::<Vec<_>>();
        differences(&listed, &expected(&graph, &listed))
    };
    assert!(told(&["lib.rs", "main.rs", "a.rs", "a/c.rs", "b.rs"]).is_empty());
    assert!(told(&["lib.rs", "main.rs", "a.rs", "a/c.rs", "a/c/d.rs", "b.rs"]).is_empty());
    assert_eq!(told(&["lib.rs", "main.rs", "a.rs", "b.rs"]), ["  a/c.rs is not listed"]);
    assert_eq!(told(&["lib.rs", "main.rs", "a.rs", "a/c.rs", "b.rs", "e.rs"]), ["  e.rs is no module"]);
    assert_eq!(told(&["lib.rs", "main.rs", "b.rs", "a.rs", "a/c.rs"]), ["  b.rs stands where a.rs belongs"]);
}
