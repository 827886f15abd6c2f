//! Figures that can be. A recording can claim any, and sums of those that can be do not overflow.

use observer_ebpf::record::{
    Connection, Endings, ListenerCounters, ListenerEntry, ThreadEntry, UNCOUNTED, Writes,
};

use super::{
    event::{ClosedWindows, Event, Followed, HostCounters},
    look::On,
};

/// No counter of events gets this far: a million a second for nine years.
const MOST_COUNT: u64 = 1 << 48;
/// No counter of bytes gets this far: 100 Gbit/s for three years.
const MOST_BYTES: u64 = 1 << 60;
/// Nanoseconds: no clock that begins with the machine shows more than 146 years.
pub const LATEST_NS: u64 = 1 << 62;

/// Puts what cannot be down to the most that can be.
pub(super) fn limit(event: &mut Event) {
    match event {
        Event::Listener(entry) | Event::ListenerClosed(entry) => listener(entry),
        Event::Sample(sample) => {
            time(&mut sample.time_ns);
            counters(&mut sample.counters);
        }
        Event::Connection(record) | Event::Open(record) => connection(record),
        Event::Thread(_, entry) => thread(entry),
        Event::Task { task: Some((_, Some(switches))), .. } => count(switches),
        Event::Activity { run_ns, ready_ns, .. } => {
            time(run_ns);
            time(ready_ns);
        }
        Event::ThreadsRead { time_ns } => time(time_ns),
        Event::Host { counters, .. } => host(counters),
        Event::ClosedWindows(closed) => {
            for ClosedWindows { listener: _, connections, bytes, since_ns } in closed {
                count(connections);
                *bytes = (*bytes).min(MOST_BYTES);
                time(since_ns);
            }
        }
        Event::Followed(Followed { begun, ended, open, meanwhile }) => {
            [begun, ended, open, meanwhile].into_iter().for_each(count);
        }
        Event::Listening(listening) => {
            for here in listening {
                [&mut here.kernel, &mut here.watched, &mut here.unwatched].into_iter().for_each(count);
                for listener in &mut here.listeners {
                    [&mut listener.listen_drops, &mut listener.listen_drops_last].into_iter().for_each(count);
                }
            }
        }
        Event::Unrecorded(connections) => count(connections),
        Event::Loss(counters) => counters.iter_mut().for_each(count),
        Event::Probes(probes) => {
            for probe in probes {
                probe.runs.iter_mut().for_each(count);
                probe.run_time_ns.iter_mut().for_each(time);
                count(&mut probe.recursion_misses);
            }
        }
        Event::Mark(mark) => time(&mut mark.time_ns),
        Event::Offered { .. } | Event::Backend(_) => {}
        Event::Acceptance(one) => {
            [&mut one.accepts, &mut one.failures].into_iter().for_each(count);
            [&mut one.started_ns, &mut one.accepted_ns, &mut one.failing_ns, &mut one.failed_ns]
                .into_iter()
                .for_each(time);
        }
        Event::Look { look, .. } => {
            if let Some(On::Connection { accepted_ns: Some(ns), .. }) =
                look.as_mut().and_then(|look| look.on.as_mut())
            {
                time(ns);
            }
        }
        Event::Descriptors { descriptors, .. } => count(&mut descriptors.used),
        Event::Holders { .. } | Event::Task { .. } | Event::HostGone { .. } => {}
        Event::Device { .. } | Event::Owner { .. } => {}
    }
}

fn count(counter: &mut u64) {
    *counter = (*counter).min(MOST_COUNT);
}

fn time(time_ns: &mut u64) {
    *time_ns = (*time_ns).min(LATEST_NS);
}

fn listener(entry: &mut ListenerEntry) {
    time(&mut entry.identity.opened_ns);
    time(&mut entry.identity.destroyed_ns);
    entry.longest.iter_mut().for_each(time);
    endings(&mut entry.endings);
    let Writes { spells, held, held_as_delayed_ack, held_ns } = &mut entry.writes;
    [spells, held, held_as_delayed_ack].into_iter().for_each(count);
    time(held_ns);
    counters(&mut entry.counters);
}

fn endings(all: &mut Endings) {
    let Endings {
        fin_peer,
        fin_own,
        reset_peer,
        reset_own,
        timeout,
        queued_reset,
        unknown,
        closed_unread,
        closed_unread_at_exit,
        closed_queued,
        gave_up,
    } = all;
    [fin_peer, fin_own, reset_peer, reset_own, timeout, queued_reset].into_iter().for_each(count);
    [unknown, closed_unread, closed_unread_at_exit, closed_queued, gave_up].into_iter().for_each(count);
}

// Field by field, so that a new one cannot be forgotten here.
fn counters(all: &mut ListenerCounters) {
    let ListenerCounters {
        enqueued,
        accepted,
        accepted_unseen,
        accepted_by_ring,
        dropped_queued,
        cookies,
        cookies_sent,
        cookies_failed,
        synack_retransmits,
        ended,
        end_unseen,
        aborted_queued,
        migrated,
        moved_away,
        requests,
        refused_syn,
        refused_ack,
        refused_syn_queue,
        discarded,
        discarded_other,
        pauses,
        pauses_as_delayed_ack,
        unread,
        queued_at_start: _,
        drops_at_start: _,
        peak: _,
        unrecorded: _,
    } = all;
    [enqueued, accepted, accepted_unseen, accepted_by_ring, dropped_queued].into_iter().for_each(count);
    [cookies, cookies_sent, cookies_failed, synack_retransmits, ended, end_unseen, aborted_queued]
        .into_iter()
        .for_each(count);
    [migrated, moved_away, requests, refused_syn, refused_ack, refused_syn_queue].into_iter().for_each(count);
    [discarded, discarded_other, pauses, pauses_as_delayed_ack].into_iter().for_each(count);
    *unread = (*unread).clamp(-MOST_COUNT.cast_signed(), MOST_COUNT.cast_signed());
}

fn thread(entry: &mut ThreadEntry) {
    let ThreadEntry { accepts, reads, writes, unasked, bytes_read, bytes_written, sleeps, last_ns, comm: _ } =
        entry;
    [accepts, reads, writes, unasked].into_iter().for_each(count);
    for bytes in [bytes_read, bytes_written] {
        *bytes = (*bytes).min(MOST_BYTES);
    }
    if *sleeps != UNCOUNTED {
        count(sleeps);
    }
    time(last_ns);
}

fn host(all: &mut HostCounters) {
    let HostCounters {
        listen_overflows,
        listen_drops,
        passive_opens,
        syn_queue_full_drops,
        cookies_wanted,
        cookies_sent,
        cookies_received,
        cookies_failed,
        migrations,
        migration_failures,
        embryonic_resets,
        deferred_acks,
        delayed_acks,
        window_probes,
    } = all;
    [listen_overflows, listen_drops, passive_opens, syn_queue_full_drops, cookies_wanted]
        .into_iter()
        .for_each(count);
    [cookies_sent, cookies_received, cookies_failed, migrations, migration_failures]
        .into_iter()
        .for_each(count);
    [embryonic_resets, deferred_acks, delayed_acks, window_probes].into_iter().for_each(count);
}

fn connection(record: &mut Connection) {
    let times = [
        &mut record.enqueued_ns,
        &mut record.established_ns,
        &mut record.accepted_ns,
        &mut record.first_data_ns,
        &mut record.first_read_ns,
        &mut record.first_write_ns,
        &mut record.closed_ns,
        &mut record.destroyed_ns,
        &mut record.unread_since_ns,
        &mut record.read_unanswered_ns,
        &mut record.spell_ns,
        &mut record.held_ns,
        &mut record.longest_read_wait_ns,
    ];
    times.into_iter().for_each(time);
    for bytes in [&mut record.bytes_read, &mut record.bytes_written] {
        *bytes = (*bytes).min(MOST_BYTES);
    }
}
