//! The signals that are about threads and not about sockets.

use super::{Hook, Signal};

/// How often they are woken.
pub(super) const WAKEUPS: Signal = Signal {
    name: "wakeups",
    what: "how often a server thread slept and was woken",
    hooks: &[
        Hook {
            name: "proc/voluntary_ctxt_switches",
            programs: &[],
            blind: Some("threads that do not live until the next reading, one a second"),
        },
        Hook {
            name: "tp_btf/sched_switch",
            programs: &["switched"],
            blind: Some("nothing, but it runs at every switch of the machine"),
        },
        Hook {
            name: "tp_btf/sched_switch(3)",
            programs: &["switched_by_3"],
            blind: Some("nothing, but it runs at every switch of the machine"),
        },
    ],
    essential: false,
    without: "no wake-ups per accept",
};

/// What they do.
pub(super) const ACTIVITY: Signal = Signal {
    name: "activity",
    what: "how long a server thread ran and waited for a processor, and what it waits in",
    hooks: &[Hook {
        name: "proc/schedstat+syscall",
        programs: &[],
        blind: Some("what it waited in between two readings, one a second"),
    }],
    essential: false,
    without: "not known whether a thread works or waits",
};
