//! Chooses hooks by the [plan]: for each signal the first whose programs all load and attach here.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use aya::{Btf as AyaBtf, Ebpf};

use super::{
    layout::Layout,
    loading,
    plan::{self, Attach, Hook, Program, SIGNALS, Signal},
    refusal::Refusal,
    tasks,
};
use crate::failure::Failure;

/// A signal and one of its hooks.
pub type Chosen = (&'static Signal, &'static Hook);

/// What became of one signal.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// Its row in the plan.
    pub signal: &'static Signal,
    /// The hook in use.
    pub hook: Option<&'static Hook>,
    /// Hooks that were refused, and why. Those behind the hook in use are not tried.
    pub refused: Vec<(&'static Hook, Refusal)>,
}

/// What the choice depends on, beside the plan.
pub struct Choice<'a> {
    /// The loaded object.
    pub ebpf: &'a mut Ebpf,
    /// What this kernel has, and where.
    pub layout: &'a Layout,
    /// This kernel's types, for aya.
    pub btf: &'a AyaBtf,
    /// Hooks that were asked for: no other will do for their signals.
    pub forced: &'a [Chosen],
    /// Hooks that are known not to fire here.
    pub silent: &'a [Chosen],
}

impl Choice<'_> {
    /// Attaches a hook for each signal, in the order of the plan; those that were asked for come first.
    ///
    /// # Errors
    /// A hook that was asked for does not work here.
    pub fn attach(mut self) -> Result<Vec<Outcome>> {
        let mut tried = Tried::default();
        let mut outcomes = BTreeMap::new();
        // What shows the ends comes before what shows the beginnings, which another signal's hook may have as well: what
        // opens and closes while they are attached would be there for ever. It is tried again with its own signal.
        if let Some(ends) = plan::signal("listener").and_then(|signal| signal.hooks.first()) {
            let _ = self.attach_hook(ends, &mut tried);
        }
        for (signal, hook) in self.forced {
            if let Err(refusal) = self.attach_hook(hook, &mut tried) {
                return Err(unusable(signal, &[(*hook, refusal)]).into());
            }
            outcomes.insert(signal.name, Outcome { signal, hook: Some(hook), refused: Vec::new() });
        }
        for signal in SIGNALS.iter() {
            if !outcomes.contains_key(signal.name) {
                outcomes.insert(signal.name, self.best(signal, &mut tried));
            }
        }
        Ok(SIGNALS.iter().filter_map(|signal| outcomes.remove(signal.name)).collect())
    }

    fn best(&mut self, signal: &'static Signal, tried: &mut Tried) -> Outcome {
        let mut outcome = Outcome { signal, hook: None, refused: Vec::new() };
        for hook in self.in_order(signal) {
            let silent = |(other, one): &Chosen| other.name == signal.name && one.name == hook.name;
            if self.silent.iter().any(silent) {
                outcome.refused.push((hook, Refusal::Silent));
                continue;
            }
            match self.attach_hook(hook, tried) {
                Ok(()) => {
                    outcome.hook = Some(hook);
                    break;
                }
                Err(refusal) => outcome.refused.push((hook, refusal)),
            }
        }
        outcome
    }

    /// A signal's hooks, the best first.
    fn in_order(&self, signal: &'static Signal) -> Vec<&'static Hook> {
        let mut hooks: Vec<&Hook> = signal.hooks.iter().collect();
        if self.layout.preempted {
            hooks.sort_by_key(|hook| !plan::FIRST_WHERE_PREEMPTED.contains(&(signal.name, hook.name)));
        }
        hooks
    }

    /// All of a hook's programs, or none.
    fn attach_hook(&mut self, hook: &Hook, tried: &mut Tried) -> Result<(), Refusal> {
        if hook.name.starts_with("proc/") && !tasks::ids_are_the_hosts() {
            return Err(Refusal::ForeignIds);
        }
        if hook.name.starts_with("proc/schedstat") && !tasks::has_times() {
            return Err(Refusal::NotBuilt("CONFIG_SCHED_INFO"));
        }
        // Programs of another signal give it, where this kernel has what they read for it.
        let missing: Vec<&str> =
            plan::read_beside(hook).filter(|field| self.layout.missing.contains(field)).collect();
        if !missing.is_empty() {
            return Err(Refusal::missing_fields(&missing));
        }
        let mut begun = Vec::new();
        for name in hook.programs.iter().copied() {
            if tried.attached.contains(name) {
                continue;
            }
            let result = match tried.refused.get(name) {
                Some(refusal) => Err(refusal.clone()),
                None => self.attach_program(name, tried),
            };
            match result {
                Ok(()) => begun.push(name),
                Err(refusal) => {
                    for name in begun {
                        tried.attached.remove(name);
                        self.stop(name);
                    }
                    // That another has the event may change; nothing else does.
                    if !matches!(refusal, Refusal::Taken(_)) {
                        tried.refused.insert(name, refusal.clone());
                    }
                    return Err(refusal);
                }
            }
            tried.attached.insert(name);
        }
        Ok(())
    }

    fn attach_program(&mut self, name: &'static str, tried: &Tried) -> Result<(), Refusal> {
        let row =
            plan::program(name).ok_or_else(|| Refusal::Other(format!("the plan has no program {name}")))?;
        let mut others = tried.attached.iter().filter_map(|other| plan::program(other));
        if let Some(other) = others.find(|other| row.event.is_some() && other.event == row.event) {
            return Err(Refusal::Taken(other.name.to_owned()));
        }
        self.fits(row)?;
        let copies = if self.layout.preempted { row.copies } else { &[] };
        // In this order: what is attached later is called later (`func_add` appends at equal priority).
        for one in std::iter::once(&name).chain(copies) {
            let started = match self.ebpf.program_mut(one) {
                Some(program) => {
                    loading::start(program, row, self.btf).map_err(|error| loading::refusal(row, &error))
                }
                None => Err(Refusal::Other(format!("the eBPF object has no program {one}"))),
            };
            if let Err(refusal) = started {
                self.stop(name);
                return Err(refusal);
            }
        }
        Ok(())
    }

    /// Detaches and unloads a program, and its copies.
    fn stop(&mut self, name: &str) {
        let copies = plan::program(name).map_or(&[][..], |row| row.copies);
        for one in std::iter::once(&name).chain(copies) {
            if let Some(program) = self.ebpf.program_mut(one) {
                loading::stop(program);
            }
        }
    }

    /// Whether this kernel has what the program reads.
    fn fits(&self, row: &Program) -> Result<(), Refusal> {
        let fields = row.fields.iter().copied().flatten().copied();
        let missing: Vec<&str> = fields.filter(|field| self.layout.missing.contains(field)).collect();
        if !missing.is_empty() {
            return Err(Refusal::missing_fields(&missing));
        }
        let of = match row.attach {
            Attach::TpBtf(name) => format!("tracepoint {name}"),
            Attach::FEntry(name) | Attach::FExit(name) | Attach::KProbe(name) => format!("function {name}"),
            Attach::Tracepoints(..) | Attach::OnDemand | Attach::Iterator(_) => return Ok(()),
        };
        let found = self.layout.takes.get(row.name).copied().flatten();
        match (found, row.takes) {
            (None, _) => Err(Refusal::NotInKernel(of)),
            (Some(found), Some(wanted)) if found != wanted => Err(Refusal::Parameters { of, wanted, found }),
            _ => Ok(()),
        }
    }
}

/// What was found out so far.
#[derive(Default)]
struct Tried {
    attached: BTreeSet<&'static str>,
    refused: BTreeMap<&'static str, Refusal>,
}

/// The error for a signal without a hook.
pub fn unusable(signal: &Signal, refused: &[(&Hook, Refusal)]) -> Failure {
    let reasons: Vec<String> = refused
        .iter()
        .map(|(hook, refusal)| format!("{}: {refusal} ({})", hook.name, refusal.remedy()))
        .collect();
    let text = format!("no hook for the signal `{}` works here: {}", signal.name, reasons.join("; "));
    if refused.iter().all(|(_, refusal)| matches!(refusal, Refusal::Forbidden(_))) {
        Failure::Privilege(text)
    } else {
        Failure::Kernel(text)
    }
}
