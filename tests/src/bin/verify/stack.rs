//! What the chains of calls take of the stack, found in the object: the kernel
//! tells it in the log of the load only, which the BPF library drops when the
//! load succeeds.
//!
//! The functions of a chain share 512 octets. Kernels differ in how they round
//! the parts, so that a chain that this kernel takes may be too long for another:
//! here it is added up as the strictest of them do.

use std::{
    collections::{BTreeMap, HashMap},
    ops::Range,
};

use anyhow::{Context as _, Result, ensure};
use object::{
    File, Object as _, ObjectSection as _, ObjectSymbol as _, RelocationTarget, SectionIndex,
    SectionKind, SymbolKind,
};

/// What every kernel allows.
pub(crate) const LIMIT: u32 = 512;
/// What a function's part is rounded up to.
const ROUNDED_TO: u32 = 32;

/// Octets of an instruction.
const INSTRUCTION: usize = 8;
/// The register that points behind the stack.
const FRAME_POINTER: u8 = 10;
/// Opcodes: a call, and a load of 64 bits that takes two instructions.
const CALL: u8 = 0x85;
const LOAD_WIDE: u8 = 0x18;
/// Of 64 bits: a register to another one, a number to a register.
const COPY: u8 = 0xbf;
const ADD: u8 = 0x07;
/// In a call: to a function of the program's own.
const OWN_FUNCTION: u8 = 1;

/// Where a function begins.
type Place = (SectionIndex, u64);

/// What is known of a function by itself.
#[derive(Default)]
struct Function {
    stack: u32,
    calls: Vec<Place>,
}

/// The functions of an object.
pub(crate) struct Stacks {
    functions: HashMap<Place, Function>,
    names: BTreeMap<String, Place>,
}

impl Stacks {
    /// Those of an object as `cargo xtask build` left it.
    pub(crate) fn of(bytes: &[u8]) -> Result<Self> {
        let file = File::parse(bytes)?;
        let mut stacks = Self {
            functions: HashMap::new(),
            names: BTreeMap::new(),
        };
        for symbol in file.symbols() {
            if symbol.kind() != SymbolKind::Text {
                continue;
            }
            let index = symbol.section_index().context("a function nowhere")?;
            let octets = symbol.address()..symbol.address() + symbol.size();
            let place = (index, octets.start);
            stacks.names.insert(symbol.name()?.to_owned(), place);
            let function = function(&file, index, octets)?;
            stacks.functions.insert(place, function);
        }
        Ok(stacks)
    }

    /// Octets of the deepest chain of calls that begins in this program.
    pub(crate) fn deepest(&self, program: &str) -> Result<u32> {
        let place = self.names.get(program);
        self.depth(*place.with_context(|| format!("no program {program}"))?)
    }

    /// The verifier takes no recursion, so this ends.
    fn depth(&self, place: Place) -> Result<u32> {
        let function = self.functions.get(&place).context("a call to nowhere")?;
        let mut below = 0;
        for call in &function.calls {
            below = below.max(self.depth(*call)?);
        }
        Ok(function.stack.max(1).next_multiple_of(ROUNDED_TO) + below)
    }
}

fn function(file: &File<'_>, index: SectionIndex, octets: Range<u64>) -> Result<Function> {
    let section = file.section_by_index(index)?;
    let called = called(file, index)?;
    let code = section.data()?;
    let code = code
        .get(octets.start as usize..octets.end as usize)
        .context("a function beyond its section")?;
    let mut function = Function::default();
    let mut before = [0; INSTRUCTION];
    for (number, instruction) in code.as_chunks::<INSTRUCTION>().0.iter().enumerate() {
        let at = octets.start + (number * INSTRUCTION) as u64;
        let reached = reached(instruction).max(pointed_to(&before, instruction));
        function.stack = function.stack.max(reached);
        before = *instruction;
        let [opcode, registers, ..] = *instruction;
        let calls = opcode == CALL && registers >> 4 == OWN_FUNCTION;
        if calls || opcode == LOAD_WIDE {
            match called.get(&at) {
                Some(target) => function.calls.push(*target),
                None => ensure!(!calls, "a call at {at} that leads nowhere"),
            }
        }
    }
    Ok(function)
}

/// How far below the frame pointer a load or a store reaches.
fn reached([opcode, registers, low, high, ..]: &[u8; INSTRUCTION]) -> u32 {
    let base = match opcode & 7 {
        1 => registers >> 4,
        2 | 3 => registers & 0xf,
        _ => return 0,
    };
    let offset = i16::from_le_bytes([*low, *high]);
    if base == FRAME_POINTER {
        u32::from(offset.unsigned_abs())
    } else {
        0
    }
}

/// Likewise the pointer that a copy of the frame pointer becomes.
fn pointed_to(before: &[u8; INSTRUCTION], instruction: &[u8; INSTRUCTION]) -> u32 {
    let [COPY, copied, ..] = *before else {
        return 0;
    };
    let [ADD, added_to, _, _, offset @ ..] = *instruction else {
        return 0;
    };
    if copied >> 4 == FRAME_POINTER && copied & 0xf == added_to & 0xf {
        i32::from_le_bytes(offset).unsigned_abs()
    } else {
        0
    }
}

/// The functions that a section's instructions name, by their offsets.
fn called(file: &File<'_>, index: SectionIndex) -> Result<BTreeMap<u64, Place>> {
    let section = file.section_by_index(index)?;
    let code = section.data()?;
    let mut called = BTreeMap::new();
    for (at, relocation) in section.relocations() {
        let RelocationTarget::Symbol(symbol) = relocation.target() else {
            continue;
        };
        let symbol = file.symbol_by_index(symbol)?;
        let Some(target) = symbol.section_index() else {
            continue;
        };
        if file.section_by_index(target)?.kind() != SectionKind::Text {
            continue;
        }
        let start = if symbol.kind() == SymbolKind::Section {
            offset_in_section(code, at as usize)?
        } else {
            symbol.address()
        };
        called.insert(at, (target, start));
    }
    Ok(called)
}

/// Where in a section an instruction points that names the section only.
fn offset_in_section(code: &[u8], at: usize) -> Result<u64> {
    let instruction = code.get(at..at + INSTRUCTION).context("a relocation")?;
    let [opcode, _, _, _, a, b, c, d] = *instruction.first_chunk().context("octets")?;
    let immediate = i64::from(i32::from_le_bytes([a, b, c, d]));
    // A call counts instructions from the next one, a load counts octets.
    let octets = if opcode == CALL {
        (immediate + 1) * INSTRUCTION as i64
    } else {
        immediate
    };
    Ok(u64::try_from(octets)?)
}
