//! DSC's files of a running xdsc beside a capture of the same traffic: dataset by
//! dataset the same numbers.

use std::{collections::BTreeMap, fs, path::Path, thread, time::Duration};

use anyhow::{Context as _, Result, ensure};
use integration_tests::network::{
    Network, SERVER, Side,
    client::{Load, Transport, kdig},
    daemon::{Daemon, refusal},
    eventually, in_network,
    server::{HUGE, Kind, NameServer},
};
use nix::sys::signal::Signal;
use serde_json::Value;

/// Everything that DSC's sample configuration has, but for countries, and more.
const DATASETS: &str = "\
local_address 192.0.2.1;
local_address 2001:db8::1;
client_v6_mask ffff:ffff:ffff:ffff::;
qname_filter Absent ^absent;
dataset qtype dns All:null Qtype:qtype queries-only;
dataset rcode dns All:null Rcode:rcode replies-only;
dataset opcode dns All:null Opcode:opcode queries-only;
dataset rcode_vs_replylen dns Rcode:rcode ReplyLen:msglen replies-only;
dataset client_subnet dns All:null ClientSubnet:client_subnet queries-only;
dataset qtype_vs_qnamelen dns Qtype:qtype QnameLen:qnamelen queries-only;
dataset qtype_vs_tld dns Qtype:qtype TLD:tld queries-only,popular-qtypes;
dataset certain_qnames_vs_qtype dns CertainQnames:certain_qnames Qtype:qtype queries-only;
dataset client_subnet2 dns Class:query_classification ClientSubnet:client_subnet queries-only;
dataset client_addr_vs_rcode dns Rcode:rcode ClientAddr:client replies-only;
dataset chaos_types_and_names dns Qtype:qtype Qname:qname chaos-class,queries-only;
dataset edns_version dns All:null EDNSVersion:edns_version queries-only;
dataset edns_bufsiz dns All:null EDNSBufSiz:edns_bufsiz queries-only;
dataset do_bit dns All:null D0:do_bit queries-only;
dataset rd_bit dns All:null RD:rd_bit queries-only;
dataset tc_bit dns All:null TC:tc_bit replies-only;
dataset transport_vs_qtype dns Transport:transport Qtype:qtype queries-only;
dataset client_port_range dns All:null PortRange:dns_sport_range queries-only;
dataset second_ld_vs_rcode dns Rcode:rcode SecondLD:second_ld replies-only;
dataset third_ld_vs_rcode dns Rcode:rcode ThirdLD:third_ld replies-only;
dataset direction_vs_ipproto ip Direction:ip_direction IPProto:ip_proto any;
dataset dns_ip_version_vs_qtype dns IPVersion:dns_ip_version Qtype:qtype queries-only;
dataset label_count dns All:null LabelCount:label_count queries-only;
dataset qr_aa_bits dns Direction:ip_direction QRAABits:qr_aa_bits any;
dataset servfail_qname dns All:null Qname:qname servfail-only,replies-only;
dataset nxdomain_qname dns All:null Qname:qname nxdomains-only,replies-only;
dataset edns_cookie dns All:null Cookie:edns_cookie queries-only;
dataset edns_cookie_len dns All:null Length:edns_cookie_len any;
dataset edns_nsid dns All:null Nsid:edns_nsid queries-only;
dataset edns_nsid_text dns All:null Text:edns_nsid_text replies-only;
dataset edns_ecs_family dns All:null Family:edns_ecs_family queries-only;
dataset edns_ecs_subnet dns All:null Subnet:edns_ecs_subnet queries-only;
dataset server_addr dns IPVersion:dns_ip_version Server:server any;
dataset absent dns Qname:qname Client:client Absent,queries-only;
dataset response_time dns All:null ResponseTime:response_time any;
";

const QUESTIONS: [(&str, &str); 6] = [
    ("www.example", "A"),
    ("www.example", "AAAA"),
    ("example", "MX"),
    ("text.example", "TXT"),
    ("absent.example", "A"),
    ("a.b.c.absent.example", "SRV"),
];

/// What makes each message different from the others.
const ODDITIES: [&[&str]; 9] = [
    &["+nsid", "www.example", "A"],
    &["+cookie", "www.example", "A"],
    &["+subnet=198.51.100.0/24", "www.example", "A"],
    &["+dnssec", "+bufsize=4096", "example", "SOA"],
    &["-c", "CH", "-t", "TXT", "version.bind"],
    &["+norec", "elsewhere.invalid", "A"],
    &["+tcp", HUGE, "TXT"],
    &[HUGE, "TXT"],
    &["-t", "NOTIFY", "example"],
];

/// A dataset: messages by both values.
type Cells = BTreeMap<(String, String), u64>;

#[test]
fn files_and_a_capture_say_the_same() -> Result<()> {
    in_network(|network| {
        let _server = NameServer::start(network, Kind::Knot)?;
        let conf = network.file("dsc.conf", DATASETS)?;
        let [live, read] = ["live", "read"].map(|name| network.directory().join(name));
        fs::create_dir(&live)?;
        let capture = network.directory().join("traffic.pcap");
        let capture = capture.to_str().context("text")?;
        let flags = [
            "-i",
            "dns0",
            "-U",
            "--immediate-mode",
            "-B",
            "65536",
            "-s",
            "0",
            "-Z",
            "root",
            "-w",
            capture,
        ];
        let mut tcpdump = network.start(Side::Server, "tcpdump", &flags)?;
        eventually("tcpdump to listen", || {
            ensure!(
                tcpdump.log()?.contains("listening on"),
                "{}",
                tcpdump.log()?
            );
            Ok(())
        })?;
        let settings = format!(
            "[pairing]\none_in = 1\n[dsc]\nconf = {conf:?}\ndirectory = {:?}\n\
             formats = [\"json\", \"xml\"]\ninterval = \"2s\"\n",
            live.display()
        );
        let daemon = Daemon::start(network, &settings)?;
        ask(network)?;
        let samples = daemon.quiet()?;
        let lost = samples.count("xdsc_ring_dropped_records_total", &[]);
        ensure!(lost.unwrap_or(0) == 0, "records were lost");
        let errors = samples.count("xdsc_dsc_file_errors_total", &[])?;
        ensure!(errors == 0, "{errors} errors");
        daemon.stop()?;
        // What it has received and not written yet it would not write any more.
        let mut before = 0;
        eventually("tcpdump to fall silent", || {
            thread::sleep(Duration::from_millis(300));
            let size = fs::metadata(capture)?.len();
            let silent = std::mem::replace(&mut before, size) == size;
            ensure!(silent, "{size} octets");
            Ok(())
        })?;
        tcpdump.end_by(Signal::SIGINT)?;
        ensure!(
            tcpdump.log()?.contains("\n0 packets dropped by kernel"),
            "{}",
            tcpdump.log()?
        );

        let folder = read.to_str().context("text")?;
        let arguments = [
            "read",
            "--dsc-conf",
            &conf,
            "--format",
            "dsc-json",
            "--output",
            folder,
        ];
        let done = refusal(network, &[], &[&arguments[..], &[capture]].concat())?;
        ensure!(done.status.success(), "{}", done.said);
        let (files, live) = summed(&live)?;
        ensure!(files >= 2, "{files} files");
        let (_, read) = summed(&read)?;
        agree(live, read)
    })
}

fn ask(network: &Network) -> Result<()> {
    for server in SERVER {
        for transport in [Transport::Udp, Transport::Tcp] {
            let load = Load {
                server,
                transport,
                questions: &QUESTIONS,
                rounds: 1000,
                rate: Some(5000),
            };
            let tally = load.run(network)?;
            ensure!(tally.sent == tally.completed, "{tally:?}");
        }
        for arguments in ODDITIES {
            kdig(network, server, arguments)?;
        }
    }
    Ok(())
}

fn agree(mut live: BTreeMap<String, Cells>, mut read: BTreeMap<String, Cells>) -> Result<()> {
    let names = |datasets: &BTreeMap<String, Cells>| datasets.keys().cloned().collect::<Vec<_>>();
    ensure!(
        names(&live) == names(&read),
        "{:?} {:?}",
        names(&live),
        names(&read)
    );
    ensure!(live.len() == DATASETS.matches("\ndataset ").count() + 1);
    // Interfaces on one side, a file on the other.
    live.remove("pcap_stats");
    read.remove("pcap_stats");
    // The kernel's clock is not tcpdump's: a time may lie in the next class. The
    // number of responses is the same, and nobody waited in vain.
    for datasets in [&mut live, &mut read] {
        let times = datasets.get_mut("response_time").context("response_time")?;
        let all: u64 = times.values().sum();
        let kinds = times.keys().all(|(_, class)| class.contains('-'));
        ensure!(kinds, "{times:?}");
        *times = BTreeMap::from([(Default::default(), all)]);
        // What else is on the cable comes whenever it likes; and the segments
        // that the kernel has joined are one packet for tcpdump, if they were
        // joined before it.
        let packets = datasets
            .get_mut("direction_vs_ipproto")
            .context("packets")?;
        packets.retain(|(_, protocol), _| protocol == "udp");
    }
    for (name, cells) in &live {
        ensure!(
            !cells.is_empty() || name == "servfail_qname",
            "{name} is empty"
        );
        let others = read.get(name).context("a dataset")?;
        ensure!(cells == others, "{name}:\nlive {cells:?}\nread {others:?}");
    }
    Ok(())
}

/// The files of a folder in JSON, how many there are, and their sum.
fn summed(folder: &Path) -> Result<(usize, BTreeMap<String, Cells>)> {
    let (mut files, mut sum) = (0, BTreeMap::new());
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_none_or(|end| end != "json") {
            continue;
        }
        files += 1;
        let file: Value = serde_json::from_str(&fs::read_to_string(&path)?)?;
        for array in file.as_array().context("arrays")? {
            let name = text(array.get("name"))?;
            add(sum.entry(name).or_default(), array).with_context(|| array.to_string())?;
        }
    }
    Ok((files, sum))
}

fn add(cells: &mut Cells, array: &Value) -> Result<()> {
    let [first, second] = [0, 1].map(|n| text(array["dimensions"].get(n)));
    let (first, second) = (first?, second?);
    for row in array["data"].as_array().context("rows")? {
        let value = text(row.get(&first))?;
        for cell in row[&second].as_array().context("cells")? {
            let key = (value.clone(), text(cell.get("val"))?);
            *cells.entry(key).or_default() += cell["count"].as_u64().context("a count")?;
        }
    }
    Ok(())
}

fn text(value: Option<&Value>) -> Result<String> {
    Ok(value.and_then(Value::as_str).context("a text")?.to_owned())
}
