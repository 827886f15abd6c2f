//! `cargo xtask vm --arch arm64`: the observer on 64-bit ARM.
//!
//! Builds both programs for that architecture, boots Debian's kernel for it, and has every signal fire there. Then it
//! compares the lines of a stream with what the load generator has counted.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;

use super::{board::ARM64, guest::Guest, kernels, whole};
use crate::{
    artifacts::{self, Program},
    exec,
    interrupt::Interrupt,
    table::Table,
    toolchain::{self, BpfToolchain},
    workspace,
};

/// Connections that the load makes: a prime, as no rate or batch gives it.
const CONNECTIONS: u64 = 53;

/// What is run in the guest after the self-test. The backend is there before the observer is, so that its listener is
/// one of those that were there before; and the observer ends by SIGINT, so that all its lines are written.
fn script() -> String {
    format!(
        "demo-server serve --listen 127.0.0.1:8080 --pattern acceptor-readers > server 2>&1 & server=$!\n\
         observer stream --port 8080 --interval 1s > lines 2> errors & observer=$!\n\
         until grep -q '\"type\":\"meta\"' lines; do kill -0 $observer || break; sleep 1; done\n\
         until netstat -ltn | grep -q ':8080 '; do kill -0 $server || break; sleep 1; done\n\
         demo-server load --target 127.0.0.1:8080 --profile churn --connections 4 \
           --total-connections {CONNECTIONS} --json > load 2>> errors\n\
         kill $server; wait $server\n\
         kill -INT $observer; wait $observer\n\
         cat errors; echo \"load: $(tr -d '\\n' < load)\"; cat lines\n"
    )
}

/// Builds, boots, and compares. With `command`, runs that in the guest instead, and prints what it wrote.
pub(super) fn run(
    toolchain: &BpfToolchain,
    command: Option<&str>,
    timeout: Duration,
    interrupt: &Interrupt,
) -> Result<()> {
    let programs = build(toolchain)?;
    let (kernel, apt) = kernels::fetch_other(ARM64.architecture)?;
    let place = super::apt::directory().join("busybox-static-arm64");
    apt.unpack(&["busybox-static".to_owned()], &place)?;
    let found = ["usr/bin/busybox", "bin/busybox"].map(|path| place.join(path));
    let busybox = found.into_iter().find(|path| path.exists()).context("busybox-static holds no busybox")?;
    let guest = Guest::of_static(&ARM64, busybox, &programs);
    let mut machine = guest.boot(&kernel, interrupt)?;
    println!("== Linux {}", kernel.version);
    let first = command.unwrap_or("observer doctor --self-test");
    let ended = machine.run(first, timeout, interrupt)?;
    print!("{}", ended.output);
    whole(&ended)?;
    if command.is_some() {
        return Ok(());
    }
    let ended = machine.run(&script(), timeout, interrupt)?;
    let comparison = Comparison::read(whole(&ended)?)?;
    print!("{}", comparison.table());
    comparison.conclude()
}

/// Builds the observer and the backend.
fn build(toolchain: &BpfToolchain) -> Result<Vec<PathBuf>> {
    eprintln!("vm: building observer and demo-server for {}", toolchain::ARM);
    let mut cargo = workspace::cargo_with_bpf(toolchain);
    cargo.args(["build", "--message-format=json-render-diagnostics", "--target", toolchain::ARM]);
    cargo.args(["--package", "observer", "--package", "demo-server"]);
    // The compiler brings this linker, and the target its C library: nothing of this machine's goes into the programs.
    cargo.env("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_MUSL_LINKER", "rust-lld");
    let programs = artifacts::parse(&exec::capture(&mut cargo)?)?;
    if programs.len() != 2 {
        bail!("cargo built {} programs for {}, and not 2", programs.len(), toolchain::ARM);
    }
    let place = workspace::target_dir().join("xtask").join("arm64");
    fs::create_dir_all(&place).with_context(|| format!("could not make {}", place.display()))?;
    let strip = |program: Program| {
        let stripped = place.join(program.path.file_name().unwrap_or_default());
        exec::run(objcopy()?.arg("--strip-debug").arg(&program.path).arg(&stripped))?;
        Ok(stripped)
    };
    programs.into_iter().map(strip).collect()
}

/// Begins the command line of the compiler's own tool: this machine's knows its own architecture alone.
fn objcopy() -> Result<Command> {
    let place = exec::capture(exec::command("rustc").args(["--print", "target-libdir"]))?;
    let place = Path::new(place.trim());
    let mut objcopy = exec::command(place.with_file_name("bin").join("rust-objcopy"));
    // It looks for the compiler's LLVM beside itself, where that is not.
    objcopy.env("LD_LIBRARY_PATH", place.ancestors().nth(3).unwrap_or(place));
    Ok(objcopy)
}

/// What the client has counted.
#[derive(Debug, Deserialize)]
struct Load {
    connections_established: u64,
    responses: u64,
    bytes_sent: u64,
    bytes_received: u64,
}

/// A line of the stream, of which only connections have these.
#[derive(Debug, Default, Deserialize)]
struct Line {
    #[serde(rename = "type")]
    kind: String,
    accepted_ns: Option<u64>,
    #[serde(default)]
    bytes_read: u64,
    #[serde(default)]
    bytes_written: u64,
}

/// Figures of the client, and of the observer.
#[derive(Debug, PartialEq)]
struct Comparison {
    rows: Vec<(&'static str, u64, u64)>,
}

impl Comparison {
    /// Reads what the script wrote.
    fn read(output: &str) -> Result<Self> {
        let load = output.lines().find_map(|line| line.strip_prefix("load: ")).unwrap_or_default();
        let load: Load =
            serde_json::from_str(load).with_context(|| format!("no report of load: {output}"))?;
        let mut connections = Vec::new();
        for line in output.lines().filter(|line| line.starts_with("{\"type\"")) {
            let line: Line =
                serde_json::from_str(line).with_context(|| format!("the stream has `{line}`"))?;
            connections.extend((line.kind == "connection").then_some(line));
        }
        let sum = |figure: fn(&Line) -> u64| connections.iter().map(figure).sum::<u64>();
        let rows = vec![
            ("connections", CONNECTIONS, load.connections_established),
            ("lines", load.connections_established, sum(|_| 1)),
            ("accepted", load.responses, sum(|line| u64::from(line.accepted_ns.is_some()))),
            ("bytes read", load.bytes_sent, sum(|line| line.bytes_read)),
            ("bytes written", load.bytes_received, sum(|line| line.bytes_written)),
        ];
        Ok(Self { rows })
    }

    fn table(&self) -> Table {
        let mut table = Table::new(["figure", "expected", "found"]);
        for (name, expected, found) in &self.rows {
            table.row([(*name).to_owned(), expected.to_string(), found.to_string()]);
        }
        table
    }

    /// An error if any figure is another than expected.
    fn conclude(&self) -> Result<()> {
        let differ: Vec<&str> =
            self.rows.iter().filter(|(_, expected, found)| expected != found).map(|row| row.0).collect();
        match differ.as_slice() {
            [] => Ok(()),
            differ => bail!("the observer and the client differ in {}", differ.join(", ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the script writes, with so many lines of connections.
    fn output(lines: usize) -> String {
        let line = r#"{"type":"connection","accepted_ns":5,"bytes_read":2,"bytes_written":3}"#;
        format!(
            "noise\nload: {{\"connections_established\":53,\"responses\":53,\"bytes_sent\":106,\"bytes_received\":159}}\n\
             {{\"type\":\"meta\",\"kernel\":\"6\"}}\n{}",
            format!("{line}\n").repeat(lines)
        )
    }

    #[test]
    fn a_line_too_few_is_an_error() {
        assert!(Comparison::read(&output(53)).unwrap().conclude().is_ok());
        let error = Comparison::read(&output(52)).unwrap().conclude().unwrap_err().to_string();
        assert_eq!(error, "the observer and the client differ in lines, accepted, bytes read, bytes written");
    }

    #[test]
    fn a_load_that_did_not_run_is_an_error() {
        assert!(Comparison::read("demo-server: no\nload: \n").is_err());
    }
}
