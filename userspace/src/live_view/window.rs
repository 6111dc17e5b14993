//! The datasets of the last seconds, to tell rates by.
//!
//! A dataset only counts up. What it counts per second is found by comparing its
//! newest report with one of some seconds ago; reports are taken while somebody
//! looks and forgotten after.

use std::{collections::VecDeque, sync::Arc};

use crate::{stats::aggregate::Table, view::Amount};

use super::history::rounded;

/// Rates are over about so many seconds.
pub(super) const WINDOW_SECONDS: f64 = 10.0;

/// Reports of the last seconds, the oldest first.
#[derive(Debug, Default)]
pub(super) struct Window(VecDeque<(f64, Arc<[Table]>)>);

/// The newest report and one to compare it with.
#[derive(Clone, Debug, Default)]
pub(super) struct Compared {
    now: Option<Arc<[Table]>>,
    then: Option<Arc<[Table]>>,
    /// Between them.
    pub(super) seconds: f64,
}

/// A dataset at both moments.
#[derive(Clone, Copy, Debug)]
pub(super) struct Grown<'a> {
    pub(super) table: &'a Table,
    then: Option<&'a Table>,
    seconds: f64,
}

/// What was counted, now and then. Adds up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Count {
    pub(super) now: u64,
    pub(super) then: u64,
}

impl Window {
    /// Adds a report taken at a time of a clock that only goes forward.
    pub(super) fn push(&mut self, seconds: f64, report: Arc<[Table]>) {
        self.0.push_back((seconds, report));
        // The oldest one stays as long as the next one is not old enough.
        while let Some((second, _)) = self.0.get(1)
            && seconds - second >= WINDOW_SECONDS
        {
            self.0.pop_front();
        }
    }

    /// Nobody looks any more.
    pub(super) fn clear(&mut self) {
        self.0 = VecDeque::new();
    }

    /// Whether there is something to compare with.
    pub(super) fn has_rates(&self) -> bool {
        self.0.len() > 1
    }

    pub(super) fn compared(&self) -> Option<Compared> {
        let (now_s, now) = self.0.back()?;
        let (then_s, then) = self.0.front()?;
        Some(Compared {
            now: Some(Arc::clone(now)),
            then: self.has_rates().then(|| Arc::clone(then)),
            seconds: now_s - then_s,
        })
    }
}

impl Compared {
    /// Whether there is a report to compare at all.
    pub(super) const fn is_known(&self) -> bool {
        self.now.is_some()
    }

    pub(super) fn tables(&self) -> impl Iterator<Item = Grown<'_>> {
        let now = self.now.iter().flat_map(|now| now.iter());
        now.enumerate().map(|(index, table)| {
            let then = self.then.as_ref();
            Grown {
                table,
                then: then.and_then(|then| then.get(index)),
                seconds: self.seconds,
            }
        })
    }
}

impl<'a> Grown<'a> {
    /// The cells, without those of no value of their own.
    pub(super) fn cells(self) -> impl Iterator<Item = ([&'a str; 2], Count)> {
        let then = self.then.map_or(&[][..], |then| &then.cells);
        self.table.cells.iter().map(move |cell| {
            // Reports are in the order of their values.
            let before = then.binary_search_by(|then| then.values.cmp(&cell.values));
            let before = before.ok().and_then(|at| then.get(at));
            let [first, second] = &cell.values;
            let count = Count {
                now: cell.count,
                then: before.map_or(0, |before| before.count),
            };
            ([&**first, &**second], count)
        })
    }

    /// What values without a cell have.
    pub(super) fn other(&self) -> Count {
        self.count(|table| table.other)
    }

    /// Everything.
    pub(super) fn sum(&self) -> Count {
        self.count(|table| table.total)
    }

    fn count(&self, of: fn(&Table) -> u64) -> Count {
        Count {
            now: of(self.table),
            then: self.then.map_or(0, of),
        }
    }

    /// Rates are over so many seconds.
    pub(super) const fn seconds(&self) -> f64 {
        self.seconds
    }

    /// As it is told.
    pub(super) fn amount(&self, count: Count) -> Amount {
        Amount {
            total: count.now,
            rate: self.then.map(|_| {
                let grown = count.now.saturating_sub(count.then);
                rounded(grown as f64 / self.seconds.max(f64::MIN_POSITIVE))
            }),
        }
    }
}

impl std::ops::AddAssign for Count {
    fn add_assign(&mut self, other: Self) {
        self.now += other.now;
        self.then += other.then;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::live_view::tests::tables;

    fn rate(window: &Window) -> Option<f64> {
        let compared = window.compared().expect("a report");
        let grown = compared.tables().next().expect("a dataset");
        let (_, count) = grown.cells().next().expect("a cell");
        grown.amount(count).rate
    }

    #[test]
    fn a_rate_needs_two_reports() {
        let mut window = Window::default();
        assert!(window.compared().is_none());
        window.push(100.0, tables(&[("tld", &[(["ALL", "com"], 500)])]));
        assert_eq!(rate(&window), None);
        window.push(102.0, tables(&[("tld", &[(["ALL", "com"], 600)])]));
        assert_eq!(rate(&window), Some(50.0));
        window.clear();
        assert!(!window.has_rates());
    }

    #[test]
    fn reports_go_when_the_next_is_old_enough() {
        let mut window = Window::default();
        for second in 0..60_u32 {
            // One per second first, ten per second then.
            let count = u64::from(second.min(30) + second.saturating_sub(30) * 10);
            window.push(
                second.into(),
                tables(&[("tld", &[(["ALL", "com"], count)])]),
            );
        }
        assert_eq!(window.0.len(), 11, "ten seconds");
        assert_eq!(rate(&window), Some(10.0), "what was before does not count");
    }

    #[test]
    fn a_value_that_is_new_has_grown_from_nothing() {
        let mut window = Window::default();
        window.push(0.0, tables(&[("tld", &[(["ALL", "org"], 7)])]));
        let cells = &[(["ALL", "com"], 20), (["ALL", "org"], 7)];
        window.push(10.0, tables(&[("tld", cells)]));
        let compared = window.compared().expect("reports");
        let grown = compared.tables().next().expect("a dataset");
        let rates = grown.cells().map(|(_, count)| grown.amount(count).rate);
        assert_eq!(rates.collect::<Vec<_>>(), [Some(2.0), Some(0.0)]);
    }
}
