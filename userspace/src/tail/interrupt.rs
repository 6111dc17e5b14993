//! The end that people make: Ctrl-C is how a tail ends, and no failure.

use std::{io, process, thread};

use tokio::signal::unix::{SignalKind, signal};

/// On SIGINT or SIGTERM, does `last` and ends the process well.
///
/// # Errors
/// When there is no thread or handler to be had.
pub(super) fn end_with(last: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()?;
    let (mut interrupt, mut terminate) = {
        let _entered = runtime.enter();
        (
            signal(SignalKind::interrupt())?,
            signal(SignalKind::terminate())?,
        )
    };
    thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                }
            });
            last();
            process::exit(0);
        })?;
    Ok(())
}
