//! Where the members lie that the programs read, on the kernel that runs.

use std::collections::BTreeMap;

use observer_ebpf::layout::{ENUMERATORS, FIELDS};

use super::{
    btf::Btf,
    plan::{Attach, PROGRAMS},
};

/// Offsets and constants by the name of the global that takes them, and those that this kernel does not have.
#[derive(Debug, Clone, Default)]
pub struct Layout {
    /// Name of the global → byte offset, or value.
    pub values: Vec<(&'static str, u32)>,
    /// Names of the globals whose member or constant is not there.
    pub missing: Vec<&'static str>,
    /// Name of the program → number of arguments or parameters of what it is attached to; `None` when this kernel has no
    /// such thing. Only for programs that are attached by BTF.
    pub takes: BTreeMap<&'static str, Option<u32>>,
}

impl Layout {
    /// Looks every field up.
    pub fn of(btf: &Btf) -> Self {
        let mut layout = Self::default();
        for field in FIELDS {
            match btf.offset_of(field.structure, field.member) {
                Some(offset) => layout.values.push((field.global, offset)),
                None => layout.missing.push(field.global),
            }
        }
        for program in PROGRAMS {
            let takes = match program.attach {
                Attach::TpBtf(name) => btf.arguments(name),
                Attach::FEntry(name) | Attach::FExit(name) | Attach::KProbe(name) => btf.parameters(name),
                Attach::Tracepoints(..) | Attach::OnDemand | Attach::Iterator(_) => continue,
            };
            layout.takes.insert(program.name, takes);
        }
        for row in ENUMERATORS {
            match btf.constant(row.name) {
                Some(value) => layout.values.push((row.global, value)),
                None => layout.missing.push(row.global),
            }
        }
        layout
    }

    /// `structure.member`, or the constant's name, of a global, for messages.
    pub fn member_of(global: &str) -> String {
        let field = FIELDS.iter().find(|field| field.global == global);
        let constant = ENUMERATORS.iter().find(|row| row.global == global);
        match (field, constant) {
            (Some(field), _) => format!("{}.{}", field.structure, field.member),
            (None, Some(row)) => row.name.to_owned(),
            (None, None) => global.to_owned(),
        }
    }
}
