//! `garbles-v1` writes to the connection of its own process.

use sealprove::frame::{self, ReplyHead};
use sealprove::protocol::{ANSWER_MEDIA_TYPE, AnswerMode, Code, Timings};
use serde::Deserialize;

/// The reply that it writes.
#[derive(Default, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Mode {
    /// Bytes that are no frame.
    #[default]
    Garbage,
    /// A frame of which the second half never comes.
    HalfFrame,
    /// The prefix of a frame of 4 GiB.
    HugeFrame,
    /// A whole frame whose head is not JSON.
    NotJson,
    /// A whole reply of its own; the process's real reply follows.
    FrameAndMore,
}

/// Writes, and, unless its reply is to follow, ends the process as if it had answered.
pub(crate) fn say(script: &crate::Script) -> Option<Vec<u8>> {
    let bytes = match script.mode {
        Mode::Garbage => vec![0x41; 3000],
        Mode::HalfFrame => {
            let frame = forged();
            frame[..frame.len() / 2].to_vec()
        }
        Mode::HugeFrame => [[0, 0, 0, 16], [0xff; 4]].concat(),
        Mode::NotJson => [&[0, 0, 0, 4, 0, 0, 0, 0][..], b"!!!!"].concat(),
        Mode::FrameAndMore => forged(),
    };
    // Descriptor 0 is the connection.
    let mut rest = &bytes[..];
    while !rest.is_empty() {
        // Cannot panic: the chamber reads it.
        let written = rustix::io::write(std::io::stdin(), rest).expect("the connection takes it");
        rest = &rest[written..];
    }
    if !matches!(script.mode, Mode::FrameAndMore) {
        #[allow(clippy::disallowed_methods)] // To leave as no job process may is the point.
        std::process::exit(0);
    }
    None
}

/// A reply that says what no chamber has found.
fn forged() -> Vec<u8> {
    let head = ReplyHead {
        code: Code::Ok,
        mode: AnswerMode::Open,
        content_type: ANSWER_MEDIA_TYPE.to_owned(),
        tag: None,
        timings: Timings::default(),
        sealed_ms: 0,
    };
    frame::encode(&head, b"{\"forged\":true}")
}
