//! The command line, without its behaviour.
//!
//! Flags that stand for a key of the configuration carry its path
//! (`--web.listen-address`), as Prometheus exporters name theirs, and take the
//! same values as the key.

use std::num::{NonZeroU32, NonZeroU64};
use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::config::{
    ClientsShown, InvalidValue, IpPrefix, ListenAddress, LogLevel, MAX_PORTS, interface_name,
    telemetry_path,
};
use crate::enrich::exchange::filter::Condition;

/// Where packages install the configuration.
pub const CONFIG_PATH: &str = "/etc/xdsc/xdsc.toml";

/// DNS telemetry from inside the kernel.
///
/// xdsc sees the DNS messages of a server in the kernel (XDP on the way in, TC
/// on the way out) and serves DSC's statistics to Prometheus. The packets are
/// never dropped, changed or delayed.
#[derive(Debug, Parser)]
#[command(name = "xdsc", version, after_help = EXAMPLES)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

const EXAMPLES: &str = "\
Examples:
  xdsc run --interface eth0
          Watch eth0 and serve http://localhost:9953/metrics
  xdsc tail
          See queries and responses as they come
  xdsc read --format json capture.pcap
          The same statistics from a capture, without privileges";

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Watch network interfaces and serve metrics
    Run(RunArgs),
    /// Print the statistics of capture files
    Read(ReadArgs),
    /// Show queries with their responses as they come, and who asks
    Tail(TailArgs),
    /// Look at rates, top lists, losses and lag of a running xdsc, in the terminal
    Top(TopArgs),
    /// Write the files that root server operators publish of each day (RSSAC002)
    Rssac002(Rssac002Args),
    /// Check the configuration, or show what it can be
    Config(ConfigArgs),
    /// Print what a shell needs to complete arguments
    #[command(after_help = COMPLETIONS_EXAMPLES)]
    Completions {
        /// The shell
        #[arg(value_name = "SHELL", value_enum)]
        shell: clap_complete::Shell,
    },
    /// Write the manual pages
    Man {
        /// The folder to write them into, such as /usr/local/share/man/man1
        #[arg(value_name = "DIR")]
        folder: PathBuf,
    },
}

const COMPLETIONS_EXAMPLES: &str = "\
Examples:
  xdsc completions bash > /etc/bash_completion.d/xdsc
          For all users of bash
  xdsc completions zsh > ~/.zfunc/_xdsc
          For a user of zsh whose fpath has ~/.zfunc";

/// What `xdsc run` accepts. What is absent is left to the configuration file.
#[derive(Debug, Args)]
#[command(after_help = RUN_EXAMPLES)]
pub struct RunArgs {
    /// Interface to listen on; may be repeated [default: `interfaces` in the
    /// configuration]
    #[arg(long = "interface", value_name = "IF", value_parser = interface_name)]
    pub interfaces: Vec<String>,

    /// Configuration file [default: none, every key has its default]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Address to serve HTTP on: `HOST:PORT`, `[IPv6]:PORT` or `:PORT`; may be
    /// repeated [default: `listen_addresses` in the configuration, else :9953]
    #[arg(
        id = "web.listen-address",
        long = "web.listen-address",
        value_name = "ADDR"
    )]
    pub listen_addresses: Vec<ListenAddress>,

    /// Path of the metrics [default: `telemetry_path` in the configuration,
    /// else /metrics]
    #[arg(id = "web.telemetry-path", long = "web.telemetry-path", value_name = "PATH", value_parser = telemetry_path)]
    pub telemetry_path: Option<String>,

    /// Serve HTTP on the sockets that systemd passes (socket activation)
    /// instead of opening any
    #[arg(
        id = "web.systemd-socket",
        long = "web.systemd-socket",
        conflicts_with = "web.listen-address"
    )]
    pub systemd_socket: bool,

    /// Least severe messages to log [default: `level` in the configuration,
    /// else info]
    #[arg(id = "log.level", long = "log.level", value_name = "LEVEL")]
    pub log_level: Option<LogLevel>,

    /// Write DSC's files of the datasets of this configuration of DSC
    /// [default: `dsc.conf` in the configuration, else none]
    #[arg(long, value_name = "FILE")]
    pub dsc_conf: Option<PathBuf>,

    /// Load the kernel programs that log each packet. For debugging only: they
    /// are slow
    #[arg(long)]
    pub trace_probe: bool,
}

const RUN_EXAMPLES: &str = "\
Examples:
  xdsc run --interface eth0 --interface eth1
          Watch two interfaces with the default configuration
  xdsc run --interface eth0 --dsc-conf /etc/dsc/dsc.conf
          Serve metrics, and write the files that DSC would write
  xdsc run --config /etc/xdsc/xdsc.toml --web.listen-address 127.0.0.1:9953
          Take the file, but serve HTTP on the loopback address only";

/// What `xdsc read` accepts.
#[derive(Debug, Args)]
#[command(after_help = READ_EXAMPLES)]
pub struct ReadArgs {
    /// Capture files (pcap or pcapng; gzip, xz or zstd), in the order of time
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,

    /// How to print the statistics
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = ReadFormat::Text)]
    pub format: ReadFormat,

    /// UDP and TCP ports on which DNS is spoken
    #[arg(long, value_name = "PORT,...", default_value = "53")]
    pub ports: PortList,

    /// Look into tunnels: IP in IP, 6in4, GRE
    #[arg(long)]
    pub decapsulate: bool,

    /// Address or prefix of the server; may be repeated [default: whoever has
    /// the DNS port is the server]
    #[arg(long = "service-address", value_name = "PREFIX")]
    pub service_addresses: Vec<IpPrefix>,

    /// Tell this dataset instead of the summary: a name such as `qtype_vs_tld`,
    /// `default` or `all`; may be repeated
    #[arg(long = "dataset", value_name = "NAME", conflicts_with = "dsc_conf")]
    pub datasets: Vec<String>,

    /// Tell the datasets of this configuration of DSC; the captures take the
    /// place of its interfaces
    #[arg(long, value_name = "FILE", conflicts_with_all = ["service_addresses", "ports", "decapsulate"])]
    pub dsc_conf: Option<PathBuf>,

    /// Tell the datasets of this configuration of xdsc, by its lists, tables and
    /// rules of privacy, its ports and its service addresses; with --dataset,
    /// those that are named. Without it, clients are shown as they are in the
    /// captures
    #[arg(long, value_name = "FILE", conflicts_with_all = ["dsc_conf", "compat", "service_addresses", "ports", "decapsulate"])]
    pub config: Option<PathBuf>,

    /// Give the answers of that program, its defects included (see
    /// docs/deviations.md); it knows one port, and no service addresses
    #[arg(long, value_name = "PROGRAM", value_enum)]
    pub compat: Option<CompatArg>,

    /// Write DSC's files into this folder, one per interval, instead of printing
    #[arg(long, value_name = "DIR")]
    pub output: Option<PathBuf>,

    /// Length of an interval [default: with --output, `statistics_interval` of
    /// the configuration, else 60; without, all captures together are one]
    #[arg(long, value_name = "SECONDS")]
    pub interval: Option<NonZeroU32>,
}

impl ReadArgs {
    /// Whether it is datasets that are asked for, rather than the summary.
    #[must_use]
    pub const fn wants_datasets(&self) -> bool {
        !self.datasets.is_empty()
            || self.dsc_conf.is_some()
            || self.config.is_some()
            || self.compat.is_some()
            || self.output.is_some()
            || matches!(self.format, ReadFormat::DscXml | ReadFormat::DscJson)
    }
}

/// Whose answers are given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum CompatArg {
    /// DNS-OARC's DSC 2.15
    Dsc,
}

const READ_EXAMPLES: &str = "\
Examples:
  xdsc read capture.pcap
          A summary to read
  xdsc read --format prometheus --ports 53,5353 --service-address 192.0.2.53 *.pcap.zst
          What /metrics would have shown after these packets
  xdsc read --dataset qtype_vs_tld --dataset client_subnet capture.pcap
          Two datasets as tables
  xdsc read --config /etc/xdsc/xdsc.toml --dataset asn_vs_rcode capture.pcap
          A dataset by the databases that the configuration names
  xdsc read --dsc-conf dsc.conf --format dsc-xml --output /var/lib/dsc *.pcap
          The files that DSC would have written";

/// How `xdsc read` prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ReadFormat {
    /// Tables for people
    Text,
    /// One JSON document
    Json,
    /// The Prometheus text format
    Prometheus,
    /// Datasets as DSC's XML files; printed, one document per interval
    DscXml,
    /// Datasets as DSC's JSON files; printed, one document per interval
    DscJson,
}

/// Ports with commas between them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortList(pub Vec<u16>);

impl FromStr for PortList {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        let mut ports = Vec::new();
        for port in text.split(',') {
            match port.parse() {
                Ok(port) if port > 0 && !ports.contains(&port) => ports.push(port),
                Ok(_) | Err(_) => return Err(ports_error(format!("has the port {port:?}"))),
            }
        }
        match ports.len() {
            1..=MAX_PORTS => Ok(Self(ports)),
            count => Err(ports_error(format!("has {count} ports"))),
        }
    }
}

fn ports_error(message: String) -> InvalidValue {
    InvalidValue {
        message,
        hint: format!("write up to {MAX_PORTS} different numbers from 1 to 65535, as in `53,5353`"),
    }
}

/// What `xdsc tail` accepts.
#[derive(Debug, Args)]
#[command(after_help = TAIL_EXAMPLES)]
pub struct TailArgs {
    /// Capture files to read (pcap or pcapng; gzip, xz or zstd) [default: none,
    /// the traffic that a running xdsc sees]
    #[arg(value_name = "FILE")]
    pub files: Vec<PathBuf>,

    /// Where the running xdsc serves HTTP
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:9953")]
    pub url: String,

    /// How to print
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = TailFormat::Text)]
    pub format: TailFormat,

    /// End after so many
    #[arg(long, value_name = "N")]
    pub count: Option<NonZeroU64>,

    /// Only what is asked of this host (server), or what it asks others (client),
    /// as xdsc itself does for names of clients
    #[arg(long, value_name = "ROLE")]
    pub role: Option<String>,

    /// Only these QTYPEs
    #[arg(long, value_name = "QTYPE,...")]
    pub qtype: Option<String>,

    /// Only responses with these RCODEs
    #[arg(long, value_name = "RCODE,...")]
    pub rcode: Option<String>,

    /// Only this name and names below it
    #[arg(long, value_name = "NAME")]
    pub qname: Option<String>,

    /// Only clients in this network, no longer than the prefixes that are shown
    #[arg(long, value_name = "PREFIX")]
    pub client: Option<String>,

    /// Only clients in these countries (ISO 3166-1)
    #[arg(long, value_name = "CC,...")]
    pub country: Option<String>,

    /// Only clients in these autonomous systems
    #[arg(long, value_name = "ASN,...")]
    pub asn: Option<String>,

    /// Only this customer; `unassigned` is nobody
    #[arg(long, value_name = "NAME")]
    pub customer: Option<String>,

    /// How to show clients; a running xdsc shows no more than its configuration
    /// allows [default: `clients` in [privacy] of the configuration]
    #[arg(long, value_name = "HOW", value_enum)]
    pub clients: Option<ClientsShown>,

    /// For captures: configuration file, whose tables, ports and service
    /// addresses apply [default: none]
    #[arg(long, value_name = "FILE", requires = "files")]
    pub config: Option<PathBuf>,

    /// For captures: UDP and TCP ports on which DNS is spoken [default: those of
    /// the configuration, else 53]
    #[arg(long, value_name = "PORT,...", requires = "files")]
    pub ports: Option<PortList>,

    /// For captures: look into tunnels (IP in IP, 6in4, GRE)
    #[arg(long, requires = "files")]
    pub decapsulate: bool,

    /// For captures: address or prefix of the server; may be repeated [default:
    /// those of the configuration, else whoever has the DNS port is the server]
    #[arg(long = "service-address", value_name = "PREFIX", requires = "files")]
    pub service_addresses: Vec<IpPrefix>,
}

impl TailArgs {
    /// The conditions that are given, with their values.
    pub fn conditions(&self) -> impl Iterator<Item = (Condition, &str)> {
        let value = |condition| match condition {
            Condition::Role => &self.role,
            Condition::Qtype => &self.qtype,
            Condition::Rcode => &self.rcode,
            Condition::Qname => &self.qname,
            Condition::Client => &self.client,
            Condition::Country => &self.country,
            Condition::Asn => &self.asn,
            Condition::Customer => &self.customer,
        };
        let given = move |condition| Some((condition, value(condition).as_deref()?));
        Condition::ALL.into_iter().filter_map(given)
    }
}

const TAIL_EXAMPLES: &str = "\
Examples:
  xdsc tail
          What clients ask the server here, and what they are told
  xdsc tail --rcode SERVFAIL,REFUSED --qname example.com --count 20
          Twenty failures below example.com
  xdsc tail --format json --country NL | jq -r .qname
          Lines of JSON, for other programs
  xdsc tail --config /etc/xdsc/xdsc.toml capture.pcap.zst
          The same from a capture, with countries and customers

A running xdsc shows a share of the traffic when there is much: see `max_rate` in
[stream] of the configuration. The weight of a line says how many it stands for.";

/// How `xdsc tail` prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum TailFormat {
    /// A line for people
    Text,
    /// A JSON object per line
    Json,
}

/// What `xdsc top` accepts.
#[derive(Debug, Args)]
#[command(after_help = TOP_EXAMPLES)]
pub struct TopArgs {
    /// Where the running xdsc serves HTTP
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:9953")]
    pub url: String,

    /// Look at this interface without a running xdsc, as root; may be repeated
    #[arg(long = "interface", value_name = "IF", value_parser = interface_name, conflicts_with = "url")]
    pub interfaces: Vec<String>,

    /// With --interface: configuration file, whose ports, datasets, tables and rules
    /// of privacy apply [default: none]
    #[arg(long, value_name = "FILE", requires = "interfaces")]
    pub config: Option<PathBuf>,

    /// How to show it [default: a screen on a terminal, else text]
    #[arg(long, value_name = "FORMAT", value_enum)]
    pub format: Option<TopFormat>,

    /// What comes first in lists
    #[arg(long, value_name = "KEY", value_enum, default_value_t = TopSort::Rate)]
    pub sort: TopSort,

    /// Only what has this value, as in `qtype:AAAA`, `rcode:NXDOMAIN`, `tld:org` or
    /// `country:NL`; lists that are not counted by it are empty
    #[arg(long, value_name = "WHAT:VALUE")]
    pub filter: Option<String>,

    /// Of text or JSON: end after so many, a second apart
    #[arg(long, value_name = "N")]
    pub count: Option<NonZeroU64>,
}

const TOP_EXAMPLES: &str = "\
Examples:
  xdsc top
          The server here; `?` explains the keys, `q` ends it
  xdsc top --url http://ns1.example.net:9953 --filter rcode:SERVFAIL
          What fails at another server
  xdsc top --interface eth0
          Without a running xdsc, as root: nothing is left behind
  xdsc top --format json --count 1 | jq .summary.now.queries
          For other programs: what /api/v1/events says";

/// How `xdsc top` shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum TopFormat {
    /// The whole terminal, with keys
    Screen,
    /// A block of lines per second
    Text,
    /// A JSON document per second, in a line
    Json,
}

/// What comes first in the lists of `xdsc top`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum TopSort {
    /// The most per second, lately
    Rate,
    /// The most since the start
    Total,
    /// The first in the alphabet
    Name,
}

/// What `xdsc rssac002` accepts.
#[derive(Debug, Args)]
#[command(after_help = RSSAC002_EXAMPLES)]
pub struct Rssac002Args {
    /// Where the days come from.
    #[command(subcommand)]
    pub command: Rssac002Command,
}

const RSSAC002_EXAMPLES: &str = "\
Examples:
  xdsc rssac002 merge --service a.root-servers.net --output /srv/rssac002 node*/20260110.json
          The day of a service, from what its nodes have counted
  xdsc rssac002 read --service a.root-servers.net --output /srv/rssac002 *.pcap.zst
          The days of a service, from captures
  xdsc rssac002 read --partials node1 node1.pcap
          The days of one node, to be merged with those of others

A running xdsc writes such files too: see [rssac002] in the configuration.";

/// The subcommands of `xdsc rssac002`.
#[derive(Debug, Subcommand)]
pub enum Rssac002Command {
    /// Add up what nodes have counted of one or several days
    Merge {
        /// Partial files, as a running xdsc or `read --partials` writes them, in
        /// any order
        #[arg(value_name = "PARTIAL", required = true)]
        files: Vec<PathBuf>,

        /// What is written.
        #[command(flatten)]
        output: Rssac002Output,
    },
    /// Count the messages of captures by UTC day: what the server received and
    /// what it sent
    Read {
        /// Capture files (pcap or pcapng; gzip, xz or zstd), in the order of time
        #[arg(value_name = "CAPTURE", required = true)]
        files: Vec<PathBuf>,

        /// UDP and TCP ports on which DNS is spoken
        #[arg(long, value_name = "PORT,...", default_value = "53")]
        ports: PortList,

        /// Look into tunnels: IP in IP, 6in4, GRE
        #[arg(long)]
        decapsulate: bool,

        /// Address or prefix of the server; may be repeated [default: whoever
        /// has the DNS port is the server]
        #[arg(long = "service-address", value_name = "PREFIX")]
        service_addresses: Vec<IpPrefix>,

        /// A file with a secret of the service, the same on all nodes: without
        /// one, clients can choose addresses that make their number a wrong one
        #[arg(long, value_name = "FILE")]
        secret_file: Option<PathBuf>,

        /// What is written.
        #[command(flatten)]
        output: Rssac002Output,
    },
}

/// What `xdsc rssac002` writes: one or both.
#[derive(Debug, Args)]
pub struct Rssac002Output {
    /// Name of the service, such as a.root-servers.net
    #[arg(long, value_name = "NAME")]
    pub service: Option<String>,

    /// Write the YAML files of each day into this folder, as
    /// YYYY/MM/METRIC/SERVICE-YYYYMMDD-METRIC.yaml
    #[arg(long, value_name = "DIR", requires = "service")]
    pub output: Option<PathBuf>,

    /// Write a partial file of each day into this folder, as YYYYMMDD.json, to be
    /// merged with those of other nodes
    #[arg(long, value_name = "DIR")]
    pub partials: Option<PathBuf>,
}

/// What `xdsc config` accepts.
#[derive(Debug, Args)]
#[command(after_help = CONFIG_EXAMPLES)]
pub struct ConfigArgs {
    /// What to do with the configuration.
    #[command(subcommand)]
    pub command: ConfigCommand,
}

const CONFIG_EXAMPLES: &str = "\
Examples:
  xdsc config show > /etc/xdsc/xdsc.toml
          Start from a file that states every default
  xdsc config check /etc/xdsc/xdsc.toml
          See all of its errors, with line and hint";

/// The subcommands of `xdsc config`.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Report all errors of a configuration file
    Check {
        /// The file
        #[arg(value_name = "FILE", default_value = CONFIG_PATH)]
        file: PathBuf,
    },
    /// Print a configuration that states every default, with comments
    Show,
    /// Print the reference of all keys, in Markdown
    Reference,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;
    use clap::error::ErrorKind;

    use super::*;
    use crate::config::Config;

    fn run(args: &[&str]) -> Result<RunArgs, clap::Error> {
        let command = Cli::try_parse_from([&["xdsc", "run"], args].concat())?.command;
        match command {
            Command::Run(args) => Ok(args),
            other @ (Command::Read(_)
            | Command::Tail(_)
            | Command::Top(_)
            | Command::Rssac002(_)
            | Command::Config(_)
            | Command::Completions { .. }
            | Command::Man { .. }) => {
                panic!("{other:?}")
            }
        }
    }

    fn read(args: &[&str]) -> Result<ReadArgs, clap::Error> {
        let command = Cli::try_parse_from([&["xdsc", "read"], args].concat())?.command;
        match command {
            Command::Read(args) => Ok(args),
            other @ (Command::Run(_)
            | Command::Tail(_)
            | Command::Top(_)
            | Command::Rssac002(_)
            | Command::Config(_)
            | Command::Completions { .. }
            | Command::Man { .. }) => {
                panic!("{other:?}")
            }
        }
    }

    /// The help without its line breaks.
    fn help(subcommand: &str) -> String {
        let mut cli = Cli::command();
        let command = cli.find_subcommand_mut(subcommand).expect(subcommand);
        let help = command.render_long_help().to_string();
        help.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn definitions_are_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn run_takes_the_flags_of_an_exporter() {
        let args = run(&[
            "--interface=eth0",
            "--interface=eth1",
            "--config=/tmp/x.toml",
            "--web.listen-address=:9000",
            "--web.listen-address=[::1]:9001",
            "--web.telemetry-path=/dns",
            "--log.level=debug",
            "--trace-probe",
        ])
        .expect("all flags");
        assert_eq!(args.interfaces, ["eth0", "eth1"]);
        assert_eq!(args.config, Some(PathBuf::from("/tmp/x.toml")));
        let addresses: Vec<_> = args
            .listen_addresses
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(addresses, [":9000", "[::1]:9001"]);
        assert_eq!(args.telemetry_path.as_deref(), Some("/dns"));
        assert_eq!(args.log_level, Some(LogLevel::Debug));
        assert!(args.trace_probe);
        assert!(!args.systemd_socket);
    }

    #[test]
    fn run_leaves_everything_to_the_configuration() {
        let args = run(&[]).expect("no flags");
        assert!(args.interfaces.is_empty() && args.listen_addresses.is_empty());
        assert_eq!(
            (args.config, args.telemetry_path, args.log_level),
            (None, None, None)
        );
        assert!(!args.trace_probe && !args.systemd_socket);
    }

    #[test]
    fn sockets_come_from_systemd_or_from_addresses() {
        assert!(
            run(&["--web.systemd-socket"])
                .expect("alone")
                .systemd_socket
        );
        let error = run(&["--web.systemd-socket", "--web.listen-address=:1"]).expect_err("both");
        assert_eq!(error.kind(), ErrorKind::ArgumentConflict);
    }

    #[test]
    fn values_have_the_rules_of_the_configuration() {
        for (flag, hint) in [
            ("--interface=a/b", "`ip link` lists the interfaces"),
            (
                "--web.listen-address=9953",
                "has no port; write `HOST:PORT`",
            ),
            ("--web.telemetry-path=/-/ready", "is under `/-/`"),
            (
                "--log.level=loud",
                "[possible values: error, warn, info, debug, trace]",
            ),
        ] {
            let error = run(&[flag]).expect_err(flag).to_string();
            assert!(error.contains(hint), "{flag}: {error}");
        }
        let error = read(&["--service-address=192.0.2.1/24", "x"]).expect_err("host bits");
        assert!(
            error.to_string().contains("write `192.0.2.0/24`"),
            "{error}"
        );
    }

    #[test]
    fn the_help_of_run_states_the_defaults() {
        let (help, defaults) = (help("run"), Config::default());
        let address = &defaults.web.listen_addresses[0];
        let path = &defaults.web.telemetry_path;
        let level = defaults.log.level.to_possible_value().expect("a name");
        for default in [
            format!("`listen_addresses` in the configuration, else {address}]"),
            format!("`telemetry_path` in the configuration, else {path}]"),
            format!("`level` in the configuration, else {}]", level.get_name()),
        ] {
            assert!(help.contains(&default), "{default}: {help}");
        }
    }

    #[test]
    fn read_has_defaults() {
        let args = read(&["a.pcap", "b.pcap"]).expect("two files");
        assert_eq!(
            args.files,
            [PathBuf::from("a.pcap"), PathBuf::from("b.pcap")]
        );
        assert_eq!(args.format, ReadFormat::Text);
        assert_eq!(args.ports.0, Config::default().probe.ports);
        assert!(!args.decapsulate && args.service_addresses.is_empty());
    }

    #[test]
    fn read_takes_ports_and_addresses() {
        let args = read(&[
            "--format=prometheus",
            "--ports=53,5353",
            "--decapsulate",
            "--service-address=192.0.2.0/24",
            "--service-address=2001:db8::53",
            "x.pcap",
        ])
        .expect("all flags");
        let addresses: Vec<_> = args
            .service_addresses
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(args.format, ReadFormat::Prometheus);
        assert_eq!(args.ports.0, [53, 5353]);
        assert_eq!(addresses, ["192.0.2.0/24", "2001:db8::53"]);
        assert!(args.decapsulate);
    }

    #[test]
    fn read_needs_a_file_and_real_ports() {
        assert!(read(&[]).is_err());
        for (ports, message) in [
            ("0", r#"has the port "0";"#),
            ("65536", r#"has the port "65536";"#),
            ("53,", r#"has the port "";"#),
            ("53,dns", r#"has the port "dns";"#),
            ("53,53", r#"has the port "53";"#),
            ("1,2,3,4,5,6,7,8,9", "has 9 ports; write up to 8 "),
        ] {
            let error = read(&["--ports", ports, "x.pcap"]).expect_err(ports);
            assert!(error.to_string().contains(message), "{error}");
        }
    }

    #[test]
    fn config_check_has_a_default_file() {
        let cli = Cli::try_parse_from(["xdsc", "config", "check"]).expect("no file");
        let Command::Config(ConfigArgs {
            command: ConfigCommand::Check { file },
        }) = cli.command
        else {
            panic!("{cli:?}");
        };
        assert_eq!(file, PathBuf::from(CONFIG_PATH));
    }

    #[test]
    fn every_command_has_examples() {
        for command in ["run", "read", "config"] {
            assert!(help(command).contains("Examples: xdsc "), "{command}");
        }
    }
}
