//! Where the members lie that the programs read, on the kernel that runs.

use observer_ebpf::layout::FIELDS;

use super::btf::Btf;

/// Offsets by the name of the global that takes them, and the members that this kernel does not have.
#[derive(Debug, Clone, Default)]
pub struct Layout {
    /// Name of the global → byte offset.
    pub offsets: Vec<(&'static str, u32)>,
    /// Names of the globals whose member is not there.
    pub missing: Vec<&'static str>,
}

impl Layout {
    /// Looks every field up.
    pub fn of(btf: &Btf) -> Self {
        let mut layout = Self::default();
        for field in FIELDS {
            match btf.offset_of(field.structure, field.member) {
                Some(offset) => layout.offsets.push((field.global, offset)),
                None => layout.missing.push(field.global),
            }
        }
        layout
    }

    /// `structure.member` of a global, for messages.
    pub fn member_of(global: &str) -> String {
        FIELDS
            .iter()
            .find(|field| field.global == global)
            .map_or_else(|| global.to_owned(), |field| format!("{}.{}", field.structure, field.member))
    }
}
