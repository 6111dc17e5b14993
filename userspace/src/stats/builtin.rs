//! The datasets that can be had by name: those of DSC's sample configuration,
//! and ours.
//!
//! Each is one line as in dsc.conf(5). Where they are for a server, the filter
//! `server-only` keeps the server's own queries to others out, which DSC counts
//! as those of clients; and the clients' addresses are networks.

use std::num::NonZeroU32;

use super::dataset::{Dataset, Dimension, Filter, Indexer, Layer, Measure, Predicate};

/// `name layer first second filters [max-cells] [measure]`.
const LINES: &str = "
qtype dns ALL:null Qtype:qtype queries-only
rcode dns ALL:null Rcode:rcode replies-only
opcode dns ALL:null Opcode:opcode queries-only
rcode_vs_replylen dns Rcode:rcode ReplyLen:msglen replies-only
client_subnet dns ALL:null ClientSubnet:client_subnet queries-only 200
qtype_vs_qnamelen dns Qtype:qtype QnameLen:qnamelen queries-only
qtype_vs_tld dns Qtype:qtype TLD:tld queries-only,popular-qtypes 200
certain_qnames_vs_qtype dns CertainQnames:certain_qnames Qtype:qtype queries-only
client_subnet2 dns Class:query_classification ClientSubnet:client_subnet queries-only 200
client_addr_vs_rcode dns Rcode:rcode ClientSubnet:client_subnet replies-only 50
chaos_types_and_names dns Qtype:qtype Qname:qname chaos-class,queries-only 50
country_code dns ALL:null CountryCode:country queries-only
asn_all dns IPVersion:dns_ip_version ASN:asn queries-only 200
idn_qname dns ALL:null IDNQname:idn_qname queries-only
edns_version dns ALL:null EDNSVersion:edns_version queries-only
edns_bufsiz dns ALL:null EDNSBufsiz:edns_bufsiz queries-only
do_bit dns ALL:null DO:do_bit queries-only
rd_bit dns ALL:null RD:rd_bit queries-only
idn_vs_tld dns ALL:null TLD:tld queries-only,idn-only 200
ipv6_rsn_abusers dns ALL:null ClientSubnet:client_subnet queries-only,aaaa-or-a6-only,root-servers-net-only 50
transport_vs_qtype dns Transport:transport Qtype:qtype queries-only
client_port_range dns ALL:null PortRange:dns_sport_range queries-only
second_ld_vs_rcode dns Rcode:rcode SecondLD:second_ld replies-only 50
third_ld_vs_rcode dns Rcode:rcode ThirdLD:third_ld replies-only 50
direction_vs_ipproto ip Direction:ip_direction IPProto:ip_proto any
dns_ip_version_vs_qtype dns IPVersion:dns_ip_version Qtype:qtype queries-only
label_count dns ALL:null LabelCount:label_count queries-only
encryption dns ALL:null Encryption:encryption queries-only
priming_queries dns Transport:transport EDNSBufsiz:edns_bufsiz priming-query,queries-only
priming_responses dns ALL:null ReplyLen:msglen priming-query,replies-only
qr_aa_bits dns Direction:ip_direction QrAa:qr_aa_bits any
servfail_qname dns ALL:null Qname:qname servfail-only,replies-only 50
ad_qname dns ALL:null Qname:qname authentic-data-only,replies-only 50
tld dns ALL:null TLD:tld queries-only 200
second_ld dns ALL:null SecondLD:second_ld queries-only 200
third_ld dns ALL:null ThirdLD:third_ld queries-only 200
qname dns ALL:null Qname:qname queries-only 200
query_classification dns ALL:null Class:query_classification queries-only
dsc_classification dns ALL:null Class:dsc_classification queries-only
tld_state dns ALL:null State:tld_state queries-only
unknown_tld dns ALL:null TLD:tld queries-only,unknown-tld-only 50
client dns ALL:null Client:client queries-only 200
server_vs_transport dns Server:server Transport:transport queries-only
hop_limit dns ALL:null HopLimit:hop_limit queries-only
edns_options dns ALL:null Options:edns_options queries-only 100
ede_code dns ALL:null Code:edns_ede_code replies-only,edns0-ede-only
edns_cookie dns ALL:null Cookie:edns_cookie queries-only
edns_nsid dns ALL:null NSID:edns_nsid queries-only
edns_ecs dns ALL:null ECS:edns_ecs queries-only
edns_ecs_subnet dns ALL:null Subnet:edns_ecs_subnet queries-only,edns0-ecs-only 100
zone dns ALL:null Zone:zone queries-only
zone_vs_rcode dns Zone:zone Rcode:rcode replies-only
continent dns ALL:null Continent:continent queries-only
asn dns ASN:asn ASOrg:as_org queries-only 200
asn_vs_rcode dns Rcode:rcode ASN:asn replies-only 200
country_vs_qtype dns CountryCode:country Qtype:qtype queries-only 500
network dns ALL:null Network:network queries-only
network_vs_rcode dns Network:network Rcode:rcode replies-only
customer dns ALL:null Customer:customer queries-only 500
customer_bytes dns ALL:null Customer:customer any 500 bytes
customer_vs_rcode dns Customer:customer Rcode:rcode replies-only 500
customer_vs_qname dns Customer:customer Qname:qname queries-only 200
";

/// What is on where nothing else is said: what no family of the kernel's
/// counters shows already, and what can be told from a message's question.
const DEFAULT: &[&str] = &[
    "client_subnet",
    "qtype_vs_qnamelen",
    "qtype_vs_tld",
    "certain_qnames_vs_qtype",
    "client_subnet2",
    "client_addr_vs_rcode",
    "chaos_types_and_names",
    "idn_qname",
    "edns_version",
    "edns_bufsiz",
    "idn_vs_tld",
    "ipv6_rsn_abusers",
    "transport_vs_qtype",
    "client_port_range",
    "second_ld_vs_rcode",
    "third_ld_vs_rcode",
    "dns_ip_version_vs_qtype",
    "label_count",
    "priming_queries",
    "priming_responses",
    "qr_aa_bits",
    "servfail_qname",
    "ad_qname",
    "tld",
    "second_ld",
    "qname",
    "query_classification",
];

/// What is on, too, where the zones are known.
const OF_ZONES: &[&str] = &["zone", "zone_vs_rcode"];

/// What is on, too, where there are databases of addresses.
const OF_GEO: &[&str] = &[
    "country_code",
    "continent",
    "asn",
    "asn_vs_rcode",
    "country_vs_qtype",
];

/// What is on, too, where networks are known by name.
const OF_NETWORKS: &[&str] = &["network", "network_vs_rcode"];

/// What is on, too, where customers are known.
const OF_CUSTOMERS: &[&str] = &[
    "customer",
    "customer_bytes",
    "customer_vs_rcode",
    "customer_vs_qname",
];

/// What each kind of table brings along, whatever else is asked for.
pub const OF_TABLES: [&[&str]; 4] = [OF_ZONES, OF_GEO, OF_NETWORKS, OF_CUSTOMERS];

/// The names that stand for several datasets.
pub const GROUPS: [&str; 2] = ["default", "all"];

/// All of them, those of zones and of other tables included.
#[must_use]
pub fn all() -> Vec<Dataset> {
    lines().collect()
}

/// The ones that are on where nothing else is said.
#[must_use]
pub fn default() -> Vec<Dataset> {
    DEFAULT.iter().copied().filter_map(named).collect()
}

/// The one of a name.
#[must_use]
pub fn named(name: &str) -> Option<Dataset> {
    lines().find(|dataset| dataset.name == name)
}

/// The names, those of groups not included.
pub fn names() -> impl Iterator<Item = &'static str> {
    LINES
        .lines()
        .filter_map(|line| line.split_once(' '))
        .map(|(name, _)| name)
}

fn lines() -> impl Iterator<Item = Dataset> {
    LINES.lines().filter_map(line)
}

/// The tests see to it that every line has one.
fn line(line: &str) -> Option<Dataset> {
    let mut words = line.split(' ');
    let mut word = || words.next();
    let name = word()?.to_owned();
    let layer = match word()? {
        "ip" => Layer::Ip,
        _ => Layer::Dns,
    };
    let dimensions = [dimension(word()?)?, dimension(word()?)?];
    let filters = word()?.split(',').map(Predicate::from_name);
    let mut filters: Vec<_> = filters.collect::<Option<_>>()?;
    filters.retain(|filter| *filter != Predicate::Any);
    if layer == Layer::Dns {
        filters.push(Predicate::Server);
    }
    let mut max_cells = None;
    let mut measure = Measure::Messages;
    for word in words {
        match Measure::from_name(word) {
            Some(named) => measure = named,
            None => max_cells = Some(word.parse::<NonZeroU32>().ok()?),
        }
    }
    Some(Dataset {
        name,
        layer,
        measure,
        dimensions,
        filters: filters.into_iter().map(Filter::Is).collect(),
        min_count: None,
        max_cells,
    })
}

fn dimension(word: &str) -> Option<Dimension> {
    let (label, indexer) = word.split_once(':')?;
    Some(Dimension {
        label: label.to_owned(),
        indexer: Indexer::from_name(indexer)?,
    })
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_line_is_a_dataset_with_a_name_of_its_own() {
        let written = LINES.lines().filter(|line| !line.is_empty()).count();
        let names: HashSet<_> = names().collect();
        assert_eq!((all().len(), names.len()), (written, written));
        assert!(written >= 50, "{written}");
    }

    #[test]
    fn the_default_needs_no_whole_messages_and_no_packets() {
        let datasets = default();
        assert_eq!(datasets.len(), DEFAULT.len(), "a name without a line");
        for dataset in &datasets {
            assert!(!dataset.needs_whole_message(), "{dataset:?}");
            assert_eq!(dataset.layer, Layer::Dns, "{dataset:?}");
            let [first, second] = &dataset.dimensions;
            for indexer in [first.indexer, second.indexer] {
                let is_address = matches!(indexer, Indexer::Client | Indexer::Server);
                assert!(!is_address, "an address by default: {dataset:?}");
            }
        }
    }

    #[test]
    fn what_tables_bring_along_has_lines() {
        for name in OF_TABLES.concat() {
            let dataset = named(name).expect(name);
            let is_of_table = |one: Indexer| one.reads_place() || one == Indexer::Zone;
            assert!(dataset.is_by(is_of_table), "{name}");
            let is_of_octets = dataset.measure == Measure::Bytes;
            assert_eq!(is_of_octets, name == "customer_bytes", "{name}");
            assert!(!dataset.needs_whole_message(), "{name}");
        }
    }

    #[test]
    fn the_samples_of_dsc_are_all_there() {
        // dsc.conf.sample, but for response_time, which has a histogram.
        for name in "qtype rcode opcode rcode_vs_replylen client_subnet qtype_vs_qnamelen \
            qtype_vs_tld certain_qnames_vs_qtype client_subnet2 client_addr_vs_rcode \
            chaos_types_and_names country_code asn_all idn_qname edns_version edns_bufsiz \
            do_bit rd_bit idn_vs_tld ipv6_rsn_abusers transport_vs_qtype client_port_range \
            second_ld_vs_rcode third_ld_vs_rcode direction_vs_ipproto dns_ip_version_vs_qtype \
            label_count encryption priming_queries priming_responses qr_aa_bits servfail_qname \
            ad_qname"
            .split_whitespace()
        {
            assert!(named(name).is_some(), "{name}");
        }
    }
}
