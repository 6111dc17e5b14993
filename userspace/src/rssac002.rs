//! RSSAC002: what root server operators publish of each day, version 4 of the
//! advisory: `traffic-volume`, `traffic-sizes`, `rcode-volume`,
//! `unique-sources`. What takes other sources than traffic, `load-time` and
//! `zone-size`, is not here.
//!
//! A [`Day`] is what one node has counted. `partial` keeps it in a file, which
//! is both the state that survives a restart and what the days of several nodes
//! are merged from; `yaml` writes what is published.
//!
//! All counts are exact but `unique-sources`, which are estimates with a
//! standard error of 0.6 %: a set of millions per node cannot be sent around.

pub mod command;
mod journal;
mod partial;
#[cfg(test)]
mod tests;
mod yaml;

use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use dns_wire::counters::{Counters, Qr, RCODES as RCODE_SLOTS, Role, SIZE_BIN};
use dns_wire::locate::{Family, Transport};
use jiff::{Timestamp, civil::Date, tz::TimeZone};

use crate::stats::distinct::Distinct;
use crate::stats::sketches::{Clients, OtherKey};

pub use journal::Journal;
pub use partial::{read_partial, write_partial};
use yaml::first_file;
pub use yaml::{check_service, write_files};

dns_wire::table! {
    /// The counters of `traffic-volume`.
    pub enum Volume {
        /// Queries over UDP and IPv4.
        UdpQueriesIpv4 = "dns-udp-queries-received-ipv4",
        /// Queries over UDP and IPv6.
        UdpQueriesIpv6 = "dns-udp-queries-received-ipv6",
        /// Queries over TCP and IPv4.
        TcpQueriesIpv4 = "dns-tcp-queries-received-ipv4",
        /// Queries over TCP and IPv6.
        TcpQueriesIpv6 = "dns-tcp-queries-received-ipv6",
        /// Responses over UDP and IPv4.
        UdpResponsesIpv4 = "dns-udp-responses-sent-ipv4",
        /// Responses over UDP and IPv6.
        UdpResponsesIpv6 = "dns-udp-responses-sent-ipv6",
        /// Responses over TCP and IPv4.
        TcpResponsesIpv4 = "dns-tcp-responses-sent-ipv4",
        /// Responses over TCP and IPv6.
        TcpResponsesIpv6 = "dns-tcp-responses-sent-ipv6",
    }
}

dns_wire::table! {
    /// The maps of `traffic-sizes`.
    pub enum Sizes {
        /// Queries over UDP.
        UdpRequest = "udp-request-sizes",
        /// Responses over UDP.
        UdpResponse = "udp-response-sizes",
        /// Queries over TCP.
        TcpRequest = "tcp-request-sizes",
        /// Responses over TCP.
        TcpResponse = "tcp-response-sizes",
    }
}

dns_wire::table! {
    /// The counts of `unique-sources`.
    pub enum Sources {
        /// IPv4 addresses.
        Ipv4 = "num-sources-ipv4",
        /// IPv6 addresses.
        Ipv6 = "num-sources-ipv6",
        /// IPv6 networks of 64 bits.
        Ipv6Aggregate = "num-sources-ipv6-aggregate",
    }
}

/// Octets in a bin of sizes.
const BIN: usize = SIZE_BIN;

/// RCODEs have 12 bits (RFC 6891, section 6.1.3).
const RCODES: u16 = 1 << 12;

/// Messages of one kind that were exchanged with the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exchanged {
    /// Queries that were received, or responses that were sent.
    pub qr: Qr,
    /// What they came by.
    pub transport: Transport,
    /// Likewise.
    pub family: Family,
    /// Octets of each, without the length that TCP puts before it.
    pub size: usize,
    /// RCODE of 12 bits; only that of responses is counted.
    pub rcode: u16,
    /// How many.
    pub count: u64,
}

/// What one UTC day was like, on one node or on several.
#[derive(Clone, Debug)]
pub struct Day {
    date: Date,
    volume: [u64; Volume::COUNT],
    /// By bin; as long as the last that counted.
    sizes: [Vec<u64>; Sizes::COUNT],
    rcodes: BTreeMap<u16, u64>,
    sources: Clients,
}

/// Why something was not read, written or merged.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The system refused.
    #[error("cannot use {path}: {cause}; check the path and its permissions")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The system's answer, which the message has already.
        cause: io::Error,
    },
    /// A file is not what was asked for.
    #[error("{path}: {message}; was it written by xdsc, and is it whole?")]
    NotPartial {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        message: String,
    },
    /// Days that cannot be one.
    #[error("{theirs} is another day than {ours}; merge files of one day")]
    OtherDay {
        /// The day that was merged into.
        ours: Date,
        /// The other one.
        theirs: Date,
    },
    /// Sources that cannot be counted together.
    #[error(
        "its sources were hashed with another key: count all nodes with the same --service and --secret-file"
    )]
    OtherKey,
    /// What no service is called.
    #[error("{name:?} is not the name of a service; write one such as `a.root-servers.net`")]
    Service {
        /// The name.
        name: String,
    },
}

impl Volume {
    /// The counter of messages; `None` for those of neither family.
    #[must_use]
    pub const fn of(qr: Qr, transport: Transport, family: Family) -> Option<Self> {
        Some(match (qr, transport, family) {
            (Qr::Query, Transport::Udp, Family::Ipv4) => Self::UdpQueriesIpv4,
            (Qr::Query, Transport::Udp, Family::Ipv6) => Self::UdpQueriesIpv6,
            (Qr::Query, Transport::Tcp, Family::Ipv4) => Self::TcpQueriesIpv4,
            (Qr::Query, Transport::Tcp, Family::Ipv6) => Self::TcpQueriesIpv6,
            (Qr::Response, Transport::Udp, Family::Ipv4) => Self::UdpResponsesIpv4,
            (Qr::Response, Transport::Udp, Family::Ipv6) => Self::UdpResponsesIpv6,
            (Qr::Response, Transport::Tcp, Family::Ipv4) => Self::TcpResponsesIpv4,
            (Qr::Response, Transport::Tcp, Family::Ipv6) => Self::TcpResponsesIpv6,
            (Qr::Query | Qr::Response, Transport::Udp | Transport::Tcp, Family::Other) => {
                return None;
            }
        })
    }
}

impl Sizes {
    /// The map of messages.
    #[must_use]
    pub const fn of(qr: Qr, transport: Transport) -> Self {
        match (qr, transport) {
            (Qr::Query, Transport::Udp) => Self::UdpRequest,
            (Qr::Query, Transport::Tcp) => Self::TcpRequest,
            (Qr::Response, Transport::Udp) => Self::UdpResponse,
            (Qr::Response, Transport::Tcp) => Self::TcpResponse,
        }
    }

    /// The bin that has no upper end: from 288 octets on, or 4096.
    const fn last_bin(self) -> usize {
        match self {
            Self::UdpRequest | Self::TcpRequest => 288 / BIN,
            Self::UdpResponse | Self::TcpResponse => 4096 / BIN,
        }
    }

    /// A bin as it is written, such as `16-31`.
    fn bin_label(self, bin: usize) -> String {
        let start = bin * BIN;
        if bin >= self.last_bin() {
            return format!("{start}-");
        }
        format!("{start}-{}", start + BIN - 1)
    }
}

impl Sources {
    const fn of(self, clients: &Clients) -> &Distinct {
        match self {
            Self::Ipv4 => &clients.ipv4,
            Self::Ipv6 => &clients.ipv6,
            Self::Ipv6Aggregate => &clients.ipv6_networks,
        }
    }
}

impl Day {
    /// A day on which nothing has happened yet.
    #[must_use]
    pub fn new(date: Date) -> Self {
        Self {
            date,
            volume: [0; Volume::COUNT],
            sizes: [const { Vec::new() }; Sizes::COUNT],
            rcodes: BTreeMap::new(),
            sources: Clients::default(),
        }
    }

    /// Which day it is, in UTC.
    #[must_use]
    pub const fn date(&self) -> Date {
        self.date
    }

    /// Counts messages: queries that the server received, responses that it
    /// sent. The source of queries is added by [`Day::add_sources`].
    pub fn add(&mut self, messages: Exchanged) {
        let Exchanged {
            qr,
            transport,
            family,
            size,
            rcode,
            count,
        } = messages;
        let Some(volume) = Volume::of(qr, transport, family) else {
            return;
        };
        self.add_volume(volume, count);
        self.add_size(Sizes::of(qr, transport), size, count);
        if qr == Qr::Response {
            self.add_rcode(rcode, count);
        }
    }

    /// Counts the messages of counters, with their sizes: those of the role
    /// server.
    pub fn add_messages(&mut self, counters: &Counters) {
        for qr in Qr::ALL.iter().copied() {
            for transport in Transport::ALL.iter().copied() {
                for family in [Family::Ipv4, Family::Ipv6] {
                    let (messages, _) = counters.messages(Role::Server, qr, family, transport);
                    if let Some(volume) = Volume::of(qr, transport, family) {
                        self.add_volume(volume, messages);
                    }
                }
                let bins = counters.sizes(Role::Server, qr, transport);
                for (bin, count) in bins.iter().enumerate() {
                    self.add_bin(Sizes::of(qr, transport), bin, *count);
                }
            }
        }
    }

    /// Counts the RCODEs of counters: 0 to 30. Those above, none of which is
    /// assigned, share a counter and count as 31.
    pub fn add_rcodes(&mut self, counters: &Counters) {
        for (slot, rcode) in (0..RCODE_SLOTS).zip(0..) {
            self.add_rcode(rcode, counters.rcode(Role::Server, slot));
        }
    }

    /// Adds to a counter of `traffic-volume`.
    pub fn add_volume(&mut self, volume: Volume, count: u64) {
        increase(&mut self.volume[volume.index()], count);
    }

    /// Adds to a map of `traffic-sizes`, by the octets of a message.
    pub fn add_size(&mut self, sizes: Sizes, octets: usize, count: u64) {
        let bin = (octets / BIN).min(sizes.last_bin());
        self.add_bin(sizes, bin, count);
    }

    /// Adds to `rcode-volume`. What has more than 12 bits is no RCODE.
    pub fn add_rcode(&mut self, rcode: u16, count: u64) {
        if rcode < RCODES && count > 0 {
            increase(self.rcodes.entry(rcode).or_default(), count);
        }
    }

    /// Adds the sources of many queries.
    ///
    /// # Errors
    /// When they were hashed with another key than those before.
    pub fn add_sources(&mut self, sources: &Clients) -> Result<(), Error> {
        self.sources
            .merge(sources)
            .map_err(|OtherKey| Error::OtherKey)
    }

    /// Adds what another node has counted on that day, or the same one before
    /// it was restarted.
    ///
    /// # Errors
    /// When it is another day, or its sources were hashed with another key.
    pub fn merge(&mut self, other: &Self) -> Result<(), Error> {
        if self.date != other.date {
            return Err(Error::OtherDay {
                ours: self.date,
                theirs: other.date,
            });
        }
        self.add_sources(&other.sources)?;
        for (ours, theirs) in self.volume.iter_mut().zip(other.volume) {
            increase(ours, theirs);
        }
        for sizes in Sizes::ALL {
            for (bin, count) in other.sizes[sizes.index()].iter().enumerate() {
                self.add_bin(*sizes, bin, *count);
            }
        }
        for (rcode, count) in &other.rcodes {
            self.add_rcode(*rcode, *count);
        }
        Ok(())
    }

    fn add_bin(&mut self, sizes: Sizes, bin: usize, count: u64) {
        if count == 0 {
            return;
        }
        let bins = &mut self.sizes[sizes.index()];
        if bins.len() <= bin {
            bins.resize(bin + 1, 0);
        }
        increase(&mut bins[bin], count);
    }

    /// The bins that counted, and how much.
    fn bins(&self, sizes: Sizes) -> impl Iterator<Item = (String, u64)> {
        let counts = self.sizes[sizes.index()].iter().copied().enumerate();
        counts
            .filter(|(_, count)| *count > 0)
            .map(move |(bin, count)| (sizes.bin_label(bin), count))
    }
}

fn increase(counter: &mut u64, count: u64) {
    *counter = counter.saturating_add(count);
}

/// Where the partial file of a day is.
fn partial_path(folder: &Path, date: Date) -> PathBuf {
    folder.join(format!("{}.json", date.strftime("%Y%m%d")))
}

/// The UTC day of a time in seconds since the Unix epoch.
#[must_use]
pub fn date_of(unix_s: u64) -> Date {
    let seconds = i64::try_from(unix_s).unwrap_or(i64::MAX);
    let time = Timestamp::from_second(seconds).unwrap_or(Timestamp::MAX);
    time.to_zoned(TimeZone::UTC).date()
}

fn create_folder(folder: &Path) -> Result<(), Error> {
    std::fs::create_dir_all(folder).map_err(|cause| Error::Io {
        path: folder.to_owned(),
        cause,
    })
}

/// A file that appears under its name when it is whole and on the disk.
fn write_whole(path: &Path, contents: &[u8]) -> Result<(), Error> {
    write_and_rename(path, contents).map_err(|cause| Error::Io {
        path: path.to_owned(),
        cause,
    })
}

fn write_and_rename(path: &Path, contents: &[u8]) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        Some(_) | None => Path::new("."),
    };
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(contents)?;
    let mode = std::fs::Permissions::from_mode(0o644);
    file.as_file().set_permissions(mode)?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}
