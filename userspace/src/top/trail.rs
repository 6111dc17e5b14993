//! The last ten minutes, a moment per second, for the sparklines.

use std::collections::VecDeque;

use crate::view::{History, Point};

/// Ten minutes.
const LENGTH: usize = 600;

/// What is drawn of a moment.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Moment {
    /// In seconds since the Unix epoch.
    pub(super) time: f64,
    pub(super) queries: f64,
    pub(super) response_time: Option<f64>,
    pub(super) lag: f64,
}

/// Moments in the order of time.
#[derive(Clone, Debug, Default)]
pub(super) struct Trail {
    moments: VecDeque<Moment>,
}

impl Trail {
    /// What the daemon remembers.
    pub(super) fn of_history(history: &History) -> Self {
        let column = |name: &str| history.series.get(name);
        let (queries, time, lag) = (
            column("queries"),
            column("response_time_p90"),
            column("lag_seconds"),
        );
        let at = |column: Option<&Vec<Option<f64>>>, row: usize| *column?.get(row)?;
        let mut trail = Self::default();
        for (row, &end) in history.time.iter().enumerate() {
            trail.add(Moment {
                time: end,
                queries: at(queries, row).unwrap_or(0.0),
                response_time: at(time, row),
                lag: at(lag, row).unwrap_or(0.0),
            });
        }
        trail
    }

    /// One more point, unless it is known.
    pub(super) fn push(&mut self, point: &Point) {
        self.add(Moment {
            time: point.time,
            queries: point.queries,
            response_time: point.response_time_p90,
            lag: point.lag_seconds,
        });
    }

    fn add(&mut self, moment: Moment) {
        if self
            .moments
            .back()
            .is_some_and(|last| last.time >= moment.time)
        {
            return;
        }
        if self.moments.len() == LENGTH {
            self.moments.pop_front();
        }
        self.moments.push_back(moment);
    }

    /// The ten minutes before `end`, the highest value in each of so many columns;
    /// none where nothing is known. Columns stand still but for whole steps, so that
    /// they do not flicker.
    pub(super) fn columns(
        &self,
        end: f64,
        columns: usize,
        value: impl Fn(&Moment) -> Option<f64>,
    ) -> Vec<Option<f64>> {
        let mut highest = vec![None; columns];
        let step = LENGTH.div_ceil(columns.max(1)).max(1) as f64;
        let last = (end / step).floor();
        for moment in self.moments.iter().filter(|moment| moment.time <= end) {
            let age = last - (moment.time / step).floor();
            let Some(value) = value(moment).filter(|_| age < columns as f64) else {
                continue;
            };
            // At least 0 and less than the number of columns.
            let column = &mut highest[columns - 1 - age as usize];
            *column = column.map_or(Some(value), |before: f64| Some(before.max(value)));
        }
        highest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trail(values: &[(f64, f64)]) -> Trail {
        let mut trail = Trail::default();
        for &(time, queries) in values {
            trail.push(&Point {
                time,
                queries,
                ..Point::default()
            });
        }
        trail
    }

    fn queries(trail: &Trail, end: f64, columns: usize) -> Vec<Option<f64>> {
        trail.columns(end, columns, |moment| Some(moment.queries))
    }

    #[test]
    fn columns_are_steps_of_time_with_their_highest_value() {
        // Of 60 columns, each has ten seconds.
        let trail = trail(&[(1000.0, 1.0), (1005.0, 7.0), (1009.0, 3.0), (1031.0, 5.0)]);
        let columns = queries(&trail, 1031.0, 60);
        assert_eq!(columns[56..], [Some(7.0), None, None, Some(5.0)]);
        assert!(columns[..56].iter().all(Option::is_none));
    }

    #[test]
    fn a_trail_that_stands_still_ends_where_it_was_left() {
        let trail = trail(&[(1000.0, 1.0), (1010.0, 2.0), (1020.0, 3.0)]);
        let columns = queries(&trail, 1010.0, 60);
        assert_eq!(columns[58..], [Some(1.0), Some(2.0)]);
    }

    #[test]
    fn it_forgets_what_is_old_and_passes_over_what_it_knows() {
        let mut long = trail(&[]);
        for second in 0..700 {
            long.push(&Point {
                time: f64::from(second),
                ..Point::default()
            });
        }
        long.push(&Point::default());
        assert_eq!(long.moments.len(), 600);
        assert_eq!(queries(&long, 699.0, 0), []);
    }

    #[test]
    fn a_history_may_lack_columns() {
        let history = History {
            time: vec![1.0, 2.0],
            series: [("queries".to_owned(), vec![Some(4.0)])].into(),
            ..History::default()
        };
        let trail = Trail::of_history(&history);
        let known = trail.moments.iter().map(|moment| moment.queries);
        assert_eq!(known.collect::<Vec<_>>(), [4.0, 0.0]);
    }
}
