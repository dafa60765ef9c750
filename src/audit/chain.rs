//! The chain of an audit log: numbers the lines, and links each to the one before.

use super::line::{Event, Line, VERSION};
use crate::protocol::{Sha256Digest, UnixMillis};

/// A chain: its next number, and the hash of its last line.
#[derive(Debug)]
pub struct Chain {
    instance: String,
    seq: u64,
    prev: Sha256Digest,
}

impl Chain {
    /// Creates a chain without lines.
    pub fn new(instance: String) -> Self {
        Chain { instance, seq: 0, prev: Sha256Digest::ZERO }
    }

    /// Makes the next line, with its newline.
    pub fn next(&mut self, at: UnixMillis, lost: u64, event: Event) -> Vec<u8> {
        let line = Line {
            version: VERSION.to_owned(),
            seq: self.seq,
            prev: self.prev,
            instance: self.instance.clone(),
            at: at.to_rfc3339(),
            at_ms: at,
            lost,
            event,
        };
        // Cannot panic: a line is a struct of numbers and strings.
        let mut bytes = serde_json::to_vec(&line).expect("a line serialises");
        self.seq += 1;
        self.prev = Sha256Digest::hash(&bytes);
        bytes.push(b'\n');
        bytes
    }

    /// Returns the number of lines, and the hash of the last one.
    pub fn head(&self) -> (u64, Sha256Digest) {
        (self.seq, self.prev)
    }
}
