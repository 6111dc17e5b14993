//! What each program may take.

use crate::{loaded::Figures, stack};

/// What a program may take, with the hardest settings: somewhat more than it does.
/// Kernels differ in how well they prune, and allow a million instructions.
pub(crate) struct Budget {
    pub(crate) object: &'static str,
    pub(crate) program: &'static str,
    /// Instructions that the verifier walks through.
    verified: u32,
    /// Octets of machine code.
    jited: u32,
}

pub(crate) const BUDGETS: [Budget; 9] = [
    Budget::new("probe.o", "xdp_ingress", 175_000, 46_000),
    Budget::new("probe.o", "tc_ingress", 175_000, 46_000),
    Budget::new("probe.o", "tc_egress", 175_000, 46_000),
    Budget::new("probe-trace.o", "xdp_ingress", 220_000, 48_000),
    Budget::new("probe-trace.o", "tc_ingress", 220_000, 48_000),
    Budget::new("probe-trace.o", "tc_egress", 220_000, 48_000),
    Budget::new("probe-bench.o", "xdp_ingress", 175_000, 46_000),
    Budget::new("probe-bench.o", "tc_ingress", 175_000, 46_000),
    Budget::new("probe-bench.o", "tc_egress", 175_000, 46_000),
];

impl Budget {
    const fn new(object: &'static str, program: &'static str, verified: u32, jited: u32) -> Self {
        Self {
            object,
            program,
            verified,
            jited,
        }
    }

    /// What `figures` exceed, if anything.
    pub(crate) fn excess(&self, figures: &Figures, stack: u32) -> Option<String> {
        let limits = [
            ("octets of stack", stack, stack::LIMIT),
            ("verified instructions", figures.verified, self.verified),
            ("octets of machine code", figures.jited, self.jited),
        ];
        limits
            .into_iter()
            .find(|(_, value, limit)| value > limit)
            .map(|(what, value, limit)| {
                format!(
                    "{} of {}: {value} {what}, the budget is {limit}",
                    self.program, self.object
                )
            })
    }
}
