//! Findings of the doctor.

/// The state of one protection.
#[derive(Debug)]
pub struct Finding {
    /// The process or part that it protects.
    pub part: &'static str,
    /// Its name, or the action that was tried.
    pub protection: String,
    /// Whether it is in force.
    pub standing: Standing,
    /// The evidence, and the remedy if it is not in force.
    pub how: String,
}

/// The standing of a protection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// In force.
    InForce,
    /// Not in force.
    Not,
    /// Not visible from here.
    NotKnown,
}

impl Standing {
    /// Returns the word for a report.
    pub fn as_str(self) -> &'static str {
        match self {
            Standing::InForce => "in force",
            Standing::Not => "NOT",
            Standing::NotKnown => "not known",
        }
    }
}

impl Finding {
    pub(super) fn new(
        part: &'static str,
        protection: impl Into<String>,
        holds: bool,
        how: impl Into<String>,
    ) -> Self {
        let standing = if holds { Standing::InForce } else { Standing::Not };
        Finding { part, protection: protection.into(), standing, how: how.into() }
    }

    /// A protection that is in force, with the evidence.
    pub fn in_force(part: &'static str, protection: impl Into<String>, how: impl Into<String>) -> Self {
        Finding::new(part, protection, true, how)
    }

    /// A protection that is not in force, with the remedy.
    pub fn not(part: &'static str, protection: impl Into<String>, how: impl Into<String>) -> Self {
        Finding::new(part, protection, false, how)
    }

    /// A protection that is not visible, with the way to see it.
    pub fn not_known(part: &'static str, protection: impl Into<String>, how: impl Into<String>) -> Self {
        Finding { part, protection: protection.into(), standing: Standing::NotKnown, how: how.into() }
    }
}
