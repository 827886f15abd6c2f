//! What a backend changed, and when: typed, so that nobody has to read it out of a sentence.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A change of what runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// When it was heard of.
    pub time_ns: u64,
    /// What changed.
    pub what: What,
    /// Which of these, where there are several: the setting, or the fault; otherwise empty.
    pub name: String,
    /// What was before; null when there was nothing.
    pub from: Option<String>,
    /// What is from now on; null when there is nothing.
    pub to: Option<String>,
}

/// What can change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// The execution pattern.
    Pattern,
    /// A setting.
    Setting,
    /// The load.
    Load,
    /// A fault.
    Fault,
    /// Something else, in the backend's own words.
    Other,
}

impl Mark {
    /// It without what was before: `pattern sharding` for `pattern single-thread → sharding`.
    pub fn short(&self) -> String {
        Self { from: self.from.clone().filter(|_| self.to.is_none()), ..self.clone() }.to_string()
    }

    fn subject(&self) -> String {
        match self.what {
            What::Pattern => "pattern".to_owned(),
            What::Load => "load".to_owned(),
            What::Fault => format!("fault {}", self.name),
            What::Setting | What::Other => self.name.clone(),
        }
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.subject())?;
        match (&self.from, &self.to, self.what) {
            (Some(from), Some(to), _) => write!(f, " {from} → {to}"),
            (None, Some(to), _) => write!(f, " {to}"),
            (Some(from), None, What::Load) => write!(f, " {from} ended"),
            (Some(from), None, _) => write!(f, " no longer {from}"),
            (None, None, _) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_what_changed() {
        let mark = |what, name: &str, from: Option<&str>, to: Option<&str>| Mark {
            time_ns: 1,
            what,
            name: name.to_owned(),
            from: from.map(str::to_owned),
            to: to.map(str::to_owned),
        };
        for (mark, long, short) in [
            (mark(What::Pattern, "", Some("a"), Some("b")), "pattern a → b", "pattern b"),
            (mark(What::Setting, "workers", Some("4"), Some("8")), "workers 4 → 8", "workers 8"),
            (mark(What::Load, "", None, Some("steady 400/s")), "load steady 400/s", "load steady 400/s"),
            (mark(What::Load, "", Some("churn ×16"), None), "load churn ×16 ended", "load churn ×16 ended"),
            (mark(What::Fault, "stall", None, Some("on")), "fault stall on", "fault stall on"),
            (mark(What::Fault, "stall", Some("on"), Some("off")), "fault stall on → off", "fault stall off"),
            (mark(What::Other, "something", None, None), "something", "something"),
        ] {
            assert_eq!((mark.to_string().as_str(), mark.short().as_str()), (long, short));
        }
    }
}
