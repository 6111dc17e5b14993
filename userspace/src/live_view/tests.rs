//! What is seen by whoever looks, of datasets made by hand.

use std::sync::Arc;

use crate::stats::{
    aggregate::{CellReport, Table},
    builtin,
};

type Cells<'a> = &'a [([&'a str; 2], u64)];

/// Built-in datasets with these cells, and nothing without a cell.
pub(super) fn tables(datasets: &[(&str, Cells<'_>)]) -> Arc<[Table]> {
    let datasets = datasets.iter();
    datasets.map(|(name, cells)| table(name, cells)).collect()
}

fn table(name: &str, cells: Cells<'_>) -> Table {
    let mut reports: Vec<_> = cells
        .iter()
        .map(|([first, second], count)| CellReport {
            values: [Arc::from(*first), Arc::from(*second)],
            count: *count,
        })
        .collect();
    reports.sort_by(|a, b| a.values.cmp(&b.values));
    Table {
        dataset: Arc::new(builtin::named(name).expect(name)),
        total: cells.iter().map(|(_, count)| count).sum(),
        cells: reports,
        other: 0,
        retired: 0,
        uncounted: 0,
        replaced: 0,
        expired: 0,
        overflow: 0,
        error_bound: 0.0,
    }
}

mod lists {
    use super::{super::*, tables};
    use crate::{export::snapshot::Snapshot, live_view::counted::tests::queries, view::Counted};
    use dns_wire::iana::Qtype;

    const ROWS: Rows = Rows {
        by: By::Rate,
        limit: 10,
    };

    /// Ten seconds in which the datasets grew from one to the other.
    fn compared(then: &[(&str, super::Cells<'_>)], now: &[(&str, super::Cells<'_>)]) -> Compared {
        let mut window = Window::default();
        window.push(0.0, tables(then));
        window.push(10.0, tables(now));
        window.compared().expect("reports")
    }

    fn list(compared: &Compared, of: Indexer, filter: Option<&str>, rows: Rows) -> Top {
        list_for(compared, of, filter, rows, Audience::Local)
    }

    fn list_for(
        compared: &Compared,
        of: Indexer,
        filter: Option<&str>,
        rows: Rows,
        audience: Audience,
    ) -> Top {
        let mut history = History::default();
        let growth = queries(Qtype::AAAA, 20);
        history.push(Sample::new(1.0, 1.0, &growth, State::default()));
        let counted = queries(Qtype::AAAA, 500);
        let latest = Latest {
            at: Instant::now(),
            time: 1.0,
            snapshot: Snapshot::default(),
            counted,
        };
        let filter = filter.and_then(|filter| filter.split_once(':'));
        let wanted = Wanted {
            top: vec![of],
            filter: filter.map(|(dimension, value)| Wants {
                dimension: dimension.to_owned(),
                value: value.to_owned(),
            }),
            rows,
        };
        let disclosed = Disclosed::new(audience, ClientsShown::Address);
        let lately = history.sum(10);
        let mut tops = tops(&latest, &lately, Some(compared), &wanted, disclosed);
        tops.pop().expect("a list")
    }

    fn rows(top: &Top) -> Vec<(&str, u64, Option<f64>)> {
        let rows = top.rows.iter();
        rows.map(|row| (&*row.value, row.amount.total, row.amount.rate))
            .collect()
    }

    #[test]
    fn types_of_everything_are_the_kernels() {
        let compared = compared(&[], &[]);
        let top = list(&compared, Indexer::Qtype, None, ROWS);
        assert_eq!(rows(&top), [("AAAA", 500, Some(20.0))]);
        assert_eq!(top.dataset, None);
        assert_eq!(top.metric.as_deref(), Some("xdsc_dns_qtype_messages_total"));
        // Filtered by a type, types are shown all the same: one is to choose another.
        let same = list(&compared, Indexer::Qtype, Some("qtype:A"), ROWS);
        assert_eq!(same, top);
    }

    #[test]
    fn rows_are_ordered_by_rate_or_by_total() {
        let then: super::Cells<'_> = &[(["ALL", "com"], 900), (["ALL", "org"], 10)];
        let now: super::Cells<'_> = &[(["ALL", "com"], 910), (["ALL", "org"], 110)];
        let compared = compared(&[("tld", then)], &[("tld", now)]);
        let (com, org) = (("com", 910, Some(1.0)), ("org", 110, Some(10.0)));
        let by_rate = list(&compared, Indexer::Tld, None, ROWS);
        assert_eq!(rows(&by_rate), [org, com]);
        assert_eq!(by_rate.sum.total, 1020);
        assert_eq!(by_rate.counts, Counted::Queries);
        let by_total = Rows {
            by: By::Total,
            limit: 1,
        };
        let by_total = list(&compared, Indexer::Tld, None, by_total);
        assert_eq!(rows(&by_total), [com]);
        assert_eq!(by_total.other, None, "what is cut off is not other");
    }

    #[test]
    fn a_filter_takes_the_dataset_that_crosses_it() {
        let cells: super::Cells<'_> = &[
            (["A", "com"], 70),
            (["AAAA", "com"], 30),
            (["A", "org"], 5),
            (["A", "other"], 3),
        ];
        let flat: super::Cells<'_> = &[(["ALL", "com"], 200)];
        let now = [("tld", flat), ("qtype_vs_tld", cells)];
        let compared = compared(&now, &now);
        let top = list(&compared, Indexer::Tld, Some("qtype:A"), ROWS);
        assert_eq!(top.dataset.as_deref(), Some("qtype_vs_tld"));
        let expected = [("com", 70, Some(0.0)), ("org", 5, Some(0.0))];
        assert_eq!(rows(&top), expected);
        assert_eq!(top.other.map(|other| other.total), Some(3));
        assert_eq!(top.sum.total, 78);
        assert!(top.note.contains("AAAA"), "it is not of all types: {top:?}");
        let top = list(&compared, Indexer::Qtype, Some("tld:com"), ROWS);
        assert_eq!(top.sum.total, 100);
        let top = list(&compared, Indexer::Tld, None, ROWS);
        assert_eq!(top.dataset.as_deref(), Some("tld"));
    }

    #[test]
    fn names_below_a_name_need_no_dataset_of_their_own() {
        let cells: super::Cells<'_> = &[
            (["ALL", "www.example.com"], 7),
            (["ALL", "example.com"], 2),
            (["ALL", "www.example.org"], 9),
            (["ALL", "other"], 1),
        ];
        let compared = compared(&[], &[("qname", cells)]);
        let top = list(&compared, Indexer::Qname, Some("tld:com"), ROWS);
        assert_eq!(rows(&top).len(), 2);
        assert_eq!((top.sum.total, top.other), (9, None));
        assert!(top.note.contains("frequent enough"), "{top:?}");
        let none = list(&compared, Indexer::Qname, Some("tld:none"), ROWS);
        assert!(!none.available);
    }

    #[test]
    fn where_no_dataset_crosses_it_is_said_how_to_have_one() {
        let compared = compared(&[], &[("tld", &[])]);
        let top = list(&compared, Indexer::Tld, Some("rcode:NXDOMAIN"), ROWS);
        assert!(!top.available);
        assert_eq!(
            top.note,
            "No dataset crosses `tld` with `rcode`; for one, add a [[dataset]] with dimensions = \
             [\"rcode\", \"tld\"] and filters = [\"replies-only\", \"server-only\"]."
        );
        let top = list(&compared, Indexer::Country, None, ROWS);
        assert!(!top.available && top.note.contains("[geoip]"), "{top:?}");
    }

    #[test]
    fn datasets_of_some_messages_are_not_taken_for_all() {
        let some: super::Cells<'_> = &[(["A", "a.example"], 1)];
        let compared = compared(
            &[],
            &[("chaos_types_and_names", some), ("servfail_qname", &[])],
        );
        assert!(!list(&compared, Indexer::Qname, None, ROWS).available);
    }

    #[test]
    fn others_see_clients_by_shorter_prefixes_and_filter_by_these() {
        let cells: super::Cells<'_> = &[
            (["NOERROR", "192.0.2.0/28"], 10),
            (["NOERROR", "192.0.2.16/28"], 20),
            (["NOERROR", "198.51.100.0/28"], 5),
        ];
        let compared = compared(&[], &[("client_addr_vs_rcode", cells)]);
        let shown = |filter, audience, of| {
            let top = list_for(&compared, of, filter, ROWS, audience);
            let rows = top.rows.into_iter();
            rows.map(|row| (row.value, row.amount.total))
                .collect::<Vec<_>>()
        };
        let clients = Indexer::ClientSubnet;
        let remote = shown(None, Audience::Remote, clients);
        let expected = [("192.0.2.0/24", 30), ("198.51.100.0/24", 5)];
        assert_eq!(remote, expected.map(|(value, n)| (value.to_owned(), n)));
        assert_eq!(shown(None, Audience::Local, clients).len(), 3);
        let longer = Some("client_subnet:192.0.2.16/28");
        assert_eq!(shown(longer, Audience::Remote, Indexer::Rcode), []);
        assert_eq!(shown(longer, Audience::Local, Indexer::Rcode).len(), 1);
    }

    #[test]
    fn a_dataset_is_shown_with_all_that_is_missing() {
        let cells: super::Cells<'_> =
            &[(["A", "com"], 70), (["AAAA", "com"], 30), (["A", "org"], 5)];
        let now = [("qtype_vs_tld", cells)];
        let compared = compared(&now, &now);
        let grown = compared.tables().next().expect("a dataset");
        let disclosed = Disclosed::new(Audience::Local, ClientsShown::Prefix);
        let wants = |dimension: &str, value: &str| Wants {
            dimension: dimension.to_owned(),
            value: value.to_owned(),
        };
        let rows = Rows {
            by: By::Total,
            limit: 1,
        };
        let all = top::dataset(grown, &[], rows, disclosed).expect("no filter");
        assert_eq!((all.rows.len(), all.more, all.sum.total), (1, 2, 105));
        assert_eq!(all.rows[0].values, ["A", "com"]);
        assert_eq!(all.metric, "xdsc_dataset_qtype_vs_tld_messages_total");
        let filters = [wants("qtype", "A"), wants("tld", "org")];
        let one = top::dataset(grown, &filters, rows, disclosed).expect("both are there");
        assert_eq!((one.rows[0].amount.total, one.sum.total), (5, 5));
        let filters = [wants("rcode", "NOERROR")];
        let error = top::dataset(grown, &filters, rows, disclosed);
        assert_eq!(error, Err("rcode"));
    }
}

mod looking {
    use std::sync::atomic::AtomicUsize;

    use super::super::*;

    /// Counts how often it was looked at, and how closely.
    #[derive(Default)]
    struct Example {
        looks: AtomicUsize,
        close: AtomicUsize,
    }

    impl Source for Example {
        fn look(&self, detail: Detail) -> Option<Snapshot> {
            self.looks.fetch_add(1, Ordering::SeqCst);
            let mut snapshot = Snapshot::example();
            match detail {
                Detail::Counters => snapshot.statistics = None,
                Detail::Datasets => drop(self.close.fetch_add(1, Ordering::SeqCst)),
            }
            Some(snapshot)
        }
    }

    fn start(source: &Arc<Example>) -> Looking {
        let facts = Facts {
            telemetry_path: "/metrics".to_owned(),
            clients: ClientsShown::Prefix,
        };
        LiveView::start(Arc::clone(source) as _, facts).expect("a thread")
    }

    fn wanted() -> Wanted {
        Wanted {
            top: vec![Indexer::Tld],
            filter: None,
            rows: Rows {
                by: By::Rate,
                limit: 10,
            },
        }
    }

    #[tokio::test]
    async fn datasets_are_looked_at_only_while_somebody_looks() {
        let source = Arc::new(Example::default());
        let looking = start(&source);
        let view = looking.view().clone();
        tokio::time::sleep(Duration::from_millis(1500)).await;
        assert!(source.looks.load(Ordering::SeqCst) >= 1);
        assert_eq!(source.close.load(Ordering::SeqCst), 0);
        view.rates().await;
        assert!(source.close.load(Ordering::SeqCst) >= 1);
        let top = view.view(&wanted(), Audience::Local).expect("a view").top;
        assert!(top[0].available, "{top:?}");
        let datasets = view.datasets().expect("datasets");
        assert!(datasets.iter().any(|dataset| dataset.name == "tld"));
        looking.stop();
        let refused = view.watch(wanted(), Audience::Local);
        assert!(refused.is_err(), "it has ended");
    }

    #[tokio::test]
    async fn places_are_bounded_and_given_back() {
        let looking = start(&Arc::default());
        let view = looking.view();
        let watch = || view.watch(wanted(), Audience::Local);
        let mut watching: Vec<_> = (0..MAX_VIEWERS).map(|_| watch()).collect();
        assert!(watching.iter().all(Result::is_ok));
        assert_eq!(watch().err(), Some(TooMany));
        let viewers = view.viewers();
        assert_eq!((viewers.now, viewers.refused), (64, 1));
        drop(watching.pop());
        assert!(watch().is_ok());
        looking.stop();
    }

    #[tokio::test]
    async fn all_who_want_the_same_get_the_same_octets() {
        let looking = start(&Arc::default());
        let view = looking.view();
        tokio::time::sleep(Duration::from_millis(200)).await;
        let mut events = Vec::new();
        for _ in 0..2 {
            let subscription = view.watch(wanted(), Audience::Local).expect("a place");
            let (pipe, mut out) = tokio::sync::mpsc::channel(1);
            tokio::spawn(subscription.into_pipe(pipe));
            assert_eq!(
                out.recv().await.expect("how to come back"),
                "retry: 2000\n\n"
            );
            events.push(out.recv().await.expect("an event"));
        }
        let text = String::from_utf8(events[0].to_vec()).expect("text");
        assert!(
            text.starts_with("event: view\ndata: {\"summary\":"),
            "{text}"
        );
        assert!(
            text.ends_with("}\n\n") && text.lines().count() == 3,
            "{text}"
        );
        assert_eq!(events[0].as_ptr(), events[1].as_ptr(), "written once");
        looking.stop();
    }

    #[tokio::test(start_paused = true)]
    async fn who_takes_nothing_is_let_go() {
        let looking = start(&Arc::default());
        let view = looking.view();
        let subscription = view.watch(wanted(), Audience::Local).expect("a place");
        let (pipe, _untouched) = tokio::sync::mpsc::channel(1);
        subscription.into_pipe(pipe).await;
        assert_eq!(view.viewers().dropped, 1);
        assert_eq!(view.viewers().now, 0);
        looking.stop();
    }
}
