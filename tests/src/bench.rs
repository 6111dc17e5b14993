//! What the benchmarks of the whole system share: traffic out of the kernel
//! ([`generator`]) and its ways ([`cables`]), what a process takes ([`usage`]), and
//! the daemon between two cables ([`stage`]).

pub mod cables;
pub mod generator;
pub mod stage;
pub mod usage;

use nix::{
    sched::{CpuSet, sched_setaffinity},
    unistd::Pid,
};
use serde_json::{Value, json};

/// Keeps the calling thread on one CPU.
///
/// # Errors
/// When there is no such CPU.
pub fn pin(cpu: usize) -> nix::Result<()> {
    let mut set = CpuSet::new();
    set.set(cpu)?;
    sched_setaffinity(Pid::from_raw(0), &set)
}

/// The middle one, or the upper of the two in the middle.
#[must_use]
pub fn median(figures: &[f64]) -> f64 {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

/// A figure for machines, to `digits` digits behind the point.
#[must_use]
pub fn rounded(figure: f64, digits: i32) -> Value {
    let scale = 10_f64.powi(digits);
    json!((figure * scale).round() / scale)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn median_is_the_middle_figure() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 3.0);
        assert!(median(&[]).is_nan());
    }

    #[test]
    fn figures_are_rounded() {
        assert_eq!(rounded(0.123_456, 3), json!(0.123));
        assert_eq!(rounded(1_999.5, 0), json!(2000.0));
    }
}
