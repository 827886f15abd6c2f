//! Loads and attaches by the [plan](super::plan): for each signal the first hook whose programs all work here.

use std::{
    collections::BTreeMap,
    io::{self, Read as _},
    os::fd::{AsFd as _, AsRawFd as _},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, anyhow};
use aya::{
    Btf as AyaBtf, Ebpf, EbpfLoader, Endianness,
    programs::{BtfTracePoint, Iter, Program as AyaProgram, ProgramError, RawTracePoint, TracePoint},
};

use super::{
    btf::Btf,
    layout::Layout,
    plan::{Attach, Hook, PROGRAMS, Program, SIGNALS, Signal},
    privilege,
    refusal::Refusal,
};
use crate::{
    failure::Failure,
    model::snapshot::{Filters, ProbeCost},
};

/// Where every kernel with BTF shows it.
pub const KERNEL_BTF: &str = "/sys/kernel/btf/vmlinux";

/// Above every level of aya-log.
const LOG_ALL: u8 = u8::MAX;

/// What can be set before the programs are loaded.
#[derive(Debug, Clone)]
pub struct Options {
    /// File with the kernel's BTF.
    pub btf: PathBuf,
    /// What is selected.
    pub filters: Filters,
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
}

impl Default for Options {
    fn default() -> Self {
        Self {
            btf: KERNEL_BTF.into(),
            filters: Filters::default(),
            max_listeners: 1024,
            max_connections: 65_536,
            max_threads: 8192,
            ring_bytes: 4 << 20,
            log: false,
        }
    }
}

/// What became of one signal.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// Its row in the plan.
    pub signal: &'static Signal,
    /// The hook in use.
    pub hook: Option<&'static Hook>,
    /// Better hooks that were refused, and why.
    pub refused: Vec<(&'static Hook, Refusal)>,
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
    /// [`Failure::Privilege`] without the capabilities, [`Failure::Kernel`] without BTF or when an essential signal
    /// has no hook here.
    pub fn attach(options: &Options) -> Result<Self> {
        privilege::check()?;
        let layout = layout(&options.btf)?;
        let btf = AyaBtf::parse_file(&options.btf, Endianness::default()).map_err(|error| {
            Failure::Kernel(format!("cannot use BTF of {}: {error}", options.btf.display()))
        })?;
        let ebpf = load(options, &layout, &btf)?;
        let mut probes = Self { ebpf, outcomes: Vec::new() };
        probes.select_ports(&options.filters.ports)?;
        probes.attach_all(&layout, &btf);
        match probes.outcomes.iter().find(|outcome| outcome.signal.essential && outcome.hook.is_none()) {
            None => Ok(probes),
            Some(outcome) => Err(refused(outcome).into()),
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

    fn attach_all(&mut self, layout: &Layout, btf: &AyaBtf) {
        let mut tried: BTreeMap<&str, Result<(), Refusal>> = BTreeMap::new();
        for signal in SIGNALS {
            let mut outcome = Outcome { signal, hook: None, refused: Vec::new() };
            for hook in signal.hooks {
                let refusal = hook.programs.iter().find_map(|name| {
                    tried.entry(name).or_insert_with(|| self.attach_one(name, layout, btf)).clone().err()
                });
                match refusal {
                    None => {
                        outcome.hook = Some(hook);
                        break;
                    }
                    Some(refusal) => outcome.refused.push((hook, refusal)),
                }
            }
            self.outcomes.push(outcome);
        }
    }

    fn attach_one(&mut self, name: &str, layout: &Layout, btf: &AyaBtf) -> Result<(), Refusal> {
        let row = PROGRAMS
            .iter()
            .find(|row| row.name == name)
            .ok_or_else(|| Refusal::Other(format!("the plan has no program {name}")))?;
        let missing: Vec<&str> =
            row.fields.iter().copied().filter(|field| layout.missing.contains(field)).collect();
        if !missing.is_empty() {
            return Err(Refusal::missing_fields(&missing));
        }
        let program = self
            .ebpf
            .program_mut(name)
            .ok_or_else(|| Refusal::Other(format!("the eBPF object has no program {name}")))?;
        start(program, row, btf).map_err(|error| Refusal::from(&error))
    }

    /// Whether a signal has a hook here.
    pub fn uses(&self, signal: &str) -> bool {
        self.outcomes.iter().any(|outcome| outcome.signal.name == signal && outcome.hook.is_some())
    }

    /// What a program cost so far, from its descriptor's fdinfo; `None` if it is not loaded.
    pub fn cost(&self, name: &str) -> Option<ProbeCost> {
        let fd = self.ebpf.program(name)?.fd().ok()?.as_fd().as_raw_fd();
        let text = std::fs::read_to_string(format!("/proc/self/fdinfo/{fd}")).ok()?;
        let value = |key: &str| {
            text.lines()
                .find_map(|line| line.strip_prefix(key)?.strip_prefix(':')?.trim().parse::<u64>().ok())
        };
        let runs = value("run_cnt").filter(|runs| *runs > 0);
        Some(ProbeCost {
            program: name.to_owned(),
            runs,
            run_time_ns: value("run_time_ns").filter(|_| runs.is_some()),
            recursion_misses: value("recursion_misses").unwrap_or(0),
        })
    }

    /// Runs the iterator over open files, which registers the listeners that exist. A listener that opens meanwhile
    /// is registered by its own hook; whoever comes second finds it there.
    pub fn find_existing_listeners(&mut self) -> Result<()> {
        let Some(program) = self.ebpf.program_mut("existing_listeners") else { return Ok(()) };
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

/// Offsets from the BTF in a file.
fn layout(path: &Path) -> Result<Layout> {
    let data = std::fs::read(path).map_err(|error| {
        Failure::Kernel(format!(
            "cannot read the kernel's BTF from {}: {error}; it needs a kernel built with CONFIG_DEBUG_INFO_BTF",
            path.display()
        ))
    })?;
    let btf = Btf::parse(data)
        .map_err(|error| Failure::Kernel(format!("cannot use BTF of {}: {error}", path.display())))?;
    Ok(Layout::of(&btf))
}

fn load(options: &Options, layout: &Layout, btf: &AyaBtf) -> Result<Ebpf> {
    let mut loader = EbpfLoader::new();
    loader.btf(Some(btf));
    for (global, offset) in &layout.offsets {
        loader.override_global(global, offset, false);
    }
    let filters = &options.filters;
    let ports = filters.ports.len() as u32;
    let pid = filters.pid.unwrap_or(0);
    let netns = filters.netns.unwrap_or(0);
    let cgroup = filters.cgroup.unwrap_or(0);
    let log_level = if options.log { LOG_ALL } else { 0u8 };
    loader
        .override_global("FILTER_PORTS", &ports, true)
        .override_global("FILTER_PID", &pid, true)
        .override_global("FILTER_NETNS", &netns, true)
        .override_global("FILTER_CGROUP", &cgroup, true)
        .override_global(aya_log::LEVEL, &log_level, true)
        .map_max_entries("LISTENERS", options.max_listeners)
        .map_max_entries("CONNECTIONS", options.max_connections)
        .map_max_entries("THREADS", options.max_threads)
        .map_max_entries("EVENTS", options.ring_bytes);
    loader
        .load(aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/observer-ebpf")))
        .context("cannot load the eBPF object into the kernel")
}

/// Loads one program and attaches it, if it is one that is attached.
fn start(program: &mut AyaProgram, row: &Program, btf: &AyaBtf) -> Result<(), ProgramError> {
    match row.attach {
        Attach::TpBtf(tracepoint) => {
            let program: &mut BtfTracePoint = program.try_into()?;
            program.load(tracepoint, btf)?;
            program.attach()?;
        }
        Attach::Tracepoint(category, name) => {
            let program: &mut TracePoint = program.try_into()?;
            program.load()?;
            program.attach(category, name)?;
        }
        Attach::OnDemand => {
            let program: &mut RawTracePoint = program.try_into()?;
            program.load()?;
        }
        Attach::Iterator(over) => {
            let program: &mut Iter = program.try_into()?;
            program.load(over, btf)?;
        }
    }
    Ok(())
}

/// The error for an essential signal without a hook.
fn refused(outcome: &Outcome) -> Failure {
    let reasons: Vec<String> = outcome
        .refused
        .iter()
        .map(|(hook, refusal)| format!("{}: {refusal} ({})", hook.name, refusal.remedy()))
        .collect();
    let text = format!("no hook for the signal `{}` works here: {}", outcome.signal.name, reasons.join("; "));
    if outcome.refused.iter().all(|(_, refusal)| matches!(refusal, Refusal::Forbidden(_))) {
        Failure::Privilege(text)
    } else {
        Failure::Kernel(text)
    }
}
