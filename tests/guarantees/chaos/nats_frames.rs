//! Frames of the NATS client protocol, cut out of a stream of bytes in either direction.
//!
//! A frame is kept as it came, so that what passes a proxy passes unchanged. Only what the harness needs
//! is read from it: verb, subject, reply, headers, payload.

use std::ops::Range;

/// The longest first line that is waited for: an INFO or CONNECT is far below.
const LINE_BYTES_MAX: usize = 64 * 1024;

/// An error of the protocol: bytes that are no frame.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

/// Bytes that have come, of which whole frames are taken.
#[derive(Default)]
pub(crate) struct Frames {
    buffer: Vec<u8>,
    /// Bytes of the buffer that were taken.
    taken: usize,
}

/// One frame.
#[derive(Debug, Clone)]
pub(crate) struct Frame {
    bytes: Vec<u8>,
    /// The words of the first line.
    words: Vec<Range<usize>>,
    headers: Range<usize>,
    payload: Range<usize>,
}

impl Frames {
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.buffer.drain(..self.taken);
        self.taken = 0;
        self.buffer.extend_from_slice(bytes);
    }

    /// The next frame that is there as a whole.
    pub(crate) fn next(&mut self) -> Result<Option<Frame>, Malformed> {
        let rest = &self.buffer[self.taken..];
        let Some(line) = rest.windows(2).position(|pair| pair == b"\r\n") else {
            return if rest.len() > LINE_BYTES_MAX { Err(Malformed) } else { Ok(None) };
        };
        let words = words(&rest[..line]);
        let (headers, body) = lengths(rest, &words)?;
        let start = line + 2;
        // A body is followed by a line end of its own.
        let end = body.map_or(start, |body| start + body + 2);
        if headers > body.unwrap_or(0) {
            return Err(Malformed);
        }
        if rest.len() < end {
            return Ok(None);
        }
        let payload = start + headers..start + body.unwrap_or(0);
        let frame = Frame { bytes: rest[..end].to_vec(), words, headers: start..start + headers, payload };
        self.taken += end;
        Ok(Some(frame))
    }
}

fn words(line: &[u8]) -> Vec<Range<usize>> {
    let mut words = Vec::new();
    let mut at = 0;
    for word in line.split(|byte| matches!(byte, b' ' | b'\t')) {
        if !word.is_empty() {
            words.push(at..at + word.len());
        }
        at += word.len() + 1;
    }
    words
}

/// Returns the lengths of headers and body; no body where the verb has none.
fn lengths(bytes: &[u8], words: &[Range<usize>]) -> Result<(usize, Option<usize>), Malformed> {
    let word = |index: usize| words.get(index).map(|range| &bytes[range.clone()]);
    let number = |index: usize| {
        let digits = word(index).and_then(|word| std::str::from_utf8(word).ok());
        digits.and_then(|digits| digits.parse::<usize>().ok()).ok_or(Malformed)
    };
    let last = words.len().wrapping_sub(1);
    match word(0) {
        Some(b"PUB" | b"MSG") => Ok((0, Some(number(last)?))),
        Some(b"HPUB" | b"HMSG") => Ok((number(last.wrapping_sub(1))?, Some(number(last)?))),
        _ => Ok((0, None)),
    }
}

impl Frame {
    /// The frame as it came.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    fn word(&self, index: usize) -> &str {
        let range = self.words.get(index).cloned().unwrap_or(0..0);
        std::str::from_utf8(&self.bytes[range]).unwrap_or_default()
    }

    pub(crate) fn verb(&self) -> &str {
        self.word(0)
    }

    /// Returns the subject of a message; empty for other frames.
    pub(crate) fn subject(&self) -> &str {
        match self.verb() {
            "PUB" | "HPUB" | "MSG" | "HMSG" => self.word(1),
            _ => "",
        }
    }

    /// Returns the reply subject; empty where there is none.
    pub(crate) fn reply(&self) -> &str {
        // Behind the subject come: for a delivery, the subscription; one or two lengths.
        let (at, others) = match self.verb() {
            "PUB" => (2, 3),
            "HPUB" => (2, 4),
            "MSG" => (3, 4),
            "HMSG" => (3, 5),
            _ => return "",
        };
        if self.words.len() > others { self.word(at) } else { "" }
    }

    /// The value of a header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let headers = std::str::from_utf8(&self.bytes[self.headers.clone()]).ok()?;
        let pairs = headers.lines().skip(1).filter_map(|line| line.split_once(':'));
        pairs.into_iter().find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    }

    /// The status of a message that the broker itself made, such as 503.
    pub(crate) fn status(&self) -> Option<&str> {
        let headers = std::str::from_utf8(&self.bytes[self.headers.clone()]).ok()?;
        headers.lines().next()?.strip_prefix("NATS/1.0 ")?.split(' ').next()
    }

    pub(crate) fn payload(&self) -> &[u8] {
        &self.bytes[self.payload.clone()]
    }
}
