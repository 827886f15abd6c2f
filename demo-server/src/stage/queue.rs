//! The bounded queue between a thread that parses requests and the threads that work on them.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, PoisonError};

use super::{Stage, lock};
use crate::connection::Connection;
use crate::http::Request;

/// A parsed request with the connection that its answer goes to.
///
/// The connection travels with the request, so only one request of a connection is under way at a time and answers
/// leave in the order in which the requests came.
#[derive(Debug)]
pub struct Message {
    /// Where the answer goes.
    pub connection: Connection,
    /// What is asked for.
    pub request: Request,
}

/// A bounded queue with several consumers.
///
/// Bounded, because an unbounded one only moves the overload to where nobody sees it: when it is full, the producer
/// stops, its sockets' receive queues fill, then the accept queue, and in the end the client is told by TCP.
#[derive(Debug)]
pub struct Queue<'a> {
    stage: &'a Stage,
    capacity: usize,
    state: Mutex<State>,
    not_empty: Condvar,
    not_full: Condvar,
}

#[derive(Debug)]
struct State {
    messages: VecDeque<Message>,
    consumers: usize,
    closed: bool,
}

impl<'a> Queue<'a> {
    /// Makes a queue for at most `capacity` messages, from which `consumers` threads will take.
    pub fn new(stage: &'a Stage, capacity: usize, consumers: usize) -> Self {
        let state = State { messages: VecDeque::with_capacity(capacity), consumers, closed: false };
        let (not_empty, not_full) = (Condvar::new(), Condvar::new());
        Self { stage, capacity, state: Mutex::new(state), not_empty, not_full }
    }

    /// Adds a message; waits while the queue is full. Without consumers the connection goes back to the stage.
    pub fn push(&self, message: Message) {
        let mut state = lock(&self.state);
        while state.messages.len() >= self.capacity && state.consumers > 0 {
            state = self.not_full.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if state.consumers == 0 {
            self.stage.hand_back(message.connection);
            return;
        }
        state.messages.push_back(message);
        self.not_empty.notify_one();
    }

    /// Takes the oldest message; waits while there is none. None once the queue is closed, even if messages are
    /// left: they go back to the stage with their connections.
    pub fn pop(&self) -> Option<Message> {
        let mut state = lock(&self.state);
        while !state.closed && state.messages.is_empty() {
            state = self.not_empty.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        let message = if state.closed { None } else { state.messages.pop_front() };
        self.not_full.notify_one();
        message
    }

    /// Says that nothing more will come, and sends the consumers home.
    pub fn close(&self) {
        lock(&self.state).closed = true;
        self.not_empty.notify_all();
    }

    /// What a consumer holds as long as it takes messages. When the last one has left, even by a panic, nobody waits
    /// for room any more.
    pub fn place(&self) -> Place<'_> {
        Place { queue: self }
    }
}

/// A consumer's place; dropping it leaves.
#[derive(Debug)]
pub struct Place<'a> {
    queue: &'a Queue<'a>,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        lock(&self.queue.state).consumers -= 1;
        self.queue.not_full.notify_all();
    }
}

impl Drop for Queue<'_> {
    fn drop(&mut self) {
        for message in lock(&self.state).messages.drain(..) {
            self.stage.hand_back(message.connection);
        }
    }
}
