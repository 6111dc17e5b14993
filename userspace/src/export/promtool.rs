//! The real `promtool`, as the oracle of what Prometheus can read.

use std::env;
use std::io::{self, Write as _};
use std::process::{Child, Command, Stdio};

/// Fails where `promtool check metrics` finds anything wrong with the text.
/// Without promtool the check is skipped, unless `XDSC_REQUIRE_TOOLS=1`.
#[track_caller]
pub(super) fn check_metrics(text: &str) {
    let Some(mut promtool) = start() else { return };
    let mut stdin = promtool.stdin.take().expect("stdin is piped");
    stdin
        .write_all(text.as_bytes())
        .expect("promtool reads its input");
    drop(stdin);
    let output = promtool.wait_with_output().expect("promtool ends");
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && complaint.is_empty(),
        "promtool: {complaint}\n{text}"
    );
}

#[expect(clippy::print_stderr, reason = "a skipped check must be seen")]
fn start() -> Option<Child> {
    let started = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    match started {
        Ok(promtool) => Some(promtool),
        Err(error) if error.kind() == io::ErrorKind::NotFound && !tools_are_required() => {
            eprintln!("SKIPPED: promtool is not installed (Debian package `prometheus`)");
            None
        }
        Err(error) => panic!("cannot run promtool: {error}"),
    }
}

fn tools_are_required() -> bool {
    env::var_os("XDSC_REQUIRE_TOOLS").is_some_and(|value| value == "1")
}
