//! Messages handed on raw, so that the daemon finds in them what a record does
//! not hold: which are, and in what parts.

use anyhow::{Result, ensure};
use dns_wire::{
    Settings,
    counters::{Counters, Delivery, Outcome, Role, slot},
    record::MAX_SEGMENT,
};
use integration_tests::{
    kernel::{Conservation, Kernel, Seen, difference, hook_of},
    packet::{Dns, Extension, Ipv4, Ipv6, RootRecord, Tcp, Udp, frame, name, prefixed},
    privileged,
};
use xdsc::source::live::{probe::LoadOptions, test_run::Program};

fn cookie() -> RootRecord {
    RootRecord {
        options: vec![0, 10, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8],
        ..RootRecord::default()
    }
}

fn query() -> Dns {
    Dns::query(&name("www.example.com"), 1)
}

fn response() -> Dns {
    Dns::response(&name("www.example.com"), 1)
}

fn udp(message: &Dns) -> Vec<u8> {
    frame(&Ipv4::default().carry(&Udp::query().carry(&message.bytes())))
}

fn kernel(settings: Settings) -> Result<Kernel> {
    Kernel::load(&LoadOptions {
        settings,
        ..LoadOptions::default()
    })
}

fn whole_messages() -> Settings {
    Settings::default().with_whole_messages(true)
}

/// Name, frame, and the raw octets; none where the record says everything.
type Case = (&'static str, Vec<u8>, Option<Vec<u8>>);

fn cases() -> Vec<Case> {
    let with_cookie = query().additional(&cookie());
    let bare = query().additional(&RootRecord::dnssec_ok());
    let behind = response().answer().additional(&RootRecord::default());
    let broken = query().additional(&RootRecord {
        options_len: Some(9),
        ..RootRecord::default()
    });
    let other = query().additional(&RootRecord {
        kind: 250,
        ..RootRecord::default()
    });
    let second = other.clone().additional(&cookie());
    let long = response().answer().additional(&cookie());
    let long = |octets: usize| {
        let short = long.bytes().len();
        long.clone().trailing(&vec![0x35; octets - short])
    };
    let tcp = |message: &Dns| {
        let segment = Tcp::default().carry(&prefixed(&message.bytes()));
        frame(&Ipv6::default().carry(&segment))
    };
    let raw = |message: &Dns| Some(message.bytes());
    let mut cases = vec![
        ("no OPT record", udp(&query()), None),
        ("OPT record without options", udp(&bare), None),
        ("one additional record that is no OPT", udp(&other), None),
        ("cookie", udp(&with_cookie), raw(&with_cookie)),
        ("OPT record behind an answer", udp(&behind), raw(&behind)),
        ("OPT record behind another", udp(&second), raw(&second)),
        ("OPT record that does not fit", udp(&broken), raw(&broken)),
        (
            "cookie over TCP",
            tcp(&with_cookie),
            Some(prefixed(&with_cookie.bytes())),
        ),
        ("no OPT record over TCP", tcp(&query()), None),
    ];
    for octets in [1447, 1448, 1449, 2896, 2897, 3300] {
        cases.push((
            "response of many octets",
            udp(&long(octets)),
            raw(&long(octets)),
        ));
    }
    cases.extend(first_fragments(&with_cookie));
    cases
}

/// Of a first fragment the rest is not there, even if octets follow it.
fn first_fragments(message: &Dns) -> [Case; 2] {
    let datagram = Udp::query().carry(&message.clone().trailing(&[0; 500]).bytes());
    let first4 = Ipv4 {
        more_fragments: true,
        ..Ipv4::default()
    };
    let first6 = Ipv6::with(&[Extension::fragment(0, true)]);
    let padded = |mut frame: Vec<u8>| {
        frame.extend([0x35; 1000]);
        frame
    };
    let cut = datagram.cut(400);
    [
        (
            "first fragment over IPv4",
            padded(frame(&first4.carry(&cut))),
            None,
        ),
        (
            "first fragment over IPv6",
            padded(frame(&first6.carry(&cut))),
            None,
        ),
    ]
}

/// What is wrong with the records.
fn complaint(records: &[Seen], expected: Option<&Vec<u8>>) -> Option<String> {
    let Some(octets) = expected else {
        let parsed = matches!(records, [one] if one.message.is_some());
        return (!parsed).then(|| format!("{records:?} instead of one message"));
    };
    let parts: Vec<_> = octets.chunks(MAX_SEGMENT).collect();
    let found: Vec<_> = records.iter().map(|one| one.payload.as_slice()).collect();
    let total = octets.len() as u32;
    let places: Vec<_> = records.iter().map(|one| one.raw).collect();
    let expected: Vec<_> = (0..parts.len())
        .map(|part| Some(((part * MAX_SEGMENT) as u32, total, true)))
        .collect();
    (found != parts || places != expected).then(|| format!("{found:?} at {places:?}"))
}

/// The counters without what became of the records.
fn without_deliveries(mut counters: Counters) -> Counters {
    for delivery in Delivery::ALL {
        let slot = slot::RECORDS + delivery.index();
        counters.add(slot, counters.get(slot).wrapping_neg());
    }
    counters
}

#[test]
fn messages_of_which_a_record_does_not_tell_all_are_handed_on_raw() -> Result<()> {
    if !privileged() {
        return Ok(());
    }
    let (mut whole, mut plain) = (kernel(whole_messages())?, kernel(Settings::default())?);
    for (name, frame, expected) in cases() {
        for program in Program::ALL {
            let hook = hook_of(program);
            let before = (whole.counters(hook)?, plain.counters(hook)?);
            let run = whole.run(program, &frame)?;
            let parsed = plain.run(program, &frame)?;
            let after = (whole.counters(hook)?, plain.counters(hook)?);
            let wrong = complaint(&run.records, expected.as_ref());
            ensure!(wrong.is_none(), "{program:?}: {name}: {wrong:?}");
            let counted = difference(&after.0, &before.0);
            ensure!(
                counted == difference(&after.1, &before.1),
                "{program:?}: {name} counts otherwise"
            );
            ensure!(Conservation::of(&after.0).holds(), "{program:?}: {name}");
            let (first, other) = (&run.records[0], &parsed.records[0]);
            ensure!(first.hash == other.hash, "{program:?}: {name}: hash");
            ensure!(first.role == other.role, "{program:?}: {name}: role");
            ensure!(first.flow == other.flow, "{program:?}: {name}: flow");
        }
    }
    Ok(())
}

/// QR tells who asks between two resolvers, raw or not.
#[test]
fn role_of_a_raw_message_is_told_by_its_header() -> Result<()> {
    if !privileged() {
        return Ok(());
    }
    let mut kernel = kernel(whole_messages())?;
    let of = |message: Dns| {
        let message = message.additional(&cookie()).bytes();
        frame(&Ipv4::default().carry(&Udp::between(53, 53).carry(&message)))
    };
    let (query, response) = (of(query()), of(response()));
    for (program, frame, role) in [
        (Program::XdpIngress, &query, Role::Server),
        (Program::XdpIngress, &response, Role::Client),
        (Program::TcEgress, &query, Role::Client),
        (Program::TcEgress, &response, Role::Server),
    ] {
        let run = kernel.run(program, frame)?;
        let roles: Vec<_> = run.records.iter().map(|record| record.role).collect();
        assert_eq!(roles, [role], "{program:?}");
    }
    Ok(())
}

/// In several buffers, as a card that puts segments together hands them on.
#[test]
fn long_messages_are_handed_on_to_their_end() -> Result<()> {
    if !privileged() {
        return Ok(());
    }
    let mut kernel = kernel(whole_messages())?;
    let message = response().answer().additional(&cookie());
    let message = message.trailing(&[0x35; 60_000]).bytes();
    let octets = prefixed(&message);
    let udp = frame(&Ipv4::default().carry(&Udp::response().carry(&message)));
    let tcp = frame(&Ipv4::default().carry(&Tcp::between(53, 40_000).carry(&octets)));
    for (frame, expected) in [(udp, message), (tcp, octets)] {
        let run = kernel.run(Program::XdpIngress, &frame)?;
        let wrong = complaint(&run.records, Some(&expected));
        ensure!(wrong.is_none(), "{wrong:?}");
    }
    Ok(())
}

#[test]
fn raw_messages_are_not_handed_on_where_only_counters_are_wanted() -> Result<()> {
    if !privileged() {
        return Ok(());
    }
    let mut counting = kernel(whole_messages().with_count_only(true))?;
    let mut whole = kernel(whole_messages())?;
    let frame = udp(&query().additional(&cookie()));
    let run = counting.run(Program::XdpIngress, &frame)?;
    whole.run(Program::XdpIngress, &frame)?;
    let hook = hook_of(Program::XdpIngress);
    let counted = counting.counters(hook)?;
    assert!(run.records.is_empty());
    assert_eq!(counted.records(Delivery::CountOnly), 1);
    assert_eq!(counted.outcomes(Outcome::Dns), 1);
    let expected = without_deliveries(*whole.counters(hook)?);
    assert_eq!(without_deliveries(*counted), expected);
    Ok(())
}
