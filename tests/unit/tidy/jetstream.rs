//! Only `jetstream/` spells what JetStream understands: subjects of its API, names of streams, acknowledgements, headers.

use super::source::Source;
use super::{is_in, sources};

/// Parts of strings that only the one module may spell.
const WORDS: [&str; 11] = [
    "$JS.",
    "PROVE_JOBS",
    "PROVE_ANSWERS",
    "PROVE_STATUS",
    "PROVE_ADVISORIES",
    "+ACK",
    "-NAK",
    "+WPI",
    "+TERM",
    "Nats-",
    "NATS/1.0",
];

#[test]
fn only_jetstream_spells_what_jetstream_understands() {
    let mut found = Vec::new();
    for (file, text) in sources().into_iter().filter(|(file, _)| !is_in(file, "jetstream")) {
        let source = Source::new(&text);
        for (at, literal) in &source.literals {
            for word in WORDS.iter().filter(|word| literal.contains(**word)) {
                found.push(format!("  src/{file}:{} spells {word} in \"{literal}\"", source.line(*at)));
            }
        }
    }
    assert!(
        found.is_empty(),
        "Only src/jetstream/ spells JetStream's subjects, streams, acknowledgements and headers, so that they can be \
         read and changed in one place:\n{}\nRemedy: call a function or use a constant of `crate::jetstream`.",
        found.join("\n")
    );
}
