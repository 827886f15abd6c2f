//! The header of the file, and the header of a frame. Numbers are little-endian.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, bail};
use observer_ebpf::record::{Connection, ListenerEntry, Sample, ThreadEntry, ThreadKey};
use serde::{Deserialize, Serialize};

use crate::model::{
    drops::Telling,
    snapshot::{CookiesTold, Meta},
};

/// The first bytes of a recording: one that is no text, a name, and a line end that a transfer as text would change.
pub const MAGIC: [u8; 8] = *b"\x89OBSREC\n";
/// Version of the format. Another layout of a kernel record, or another meaning of a byte, is another version; a new
/// field of an event that is written as JSON is not.
pub const VERSION: u32 = 4;
/// Bytes before the description: magic, version, length and checksum of the description.
pub const PREAMBLE: usize = 20;
/// The longest description.
pub const MOST_DESCRIPTION: u32 = 1 << 20;

/// What a frame begins with.
const FRAME: [u8; 4] = *b"OFRM";
/// Length of a frame's header.
pub const FRAME_HEADER: usize = 36;
/// The longest contents of a frame, compressed or not.
pub const MOST_CONTENTS: u32 = 4 << 20;

/// What does not change throughout a recording, as JSON behind the preamble.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Description {
    /// What every output knows of the session.
    pub meta: Meta,
    /// Part of it that no output shows.
    pub telling: Telling,
    /// Another such part.
    pub cookies: CookiesTold,
    /// When the recording began.
    pub begun_ns: u64,
    /// When the observer began, if that was before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_since_ns: Option<u64>,
    /// Whether ended connections are in it, each.
    pub connections: bool,
    /// Sizes of the kernel's records: a check that reader and writer mean the same.
    pub records: BTreeMap<String, usize>,
}

impl Description {
    /// Of a recording that begins now, with the observer or later.
    pub fn new(meta: &Meta, begun_ns: u64, observed_since_ns: Option<u64>, connections: bool) -> Self {
        // Field by field, so that one that is not in the lines cannot be forgotten here.
        let Meta {
            schema: _,
            version: _,
            kernel: _,
            boot_time_unix_ns: _,
            signals: _,
            signal_notes: _,
            filters: _,
            quantile_error: _,
            telling,
            cookies,
        } = *meta;
        Self {
            meta: meta.clone(),
            telling,
            cookies,
            begun_ns,
            observed_since_ns,
            connections,
            records: records(),
        }
    }

    /// The beginning of the file.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let text = serde_json::to_vec(self).context("cannot describe the recording")?;
        let length = u32::try_from(text.len()).context("the description of the recording is too long")?;
        let mut bytes = MAGIC.to_vec();
        bytes.extend(VERSION.to_le_bytes());
        bytes.extend(length.to_le_bytes());
        bytes.extend(crc32fast::hash(&text).to_le_bytes());
        bytes.extend(text);
        Ok(bytes)
    }

    /// Reads the text of a description.
    pub fn from_text(text: &[u8]) -> Result<Self> {
        let mut description: Self = serde_json::from_slice(text).context("its description is malformed")?;
        if description.records != records() {
            bail!("the kernel's records in it are laid out in another way: {:?}", description.records);
        }
        description.meta.telling = description.telling;
        description.meta.cookies = description.cookies;
        Ok(description)
    }
}

fn records() -> BTreeMap<String, usize> {
    [
        ("connection", size_of::<Connection>()),
        ("listener", size_of::<ListenerEntry>()),
        ("sample", size_of::<Sample>()),
        ("thread", size_of::<ThreadKey>() + size_of::<ThreadEntry>()),
    ]
    .map(|(name, size)| (name.to_owned(), size))
    .into()
}

/// What the preamble says of the description: its length and checksum.
///
/// # Errors
/// What is wrong with it, with the place.
pub fn preamble(bytes: &[u8; PREAMBLE]) -> Result<(u32, u32)> {
    let (version, length, checksum) = (word(bytes, 8), word(bytes, 12), word(bytes, 16));
    if bytes[..8] != MAGIC {
        bail!("it is no recording of observer: it does not begin as one (byte 0)");
    }
    if version != VERSION {
        bail!(
            "it has version {version} of the format (byte 8), and this observer reads version {VERSION}: \
             replay it with the observer that recorded it"
        );
    }
    if length > MOST_DESCRIPTION {
        bail!("its description claims {length} bytes (byte 12); at most {MOST_DESCRIPTION} are possible");
    }
    Ok((length, checksum))
}

/// What a frame holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Ended connections and nothing else, so that a seek can pass over them.
    Connections,
    /// All other events.
    State,
    /// Connections that are open at the end.
    Open,
    /// Nothing: the recording was ended in order.
    End,
}

const KINDS: [Kind; 4] = [Kind::Connections, Kind::State, Kind::Open, Kind::End];

/// A frame, as its header describes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame {
    /// What it holds.
    pub kind: Kind,
    /// Bytes of its contents in the file.
    pub stored: u32,
    /// Bytes of its contents when they are unpacked.
    pub unpacked: u32,
    /// Connections in it.
    pub connections: u32,
    /// Checksum of its contents in the file.
    pub checksum: u32,
    /// Of [`Kind::State`]: when a snapshot is due after its events; 0 if none is. Of [`Kind::Open`]: when they were read.
    pub time_ns: u64,
}

impl Frame {
    /// When a snapshot is due after its events.
    pub fn snapshot_ns(self) -> Option<u64> {
        (self.kind == Kind::State && self.time_ns != 0).then_some(self.time_ns)
    }

    /// Its header in the file.
    pub fn to_bytes(self) -> [u8; FRAME_HEADER] {
        let mut bytes = [0; FRAME_HEADER];
        bytes[..4].copy_from_slice(&FRAME);
        bytes[4] = KINDS.iter().position(|kind| *kind == self.kind).map_or(u8::MAX, |at| at as u8);
        for (at, word) in [(8, self.stored), (12, self.unpacked), (16, self.connections), (20, self.checksum)]
        {
            bytes[at..at + 4].copy_from_slice(&word.to_le_bytes());
        }
        bytes[24..32].copy_from_slice(&self.time_ns.to_le_bytes());
        let checksum = crc32fast::hash(&bytes[..32]);
        bytes[32..].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// Reads a header.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn from_bytes(bytes: &[u8; FRAME_HEADER]) -> Result<Self, String> {
        if bytes[..4] != FRAME {
            return Err("no frame begins here".into());
        }
        if crc32fast::hash(&bytes[..32]) != word(bytes, 32) {
            return Err("the header of the frame does not match its checksum".into());
        }
        let kind = KINDS.get(usize::from(bytes[4])).copied();
        let kind = kind.ok_or_else(|| format!("there is no kind {} of frames", bytes[4]))?;
        let frame = Self {
            kind,
            stored: word(bytes, 8),
            unpacked: word(bytes, 12),
            connections: word(bytes, 16),
            checksum: word(bytes, 20),
            time_ns: u64::from(word(bytes, 24)) | u64::from(word(bytes, 28)) << 32,
        };
        let longest = frame.stored.max(frame.unpacked);
        if longest > MOST_CONTENTS {
            return Err(format!("the frame claims {longest} bytes; at most {MOST_CONTENTS} are possible"));
        }
        Ok(frame)
    }
}

/// The 32-bit word at a place that is there.
fn word(bytes: &[u8], at: usize) -> u32 {
    let mut word = [0; 4];
    word.iter_mut().zip(bytes.iter().skip(at)).for_each(|(to, from)| *to = *from);
    u32::from_le_bytes(word)
}
