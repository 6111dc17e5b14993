//! A load past a daemon of its own.

use std::time::Duration;

use anyhow::Result;
use integration_tests::{
    bench::{
        stage::{Account, Load, Stage},
        usage::peak,
    },
    network::{Network, daemon::Daemon},
};

use crate::{WARM_UP, line::Line};

/// Datasets that are counted.
pub(crate) struct Set {
    pub(crate) name: &'static str,
    config: &'static str,
}

/// What xdsc counts unasked; what DSC's sample configuration has that can be told of
/// live messages without further files; and all that can be told without them.
pub(crate) const SETS: [Set; 3] = [
    Set {
        name: "default",
        config: "",
    },
    Set {
        name: "full",
        config: "[statistics]\ndatasets = [\"qtype\", \"rcode\", \"opcode\", \"rcode_vs_replylen\", \
                 \"client_subnet\", \"qtype_vs_qnamelen\", \"qtype_vs_tld\", \
                 \"certain_qnames_vs_qtype\", \"client_subnet2\", \"client_addr_vs_rcode\", \
                 \"chaos_types_and_names\", \"idn_qname\", \"edns_version\", \"edns_bufsiz\", \
                 \"do_bit\", \"rd_bit\", \"idn_vs_tld\", \"ipv6_rsn_abusers\", \
                 \"transport_vs_qtype\", \"client_port_range\", \"second_ld_vs_rcode\", \
                 \"third_ld_vs_rcode\", \"dns_ip_version_vs_qtype\", \"label_count\", \
                 \"encryption\", \"priming_queries\", \"priming_responses\", \"qr_aa_bits\", \
                 \"servfail_qname\", \"ad_qname\"]\n",
    },
    Set {
        name: "all",
        config: "[statistics]\ndatasets = [\"all\"]\n",
    },
];

/// Messages per second, and what they are called.
pub(crate) const LOADS: [(Load, &str); 4] = [
    (Load::Paced(10_000), "10k"),
    (Load::Paced(100_000), "100k"),
    (Load::Paced(500_000), "500k"),
    (Load::Full, "all"),
];
/// That of random clients and names.
pub(crate) const RANDOM: (Load, &str) = (Load::Full, "random");

/// Sends a load for so long, after a warm-up by the same.
pub(crate) fn measure(
    network: &Network,
    stage: &mut Stage<'_>,
    set: &Set,
    (load, name): (Load, &'static str),
    duration: Duration,
) -> Result<Line> {
    let daemon = Daemon::start(network, set.config)?;
    stage.run(load, WARM_UP, daemon.pid())?;
    let before = Account::of(&daemon)?;
    let run = stage.run(load, duration, daemon.pid())?;
    let scrape = daemon.scrape()?;
    let line = Line {
        set: set.name,
        name,
        run,
        account: Account::of(&daemon)?.since(&before),
        lag: scrape.max("xdsc_stage_max_lag_seconds", &[("stage", "drain")])?,
        pause: scrape.max("xdsc_drain_max_pause_seconds", &[])?,
        paired: scrape.max("xdsc_pairing_interval", &[])?,
        peak: peak(daemon.pid())?,
    };
    daemon.stop()?;
    Ok(line)
}
