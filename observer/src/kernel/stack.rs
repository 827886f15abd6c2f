//! The stack of each program fits on every kernel, which the kernel of this machine cannot tell: a program and all that it
//! calls have 512 bytes (MAX_BPF_STACK), of which older kernels give each function a multiple of 32
//! (check_max_stack_depth, kernel/bpf/verifier.c; since Linux 6.9 of 16 where it is compiled).

use std::collections::{BTreeSet, HashSet};

use aya_obj::{Object, generated::bpf_insn};

const MOST: i32 = 512;
/// What a function takes is a multiple of this.
const ROUNDED_TO: i32 = 32;
/// The frame pointer.
const R10: u8 = 10;
/// A call of a function in the program.
const CALL: u8 = 0x85;
const TO_FUNCTION: u8 = 1;
const MOVE: u8 = 0xbf;
const ADD_NUMBER: u8 = 0x07;
/// Classes of instructions (their lowest three bits) that read or write memory.
const LDX: u8 = 1;
const ST: u8 = 2;
const STX: u8 = 3;

/// Instructions of a linked program, in which functions follow each other.
struct Code<'a>(&'a [bpf_insn]);

impl Code<'_> {
    /// The function that the call at this place goes to.
    fn callee(&self, at: usize) -> Option<usize> {
        let call = self.0.get(at).filter(|call| call.code == CALL && call.src_reg() == TO_FUNCTION)?;
        Some((at as i64 + 1 + i64::from(call.imm)) as usize)
    }

    /// The function that begins here, to where the next one begins.
    fn function(&self, start: usize) -> std::ops::Range<usize> {
        let starts: BTreeSet<usize> = (0..self.0.len()).filter_map(|at| self.callee(at)).collect();
        start..starts.range(start + 1..).next().copied().unwrap_or(self.0.len())
    }

    /// Bytes that the function itself takes: what it reaches from its frame pointer, or from a copy of that.
    fn own(&self, start: usize) -> i32 {
        let mut copies = [None; 11];
        copies[usize::from(R10)] = Some(0);
        let mut lowest = 0;
        for one in &self.0[self.function(start)] {
            let (to, from) = (usize::from(one.dst_reg()), usize::from(one.src_reg()));
            let base = match one.code & 7 {
                LDX => copies[from],
                ST | STX => copies[to],
                _ => None,
            };
            if let Some(base) = base {
                lowest = lowest.min(base + i32::from(one.off));
            }
            match one.code {
                MOVE => copies[to] = copies[from],
                ADD_NUMBER => copies[to] = copies[to].map(|base| base + one.imm),
                CALL => copies[..6].fill(None),
                // Loads and arithmetic; jumps compare only.
                code if matches!(code & 7, 0 | LDX | 4 | 7) => copies[to] = None,
                _ => {}
            }
            // Where the address of something on the stack is passed on.
            lowest = lowest.min(copies[to].unwrap_or(0));
        }
        -lowest
    }

    /// Bytes of the longest chain of calls from here.
    fn chain(&self, start: usize) -> i32 {
        let callees = self.function(start).filter_map(|at| self.callee(at));
        let deepest = callees.map(|callee| self.chain(callee)).max().unwrap_or(0);
        (self.own(start).max(1) + ROUNDED_TO - 1) / ROUNDED_TO * ROUNDED_TO + deepest
    }
}

#[test]
fn no_program_takes_more_than_the_oldest_kernel_gives() {
    let bytes = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/observer-ebpf"));
    let mut object = Object::parse(bytes).unwrap();
    let sections: HashSet<usize> = object.functions.keys().map(|(section, _)| *section).collect();
    object.relocate_calls(&sections).unwrap();
    let mut chains: Vec<(i32, &str)> = object
        .programs
        .iter()
        .map(|(name, program)| {
            let function = &object.functions[&program.function_key()];
            (Code(&function.instructions).chain(0), name.as_str())
        })
        .collect();
    chains.sort_unstable();
    let last = chains.last().unwrap();
    assert!(last.0 > 256, "the programs keep records on their stacks: {last:?}");
    let over: Vec<_> = chains.iter().filter(|(bytes, _)| *bytes > MOST).collect();
    assert!(over.is_empty(), "more than {MOST} bytes of stack: {over:?}");
    println!("{last:?}");
}
