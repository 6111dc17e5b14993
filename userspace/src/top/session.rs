//! The screen and what happens on it: keys, news, a change of size, the end.
//!
//! The terminal is as it was before, however it ends: by a key, a signal, an error
//! or a panic.

use std::{
    io, process,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use nix::sys::signal::{Signal, raise};
use ratatui::{
    DefaultTerminal,
    crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers},
};

use super::{
    Stopped,
    app::{App, Next},
    feed::{Feed, Request, Stream},
    screen::{self, Theme},
};
use crate::{cli::TopArgs, interrupt, remote::Remote, terminal::has_colour};

/// How long news wait for the screen at most.
const LOOK: Duration = Duration::from_millis(100);

/// How long the screen has to end by itself after a signal.
const GRACE: Duration = Duration::from_secs(2);

/// Shows the screen until it is ended.
pub(super) fn run(args: &TopArgs, remote: Remote, request: Request) -> Result<(), Stopped> {
    // Before the screen is taken: whoever gave a wrong address shall read it.
    let first = Stream::open(&remote, &request)?;
    let origin = match args.interfaces.is_empty() {
        true => remote.url().to_owned(),
        false => args.interfaces.join(", "),
    };
    let feed = Feed::start(remote, request.clone(), first)?;
    let is_over = Arc::new(AtomicBool::new(false));
    let end = Arc::clone(&is_over);
    interrupt::at_end(move || {
        end.store(true, Ordering::Relaxed);
        // Where the terminal is gone, crossterm reads its end again and again, and
        // never comes back to look.
        thread::sleep(GRACE);
        process::exit(1);
    })?;
    let mut session = Session {
        app: App::new(origin, request),
        theme: Theme::new(has_colour()),
        feed,
        is_over,
    };
    // From here on, a panic gives the terminal back, too.
    let mut terminal = ratatui::try_init()?;
    let shown = session.show(&mut terminal);
    ratatui::try_restore()?;
    Ok(shown?)
}

struct Session {
    app: App,
    theme: Theme,
    feed: Feed,
    is_over: Arc<AtomicBool>,
}

impl Session {
    fn show(&mut self, terminal: &mut DefaultTerminal) -> io::Result<()> {
        let mut has_changed = true;
        while !self.is_over.load(Ordering::Relaxed) {
            for news in self.feed.news() {
                self.app.learn(news);
                has_changed = true;
            }
            if std::mem::take(&mut has_changed) {
                terminal.draw(|frame| screen::draw(frame, &self.app, self.theme))?;
            }
            if !event::poll(LOOK)? {
                continue;
            }
            has_changed = true;
            // A change of size is drawn as anything else is.
            let Event::Key(key) = event::read()? else {
                continue;
            };
            if is_suspension(key) {
                suspend(terminal)?;
            } else if key.kind != KeyEventKind::Release {
                match self.app.press(key) {
                    Next::Continue => {}
                    Next::Ask(request) => self.feed.ask(request),
                    Next::Quit => return Ok(()),
                }
            }
        }
        Ok(())
    }
}

/// Ctrl-Z, which a terminal for screens does not see to by itself.
fn is_suspension(key: KeyEvent) -> bool {
    key.code == KeyCode::Char('z') && key.modifiers.contains(KeyModifiers::CONTROL)
}

/// Gives the terminal to the shell until it wakes us up.
fn suspend(terminal: &mut DefaultTerminal) -> io::Result<()> {
    terminal.show_cursor()?;
    ratatui::try_restore()?;
    raise(Signal::SIGTSTP)?;
    *terminal = ratatui::try_init()?;
    terminal.clear()
}
