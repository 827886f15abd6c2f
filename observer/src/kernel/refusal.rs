//! Why a hook cannot be used, typed, with what to do about it.

use std::{fmt, io};

use aya::programs::{ProgramError, TracePointError};

use super::layout::Layout;

/// `include/linux/errno.h`
const ENOTSUPP: i32 = 524;

/// Why a hook cannot be used here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// This kernel's structures do not have these members.
    MissingFields(Vec<String>),
    /// This kernel has no such tracepoint or iterator.
    NotInKernel(String),
    /// tracefs cannot be read.
    NoTracefs(String),
    /// A function of this kernel, or a tracepoint, has another number of parameters than the program was written for.
    Parameters {
        /// Its name.
        of: String,
        /// How many it was written for.
        wanted: u32,
        /// How many there are.
        found: u32,
    },
    /// This kernel does not attach programs to this function, or to none at all.
    NoTrampoline {
        /// Its name.
        function: String,
        /// What the kernel said.
        error: String,
    },
    /// Another program counts the same event.
    Taken(String),
    /// It loaded and attached, and did not fire in the self-test.
    Silent,
    /// Process ids here are those of a PID namespace, and the kernel's records hold the host's.
    ForeignIds,
    /// This kernel was built without this option.
    NotBuilt(&'static str),
    /// A capability is missing, or the kernel forbids it (lockdown, or a build without the feature).
    Forbidden(String),
    /// The verifier refused the program; the end of its log.
    Verifier(String),
    /// Anything else, in the kernel's words.
    Other(String),
}

impl Refusal {
    /// What the person in front of the screen can do.
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::MissingFields(_)
            | Self::NotInKernel(_)
            | Self::NotBuilt(_)
            | Self::Parameters { .. }
            | Self::Silent => "another kernel; docs/kernels.md lists what each one offers",
            Self::NoTrampoline { .. } => {
                "a kernel built with CONFIG_KPROBES and CONFIG_DYNAMIC_FTRACE_WITH_DIRECT_CALLS, as distributions do"
            }
            Self::Taken(_) => {
                "nothing: that one serves this signal too; --hook chooses the other one for both"
            }
            Self::ForeignIds => "start it outside the container, or in one with the host's PID namespace",
            Self::NoTracefs(_) => {
                "mount -t tracefs tracefs /sys/kernel/tracing; where it is mounted, only root may read it unless its mode says otherwise"
            }
            Self::Forbidden(_) => {
                "run with sudo, or give CAP_BPF and CAP_PERFMON; check /sys/kernel/security/lockdown"
            }
            Self::Verifier(_) => {
                "please report this, with the kernel's release: it is a fault of the observer"
            }
            Self::Other(_) => "see the text; `observer doctor --json` has it whole",
        }
    }

    /// For the members that a program needs and the kernel does not have.
    pub fn missing_fields(globals: &[&str]) -> Self {
        Self::MissingFields(globals.iter().map(|global| Layout::member_of(global)).collect())
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MissingFields(fields) => write!(f, "this kernel has no {}", fields.join(", ")),
            Self::NotInKernel(what) => write!(f, "this kernel has no {what}"),
            Self::NoTracefs(text) => write!(f, "tracefs is not readable: {text}"),
            Self::Parameters { of, wanted, found } => {
                write!(
                    f,
                    "{of} has {found} parameters on this kernel, and the program knows it with {wanted}"
                )
            }
            Self::NoTrampoline { function, error } => {
                write!(f, "this kernel does not attach programs to the function {function}: {error}")
            }
            Self::Taken(by) => write!(f, "the program {by} counts the same event already"),
            Self::Silent => f.write_str("it attached, but stayed silent in the self-test"),
            Self::NotBuilt(option) => write!(f, "this kernel was built without {option}"),
            Self::ForeignIds => f.write_str("/proc here is that of another PID namespace than the records'"),
            Self::Forbidden(text) => write!(f, "not permitted: {text}"),
            Self::Verifier(text) => write!(f, "refused by the verifier: {text}"),
            Self::Other(text) => f.write_str(text),
        }
    }
}

impl From<&ProgramError> for Refusal {
    fn from(error: &ProgramError) -> Self {
        match error {
            ProgramError::LoadError { io_error, verifier_log } => {
                let log = verifier_log.to_string();
                // The last lines are statistics; the one before them says what is wrong.
                let says = |line: &&str| {
                    !line.trim().is_empty()
                        && !["processed ", "stack depth ", "verification time "]
                            .iter()
                            .any(|statistic| line.starts_with(statistic))
                };

                let last = log.lines().rev().find(says).unwrap_or("").trim();
                match io_error.raw_os_error() {
                    Some(libc::EPERM) if log.trim().is_empty() => Self::Forbidden(io_error.to_string()),
                    _ => Self::Verifier(format!("{io_error}; {last}")),
                }
            }
            ProgramError::Btf(error) => Self::NotInKernel(error.to_string()),
            ProgramError::SyscallError(error) => match error.io_error.kind() {
                io::ErrorKind::PermissionDenied => {
                    Self::Forbidden(format!("{}: {}", error.call, error.io_error))
                }
                // Not one that user space should ever see, and so without a name there.
                _ if error.io_error.raw_os_error() == Some(ENOTSUPP) => {
                    Self::Other(format!("{}: not supported (ENOTSUPP)", error.call))
                }
                _ => Self::Other(format!("{}: {}", error.call, error.io_error)),
            },
            ProgramError::TracePointError(TracePointError::FileError { filename, io_error }) => {
                let text = format!("{}: {io_error}", filename.display());
                match io_error.kind() {
                    io::ErrorKind::NotFound if trace_root_readable() => {
                        Self::NotInKernel(format!("tracepoint {}", filename.display()))
                    }
                    _ => Self::NoTracefs(text),
                }
            }
            other => {
                let text = other.to_string();
                // aya looks for the mount itself, and does not find one that it may not read.
                if text.contains("tracefs") { Self::NoTracefs(text) } else { Self::Other(text) }
            }
        }
    }
}

fn trace_root_readable() -> bool {
    ["/sys/kernel/tracing/events", "/sys/kernel/debug/tracing/events"]
        .iter()
        .any(|path| std::fs::read_dir(path).is_ok())
}
