//! The traffic that is measured, as captures.

use std::{
    fs::File,
    io::{BufWriter, Write as _},
    net::{IpAddr, Ipv4Addr},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use integration_tests::traffic::{Exchange, Profile, Traffic, Truth, write_pcap};

/// Queries of a capture of returning clients; they fit into a minute.
const EXCHANGES: usize = 500_000;
/// Clients who are seen once each.
const STRANGERS: usize = 1_000_000;
const QUERIES_PER_SECOND: u64 = 20_000;
const MINUTE_NS: u64 = 60_000_000_000;
const SEED: u64 = 1;

/// Whose traffic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Some thousand clients and names.
    Few,
    /// Some ten thousand: more than the processor's caches hold.
    Many,
    /// Clients who are seen once each.
    Strangers,
}

/// Captures of one kind.
pub(crate) struct Captures {
    /// What is read before, so that the caches know the clients.
    pub(crate) warm_up: Option<PathBuf>,
    /// What is measured.
    pub(crate) counted: PathBuf,
    /// Messages of that.
    pub(crate) messages: u64,
}

impl Kind {
    pub(crate) const ALL: [Self; 3] = [Self::Few, Self::Many, Self::Strangers];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Few => "few",
            Self::Many => "many",
            Self::Strangers => "strangers",
        }
    }

    /// What its figures are called: plain, enriched, and their ratio.
    pub(crate) const fn keys(self) -> [&'static str; 3] {
        match self {
            Self::Few => ["plain_ns", "enriched_ns", "ratio"],
            Self::Many => ["plain_many_ns", "enriched_many_ns", "ratio_many"],
            Self::Strangers => ["cold_plain_ns", "cold_ns", "ratio_cold"],
        }
    }
}

impl Captures {
    /// Writes them into a folder.
    pub(crate) fn write(kind: Kind, folder: &Path) -> Result<Self> {
        let path = |minute: u64| folder.join(format!("{}-{minute}.pcap", kind.name()));
        let first = path(0);
        let mut messages = write(kind, 0, &first)?;
        if kind == Kind::Strangers {
            return Ok(Self {
                warm_up: None,
                counted: first,
                messages,
            });
        }
        let second = path(1);
        messages = write(kind, MINUTE_NS, &second)?;
        Ok(Self {
            warm_up: Some(first),
            counted: second,
            messages,
        })
    }
}

/// The same exchanges for any time; how many messages they are.
fn write(kind: Kind, later_ns: u64, path: &Path) -> Result<u64> {
    let (profile, count) = match kind {
        Kind::Few => (Profile::Few, EXCHANGES),
        Kind::Many => (Profile::Everyday, EXCHANGES),
        Kind::Strangers => (Profile::Few, STRANGERS),
    };
    let traffic = Traffic::new(profile, SEED, QUERIES_PER_SECOND).take(count);
    let exchanges = (0..).zip(traffic).map(|(number, exchange)| Exchange {
        time_ns: exchange.time_ns + later_ns,
        client: match kind {
            Kind::Strangers => stranger(number),
            Kind::Few | Kind::Many => exchange.client,
        },
        ..exchange
    });
    let mut truth = Truth {
        numbers_only: true,
        ..Truth::default()
    };
    let mut out = BufWriter::new(File::create(path).context("a capture")?);
    let messages = write_pcap(exchanges, &mut out, &mut truth)?;
    out.flush()?;
    Ok(messages)
}

/// Addresses all over 11.0.0.0 to 63.255.255.255, no two of them the same.
fn stranger(number: u32) -> IpAddr {
    let spread = number.wrapping_mul(0x9e37_79b1) % 0x3500_0000;
    IpAddr::V4(Ipv4Addr::from(0x0b00_0000 + spread))
}
