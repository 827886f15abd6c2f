//! A reader of BTF, just large enough to look up where a member lies in a kernel structure.
//!
//! Format: <https://docs.kernel.org/bpf/btf.html>. The data comes from a file, so nothing in it is trusted: every
//! access is checked, and nesting is bounded.

use std::{collections::HashMap, fmt};

/// What is wrong with a BTF blob, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BtfError {
    /// It does not begin as BTF does.
    NotBtf,
    /// It ends at this byte, within something that goes on.
    Truncated(usize),
    /// At this byte is a type of a kind that this reader does not know the size of.
    UnknownKind(usize, u32),
}

impl fmt::Display for BtfError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotBtf => write!(f, "not BTF: the magic number is missing"),
            Self::Truncated(at) => write!(f, "BTF is truncated: it ends within the item at byte {at}"),
            Self::UnknownKind(at, kind) => write!(f, "BTF has a type of unknown kind {kind} at byte {at}"),
        }
    }
}

impl std::error::Error for BtfError {}

const MAGIC: u16 = 0xeb9f;
const KIND_STRUCT: u32 = 4;
const KIND_UNION: u32 = 5;
const KIND_CONST: u32 = 10;
const KIND_VOLATILE: u32 = 9;
const KIND_TYPEDEF: u32 = 8;
/// Unions and structures without a name nest two or three deep in the kernel.
const DEEPEST: u32 = 16;

/// One type: its words after the common three, and those.
#[derive(Clone, Copy)]
struct Type {
    at: usize,
    kind: u32,
    members: u32,
    /// Bitfields are encoded in the offsets when set.
    packed_offsets: bool,
    size_or_type: u32,
}

/// Parsed BTF of a kernel.
pub struct Btf {
    data: Vec<u8>,
    /// Start of each type, by id − 1.
    types: Vec<usize>,
    strings: usize,
    structures: HashMap<Vec<u8>, u32>,
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
        let mut btf = Self { data, types: Vec::new(), strings, structures: HashMap::new() };
        let mut at = start;
        while at < end {
            let header = btf.header(at)?;
            btf.types.push(at);
            if header.kind == KIND_STRUCT {
                let name = btf.name(word(&btf.data, at)?).to_vec();
                let id = btf.types.len() as u32;
                if !name.is_empty() {
                    btf.structures.entry(name).or_insert(id);
                }
            }
            at = at.saturating_add(12).saturating_add(tail(at, &header)?);
        }
        if at != end {
            return Err(BtfError::Truncated(end));
        }
        Ok(btf)
    }

    /// Byte offset of a member of a structure, through anonymous unions and structures; `None` if there is no such
    /// structure, no such member, or if it is a bitfield that does not begin at a byte.
    pub fn offset_of(&self, structure: &str, member: &str) -> Option<u32> {
        let id = *self.structures.get(structure.as_bytes())?;
        let bits = self.member_bits(id, member.as_bytes(), DEEPEST)?;
        bits.is_multiple_of(8).then_some(bits / 8)
    }

    fn member_bits(&self, id: u32, member: &[u8], depth: u32) -> Option<u32> {
        let structure = self.resolve(id)?;
        if depth == 0 || !matches!(structure.kind, KIND_STRUCT | KIND_UNION) {
            return None;
        }
        let words = |index: u32| -> Option<(u32, u32, u32)> {
            let at = structure.at + 12 + 12 * index as usize;
            Some((word(&self.data, at).ok()?, word(&self.data, at + 4).ok()?, word(&self.data, at + 8).ok()?))
        };
        for index in 0..structure.members {
            let (name, of, packed) = words(index)?;
            let offset = if structure.packed_offsets { packed & 0xff_ffff } else { packed };
            let name = self.name(name);
            if name == member {
                return Some(offset);
            }
            if name.is_empty()
                && let Some(inner) = self.member_bits(of, member, depth - 1)
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
        let info = word(&self.data, at + 4)?;
        Ok(Type {
            at,
            kind: (info >> 24) & 0x1f,
            members: info & 0xffff,
            packed_offsets: info >> 31 == 1,
            size_or_type: word(&self.data, at + 8)?,
        })
    }

    fn name(&self, offset: u32) -> &[u8] {
        let from = self.data.get(self.strings.saturating_add(offset as usize)..).unwrap_or_default();
        from.split(|byte| *byte == 0).next().unwrap_or_default()
    }
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
mod tests {
    use super::*;

    /// `struct s { int a; union { struct { int b; int c; }; int d; }; int e:3; }`, as pahole would write it.
    fn blob() -> Vec<u8> {
        let mut strings = vec![0u8];
        let mut name = |text: &str| {
            let at = strings.len() as u32;
            strings.extend_from_slice(text.as_bytes());
            strings.push(0);
            at
        };
        let (int, s, a, b, c, d, e) =
            (name("int"), name("s"), name("a"), name("b"), name("c"), name("d"), name("e"));
        let mut types: Vec<u32> = Vec::new();
        types.extend([int, 1 << 24, 4, 32]); // 1: int
        types.extend([0, 4 << 24 | 2, 8, b, 1, 0, c, 1, 32]); // 2: the inner structure
        types.extend([0, 5 << 24 | 2, 8, 0, 2, 0, d, 1, 0]); // 3: the union
        types.extend([s, 1 << 31 | 4 << 24 | 3, 16, a, 1, 0, 0, 3, 32, e, 1, 3 << 24 | 97]); // 4: s
        let types: Vec<u8> = types.iter().flat_map(|word| word.to_le_bytes()).collect();
        let mut data = MAGIC.to_le_bytes().to_vec();
        data.extend([1, 0]);
        for word in [24u32, 0, types.len() as u32, types.len() as u32, strings.len() as u32] {
            data.extend(word.to_le_bytes());
        }
        data.extend(types);
        data.extend(strings);
        data
    }

    #[test]
    fn members_are_found_through_anonymous_ones() {
        let btf = Btf::parse(blob()).unwrap();
        for (member, offset) in [("a", Some(0)), ("b", Some(4)), ("c", Some(8)), ("d", Some(4))] {
            assert_eq!(btf.offset_of("s", member), offset, "{member}");
        }
        assert_eq!(btf.offset_of("s", "e"), None, "a bitfield within a byte has no byte offset");
        assert_eq!(btf.offset_of("s", "nothing"), None);
        assert_eq!(btf.offset_of("nothing", "a"), None);
    }

    #[test]
    fn cut_anywhere_is_an_error_and_never_a_panic() {
        let whole = blob();
        for length in 0..whole.len() {
            assert!(Btf::parse(whole[..length].to_vec()).is_err(), "cut at {length}");
        }
    }

    #[test]
    fn any_byte_changed_never_panics() {
        let whole = blob();
        for at in 0..whole.len() {
            for value in [0, 1, 0x7f, 0xff] {
                let mut data = whole.clone();
                data[at] = value;
                if let Ok(btf) = Btf::parse(data) {
                    for member in ["a", "b", "c", "d", "e", ""] {
                        let _ = btf.offset_of("s", member);
                    }
                }
            }
        }
    }

    #[test]
    fn what_is_no_btf_is_said_to_be_none() {
        assert_eq!(Btf::parse(b"ELF".to_vec()).err(), Some(BtfError::NotBtf));
        assert_eq!(Btf::parse(Vec::new()).err(), Some(BtfError::NotBtf));
    }
}
