//! The text of an error together with its causes.

use std::error::Error;

/// Returns the error and its causes, from the outermost to the innermost, with colons between.
pub(crate) fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(&format!(": {cause}"));
        source = cause.source();
    }
    text
}
