//! What is published, to the blank; what survives a restart; what merges.

use std::{fs, net::IpAddr};

use super::*;
use crate::stats::sketches::ClientKey;

fn date() -> Date {
    Date::constant(2026, 1, 10)
}

fn messages(qr: Qr, transport: Transport, family: Family, size: usize, rcode: u16) -> Exchanged {
    Exchanged {
        qr,
        transport,
        family,
        size,
        rcode,
        count: 1,
    }
}

fn key() -> ClientKey {
    ClientKey::of_service("a.root-servers.net", b"")
}

fn address(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

/// Some of everything.
fn example() -> Day {
    use Family::{Ipv4, Ipv6, Other};
    use Qr::{Query, Response};
    use Transport::{Tcp, Udp};
    let mut day = Day::new(date());
    for exchanged in [
        messages(Query, Udp, Ipv4, 15, 0),
        messages(Query, Udp, Ipv4, 16, 0),
        messages(Query, Udp, Ipv6, 31, 0),
        messages(Query, Udp, Ipv6, 287, 0),
        messages(Query, Udp, Ipv6, 288, 0),
        messages(Query, Udp, Ipv6, 5000, 0),
        messages(Response, Udp, Ipv4, 512, 3),
        messages(Response, Udp, Ipv4, 4095, 0),
        messages(Response, Tcp, Ipv6, 4096, 16),
        messages(Response, Tcp, Ipv6, 65_535, 16),
        messages(Query, Udp, Other, 20, 0),
    ] {
        day.add(exchanged);
    }
    let mut sources = Clients::new(key());
    for source in [
        "192.0.2.1",
        "192.0.2.2",
        "192.0.2.1",
        "2001:db8::1",
        "2001:db8::2",
        "2001:db8:0:1::1",
    ] {
        sources.add(address(source));
    }
    day.add_sources(&sources).expect("one key");
    day
}

fn written(day: &Day, service: &str) -> Vec<(String, String)> {
    let folder = tempfile::tempdir().expect("a folder");
    let paths = write_files(day, service, folder.path()).expect("written");
    (paths.iter())
        .map(|path| {
            let below = path.strip_prefix(folder.path()).expect("below the folder");
            let text = fs::read_to_string(path).expect("a file");
            (below.display().to_string(), text)
        })
        .collect()
}

const HEADER: &str = "---\nversion: rssac002v4\nservice: a.root-servers.net\n\
                      start-period: 2026-01-10T00:00:00Z\nmetric: ";

#[test]
fn four_files_are_published() {
    let expected = [
        (
            "traffic-volume",
            "dns-udp-queries-received-ipv4: 2\n\
             dns-udp-queries-received-ipv6: 4\n\
             dns-tcp-queries-received-ipv4: 0\n\
             dns-tcp-queries-received-ipv6: 0\n\
             dns-udp-responses-sent-ipv4: 2\n\
             dns-udp-responses-sent-ipv6: 0\n\
             dns-tcp-responses-sent-ipv4: 0\n\
             dns-tcp-responses-sent-ipv6: 2\n",
        ),
        (
            "traffic-sizes",
            "udp-request-sizes:\n  0-15: 1\n  16-31: 2\n  272-287: 1\n  288-: 2\n\
             udp-response-sizes:\n  512-527: 1\n  4080-4095: 1\n\
             tcp-request-sizes: {}\n\
             tcp-response-sizes:\n  4096-: 2\n",
        ),
        ("rcode-volume", "0: 1\n3: 1\n16: 2\n"),
        (
            "unique-sources",
            "# estimates with a standard error of 0.6 %\n\
             num-sources-ipv4: 2\n\
             num-sources-ipv6: 3\n\
             num-sources-ipv6-aggregate: 2\n",
        ),
    ]
    .map(|(metric, body)| {
        (
            format!("2026/01/{metric}/a-root-20260110-{metric}.yaml"),
            format!("{HEADER}{metric}\n{body}"),
        )
    });
    assert_eq!(written(&example(), "a.root-servers.net"), expected);
}

#[test]
fn services_beyond_the_root_keep_their_names() {
    let files = written(&Day::new(date()), "ns1.example");
    assert_eq!(
        files[0].0,
        "2026/01/traffic-volume/ns1.example-20260110-traffic-volume.yaml"
    );
    assert!(
        files[1].1.ends_with("tcp-response-sizes: {}\n"),
        "{}",
        files[1].1
    );
}

#[test]
fn a_name_that_is_none_is_refused() {
    for name in ["", "../a", "a/b", "a: b", ".a", "-a", "1", "a b"] {
        let error = write_files(&example(), name, Path::new("/surely/not/here"));
        let told = error.expect_err(name).to_string();
        assert!(told.contains("is not the name of a service"), "{told}");
    }
}

#[test]
fn a_day_survives_in_a_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("node1.json");
    for day in [Day::new(date()), example()] {
        write_partial(&day, &path).expect("written");
        let again = read_partial(&path).expect("read");
        assert_eq!(written(&again, "x"), written(&day, "x"));
        assert_eq!(again.date(), date());
    }
    assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 1);
}

#[test]
fn the_days_of_nodes_become_one() {
    let mut sum = example();
    sum.merge(&example()).expect("the same day");
    let files = written(&sum, "a.root-servers.net");
    assert!(files[0].1.contains("dns-udp-queries-received-ipv6: 8\n"));
    assert!(files[1].1.contains("  288-: 4\n"));
    assert!(files[2].1.ends_with("0: 2\n3: 2\n16: 4\n"));
    // The same sources again are no others.
    assert!(files[3].1.contains("num-sources-ipv6: 3\n"));
}

#[test]
fn many_sources_are_told_apart_on_all_nodes_together() {
    let mut nodes = [Clients::new(key()), Clients::new(key())];
    // 300,000 addresses, of which each node has seen 200,000.
    for number in 0..300_000_u32 {
        for (index, node) in nodes.iter_mut().enumerate() {
            if number % 3 != u32::try_from(index).expect("small") {
                node.add(IpAddr::V4((0x0a00_0000 + number).into()));
            }
        }
    }
    let [mut sum, other] = nodes.map(|node| {
        let mut day = Day::new(date());
        day.add_sources(&node).expect("one key");
        day
    });
    sum.merge(&other).expect("the same day");
    let sources = &sum.sources.ipv4;
    let estimate = sources.estimate();
    let bound = 4.0 * sources.relative_standard_error();
    assert!((estimate / 300_000.0 - 1.0).abs() < bound, "{estimate}");
}

#[test]
fn sketches_of_the_engine_are_sources() {
    let mut clients = Clients::new(key());
    clients.add(address("192.0.2.1"));
    clients.add(address("192.0.2.9"));
    let mut day = example();
    day.add_sources(&clients).expect("one key");
    let files = written(&day, "x");
    assert!(files[3].1.contains("num-sources-ipv4: 3\n"));
}

#[test]
fn other_days_do_not_merge() {
    let mut day = example();
    let other = Day::new(Date::constant(2026, 1, 11));
    let error = day.merge(&other).expect_err("another day");
    assert_eq!(
        error.to_string(),
        "2026-01-11 is another day than 2026-01-10; merge files of one day"
    );
}

#[test]
fn sources_of_different_keys_are_refused_after_a_restart_and_from_other_nodes() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("node1.json");
    write_partial(&example(), &path).expect("written");
    let mut other = Clients::new(ClientKey::of_service("a.root-servers.net", b"secret"));
    other.add(address("192.0.2.1"));
    let mut day = Day::new(date());
    day.add_sources(&other).expect("the first ones");
    let earlier = read_partial(&path).expect("read");
    let error = day.merge(&earlier).expect_err("another key").to_string();
    assert!(error.contains("hashed with another key"), "{error}");
    assert!(
        written(&day, "x")[0]
            .1
            .contains("udp-queries-received-ipv4: 0\n")
    );
}

#[test]
fn a_file_that_tells_of_more_sources_than_there_can_be_is_refused() {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("node1.json");
    write_partial(&Day::new(date()), &path).expect("written");
    let text = fs::read_to_string(&path).expect("a file");
    let [empty, full] = [0, 50].map(|register| STANDARD.encode(vec![register; 1 << 15]));
    fs::write(&path, text.replace(&empty, &full)).expect("written");
    let told = read_partial(&path).expect_err("impossible").to_string();
    assert!(told.contains("has a damaged sketch"), "{told}");
}

#[test]
fn a_damaged_file_is_told_by_its_damage() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("node1.json");
    write_partial(&example(), &path).expect("written");
    let whole = fs::read_to_string(&path).expect("a file");
    for (from, to, complaint) in [
        ("xdsc-rssac002-partial", "other", "is another kind of file"),
        (
            "\"version\":2",
            "\"version\":1",
            "has version 1 of the form, and this is version 2",
        ),
        ("2026-01-10", "2026-13-10", "has no proper date"),
        (
            "{\"0\":1,\"3\":1",
            "{\"0\":1,\"4096\":1",
            "has the RCODE 4096, of more than 12 bits",
        ),
        (
            "\"18\":2",
            "\"19\":2",
            "has a bin too many in `udp-request-sizes`",
        ),
        (
            "\"sources-key\":\"",
            "\"sources-key\":\"x",
            "has a damaged `sources-key`",
        ),
        (
            "\"num-sources-ipv4\":\"",
            "\"num-sources-ipv4\":\"AAAA",
            "has a damaged sketch, `num-sources-ipv4`",
        ),
        (
            "udp-queries-received-ipv4",
            "udp-x",
            "lacks `dns-udp-queries-received-ipv4`",
        ),
    ] {
        assert!(whole.contains(from), "{from} in {whole}");
        fs::write(&path, whole.replace(from, to)).expect("written");
        let told = read_partial(&path).expect_err(complaint).to_string();
        assert!(told.contains(complaint), "{told}");
    }
    fs::write(&path, &whole[..whole.len() / 2]).expect("written");
    let told = read_partial(&path).expect_err("half a file").to_string();
    assert!(told.contains("is not a day: "), "{told}");
    let told = read_partial(&folder.path().join("none"))
        .expect_err("no file")
        .to_string();
    assert!(told.starts_with("cannot use "), "{told}");
}
