//! What several databases say together.

use super::*;

fn told(asn: Option<u32>, org: Option<&str>) -> Location {
    Location {
        asn,
        as_org: org.map(Arc::from),
        ..Location::default()
    }
}

#[test]
fn the_first_database_that_knows_a_value_tells_it() {
    let mut location = Location {
        country: Some(*b"DE"),
        ..told(None, None)
    };
    location.complete(&Location {
        country: Some(*b"FR"),
        continent: Some(*b"EU"),
        ..told(Some(64496), Some("example"))
    });
    let expected = Location {
        country: Some(*b"DE"),
        continent: Some(*b"EU"),
        ..told(Some(64496), Some("example"))
    };
    assert_eq!(location, expected);
    assert!(location.is_complete());
}

#[test]
fn an_organisation_is_that_of_the_system_that_is_told() {
    let number = Some(64496);
    let cases = [
        ("the same system", number, number, Some("example")),
        ("another system", number, Some(64497), None),
        ("a name alone", number, None, Some("example")),
        ("no system yet", None, number, Some("example")),
    ];
    for (case, first, second, expected) in cases {
        let mut location = told(first, None);
        location.complete(&told(second, Some("example")));
        assert_eq!(location, told(number, expected), "{case}");
    }
}

#[test]
fn no_databases_know_nothing() {
    let databases = Databases::open(&[]).expect("nothing to fail");
    let mut cache = RecordCache::default();
    let address = "192.0.2.1".parse().expect("address");
    assert_eq!(databases.locate(address, &mut cache), Location::default());
    assert!(!databases.knows_country());
    assert!(!databases.knows_asn());
    assert_eq!(databases.states(), []);
}

#[test]
fn all_errors_are_told_together() {
    let files = ["/nonexistent/first.mmdb", "/dev/null"].map(PathBuf::from);
    let errors = Databases::open(&files).expect_err("neither is a database");
    let told: Vec<String> = errors.iter().map(ToString::to_string).collect();
    assert_eq!(told.len(), 2);
    assert!(told[0].starts_with("/nonexistent/first.mmdb: cannot be read: "));
    assert!(told[1].starts_with("/dev/null: is not a regular file"));
}

#[test]
fn a_file_that_is_not_in_use_replaces_nothing() {
    let databases = Databases::default();
    let error = databases.with_replaced(Path::new("/nonexistent/a.mmdb"));
    let error = error.expect_err("nothing to replace");
    assert!(matches!(error.reason(), Reason::NotInUse));
}
