//! `garbles-v1` writes to the connection of its own process.

use std::fs::File;
use std::io::Write;
use std::os::fd::AsFd;

use sealprove::frame::{self, ReplyHead};
use sealprove::job::AnswerMode;
use sealprove::wire::{ANSWER_MEDIA_TYPE, Code, Timings};
use serde::Deserialize;

/// What it writes.
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
    // Cannot panic: descriptor 0 is the connection, and there is room for another descriptor.
    let mut connection = File::from(std::io::stdin().as_fd().try_clone_to_owned().expect("a descriptor"));
    connection.write_all(&bytes).expect("the connection takes it");
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
