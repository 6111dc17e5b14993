//! What each statement means.

use std::path::Path;

use super::judge::Judge;
use super::statement::{Statement, Word, statements};
use super::{DscConf, LocalAddress, QnameFilter};
use super::{dataset, posix_regex};
use crate::config::{ConfigError, printable};
use crate::export::dsc::Format;
use crate::stats::dataset::{Dataset, Indexer, Predicate};
use crate::stats::plan::MAX_QNAME_FILTERS;
use crate::stats::response_time::{FullMode, MaxSecMode, Mode};

dns_wire::table! {
    /// The statements of dsc.conf(5).
    pub enum Directive {
        /// A local address.
        LocalAddress = "local_address",
        /// Where files are written.
        RunDir = "run_dir",
        /// Octets that remain free.
        MinfreeBytes = "minfree_bytes",
        /// A file for the process's number.
        PidFile = "pid_file",
        /// A pcap filter expression.
        BpfProgram = "bpf_program",
        /// The port of DNS.
        DnsPort = "dns_port",
        /// Octets of libpcap's buffer.
        PcapBufferSize = "pcap_buffer_size",
        /// Milliseconds that libpcap waits.
        PcapThreadTimeout = "pcap_thread_timeout",
        /// Fragments are left out.
        DropIpFragments = "drop_ip_fragments",
        /// An interface or a capture file.
        Interface = "interface",
        /// A dnstap file.
        DnstapFile = "dnstap_file",
        /// A dnstap socket.
        DnstapUnixsock = "dnstap_unixsock",
        /// A dnstap endpoint.
        DnstapTcp = "dnstap_tcp",
        /// A dnstap endpoint.
        DnstapUdp = "dnstap_udp",
        /// Addresses for dnstap messages without.
        DnstapNetwork = "dnstap_network",
        /// A filter on QNAME.
        QnameFilter = "qname_filter",
        /// A dataset.
        Dataset = "dataset",
        /// The octet order of VLAN tags.
        BpfVlanTagByteOrder = "bpf_vlan_tag_byte_order",
        /// The VLANs that are looked at.
        MatchVlan = "match_vlan",
        /// Seconds from file to file.
        StatisticsInterval = "statistics_interval",
        /// The first interval begins at once.
        NoWaitInterval = "no_wait_interval",
        /// A format of files.
        OutputFormat = "output_format",
        /// Owner of the files.
        OutputUser = "output_user",
        /// Group of the files.
        OutputGroup = "output_group",
        /// Mode of the files.
        OutputMod = "output_mod",
        /// The open interval is written at the end.
        DumpReportsOnExit = "dump_reports_on_exit",
        /// A legacy GeoIP database.
        GeoipV4Dat = "geoip_v4_dat",
        /// A legacy GeoIP database.
        GeoipV6Dat = "geoip_v6_dat",
        /// A legacy GeoIP database.
        GeoipAsnV4Dat = "geoip_asn_v4_dat",
        /// A legacy GeoIP database.
        GeoipAsnV6Dat = "geoip_asn_v6_dat",
        /// What tells autonomous systems.
        AsnIndexerBackend = "asn_indexer_backend",
        /// What tells countries.
        CountryIndexerBackend = "country_indexer_backend",
        /// A MaxMind database.
        MaxminddbAsn = "maxminddb_asn",
        /// A MaxMind database.
        MaxminddbCountry = "maxminddb_country",
        /// What is kept of an IPv4 address.
        ClientV4Mask = "client_v4_mask",
        /// What is kept of an IPv6 address.
        ClientV6Mask = "client_v6_mask",
        /// How response times are put into classes.
        ResponseTimeMode = "response_time_mode",
        /// Queries that wait at a time.
        ResponseTimeMaxQueries = "response_time_max_queries",
        /// What happens when more would wait.
        ResponseTimeFullMode = "response_time_full_mode",
        /// Seconds until a response is too late.
        ResponseTimeMaxSeconds = "response_time_max_seconds",
        /// What is counted for a late response.
        ResponseTimeMaxSecMode = "response_time_max_sec_mode",
        /// Microseconds of a class.
        ResponseTimeBucketSize = "response_time_bucket_size",
        /// Delegated top-level domains.
        KnowntldsFile = "knowntlds_file",
        /// Public suffixes.
        TldList = "tld_list",
    }
}

impl Directive {
    fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|one| one.label() == name)
    }

    /// Whether each of its statements adds something, instead of taking the
    /// place of the one before.
    const fn accumulates(self) -> bool {
        matches!(
            self,
            Self::LocalAddress
                | Self::Interface
                | Self::QnameFilter
                | Self::Dataset
                | Self::MatchVlan
                | Self::OutputFormat
        )
    }
}

/// The configuration, or everything that is wrong with it, by line.
pub(super) fn read(text: &[u8], folder: &Path) -> Result<DscConf, Vec<ConfigError>> {
    let (statements, errors) = statements(text);
    let mut reader = Reader {
        conf: DscConf::default(),
        judge: Judge::new(folder, errors),
        formats: Vec::new(),
    };
    // Datasets may name filters that stand further down.
    let (datasets, others): (Vec<_>, Vec<_>) = statements
        .iter()
        .partition(|statement| statement.name.text == Directive::Dataset.label());
    for statement in others.into_iter().chain(datasets) {
        reader.statement(statement);
    }
    reader.finish()
}

struct Reader<'a> {
    conf: DscConf,
    judge: Judge<'a>,
    formats: Vec<Format>,
}

impl Reader<'_> {
    fn finish(mut self) -> Result<DscConf, Vec<ConfigError>> {
        self.conf.ignored = self.judge.verdict()?;
        if !self.formats.is_empty() {
            self.conf.output_formats = self.formats;
        }
        Ok(self.conf)
    }

    fn statement(&mut self, statement: &Statement<'_>) {
        let name = statement.name;
        if let Some(rest) = statement.rest {
            let why = "what follows a `;` is not read; give it a line of its own";
            self.judge.ignore(rest, &printable(rest.text), why);
        }
        let Some(directive) = Directive::from_name(name.text) else {
            let names = Directive::ALL.iter().map(|one| one.label());
            return (self.judge).unknown(name, "a statement of dsc.conf", names, "statements");
        };
        if !directive.accumulates() {
            self.take_place(directive, statement);
        }
        self.conf.given.push((statement.line, directive));
        self.directive(directive, statement);
    }

    fn take_place(&mut self, directive: Directive, statement: &Statement<'_>) {
        let given = &mut self.conf.given;
        let Some(earlier) = given.iter().position(|(_, other)| *other == directive) else {
            return;
        };
        let (line, _) = given.remove(earlier);
        let why = format!("line {} says otherwise", statement.line);
        let name = statement.name;
        (self.judge).ignore(Word { line, ..name }, name.text, &why);
    }

    fn directive(&mut self, directive: Directive, statement: &Statement<'_>) {
        use Directive as D;
        let (conf, judge) = (&mut self.conf, &mut self.judge);
        let times = &mut conf.response_time;
        match directive {
            D::LocalAddress => self.local_address(statement),
            D::RunDir => conf.run_dir = judge.path(statement),
            D::MinfreeBytes => judge.number(statement, 0..=u64::MAX, &mut conf.minfree_bytes),
            D::PidFile => judge.futile(
                statement,
                "xdsc writes no pid file; its service manager knows the process",
            ),
            D::BpfProgram => {
                conf.bpf_program = judge.text(statement);
                judge.futile(
                    statement,
                    "xdsc looks at all DNS traffic and has no pcap filters",
                );
            }
            D::DnsPort => judge.number(statement, 1..=u16::MAX, &mut conf.dns_port),
            D::PcapBufferSize => judge.futile(
                statement,
                "packets do not come by libpcap; `ring.bytes` is similar",
            ),
            D::PcapThreadTimeout => judge.futile(
                statement,
                "packets do not come by libpcap; `ring.poll_max` is similar",
            ),
            D::DropIpFragments => conf.drop_ip_fragments = judge.is_bare(statement),
            D::Interface => conf.interfaces.extend(judge.text(statement)),
            D::DnstapFile | D::DnstapUnixsock | D::DnstapTcp | D::DnstapUdp | D::DnstapNetwork => {
                judge.futile(statement, "xdsc does not read dnstap")
            }
            D::QnameFilter => self.qname_filter(statement),
            D::Dataset => self.dataset(statement),
            D::BpfVlanTagByteOrder => self.byte_order(statement),
            D::MatchVlan => self.match_vlan(statement),
            D::StatisticsInterval => {
                judge.number(statement, 1..=86_400, &mut conf.statistics_interval);
            }
            D::NoWaitInterval => conf.no_wait_interval = judge.is_bare(statement),
            D::OutputFormat => self.output_format(statement),
            D::OutputUser => conf.output_user = judge.text(statement),
            D::OutputGroup => conf.output_group = judge.text(statement),
            D::OutputMod => self.output_mod(statement),
            D::DumpReportsOnExit => conf.dump_reports_on_exit = judge.is_bare(statement),
            D::GeoipV4Dat | D::GeoipV6Dat => judge.futile(statement, LEGACY_COUNTRY),
            D::GeoipAsnV4Dat | D::GeoipAsnV6Dat => judge.futile(statement, LEGACY_ASN),
            D::AsnIndexerBackend => self.backend(statement, LEGACY_ASN),
            D::CountryIndexerBackend => self.backend(statement, LEGACY_COUNTRY),
            D::MaxminddbAsn => conf.maxminddb_asn = judge.path(statement),
            D::MaxminddbCountry => conf.maxminddb_country = judge.path(statement),
            D::ClientV4Mask => {
                judge.parsed(
                    statement,
                    "an IPv4 mask",
                    "255.255.255.0",
                    &mut conf.client_v4_mask,
                );
            }
            D::ClientV6Mask => {
                judge.parsed(
                    statement,
                    "an IPv6 mask",
                    "ffff:ffff::",
                    &mut conf.client_v6_mask,
                );
            }
            D::ResponseTimeMode => judge.choice(statement, Mode::ALL, Mode::label, &mut times.mode),
            D::ResponseTimeMaxQueries => {
                judge.number(statement, 1..=u32::MAX, &mut times.max_queries);
            }
            D::ResponseTimeFullMode => judge.choice(
                statement,
                FullMode::ALL,
                FullMode::label,
                &mut times.full_mode,
            ),
            D::ResponseTimeMaxSeconds => {
                judge.number(statement, 1..=86_400, &mut times.max_seconds);
            }
            D::ResponseTimeMaxSecMode => judge.choice(
                statement,
                MaxSecMode::ALL,
                MaxSecMode::label,
                &mut times.max_sec_mode,
            ),
            D::ResponseTimeBucketSize => {
                judge.number(statement, 1..=1_000_000_000, &mut times.bucket_size);
            }
            D::KnowntldsFile => conf.knowntlds_file = judge.path(statement),
            D::TldList => conf.tld_list = judge.path(statement),
        }
    }

    fn dataset(&mut self, statement: &Statement<'_>) {
        let Self { conf, judge, .. } = self;
        let read = dataset::read(judge, &conf.datasets, &conf.qname_filters, statement);
        let Some(dataset) = read else {
            return;
        };
        let what = format!("dataset {}", dataset.name);
        for why in futility(&dataset, conf) {
            judge.ignore(statement.name, &what, why);
        }
        conf.datasets.push(dataset);
    }

    fn local_address(&mut self, statement: &Statement<'_>) {
        let judge = &mut self.judge;
        let (word, mask) = match statement.arguments.as_slice() {
            [address] => (*address, None),
            [address, mask] => (*address, Some(*mask)),
            _ => {
                let hint = "write `local_address 192.0.2.1;` or `local_address 192.0.2.0 24;`";
                return judge.error(statement.name, "takes an address and perhaps a mask", hint);
            }
        };
        let Ok(address) = word.text.parse() else {
            let hint = "write one such as `192.0.2.1` or `2001:db8::1`";
            return judge.error(word, "is not an IP address", hint);
        };
        match LocalAddress::new(address, mask.map(|mask| mask.text)) {
            Some(local) => self.conf.local_addresses.push(local),
            None => judge.error(
                mask.unwrap_or(word),
                "is not a mask of the address",
                "write a number of bits, or a mask of the same family",
            ),
        }
    }

    fn qname_filter(&mut self, statement: &Statement<'_>) {
        let judge = &mut self.judge;
        let [name, expression] = statement.arguments.as_slice() else {
            let hint = "write `qname_filter NAME EXPRESSION;`, with quotes around an \
                        expression that has blanks or `;` in it";
            return judge.error(
                statement.name,
                "takes a name and a regular expression",
                hint,
            );
        };
        let own = &mut self.conf.qname_filters;
        let is_own = own.iter().any(|filter| filter.name == name.text);
        if is_own || Predicate::from_name(name.text).is_some() {
            return judge.error(*name, "is the name of another filter", "rename it");
        }
        if own.len() == MAX_QNAME_FILTERS {
            let hint = format!("remove filters: there is room for {MAX_QNAME_FILTERS}");
            return judge.error(*name, "is a filter too many", &hint);
        }
        match posix_regex::compile(expression.text) {
            Ok(regex) => own.push(QnameFilter {
                name: name.text.to_owned(),
                regex,
            }),
            Err(complaint) => judge.error(
                *expression,
                &complaint,
                "write a POSIX extended regular expression",
            ),
        }
    }

    fn match_vlan(&mut self, statement: &Statement<'_>) {
        if statement.arguments.is_empty() {
            let hint = "write `match_vlan 100 200;`";
            return (self.judge).error(statement.name, "takes VLAN identifiers", hint);
        }
        for word in &statement.arguments {
            let vlan = self.judge.number_in(*word, 0..=4095);
            self.conf.match_vlan.extend(vlan);
        }
    }

    fn output_format(&mut self, statement: &Statement<'_>) {
        let Some(word) = self.judge.only_argument(statement) else {
            return;
        };
        let format = match word.text {
            "XML" => Format::Xml,
            "JSON" => Format::Json,
            _ => {
                let hint = "write `XML` or `JSON`";
                return self.judge.error(word, "is not an output format", hint);
            }
        };
        if !self.formats.contains(&format) {
            self.formats.push(format);
        }
    }

    fn output_mod(&mut self, statement: &Statement<'_>) {
        let Some(word) = self.judge.only_argument(statement) else {
            return;
        };
        let digits = word.text.bytes().all(|octet| octet.is_ascii_digit());
        match u32::from_str_radix(word.text, 8) {
            Ok(mode) if digits && mode <= 0o777 => self.conf.output_mod = mode,
            Ok(_) | Err(_) => {
                let hint = "write octal digits such as `0664`";
                self.judge.error(word, "is not the mode of a file", hint);
            }
        }
    }

    fn byte_order(&mut self, statement: &Statement<'_>) {
        let Some(word) = self.judge.only_argument(statement) else {
            return;
        };
        match word.text {
            "net" => {}
            "host" => (self.judge).futile(statement, "VLAN tags are always in network order"),
            _ => (self.judge).error(word, "is not an octet order", "write `net` or `host`"),
        }
    }

    fn backend(&mut self, statement: &Statement<'_>, why_not_legacy: &str) {
        let Some(word) = self.judge.only_argument(statement) else {
            return;
        };
        match word.text {
            "maxminddb" => {}
            "geoip" => self.judge.futile(statement, why_not_legacy),
            _ => (self.judge).error(word, "is not a source of locations", "write `maxminddb`"),
        }
    }
}

/// Why a dataset, in a configuration that has been read so far, tells nothing.
fn futility(dataset: &Dataset, conf: &DscConf) -> impl Iterator<Item = &'static str> {
    let has = |indexer| {
        let mut dimensions = dataset.dimensions.iter();
        dimensions.any(|dimension| dimension.indexer == indexer)
    };
    let is_timed = |dataset: &Dataset| dataset.dimensions[1].indexer == Indexer::ResponseTime;
    let is_second = is_timed(dataset) && conf.datasets.iter().any(is_timed);
    let reasons = [
        (
            is_second,
            "only the first dataset of response times counts; this one stays empty",
        ),
        (
            has(Indexer::Country) && conf.maxminddb_country.is_none(),
            "without `maxminddb_country` every country is unknown",
        ),
        (
            has(Indexer::Asn) && conf.maxminddb_asn.is_none(),
            "without `maxminddb_asn` every autonomous system is unknown",
        ),
    ];
    reasons
        .into_iter()
        .filter_map(|(holds, why)| holds.then_some(why))
}

const LEGACY_COUNTRY: &str =
    "legacy GeoIP files are not read; name a database with `maxminddb_country`";
const LEGACY_ASN: &str = "legacy GeoIP files are not read; name a database with `maxminddb_asn`";
