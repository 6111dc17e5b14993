//! Runs the loaded programs on given frames, attached to nothing: for tests and
//! benchmarks.

use std::time::Duration;

use aya::programs::{ProgramError, SchedClassifier, TestRun as _, TestRunOptions, Xdp};

use super::probe::Probe;

/// One of the kernel programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// XDP: what arrives.
    XdpIngress,
    /// TC: what arrives, where the XDP slot is taken.
    TcIngress,
    /// TC: what leaves.
    TcEgress,
}

impl Program {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::XdpIngress, Self::TcIngress, Self::TcEgress];

    /// Its name in the object file.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::XdpIngress => "xdp_ingress",
            Self::TcIngress => "tc_ingress",
            Self::TcEgress => "tc_egress",
        }
    }
}

/// What a run came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// What the program returned.
    pub code: i32,
    /// Mean time of a run, by the kernel's measure.
    pub duration: Duration,
}

impl Probe {
    /// Runs a program `repeat` times on an Ethernet frame of 14 octets or more.
    ///
    /// # Errors
    /// When the kernel does not take the frame: one too short, or too long.
    pub fn test_run(
        &self,
        program: Program,
        frame: &[u8],
        repeat: u32,
    ) -> Result<Verdict, ProgramError> {
        let options = TestRunOptions {
            data_in: Some(frame),
            repeat,
            ..TestRunOptions::default()
        };
        let loaded = self
            .ebpf
            .program(program.name())
            .ok_or(ProgramError::NotLoaded)?;
        let result = match program {
            Program::XdpIngress => <&Xdp>::try_from(loaded)?.test_run(options)?,
            Program::TcIngress | Program::TcEgress => {
                <&SchedClassifier>::try_from(loaded)?.test_run(options)?
            }
        };
        Ok(Verdict {
            code: result.return_value.cast_signed(),
            duration: result.duration,
        })
    }
}
