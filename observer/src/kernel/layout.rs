//! Where the members lie that the programs read, on the kernel that runs.

use std::collections::BTreeMap;

use observer_ebpf::layout::{ENUMERATORS, FIELDS};

use super::{
    btf::Btf,
    plan::{Attach, PROGRAMS},
};

/// The guard that tracepoints are passed under since they can be preempted (7.0): `guard(srcu_fast_notrace)` in
/// `__DECLARE_TRACE`. Its type came with that and serves nothing else.
const PREEMPTIBLE_GUARD: &str = "class_srcu_fast_notrace_t";

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
    /// A program at a tracepoint can be preempted, so that it is skipped wherever else its processor comes by it: see the
    /// programs' `copies`.
    pub preempted: bool,
}

impl Layout {
    /// Looks every field up.
    pub fn of(btf: &Btf) -> Self {
        let mut layout = Self { preempted: btf.defines(PREEMPTIBLE_GUARD), ..Self::default() };
        // Every look-up of a name goes through megabytes of them: each once.
        let mut structures = BTreeMap::new();
        for field in FIELDS {
            let name = field.structure;
            let structure = *structures.entry(name).or_insert_with(|| btf.structure(name));
            let offset = structure
                .and_then(|structure| field.members().find_map(|member| btf.offset_of(structure, member)));
            match offset {
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
            (Some(field), _) => {
                let names = field.members().map(|member| format!("{}.{member}", field.structure));
                names.collect::<Vec<_>>().join(" or ")
            }
            (None, Some(row)) => row.name.to_owned(),
            (None, None) => global.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::btf::tests::with_types;

    /// A kernel with one structure, whose members are each 8 bytes further than the one before.
    fn layout(structure: &str, members: &[&str]) -> Layout {
        let mut strings = vec![0];
        let mut name = |text: &str| {
            let at = strings.len() as u32;
            strings.extend_from_slice(text.as_bytes());
            strings.push(0);
            at
        };
        let mut types = vec![name("long"), 1 << 24, 8, 64];
        types.extend([name(structure), 4 << 24 | members.len() as u32, 8 * members.len() as u32]);
        for (index, member) in members.iter().enumerate() {
            types.extend([name(member), 1, 64 * index as u32]);
        }
        Layout::of(&Btf::parse(with_types(&types, &strings)).unwrap())
    }

    fn value(layout: &Layout, global: &str) -> Option<u32> {
        let found = layout.values.iter().find(|(name, _)| *name == global).map(|(_, value)| *value);
        assert_eq!(found.is_none(), layout.missing.contains(&global), "{global} is either there or missing");
        found
    }

    #[test]
    fn a_member_with_another_name_elsewhere_is_found_by_either() {
        let first_argument = |members| value(&layout("pt_regs", members), "PT_REGS_ARGUMENT_1");
        assert_eq!(first_argument(&["si", "di", "orig_ax"]), Some(8), "x86");
        assert_eq!(first_argument(&["regs", "sp", "pc", "pstate", "orig_x0"]), Some(32), "arm64");
        assert_eq!(first_argument(&["orig_x0", "di"]), Some(8), "the first name wins");
        assert_eq!(first_argument(&["orig_gpr2"]), None);
        let state = |members| value(&layout("task_struct", members), "TASK_STATE");
        assert_eq!((state(&["__state"]), state(&["stack", "state"])), (Some(0), Some(8)));
    }

    #[test]
    fn a_message_has_every_name() {
        assert_eq!(Layout::member_of("PT_REGS_ARGUMENT_1"), "pt_regs.di or pt_regs.orig_x0");
        assert_eq!(Layout::member_of("TASK_START"), "task_struct.start_boottime");
        assert_eq!(Layout::member_of("REASON_ECHO"), "SKB_DROP_REASON_TCP_RFC7323_TSECR");
    }
}
