//! The client's trace (W3C Trace Context, level 1).
//!
//! A header that is not exactly of the standard's form is ignored. The trace is not authenticated, and nothing is
//! decided by it.

use std::str::FromStr;

use super::names::{BadName, lower_hex};

/// A `traceparent`: `00-<trace id>-<parent id>-<flags>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceParent(String);

impl TraceParent {
    /// Bytes of a `traceparent` of version 00.
    const BYTES: usize = 55;

    /// Returns the header's value.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the id of the trace: 32 hexadecimal digits.
    pub fn trace_id(&self) -> &str {
        &self.0[3..35]
    }

    /// Returns the id of the client's span: 16 hexadecimal digits.
    pub fn parent_id(&self) -> &str {
        &self.0[36..52]
    }

    /// Returns whether the client records this trace.
    pub fn is_sampled(&self) -> bool {
        u8::from_str_radix(&self.0[53..], 16).is_ok_and(|flags| flags & 1 == 1)
    }

    /// Returns the trace, if there is exactly one value and it is of the form. Of two, neither can be trusted more.
    pub fn only<'a>(mut values: impl Iterator<Item = &'a str>) -> Option<Self> {
        let first = values.next()?.parse().ok()?;
        values.next().is_none().then_some(first)
    }
}

impl FromStr for TraceParent {
    type Err = BadName;

    fn from_str(text: &str) -> Result<Self, BadName> {
        // The length first, so that a long header costs nothing.
        let parts: Vec<&str> = if text.len() == Self::BYTES { text.split('-').collect() } else { Vec::new() };
        match parts[..] {
            ["00", trace, parent, flags]
                if is_id(trace, 32) && is_id(parent, 16) && is_lower_hex(flags, 2) =>
            {
                Ok(TraceParent(text.to_owned()))
            }
            _ => Err(BadName::new("traceparent", "00-<32 hex>-<16 hex>-<2 hex>, lower case, ids not zero")),
        }
    }
}

fn is_id(text: &str, digits: usize) -> bool {
    is_lower_hex(text, digits) && text.bytes().any(|byte| byte != b'0')
}

fn is_lower_hex(text: &str, digits: usize) -> bool {
    text.len() == digits && lower_hex(text)
}

#[cfg(test)]
mod tests {
    use super::TraceParent;

    const GOOD: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn a_trace_is_read_if_it_is_exactly_of_the_form() {
        let trace: TraceParent = GOOD.parse().unwrap();
        assert_eq!(trace.as_str(), GOOD);
        assert_eq!(trace.trace_id(), "0af7651916cd43dd8448eb211c80319c");
        assert_eq!(trace.parent_id(), "b7ad6b7169203331");
        let sampled = |flags: &str| GOOD.replace("-01", flags).parse::<TraceParent>().unwrap().is_sampled();
        assert_eq!(["-01", "-03", "-00", "-02", "-ff"].map(sampled), [true, true, false, false, true]);
        let refused = [
            GOOD.to_uppercase(),
            GOOD.replacen("00", "01", 1),
            GOOD.replacen("00", "ff", 1),
            GOOD.replace("0af7651916cd43dd8448eb211c80319c", &"0".repeat(32)),
            GOOD.replace("b7ad6b7169203331", &"0".repeat(16)),
            format!("{GOOD}-00"),
            format!(" {GOOD}"),
            GOOD.replace("-01", "-0g"),
            GOOD.replace("-01", "-é"),
            GOOD.replacen('-', "_", 1),
            String::new(),
            "x".repeat(1 << 20),
        ];
        for text in refused {
            assert!(text.parse::<TraceParent>().is_err(), "{}", &text[..text.len().min(80)]);
        }
        assert_eq!(TraceParent::only([GOOD].into_iter()), Some(trace));
        assert_eq!(TraceParent::only([GOOD, GOOD].into_iter()), None);
    }
}
