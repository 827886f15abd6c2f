//! BTF: blobs of types whose headers fit, with names that are looked up, and with types that refer to any other.

use aya::{Btf as AyaBtf, Endianness};
use observer::kernel::{btf::Btf, layout::Layout};
use observer_ebpf::layout::{ENUMERATORS, FIELDS};

use crate::{Take, chance::Chance};

/// A table of names, and where each begins.
fn names() -> (Vec<u8>, Vec<u32>) {
    let (mut strings, mut places) = (vec![0], vec![0]);
    let fields = FIELDS.iter().flat_map(|field| [field.structure].into_iter().chain(field.members()));
    let functions = ["tcp_recvmsg", "tcp_sendmsg", "btf_trace_tcp_probe", "btf_trace_inet_sock_set_state"];
    for name in fields.chain(ENUMERATORS.iter().map(|row| row.name)).chain(functions) {
        places.push(strings.len() as u32);
        strings.extend_from_slice(name.as_bytes());
        strings.push(0);
    }
    (strings, places)
}

/// Types by chance. Names and references are valid, but for a few.
fn types(chance: &mut Chance, places: &[u32]) -> Vec<u8> {
    let count = 1 + chance.below(24);
    let mut words = Vec::new();
    for _ in 0..count {
        let name = |chance: &mut Chance| match chance.below(32) {
            0 => chance.edge() as u32,
            1..8 => 0,
            _ => *chance.one_of(places),
        };
        let other = |chance: &mut Chance| match chance.below(32) {
            0 => chance.edge() as u32,
            _ => chance.below(count + 2) as u32,
        };
        let kind = 1 + chance.below(20) as u32;
        let members = if chance.once_in(128) { chance.below(0x1_0000) } else { chance.below(6) } as u32;
        let packed = (chance.below(2) as u32) << 31;
        words.extend([name(chance), packed | kind << 24 | members, other(chance)]);
        match kind {
            1 | 14 | 17 => words.push(chance.any() as u32),
            3 => words.extend([other(chance), other(chance), chance.edge() as u32]),
            4 | 5 | 15 | 19 => {
                (0..members).for_each(|_| words.extend([name(chance), other(chance), chance.edge() as u32]));
            }
            6 | 13 => (0..members).for_each(|_| words.extend([name(chance), other(chance)])),
            _ => {}
        }
    }
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

fn blob(types: &[u8], strings: &[u8]) -> Vec<u8> {
    let mut blob = vec![0x9f, 0xeb, 1, 0];
    for word in [24, 0, types.len() as u32, types.len() as u32, strings.len() as u32] {
        blob.extend(word.to_le_bytes());
    }
    [&blob, types, strings].concat()
}

pub(crate) fn prepare() -> Take {
    let (strings, places) = names();
    Box::new(move |chance| {
        let mut blob = blob(&types(chance, &places), &strings);
        if chance.once_in(2) {
            chance.change(&mut blob, 3);
        }
        let Ok(btf) = Btf::parse(blob) else { return };
        let layout = Layout::of(&btf);
        assert_eq!(layout.values.len() + layout.missing.len(), FIELDS.len() + ENUMERATORS.len());
        // What was checked here is what aya is given.
        let _ = AyaBtf::parse(btf.bytes(), Endianness::default());
    })
}
