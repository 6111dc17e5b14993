//! The end that people make: Ctrl-C is how they end what shows them things, and no
//! failure.

use std::{io, process, thread};

use tokio::signal::unix::{SignalKind, signal};

/// On SIGINT or SIGTERM, does `last` and ends the process well.
///
/// # Errors
/// When there is no thread or handler to be had.
pub(crate) fn end_with(last: impl FnOnce() + Send + 'static) -> io::Result<()> {
    at_end(|| {
        last();
        process::exit(0);
    })
}

/// On SIGINT, SIGTERM or SIGHUP, does `last`, from which all else is to follow.
///
/// # Errors
/// When there is no thread or handler to be had.
pub(crate) fn at_end(last: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()?;
    let (mut interrupt, mut terminate, mut hang_up) = {
        let _entered = runtime.enter();
        (
            signal(SignalKind::interrupt())?,
            signal(SignalKind::terminate())?,
            signal(SignalKind::hangup())?,
        )
    };
    thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                    _ = hang_up.recv() => {}
                }
            });
            last();
        })?;
    Ok(())
}
