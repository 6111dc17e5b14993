//! DSC's own configuration, dsc.conf(5), so that whoever moves from DSC brings
//! theirs along.
//!
//! A statement is a line: `name argument... ;`. `statement` cuts a file into
//! them, `reader` gives each its meaning with the help of `judge`, `dataset` does so for the one that
//! has a grammar of its own, `local_address` and `posix_regex` for two kinds of
//! arguments. Reading never stops at the first error. What is understood and
//! yet not done is told, never passed over in silence: [`DscConf::ignored`], and
//! for captures [`DscConf::idle`].
//!
//! The path of a file or folder that is relative is taken from the folder of
//! the configuration. DSC takes it from wherever it was started, or from
//! `run_dir` when that stands further up.

mod dataset;
mod idle;
mod judge;
mod local_address;
mod plan;
mod posix_regex;
mod reader;
mod statement;
#[cfg(test)]
mod tests;

use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};

use crate::config::{ConfigErrors, LoadError};
use crate::export::dsc::Format;
use crate::stats::{dataset::Dataset, response_time};

pub use idle::Use;
pub use local_address::LocalAddress;
pub use plan::PlanError;
pub use reader::Directive;

/// What a dsc.conf says. What it leaves out has DSC's default.
#[derive(Clone, Debug)]
pub struct DscConf {
    /// The addresses that tell sent packets from received ones.
    pub local_addresses: Vec<LocalAddress>,
    /// The port on which DNS is spoken.
    pub dns_port: u16,
    /// Where DSC writes its files.
    pub run_dir: Option<PathBuf>,
    /// Octets that must remain free where files are written.
    pub minfree_bytes: u64,
    /// In the order of the file.
    pub datasets: Vec<Dataset>,
    /// What [`Filter::QnameMatches`](crate::stats::dataset::Filter) counts
    /// through.
    pub qname_filters: Vec<QnameFilter>,
    /// What is kept of an IPv4 client's address for its subnet.
    pub client_v4_mask: Ipv4Addr,
    /// What is kept of an IPv6 client's address for its subnet.
    pub client_v6_mask: Ipv6Addr,
    /// Seconds from one file to the next; at least 1.
    pub statistics_interval: u32,
    /// Whether the first interval begins at once, instead of at a multiple of
    /// its length.
    pub no_wait_interval: bool,
    /// Each at most once; never empty.
    pub output_formats: Vec<Format>,
    /// To whom the files are given.
    pub output_user: Option<String>,
    /// To which group the files are given.
    pub output_group: Option<String>,
    /// The mode of the files.
    pub output_mod: u32,
    /// Whether the interval that is open at the end is written, too.
    pub dump_reports_on_exit: bool,
    /// Whether fragments are left out.
    pub drop_ip_fragments: bool,
    /// The VLAN identifiers that are looked at; all when it is empty.
    pub match_vlan: Vec<u16>,
    /// A list of public suffixes.
    pub tld_list: Option<PathBuf>,
    /// A list of delegated top-level domains.
    pub knowntlds_file: Option<PathBuf>,
    /// A MaxMind database of countries.
    pub maxminddb_country: Option<PathBuf>,
    /// A MaxMind database of autonomous systems.
    pub maxminddb_asn: Option<PathBuf>,
    /// How response times are taken.
    pub response_time: response_time::Settings,
    /// Interfaces and capture files, as they are written.
    pub interfaces: Vec<String>,
    /// A pcap filter expression.
    pub bpf_program: Option<String>,
    /// What of the file has no effect, in its order.
    pub ignored: Vec<Ignored>,
    /// The statements by line, without those that a later one takes the place of.
    pub given: Vec<(usize, Directive)>,
}

/// A filter on QNAME that the configuration declares.
#[derive(Clone, Debug)]
pub struct QnameFilter {
    /// What datasets call it.
    pub name: String,
    /// What is searched in QNAME.
    pub regex: regex::bytes::Regex,
}

/// A statement, or a part of one, that has no effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ignored {
    /// The line, from 1.
    pub line: usize,
    /// What it is about, such as `pid_file`.
    pub what: String,
    /// Why it has no effect, and where there is one, what to do instead.
    pub why: String,
}

impl std::fmt::Display for Ignored {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "line {}: `{}`: {}", self.line, self.what, self.why)
    }
}

impl Default for DscConf {
    fn default() -> Self {
        Self {
            local_addresses: Vec::new(),
            dns_port: 53,
            run_dir: None,
            minfree_bytes: 0,
            datasets: Vec::new(),
            qname_filters: Vec::new(),
            client_v4_mask: Ipv4Addr::new(255, 255, 255, 0),
            client_v6_mask: Ipv6Addr::from_bits(u128::MAX << 32),
            statistics_interval: 60,
            no_wait_interval: false,
            output_formats: vec![Format::Xml],
            output_user: None,
            output_group: None,
            output_mod: 0o664,
            dump_reports_on_exit: false,
            drop_ip_fragments: false,
            match_vlan: Vec::new(),
            tld_list: None,
            knowntlds_file: None,
            maxminddb_country: None,
            maxminddb_asn: None,
            response_time: response_time::Settings::default(),
            interfaces: Vec::new(),
            bpf_program: None,
            ignored: Vec::new(),
            given: Vec::new(),
        }
    }
}

impl DscConf {
    /// Reads a configuration. `name` stands for it in errors, `folder` is what
    /// its relative paths start from.
    ///
    /// # Errors
    /// All that is wrong with it, by line.
    pub fn parse(text: &[u8], name: &str, folder: &Path) -> Result<Self, ConfigErrors> {
        reader::read(text, folder).map_err(|errors| ConfigErrors {
            name: name.to_owned(),
            errors,
        })
    }

    /// Reads the configuration in a file.
    ///
    /// # Errors
    /// When the file cannot be read, and as [`DscConf::parse`].
    pub fn load(path: &Path) -> Result<Self, LoadError> {
        let name = path.display().to_string();
        let text = std::fs::read(path).map_err(|cause| LoadError::Read {
            name: name.clone(),
            cause,
        })?;
        let folder = path.parent().unwrap_or(Path::new(""));
        Ok(Self::parse(&text, &name, folder)?)
    }
}
