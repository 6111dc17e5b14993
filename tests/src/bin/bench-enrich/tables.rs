//! The tables that the made-up traffic is looked up in: half a million networks
//! with a country and an autonomous system each, thousands of networks that are
//! known by name, and of customers.

use std::{
    fmt::Write as _,
    fs,
    net::{Ipv4Addr, Ipv6Addr},
    path::Path,
};

use anyhow::Result;
use integration_tests::mmdb::Mmdb;
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use serde_json::{Value, json};
use xdsc::config::Config;

/// Networks in each database.
const NETWORKS: u32 = 500_000;
/// Of which so many are of IPv4: 11.0.0.0 to 63.255.255.255, as /20.
const IPV4_NETWORKS: u32 = 0x3500_0000 >> 12;
const COUNTRIES: u32 = 240;
const SYSTEMS: u32 = 60_000;

/// Writes all tables into a folder; a configuration that names them.
pub(crate) fn write(folder: &Path) -> Result<Config> {
    let path = |name: &str| folder.join(name).display().to_string();
    let mut config = Config::default();
    config.geoip.databases = vec![path("country.mmdb"), path("asn.mmdb")];
    config.networks.file = path("networks.csv");
    config.customers.file = path("customers.csv");
    database("Bench-Country", country).write(&folder.join("country.mmdb"))?;
    database("Bench-ASN", system).write(&folder.join("asn.mmdb"))?;
    fs::write(&config.networks.file, networks()?)?;
    fs::write(&config.customers.file, customers()?)?;
    Ok(config)
}

fn database(name: &str, record: impl Fn(u32) -> Value) -> Mmdb {
    let mut database = Mmdb::new(name);
    for number in 0..NETWORKS {
        database.add(network(number), record(number));
    }
    database
}

/// Those that the clients of the traffic lie in.
fn network(number: u32) -> IpNet {
    match number.checked_sub(IPV4_NETWORKS) {
        None => ipv4(number),
        Some(number) => {
            let address = 0x2a00_u128 << 112 | u128::from(number) << 88;
            IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::from(address), 40))
        }
    }
}

fn ipv4(number: u32) -> IpNet {
    let address = Ipv4Addr::from(0x0b00_0000 + (number << 12));
    IpNet::V4(Ipv4Net::new_assert(address, 20))
}

fn country(number: u32) -> Value {
    let number = number.wrapping_mul(0x9e37_79b1) % COUNTRIES;
    let letter = |n: u32| char::from(b'A' + (n % 26) as u8);
    let continents = ["AF", "AN", "AS", "EU", "NA", "OC", "SA"];
    json!({
        "country": { "iso_code": format!("{}{}", letter(number / 26), letter(number)) },
        "continent": { "code": continents[number as usize % continents.len()] },
    })
}

fn system(number: u32) -> Value {
    let number = number.wrapping_mul(0x9e37_79b1) % SYSTEMS;
    json!({
        "autonomous_system_number": 100_000 + number,
        "autonomous_system_organization": format!("Example Organisation {number}"),
    })
}

/// Each eighth network of IPv4, by a thousand names.
fn networks() -> Result<String> {
    let mut lines = String::new();
    for number in (0..IPV4_NETWORKS).step_by(8) {
        let name = number / 8 % 1000;
        writeln!(lines, "{},network-{name}", ipv4(number))?;
    }
    Ok(lines)
}

/// Ten thousand zones and ten thousand networks, of a thousand customers.
fn customers() -> Result<String> {
    let mut lines = String::new();
    for number in 0..5_000 {
        for tld in ["com", "net"] {
            let name = number % 1000;
            writeln!(lines, "domain-{number}.{tld},Customer {name}")?;
        }
    }
    for number in (0..IPV4_NETWORKS).step_by(20) {
        let name = number / 20 % 1000;
        writeln!(lines, "{},Customer {name}", ipv4(number))?;
    }
    Ok(lines)
}
