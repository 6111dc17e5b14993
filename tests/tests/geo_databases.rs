//! Databases of countries and autonomous systems: what they tell, in every
//! layout, and that no file, however broken, does harm.
//!
//! Generated ones come from a writer of our own. What is expected of MaxMind's
//! test databases was read from them by MaxMind's reader for Python.

#[path = "../../userspace/tests/shared_data/mod.rs"]
mod shared_data;

use std::{
    fs,
    net::IpAddr,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use integration_tests::{
    mmdb::{Family, METADATA_MARKER, Mmdb, RecordSize, Texts},
    mutation::Random,
};
use serde_json::{Value, json};
use tempfile::TempDir;
use xdsc::enrich::geo::{Database, Databases, GeoError, Location, RecordCache};

/// No database of a test is so large that any look at it should take as long,
/// on any machine.
const FOREVER: Duration = Duration::from_secs(30);

fn address(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

fn at(country: &str, continent: &str) -> Location {
    let code = |text: &str| text.as_bytes().try_into().ok();
    Location {
        country: code(country),
        continent: code(continent),
        ..Location::default()
    }
}

fn of(asn: u32, org: &str) -> Location {
    Location {
        asn: (asn != 0).then_some(asn),
        as_org: (!org.is_empty()).then(|| org.into()),
        ..Location::default()
    }
}

fn both(place: Location, system: Location) -> Location {
    Location {
        asn: system.asn,
        as_org: system.as_org,
        ..place
    }
}

fn locate(databases: &Databases, text: &str) -> Location {
    databases.locate(address(text), &mut RecordCache::new(16))
}

/// Databases in a folder of their own.
struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder"))
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, database: &Mmdb) -> PathBuf {
        let file = self.file(name);
        database.write(&file).expect("written");
        file
    }

    fn write_octets(&self, name: &str, octets: &[u8]) -> PathBuf {
        let file = self.file(name);
        fs::write(&file, octets).expect("written");
        file
    }
}

fn open(files: &[PathBuf]) -> Databases {
    Databases::open(files).unwrap_or_else(|errors| panic!("{errors:?}"))
}

fn refused(file: &Path) -> GeoError {
    let start = Instant::now();
    let error = Database::open(file).expect_err("not usable");
    assert!(start.elapsed() < FOREVER, "{error}");
    error
}

/// One record for 192.0.2.0/24.
fn single(record: Value) -> Mmdb {
    Mmdb::new("Test").network("192.0.2.0/24", record)
}

fn country(code: &str) -> Value {
    json!({"country": {"iso_code": code}})
}

#[test]
fn every_layout_is_read() {
    let layouts = [
        (
            "GeoLite2-Country, DB-IP Country",
            json!({
                "continent": {"code": "EU", "geoname_id": 1, "names": {"en": "Europe"}},
                "country": {"iso_code": "DE", "is_in_european_union": true,
                            "names": {"de": "Deutschland", "en": "Germany"}},
                "registered_country": {"iso_code": "FR"},
            }),
            at("DE", "EU"),
        ),
        (
            "GeoLite2-City",
            json!({
                "city": {"names": {"en": "Example"}},
                "continent": {"code": "NA"},
                "country": {"iso_code": "US"},
                "location": {"latitude": 37.5, "longitude": -122.25, "accuracy_radius": 20},
                "postal": {"code": "00000"},
                "subdivisions": [{"iso_code": "CA"}, {"iso_code": "XX"}],
            }),
            at("US", "NA"),
        ),
        (
            "GeoLite2-ASN, DB-IP ASN",
            json!({"autonomous_system_number": 64496,
                   "autonomous_system_organization": "Example Net"}),
            of(64496, "Example Net"),
        ),
        (
            "GeoIP2-ISP",
            json!({"autonomous_system_number": 64496,
                   "autonomous_system_organization": "Example Net",
                   "isp": "Example ISP", "organization": "Example Customer"}),
            of(64496, "Example Net"),
        ),
        (
            "GeoIP2-Enterprise, DB-IP ISP",
            json!({
                "continent": {"code": "AS"},
                "country": {"iso_code": "JP", "confidence": 99},
                "traits": {"autonomous_system_number": 64496,
                           "autonomous_system_organization": "Example Net",
                           "isp": "Example ISP", "static_ip_score": 0.5},
            }),
            both(at("JP", "AS"), of(64496, "Example Net")),
        ),
        (
            "IPinfo Lite",
            json!({"country": "Germany", "country_code": "DE", "continent": "Europe",
                   "continent_code": "EU", "asn": "AS64496", "as_name": "Example Net",
                   "as_domain": "example.com"}),
            both(at("DE", "EU"), of(64496, "Example Net")),
        ),
        (
            "IPinfo Country ASN",
            json!({"country": "DE", "country_name": "Germany", "continent": "EU",
                   "continent_name": "Europe", "asn": "AS64496", "as_name": "Example Net",
                   "as_domain": "example.com"}),
            both(at("DE", "EU"), of(64496, "Example Net")),
        ),
        (
            "IPinfo ASN",
            json!({"asn": "AS64496", "domain": "example.com", "name": "Example Net",
                   "route": "192.0.2.0/24", "type": "isp"}),
            of(64496, "Example Net"),
        ),
    ];
    let folder = Folder::new();
    for (layout, record, expected) in layouts {
        let file = folder.write("layout.mmdb", &single(record));
        let databases = open(&[file]);
        assert_eq!(locate(&databases, "192.0.2.1"), expected, "{layout}");
        assert_eq!(
            databases.knows_country(),
            expected.country.is_some(),
            "{layout}"
        );
        assert_eq!(databases.knows_asn(), expected.asn.is_some(), "{layout}");
    }
}

#[test]
fn a_field_that_is_not_understood_is_absent() {
    let asn = of(64496, "");
    let cases = [
        (
            "a country that is a number",
            json!({"asn": "AS64496", "country": 49}),
            &asn,
        ),
        (
            "a country that is a list",
            json!({"country": ["DE", {"a": 1}], "asn": "AS64496"}),
            &asn,
        ),
        (
            "a code that is a map",
            json!({"country": {"iso_code": {"a": 1}}, "asn": 64496}),
            &asn,
        ),
        (
            "a code of one letter",
            json!({"country": {"iso_code": "D"}, "asn": 64496}),
            &asn,
        ),
        (
            "no continent",
            json!({"continent": {"code": "XX"}, "asn": 64496}),
            &asn,
        ),
        (
            "an organisation that is a flag",
            json!({"as_name": true, "asn": 64496}),
            &asn,
        ),
        (
            "an empty organisation",
            json!({"as_name": "  ", "asn": 64496}),
            &asn,
        ),
        (
            "traits that are a text",
            json!({"traits": "none", "asn": 64496}),
            &asn,
        ),
        (
            "a number below zero",
            json!({"autonomous_system_number": -1, "asn": 64496}),
            &asn,
        ),
        (
            "a name of something else",
            json!({"name": "Example", "country": "DE"}),
            &at("DE", ""),
        ),
        (
            "where the holder is registered",
            json!({"registered_country": {"iso_code": "FR"}, "continent": {"code": "EU"}}),
            &at("", "EU"),
        ),
    ];
    let folder = Folder::new();
    for (case, record, expected) in cases {
        let databases = open(&[folder.write("case.mmdb", &single(record))]);
        assert_eq!(&locate(&databases, "192.0.2.1"), expected, "{case}");
    }
}

#[test]
fn a_record_that_is_no_map_tells_nothing() {
    let database = single(json!("DE")).network("198.51.100.0/24", country("DE"));
    let folder = Folder::new();
    let databases = open(&[folder.write("text.mmdb", &database)]);
    assert_eq!(locate(&databases, "192.0.2.1"), Location::default());
    assert_eq!(locate(&databases, "198.51.100.1"), at("DE", ""));
}

#[test]
fn every_form_of_the_tree_is_read() {
    let folder = Folder::new();
    for size in [RecordSize::Bits24, RecordSize::Bits28, RecordSize::Bits32] {
        for family in [Family::Ipv4, Family::Both, Family::Aliased] {
            for texts in [Texts::Repeated, Texts::Shared] {
                let case = format!("{size:?} {family:?} {texts:?}");
                let mut database = Mmdb::new("Test")
                    .record_size(size)
                    .family(family)
                    .texts(texts)
                    .network("203.0.113.0/24", country("FR"))
                    .network("203.0.113.7/32", country("DE"));
                if family != Family::Ipv4 {
                    database = database.network("2001:db8::/32", country("SE"));
                }
                let databases = open(&[folder.write("form.mmdb", &database)]);
                let country = |address| locate(&databases, address).country;
                assert_eq!(country("203.0.113.6"), Some(*b"FR"), "{case}");
                assert_eq!(country("203.0.113.7"), Some(*b"DE"), "{case}");
                assert_eq!(country("203.0.112.7"), None, "{case}");
                let sixth = (family != Family::Ipv4).then_some(*b"SE");
                assert_eq!(country("2001:db8::1"), sixth, "{case}");
                let mapped = (family == Family::Aliased).then_some(*b"DE");
                assert_eq!(country("::ffff:203.0.113.7"), mapped, "{case}");
                assert_eq!(country("2002:cb00:7107::1"), mapped, "{case}");
            }
        }
    }
}

/// The reader of another hand agrees with the writer.
#[test]
fn written_databases_are_read_back() {
    let long = "x".repeat(70_000);
    let record = json!({
        "text": "text", "again": "text", "empty": "", "medium": "y".repeat(300), "long": long,
        "small": 0, "number": 4_000_000_000_u32, "large": u64::MAX, "below": -5,
        "fraction": 0.25, "yes": true, "no": false, "list": [1, [2, "text"]],
        "map": {"text": "again"},
    });
    for texts in [Texts::Repeated, Texts::Shared] {
        let database = single(record.clone()).texts(texts).built(1_234_567_890);
        let reader = maxminddb::Reader::from_source(database.encode()).expect("readable");
        reader.verify().expect("valid");
        let found = reader.lookup(address("192.0.2.1")).expect("found");
        let network = found.network().expect("a network");
        assert_eq!(network.to_string(), "192.0.2.0/24");
        assert_eq!(
            found.decode::<Value>().expect("decoded"),
            Some(record.clone())
        );
        assert_eq!(reader.metadata().build_epoch, 1_234_567_890);
        assert_eq!(reader.metadata().database_type, "Test");
    }
}

#[test]
fn maxminds_databases_tell_what_is_in_them() {
    let Some(folder) = shared_data::data() else {
        return;
    };
    let file = |name: &str| folder.join(format!("mmdb/GeoLite2-{name}-Test.mmdb"));
    let none = Location::default;
    let cases = [
        ("Country", "81.2.69.160", at("GB", "EU")),
        ("Country", "2.125.160.216", at("GB", "EU")),
        ("Country", "67.43.156.1", at("BT", "AS")),
        ("Country", "202.196.224.1", at("PH", "AS")),
        ("Country", "2001:218::1", at("JP", "AS")),
        ("Country", "2a02:d080::1", at("BH", "AS")),
        ("Country", "2a02:d500::1", at("", "EU")),
        ("Country", "::ffff:81.2.69.160", at("GB", "EU")),
        ("Country", "2002:5102:45a0::1", at("GB", "EU")),
        ("Country", "192.0.2.1", none()),
        ("City", "81.2.69.160", at("GB", "EU")),
        ("City", "175.16.199.1", at("CN", "AS")),
        ("City", "2001:480::1", at("US", "NA")),
        ("City", "192.0.2.1", none()),
        ("ASN", "1.0.0.1", of(15169, "Google Inc.")),
        ("ASN", "1.128.0.0", of(1221, "Telstra Pty Ltd")),
        ("ASN", "12.81.96.1", of(7018, "")),
        ("ASN", "2600:6000::1", of(237, "Merit Network Inc.")),
        ("ASN", "2001:1700::1", of(6730, "Sunrise Communications AG")),
        ("ASN", "81.2.69.160", none()),
    ];
    for (name, client, expected) in cases {
        let databases = open(&[file(name)]);
        assert_eq!(locate(&databases, client), expected, "{name} {client}");
    }

    let databases = open(&[file("Country"), file("ASN")]);
    let found = locate(&databases, "89.160.20.112");
    assert_eq!((found.country, found.asn), (Some(*b"SE"), Some(29518)));
    let states = databases.states();
    let told = states.iter().map(|state| {
        (
            state.database_type.as_str(),
            state.build_epoch,
            state.size,
            state.knows_country,
            state.knows_asn,
        )
    });
    let expected = [
        ("GeoLite2-Country", 1_770_245_369, 18_012, true, false),
        ("GeoLite2-ASN", 1_770_245_369, 12_653, false, true),
    ];
    assert!(told.eq(expected), "{states:?}");
}

#[test]
fn broken_databases_are_refused_by_name() {
    let Some(folder) = shared_data::data() else {
        return;
    };
    let anew = "fetch it anew";
    let cases = [
        ("cyclic-data-structure", anew),
        ("invalid-data-record-offset", anew),
        // Its nodes are well formed, but lead to a record of `ip` only.
        ("libmaxminddb-corrupt-search-tree", "use a database of"),
        ("libmaxminddb-deep-nesting", anew),
        ("libmaxminddb-metadata-marker-only", anew),
        ("libmaxminddb-offset-integer-overflow", anew),
    ];
    let files = cases.map(|(name, _)| folder.join(format!("mmdb/{name}.mmdb")));
    let errors = Databases::open(&files).expect_err("none is usable");
    assert_eq!(errors.len(), files.len());
    for ((name, advice), error) in cases.iter().zip(&errors) {
        let told = error.to_string();
        assert!(told.contains(name) && told.contains(advice), "{told}");
    }
}

#[test]
fn a_file_that_is_no_database_is_refused() {
    let valid = single(country("DE")).encode();
    let marker = valid.len() - metadata(&valid).len();
    let cases: [(&str, &[u8]); 5] = [
        ("nothing", b""),
        ("text", b"a,b,c\n"),
        ("a packed file", b"\x1f\x8b\x08\x00\x00\x00\x00\x00"),
        ("half a file", &valid[..valid.len() / 2]),
        ("no metadata", &valid[..marker]),
    ];
    let folder = Folder::new();
    for (case, octets) in cases {
        let told = refused(&folder.write_octets("case.mmdb", octets)).to_string();
        assert!(
            told.contains("case.mmdb: is not a usable MMDB"),
            "{case}: {told}"
        );
    }
}

#[test]
fn a_database_of_other_things_is_refused() {
    let folder = Folder::new();
    let cases = [
        ("no networks", Mmdb::new("Test")),
        ("another kind", single(json!({"is_anonymous": true}))),
    ];
    for (case, database) in cases {
        let told = refused(&folder.write("other.mmdb", &database)).to_string();
        assert!(
            told.contains("tells neither countries nor"),
            "{case}: {told}"
        );
    }
}

#[test]
fn several_databases_complete_each_other() {
    let folder = Folder::new();
    let files = [
        single(country("DE")),
        single(json!({"asn": "AS64496"})).network("198.51.100.0/24", country("SE")),
        single(json!({"country": "FR", "continent": "EU", "asn": "AS64496", "as_name": "Net"})),
    ];
    let name = |(index, database)| folder.write(&format!("{index}.mmdb"), database);
    let files: Vec<_> = files.iter().enumerate().map(name).collect();
    let databases = open(&files);
    assert_eq!(
        locate(&databases, "192.0.2.1"),
        both(at("DE", "EU"), of(64496, "Net"))
    );
    assert_eq!(locate(&databases, "198.51.100.1"), at("SE", ""));
}

#[test]
fn a_long_or_hostile_organisation_is_made_fit_for_a_label() {
    let name = format!("a\nb\u{0}c{}", "ä".repeat(500));
    let folder = Folder::new();
    let file = folder.write("org.mmdb", &single(json!({"asn": 64496, "as_name": name})));
    let found = locate(&open(&[file]), "192.0.2.1");
    let expected = format!("a\u{fffd}b\u{fffd}c{}", "ä".repeat(123));
    assert_eq!(found.as_org.as_deref(), Some(expected.as_str()));
}

#[test]
fn a_replaced_file_tells_anew_and_a_broken_one_changes_nothing() {
    let folder = Folder::new();
    let countries = folder.write("country.mmdb", &single(country("DE")));
    let systems = folder.write("asn.mmdb", &single(json!({"asn": 64496})));
    let first = open(&[countries.clone(), systems]);
    // One cache through all of it: nothing of one set may be told for another.
    let mut cache = RecordCache::new(16);
    let mut ask = |databases: &Databases| databases.locate(address("192.0.2.1"), &mut cache);
    assert_eq!(ask(&first), both(at("DE", ""), of(64496, "")));

    folder.write("country.mmdb", &single(country("FR")));
    let second = first.with_replaced(&countries).expect("valid");
    assert_eq!(ask(&second), both(at("FR", ""), of(64496, "")));
    assert_eq!(ask(&first), both(at("DE", ""), of(64496, "")));

    // In place, as `cp` does it, under the databases that are in use.
    let whole = fs::read(&countries).expect("read");
    fs::write(&countries, &whole[..whole.len() / 2]).expect("truncated");
    let error = second.with_replaced(&countries).expect_err("half a file");
    assert_eq!(error.file(), countries);
    assert_eq!(ask(&second), both(at("FR", ""), of(64496, "")));
}

#[test]
fn states_tell_what_is_loaded() {
    let folder = Folder::new();
    let database = single(country("DE"))
        .network("198.51.100.0/24", country("DE"))
        .network("203.0.113.0/24", country("FR"))
        .built(1_600_000_000);
    let file = folder.write("state.mmdb", &database);
    let [state] = <[_; 1]>::try_from(open(std::slice::from_ref(&file)).states()).expect("one");
    assert_eq!(state.file, file);
    assert_eq!(state.database_type, "Test");
    assert_eq!(state.build_epoch, 1_600_000_000);
    assert_eq!(state.records, 2);
    assert_eq!(state.size, fs::metadata(&file).expect("there").len());
    assert!(state.loaded.elapsed().expect("in the past") < FOREVER);
}

/// What follows the last marker, and the marker.
fn metadata(octets: &[u8]) -> &[u8] {
    let mut windows = octets.windows(METADATA_MARKER.len());
    let start = windows.rposition(|window| window == METADATA_MARKER);
    &octets[start.expect("metadata")..]
}

/// A chain of 128 nodes to `::1`, of 24 bits a side, and changes to its nodes.
fn chain(change: impl Fn(usize, &mut [u32; 2])) -> Vec<u8> {
    let database = Mmdb::new("Test").record_size(RecordSize::Bits24);
    let mut octets = database.network("::1/128", country("DE")).encode();
    for (number, node) in octets.chunks_exact_mut(6).take(128).enumerate() {
        let side = |octets: &[u8]| u32::from_be_bytes([0, octets[0], octets[1], octets[2]]);
        let mut sides = [side(&node[..3]), side(&node[3..])];
        change(number, &mut sides);
        node[..3].copy_from_slice(&sides[0].to_be_bytes()[1..]);
        node[3..].copy_from_slice(&sides[1].to_be_bytes()[1..]);
    }
    octets
}

/// 128 nodes whose sides are the same have 2^128 paths.
#[test]
fn a_tree_of_more_paths_than_can_be_walked_is_seen_in_a_moment() {
    let folder = Folder::new();
    let octets = chain(|number, sides| {
        if number < 127 {
            sides[1] = sides[0];
        }
    });
    let start = Instant::now();
    let databases = open(&[folder.write_octets("paths.mmdb", &octets)]);
    assert_eq!(locate(&databases, "2001:db8::1"), at("DE", ""));
    assert!(start.elapsed() < FOREVER);
}

#[test]
fn a_damaged_tree_is_refused() {
    let too_deep = {
        let mut octets = chain(|_, _| {});
        let name = b"ip_version";
        let start = octets
            .windows(name.len())
            .rposition(|window| window == name);
        let value = start.expect("in the metadata") + name.len() + 1;
        assert_eq!(octets[value], 6);
        octets[value] = 4;
        octets
    };
    let no_separator = {
        let mut octets = chain(|_, _| {});
        octets[128 * 6 + 3] = 1;
        octets
    };
    let at = |node: usize, child: u32| {
        chain(move |number, sides| {
            if number == node {
                sides[1] = child;
            }
        })
    };
    let cases = [
        ("to itself", at(5, 5), "a loop"),
        ("to the root", at(127, 0), "a loop"),
        ("into the separator", at(5, 128 + 1), "no record"),
        ("behind the records", at(5, 0xff_ffff), "no record"),
        ("into the metadata", at(5, 128 + 16 + 60), "database: "),
        ("too deep", too_deep, "deeper than an address"),
        ("no separator", no_separator, "nothing separates"),
    ];
    let folder = Folder::new();
    for (case, octets, expected) in cases {
        let told = refused(&folder.write_octets("tree.mmdb", &octets)).to_string();
        assert!(told.contains(expected), "{case}: {told}");
    }
}

#[test]
fn a_record_that_is_too_much_work_is_refused() {
    let deep = (0..100).fold(json!(0), |inner, _| json!([inner]));
    let many: Vec<u32> = (0..5000).collect();
    // A text of 64,000 octets that 2,000 records share: each is small in the
    // file, and all of them together would be 128 million octets of work.
    let text = "x".repeat(64_000);
    let mut amplified = Mmdb::new("Test");
    for number in 0..2000_u32 {
        let prefix = format!("10.{}.{}.0/24", number >> 8, number & 255);
        let record = json!({"country": "DE", "number": number, "text": text});
        amplified.add(prefix.parse().expect("a prefix"), record);
    }
    let cases = [
        (
            "many values",
            single(json!({"a": many, "country": "DE"})),
            "too many values",
        ),
        (
            "a long text",
            single(json!({"a": "x".repeat(1 << 20)})),
            "too many values",
        ),
        (
            "nested",
            single(json!({"a": deep, "country": "DE"})),
            "too deeply",
        ),
        ("amplified", amplified, "more than the file can hold"),
    ];
    let folder = Folder::new();
    for (case, database, expected) in cases {
        let told = refused(&folder.write("work.mmdb", &database)).to_string();
        assert!(told.contains(expected), "{case}: {told}");
    }
}

fn sample() -> Mmdb {
    let mut database = Mmdb::new("GeoIP2-Enterprise").family(Family::Aliased);
    for number in 0..64_u32 {
        let record = json!({
            "country": {"iso_code": "DE", "names": {"de": "Deutschland", "en": "Germany"}},
            "continent": {"code": "EU"},
            "traits": {"autonomous_system_number": 64496 + number % 16,
                       "autonomous_system_organization": format!("Example {number}")},
            "subdivisions": [{"iso_code": "XX"}, number, -1, 0.5, true],
        });
        let fourth = format!("10.{number}.0.0/16");
        let sixth = format!("2001:db8:{number:x}::/48");
        database.add(fourth.parse().expect("a prefix"), record.clone());
        database.add(sixth.parse().expect("a prefix"), record);
    }
    database
}

/// Whatever is done to a file, it is refused, or opened and asked, in a moment.
#[test]
fn damage_at_random_never_does_harm() {
    let folder = Folder::new();
    let mut random = Random::new(4);
    for size in [RecordSize::Bits24, RecordSize::Bits28, RecordSize::Bits32] {
        let whole = sample().record_size(size).encode();
        let mut opened = 0;
        for round in 0..700 {
            let damaged = damage(&whole, &mut random);
            let file = folder.write_octets("damaged.mmdb", &damaged);
            let start = Instant::now();
            if let Ok(databases) = Databases::open(&[file]) {
                opened += 1;
                let mut cache = RecordCache::new(64);
                for _ in 0..200 {
                    std::hint::black_box(databases.locate(somewhere(&mut random), &mut cache));
                }
            }
            assert!(start.elapsed() < FOREVER, "{size:?}, round {round}");
        }
        // Both ends of it are looked at.
        assert!((1..700).contains(&opened), "{size:?}: {opened} were opened");
    }
}

/// A few octets changed, and sometimes the end cut off.
fn damage(whole: &[u8], random: &mut Random) -> Vec<u8> {
    let mut octets = whole.to_vec();
    for _ in 0..=random.below(8) {
        // Half of the damage goes to the end, where the metadata are.
        let region = if random.below(2) == 0 {
            octets.len()
        } else {
            300
        };
        let place = octets.len() - 1 - random.below(region);
        octets[place] = if random.below(2) == 0 {
            octets[place] ^ 1 << random.below(8)
        } else {
            random.below(256) as u8
        };
    }
    if random.below(8) == 0 {
        octets.truncate(random.below(whole.len()));
    }
    octets
}

/// An address, mostly one of the sample's.
fn somewhere(random: &mut Random) -> IpAddr {
    let number = random.number() as u32;
    match random.below(4) {
        0 => IpAddr::V4((number & 0x003f_ffff | 0x0a00_0000).into()),
        1 => IpAddr::V4(number.into()),
        2 => {
            let bits = 0x2001_0db8_u128 << 96 | u128::from(number & 63) << 80;
            IpAddr::V6(bits.into())
        }
        _ => IpAddr::V6((u128::from(random.number()) << 64 | u128::from(number)).into()),
    }
}

/// Tells what opening and asking a large database costs, in time of the processor:
/// `cargo test --release -p integration-tests --test geo_databases -- --ignored --nocapture`
#[test]
#[ignore = "a measurement"]
fn cost_of_large_databases() {
    const NETWORKS: u32 = 500_000;
    let folder = Folder::new();
    let start = thread_time();
    let countries = folder.write(
        "country.mmdb",
        &large(NETWORKS, |n| {
            let code = [b'A' + (n % 25) as u8, b'A' + (n / 25 % 10) as u8];
            country(std::str::from_utf8(&code).expect("letters"))
        }),
    );
    let systems = folder.write(
        "asn.mmdb",
        &large(NETWORKS, |n| {
            let number = n % 80_000;
            json!({"autonomous_system_number": number + 1,
               "autonomous_system_organization": format!("Example {number}")})
        }),
    );
    let everything = folder.write(
        "all.mmdb",
        &large(2 * NETWORKS, |n| {
            json!({"country_code": "DE", "continent_code": "EU", "asn": format!("AS{n}"),
               "as_name": format!("Example {n}")})
        }),
    );
    told("written", thread_time() - start, 1);

    for file in [&countries, &systems, &everything] {
        let start = thread_time();
        let state = Database::open(file).expect("valid").state().clone();
        let what = format!("open {} octets, {} records", state.size, state.records);
        told(&what, thread_time() - start, 1);
        let reader = maxminddb::Reader::open_readfile(file).expect("readable");
        let start = thread_time();
        reader.verify().expect("valid");
        told("the reader's own verification", thread_time() - start, 1);
    }

    for (name, files) in [
        ("countries", vec![countries.clone()]),
        ("systems", vec![systems.clone()]),
        ("both", vec![countries, systems]),
    ] {
        let databases = open(&files);
        for (capacity, clients, case) in [
            (1, NETWORKS, "all networks, no cache"),
            (16_384, NETWORKS, "all networks"),
            (1, 10_000, "10,000 networks, no cache"),
            (16_384, 10_000, "10,000 networks"),
        ] {
            let mut cache = RecordCache::new(capacity);
            pass(&databases, &mut cache, clients);
            let start = thread_time();
            let known = pass(&databases, &mut cache, clients);
            told(
                &format!("locate in {name}, {case}"),
                thread_time() - start,
                known,
            );
        }
    }
}

/// So many /24, spread over all of IPv4.
fn large(networks: u32, record: impl Fn(u32) -> Value) -> Mmdb {
    let mut database = Mmdb::new("Large");
    for number in 0..networks {
        database.add(
            ipnet::IpNet::new(nth(number), 24).expect("a prefix"),
            record(number),
        );
    }
    database
}

fn nth(number: u32) -> IpAddr {
    // An odd factor reaches every /24 once.
    let prefix = number.wrapping_mul(0x009e_3779) & 0x00ff_ffff;
    IpAddr::V4((prefix << 8).into())
}

/// Asks a million times for the first so many networks, in no order.
fn pass(databases: &Databases, cache: &mut RecordCache, networks: u32) -> u32 {
    let mut random = Random::new(1);
    let mut known = 0;
    for _ in 0..1_000_000 {
        let client = nth(random.below(networks as usize) as u32);
        known += u32::from(databases.locate(client, cache) != Location::default());
    }
    known
}

fn told(what: &str, time: Duration, times: u32) {
    use std::io::Write as _;
    let line = format!("{what}: {:.1?} each\n", time / times);
    std::io::stderr().write_all(line.as_bytes()).expect("told");
}

/// Time that this thread had a processor, whatever else runs on the machine.
fn thread_time() -> Duration {
    let clock = nix::time::ClockId::CLOCK_THREAD_CPUTIME_ID;
    nix::time::clock_gettime(clock).expect("a clock").into()
}
