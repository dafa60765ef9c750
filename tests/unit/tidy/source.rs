//! A Rust file as text, in two readings: its code without comments and literals, and its literals.
//!
//! What only a test build compiles is in neither.

use std::ops::Range;

/// The text of one file.
pub(crate) struct Source {
    /// The code. Comments, the insides of literals and test-only items are blanks, and every other character keeps
    /// its place.
    pub(crate) code: String,
    /// The insides of the string literals, as they are spelled, with their places in the code.
    pub(crate) literals: Vec<(usize, String)>,
}

impl Source {
    pub(crate) fn new(text: &str) -> Self {
        let mut code = text.as_bytes().to_vec();
        let mut literals = Vec::new();
        let mut at = 0;
        while at < code.len() {
            let Some(inert) = Inert::at(text.as_bytes(), at) else {
                at += 1;
                continue;
            };
            if inert.is_literal {
                literals.push((at, text[inert.inside.clone()].to_owned()));
            }
            blank(&mut code, inert.inside);
            at = inert.end;
        }
        for item in test_only_items(&code) {
            literals.retain(|(at, _)| !item.contains(at));
            blank(&mut code, item);
        }
        Self { code: String::from_utf8(code).expect("code outside of literals is ASCII"), literals }
    }

    /// The line of a place in the code, counted from 1.
    pub(crate) fn line(&self, at: usize) -> usize {
        self.code[..at].matches('\n').count() + 1
    }

    /// Checks whether a name stands in the code as a word of its own.
    pub(crate) fn names(&self, word: &str) -> bool {
        let is_part = |c: char| c.is_alphanumeric() || c == '_';
        self.code.match_indices(word).any(|(at, _)| {
            !self.code[..at].ends_with(is_part) && !self.code[at + word.len()..].starts_with(is_part)
        })
    }
}

/// A stretch of text that is no code: a comment or a literal.
struct Inert {
    inside: Range<usize>,
    end: usize,
    is_literal: bool,
}

impl Inert {
    /// Returns the comment or the literal that begins at this place.
    fn at(text: &[u8], at: usize) -> Option<Self> {
        let rest = &text[at..];
        let after_name = at > 0 && (text[at - 1].is_ascii_alphanumeric() || text[at - 1] == b'_');
        match rest[0] {
            b'/' if rest.starts_with(b"//") => Some(Self::comment(at, line_end(rest))),
            b'/' if rest.starts_with(b"/*") => Some(Self::comment(at, block_comment_end(rest))),
            b'"' => Some(Self::quoted(at, 1, rest)),
            b'r' | b'b' | b'c' if !after_name => Self::raw_string(at, rest),
            // A lifetime has no closing quote.
            b'\'' if rest.get(1) == Some(&b'\\') || character_end(rest).is_some() => {
                Some(Self::quoted(at, 1, rest))
            }
            _ => None,
        }
    }

    fn comment(at: usize, length: usize) -> Self {
        Self { inside: at..at + length, end: at + length, is_literal: false }
    }

    /// A string or a character, whose opening quote ends before `start`.
    fn quoted(at: usize, start: usize, rest: &[u8]) -> Self {
        let quote = rest[start - 1];
        let mut end = start;
        while end < rest.len() && rest[end] != quote {
            end += if rest[end] == b'\\' { 2 } else { 1 };
        }
        Self { inside: at + start..at + end, end: at + end + 1, is_literal: quote == b'"' }
    }

    fn raw_string(at: usize, rest: &[u8]) -> Option<Self> {
        let prefix = rest.iter().take_while(|b| b"bcr".contains(b)).count();
        let hashes = rest[prefix..].iter().take_while(|b| **b == b'#').count();
        let start = prefix + hashes + 1;
        if rest.get(start - 1) != Some(&b'"') || rest[prefix - 1] != b'r' {
            return None;
        }
        let closing = [b"\"".as_slice(), &vec![b'#'; hashes]].concat();
        let length = find(&rest[start..], &closing)?;
        let inside = at + start..at + start + length;
        Some(Self { end: inside.end + closing.len(), inside, is_literal: true })
    }
}

fn line_end(rest: &[u8]) -> usize {
    find(rest, b"\n").unwrap_or(rest.len())
}

fn block_comment_end(rest: &[u8]) -> usize {
    let mut depth = 0;
    let mut at = 0;
    while at < rest.len() {
        if rest[at..].starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if rest[at..].starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    rest.len()
}

/// Returns the end of a character literal without an escape, whose character may take several bytes.
fn character_end(rest: &[u8]) -> Option<usize> {
    let character = std::str::from_utf8(&rest[1..rest.len().min(5)])
        .or_else(|error| std::str::from_utf8(&rest[1..1 + error.valid_up_to()]))
        .ok()?
        .chars()
        .next()?;
    let end = 1 + character.len_utf8();
    (rest.get(end) == Some(&b'\'')).then_some(end)
}

fn find(text: &[u8], wanted: &[u8]) -> Option<usize> {
    text.windows(wanted.len()).position(|window| window == wanted)
}

fn blank(code: &mut [u8], range: Range<usize>) {
    let end = range.end.min(code.len());
    for byte in &mut code[range.start..end] {
        if *byte != b'\n' {
            *byte = b' ';
        }
    }
}

/// Returns the items that stand under `#[cfg(test)]` or `#[cfg(all(test, …))]`, their attributes included.
fn test_only_items(code: &[u8]) -> Vec<Range<usize>> {
    let mut items = Vec::new();
    let mut at = 0;
    while let Some(found) = find(&code[at..], b"#[cfg(").map(|found| at + found) {
        let end = group_end(code, found + 1);
        let condition = String::from_utf8_lossy(&code[found + 6..end]);
        let is_for_tests = condition.starts_with("test)") || condition.starts_with("all(test,");
        at = if is_for_tests { item_end(code, end) } else { end };
        if is_for_tests {
            items.push(found..at);
        }
    }
    items
}

/// Returns the place behind the group whose opening bracket is at `at`.
fn group_end(code: &[u8], at: usize) -> usize {
    let mut depth = 0;
    for (offset, byte) in code[at..].iter().enumerate() {
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return at + offset + 1;
        }
    }
    code.len()
}

/// Returns the end of the item, statement or field that begins after `at`.
fn item_end(code: &[u8], mut at: usize) -> usize {
    while at < code.len() {
        match code[at] {
            b';' | b',' => return at + 1,
            b'{' => return group_end(code, at),
            b'(' | b'[' => at = group_end(code, at),
            // The end of what encloses a last field or a last expression.
            b')' | b']' | b'}' => return at,
            _ => at += 1,
        }
    }
    at
}

#[test]
fn comments_and_literals_are_no_code() {
    let source = Source::new(concat!(
        "let a = \"crate::b // no comment\"; // crate::c \"no string\"\n",
        "let d = r#\"a \" quote\"#; /* outer /* inner */ crate::e */ let f = b\"bytes\";\n",
        "fn g<'a>(c: &'a str) { ['\"', '\\'', 'ü', b'{']; }\n",
    ));
    let literals = source.literals.iter().map(|(_, text)| &text[..]).collect::<Vec<_>>();
    assert_eq!(literals, ["crate::b // no comment", "a \" quote", "bytes"]);
    assert!(!source.code.contains("crate"), "{}", source.code);
    assert!(source.names("f") && !source.names("inner") && !source.names("e"));
    assert!(source.code.contains("fn g<'a>(c: &'a str) { [' ', '  ', '  ', b' ']; }"), "{}", source.code);
    assert_eq!(source.line(source.code.find("fn g").unwrap()), 3);
}

#[test]
fn items_of_a_test_build_are_no_code() {
    let source = Source::new(concat!(
        "#[cfg(test)]\nuse crate::a;\n",
        "#[cfg(all(test, feature = \"x\"))]\n#[allow(unused)]\nmod b { fn c() { \"d\" } }\n",
        "#[cfg(not(test))]\nmod e;\n",
        "struct F { #[cfg(test)] g: u8, h: u8 }\n",
    ));
    for name in ["a", "b", "c", "g"] {
        assert!(!source.names(name), "{name} is left in {}", source.code);
    }
    for name in ["e", "F", "h"] {
        assert!(source.names(name), "{name} is cut off from {}", source.code);
    }
    assert!(source.literals.is_empty(), "{:?}", source.literals);
}
