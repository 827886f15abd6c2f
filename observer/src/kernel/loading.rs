//! The eBPF object and its programs: into the kernel and out of it, by aya.

use std::{fmt::Display, io::Read as _, path::Path};

use anyhow::{Context as _, Result};
use aya::{
    Btf as AyaBtf, Ebpf, EbpfLoader, Endianness,
    programs::{
        BtfTracePoint, FEntry, FExit, Iter, KProbe, Program as AyaProgram, ProgramError, RawTracePoint,
        TracePoint,
    },
};

use super::{
    btf::Btf,
    layout::Layout,
    origin,
    plan::{Attach, Program},
    probes::Options,
    refusal::Refusal,
    tracefs,
};
use crate::{failure::Failure, input, visible::Shown};

/// Where reading a file of types ends; a kernel's own are some 10 MiB.
const LARGEST_BTF: u64 = 64 << 20;
/// Above every level of aya-log.
const LOG_ALL: u8 = u8::MAX;

/// Types from the BTF in a file, as this crate reads them and as aya does.
pub(super) fn types(path: &Path) -> Result<(Btf, AyaBtf)> {
    let read = || {
        let file = input::open(path)?;
        // In one piece, or the growing of it would be the most memory that is ever used here.
        let mut data = Vec::with_capacity(file.metadata()?.len().min(LARGEST_BTF) as usize + 1);
        file.take(LARGEST_BTF).read_to_end(&mut data)?;
        Ok(data)
    };
    let data = read().map_err(|error: std::io::Error| {
        Failure::Kernel(format!(
            "cannot read the kernel's BTF from {}: {error}; {}",
            Shown(path),
            origin::remedy()
        ))
    })?;
    let unusable =
        |error: &dyn Display| Failure::Kernel(format!("cannot use BTF of {}: {error}", Shown(path)));
    // First, because aya takes for granted some of what this checks.
    let types = Btf::parse(data).map_err(|error| unusable(&error))?;
    origin::check(path, &types)?;
    origin::check_age(path, &types)?;
    // The same bytes, not the file again, which may be another by now.
    let for_aya = AyaBtf::parse(types.bytes(), Endianness::default()).map_err(|error| unusable(&error))?;
    Ok((types, for_aya))
}

/// Loads the object's maps; its programs are loaded one by one.
pub(super) fn load(options: &Options, layout: &Layout, btf: &AyaBtf) -> Result<Ebpf> {
    let mut loader = EbpfLoader::new();
    loader.btf(Some(btf));
    for (global, value) in &layout.values {
        loader.override_global(global, value, false);
    }
    let filters = &options.filters;
    let ports = filters.ports.len() as u32;
    let pid = filters.pid.unwrap_or(0);
    let netns = filters.netns.unwrap_or(0);
    let netns_cookie = options.netns_cookie.unwrap_or(0);
    let cgroup = filters.cgroup.unwrap_or(0);
    let preempted = u32::from(layout.preempted);
    let log_level = if options.log { LOG_ALL } else { 0u8 };
    loader
        .override_global("PREEMPTED", &preempted, true)
        .override_global("FILTER_PORTS", &ports, true)
        .override_global("FILTER_PID", &pid, true)
        .override_global("FILTER_NETNS", &netns, true)
        .override_global("FILTER_NETNS_COOKIE", &netns_cookie, true)
        .override_global("FILTER_CGROUP", &cgroup, true)
        .override_global(aya_log::LEVEL, &log_level, true)
        .map_max_entries("LISTENERS", options.max_listeners)
        .map_max_entries("PLACES", options.max_listeners)
        .map_max_entries("CONNECTIONS", options.max_connections)
        .map_max_entries("THREADS", options.max_threads)
        .map_max_entries("SERVERS", options.max_threads)
        .map_max_entries("HOLDS", options.max_threads)
        .map_max_entries("ACCEPTORS", options.max_threads)
        .map_max_entries("EVENTS", options.ring_bytes);
    loader
        .load(aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/observer-ebpf")))
        .context("cannot load the eBPF object into the kernel")
}

/// Loads one program and attaches it, if it is one that is attached.
pub(super) fn start(program: &mut AyaProgram, row: &Program, btf: &AyaBtf) -> Result<(), ProgramError> {
    match row.attach {
        Attach::TpBtf(tracepoint) => {
            let program: &mut BtfTracePoint = program.try_into()?;
            program.load(tracepoint, btf)?;
            program.attach()?;
        }
        Attach::FEntry(function) => {
            let program: &mut FEntry = program.try_into()?;
            program.load(function, btf)?;
            program.attach()?;
        }
        Attach::FExit(function) => {
            let program: &mut FExit = program.try_into()?;
            program.load(function, btf)?;
            program.attach()?;
        }
        Attach::KProbe(function) => {
            let program: &mut KProbe = program.try_into()?;
            program.load()?;
            program.attach(function, 0)?;
        }
        Attach::Tracepoints(category, names) => {
            let program: &mut TracePoint = program.try_into()?;
            program.load()?;
            for name in names {
                tracefs::visible(|| program.attach(category, name))?;
            }
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

/// Detaches and unloads a program, whatever state it is in.
pub(super) fn stop(program: &mut AyaProgram) {
    // An error means that it was not loaded, which is what is wanted.
    let _ = match program {
        AyaProgram::BtfTracePoint(program) => program.unload(),
        AyaProgram::FEntry(program) => program.unload(),
        AyaProgram::FExit(program) => program.unload(),
        AyaProgram::KProbe(program) => program.unload(),
        AyaProgram::TracePoint(program) => program.unload(),
        AyaProgram::RawTracePoint(program) => program.unload(),
        AyaProgram::Iter(program) => program.unload(),
        _ => Ok(()),
    };
}

/// Why a program could not be started.
pub(super) fn refusal(row: &Program, error: &ProgramError) -> Refusal {
    let refusal = Refusal::from(error);
    match refusal.clone() {
        // Other programs of this process were loaded, so it is not a capability that is missing.
        Refusal::Forbidden(error) | Refusal::Other(error) => match row.attach {
            Attach::FEntry(function) | Attach::FExit(function) => {
                Refusal::NoTrampoline { function: function.to_owned(), error }
            }
            _ => refusal,
        },
        refusal => refusal,
    }
}
