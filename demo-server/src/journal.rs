//! The journal: one JSON line for each connection that has ended, for comparison with what the kernel was seen to do.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

/// One ended connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The client's address.
    pub remote: SocketAddr,
    /// The server's address on this connection.
    pub local: SocketAddr,
    /// Number of the listener it was accepted from; 0 unless the pattern shards.
    pub shard: u32,
    /// `SO_COOKIE` of that listener, by which the kernel's own tools name it.
    pub listener_cookie: u64,
    /// The thread that accepted it.
    pub acceptor_tid: i32,
    /// The threads that read from it, each once, in the order of their first read.
    pub reader_tids: Vec<i32>,
    /// The threads that wrote to it, each once, in the order of their first write.
    pub writer_tids: Vec<i32>,
    /// Calls that read bytes from it.
    pub reads: u64,
    /// Calls that wrote bytes to it.
    pub writes: u64,
    /// Bytes read from it.
    pub bytes_read: u64,
    /// Bytes written to it.
    pub bytes_written: u64,
    /// Requests answered.
    pub requests: u64,
}

/// An open journal.
#[derive(Debug)]
pub struct Journal {
    file: Mutex<File>,
    complained: AtomicBool,
}

impl Journal {
    /// Creates the file, or empties it.
    pub fn create(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().create(true).write(true).truncate(true).open(path)?;
        Ok(Self::of(file))
    }

    /// Goes on with a file that another process has opened.
    pub fn of(file: File) -> Self {
        Self { file: Mutex::new(file), complained: AtomicBool::new(false) }
    }

    /// The file, for another process. Both have one position in it, so that their lines follow each other.
    pub fn file(&self) -> io::Result<File> {
        self.file.lock().unwrap_or_else(PoisonError::into_inner).try_clone()
    }

    /// Appends one line with one write(2), so that a reader never sees half of it.
    pub fn write(&self, entry: &Entry) {
        let Ok(mut line) = serde_json::to_vec(entry) else { return };
        line.push(b'\n');
        let written = self.file.lock().unwrap_or_else(PoisonError::into_inner).write_all(&line);
        if let Err(error) = written
            && !self.complained.swap(true, Ordering::Relaxed)
        {
            eprintln!("demo-server: the journal is incomplete from here on: {error}");
        }
    }
}
