//! Opens and reads a recording. Nothing in the file is believed before it was checked, and what it claims to need is not
//! allocated before.

use std::{
    fs::File,
    io::{self, BufReader, Read, Seek as _, SeekFrom},
    os::unix::fs::FileExt as _,
    path::Path,
};

use anyhow::{Context as _, Result, anyhow, bail};
use miniz_oxide::inflate::decompress_to_vec_with_limit;

use super::{
    codec::Decoder,
    format::{Description, FRAME_HEADER, Frame, Kind, PREAMBLE, preamble},
};
use crate::{
    input,
    model::{event::Event, plausible::LATEST_NS},
    visible::Shown,
};

/// How a recording ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// In order.
    Complete,
    /// With a whole frame: its recorder was killed, or could not write on.
    Unended,
    /// In the middle of the frame at this byte.
    Cut(u64),
    /// What stands at this byte makes no sense, and nothing behind it was read.
    Damaged(u64, String),
}

/// A frame and where its contents are.
#[derive(Debug, Clone, Copy)]
pub struct Indexed {
    /// What its header says.
    pub frame: Frame,
    /// Where the header begins.
    pub offset: u64,
}

/// An open recording: its description and an index of its frames.
#[derive(Debug)]
pub struct Recording {
    file: File,
    description: Description,
    frames: Vec<Indexed>,
    end: End,
}

/// The name of what comes by stdin.
const STDIN: &str = "-";

impl Recording {
    /// Opens a recording and looks at all headers of frames; `-` is stdin.
    ///
    /// # Errors
    /// It cannot be read, or it is none that this observer knows: what is wrong, and at which byte.
    pub fn open(path: &Path) -> Result<Self> {
        let context = || format!("cannot replay {}", Shown(path));
        let file = if path == Path::new(STDIN) { input::stdin() } else { input::open(path) }
            .with_context(context)?;
        Self::read(file).with_context(context)
    }

    fn read(file: File) -> Result<Self> {
        let length = file.metadata()?.len();
        if length == 0 {
            bail!("it is empty");
        }
        let mut begin = [0; PREAMBLE];
        let cut = || anyhow!("it ends at byte {length}, before its description does: nothing was recorded");
        let short = |_: io::Error| cut();
        // A file that is shorter may still be of another kind.
        let there = PREAMBLE.min(usize::try_from(length).unwrap_or(PREAMBLE));
        file.read_exact_at(&mut begin[..there], 0).map_err(short)?;
        let preamble = preamble(&begin);
        if there < PREAMBLE && begin[..there.min(8)] == super::format::MAGIC[..there.min(8)] {
            return Err(cut());
        }
        let (described, checksum) = preamble?;
        let first = PREAMBLE as u64 + u64::from(described);
        if first > length {
            return Err(cut());
        }
        let mut text = vec![0; described as usize];
        file.read_exact_at(&mut text, PREAMBLE as u64).map_err(short)?;
        if crc32fast::hash(&text) != checksum {
            bail!("its description (byte {PREAMBLE}) does not match its checksum");
        }
        let description = Description::from_text(&text)?;
        let (frames, end) = index(&file, first, length)?;
        Ok(Self { file, description, frames, end })
    }

    /// What does not change throughout.
    pub fn description(&self) -> &Description {
        &self.description
    }

    /// Its frames, in order.
    pub fn frames(&self) -> &[Indexed] {
        &self.frames
    }

    /// How it ends.
    pub fn end(&self) -> &End {
        &self.end
    }

    /// The events of a frame, one by one: what little bytes can claim is never in memory at once.
    ///
    /// # Errors
    /// It is damaged: how, and where.
    pub fn events(&self, indexed: &Indexed) -> Result<Events> {
        let Indexed { frame, offset } = indexed;
        let contents = self.contents(frame, *offset).with_context(|| damaged(*offset))?;
        Ok(Events { indexed: *indexed, decoder: Decoder::new(contents), connections: 0 })
    }

    fn contents(&self, frame: &Frame, offset: u64) -> Result<Vec<u8>> {
        let mut stored = vec![0; frame.stored as usize];
        self.file.read_exact_at(&mut stored, offset + FRAME_HEADER as u64).context("it cannot be read")?;
        if crc32fast::hash(&stored) != frame.checksum {
            bail!("its contents do not match their checksum");
        }
        decompress_to_vec_with_limit(&stored, frame.unpacked as usize)
            .map_err(|error| anyhow!("its contents cannot be unpacked: {:?}", error.status))
    }
}

/// The events of a frame, as far as they were not taken yet.
#[derive(Debug)]
pub struct Events {
    indexed: Indexed,
    decoder: Decoder,
    /// Connections that were taken.
    connections: u32,
}

impl Events {
    /// The next one; none at the end of the frame.
    ///
    /// # Errors
    /// It is damaged: how, and where.
    pub fn take(&mut self) -> Result<Option<Event>> {
        let Indexed { frame, offset } = self.indexed;
        let Some(event) = self.decoder.event().with_context(|| damaged(offset))? else {
            let (connections, claimed) = (self.connections, frame.connections);
            if connections != claimed {
                return Err(anyhow!("it holds {connections} connections and claims {claimed}"))
                    .with_context(|| damaged(offset));
            }
            return Ok(None);
        };
        let connection = matches!(event, Event::Connection(_));
        if connection == (frame.kind == Kind::State) {
            return Err(anyhow!("it holds an event of another kind of frame"))
                .with_context(|| damaged(offset));
        }
        self.connections += u32::from(connection);
        Ok(Some(event))
    }
}

fn damaged(offset: u64) -> String {
    format!("the frame at byte {offset} is damaged")
}

/// All frames from `first` on, and how they end.
fn index(file: &File, first: u64, length: u64) -> Result<(Vec<Indexed>, End)> {
    let mut reader = BufReader::with_capacity(FRAME_HEADER, file);
    reader.seek(SeekFrom::Start(first))?;
    let (mut frames, mut offset, mut last_ns) = (Vec::new(), first, 0);
    let end = loop {
        if offset == length {
            break End::Unended;
        }
        if length - offset < FRAME_HEADER as u64 {
            break End::Cut(offset);
        }
        let mut header = [0; FRAME_HEADER];
        reader.read_exact(&mut header).with_context(|| format!("cannot read byte {offset}"))?;
        let frame = match Frame::from_bytes(&header) {
            Ok(frame) => frame,
            Err(why) => break End::Damaged(offset, why),
        };
        if frame.time_ns != 0 && frame.time_ns < last_ns {
            break End::Damaged(offset, "the frame is older than the one before it".into());
        }
        if frame.time_ns > LATEST_NS {
            break End::Damaged(offset, "the frame is of a time that no clock shows".into());
        }
        last_ns = last_ns.max(frame.time_ns);
        let behind = offset + FRAME_HEADER as u64 + u64::from(frame.stored);
        if behind > length {
            break End::Cut(offset);
        }
        if frame.kind == Kind::End {
            break match behind == length {
                true => End::Complete,
                false => End::Damaged(behind, "something follows the end of the recording".into()),
            };
        }
        frames.push(Indexed { frame, offset });
        offset = behind;
        reader.seek(SeekFrom::Start(offset))?;
    };
    Ok((frames, end))
}
