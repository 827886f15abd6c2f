//! Running commands: the failing one is always printed whole.

use std::{
    env,
    ffi::OsStr,
    fmt::Write as _,
    io::{BufRead, BufReader, Read as _},
    path::PathBuf,
    process::{Command, Stdio},
    thread,
};

use anyhow::{Context as _, Result, anyhow, bail};

/// A command whose search path begins with cargo's own directory of programs.
///
/// Not every shell has it in PATH (a CI job seldom does), and `rustup` and `bpf-linker` live there.
pub(crate) fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command.env("PATH", search_path());
    command
}

/// The same, ended by SIGTERM when this process dies in whatever way, `kill -9` included.
///
/// `setpriv` (util-linux) sets `PR_SET_PDEATHSIG` and then becomes the program, so the process id is the program's.
/// Doing it between fork and exec ourselves would need unsafe code. The signal is bound to the *thread* that spawns,
/// so spawn from the main thread. It does not survive `sudo`, which clears it.
pub(crate) fn tied(program: impl AsRef<OsStr>) -> Command {
    let mut tied = command(TIE[0]);
    tied.args(&TIE[1..]).arg(program);
    tied
}

/// What stands before a program that is tied to us.
const TIE: [&str; 4] = ["setpriv", "--pdeathsig", "TERM", "--"];

/// Runs it with our own stdout and stderr.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("failed to run {}", shown(command)))?;
    if !status.success() {
        bail!("{} failed: {status}", shown(command));
    }
    Ok(())
}

/// Runs it and returns what it wrote to stdout; its stderr is shown.
pub(crate) fn capture(command: &mut Command) -> Result<String> {
    let output = command
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("failed to run {}", shown(command)))?;
    if !output.status.success() {
        bail!("{} failed: {}", shown(command), output.status);
    }
    String::from_utf8(output.stdout)
        .with_context(|| format!("{} wrote something that is not UTF-8", shown(command)))
}

/// The same, and lines of its stderr that say only how far it is are shown if it fails, and otherwise not at all.
pub(crate) fn capture_without(command: &mut Command, is_chatter: impl Fn(&str) -> bool) -> Result<String> {
    let failed = |command: &Command| format!("failed to run {}", shown(command));
    let mut child =
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().with_context(|| failed(command))?;
    let stdout = child.stdout.take();
    // Both pipes must be emptied, whichever is full.
    let read = thread::spawn(move || {
        let mut text = String::new();
        stdout.map_or(Ok(0), |mut stdout| stdout.read_to_string(&mut text)).map(|_| text)
    });
    let mut chatter = String::new();
    for line in child.stderr.take().map(BufReader::new).into_iter().flat_map(BufRead::lines) {
        let line = line.with_context(|| failed(command))?;
        match is_chatter(&line) {
            true => chatter += &format!("{line}\n"),
            false => eprintln!("{line}"),
        }
    }
    let status = child.wait().with_context(|| failed(command))?;
    if !status.success() {
        eprint!("{chatter}");
        bail!("{} failed: {status}", shown(command));
    }
    let text = read.join().map_err(|_| anyhow!("the thread that read its output has panicked"))?;
    text.with_context(|| format!("{} wrote something that is not UTF-8", shown(command)))
}

/// The command as one would type it: variables that we set (but PATH), program, arguments.
pub(crate) fn shown(command: &Command) -> String {
    let mut line = String::new();
    for (key, value) in command.get_envs() {
        if let (true, Some(value)) = (key != "PATH", value) {
            let _ = write!(line, "{}={} ", key.display(), quoted(value));
        }
    }
    let words: Vec<_> = [command.get_program()].into_iter().chain(command.get_args()).collect();
    // How it is tied to us is nothing that one would type.
    let words = words.strip_prefix(&TIE.map(OsStr::new)).unwrap_or(&words);
    line.push_str(&words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" "));
    line
}

fn quoted(word: &OsStr) -> String {
    let word = word.to_string_lossy();
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_=+./:,@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.into_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// PATH with cargo's directory of programs in front.
pub(crate) fn search_path() -> std::ffi::OsString {
    let inherited = env::var_os("PATH").unwrap_or_default();
    let Some(bin) = cargo_home().map(|home| home.join("bin")) else { return inherited };
    let rest = env::split_paths(&inherited).filter(|path| *path != bin);
    env::join_paths([bin.clone()].into_iter().chain(rest)).unwrap_or(inherited)
}

/// `$CARGO_HOME`, or `~/.cargo`.
pub(crate) fn cargo_home() -> Option<PathBuf> {
    env::var_os("CARGO_HOME").map(PathBuf::from).or_else(|| env::home_dir().map(|home| home.join(".cargo")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failing_command_is_printed_whole() {
        let error = run(command("sh").env("A", "b c").args(["-c", "exit 3"])).unwrap_err().to_string();
        assert_eq!(error, "A='b c' sh -c 'exit 3' failed: exit status: 3");
        let error = format!("{:#}", run(&mut command("no-such-program")).unwrap_err());
        assert!(error.starts_with("failed to run no-such-program: "), "{error}");
    }

    #[test]
    fn a_tied_command_is_shown_as_one_would_type_it() {
        assert_eq!(shown(tied("sleep").arg("1")), "sleep 1");
    }

    #[test]
    fn capture_returns_stdout() {
        assert_eq!(capture(command("printf").arg("a b")).unwrap(), "a b");
    }

    #[test]
    fn cargos_directory_comes_first_and_once() {
        let path = search_path();
        let bin = cargo_home().unwrap().join("bin");
        let all: Vec<_> = env::split_paths(&path).collect();
        assert_eq!(all.first(), Some(&bin));
        assert_eq!(all.iter().filter(|path| **path == bin).count(), 1);
    }
}
