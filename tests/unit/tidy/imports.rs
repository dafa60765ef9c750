//! The `mod` lines and the paths of one file, read from its code.

use super::source::Source;

/// A path to somewhere else, from a `use` or from the middle of the code.
#[derive(Debug, PartialEq)]
pub(crate) struct Import {
    pub(crate) path: Vec<String>,
    /// Name that a `use` binds.
    pub(crate) binds: Option<String>,
    /// Whether it is `use path::*`.
    pub(crate) is_glob: bool,
    pub(crate) line: usize,
}

/// Returns the names of the child modules, and the imports.
pub(crate) fn parse(source: &Source) -> (Vec<String>, Vec<Import>) {
    let mut reader = Reader { source, tokens: tokens(&source.code), at: 0, imports: Vec::new() };
    let mut children = Vec::new();
    while reader.at < reader.tokens.len() {
        match reader.token(0) {
            "mod" if reader.token(2) == ";" => {
                children.push(reader.token(1).to_owned());
                reader.at += 3;
            }
            // `use<'a>` names lifetimes.
            "use" if reader.token(1) != "<" => {
                reader.at += 1;
                reader.use_tree(&[]);
            }
            // A visibility is no import.
            "in" if reader.at > 1 && reader.tokens[reader.at - 2].1 == "pub" => {
                reader.at += 1;
                reader.path();
            }
            _ => reader.inline_path(),
        }
    }
    (children, reader.imports)
}

struct Reader<'a> {
    source: &'a Source,
    tokens: Vec<(usize, &'a str)>,
    at: usize,
    imports: Vec<Import>,
}

impl<'a> Reader<'a> {
    fn token(&self, ahead: usize) -> &'a str {
        self.tokens.get(self.at + ahead).map_or("", |(_, text)| text)
    }

    /// Reads `name::name::…` and stops before what is no name.
    fn path(&mut self) -> Vec<String> {
        let mut path = Vec::new();
        while is_name(self.token(0)) {
            path.push(self.token(0).to_owned());
            self.at += 1;
            if self.token(0) != "::" || !is_name(self.token(1)) {
                break;
            }
            self.at += 1;
        }
        path
    }

    /// Reads one branch of a `use`, which stands behind `prefix`.
    fn use_tree(&mut self, prefix: &[String]) {
        let line = self.source.line(self.tokens[self.at].0);
        let mut path = [prefix, &self.path()].concat();
        if self.token(0) == "::" {
            self.at += 1;
        }
        match self.token(0) {
            "{" => {
                self.at += 1;
                while !matches!(self.token(0), "}" | "") {
                    self.use_tree(&path);
                    if self.token(0) == "," {
                        self.at += 1;
                    }
                }
                self.at += 1;
            }
            "*" => {
                self.at += 1;
                self.imports.push(Import { path, binds: None, is_glob: true, line });
            }
            _ => {
                // `a::{self}` is `a`.
                if path.len() > 1 && path[path.len() - 1] == "self" {
                    path.pop();
                }
                let binds = if self.token(0) == "as" {
                    self.at += 2;
                    self.tokens[self.at - 1].1.to_owned()
                } else {
                    path.last().cloned().unwrap_or_default()
                };
                self.imports.push(Import { path, binds: Some(binds), is_glob: false, line });
            }
        }
    }

    /// Reads a path in the middle of the code, or one token that begins none.
    fn inline_path(&mut self) {
        let line = self.source.line(self.tokens[self.at].0);
        let continues_another = self.at > 0 && self.tokens[self.at - 1].1 == "::";
        let path = self.path();
        if path.is_empty() {
            self.at += 1;
        } else if path.len() > 1 && !continues_another {
            self.imports.push(Import { path, binds: None, is_glob: false, line });
        }
    }
}

fn is_name(token: &str) -> bool {
    token.starts_with(|c: char| c.is_alphabetic() || c == '_')
        && !matches!(token, "as" | "use" | "mod" | "in")
}

/// Splits code into names, `::` and single characters, each with its place.
fn tokens(code: &str) -> Vec<(usize, &str)> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(first) = code[at..].chars().next() {
        let is_part = |c: char| c.is_alphanumeric() || c == '_';
        let length = match first {
            _ if is_part(first) => code[at..].find(|c| !is_part(c)).unwrap_or(code.len() - at),
            ':' if code[at..].starts_with("::") => 2,
            _ => first.len_utf8(),
        };
        if !first.is_whitespace() {
            tokens.push((at, &code[at..at + length]));
        }
        at += length;
    }
    tokens
}

#[test]
fn every_form_of_import_is_read() {
    let source = Source::new(concat!(
        "pub mod child;\nmod other;\nmod inline { }\n",
        "use crate::a::{self, b::{C, D as E}, f::*};\n",
        "pub(in crate::g) use super::super::h;\n",
        "fn i() -> impl Copy + use<'_> { crate::j::k::<u8>(super::l(), other::M::N, self.o) }\n",
    ));
    let (children, imports) = parse(&source);
    assert_eq!(children, ["child", "other"]);
    let read = imports.iter().map(|import| {
        let path = import.path.join("::");
        match (&import.binds, import.is_glob) {
            (Some(name), _) => format!("{} {path} as {name}", import.line),
            (None, true) => format!("{} {path}::*", import.line),
            (None, false) => format!("{} {path}", import.line),
        }
    });
    let expected = [
        "4 crate::a as a",
        "4 crate::a::b::C as C",
        "4 crate::a::b::D as E",
        "4 crate::a::f::*",
        "5 super::super::h as h",
        "6 crate::j::k",
        "6 super::l",
        "6 other::M::N",
    ];
    assert_eq!(read.collect::<Vec<_>>(), expected);
}
