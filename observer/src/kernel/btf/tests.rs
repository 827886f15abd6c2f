//! The reader against a blob made by hand.

use super::*;

/// `struct s { int a; union { struct { int b; int c; }; int d; }; int e:3; }`, `int f(int, int)`,
/// `typedef void (*btf_trace_t)(void *, int)` and `enum { RED = 1, GREEN = 7 }`, as pahole would write them.
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
    let (f, trace, red, green) = (name("f"), name("btf_trace_t"), name("RED"), name("GREEN"));
    types.extend([0, 13 << 24 | 2, 1, a, 1, b, 1]); // 5: int (int, int)
    types.extend([f, 12 << 24, 5]); // 6: f
    types.extend([0, 2 << 24, 5]); // 7: a pointer to such a function
    types.extend([trace, 8 << 24, 7]); // 8: the typedef
    types.extend([0, 6 << 24 | 2, 4, red, 1, green, 7]); // 9: the enumeration
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
    let s = btf.structure("s").unwrap();
    for (member, offset) in [("a", Some(0)), ("b", Some(4)), ("c", Some(8)), ("d", Some(4))] {
        assert_eq!(btf.offset_of(s, member), offset, "{member}");
    }
    assert_eq!(btf.offset_of(s, "e"), None, "a bitfield within a byte has no byte offset");
    assert_eq!(btf.offset_of(s, "nothing"), None);
    assert!(btf.structure("nothing").is_none());
}

#[test]
fn functions_tracepoints_and_constants_are_found() {
    let btf = Btf::parse(blob()).unwrap();
    assert_eq!((btf.parameters("f"), btf.parameters("s")), (Some(2), None));
    assert_eq!((btf.arguments("t"), btf.arguments("f")), (Some(1), None));
    assert_eq!((btf.constant("GREEN"), btf.constant("BLUE")), (Some(7), None));
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
                for name in ["a", "b", "c", "d", "e", "", "f", "t", "GREEN"] {
                    let _ = btf.structure("s").and_then(|s| btf.offset_of(s, name));
                    let _ = (btf.parameters(name), btf.arguments(name), btf.constant(name));
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

/// A structure whose members are all without a name and of its own type, as many as there may be.
fn endless() -> Vec<u8> {
    let members = 0xffff;
    let mut types: Vec<u32> = vec![1, 4 << 24 | members, 8];
    types.extend((0..members).flat_map(|_| [0, 1, 0]));
    with_types(&types, b"\0s\0")
}

/// A blob of these types and strings.
pub(in crate::kernel) fn with_types(types: &[u32], strings: &[u8]) -> Vec<u8> {
    let mut data = MAGIC.to_le_bytes().to_vec();
    data.extend([1, 0]);
    let types: Vec<u8> = types.iter().flat_map(|word| word.to_le_bytes()).collect();
    for word in [24, 0, types.len() as u32, types.len() as u32, strings.len() as u32] {
        data.extend(word.to_le_bytes());
    }
    [data, types, strings.to_vec()].concat()
}

#[test]
fn a_structure_in_itself_is_given_up() {
    // Without a bound on the work this is 65,535 to the power of 16.
    let btf = Btf::parse(endless()).unwrap();
    assert_eq!(btf.offset_of(btf.structure("s").unwrap(), "nothing"), None);
}

#[test]
fn names_are_short_and_where_names_are() {
    let int = |name: u32| [name, 1 << 24, 4, 32];
    let parse = |name: u32, strings: &[u8]| Btf::parse(with_types(&int(name), strings)).err();
    assert_eq!(parse(1, b"\0int\0"), None);
    let wrong = Some(BtfError::Name(24));
    assert_eq!(parse(5, b"\0int\0"), wrong, "it begins where the strings end");
    assert_eq!(parse(u32::MAX, b"\0int\0"), wrong);
    let strings = Some(BtfError::Strings);
    assert_eq!(parse(1, b"\0int"), strings, "it has no end");
    assert_eq!(parse(1, &[&b"\0"[..], &[b'x'; 1025], b"\0"].concat()), strings);
    assert_eq!(parse(1, &[&b"\0"[..], &[b'x'; 1024], b"\0"].concat()), None);
}
