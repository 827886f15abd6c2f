//! What can be asked about the machine: output of a command, contents of a file. Tests answer from a script.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

use crate::{exec, workspace};

/// Questions that change nothing.
pub(crate) trait Machine {
    /// What the command wrote to stdout, if it could be run and succeeded.
    fn output(&self, program: &str, args: &[&str]) -> Option<String>;
    /// The file's contents, if it can be read.
    fn read(&self, path: &str) -> Option<Vec<u8>>;
    /// Names in the directory; empty if it cannot be read.
    fn list(&self, path: &str) -> Vec<String>;
    /// An environment variable that is set and not empty.
    fn variable(&self, name: &str) -> Option<String>;

    /// The file's contents as text, if it can be read.
    fn text(&self, path: &str) -> Option<String> {
        self.read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    }

    /// The command can be run, and succeeds.
    fn runs(&self, program: &str, args: &[&str]) -> bool {
        self.output(program, args).is_some()
    }
}

/// This machine.
pub(crate) struct ThisMachine;

impl ThisMachine {
    fn command(program: &str, args: &[&str]) -> Command {
        let mut command = exec::command(program);
        // In the repository's root, where a rust-toolchain.toml or a rustup override would count.
        command.args(args).current_dir(workspace::root()).stdin(Stdio::null()).env("LC_ALL", "C");
        command
    }
}

impl Machine for ThisMachine {
    fn output(&self, program: &str, args: &[&str]) -> Option<String> {
        let output = Self::command(program, args).stderr(Stdio::null()).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
    }

    fn read(&self, path: &str) -> Option<Vec<u8>> {
        fs::read(path).ok()
    }

    fn list(&self, path: &str) -> Vec<String> {
        let Ok(entries) = fs::read_dir(Path::new(path)) else { return Vec::new() };
        entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
    }

    fn variable(&self, name: &str) -> Option<String> {
        std::env::var(name).ok().filter(|value| !value.is_empty())
    }
}

#[cfg(test)]
pub(crate) mod scripted {
    //! A machine made of strings.

    use std::collections::BTreeMap;

    use super::Machine;

    /// Answers from tables; what is not in them is not there.
    #[derive(Default, Clone)]
    pub(crate) struct Scripted {
        commands: BTreeMap<String, String>,
        files: BTreeMap<String, String>,
        variables: BTreeMap<String, String>,
    }

    impl Scripted {
        pub(crate) fn command(mut self, line: &str, stdout: &str) -> Self {
            self.commands.insert(line.into(), stdout.into());
            self
        }

        pub(crate) fn file(mut self, path: &str, text: &str) -> Self {
            self.files.insert(path.into(), text.into());
            self
        }

        pub(crate) fn variable(mut self, name: &str, value: &str) -> Self {
            self.variables.insert(name.into(), value.into());
            self
        }
    }

    impl Machine for Scripted {
        fn output(&self, program: &str, args: &[&str]) -> Option<String> {
            self.commands.get(&[&[program], args].concat().join(" ")).cloned()
        }

        fn read(&self, path: &str) -> Option<Vec<u8>> {
            self.files.get(path).map(|text| text.clone().into_bytes())
        }

        fn list(&self, path: &str) -> Vec<String> {
            let prefix = format!("{path}/");
            let below = self.files.keys().filter_map(|file| file.strip_prefix(&prefix));
            below.filter(|rest| !rest.contains('/')).map(Into::into).collect()
        }

        fn variable(&self, name: &str) -> Option<String> {
            self.variables.get(name).cloned()
        }
    }
}
