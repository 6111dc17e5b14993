//! A terminal of tmux in a namespace: what stands on it, and keys for it.

use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context as _, Result, ensure};

use super::{Network, Side, eventually};

/// Nothing of tmux itself is to be seen, and the end can be looked at.
const CONFIG: &str = "set -g status off\nset -g remain-on-exit on\n\
                      set -g default-terminal screen-256color\nset -g escape-time 0\n";

/// A terminal with a program in it; both end with this.
#[derive(Debug)]
pub struct Screen<'a> {
    network: &'a Network,
    side: Side,
    socket: String,
}

impl<'a> Screen<'a> {
    /// Starts a shell command in a terminal of this size.
    ///
    /// Each has a server of its own: one that was told to end is there for a
    /// moment yet, takes what comes to its socket, and drops it.
    ///
    /// # Errors
    /// What tmux complains of.
    pub fn start(
        network: &'a Network,
        side: Side,
        (columns, rows): (u16, u16),
        command: &str,
    ) -> Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let config = network.file("tmux.conf", CONFIG)?;
        let socket = network.directory().join(format!("tmux-{number}.socket"));
        let socket = socket.to_str().context("a path that is text")?.to_owned();
        let screen = Self {
            network,
            side,
            socket,
        };
        let (columns, rows) = (columns.to_string(), rows.to_string());
        screen.tmux(&[
            "-f",
            &config,
            "-u",
            "new-session",
            "-d",
            "-x",
            &columns,
            "-y",
            &rows,
            command,
        ])?;
        Ok(screen)
    }

    /// The lines as they are seen.
    ///
    /// # Errors
    /// What tmux complains of.
    pub fn lines(&self) -> Result<Vec<String>> {
        let text = self.tmux(&["capture-pane", "-p"])?;
        Ok(text
            .lines()
            .map(|line| line.trim_end().to_owned())
            .collect())
    }

    /// The same with the sequences that colour it.
    ///
    /// # Errors
    /// What tmux complains of.
    pub fn coloured(&self) -> Result<String> {
        self.tmux(&["capture-pane", "-p", "-e"])
    }

    /// Presses keys, by tmux's names for them.
    ///
    /// # Errors
    /// What tmux complains of.
    pub fn press(&self, keys: &[&str]) -> Result<()> {
        self.tmux(&[&["send-keys"], keys].concat()).map(drop)
    }

    /// Makes it larger or smaller.
    ///
    /// # Errors
    /// What tmux complains of.
    pub fn resize(&self, columns: u16, rows: u16) -> Result<()> {
        let (columns, rows) = (columns.to_string(), rows.to_string());
        self.tmux(&["resize-window", "-x", &columns, "-y", &rows])
            .map(drop)
    }

    /// What tmux knows of it, by tmux's names of variables.
    ///
    /// # Errors
    /// What tmux complains of.
    pub fn variable(&self, name: &str) -> Result<String> {
        let value = self.tmux(&["display-message", "-p", &format!("#{{{name}}}")])?;
        Ok(value.trim().to_owned())
    }

    /// The number of the program in it.
    ///
    /// # Errors
    /// What tmux complains of.
    pub fn pid(&self) -> Result<i32> {
        Ok(self.variable("pane_pid")?.parse()?)
    }

    /// Waits until a line has all of these texts in it, in this order.
    ///
    /// # Errors
    /// With the screen when there is none.
    pub fn shows(&self, texts: &[&str]) -> Result<()> {
        eventually(&format!("{texts:?} on the screen"), || {
            let lines = self.lines()?;
            let has_all = |line: &String| {
                let mut rest = Some(line.as_str());
                for text in texts {
                    rest = rest.and_then(|rest| Some(rest.split_once(text)?.1));
                }
                rest.is_some()
            };
            ensure!(lines.iter().any(has_all), "{lines:#?}");
            Ok(())
        })
    }

    fn tmux(&self, arguments: &[&str]) -> Result<String> {
        let all = [&["-S", &self.socket], arguments].concat();
        self.network.output(self.side, "tmux", &all)
    }
}

impl Drop for Screen<'_> {
    fn drop(&mut self) {
        // Where it has ended already, there is nobody to tell.
        drop(self.tmux(&["kill-server"]));
    }
}
