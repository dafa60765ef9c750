//! What the fuzz targets do, each in one function of a byte string.
//!
//! The bytes are those of a stranger, or of a process that a stranger has taken over. A function asserts
//! what holds whatever they are: what is read prints back, limits are kept, what was not made for us does
//! not open, and a refusal says nothing of what it refuses. The programs in `fuzz_targets/` hand it what a
//! fuzzer thinks of; `tests/unit/corpora/` replays over it what is committed in `corpus/`, as plain tests.

pub mod bundles;
pub mod circuits;
pub mod frames;
pub mod headers;
pub mod seals;

/// What a target does.
pub type Target = fn(&[u8]);

/// Every target by its name, which is also that of its program and of its folder in `corpus/`.
pub const TARGETS: [(&str, Target); 19] = [
    ("frame_of_job", frames::of_job),
    ("frame_of_reply", frames::of_reply),
    ("frame_of_events", frames::of_events),
    ("subjects", headers::subjects),
    ("job_headers", headers::of_job),
    ("answer_headers", headers::of_answer),
    ("stored_headers", headers::stored),
    ("documents", headers::documents),
    ("sealed_job", seals::job),
    ("sealed_padding", seals::padding),
    ("sealed_answer", seals::answer),
    ("bundle", bundles::signed_by_us),
    ("bundle_signature", bundles::signed_by_anybody),
    ("threshold_witness", circuits::threshold),
    ("membership_witness", circuits::membership),
    ("pczt_witness", circuits::pczt),
    ("pczt_output", circuits::pczt_output),
    ("pczt_combine", circuits::pczt_combine),
    ("public_inputs", circuits::public_inputs),
];
