//! `xdsc top` in a real terminal: its numbers are those of the clients and of
//! /metrics, its keys work, and it leaves the terminal as it was.

use std::{path::Path, process::ExitStatus};

use anyhow::{Context as _, Result, ensure};
use integration_tests::network::{
    Network, SERVER, Side,
    client::{Load, Transport, kdig},
    daemon::{Daemon, binary, refusal},
    eventually, in_network,
    kernel_objects::KernelObjects,
    screen::Screen,
    server::{Kind, NameServer},
};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;

const SMALL: (u16, u16) = (80, 24);
const LARGE: (u16, u16) = (200, 50);
const PAIR_ALL: &str = "[pairing]\none_in = 1\n";

/// Thirty answers, twenty of them of AAAA, and ten names that do not exist.
fn ask(network: &Network) -> Result<()> {
    for (name, kind, rounds) in [
        ("www.example", "A", 10),
        ("www.example", "AAAA", 20),
        ("absent.example", "MX", 10),
    ] {
        let load = Load {
            server: SERVER[0],
            transport: Transport::Udp,
            questions: &[(name, kind)],
            rounds,
            rate: None,
        };
        load.run(network)?;
    }
    Ok(())
}

/// Starts it so that the terminal stays after it, and what it left can be seen.
fn start<'a>(network: &'a Network, size: (u16, u16), arguments: &str) -> Result<Screen<'a>> {
    let command = format!("{} top {arguments}; echo ended $?; stty -a; cat", binary()?);
    Screen::start(network, Side::Server, size, &command)
}

/// The shell's only child: xdsc.
fn child(screen: &Screen<'_>) -> Result<i32> {
    let shell = screen.pid()?;
    let children = format!("/proc/{shell}/task/{shell}/children");
    Ok(std::fs::read_to_string(children)?.trim().parse()?)
}

/// It has ended well, and the terminal is a shell's again.
fn is_over(screen: &Screen<'_>) -> Result<()> {
    screen.shows(&["ended 0"])?;
    screen.shows(&[" icanon"])?;
    screen.shows(&[" echo "])?;
    for (variable, value) in [("alternate_on", "0"), ("cursor_flag", "1")] {
        let found = screen.variable(variable)?;
        ensure!(found == value, "{variable} {found}");
    }
    Ok(())
}

#[test]
fn its_numbers_are_those_of_the_clients_and_of_the_metrics() -> Result<()> {
    in_network(|network| {
        let _server = NameServer::start(network, Kind::Nsd)?;
        let daemon = Daemon::start(network, PAIR_ALL)?;
        ask(network)?;
        let samples = daemon.quiet()?;
        let screen = start(network, LARGE, "--sort total")?;
        for (value, count) in [
            ("AAAA", 20),
            ("MX", 10),
            ("NOERROR", 30),
            ("NXDOMAIN", 10),
            ("www.example ", 30),
            ("absent.example ", 10),
            ("192.0.2.0/24", 40),
            ("example ", 40),
        ] {
            screen.shows(&[value, &format!(" {count} ")])?;
        }
        for (rcode, count) in [("NOERROR", 30), ("NXDOMAIN", 10)] {
            let labels = [("rcode", rcode)];
            let exported = samples.count("xdsc_dns_rcode_responses_total", &labels)?;
            ensure!(exported == count, "{rcode}: {exported} exported");
        }
        // The account of the hooks, of what neighbours do not add to.
        screen.press(&["l"])?;
        screen.shows(&["dns ", " 40 ", " 40 "])?;
        screen.shows(&["delivered ", " 40 ", " 40 "])?;
        screen.press(&["q"])?;
        is_over(&screen)?;
        daemon.stop()?;
        Ok(())
    })
}

#[test]
fn its_keys_work_and_it_survives_the_daemon() -> Result<()> {
    in_network(|network| {
        let _server = NameServer::start(network, Kind::Nsd)?;
        let daemon = Daemon::start(network, PAIR_ALL)?;
        ask(network)?;
        let screen = start(network, SMALL, "--sort total")?;
        screen.shows(&["AAAA", " 20 ", "NOERROR"])?;
        screen.shows(&["NXDOMAIN", " 10 "])?;
        // Down to NXDOMAIN in the second list, and only that.
        screen.press(&["Tab", "Down", "Down", "Enter"])?;
        screen.shows(&[" only rcode:NXDOMAIN "])?;
        screen.press(&["Escape"])?;
        screen.shows(&["s sort: total"])?;
        screen.press(&["/", "a", "b", "s"])?;
        screen.shows(&["find: abs"])?;
        screen.press(&["Enter"])?;
        screen.shows(&["nothing here has"])?;
        screen.shows(&["absent.example", " 10 "])?;
        screen.press(&["Escape", "s"])?;
        screen.shows(&["s sort: name"])?;
        screen.press(&["?"])?;
        screen.shows(&[" Enter ", "count only what has the chosen value"])?;
        screen.press(&["?", "p"])?;
        screen.shows(&[" PAUSED "])?;
        screen.press(&["p"])?;
        screen.resize(LARGE.0, LARGE.1)?;
        screen.shows(&["TLDs, queries", "names, queries", "clients, queries"])?;

        daemon.stop()?;
        screen.shows(&["STALE: ", "cannot reach a running xdsc"])?;
        let daemon = Daemon::start(network, PAIR_ALL)?;
        eventually("it to go on", || {
            let lines = screen.lines()?;
            ensure!(
                !lines.iter().any(|line| line.contains("STALE")),
                "{lines:#?}"
            );
            Ok(())
        })?;
        screen.press(&["C-c"])?;
        is_over(&screen)?;
        daemon.stop()?;
        Ok(())
    })
}

#[test]
fn a_signal_gives_the_terminal_back() -> Result<()> {
    in_network(|network| {
        let daemon = Daemon::start(network, "")?;
        let screen = start(network, SMALL, "")?;
        screen.shows(&["q quit"])?;
        kill(Pid::from_raw(child(&screen)?), Signal::SIGTERM)?;
        is_over(&screen)?;
        daemon.stop()?;
        Ok(())
    })
}

#[test]
fn a_terminal_that_goes_away_ends_it() -> Result<()> {
    in_network(|network| {
        let daemon = Daemon::start(network, "")?;
        let screen = start(network, SMALL, "")?;
        screen.shows(&["q quit"])?;
        let process = Path::new("/proc").join(child(&screen)?.to_string());
        ensure!(process.exists(), "{} is not there", process.display());
        drop(screen);
        eventually("its end", || {
            ensure!(!process.exists(), "{} is there", process.display());
            Ok(())
        })?;
        daemon.stop()?;
        Ok(())
    })
}

#[test]
fn colours_go_where_they_are_not_wanted() -> Result<()> {
    in_network(|network| {
        let _server = NameServer::start(network, Kind::Nsd)?;
        let daemon = Daemon::start(network, "")?;
        kdig(network, SERVER[0], &["www.example", "A"])?;
        let green = "\x1b[38;5;2m";
        let screen = start(network, SMALL, "")?;
        eventually("something green", || {
            let text = screen.coloured()?;
            ensure!(text.contains(green), "{text:?}");
            Ok(())
        })?;
        drop(screen);
        let command = format!("NO_COLOR=1 {} top", binary()?);
        let screen = Screen::start(network, Side::Server, SMALL, &command)?;
        screen.shows(&["responses", "0 /s"])?;
        let text = screen.coloured()?;
        // Sixteen colours have numbers of their own, all others begin alike.
        let is_coloured = text.contains("\x1b[38;") || text.contains("\x1b[48;");
        let is_coloured = is_coloured || (30..38).any(|n| text.contains(&format!("\x1b[{n}m")));
        ensure!(!is_coloured, "{text:?}");
        daemon.stop()?;
        Ok(())
    })
}

#[test]
fn an_interface_is_watched_for_as_long_as_it_is_looked_at() -> Result<()> {
    in_network(|network| {
        let _server = NameServer::start(network, Kind::Nsd)?;
        let screen = start(network, SMALL, "--interface dns0 --sort total")?;
        screen.shows(&[" dns0 ", "dns0 tcx · dns0 tcx"])?;
        kdig(network, SERVER[0], &["www.example", "A"])?;
        screen.shows(&["A ", " 1 ", "NOERROR", " 1 "])?;
        let attached = KernelObjects::of(child(&screen)?.try_into()?)?;
        ensure!(attached.links.len() == 2, "{attached:?}");
        screen.press(&["q"])?;
        is_over(&screen)?;
        attached.gone()?;

        // The same with lines, ended by a signal.
        let arguments = ["top", "--interface", "dns0"];
        let mut lines = network.start(Side::Server, &binary()?, &arguments)?;
        eventually("a line", || {
            ensure!(lines.log()?.contains("  queries "), "{}", lines.log()?);
            Ok(())
        })?;
        let attached = KernelObjects::of(lines.pid())?;
        ensure!(attached.links.len() == 2, "{attached:?}");
        let status = lines.end_by(Signal::SIGINT)?;
        ensure!(status.success(), "{status}: {}", lines.log()?);
        attached.gone()?;
        Ok(())
    })
}

/// What it prints into a pipe, and how it ends.
fn piped(network: &Network, arguments: &[&str]) -> Result<(String, ExitStatus)> {
    let mut command = network.command(Side::Server, "timeout");
    let output = command
        .args(["20", &binary()?, "top"])
        .args(arguments)
        .output()?;
    ensure!(
        output.stderr.is_empty(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok((String::from_utf8(output.stdout)?, output.status))
}

#[test]
fn others_than_terminals_get_lines() -> Result<()> {
    in_network(|network| {
        let _server = NameServer::start(network, Kind::Nsd)?;
        let daemon = Daemon::start(network, PAIR_ALL)?;
        ask(network)?;
        daemon.quiet()?;
        let (text, status) = piped(network, &["--count", "2", "--sort", "total"])?;
        ensure!(status.success(), "{status}");
        let blocks = text
            .lines()
            .filter(|line| line.contains("  queries "))
            .count();
        ensure!(blocks == 2, "{text}");
        ensure!(
            text.contains("  rcode         NOERROR 75.0 %  NXDOMAIN 25.0 %\n"),
            "{text}"
        );
        ensure!(!text.contains('\x1b'), "{text:?}");
        let names = text
            .lines()
            .filter(|line| line.contains("www.example 75.0 %"))
            .count();
        ensure!(names == 2, "lists without values: {text}");
        let (text, status) = piped(network, &["--count", "1", "--format", "json"])?;
        ensure!(status.success(), "{status}");
        let view: Value = serde_json::from_str(&text).context(text)?;
        ensure!(view["summary"]["totals"]["queries"] == 40, "{view}");
        daemon.stop()?;
        Ok(())
    })
}

#[test]
fn what_keeps_it_from_looking_is_said() -> Result<()> {
    in_network(|network| {
        for (arguments, parts) in [
            (&["top"][..], ["cannot reach a running xdsc", "xdsc run"]),
            (
                &["top", "--interface", "eth7"],
                ["no interface `eth7`", "ip link"],
            ),
            (
                &["top", "--url", "ns1:9953"],
                ["does not begin with `http://`", "write it as in"],
            ),
        ] {
            let refused = refusal(network, &[], arguments)?;
            ensure!(refused.status.code() == Some(1), "{refused:?}");
            for part in parts {
                ensure!(
                    refused.said.contains(part),
                    "{arguments:?}: {}",
                    refused.said
                );
            }
        }
        Ok(())
    })
}
