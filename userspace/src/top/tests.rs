//! What is on the screen at two sizes, what keys do to it, and what a server that
//! is none of ours can do.

use std::{
    io::{Read as _, Write as _},
    net::TcpListener,
    process::ExitCode,
    thread,
};

use clap::Parser as _;
use ratatui::{
    Terminal,
    backend::TestBackend,
    crossterm::event::{KeyCode, KeyEvent, KeyModifiers},
    style::{Color, Modifier},
};
use serde_json::json;

use super::{
    app::{App, BINDINGS, Next, PANES, Page},
    feed::{News, Request},
    run,
    screen::{self, Theme},
};
use crate::{
    cli::{Cli, Command, TopArgs, TopSort},
    view::View,
};

/// A view as the API writes it, in the words of its documentation.
fn view() -> View {
    let row =
        |value: &str, total: u64, rate: f64| json!({"value": value, "total": total, "rate": rate});
    let top = |of: &str, counts: &str, rows: Vec<serde_json::Value>, rate: f64| {
        json!({
            "of": of, "counts": counts, "available": true, "window_seconds": 10.0, "rows": rows,
            "sum": {"total": 100_000, "rate": rate},
        })
    };
    let view = json!({
        "summary": {
            "time": 1_750_000_000.0,
            "instance": {
                "node": "ns1", "site": "ams", "uptime_seconds": 7384,
                "attachments": [{"interface": "eth0", "hook": "ingress", "mode": "xdp_native"}],
            },
            "now": {
                "time": 1_750_000_000.0, "queries": 12_345.0, "responses": 12_000.0,
                "query_bytes": 1e6, "tcp_queries": 1234.5, "ipv6_queries": 6172.5,
                "unanswered": 2.0, "truncated": 120.0, "packets": 25_000.0, "rejected": 25.0,
                "lost": 0.0, "sampling_interval": 1.0, "lag_seconds": 0.0021,
                "response_time_p50": 0.000_042, "response_time_p90": 0.000_5,
                "response_time_p99": 0.02,
                "rcode": {"NOERROR": 9000.0, "NXDOMAIN": 3000.0, "SERVFAIL": 0.0},
            },
            "accounts": [{
                "hook": "ingress", "packets": 7, "dns": 3, "segments": 1, "not_dns": 1,
                "rejected": 1, "fragments": 1, "records": {"delivered": 4, "ring_full": 0},
            }],
            "rings": [{"hook": "ingress", "cpu": 1, "fill_ratio": 0.25, "sampling_interval": 4,
                "lag_seconds": 0.001, "max_lag_seconds": 0.004, "backlog": 3, "dropped": 9}],
            "stages": [{"stage": "drain", "lag_seconds": 0.0, "max_lag_seconds": 0.25, "backlog": 5}],
        },
        "top": [
            top("qtype", "queries", vec![row("A", 60_000, 7407.0), row("AAAA", 40_000, 4938.0)], 12_345.0),
            top("rcode", "responses", vec![row("NOERROR", 75_000, 9000.0), row("NXDOMAIN", 25_000, 3000.0)], 12_000.0),
            json!({"of": "country", "note": "name a database under [geoip]"}),
            top("tld", "queries", vec![row("org", 50_000, 10.0), row("com", 1000, 6172.5)], 12_345.0),
            top("qname", "queries", vec![row("www.example.com", 9, 12.0)], 12_345.0),
            top("client_subnet", "queries", vec![row("2001:db8:1234::/48", 9, 0.5)], 12_345.0),
        ],
    });
    serde_json::from_value(view).expect("a view")
}

fn app() -> App {
    let request = Request {
        filter: None,
        sort: TopSort::Rate,
    };
    let mut app = App::new("http://127.0.0.1:9953".to_owned(), request);
    app.learn(News::View(Box::new(view())));
    app
}

fn drawn(app: &App, width: u16, height: u16, theme: Theme) -> TestBackend {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("a terminal");
    let frame = terminal.draw(|frame| screen::draw(frame, app, theme));
    frame.expect("a frame");
    terminal.backend().clone()
}

fn lines_of(backend: &TestBackend) -> Vec<String> {
    let buffer = backend.buffer();
    let width = buffer.area.width.into();
    let rows = buffer.content.chunks(width);
    let rows = rows.map(|row| row.iter().map(|cell| cell.symbol()).collect::<String>());
    rows.map(|row| row.trim_end().to_owned()).collect()
}

fn lines(app: &App, width: u16, height: u16) -> Vec<String> {
    lines_of(&drawn(app, width, height, Theme::new(false)))
}

fn press(app: &mut App, keys: &[KeyCode]) -> Next {
    let mut next = Next::Continue;
    for key in keys {
        next = app.press(KeyEvent::new(*key, KeyModifiers::NONE));
    }
    next
}

fn text(keys: &str) -> Vec<KeyCode> {
    keys.chars().map(KeyCode::Char).collect()
}

/// The lines from this one on, as they are expected.
fn assert_lines(lines: &[String], from: usize, expected: &[&str]) {
    assert_eq!(&lines[from..from + expected.len()], expected, "{lines:#?}");
}

#[test]
fn a_small_terminal_has_room_for_everything() {
    let lines = lines(&app(), 80, 24);
    assert_lines(
        &lines,
        0,
        &[
            " ns1  http://127.0.0.1:9953 · site ams · eth0 xdp_native · up 2 h 3 min",
            " all is well",
            " queries      12.3 k/s  TCP 10.0 %  IPv6 50.0 %  8.00 Mbit/s  peak 12.3 k/s",
            " responses    12.0 k/s  NOERROR 75.0 %  NXDOMAIN 25.0 %                        █",
            " unanswered    2.00 /s  truncated 1.0 %  unreadable 0.1 %                      █",
            " answered      42.0 µs  median  90 % 500 µs  99 % 20.0 ms     90 %             █",
            " lost             0 /s  not sampled  behind 2.10 ms           lag              █",
            " types ─────────────   response codes ──────────   countries ───────────────────",
            "A           7.41 k/s  NOERROR           9.00 k/s  name a database under [geoip]",
            "AAAA        4.94 k/s  NXDOMAIN          3.00 k/s",
        ],
    );
    assert_lines(
        &lines,
        15,
        &[
            " TLDs ──────────────   names ───────────────────   clients ─────────────────────",
            "org          10.0 /s  www.example.com    12.0 /s  2001:db8:1234::/48     0.50 /s",
        ],
    );
    let keys = " q quit  ? help  s sort: rate  / find  Enter filter  p pause  z zoom  l losses";
    assert_eq!(lines[23], keys);
}

#[test]
fn a_large_terminal_tells_shares_and_what_is_counted() {
    let lines = lines(&app(), 200, 50);
    assert!(lines[7].starts_with(" types, queries ───"), "{lines:#?}");
    assert!(
        lines[7].contains(" response codes, responses ───"),
        "{lines:#?}"
    );
    assert!(lines[8].contains("7.41 k/s  60.0 %"), "{lines:#?}");
    assert!(lines[8].contains("9.00 k/s  75.0 %"), "{lines:#?}");
    assert!(lines[28].starts_with(" TLDs, queries ───"), "{lines:#?}");
    assert!(lines[29].contains("2001:db8:1234::/48"), "{lines:#?}");
}

#[test]
fn no_size_is_too_small() {
    let mut app = app();
    for page in [Page::Lists, Page::Zoomed, Page::Health, Page::Help] {
        app.page = page;
        for (width, height) in [(0, 0), (1, 1), (3, 7), (20, 8), (79, 23), (500, 3)] {
            drawn(&app, width, height, Theme::new(true));
        }
    }
}

#[test]
fn losses_and_lag_have_a_page() {
    let mut app = app();
    press(&mut app, &text("l"));
    assert_lines(
        &lines(&app, 80, 24),
        8,
        &[
            "                ingress             stage          behind  in 1 min  waiting",
            "packets               7             drain            0 ms    250 ms        5",
            "dns                   3             ring            full  kept  in 1 min    lost",
            "segments              1             ingress  1      25 %  1/4    4.00 ms       9",
            "not dns               1",
            "unreadable            1",
            "fragments             1",
            "delivered             4",
            "ring_full             0",
            "",
            "all is well",
        ],
    );
}

#[test]
fn what_is_wrong_stands_at_the_top_and_its_cure_on_the_page() {
    let mut app = app();
    let finding = |severity: &str, message: &str| {
        let finding = json!({
            "severity": severity, "code": "lagging", "message": message, "cure": "Do this.",
        });
        serde_json::from_value(finding).expect("a finding")
    };
    app.view.summary.findings = vec![
        finding("critical", "The drain is 3 s behind."),
        finding("notice", "Something else."),
    ];
    let backend = drawn(&app, 80, 24, Theme::new(true));
    assert_eq!(
        lines_of(&backend)[1],
        " The drain is 3 s behind.  (and 1 more: l)"
    );
    assert_eq!(backend.buffer()[(1, 1)].fg, Color::Red);
    press(&mut app, &text("l"));
    let lines = lines(&app, 80, 24);
    for line in [
        "The drain is 3 s behind.  Do this.",
        "Something else.  Do this.",
    ] {
        assert!(lines.iter().any(|it| it == line), "{line}: {lines:#?}");
    }
}

#[test]
fn without_colours_nothing_is_coloured() {
    let app = app();
    let coloured = |theme| {
        let backend = drawn(&app, 80, 24, theme);
        backend
            .buffer()
            .content
            .iter()
            .any(|cell| cell.fg != Color::Reset || cell.bg != Color::Reset)
    };
    assert!(coloured(Theme::new(true)));
    assert!(!coloured(Theme::new(false)));
}

#[test]
fn every_key_is_explained() {
    let mut app = app();
    press(&mut app, &text("?"));
    let lines = lines(&app, 80, 24);
    for binding in BINDINGS {
        let line = lines[8..]
            .iter()
            .find(|line| line.trim_start().starts_with(binding.shown));
        assert!(
            line.is_some_and(|line| line.contains(binding.does)),
            "{binding:?}: {lines:#?}"
        );
    }
    press(&mut app, &[KeyCode::Esc]);
    assert_eq!(app.page, Page::Lists);
}

#[test]
fn keys_end_it() {
    for (key, modifiers, next) in [
        (KeyCode::Char('q'), KeyModifiers::NONE, Next::Quit),
        (KeyCode::Char('c'), KeyModifiers::CONTROL, Next::Quit),
        (KeyCode::Char('c'), KeyModifiers::NONE, Next::Continue),
        (KeyCode::Char('q'), KeyModifiers::CONTROL, Next::Continue),
    ] {
        assert_eq!(
            app().press(KeyEvent::new(key, modifiers)),
            next,
            "{key:?} {modifiers:?}"
        );
    }
}

#[test]
fn lists_are_sorted_by_rate_by_total_and_by_name() {
    let mut app = app();
    let tld = PANES
        .iter()
        .position(|pane| pane.of == "tld")
        .expect("a pane");
    let asked = |sort| Next::Ask(Request { filter: None, sort });
    assert_eq!(press(&mut app, &text("s")), asked(TopSort::Total));
    let total = lines(&app, 80, 24);
    assert!(total[16].starts_with("org           50.0 k"), "{total:#?}");
    assert_eq!(press(&mut app, &text("s")), asked(TopSort::Name));
    let names: Vec<_> = app.rows(tld).iter().map(|row| row.value.clone()).collect();
    assert_eq!(names, ["com", "org"]);
    assert_eq!(press(&mut app, &text("s")), asked(TopSort::Rate));
}

#[test]
fn a_value_is_chosen_and_filtered_by() {
    let mut app = app();
    assert_eq!(
        press(&mut app, &[KeyCode::Enter]),
        Next::Continue,
        "nothing is chosen"
    );
    press(
        &mut app,
        &[KeyCode::Tab, KeyCode::Down, KeyCode::Down, KeyCode::Down],
    );
    let backend = drawn(&app, 80, 24, Theme::new(false));
    let chosen = &backend.buffer()[(22, 9)];
    assert_eq!(
        (chosen.symbol(), chosen.modifier),
        ("N", Modifier::REVERSED)
    );
    let asked = Next::Ask(Request {
        filter: Some("rcode:NXDOMAIN".to_owned()),
        sort: TopSort::Rate,
    });
    assert_eq!(press(&mut app, &[KeyCode::Enter]), asked);
    let foot = lines(&app, 80, 24)[23].clone();
    assert!(foot.starts_with(" only rcode:NXDOMAIN "), "{foot}");
    // The choice goes with the value, and not with the row.
    app.view.top[1].rows.swap(0, 1);
    assert_eq!(app.choice(1), Some(0));
    press(&mut app, &[KeyCode::Up]);
    assert_eq!(app.choice(1), Some(0));
    assert!(matches!(
        press(&mut app, &[KeyCode::Esc]),
        Next::Ask(Request { filter: None, .. })
    ));
}

#[test]
fn a_text_narrows_the_lists() {
    let mut app = app();
    press(&mut app, &text("/ORq"));
    assert!(app.is_typing, "keys are letters now");
    press(&mut app, &[KeyCode::Backspace]);
    assert!(lines(&app, 80, 24)[23].starts_with(" find: OR▏"));
    press(&mut app, &[KeyCode::Enter]);
    let shown = lines(&app, 80, 24);
    assert!(shown[16].starts_with("org "), "{shown:#?}");
    assert!(shown[8].starts_with("nothing here has"), "{shown:#?}");
    assert!(shown[23].starts_with(" with \"OR\" "), "{shown:#?}");
    press(&mut app, &[KeyCode::Esc]);
    assert_eq!(lines(&app, 80, 24)[8].split_whitespace().next(), Some("A"));
}

#[test]
fn a_pause_keeps_what_is_shown() {
    let mut app = app();
    let newer = || {
        let mut view = view();
        view.summary.time += 1.0;
        view.summary.instance.node = "ns2".to_owned();
        News::View(Box::new(view))
    };
    press(&mut app, &text("p"));
    app.learn(newer());
    let shown = lines(&app, 80, 24);
    assert!(
        shown[0].starts_with(" ns1 ") && shown[23].starts_with(" PAUSED "),
        "{shown:#?}"
    );
    press(&mut app, &text("p"));
    app.learn(newer());
    assert!(lines(&app, 80, 24)[0].starts_with(" ns2 "));
}

#[test]
fn trouble_is_told_until_it_is_over() {
    let mut app = app();
    app.learn(News::Trouble("cannot reach \x1b[2Jit".to_owned()));
    let shown = lines(&app, 80, 24);
    assert_eq!(shown[1], " STALE: cannot reach \\u{1b}[2Jit");
    assert!(shown[2].contains("12.3 k/s"), "the last numbers stay");
    app.learn(News::View(Box::new(view())));
    assert_eq!(lines(&app, 80, 24)[1], " all is well");
}

#[test]
fn values_from_elsewhere_stay_in_their_place() {
    let hostile =
        "\x1b]0;x\x07\u{9b}2J\u{202e}\n\u{200b}日本語日本語日本語日本語日本語日本語".to_owned();
    let mut app = app();
    for top in &mut app.view.top {
        top.note.clone_from(&hostile);
        for row in &mut top.rows {
            row.value.clone_from(&hostile);
        }
    }
    let summary = &mut app.view.summary;
    summary.instance.node.clone_from(&hostile);
    summary.instance.site.clone_from(&hostile);
    summary.instance.attachments[0]
        .interface
        .clone_from(&hostile);
    summary.stages[0].stage.clone_from(&hostile);
    summary.rings[0].hook.clone_from(&hostile);
    summary.accounts[0].records.insert(hostile.clone(), 1);
    summary.accounts[0].hook.clone_from(&hostile);
    app.needle.clone_from(&hostile);
    app.request.filter = Some(hostile);
    for page in [Page::Lists, Page::Zoomed, Page::Health, Page::Help] {
        app.page = page;
        let backend = drawn(&app, 80, 24, Theme::new(true));
        for cell in &backend.buffer().content {
            let symbol = cell.symbol();
            let is_harmless = |c: char| !c.is_control() && !['\u{200b}', '\u{202e}'].contains(&c);
            assert!(symbol.chars().all(is_harmless), "{page:?}: {symbol:?}");
        }
    }
    app.page = Page::Lists;
    app.needle.clear();
    // The numbers of a row stand where they do beside other values.
    assert!(
        lines(&app, 80, 24)[8].contains("…  7.41 k/s"),
        "{:#?}",
        lines(&app, 80, 24)
    );
}

fn args(args: &[&str]) -> TopArgs {
    let cli = Cli::try_parse_from([&["xdsc", "top"], args].concat()).expect("arguments");
    let Command::Top(args) = cli.command else {
        panic!("{cli:?}");
    };
    args
}

/// What it prints and complains of beside a server that gives this answer.
fn top_beside(answer: &[u8], arguments: &[&str]) -> (String, String, ExitCode) {
    let server = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", server.local_addr().expect("an address"));
    let answer = answer.to_vec();
    let serving = thread::spawn(move || {
        let (mut connection, _) = server.accept().expect("a connection");
        let mut request = [0; 4096];
        let read = connection.read(&mut request).expect("a request");
        // It may have seen enough.
        let _ = connection.write_all(&answer);
        String::from_utf8_lossy(&request[..read]).into_owned()
    });
    let (mut out, mut complaints) = (Vec::new(), Vec::new());
    let all = [&["--url", &url], arguments].concat();
    let status = run(&args(&all), &mut out, &mut complaints).expect("memory");
    let request = serving.join().expect("a request");
    assert!(
        request.starts_with("GET /api/v1/events?top=qtype"),
        "{request}"
    );
    let text = |octets| String::from_utf8(octets).expect("UTF-8");
    (text(out), text(complaints), status)
}

fn events(data: &[&str]) -> Vec<u8> {
    let events = data
        .iter()
        .map(|data| format!("event: view\ndata: {data}\n\n"));
    let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\nretry: 2000\n\n: wait\n";
    format!("{head}{}", events.collect::<String>()).into_bytes()
}

#[test]
fn lines_say_the_same() {
    let view = serde_json::to_string(&view()).expect("JSON");
    let (out, complaints, status) = top_beside(&events(&[&view]), &["--format=text", "--count=1"]);
    assert_eq!((complaints.as_str(), status), ("", ExitCode::SUCCESS));
    assert_eq!(
        out.lines().collect::<Vec<_>>(),
        [
            "2025-06-15T15:06:40Z ns1  queries 12.3 k/s  responses 12.0 k/s  unanswered 2.00 /s  median 42.0 µs  lost 0 /s  sampled out 0 /s  behind 2.10 ms",
            "  qtype         A 60.0 %  AAAA 40.0 %",
            "  rcode         NOERROR 75.0 %  NXDOMAIN 25.0 %",
            "  country       name a database under [geoip]",
            "  tld           org 0.1 %  com 50.0 %",
            "  qname         www.example.com 0.1 %",
            "  client_subnet 2001:db8:1234::/48 0.0 %",
        ]
    );
}

#[test]
fn lines_begin_when_there_are_rates() {
    let complete = serde_json::to_string(&view()).expect("JSON");
    let early = complete.replace("\"window_seconds\":10.0", "\"window_seconds\":0.0");
    assert_ne!(early, complete);
    let lines = |data: &[&str], count: &str| {
        let (out, _, status) = top_beside(&events(data), &["--format=json", count]);
        assert_eq!(status, ExitCode::SUCCESS);
        out.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(
        lines(&[&early, &complete], "--count=1"),
        [complete.as_str()]
    );
    // There may be none to come.
    assert_eq!(
        lines(&[early.as_str(); 5], "--count=2"),
        [early.as_str(); 2]
    );
}

#[test]
fn programs_get_events_as_they_are() {
    let newer = r#"{"summary":{"time":1.0},"top":[],"more":{"than":"we know"}}"#;
    let (out, _, status) = top_beside(&events(&[newer]), &["--format=json", "--count=1"]);
    assert_eq!((out.trim_end(), status), (newer, ExitCode::SUCCESS));
}

#[test]
fn what_is_no_view_is_refused_in_words() {
    let problem = "HTTP/1.1 400 Bad Request\r\nContent-Type: application/problem+json\r\n\r\n\
                   {\"title\": \"no\", \"detail\": \"there is no list `x`\"}";
    let long = [events(&[]), b"data: ".to_vec(), vec![b'7'; 5 << 20]].concat();
    let cases: [(&str, Vec<u8>, &str); 5] = [
        ("refused", problem.into(), "xdsc: there is no list `x`\n"),
        (
            "other server",
            b"HTTP/1.1 404 Not Found\r\n\r\n".to_vec(),
            "is no xdsc that has a live view",
        ),
        ("over", events(&[]), "xdsc: xdsc has stopped there\n"),
        ("no JSON", events(&["x"]), "what came is no view of xdsc"),
        ("without end", long, "what came is no view of xdsc"),
    ];
    for (name, answer, expected) in cases {
        let (out, complaints, status) = top_beside(&answer, &["--format=text"]);
        assert!(complaints.contains(expected), "{name}: {complaints}");
        assert_eq!((out.as_str(), status), ("", ExitCode::FAILURE), "{name}");
    }
}

#[test]
fn a_filter_is_asked_for_as_it_is_written() {
    let request = Request::new(&args(&["--filter=qname:a&b=c d", "--sort=total"]));
    assert!(
        request
            .path()
            .ends_with("&by=total&filter=qname%3Aa%26b%3Dc+d"),
        "{}",
        request.path()
    );
}
