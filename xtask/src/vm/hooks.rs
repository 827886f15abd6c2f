//! Which hooks a kernel has, by what `observer doctor` says there; and the sets of them that the tests are run with.

use std::collections::{BTreeMap, VecDeque};

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

    /// The hooks behind the one in use, for each signal in the order of the plan, as `--hook` takes them.
    fn untried(&self) -> BTreeMap<&str, VecDeque<String>> {
        let untried = self.signals.iter().map(|signal| {
            let hooks = signal.hooks.iter().filter(|hook| hook.state == "untried");
            let hooks = hooks.map(|hook| format!("{}={}", signal.signal, hook.hook)).collect();
            (signal.signal.as_str(), hooks)
        });
        untried.collect()
    }

    /// The hook in use for a signal.
    pub(super) fn in_use(&self, signal: &str) -> Option<&str> {
        self.signals.iter().find(|one| one.signal == signal)?.hook.as_deref()
    }
}

/// Hooks, at most one for a signal, `signal=hook` each.
pub(super) type Set = Vec<String>;

/// Sets of hooks that together hold every one that loads, each signal at most once in a set. The first is the observer's
/// own choice, which is empty. `refused` has the observer load a set, and returns the signal whose hook does not load.
pub(super) fn sets(
    doctor: &Doctor,
    mut refused: impl FnMut(&[String]) -> Result<Option<String>>,
) -> Result<Vec<Set>> {
    let mut untried = doctor.untried();
    let mut sets = vec![Vec::new()];
    loop {
        let mut set: BTreeMap<&str, String> = BTreeMap::new();
        for (signal, hooks) in &mut untried {
            set.extend(hooks.pop_front().map(|hook| (*signal, hook)));
        }
        while !set.is_empty() {
            let hooks: Set = set.values().cloned().collect();
            let Some(signal) = refused(&hooks)? else {
                sets.push(hooks);
                break;
            };
            let (signal, hooks) = untried
                .iter_mut()
                .find(|(name, _)| **name == signal && set.contains_key(**name))
                .with_context(|| {
                    format!("the observer refuses a hook of `{signal}`, which is not asked for")
                })?;
            match hooks.pop_front() {
                Some(next) => set.insert(*signal, next),
                None => set.remove(signal),
            };
        }
        if untried.values().all(VecDeque::is_empty) {
            return Ok(sets);
        }
    }
}

/// The script that has the observer load a set.
pub(super) fn script(set: &[String]) -> String {
    let hooks: Vec<String> = set.iter().map(|hook| format!("'--hook={hook}'")).collect();
    format!("observer doctor --json {}", hooks.join(" "))
}

/// The signal whose hook the script was refused for: "no hook for the signal `drop` works here: ...".
pub(super) fn refused_signal(output: &str) -> Option<String> {
    let (_, rest) = output.split_once("no hook for the signal `")?;
    rest.split_once('`').map(|(signal, _)| signal.to_owned())
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

    /// The sets on a kernel that loads all hooks but these.
    fn sets_without(bad: &[&str]) -> Vec<Set> {
        let doctor = Doctor::read(REPORT).unwrap();
        let refused = |set: &[String]| {
            let one = set.iter().find(|hook| bad.contains(&hook.as_str()));
            Ok(one.map(|hook| hook.split('=').next().unwrap().to_owned()))
        };
        sets(&doctor, refused).unwrap()
    }

    #[test]
    fn every_loadable_hook_is_in_a_set() {
        assert_eq!(
            sets_without(&[]),
            [vec![], vec!["a=y".to_owned(), "b=y".to_owned()], vec!["a=z".to_owned()]]
        );
        assert_eq!(sets_without(&["a=y"]), [vec![], vec!["a=z".to_owned(), "b=y".to_owned()]]);
        assert_eq!(sets_without(&["b=y"]), [vec![], vec!["a=y".to_owned()], vec!["a=z".to_owned()]]);
        assert_eq!(sets_without(&["a=y", "a=z", "b=y"]), [vec![]; 1] as [Set; 1]);
    }

    #[test]
    fn a_refusal_names_its_signal() {
        let said = "observer: no hook for the signal `drop` works here: tp_btf/kfree_skb: no (do: nothing)";
        assert_eq!(refused_signal(said).as_deref(), Some("drop"));
        assert_eq!(refused_signal("observer: no BTF"), None);
    }

    #[test]
    fn what_is_no_report_is_shown() {
        assert!(Doctor::read("oops").unwrap_err().to_string().contains("oops"));
    }
}
