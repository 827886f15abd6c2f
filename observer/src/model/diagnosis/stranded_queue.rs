//! Connections wait, and whoever accepted does not come.

use super::{Need, Rule, stuck};

pub(super) const RULE: Rule = Rule {
    name: "stranded-queue",
    what: "connections wait in the accept queue, and nobody accepts",
    when: "some waited at both ends of two seconds, and none was accepted in between; or fewer than waited at the beginning, so \
           that one at least has waited all the time, while each acceptor sleeps and waits for events that do not tell it of \
           the queue. The cause is what the threads that accepted do over these seconds",
    why: "accept(2) is called by the program: the kernel queues connections however long no thread calls it \
          (inet_csk_reqsk_queue_add), and their clients believe that they are served",
    remedy: "depends on the cause",
    seen: "gunicorn whose only sync worker waits for a client that sends nothing; haproxy at its maxconn; an edge-\
           triggered loop that accepts once for each event; a stopped process",
    silent: "a slow acceptor, from whose queue one is taken now and then; an empty queue, however long nobody comes",
    needs: &[Need::Signal("accept"), Need::Signal("queue_depth"), Need::Signal("read")],
    judge: |facts| stuck::findings(facts, true),
};
