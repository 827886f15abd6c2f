//! Events as bytes, and back.
//!
//! The kernel's records are written as they are, as 64-bit words: of each the difference to the same word of the record
//! of its kind before it in the frame, because counters and times move little. All other events are JSON, which takes
//! new fields without a new format. What is left of regularity is left to the compression of the frame.

use anyhow::{Context as _, Result, anyhow, bail};
use observer_ebpf::{
    Plain,
    plain::{bytes, decode},
    record::{Connection, ThreadKey},
};

use crate::model::event::Event;

/// What follows is JSON.
const JSON: u8 = 0;
/// What follows is a record of the kernel: one of these kinds, as an index of [`Before`].
const LISTENER: u8 = 1;
const LISTENER_CLOSED: u8 = 2;
const SAMPLE: u8 = 3;
const CONNECTION: u8 = 4;
const THREAD: u8 = 5;
const OPEN: u8 = 6;
const KINDS: usize = 7;

/// Words of a connection that are times, one after the other: each is near the one before it.
const TIMES: std::ops::Range<usize> = 2..10;

/// The last record of each kind.
type Before = [Vec<u64>; KINDS];

/// Writes the events of one frame.
#[derive(Debug, Default)]
pub struct Encoder {
    bytes: Vec<u8>,
    before: Before,
}

impl Encoder {
    /// Appends an event.
    pub fn event(&mut self, event: &Event) -> Result<()> {
        match event {
            Event::Listener(entry) => self.record(LISTENER, bytes(&**entry)),
            Event::ListenerClosed(entry) => self.record(LISTENER_CLOSED, bytes(&**entry)),
            Event::Sample(sample) => self.record(SAMPLE, bytes(sample)),
            Event::Connection(connection) => self.connection(connection),
            Event::Open(connection) => self.record(OPEN, bytes(&**connection)),
            Event::Thread(key, entry) => self.record(THREAD, &[bytes(key), bytes(entry)].concat()),
            other => {
                let text = serde_json::to_vec(other).context("cannot write an event as JSON")?;
                self.bytes.push(JSON);
                number(&mut self.bytes, text.len() as u64);
                self.bytes.extend(text);
            }
        }
        Ok(())
    }

    /// Appends a connection.
    pub fn connection(&mut self, connection: &Connection) {
        self.record(CONNECTION, bytes(connection));
    }

    /// Bytes so far.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether nothing was written.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// All bytes; the next frame begins.
    pub fn take(&mut self) -> Vec<u8> {
        self.before = Before::default();
        std::mem::take(&mut self.bytes)
    }

    fn record(&mut self, kind: u8, record: &[u8]) {
        self.bytes.push(kind);
        let Some(before) = self.before.get_mut(usize::from(kind)) else { return };
        let words = words(record);
        before.resize(words.len(), 0);
        let mut zeros = 0;
        for (index, word) in words.iter().enumerate() {
            match word.wrapping_sub(expected(kind, index, &words, before)) {
                0 => zeros += 1,
                difference => {
                    skip(&mut self.bytes, &mut zeros);
                    // The sign goes into the lowest bit, so that small differences of either sign are short.
                    let difference = difference.cast_signed();
                    number(&mut self.bytes, (difference << 1 ^ difference >> 63).cast_unsigned());
                }
            }
        }
        skip(&mut self.bytes, &mut zeros);
        *before = words;
    }
}

/// What a word probably is, from the words before it and from the record before.
fn expected(kind: u8, index: usize, words: &[u64], before: &[u64]) -> u64 {
    let last = before[index];
    if matches!(kind, CONNECTION | OPEN) && TIMES.contains(&index) && index > TIMES.start && last != 0 {
        // A stage takes about as long as it did the last time.
        return words[index - 1].wrapping_add(last.wrapping_sub(before[index - 1]));
    }
    last
}

fn words(record: &[u8]) -> Vec<u64> {
    let word = |chunk: &[u8]| {
        let mut word = [0; 8];
        word.iter_mut().zip(chunk).for_each(|(to, from)| *to = *from);
        u64::from_le_bytes(word)
    };
    record.chunks(8).map(word).collect()
}

/// Words that are as expected: a zero, which no difference begins with, and their number.
fn skip(bytes: &mut Vec<u8>, zeros: &mut u64) {
    if *zeros > 0 {
        bytes.push(0);
        number(bytes, std::mem::take(zeros));
    }
}

/// Seven bits a byte, the lowest first; the highest bit says that more follow.
fn number(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

/// Reads the events of one frame.
#[derive(Debug)]
pub struct Decoder {
    bytes: Vec<u8>,
    at: usize,
    before: Before,
}

impl Decoder {
    /// Of the unpacked contents of a frame.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self { bytes, at: 0, before: Before::default() }
    }

    /// The next event, if there is one.
    pub fn event(&mut self) -> Result<Option<Event>> {
        if self.at == self.bytes.len() {
            return Ok(None);
        }
        let start = self.at;
        let event = self.read();
        event.map(Some).with_context(|| format!("the event at byte {start} of the unpacked frame"))
    }

    fn read(&mut self) -> Result<Event> {
        Ok(match self.byte()? {
            JSON => {
                let length = usize::try_from(self.number()?)?;
                let end = self.at.checked_add(length).filter(|end| *end <= self.bytes.len());
                let end = end.ok_or_else(|| anyhow!("{length} bytes of JSON are not there"))?;
                let text = &self.bytes[self.at..end];
                self.at = end;
                serde_json::from_slice(text).context("unknown or malformed")?
            }
            LISTENER => Event::Listener(Box::new(self.record(LISTENER)?)),
            LISTENER_CLOSED => Event::ListenerClosed(Box::new(self.record(LISTENER_CLOSED)?)),
            SAMPLE => Event::Sample(self.record(SAMPLE)?),
            CONNECTION => Event::Connection(Box::new(self.record(CONNECTION)?)),
            OPEN => Event::Open(Box::new(self.record(OPEN)?)),
            THREAD => {
                let (key, entry) = self.pair(THREAD)?;
                Event::Thread(key, entry)
            }
            kind => bail!("there is no kind {kind} of events"),
        })
    }

    fn record<T: Plain>(&mut self, kind: u8) -> Result<T> {
        let bytes = self.bytes_of(kind, size_of::<T>())?;
        decode(&bytes).ok_or_else(|| anyhow!("a record that is too short"))
    }

    fn pair<T: Plain>(&mut self, kind: u8) -> Result<(ThreadKey, T)> {
        let bytes = self.bytes_of(kind, size_of::<ThreadKey>() + size_of::<T>())?;
        decode(&bytes)
            .zip(bytes.get(size_of::<ThreadKey>()..).and_then(decode))
            .ok_or_else(|| anyhow!("a record that is too short"))
    }

    /// The record of a kind that comes next, `size` bytes of it.
    fn bytes_of(&mut self, kind: u8, size: usize) -> Result<Vec<u8>> {
        let mut before = std::mem::take(&mut self.before[usize::from(kind)]);
        let count = size.div_ceil(8);
        before.resize(count, 0);
        let mut words = Vec::with_capacity(count);
        let mut zeros = 0;
        while words.len() < count {
            let mut difference = 0;
            if zeros > 0 {
                zeros -= 1;
            } else {
                let number = self.number()?;
                if number == 0 {
                    zeros = self.number()?;
                    if zeros == 0 || zeros > (count - words.len()) as u64 {
                        bail!("{zeros} unchanged words in a record of {count}");
                    }
                    continue;
                }
                difference = number >> 1 ^ (number & 1).wrapping_neg();
            }
            let expected = expected(kind, words.len(), &words, &before);
            words.push(expected.wrapping_add(difference));
        }
        let mut bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        bytes.truncate(size);
        self.before[usize::from(kind)] = words;
        Ok(bytes)
    }

    fn byte(&mut self) -> Result<u8> {
        let byte = self.bytes.get(self.at).copied().ok_or_else(|| anyhow!("it ends too early"))?;
        self.at += 1;
        Ok(byte)
    }

    fn number(&mut self) -> Result<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if bits << shift >> shift != bits {
                break;
            }
            number |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        bail!("a number of more than 64 bits")
    }
}
