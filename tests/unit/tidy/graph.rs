//! The modules of the crate, in the order of their floors, and which file imports from which.
//!
//! The order is that of reading: modules as their parent lists them, each with all below it, and a parent after its
//! children. What resolves a path is what resolves it for the compiler, less the types: a method that is called on a
//! value is no import.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::imports::{Import, parse};
use super::source::Source;

/// Longest chain of re-exports that is followed.
const HOPS_MAX: usize = 16;

/// Every module that a build without tests compiles. Lower floors come first, the crate's root is last.
pub(crate) struct Graph {
    pub(crate) modules: Vec<Module>,
}

/// One file of the crate.
pub(crate) struct Module {
    /// Where it is in the crate: `service::intake`, or nothing for the root.
    pub(crate) path: String,
    /// Its file, below `src/`.
    pub(crate) file: String,
    pub(crate) source: Source,
    /// Its children by name, in the order of their `mod` lines.
    pub(crate) children: Vec<(String, usize)>,
    parent: Option<usize>,
    imports: Vec<Import>,
}

/// An import of one file from another.
pub(crate) struct Arrow<'a> {
    pub(crate) from: usize,
    pub(crate) to: usize,
    pub(crate) import: &'a Import,
    /// Whether the path asks a module that contains the importing one, for an item or for a re-export.
    pub(crate) is_through_parent: bool,
}

impl Graph {
    /// Reads the files that the `mod` lines of `lib.rs` lead to. Files are texts by their path below `src/`.
    pub(crate) fn new(files: &BTreeMap<String, String>) -> Self {
        let mut graph = Self { modules: Vec::new() };
        graph.add(files, "", "lib.rs");
        graph
    }

    fn add(&mut self, files: &BTreeMap<String, String>, path: &str, file: &str) -> usize {
        let source = Source::new(&files[file]);
        let (names, imports) = parse(&source);
        let below = if path.is_empty() { "" } else { file.trim_end_matches(".rs") };
        let children = names.into_iter().map(|name| {
            let file = format!("{below}/{name}.rs").trim_start_matches('/').to_owned();
            assert!(
                files.contains_key(&file),
                "src/{file} does not exist: modules are files, and none is called mod.rs"
            );
            let child = self.add(files, format!("{path}::{name}").trim_start_matches(':'), &file);
            (name, child)
        });
        let children = children.collect::<Vec<_>>();
        let place = self.modules.len();
        for (_, child) in &children {
            self.modules[*child].parent = Some(place);
        }
        let (path, file) = (path.to_owned(), file.to_owned());
        self.modules.push(Module { path, file, source, children, parent: None, imports });
        place
    }

    fn root(&self) -> usize {
        self.modules.len() - 1
    }

    /// Returns every import that leads to another file of the crate.
    pub(crate) fn arrows(&self) -> Vec<Arrow<'_>> {
        let mut arrows = Vec::new();
        for (from, module) in self.modules.iter().enumerate() {
            for import in &module.imports {
                let Some(to) = self.resolve(from, &import.path, 0).filter(|to| *to != from) else { continue };
                let asked = self.asked(from, &import.path);
                let is_through_parent =
                    asked.is_some_and(|asked| asked != from && self.contains(asked, from));
                arrows.push(Arrow { from, to, import, is_through_parent });
            }
        }
        arrows
    }

    /// Returns the module that defines what a path names, or none where another crate does.
    fn resolve(&self, from: usize, path: &[String], hops: usize) -> Option<usize> {
        if hops > HOPS_MAX {
            return None;
        }
        match self.anchor(from, path) {
            Some((at, rest)) => self.walk(at, rest, hops),
            None => self.walk_named(from, path, hops),
        }
    }

    /// Returns the module that `crate`, `self` or `super` stands for, and the rest of the path.
    fn anchor<'a>(&self, from: usize, path: &'a [String]) -> Option<(usize, &'a [String])> {
        let (first, mut rest) = path.split_first()?;
        let mut at = match &first[..] {
            "crate" => self.root(),
            "self" => from,
            "super" => self.modules[from].parent?,
            _ => return None,
        };
        while rest.first().is_some_and(|next| next == "super") {
            at = self.modules[at].parent?;
            rest = &rest[1..];
        }
        Some((at, rest))
    }

    /// Follows a path from a module downwards, and through what the module re-exports.
    fn walk(&self, at: usize, path: &[String], hops: usize) -> Option<usize> {
        // What is neither a child nor imported from this crate belongs to the module itself.
        self.walk_named(at, path, hops).or(Some(at))
    }

    /// Follows a path whose first name is a child or an import of a module. Returns none where it is neither.
    fn walk_named(&self, at: usize, path: &[String], hops: usize) -> Option<usize> {
        let (first, rest) = path.split_first()?;
        let module = &self.modules[at];
        if let Some(child) = module.child(first) {
            return self.walk(child, rest, hops);
        }
        if let Some(import) = module.imports.iter().find(|import| import.binds.as_ref() == Some(first)) {
            return self.resolve(at, &[&import.path, rest].concat(), hops + 1);
        }
        // What a module defines itself hides what a glob brings.
        module.imports.iter().filter(|import| import.is_glob && !module.defines(first)).find_map(|import| {
            let opened = self.resolve(at, &import.path, hops + 1)?;
            self.modules[opened].offers(first).then(|| self.walk(opened, path, hops + 1))?
        })
    }

    /// Returns the last module that a path spells out, before any re-export. Returns none for a path that begins with
    /// a name: what binds that name is an import too.
    fn asked(&self, from: usize, path: &[String]) -> Option<usize> {
        let (mut at, rest) = self.anchor(from, path)?;
        for name in rest {
            let Some(child) = self.modules[at].child(name) else { break };
            at = child;
        }
        Some(at)
    }

    fn contains(&self, above: usize, below: usize) -> bool {
        let mut at = Some(below);
        while at.is_some_and(|at| at != above) {
            at = at.and_then(|at| self.modules[at].parent);
        }
        at.is_some()
    }

    /// Returns the imports from a higher floor, and those that go through a module that contains the importing one.
    pub(crate) fn faults(&self) -> Vec<Arrow<'_>> {
        self.arrows().into_iter().filter(|arrow| arrow.to > arrow.from || arrow.is_through_parent).collect()
    }

    /// Returns each circle of imports once for each upward import in it, as files, shortest way round.
    pub(crate) fn circles(&self) -> Vec<Vec<&str>> {
        let arrows = self.arrows().iter().map(|arrow| (arrow.from, arrow.to)).collect::<BTreeSet<_>>();
        let upward = arrows.iter().filter(|(from, to)| to > from);
        let ways = upward.filter_map(|(from, to)| shortest_way(&arrows, *to, *from));
        ways.map(|way| way.into_iter().map(|place| &self.modules[place].file[..]).collect()).collect()
    }
}

impl Module {
    fn child(&self, name: &str) -> Option<usize> {
        self.children.iter().find(|(child, _)| child == name).map(|(_, place)| *place)
    }

    /// Checks whether a glob import of the module brings this name.
    fn offers(&self, name: &str) -> bool {
        self.child(name).is_some()
            || self.imports.iter().any(|import| import.binds.as_deref() == Some(name))
            || self.defines(name)
    }

    /// Checks whether an item or a method of this name is defined here.
    fn defines(&self, name: &str) -> bool {
        let keywords =
            ["fn", "struct", "enum", "trait", "type", "const", "static", "union", "mod", "macro_rules!"];
        keywords.iter().any(|keyword| self.source.names(&format!("{keyword} {name}")))
    }
}

/// Returns the nodes from `start` to `end`, both included, on a way with the fewest arrows.
fn shortest_way(arrows: &BTreeSet<(usize, usize)>, start: usize, end: usize) -> Option<Vec<usize>> {
    let mut came_from = BTreeMap::from([(start, start)]);
    let mut queue = VecDeque::from([start]);
    while let Some(at) = queue.pop_front() {
        if at == end {
            let mut way = vec![end];
            while way[way.len() - 1] != start {
                way.push(came_from[&way[way.len() - 1]]);
            }
            way.reverse();
            return Some(way);
        }
        for (_, next) in arrows.range((at, 0)..(at + 1, 0)) {
            if !came_from.contains_key(next) {
                came_from.insert(*next, at);
                queue.push_back(*next);
            }
        }
    }
    None
}
