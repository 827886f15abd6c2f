//! What is told of one thread.

use super::Probed;
use crate::{kernel::tasks, model::event::Event};

impl Probed {
    /// Tells of a thread: its name, how often it slept if nobody else counts that, and how it spends its time. One that
    /// `is_new` began after the start, so that all of it counts: first it had done nothing.
    pub(super) fn tell(
        &self,
        (pid, tid): (u32, u32),
        task: Option<tasks::Task>,
        is_new: bool,
        sink: &mut impl FnMut(Event),
    ) {
        let activity = task.as_ref().and_then(|task| tasks::activity(pid, tid, task.state));
        let task = task.map(|task| (task.comm, (!self.counts_sleeps).then_some(task.voluntary_switches)));
        if is_new && let Some((comm, switches)) = &task {
            sink(Event::Task { pid, tid, task: Some((comm.clone(), switches.map(|_| 0))) });
        }
        sink(Event::Task { pid, tid, task });
        if let Some(tasks::Activity { run_ns, ready_ns, doing }) = activity {
            if is_new {
                sink(Event::Activity { pid, tid, run_ns: 0, ready_ns: 0, doing: None });
            }
            sink(Event::Activity { pid, tid, run_ns, ready_ns, doing });
        }
    }
}
