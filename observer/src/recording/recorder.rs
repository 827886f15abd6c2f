//! Writes a recording.

use std::{
    fs::File,
    io::{Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use miniz_oxide::deflate::compress_to_vec;
use observer_ebpf::record::Connection;

use super::{
    codec::Encoder,
    format::{Description, Frame, Kind},
};
use crate::{
    model::{event::Event, snapshot::Meta},
    output_file::OutputFile,
    visible::Shown,
};

/// Contents from which a frame is written though no snapshot is due. One event more is far below what a frame may have.
const FULL: usize = 1 << 20;
/// How hard to compress, of 10: more costs much more time for little less space.
const LEVEL: u8 = 3;

/// A file that can be written to and is not in its place yet: known before the probes are loaded.
#[derive(Debug)]
pub struct Target {
    file: OutputFile,
    connections: bool,
}

impl Target {
    /// Creates the file. With `connections`, each ended connection will be recorded.
    ///
    /// # Errors
    /// As [`OutputFile::create`].
    pub fn create(path: &Path, connections: bool, force: bool) -> Result<Self> {
        Ok(Self { file: OutputFile::create(path, force)?, connections })
    }
}

/// A recording that is being written.
#[derive(Debug)]
pub struct Recorder {
    file: File,
    path: PathBuf,
    /// Each ended connection is recorded.
    all: bool,
    connections: Encoder,
    /// Connections in that encoder.
    pending: u32,
    /// They are open ones, as they were at this time.
    open_ns: Option<u64>,
    /// Connections that were seen and are not recorded, since the last snapshot.
    left_out: u64,
    state: Encoder,
    /// Bytes of whole frames in the file.
    written: u64,
}

impl Recorder {
    /// Puts the file in its place and writes the description. `observed_since_ns` is when the observer began, if that was before.
    pub fn begin(target: Target, meta: &Meta, begun_ns: u64, observed_since_ns: Option<u64>) -> Result<Self> {
        let description =
            Description::new(meta, begun_ns, observed_since_ns, target.connections).to_bytes()?;
        let path = target.file.path().to_owned();
        let mut recorder = Self {
            file: target.file.place()?,
            path,
            all: target.connections,
            connections: Encoder::default(),
            pending: 0,
            open_ns: None,
            left_out: 0,
            state: Encoder::default(),
            written: 0,
        };
        recorder.append(&description)?;
        Ok(recorder)
    }

    /// Bytes so far.
    pub fn written(&self) -> u64 {
        self.written
    }

    /// Where.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Takes an event down.
    pub fn event(&mut self, event: &Event) -> Result<()> {
        match event {
            Event::Connection(connection) if self.all => {
                self.connections.connection(connection);
                self.pending += 1;
                if self.connections.len() >= FULL {
                    self.flush_connections(Kind::Connections, 0)?;
                }
            }
            Event::Connection(_) => self.left_out += 1,
            other => {
                self.state.event(other)?;
                if self.state.len() >= FULL {
                    self.flush_state(0)?;
                }
            }
        }
        Ok(())
    }

    /// Takes down that a snapshot was made, and writes everything up to here.
    pub fn snapshot(&mut self, time_ns: u64) -> Result<()> {
        if self.pending > 0 {
            self.flush_connections(Kind::Connections, 0)?;
        }
        if self.left_out > 0 {
            self.state.event(&Event::Unrecorded(std::mem::take(&mut self.left_out)))?;
        }
        self.flush_state(time_ns)
    }

    /// Takes down a connection that is open at the end, which is `time_ns`.
    pub fn open(&mut self, time_ns: u64, connection: &Connection) -> Result<()> {
        if !self.all {
            return Ok(());
        }
        if self.open_ns.replace(time_ns).is_none() && self.pending > 0 {
            self.flush_connections(Kind::Connections, 0)?;
        }
        self.connections.connection(connection);
        self.pending += 1;
        if self.connections.len() >= FULL {
            self.flush_connections(Kind::Open, time_ns)?;
        }
        Ok(())
    }

    /// Ends the recording. Returns its size.
    pub fn end(mut self) -> Result<u64> {
        if self.pending > 0 {
            match self.open_ns {
                Some(time_ns) => self.flush_connections(Kind::Open, time_ns)?,
                None => self.flush_connections(Kind::Connections, 0)?,
            }
        }
        self.frame(Kind::End, &[], 0, 0)?;
        Ok(self.written)
    }

    fn flush_connections(&mut self, kind: Kind, time_ns: u64) -> Result<()> {
        let (contents, count) = (self.connections.take(), std::mem::take(&mut self.pending));
        self.frame(kind, &contents, count, time_ns)
    }

    fn flush_state(&mut self, time_ns: u64) -> Result<()> {
        let contents = self.state.take();
        self.frame(Kind::State, &contents, 0, time_ns)
    }

    fn frame(&mut self, kind: Kind, contents: &[u8], connections: u32, time_ns: u64) -> Result<()> {
        let stored = compress_to_vec(contents, LEVEL);
        let length =
            |bytes: &[u8]| u32::try_from(bytes.len()).context("a frame of the recording is too long");
        let frame = Frame {
            kind,
            stored: length(&stored)?,
            unpacked: length(contents)?,
            connections,
            checksum: crc32fast::hash(&stored),
            time_ns,
        };
        // One write: a frame that did not fit is taken back as a whole.
        self.append(&[&frame.to_bytes(), &*stored].concat())
    }

    fn append(&mut self, bytes: &[u8]) -> Result<()> {
        if let Err(error) = self.file.write_all(bytes) {
            // Only tidier: a part of a frame is passed over as a cut.
            let _ = self.file.set_len(self.written);
            let _ = self.file.seek(SeekFrom::Start(self.written));
            let (path, written) = (Shown(&self.path), self.written);
            return Err(error).with_context(|| {
                format!("cannot write the recording {path} any further than its {written} bytes, which can be replayed")
            });
        }
        self.written += bytes.len() as u64;
        Ok(())
    }
}
