//! Headers as they lie in a stream.
//!
//! A read from a stream's leader returns them as bytes, also those of a message that the NATS library could not
//! receive. This parser accepts exactly what the library accepts: the fuzz target `stored_headers` compares the two.

use std::str::FromStr;

use async_nats::StatusCode;
use async_nats::header::{HeaderName, HeaderValue};

/// Parses a block of headers (ADR-4), in order; returns `None` where the NATS library would not read them.
pub fn stored_headers(block: &[u8]) -> Option<Vec<(String, String)>> {
    let mut lines = std::str::from_utf8(block).ok()?.lines().peekable();
    let Some(version) = lines.next() else { return Some(Vec::new()) };
    // A status ends at a space and at nothing else, but white space of every kind is taken off around it.
    let status = version.strip_prefix("NATS/1.0")?.trim().split(' ').next().unwrap_or_default().trim();
    if !status.is_empty() {
        StatusCode::from_str(status).ok()?;
    }
    let mut headers = Vec::new();
    while let Some(line) = lines.next() {
        if line.is_empty() {
            continue;
        }
        let (name, value) = line.split_once(':')?;
        HeaderName::from_str(name).ok()?;
        let mut value = value.trim_start().to_owned();
        // A line that begins with white space goes on with the one before, unless there is an empty one between.
        while let Some(more) = lines.next_if(|line| line.starts_with(char::is_whitespace)) {
            value.push_str(more);
        }
        value.truncate(value.trim_end().len());
        HeaderValue::from_str(&value).ok()?;
        headers.push((name.to_owned(), value));
    }
    Some(headers)
}

#[cfg(test)]
mod tests {
    use super::stored_headers;

    fn block(lines: &str) -> Vec<u8> {
        format!("NATS/1.0\r\n{lines}\r\n").into_bytes()
    }

    #[test]
    fn headers_are_read_as_they_were_written() {
        let read =
            stored_headers(&block("One: 1\r\nTwo:  two words \r\n and more\r\nOne: again\r\n")).unwrap();
        let expected = [("One", "1"), ("Two", "two words  and more"), ("One", "again")];
        assert_eq!(read, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
        assert_eq!(stored_headers(b"").unwrap(), []);
        assert_eq!(stored_headers(b"NATS/1.0 404 No Messages\r\n\r\n").unwrap(), []);
    }

    #[test]
    fn what_the_library_chokes_on_is_not_readable() {
        for bad in ["garbage\r\n", "a b: x\r\n", ": x\r\n\u{e9}: x\r\n", "A: x\ry\r\n"] {
            assert_eq!(stored_headers(&block(bad)), None, "{bad:?}");
        }
        assert_eq!(stored_headers(b"NATS/1.0\r\nX-A: \xff\xfe\r\n\r\n"), None);
        assert_eq!(stored_headers(b"NATS/2.0\r\n\r\n"), None);
        assert_eq!(stored_headers(b"NATS/1.0 soon\r\n\r\n"), None);
        assert_eq!(stored_headers(b"NATS/1.0 404\tNo Messages\r\n\r\n"), None);
        assert_eq!(stored_headers(b"NATS/1.0\r\nA: x\r\n\r\n and more\r\n\r\n"), None);
    }
}
