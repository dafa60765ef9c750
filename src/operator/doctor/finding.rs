//! A finding of the doctor.

/// One protection, and whether it is in force.
#[derive(Debug)]
pub struct Finding {
    /// Which process or part it is of.
    pub part: &'static str,
    /// What it is, or what was tried.
    pub protection: String,
    /// Whether it is in force.
    pub standing: Standing,
    /// How that is known, and what to do where it is not.
    pub how: String,
}

/// Whether something is as it has to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It is.
    InForce,
    /// It is not.
    Not,
    /// It cannot be seen from here.
    NotKnown,
}

impl Standing {
    /// In a word or two.
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

    /// What is as it has to be.
    pub fn in_force(part: &'static str, protection: impl Into<String>, how: impl Into<String>) -> Self {
        Finding::new(part, protection, true, how)
    }

    /// What is not, and the remedy.
    pub fn not(part: &'static str, protection: impl Into<String>, how: impl Into<String>) -> Self {
        Finding::new(part, protection, false, how)
    }

    /// What cannot be seen, and how it could.
    pub fn not_known(part: &'static str, protection: impl Into<String>, how: impl Into<String>) -> Self {
        Finding { part, protection: protection.into(), standing: Standing::NotKnown, how: how.into() }
    }
}
