//! `cargo xtask vm --peers`: the same load seen by the observer and by tools that nobody here wrote.
//!
//! On the kernels that have kprobes, bpftrace's tools count accepts, ends and handshakes while the observer does, and
//! `nstat` and `ss` are asked afterwards. docs/accuracy.md explains what the figures mean.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, Result};

use super::{
    guest::{Guest, libraries},
    kernels::Kernel,
};
use crate::{exec, interrupt::Interrupt, table::Table};

/// The tools of bpftrace, by their file names in Debian's package.
const SCRIPTS: [&str; 3] = ["tcpaccept.bt", "tcplife.bt", "tcpsynbl.bt"];
/// What the scripts include.
const HEADERS: [&str; 2] = ["/usr/include", "/usr/lib/llvm-14/lib/clang"];

/// Everything that the guest needs beside its own: where it is here, and there.
pub(super) fn files() -> Result<Vec<(PathBuf, PathBuf)>> {
    let bpftrace = PathBuf::from(exec::capture(exec::command("which").arg("bpftrace"))?.trim());
    let mut files = libraries(&bpftrace)?;
    files.push((bpftrace, "/bin/bpftrace".into()));
    for script in SCRIPTS {
        files.push((Path::new("/usr/sbin").join(script), Path::new("/bin").join(script)));
    }
    let present = HEADERS.iter().map(PathBuf::from).filter(|path| path.exists());
    files.extend(present.map(|path| (path.clone(), path)));
    Ok(files)
}

/// What is run in the guest. Each figure is written as `figure: NAME VALUE`.
const SCRIPT: &str = r#"
mkdir -p /tmp/o; cd /tmp/o
observer stream --interval 1s --only listener,connection,host,loss > observer 2> observer.err & observer=$!
for tool in tcpaccept tcplife tcpsynbl; do bpftrace /bin/$tool.bt > $tool 2> $tool.err & eval $tool=$!; done
until grep -q meta observer; do sleep 1; done
for tool in tcpaccept tcplife tcpsynbl; do
  for second in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30; do
    grep -q Tracing $tool && break; sleep 1
  done
done
demo-server serve --listen 127.0.0.1:8080 --pattern acceptor-readers > /dev/null 2>&1 & server=$!
sleep 3
nstat -n
demo-server load --target 127.0.0.1:8080 --profile churn --connections 4 --duration 10s --json > load 2> load.err
sleep 2
nstat -s TcpPassiveOpens > nstat
ss -ltnmiH 'sport = :8080' > ss
kill -TERM $server; wait $server
sleep 2
kill -INT $observer $tcpaccept $tcplife $tcpsynbl
wait $observer
wait
figure() { echo "figure: $1 $2"; }
figure load $(sed 's/.*"responses":\([0-9]*\).*/\1/' load | grep -x '[0-9]*' || tr ',{' '\n\n' < load | sed -n 's/.*"responses": *\([0-9]*\).*/\1/p' | head -1)
figure nstat_passive_opens $(awk '/TcpPassiveOpens/ {print $2}' nstat)
figure observer_connections $(grep '"type":"connection"' observer | grep -c ':8080"')
figure observer_lost $(tail -1 observer | sed 's/.*"total":\([0-9]*\).*/\1/')
figure tcpaccept $(awk '$7 == 8080' tcpaccept | wc -l)
figure tcplife $(awk '$4 == 8080' tcplife | wc -l)
figure tcpsynbl $(sed -n 's/.*[])] *\([0-9]*\) *|.*/\1/p' tcpsynbl | awk '{s += $1} END {print s + 0}')
figure ss_queue "$(awk '{print $2 "/" $3}' ss | head -1)"
figure ss_drops "$(sed -n 's/.*,d\([0-9]*\)).*/\1/p' ss | head -1)"
for tool in tcpaccept tcplife tcpsynbl; do figure lost_by_$tool "$(cat $tool $tool.err | sed -n 's/Lost \([0-9]*\) events/\1/p' | awk '{s += $1} END {print s + 0}')"; done
head -c 600 tcpaccept.err tcplife.err tcpsynbl.err load.err
true
"#;

/// Runs it on each kernel, and prints what each tool has counted.
pub(super) fn run(guest: &Guest, kernels: &[Kernel], timeout: Duration, interrupt: &Interrupt) -> Result<()> {
    for kernel in kernels {
        let ended = guest.boot(kernel, interrupt)?.run(SCRIPT, timeout, interrupt)?;
        let figures = figures(&ended.output);
        let mut table = Table::new(["counted by", "figure"]);
        for (name, value) in &figures {
            table.row([name.as_str(), value.as_str()]);
        }
        println!("== Linux {}\n{table}", kernel.version);
        figures.get("observer_connections").with_context(|| format!("no figures: {}", ended.output))?;
    }
    Ok(())
}

fn figures(output: &str) -> BTreeMap<String, String> {
    let figures = output.lines().filter_map(|line| line.strip_prefix("figure: ")?.split_once(' '));
    figures.map(|(name, value)| (name.to_owned(), value.trim().to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_told_from_noise() {
        let found = figures("noise\nfigure: a 1\nfigure: b 2/3\nfigure: c\n");
        let expected = [("a", "1"), ("b", "2/3")].map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(found, BTreeMap::from(expected));
    }
}
