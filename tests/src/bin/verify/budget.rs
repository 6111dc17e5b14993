//! What each program may take.

use crate::{loaded::Figures, stack};

/// Most instructions that the verifier may walk through, for any program and
/// settings. What the kernel allows is a million; kernels differ in how well
/// they prune.
const CEILING: u32 = 500_000;

/// What a program may take, with the hardest settings: somewhat more than it does.
pub(crate) struct Budget {
    pub(crate) object: &'static str,
    pub(crate) program: &'static str,
    /// Instructions that the verifier walks through.
    verified: u32,
    /// Octets of machine code.
    jited: u32,
}

pub(crate) const BUDGETS: [Budget; 9] = [
    Budget::new("probe.o", "xdp_ingress", 370_000, 45_000),
    Budget::new("probe.o", "tc_ingress", 370_000, 45_000),
    Budget::new("probe.o", "tc_egress", 310_000, 45_000),
    Budget::new("probe-trace.o", "xdp_ingress", 410_000, 48_000),
    Budget::new("probe-trace.o", "tc_ingress", 410_000, 48_000),
    Budget::new("probe-trace.o", "tc_egress", 350_000, 48_000),
    Budget::new("probe-bench.o", "xdp_ingress", 370_000, 45_000),
    Budget::new("probe-bench.o", "tc_ingress", 370_000, 45_000),
    Budget::new("probe-bench.o", "tc_egress", 310_000, 45_000),
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
            (
                "verified instructions",
                figures.verified,
                self.verified.min(CEILING),
            ),
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
