//! A reader of BTF, just large enough to look up where a member lies in a kernel structure, how many parameters a
//! function has, and what a constant of an enumeration is.
//!
//! Format: <https://docs.kernel.org/bpf/btf.html>. The data comes from a file, so nothing in it is trusted: every
//! access is checked, and the work of each look-up is bounded. What aya takes for granted when it reads the same file is
//! checked here too: names lie within their section and are short (aya 0.14 panics at a name that begins behind it, and
//! measures each name anew).

use std::{collections::HashSet, fmt, ops::Range};

use memchr::{memchr_iter, memmem};

/// What is wrong with a BTF blob, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BtfError {
    /// It does not begin as BTF does.
    NotBtf,
    /// It ends at this byte, within something that goes on.
    Truncated(usize),
    /// At this byte is a type of a kind that this reader does not know the size of.
    UnknownKind(usize, u32),
    /// At this byte is a type whose name is not within the strings.
    Name(usize),
    /// The strings do not end, or one of them is longer than any name.
    Strings,
    /// It has more types than any kernel.
    TooManyTypes,
}

impl fmt::Display for BtfError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotBtf => write!(f, "not BTF: the magic number is missing"),
            Self::Truncated(at) => write!(f, "BTF is truncated: it ends within the item at byte {at}"),
            Self::UnknownKind(at, kind) => write!(f, "BTF has a type of unknown kind {kind} at byte {at}"),
            Self::Name(at) => write!(f, "BTF has a type at byte {at} whose name is not within its strings"),
            Self::Strings => {
                write!(f, "BTF has a string without an end, or of more than {LONGEST_NAME} bytes")
            }
            Self::TooManyTypes => write!(f, "BTF has more than {MOST_TYPES} types"),
        }
    }
}

impl std::error::Error for BtfError {}

const MAGIC: u16 = 0xeb9f;
const KIND_POINTER: u32 = 2;
const KIND_STRUCT: u32 = 4;
const KIND_UNION: u32 = 5;
const KIND_ENUM: u32 = 6;
const KIND_TYPEDEF: u32 = 8;
const KIND_VOLATILE: u32 = 9;
const KIND_CONST: u32 = 10;
const KIND_FUNCTION: u32 = 12;
const KIND_PROTOTYPE: u32 = 13;
/// Unions and structures without a name nest two or three deep in the kernel.
const DEEPEST: u32 = 16;
/// Bytes of a name; the kernel's have at most 512 (`KSYM_NAME_LEN`).
const LONGEST_NAME: usize = 1024;
/// Types; kernels have some 150,000.
const MOST_TYPES: usize = 1 << 20;

/// One type: its words after the common three, and those.
#[derive(Clone, Copy)]
struct Type {
    at: usize,
    name: u32,
    kind: u32,
    members: u32,
    /// Bitfields are encoded in the offsets when set.
    packed_offsets: bool,
    size_or_type: u32,
}

/// A type with a name: where that is in the table of strings, and its id.
#[derive(Clone, Copy)]
struct Named {
    name: u32,
    id: u32,
}

/// A structure of these types.
#[derive(Clone, Copy)]
pub struct Structure(Type);

/// Parsed BTF of a kernel.
pub struct Btf {
    data: Vec<u8>,
    /// Start of each type, by id − 1.
    types: Vec<usize>,
    strings: Range<usize>,
    // Few of these are ever asked for, so they are searched rather than hashed.
    structures: Vec<Named>,
    functions: Vec<Named>,
    typedefs: Vec<Named>,
    enumerations: Vec<u32>,
}

impl Btf {
    /// Reads the types of a blob, such as `/sys/kernel/btf/vmlinux`.
    pub fn parse(data: Vec<u8>) -> Result<Self, BtfError> {
        if data.get(..2) != Some(MAGIC.to_le_bytes().as_slice()) {
            return Err(BtfError::NotBtf);
        }
        let header = word(&data, 4)? as usize;
        let start = header.saturating_add(word(&data, 8)? as usize);
        let end = start.saturating_add(word(&data, 12)? as usize);
        let strings = header.saturating_add(word(&data, 16)? as usize);
        if end > data.len() {
            return Err(BtfError::Truncated(data.len()));
        }
        let strings_end = strings.saturating_add(word(&data, 20)? as usize);
        if strings_end > data.len() {
            return Err(BtfError::Truncated(data.len()));
        }
        // Once for all of them: every start of the observer reads some 150,000 names.
        if !are_names(data.get(strings..strings_end).unwrap_or_default()) {
            return Err(BtfError::Strings);
        }
        let mut btf = Self {
            data,
            types: Vec::new(),
            strings: strings..strings_end,
            structures: Vec::new(),
            functions: Vec::new(),
            typedefs: Vec::new(),
            enumerations: Vec::new(),
        };
        let mut at = start;
        while at < end {
            let header = btf.header(at)?;
            if btf.types.len() == MOST_TYPES {
                return Err(BtfError::TooManyTypes);
            }
            if header.name as usize >= btf.strings.len() {
                return Err(BtfError::Name(at));
            }
            btf.types.push(at);
            btf.remember(&header);
            at = at.saturating_add(12).saturating_add(tail(at, &header)?);
        }
        if at != end {
            return Err(BtfError::Truncated(end));
        }
        Ok(btf)
    }

    fn remember(&mut self, header: &Type) {
        let id = self.types.len() as u32;
        let named = Named { name: header.name, id };
        match header.kind {
            KIND_STRUCT => self.structures.push(named),
            KIND_ENUM => self.enumerations.push(id),
            KIND_FUNCTION => self.functions.push(named),
            KIND_TYPEDEF => self.typedefs.push(named),
            _ => {}
        }
    }

    /// The blob.
    pub fn bytes(&self) -> &[u8] {
        &self.data
    }

    /// Where a string is in the table of strings, in which each stands once, between two zeroes.
    fn offset_of_string(&self, text: &str) -> Option<u32> {
        let table = self.data.get(self.strings.clone())?;
        let at = memmem::find(table, &[b"\0", text.as_bytes(), b"\0"].concat())?;
        u32::try_from(at + 1).ok()
    }

    /// The first of some types that has this name.
    fn named(&self, types: &[Named], name: &str) -> Option<Type> {
        let name = self.offset_of_string(name)?;
        let found = types.iter().find(|one| one.name == name)?;
        self.header(*self.types.get(found.id.checked_sub(1)? as usize)?).ok()
    }

    /// Number of parameters of a function; `None` if the kernel has none of this name.
    pub fn parameters(&self, function: &str) -> Option<u32> {
        self.prototype(self.named(&self.functions, function)?.size_or_type)
    }

    /// Number of arguments of a tracepoint; `None` if the kernel has none of this name.
    pub fn arguments(&self, tracepoint: &str) -> Option<u32> {
        let typedef = self.named(&self.typedefs, &format!("btf_trace_{tracepoint}"))?;
        let pointer = self.resolve(typedef.size_or_type)?;
        if pointer.kind != KIND_POINTER {
            return None;
        }
        // The first is the data of whoever registered for it.
        self.prototype(pointer.size_or_type)?.checked_sub(1)
    }

    /// Whether there is a type definition of this name.
    pub fn defines(&self, typedef: &str) -> bool {
        self.named(&self.typedefs, typedef).is_some()
    }

    fn prototype(&self, id: u32) -> Option<u32> {
        self.resolve(id)
            .filter(|prototype| prototype.kind == KIND_PROTOTYPE)
            .map(|prototype| prototype.members)
    }

    /// Value of a constant of any enumeration.
    pub fn constant(&self, name: &str) -> Option<u32> {
        let name = self.offset_of_string(name)?;
        self.enumerations.iter().find_map(|id| {
            let enumeration = self.resolve(*id)?;
            (0..enumeration.members as usize).find_map(|index| {
                let at = enumeration.at + 12 + 8 * index;
                let found = word(&self.data, at).ok()? == name;
                found.then(|| word(&self.data, at + 4).ok()).flatten()
            })
        })
    }

    /// A structure, to look for members in; `None` if the kernel has none of this name.
    pub fn structure(&self, name: &str) -> Option<Structure> {
        self.named(&self.structures, name).map(Structure)
    }

    /// Byte offset of a member of a structure, through anonymous unions and structures; `None` if there is no such
    /// member, or if it is a bitfield that does not begin at a byte.
    pub fn offset_of(&self, Structure(structure): Structure, member: &str) -> Option<u32> {
        let bits = self.member_bits(&structure, member.as_bytes(), DEEPEST, &mut HashSet::new())?;
        bits.is_multiple_of(8).then_some(bits / 8)
    }

    /// A type in which it is not is not looked at again: a made-up structure can be the type of each of its own members.
    fn member_bits(
        &self,
        structure: &Type,
        member: &[u8],
        depth: u32,
        seen: &mut HashSet<usize>,
    ) -> Option<u32> {
        if depth == 0 || !matches!(structure.kind, KIND_STRUCT | KIND_UNION) || !seen.insert(structure.at) {
            return None;
        }
        let words = |index: u32| -> Option<(u32, u32, u32)> {
            let at = structure.at + 12 + 12 * index as usize;
            Some((word(&self.data, at).ok()?, word(&self.data, at + 4).ok()?, word(&self.data, at + 8).ok()?))
        };
        for index in 0..structure.members {
            let (name, of, packed) = words(index)?;
            let offset = if structure.packed_offsets { packed & 0xff_ffff } else { packed };
            if self.is_called(name, member) {
                return Some(offset);
            }
            if self.is_called(name, b"")
                && let Some(inner) =
                    self.resolve(of).and_then(|of| self.member_bits(&of, member, depth - 1, seen))
            {
                return offset.checked_add(inner);
            }
        }
        None
    }

    /// The type behind qualifiers and typedefs.
    fn resolve(&self, mut id: u32) -> Option<Type> {
        for _ in 0..DEEPEST {
            let at = *self.types.get(id.checked_sub(1)? as usize)?;
            let header = self.header(at).ok()?;
            if !matches!(header.kind, KIND_CONST | KIND_VOLATILE | KIND_TYPEDEF) {
                return Some(header);
            }
            id = header.size_or_type;
        }
        None
    }

    fn header(&self, at: usize) -> Result<Type, BtfError> {
        let words = self.data.get(at..).and_then(|rest| rest.first_chunk::<12>());
        let [i, j, k, l, a, b, c, d, e, f, g, h] = *words.ok_or(BtfError::Truncated(at))?;
        let info = u32::from_le_bytes([a, b, c, d]);
        Ok(Type {
            at,
            name: u32::from_le_bytes([i, j, k, l]),
            kind: (info >> 24) & 0x1f,
            members: info & 0xffff,
            packed_offsets: info >> 31 == 1,
            size_or_type: u32::from_le_bytes([e, f, g, h]),
        })
    }

    /// Whether the name at this place of the strings is this one.
    fn is_called(&self, offset: u32, name: &[u8]) -> bool {
        let text = self.string(offset).unwrap_or_default();
        text.starts_with(name) && text.get(name.len()) == Some(&0)
    }

    /// The strings from this place on.
    fn string(&self, offset: u32) -> Option<&[u8]> {
        let from = self.strings.start.saturating_add(offset as usize);
        self.data.get(from..self.strings.end).filter(|text| !text.is_empty())
    }
}

/// Whether each of these strings has an end, soon.
fn are_names(strings: &[u8]) -> bool {
    let mut begin = 0;
    for end in memchr_iter(0, strings) {
        if end - begin > LONGEST_NAME {
            return false;
        }
        begin = end + 1;
    }
    begin == strings.len()
}

/// Bytes that follow the common twelve, by kind.
fn tail(at: usize, header: &Type) -> Result<usize, BtfError> {
    let members = header.members as usize;
    Ok(match header.kind {
        2 | 7..=12 | 16 | 18 => 0,
        1 | 14 | 17 => 4,
        3 => 12,
        4 | 5 | 15 | 19 => 12 * members,
        6 | 13 => 8 * members,
        kind => return Err(BtfError::UnknownKind(at, kind)),
    })
}

fn word(data: &[u8], at: usize) -> Result<u32, BtfError> {
    data.get(at..)
        .and_then(|rest| rest.first_chunk::<4>())
        .map(|bytes| u32::from_le_bytes(*bytes))
        .ok_or(BtfError::Truncated(at))
}

#[cfg(test)]
pub(super) mod tests;
