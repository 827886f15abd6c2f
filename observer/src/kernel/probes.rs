//! The attached programs.

use std::{
    io::{self, Read as _},
    os::fd::{AsFd as _, AsRawFd as _},
    path::PathBuf,
};

use anyhow::{Context as _, Result, anyhow};
use aya::{
    Ebpf,
    programs::{Iter, RawTracePoint, RawTracePointRunOptions, TestRun as _},
};

use super::{
    choice::{Choice, Chosen, Outcome, unusable},
    layout::Layout,
    loading,
    plan::Program,
    privilege,
};
use crate::model::{
    bounds,
    snapshot::{Filters, ProbeCost},
};

/// Where every kernel with BTF shows it.
pub const KERNEL_BTF: &str = "/sys/kernel/btf/vmlinux";

/// What can be set before the programs are loaded.
#[derive(Debug, Clone)]
pub struct Options {
    /// File with the kernel's BTF.
    pub btf: PathBuf,
    /// What is selected.
    pub filters: Filters,
    /// A file through which the selected network namespace can be entered.
    pub entrance: Option<PathBuf>,
    /// What tells it from another one that is given its number later; none where that cannot be known.
    pub netns_cookie: Option<u64>,
    /// Most listeners that can be watched.
    pub max_listeners: u32,
    /// Most open connections that can be followed.
    pub max_connections: u32,
    /// Most threads that can be counted.
    pub max_threads: u32,
    /// Size of the event ring; a power of two, at least a page.
    pub ring_bytes: u32,
    /// Let the programs log.
    pub log: bool,
    /// Hooks that no other may stand in for.
    pub hooks: Vec<Chosen>,
    /// Hooks that are known not to fire here.
    pub silent: Vec<Chosen>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            btf: KERNEL_BTF.into(),
            filters: Filters::default(),
            entrance: None,
            netns_cookie: None,
            max_listeners: bounds::LISTENERS,
            max_connections: bounds::CONNECTIONS,
            max_threads: bounds::THREADS,
            ring_bytes: 4 << 20,
            log: false,
            hooks: Vec::new(),
            silent: Vec::new(),
        }
    }
}

/// Loaded and attached programs. Nothing is pinned: when this is dropped, or the process dies by whatever cause, the
/// kernel is as before.
pub struct Probes {
    /// aya's handle; owns programs, links and maps.
    pub ebpf: Ebpf,
    /// What became of each signal, in the order of the plan.
    pub outcomes: Vec<Outcome>,
}

impl Probes {
    /// Loads the object and attaches what the plan says.
    ///
    /// # Errors
    /// [`Failure::Privilege`](crate::failure::Failure::Privilege) without the capabilities,
    /// [`Failure::Kernel`](crate::failure::Failure::Kernel) without BTF of this kernel, on one that is too old, or when an
    /// essential signal, or one whose hook was asked for, has no hook here.
    pub fn attach(options: &Options) -> Result<Self> {
        privilege::check()?;
        let (types, btf) = loading::types(&options.btf)?;
        let layout = Layout::of(&types);
        drop(types);
        let mut probes = Self { ebpf: loading::load(options, &layout, &btf)?, outcomes: Vec::new() };
        probes.select_ports(&options.filters.ports)?;
        let choice = Choice {
            ebpf: &mut probes.ebpf,
            layout: &layout,
            btf: &btf,
            forced: &options.hooks,
            silent: &options.silent,
        };
        probes.outcomes = choice.attach()?;
        match probes.outcomes.iter().find(|outcome| outcome.signal.essential && outcome.hook.is_none()) {
            None => Ok(probes),
            Some(outcome) => Err(unusable(outcome.signal, &outcome.refused).into()),
        }
    }

    fn select_ports(&mut self, ports: &[u16]) -> Result<()> {
        let map = self.ebpf.map_mut("PORTS").ok_or_else(|| anyhow!("the eBPF object has no map PORTS"))?;
        let mut map: aya::maps::HashMap<_, u16, u8> = map.try_into().context("map PORTS")?;
        for port in ports {
            map.insert(port, 1, 0).with_context(|| format!("cannot select port {port}"))?;
        }
        Ok(())
    }

    /// Whether a signal has a hook here.
    pub fn uses(&self, signal: &str) -> bool {
        self.outcomes.iter().any(|outcome| outcome.signal.name == signal && outcome.hook.is_some())
    }

    /// Whether programs give a signal; otherwise userspace reads it, or nobody.
    pub fn has_programs(&self, signal: &str) -> bool {
        !self.programs(signal).is_empty()
    }

    /// Whether this program is one of those that give a signal.
    pub fn has_program(&self, signal: &str, program: &str) -> bool {
        self.programs(signal).contains(&program)
    }

    fn programs(&self, signal: &str) -> &'static [&'static str] {
        let outcome = self.outcomes.iter().find(|outcome| outcome.signal.name == signal);
        outcome.and_then(|outcome| outcome.hook).map_or(&[], |hook| hook.programs)
    }

    /// What a program and its copies cost so far; `None` if it is not loaded. What a program was not shown is only lost if
    /// no copy of it was shown it either.
    pub fn cost(&self, row: &Program) -> Option<ProbeCost> {
        let copies = row.copies.iter().filter_map(|copy| self.cost_of(copy));
        let first = self.cost_of(row.name)?;
        Some(copies.fold(first, |sum, copy| ProbeCost {
            program: sum.program,
            runs: sum.runs,
            run_time_ns: sum.run_time_ns.map(|ns| ns + copy.run_time_ns.unwrap_or(0)),
            recursion_misses: sum.recursion_misses.min(copy.recursion_misses),
        }))
    }

    /// What one program cost so far, from its descriptor's fdinfo; `None` if it is not loaded.
    fn cost_of(&self, name: &str) -> Option<ProbeCost> {
        let fd = self.ebpf.program(name)?.fd().ok()?.as_fd().as_raw_fd();
        let text = std::fs::read_to_string(format!("/proc/self/fdinfo/{fd}")).ok()?;
        let (mut runs, mut run_time_ns, mut recursion_misses) = (0, 0, 0);
        for (key, value) in text.lines().filter_map(|line| line.split_once(':')) {
            let count = match key {
                "run_cnt" => &mut runs,
                "run_time_ns" => &mut run_time_ns,
                "recursion_misses" => &mut recursion_misses,
                _ => continue,
            };
            *count = value.trim().parse().unwrap_or(0);
        }
        let is_counted = runs > 0;
        Some(ProbeCost {
            program: name.to_owned(),
            runs: is_counted.then_some(runs),
            run_time_ns: is_counted.then_some(run_time_ns),
            recursion_misses,
        })
    }

    /// Runs a program on demand, which takes at most twelve arguments. `false` for a run that fails: it changes nothing.
    pub fn run(&mut self, name: &str, arguments: &[u64]) -> bool {
        let mut options = RawTracePointRunOptions::new();
        for (to, argument) in options.args.iter_mut().zip(arguments) {
            *to = *argument;
        }
        let program = self.ebpf.program_mut(name).map(TryInto::<&mut RawTracePoint>::try_into);
        matches!(program, Some(Ok(program)) if program.test_run(options).is_ok())
    }

    /// Runs the iterators over open files: the first registers the listeners that exist, the second their connections.
    /// What opens meanwhile is registered by its own hook; whoever comes second finds it there.
    /// Where `places_are_few`, listeners at which something waits or was refused come first.
    pub fn find_existing(&mut self, places_are_few: bool) -> Result<()> {
        if places_are_few {
            self.busy_first(true)?;
            self.find_listeners()?;
            self.busy_first(false)?;
        }
        self.find_listeners()?;
        if self.uses("existing_connections") {
            self.iterate("existing_connections")?;
        }
        Ok(())
    }

    /// Runs the iterator over open files that registers listeners which are not watched.
    pub fn find_listeners(&mut self) -> Result<()> {
        if self.uses("existing_listeners") {
            self.iterate("existing_listeners")?;
        }
        Ok(())
    }

    fn busy_first(&mut self, is_on: bool) -> Result<()> {
        let map = self
            .ebpf
            .map_mut("BUSY_FIRST")
            .ok_or_else(|| anyhow!("the eBPF object has no map BUSY_FIRST"))?;
        let mut map: aya::maps::Array<_, u32> = map.try_into().context("map BUSY_FIRST")?;
        map.set(0, u32::from(is_on), 0).context("cannot set the map BUSY_FIRST")
    }

    /// Runs the iterator over open files that finds who holds the watched listeners.
    pub fn find_holders(&mut self) -> Result<()> {
        if self.has_program("existing_listeners", "listener_holders") {
            self.iterate("listener_holders")?;
        }
        Ok(())
    }

    fn iterate(&mut self, name: &str) -> Result<()> {
        let Some(program) = self.ebpf.program_mut(name) else { return Ok(()) };
        let program: &mut Iter = program.try_into()?;
        let link = program.attach().context("cannot run the iterator over open files")?;
        let mut output = program.take_link(link)?.into_file()?;
        // The program writes nothing; reading to the end is what makes it run over everything.
        let mut nothing = Vec::new();
        loop {
            match output.read_to_end(&mut nothing) {
                Ok(_) => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
                Err(error) => return Err(error).context("cannot read the iterator over open files"),
            }
        }
    }
}
