//! Which hooks a kernel has, by what `observer doctor` says there; and the sets of them that the tests are run with.

use anyhow::{Context as _, Result};
use serde::Deserialize;

/// The report of `observer doctor --json`.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Doctor {
    /// Release of the kernel.
    pub(super) kernel: String,
    /// One for each signal of the plan.
    pub(super) signals: Vec<Signal>,
}

/// What became of one signal.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Signal {
    /// Its name.
    pub(super) signal: String,
    /// What it tells.
    pub(super) what: String,
    /// The hook in use.
    pub(super) hook: Option<String>,
    /// What that hook cannot see, or what is unknown without one.
    pub(super) blind: Option<String>,
    /// All its hooks, the best first.
    pub(super) hooks: Vec<Hook>,
}

/// One hook of a signal.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Hook {
    /// Its name.
    pub(super) hook: String,
    /// `in_use`, `refused` or `untried`.
    pub(super) state: String,
    /// Why it was refused.
    pub(super) reason: Option<String>,
}

impl Doctor {
    /// Reads it.
    pub(super) fn read(json: &str) -> Result<Self> {
        serde_json::from_str(json).with_context(|| format!("`observer doctor --json` wrote `{json}`"))
    }

    /// The hooks behind the one in use, as `--hook` takes them.
    fn untried(&self) -> impl Iterator<Item = String> {
        self.signals.iter().flat_map(|signal| {
            let untried = signal.hooks.iter().filter(|hook| hook.state == "untried");
            untried.map(|hook| format!("{}={}", signal.signal, hook.hook))
        })
    }
}

/// Parts of the names of the tests that depend on which hook a signal comes from. With another hook than the observer's
/// own choice only these are run: under emulation each takes seconds.
const CONCERNED: &[&str] = &[
    "backlog",
    "blocked",
    "endings",
    "families",
    "fast_open",
    "handshakes",
    "inheritance",
    "io_uring",
    "migration",
    "mptcp",
    "reads",
    "refusals",
    "refusers",
    "splice",
    "unread",
];

/// Tests whose names hold such a part, and which start the observer without the hooks of the set: they would be the same
/// once more.
const UNCONCERNED: &[&str] = &["compare::", "screen::", "stream::"];

/// Arguments of the test program that have it run those that are concerned.
pub(super) fn concerned() -> String {
    let skipped = UNCONCERNED.iter().map(|name| format!("--skip {name}"));
    CONCERNED.iter().map(|name| (*name).to_owned()).chain(skipped).collect::<Vec<_>>().join(" ")
}

const LOADABLE: &str = "loadable: ";

/// A script that names those of the untried hooks that load and attach.
pub(super) fn loadable_script(doctor: &Doctor) -> String {
    doctor
        .untried()
        .map(|hook| {
            format!("observer doctor --json '--hook={hook}' > /dev/null 2>&1 && echo '{LOADABLE}{hook}'")
        })
        .chain(["true".to_owned()])
        .collect::<Vec<_>>()
        .join("\n")
}

/// What the script named.
pub(super) fn loadable(output: &str) -> Vec<String> {
    output.lines().filter_map(|line| line.strip_prefix(LOADABLE)).map(str::to_owned).collect()
}

/// Sets of hooks that together hold every one that loads, each signal at most once in a set. The first is the observer's
/// own choice.
pub(super) fn sets(doctor: &Doctor, loadable: &[String]) -> Vec<String> {
    let mut sets = vec![Vec::new()];
    for signal in &doctor.signals {
        let own = loadable
            .iter()
            .filter(|hook| hook.split_once('=').is_some_and(|(name, _)| name == signal.signal));
        for (index, hook) in own.enumerate() {
            if sets.len() <= index + 1 {
                sets.push(Vec::new());
            }
            if let Some(set) = sets.get_mut(index + 1) {
                set.push(hook.clone());
            }
        }
    }
    sets.into_iter().map(|set| set.join(",")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPORT: &str = r#"{"kernel":"6","version":"0","signals":[
        {"signal":"a","what":"w","hook":"x","blind":null,"refused":[],"hooks":[
            {"hook":"w","state":"refused","reason":"no"},{"hook":"x","state":"in_use"},
            {"hook":"y","state":"untried"},{"hook":"z","state":"untried"}]},
        {"signal":"b","what":"w","hook":"x","blind":"much","refused":[],"hooks":[
            {"hook":"x","state":"in_use"},{"hook":"y","state":"untried"}]}]}"#;

    #[test]
    fn every_loadable_hook_is_in_a_set() {
        let doctor = Doctor::read(REPORT).unwrap();
        let script = loadable_script(&doctor);
        for hook in ["a=y", "a=z", "b=y"] {
            assert!(script.contains(&format!("'--hook={hook}'")), "{script}");
        }
        let loadable = loadable("loadable: a=y\nloadable: a=z\nnoise\nloadable: b=y\n");
        assert_eq!(sets(&doctor, &loadable), ["", "a=y,b=y", "a=z"]);
        assert_eq!(sets(&doctor, &[]), [""]);
    }

    #[test]
    fn what_is_no_report_is_shown() {
        assert!(Doctor::read("oops").unwrap_err().to_string().contains("oops"));
    }
}
