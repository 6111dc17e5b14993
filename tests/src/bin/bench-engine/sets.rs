//! The sets of datasets that are measured.

use std::{path::Path, sync::Arc};

use anyhow::{Context as _, Result, ensure};
use xdsc::{
    dsc_conf::DscConf,
    read::DatasetOptions,
    stats::{
        builtin,
        plan::{Compat, Plan, Rules},
    },
};

/// A set of datasets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Set {
    /// No dataset: what the reading alone costs.
    None,
    /// The types of queries.
    One,
    /// What xdsc counts where nothing else is said.
    Default,
    /// The 34 of DSC's sample configuration, those included that are commented
    /// out there. The engine alone counts 32 of them: response times come of pairs
    /// of messages, and `direction_vs_ipproto` is fed with packets, so both have
    /// something to count only where captures are read.
    Full,
}

impl Set {
    pub(crate) const ALL: [Self; 4] = [Self::None, Self::One, Self::Default, Self::Full];

    /// What its figure is called.
    pub(crate) const fn key(self) -> &'static str {
        match self {
            Self::None => "none_mps",
            Self::One => "one_mps",
            Self::Default => "default_mps",
            Self::Full => "full_mps",
        }
    }

    /// How captures are read for it, in intervals of a minute.
    pub(crate) fn options(self) -> Result<DatasetOptions> {
        let conf = match self {
            Self::None | Self::Default => "",
            Self::One => "dataset qtype dns All:null Qtype:qtype queries-only;",
            Self::Full => DSC_SAMPLE,
        };
        let conf = format!("{LOCAL}{conf}");
        let conf = DscConf::parse(conf.as_bytes(), "datasets", Path::new("/"))?;
        let mut options = DatasetOptions::of_dsc(&conf, Compat::None)?;
        if self == Self::Default {
            options.plan = Arc::new(Plan::new(builtin::default(), Rules::default()));
        }
        let datasets = options.plan.datasets().len();
        let expected = match self {
            Self::None => 0,
            Self::One => 1,
            Self::Default => builtin::default().len(),
            Self::Full => 34,
        };
        ensure!(datasets == expected, "{datasets} instead of {expected}");
        Ok(options)
    }

    /// As the daemon has it, which counts different clients, too.
    pub(crate) fn plan(self) -> Result<Plan> {
        let plan = Arc::into_inner(self.options()?.plan).context("a plan of its own")?;
        Ok(plan.with_distinct_counts())
    }

    /// Whether it is read of many clients, too.
    pub(crate) const fn is_of_many(self) -> bool {
        matches!(self, Self::Default | Self::Full)
    }
}

/// The server of the made-up traffic.
const LOCAL: &str = "local_address 192.0.2.53;\nlocal_address 2001:db8:53::53;\n";

const DSC_SAMPLE: &str = "\
dataset qtype dns All:null Qtype:qtype queries-only;
dataset rcode dns All:null Rcode:rcode replies-only;
dataset opcode dns All:null Opcode:opcode queries-only;
dataset rcode_vs_replylen dns Rcode:rcode ReplyLen:msglen replies-only;
dataset client_subnet dns All:null ClientSubnet:client_subnet queries-only max-cells=200;
dataset qtype_vs_qnamelen dns Qtype:qtype QnameLen:qnamelen queries-only;
dataset qtype_vs_tld dns Qtype:qtype TLD:tld queries-only,popular-qtypes max-cells=200;
dataset certain_qnames_vs_qtype dns CertainQnames:certain_qnames Qtype:qtype queries-only;
dataset client_subnet2 dns Class:query_classification ClientSubnet:client_subnet queries-only max-cells=200;
dataset client_addr_vs_rcode dns Rcode:rcode ClientAddr:client replies-only max-cells=50;
dataset chaos_types_and_names dns Qtype:qtype Qname:qname chaos-class,queries-only;
dataset country_code dns All:null CountryCode:country queries-only;
dataset asn_all dns IPVersion:dns_ip_version ASN:asn queries-only max-cells=200;
dataset idn_qname dns All:null IDNQname:idn_qname queries-only;
dataset edns_version dns All:null EDNSVersion:edns_version queries-only;
dataset edns_bufsiz dns All:null EDNSBufSiz:edns_bufsiz queries-only;
dataset do_bit dns All:null DO:do_bit queries-only;
dataset rd_bit dns All:null RD:rd_bit queries-only;
dataset idn_vs_tld dns All:null TLD:tld queries-only,idn-only;
dataset ipv6_rsn_abusers dns All:null ClientAddr:client queries-only,aaaa-or-a6-only,root-servers-net-only max-cells=50;
dataset transport_vs_qtype dns Transport:transport Qtype:qtype queries-only;
dataset client_port_range dns All:null PortRange:dns_sport_range queries-only;
dataset second_ld_vs_rcode dns Rcode:rcode SecondLD:second_ld replies-only max-cells=50;
dataset third_ld_vs_rcode dns Rcode:rcode ThirdLD:third_ld replies-only max-cells=50;
dataset direction_vs_ipproto ip Direction:ip_direction IPProto:ip_proto any;
dataset dns_ip_version_vs_qtype dns IPVersion:dns_ip_version Qtype:qtype queries-only;
dataset response_time dns All:null ResponseTime:response_time any;
dataset label_count dns All:null LabelCount:label_count queries-only;
dataset encryption dns All:null Encryption:encryption queries-only;
dataset priming_queries dns Transport:transport EDNSBufSiz:edns_bufsiz priming-query,queries-only;
dataset priming_responses dns All:null ReplyLen:msglen priming-query,replies-only;
dataset qr_aa_bits dns Direction:ip_direction QRAABits:qr_aa_bits any;
dataset servfail_qname dns All:null Qname:qname servfail-only,replies-only;
dataset ad_qname dns All:null Qname:qname authentic-data-only,replies-only;
";
