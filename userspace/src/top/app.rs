//! What is on the screen, and what keys do to it: no terminal here.

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::{
    feed::{News, Request},
    trail::Trail,
};
use crate::{
    cli::TopSort,
    view::{Amount, Row, Summary, Top, View},
};

/// A list on the screen.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pane {
    /// What the API calls it.
    pub(super) of: &'static str,
    /// What people call it.
    pub(super) title: &'static str,
}

const fn pane(of: &'static str, title: &'static str) -> Pane {
    Pane { of, title }
}

/// In the order in which they stand: two rows of three.
pub(super) const PANES: [Pane; 6] = [
    pane("qtype", "types"),
    pane("rcode", "response codes"),
    pane("country", "countries"),
    pane("tld", "TLDs"),
    pane("qname", "names"),
    pane("client_subnet", "clients"),
];
/// Panes beside each other.
pub(super) const ACROSS: usize = 3;

/// What a key does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Command {
    /// Ends it.
    Quit,
    /// Shows what keys do.
    Help,
    /// Shows losses, lag and what is wrong, instead of the lists.
    Health,
    /// Stands still, and goes on.
    Pause,
    /// The next order of lists.
    Sort,
    /// Looks for a text.
    Find,
    /// Only what has the chosen value.
    Filter,
    /// Everything again.
    Clear,
    /// One list on the whole screen.
    Zoom,
    /// The next list.
    NextPane,
    /// The list before.
    PreviousPane,
    /// The next value.
    Down,
    /// The value before.
    Up,
}

/// Keys, and what they do.
#[derive(Clone, Copy, Debug)]
pub(super) struct Binding {
    keys: &'static [KeyCode],
    /// As they are written.
    pub(super) shown: &'static str,
    /// What they do, for people.
    pub(super) does: &'static str,
    command: Command,
}

const fn bind(
    keys: &'static [KeyCode],
    shown: &'static str,
    does: &'static str,
    command: Command,
) -> Binding {
    Binding {
        keys,
        shown,
        does,
        command,
    }
}

/// All that there are.
pub(super) const BINDINGS: [Binding; 13] = [
    bind(&[KeyCode::Char('q')], "q", "quit", Command::Quit),
    bind(
        &[KeyCode::Char('s')],
        "s",
        "sort lists by rate, by total since the start, by name",
        Command::Sort,
    ),
    bind(
        &[KeyCode::Char('/')],
        "/",
        "show only values with this text in them",
        Command::Find,
    ),
    bind(
        &[KeyCode::Enter],
        "Enter",
        "count only what has the chosen value",
        Command::Filter,
    ),
    bind(
        &[KeyCode::Esc, KeyCode::Backspace],
        "Esc",
        "everything again",
        Command::Clear,
    ),
    bind(
        &[KeyCode::Char('p'), KeyCode::Char(' ')],
        "p",
        "pause, and go on",
        Command::Pause,
    ),
    bind(
        &[KeyCode::Char('z')],
        "z",
        "this list on the whole screen, and back",
        Command::Zoom,
    ),
    bind(
        &[KeyCode::Char('l')],
        "l",
        "losses, lag and what is wrong, and back",
        Command::Health,
    ),
    bind(
        &[KeyCode::Tab, KeyCode::Right],
        "Tab →",
        "the next list",
        Command::NextPane,
    ),
    bind(
        &[KeyCode::BackTab, KeyCode::Left],
        "⇧Tab ←",
        "the list before",
        Command::PreviousPane,
    ),
    bind(
        &[KeyCode::Down, KeyCode::Char('j')],
        "↓ j",
        "the next value",
        Command::Down,
    ),
    bind(
        &[KeyCode::Up, KeyCode::Char('k')],
        "↑ k",
        "the value before",
        Command::Up,
    ),
    bind(
        &[KeyCode::Char('?'), KeyCode::Char('h'), KeyCode::F(1)],
        "?",
        "what keys do, and back",
        Command::Help,
    ),
];

/// What fills the screen below the head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Page {
    /// The lists.
    Lists,
    /// One of them.
    Zoomed,
    /// Losses, lag and what is wrong.
    Health,
    /// What keys do.
    Help,
}

/// Whether it goes on after a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// As before.
    Continue,
    /// With something else to ask for.
    Ask(Request),
    /// Not.
    Quit,
}

/// The state of the screen.
#[derive(Debug)]
pub(super) struct App {
    /// Where the view comes from, for people.
    pub(super) origin: String,
    pub(super) view: View,
    pub(super) trail: Trail,
    pub(super) request: Request,
    pub(super) page: Page,
    /// Which of [`PANES`] the keys are for.
    pub(super) focus: usize,
    /// The text that values must have.
    pub(super) needle: String,
    /// Whether that is being typed.
    pub(super) is_typing: bool,
    pub(super) is_paused: bool,
    /// Why nothing comes; none while it does.
    pub(super) trouble: Option<String>,
    /// The chosen value of each pane: values move, and take the choice with them.
    chosen: [Option<String>; PANES.len()],
}

impl App {
    /// Nothing seen yet.
    pub(super) fn new(origin: String, request: Request) -> Self {
        Self {
            origin,
            view: View::default(),
            trail: Trail::default(),
            request,
            page: Page::Lists,
            focus: 0,
            needle: String::new(),
            is_typing: false,
            is_paused: false,
            trouble: None,
            chosen: Default::default(),
        }
    }

    /// Takes in what is new.
    pub(super) fn learn(&mut self, news: News) {
        match news {
            News::History(history) => self.trail = Trail::of_history(&history),
            News::View(view) => {
                self.trouble = None;
                if let Some(point) = &view.summary.now {
                    self.trail.push(point);
                }
                if !self.is_paused {
                    self.view = *view;
                }
            }
            News::Trouble(why) => self.trouble = Some(why),
        }
    }

    /// Does what a key asks for.
    pub(super) fn press(&mut self, key: KeyEvent) -> Next {
        let with_control = key.modifiers.contains(KeyModifiers::CONTROL);
        if with_control && key.code == KeyCode::Char('c') {
            return Next::Quit;
        }
        if self.is_typing {
            self.type_key(key.code);
            return Next::Continue;
        }
        let binding = BINDINGS
            .iter()
            .find(|binding| !with_control && binding.keys.contains(&key.code));
        match binding {
            Some(binding) => self.obey(binding.command),
            None => Next::Continue,
        }
    }

    /// The numbers beside the lists.
    pub(super) fn summary(&self) -> &Summary {
        &self.view.summary
    }

    /// A pane's list; none before it was heard of.
    pub(super) fn list(&self, pane: usize) -> Option<&Top> {
        self.view.top.iter().find(|top| top.of == PANES[pane].of)
    }

    /// The rows of a pane that are shown, in their order.
    pub(super) fn rows(&self, pane: usize) -> Vec<&Row> {
        let needle = self.needle.to_lowercase();
        let rows = self.list(pane).map_or(&[][..], |top| &top.rows);
        let mut rows: Vec<_> = rows
            .iter()
            .filter(|row| row.value.to_lowercase().contains(&needle))
            .collect();
        if self.request.sort == TopSort::Name {
            rows.sort_by(|one, other| one.value.cmp(&other.value));
        }
        rows
    }

    /// What a row is measured by.
    pub(super) fn measure(&self, amount: &Amount) -> f64 {
        match self.request.sort {
            TopSort::Rate | TopSort::Name => amount.rate.unwrap_or(0.0),
            // Shown with three digits.
            TopSort::Total => amount.total as f64,
        }
    }

    /// Which row of a pane is chosen; none until a key chose one.
    pub(super) fn choice(&self, pane: usize) -> Option<usize> {
        let value = self.chosen[pane].as_ref()?;
        self.rows(pane).iter().position(|row| row.value == *value)
    }

    fn obey(&mut self, command: Command) -> Next {
        match command {
            Command::Quit => return Next::Quit,
            Command::Help => self.turn_to(Page::Help),
            Command::Health => self.turn_to(Page::Health),
            Command::Zoom => self.turn_to(Page::Zoomed),
            Command::Pause => self.is_paused = !self.is_paused,
            Command::Find => self.is_typing = true,
            Command::NextPane => self.focus = (self.focus + 1) % PANES.len(),
            Command::PreviousPane => self.focus = (self.focus + PANES.len() - 1) % PANES.len(),
            Command::Down => self.choose(|choice, last| choice.map_or(0, |row| last.min(row + 1))),
            Command::Up => self.choose(|choice, _| choice.unwrap_or(0).saturating_sub(1)),
            Command::Sort => {
                self.request.sort = after(self.request.sort);
                return Next::Ask(self.request.clone());
            }
            Command::Filter => return self.filter(),
            Command::Clear => return self.clear(),
        }
        Next::Continue
    }

    /// The same key leads back.
    fn turn_to(&mut self, page: Page) {
        self.page = if self.page == page { Page::Lists } else { page };
    }

    fn choose(&mut self, row: impl FnOnce(Option<usize>, usize) -> usize) {
        let rows = self.rows(self.focus);
        let Some(last) = rows.len().checked_sub(1) else {
            return;
        };
        let row = row(self.choice(self.focus), last);
        self.chosen[self.focus] = rows.get(row).map(|row| row.value.clone());
    }

    fn filter(&mut self) -> Next {
        match self
            .choice(self.focus)
            .map(|row| &self.rows(self.focus)[row].value)
        {
            Some(value) => {
                self.request.filter = Some(format!("{}:{value}", PANES[self.focus].of));
                Next::Ask(self.request.clone())
            }
            None => Next::Continue,
        }
    }

    /// The last thing first: a page, then the text, then the filter.
    fn clear(&mut self) -> Next {
        if self.page != Page::Lists {
            self.page = Page::Lists;
        } else if !self.needle.is_empty() {
            self.needle.clear();
        } else if self.request.filter.take().is_some() {
            return Next::Ask(self.request.clone());
        }
        Next::Continue
    }

    fn type_key(&mut self, key: KeyCode) {
        if let KeyCode::Char(c) = key {
            self.needle.push(c);
        } else if key == KeyCode::Backspace {
            self.needle.pop();
        } else if key == KeyCode::Enter {
            self.is_typing = false;
        } else if key == KeyCode::Esc {
            self.is_typing = false;
            self.needle.clear();
        }
    }
}

const fn after(sort: TopSort) -> TopSort {
    match sort {
        TopSort::Rate => TopSort::Total,
        TopSort::Total => TopSort::Name,
        TopSort::Name => TopSort::Rate,
    }
}
