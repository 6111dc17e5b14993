//! OPT records behind other records, and their options, by hand.

use dns_wire::{
    iana::EdnsOption,
    opt::{Cookie, Ecs, Ede, KnownOptions, OptError, Options, find},
};

/// A header with these counts, and what follows it.
fn message(counts: [u8; 4], parts: &[&[u8]]) -> Vec<u8> {
    let mut octets = vec![0x12, 0x34, 0x84, 0x00];
    octets.extend(counts.iter().flat_map(|count| [0, *count]));
    octets.extend(parts.concat());
    octets
}

/// `example.com`, A, IN.
const QUESTION: &[u8] = b"\x07example\x03com\x00\x00\x01\x00\x01";
/// A record whose owner points at the question's name.
const RECORD: &[u8] = b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x0e\x10\x00\x04\xc0\x00\x02\x01";
/// An owner of a label and a pointer.
const HALF: &[u8] = b"\x03www\xc0\x0c\x00\x01\x00\x01\x00\x00\x0e\x10\x00\x00";
/// UDP size 1232, DO, an NSID request.
const OPT: &[u8] = b"\x00\x00\x29\x04\xd0\x00\x00\x80\x00\x00\x04\x00\x03\x00\x00";
/// The same, with an owner that is not the root.
const OWNED: &[u8] = b"\x01x\x00\x00\x29\x04\xd0\x00\x00\x80\x00\x00\x00";

#[test]
fn opt_is_found_behind_records_of_all_sections() {
    let cases: [(&str, Vec<u8>); 7] = [
        ("alone", message([0, 0, 0, 1], &[OPT])),
        (
            "behind the question",
            message([1, 0, 0, 1], &[QUESTION, OPT]),
        ),
        (
            "behind two questions",
            message([2, 0, 0, 1], &[QUESTION, QUESTION, OPT]),
        ),
        (
            "behind an answer",
            message([1, 1, 0, 1], &[QUESTION, RECORD, OPT]),
        ),
        (
            "behind all",
            message([1, 2, 1, 2], &[QUESTION, RECORD, HALF, RECORD, HALF, OPT]),
        ),
        (
            "before glue",
            message([1, 0, 0, 2], &[QUESTION, OPT, RECORD]),
        ),
        (
            "behind one that is none",
            message([1, 0, 0, 2], &[QUESTION, OWNED, OPT]),
        ),
    ];
    for (name, octets) in cases {
        let found = find(&octets).expect(name).expect(name);
        assert_eq!(found.opt.udp_size(), 1232, "{name}");
        assert!(found.opt.dnssec_ok(), "{name}");
        assert_eq!(found.options, [0, 3, 0, 0], "{name}");
    }
}

#[test]
fn no_opt_record_is_no_error() {
    let cases: [(&str, Vec<u8>); 5] = [
        ("header only", message([0; 4], &[])),
        ("answer only", message([1, 1, 0, 0], &[QUESTION, RECORD])),
        ("other owner", message([1, 0, 0, 1], &[QUESTION, OWNED])),
        // RFC 6891, section 6.1.1: it belongs into the additional section.
        ("in the answer", message([1, 1, 0, 0], &[QUESTION, OPT])),
        (
            "after the last record",
            message([1, 0, 0, 0], &[QUESTION, OPT]),
        ),
    ];
    for (name, octets) in cases {
        assert_eq!(find(&octets), Ok(None), "{name}");
    }
}

#[test]
fn what_is_broken_is_named() {
    let long: Vec<u8> = [&b"\x3f"[..], &[b'a'; 63]].concat().repeat(4);
    let too_long = [&long[..], &b"\x00\x00\x01\x00\x01"[..]].concat();
    let cases: [(&str, Vec<u8>, OptError); 9] = [
        ("no header", vec![0; 11], OptError::Header),
        (
            "no question",
            message([1, 0, 0, 1], &[]),
            OptError::Question,
        ),
        (
            "cut question",
            message([1, 0, 0, 1], &[&QUESTION[..15]]),
            OptError::Question,
        ),
        (
            "name of 257 octets",
            message([1, 0, 0, 0], &[&too_long]),
            OptError::Question,
        ),
        (
            "label type 01",
            message([1, 0, 0, 0], &[b"\x41\x00\x00\x01\x00\x01"]),
            OptError::Question,
        ),
        (
            "cut pointer",
            message([0, 1, 0, 0], &[b"\xc0"]),
            OptError::Record,
        ),
        (
            "fewer records than counted",
            message([1, 2, 0, 1], &[QUESTION, RECORD]),
            OptError::Record,
        ),
        (
            "cut RDATA",
            message([1, 1, 0, 1], &[QUESTION, &RECORD[..14]]),
            OptError::Record,
        ),
        (
            "cut fixed part",
            message([0, 0, 0, 1], &[&OPT[..10]]),
            OptError::Record,
        ),
    ];
    for (name, octets, expected) in cases {
        assert_eq!(find(&octets), Err(expected), "{name}");
    }
}

#[test]
fn the_fixed_part_of_an_overrunning_opt_record_is_known() {
    let octets = message([1, 0, 0, 1], &[QUESTION, &OPT[..OPT.len() - 1]]);
    let Err(OptError::Options(opt)) = find(&octets) else {
        panic!("the options run past the end");
    };
    assert_eq!((opt.udp_size(), opt.options_len()), (1232, 4));
}

#[test]
fn a_name_that_points_at_itself_is_passed_over() {
    let octets = message(
        [0, 1, 0, 1],
        &[b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x00\x00\x00", OPT],
    );
    assert!(matches!(find(&octets), Ok(Some(_))));
}

#[test]
fn options_are_read_in_order_up_to_a_broken_one() {
    type Case = (
        &'static str,
        &'static [u8],
        &'static [(u16, &'static [u8])],
        bool,
    );
    let cases: [Case; 6] = [
        ("none", b"", &[], false),
        ("one", b"\x00\x03\x00\x02ns", &[(3, b"ns")], false),
        (
            "two",
            b"\x00\x03\x00\x00\xfd\xe9\x00\x01x",
            &[(3, b""), (65001, b"x")],
            false,
        ),
        ("cut code", b"\x00\x03\x00\x00\x00", &[(3, b"")], true),
        (
            "cut octets",
            b"\x00\x03\x00\x00\x00\x08\x00\x04\x00\x01",
            &[(3, b"")],
            true,
        ),
        ("cut first", b"\x00", &[], true),
    ];
    for (name, octets, expected, broken) in cases {
        let mut options = Options::new(octets);
        let found: Vec<_> = options
            .by_ref()
            .map(|(code, octets)| (code.0, octets))
            .collect();
        assert_eq!(found, expected, "{name}");
        assert_eq!(options.is_broken(), broken, "{name}");
        assert_eq!(options.next(), None, "{name}");
    }
}

#[test]
fn cookies_have_one_of_the_lengths_of_rfc_7873() {
    let octets = [7; 48];
    for len in 0..=48 {
        let valid = len == 8 || (16..=40).contains(&len);
        let cookie = Cookie::parse(&octets[..len]);
        let lens = cookie.map(|cookie| (cookie.client.len(), cookie.server.len()));
        assert_eq!(lens, valid.then(|| (8, len - 8)), "{len}");
    }
}

#[test]
fn typed_options_are_read_as_they_stand() {
    assert_eq!(Ecs::parse(b"\x00\x01\x18"), None);
    let ecs = Ecs::parse(b"\x00\x01\x18\x10\xc0\x00\x02").expect("four octets and more");
    assert_eq!(
        (ecs.family, ecs.source_prefix, ecs.scope_prefix),
        (1, 24, 16)
    );
    assert_eq!(ecs.address, [192, 0, 2]);
    assert_eq!(Ede::parse(b"\x00"), None);
    let ede = Ede::parse(b"\x00\x16no answer").expect("two octets and more");
    assert_eq!((ede.code, ede.text), (22, &b"no answer"[..]));
}

#[test]
fn the_first_valid_option_of_each_kind_counts() {
    let options = [
        &b"\x00\x0a\x00\x03bad"[..],
        b"\x00\x0a\x00\x08clientck",
        b"\x00\x0a\x00\x08second__",
        b"\x00\x0f\x00\x02\x00\x0f",
        b"\x00\x0f\x00\x02\x00\x10",
        b"\x00\x03\x00\x00",
        b"\x00\x03\x00\x02ns",
        b"\x00\x08\x00\x01\x00",
        b"\x00\x08\x00\x04\x00\x02\x00\x00",
    ]
    .concat();
    let known = KnownOptions::read(&options);
    assert_eq!(
        known.cookie.map(|cookie| cookie.client),
        Some(&b"clientck"[..])
    );
    assert_eq!(known.ede.map(|ede| ede.code), Some(15));
    assert_eq!(known.nsid, Some(&b""[..]));
    assert_eq!(known.ecs.map(|ecs| ecs.family), Some(2));
    assert_eq!(EdnsOption::COOKIE.0, 10);
}
