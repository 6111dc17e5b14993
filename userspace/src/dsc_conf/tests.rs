//! What statements mean, and what is said about those that mean nothing.

use std::net::IpAddr;
use std::path::PathBuf;

use super::*;
use crate::stats::{
    dataset::{Dimension, Filter, Indexer, Layer, Predicate},
    plan::{Compat, MAX_QNAME_FILTERS},
    response_time::{FullMode, MaxSecMode, Mode, Settings, Zero},
};

fn parse(text: &str) -> DscConf {
    DscConf::parse(text.as_bytes(), "dsc.conf", Path::new("/etc/dsc"))
        .unwrap_or_else(|errors| panic!("{errors}"))
}

fn errors(text: impl AsRef<[u8]>) -> String {
    DscConf::parse(text.as_ref(), "dsc.conf", Path::new("/etc/dsc"))
        .expect_err("there are errors")
        .to_string()
}

fn dimension(label: &str, indexer: Indexer) -> Dimension {
    Dimension {
        label: label.to_owned(),
        indexer,
    }
}

#[test]
fn nothing_said_means_the_defaults_of_dsc() {
    let conf = parse("");
    assert_eq!(conf.dns_port, 53);
    assert_eq!(conf.statistics_interval, 60);
    assert_eq!(conf.output_formats, [Format::Xml]);
    assert_eq!(conf.output_mod, 0o664);
    assert_eq!(conf.client_v4_mask, Ipv4Addr::new(255, 255, 255, 0));
    assert_eq!(
        conf.client_v6_mask.to_string(),
        "ffff:ffff:ffff:ffff:ffff:ffff::"
    );
    assert_eq!(conf.response_time.mode, Mode::Log10);
    assert_eq!(conf.response_time.max_queries, 1_000_000);
    assert_eq!(conf.response_time.full_mode, FullMode::DropQuery);
    assert_eq!(conf.response_time.max_seconds, 5);
    assert_eq!(conf.response_time.max_sec_mode, MaxSecMode::Ceil);
    assert_eq!(conf.response_time.bucket_size, 100);
    assert!(!conf.no_wait_interval && !conf.dump_reports_on_exit && !conf.drop_ip_fragments);
    assert_eq!(conf.ignored, []);
}

#[test]
fn every_statement_is_understood() {
    let conf = parse(
        "# local_address 192.0.2.99;\n\
         \t local_address 192.0.2.0 24; # behind\n\
         run_dir \"/var/lib/dsc data;#1\" ;\r\n\
         minfree_bytes 18446744073709551615;\n\
         dns_port 5353;\n\
         statistics_interval 300;\n\
         no_wait_interval;\n\
         output_format JSON;\n\
         output_format XML;\n\
         output_format JSON;\n\
         output_user dsc;\n\
         output_group \"dns ops\";\n\
         output_mod 0640;\n\
         dump_reports_on_exit # no semicolon before a comment\n\
         drop_ip_fragments ;\n\
         match_vlan 100 200;\n\
         tld_list tlds;\n\
         knowntlds_file /usr/share/tlds;\n\
         maxminddb_country country.mmdb;\n\
         maxminddb_asn asn.mmdb;\n\
         asn_indexer_backend maxminddb;\n\
         country_indexer_backend maxminddb;\n\
         client_v4_mask 255.255.0.0;\n\
         client_v6_mask ffff:ffff::;\n\
         response_time_mode bucket;\n\
         response_time_max_queries 10;\n\
         response_time_full_mode drop_oldest;\n\
         response_time_max_seconds 15;\n\
         response_time_max_sec_mode timed_out;\n\
         response_time_bucket_size 250;\n\
         bpf_vlan_tag_byte_order net;\n\
         interface eth0;\n\
         interface ./capture.pcap;\n\
         \n",
    );
    assert_eq!(conf.local_addresses.len(), 1);
    assert_eq!(conf.run_dir, Some(PathBuf::from("/var/lib/dsc data;#1")));
    assert_eq!(conf.minfree_bytes, u64::MAX);
    assert_eq!(conf.dns_port, 5353);
    assert_eq!(conf.statistics_interval, 300);
    assert!(conf.no_wait_interval && conf.dump_reports_on_exit && conf.drop_ip_fragments);
    assert_eq!(conf.output_formats, [Format::Json, Format::Xml]);
    assert_eq!(conf.output_user.as_deref(), Some("dsc"));
    assert_eq!(conf.output_group.as_deref(), Some("dns ops"));
    assert_eq!(conf.output_mod, 0o640);
    assert_eq!(conf.match_vlan, [100, 200]);
    assert_eq!(conf.tld_list, Some(PathBuf::from("/etc/dsc/tlds")));
    assert_eq!(conf.knowntlds_file, Some(PathBuf::from("/usr/share/tlds")));
    assert_eq!(
        conf.maxminddb_country,
        Some(PathBuf::from("/etc/dsc/country.mmdb"))
    );
    assert_eq!(conf.maxminddb_asn, Some(PathBuf::from("/etc/dsc/asn.mmdb")));
    assert_eq!(conf.client_v4_mask.to_string(), "255.255.0.0");
    assert_eq!(conf.client_v6_mask.to_string(), "ffff:ffff::");
    let expected = Settings {
        mode: Mode::Bucket,
        max_queries: 10,
        full_mode: FullMode::DropOldest,
        max_seconds: 15,
        max_sec_mode: MaxSecMode::TimedOut,
        bucket_size: 250,
        zero: Zero::Class,
    };
    assert_eq!(conf.response_time, expected);
    assert_eq!(conf.interfaces, ["eth0", "./capture.pcap"]);
    assert_eq!(conf.ignored, []);
}

#[test]
fn datasets_have_names_layers_dimensions_filters_and_limits() {
    let conf = parse(
        "dataset q dns Qtype:qtype TLD:tld queries-only,own,popular-qtypes min-count=2 max-cells=200;\n\
         dataset r dns All:null Time:response_time;\n\
         dataset s dns All:null V:client max-cells=0;\n\
         dataset d ip Direction:ip_direction IPProto:ip_proto any;\n\
         qname_filter other ^a ;\n\
         qname_filter own \"^www\\.\";\n",
    );
    let [q, r, s, d] = conf.datasets.as_slice() else {
        panic!("four datasets: {:?}", conf.datasets);
    };
    assert_eq!(q.name, "q");
    assert_eq!(q.layer, Layer::Dns);
    assert_eq!(
        q.dimensions,
        [
            dimension("Qtype", Indexer::Qtype),
            dimension("TLD", Indexer::Tld)
        ]
    );
    assert_eq!(
        q.filters,
        [
            Filter::Is(Predicate::Queries),
            Filter::QnameMatches(1),
            Filter::Is(Predicate::PopularQtypes)
        ]
    );
    assert_eq!(
        (q.min_count.map(u64::from), q.max_cells.map(u32::from)),
        (Some(2), Some(200))
    );
    assert_eq!((r.filters.len(), r.max_cells), (0, None));
    assert_eq!((s.filters.len(), s.max_cells), (0, None));
    assert_eq!(
        (d.layer, d.filters.as_slice()),
        (Layer::Ip, &[Filter::Is(Predicate::Any)][..])
    );
    assert!(conf.qname_filters[1].regex.is_match(b"WWW.example"));
}

#[test]
fn masks_are_bits_or_addresses() {
    for (statement, inside, outside) in [
        ("192.0.2.1", "192.0.2.1", "192.0.2.2"),
        ("192.0.2.1 24", "192.0.2.255", "192.0.3.1"),
        ("192.0.2.1 255.255.0.255", "192.0.77.1", "192.0.2.2"),
        ("192.0.2.1 0", "203.0.113.1", "2001:db8::1"),
        ("192.0.2.1 0.0.0.0", "203.0.113.1", "2001:db8::1"),
        ("2001:db8::1", "2001:db8::1", "2001:db8::2"),
        ("2001:db8::1 112", "2001:db8::ffff", "2001:db8::1:0"),
        ("2001:db8::1 ffff::", "2001::", "2002::"),
        ("::1 0", "2001:db8::1", "192.0.2.1"),
    ] {
        let conf = parse(&format!("local_address {statement};"));
        let [local] = conf.local_addresses.as_slice() else {
            panic!("{statement}: one address");
        };
        let address = |text: &str| text.parse::<IpAddr>().expect("an address");
        assert!(contains(local, address(inside)), "{statement}");
        assert!(!contains(local, address(outside)), "{statement}");
    }
}

/// Whether two addresses have the same bits under the mask.
fn contains(local: &LocalAddress, other: IpAddr) -> bool {
    let bits = |address: IpAddr| match address {
        IpAddr::V4(address) => u128::from(u32::from(address)),
        IpAddr::V6(address) => u128::from(address),
    };
    let differing = bits(local.address()) ^ bits(other);
    local.address().is_ipv4() == other.is_ipv4() && differing & bits(local.mask()) == 0
}

#[test]
fn bits_beyond_the_mask_are_noticed() {
    let conf = parse("local_address 127.0.1.1 24;\nlocal_address 127.0.2.0 24;");
    let beyond = conf.local_addresses.iter().map(LocalAddress::has_host_bits);
    assert_eq!(beyond.collect::<Vec<_>>(), [true, false]);
}

#[test]
fn what_has_no_effect_is_told() {
    let conf = parse(
        "pid_file \"/run/dsc.pid\";\n\
         dns_port 53;\n\
         dnstap_unixsock /run/dnstap.sock dsc:dsc 0007;\n\
         geoip_v4_dat \"GeoIP.dat\" STANDARD MEMORY_CACHE;\n\
         country_indexer_backend geoip;\n\
         bpf_program \"udp port 53\";\n\
         dns_port 5353; dataset lost dns All:null Q:qname any;\n\
         dataset x ip All:null Q:qname any;\n",
    );
    let told: Vec<_> = (conf.ignored.iter())
        .map(|ignored| (ignored.line, ignored.what.as_str()))
        .collect();
    assert_eq!(
        told,
        [
            (1, "pid_file"),
            (2, "dns_port"),
            (3, "dnstap_unixsock"),
            (4, "geoip_v4_dat"),
            (5, "country_indexer_backend"),
            (6, "bpf_program"),
            (7, "dataset lost dns All:null Q:qname any;"),
            (8, "ip of x"),
        ]
    );
    assert_eq!(conf.ignored[1].why, "line 7 says otherwise");
    assert_eq!(conf.dns_port, 5353);
    assert_eq!(conf.datasets[0].layer, Layer::Dns);
}

#[test]
fn datasets_that_tell_nothing_are_told() {
    let conf = parse(
        "dataset slow dns All:null Time:response_time;\n\
         dataset slower dns Qtype:qtype Time:response_time;\n\
         dataset land dns All:null Land:country;\n\
         dataset asn dns Land:country ASN:asn;\n\
         maxminddb_asn asn.mmdb;\n",
    );
    let told: Vec<_> = conf.ignored.iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "line 2: `dataset slower`: only the first dataset of response times counts; this one \
             stays empty",
            "line 3: `dataset land`: without `maxminddb_country` every country is unknown",
            "line 4: `dataset asn`: without `maxminddb_country` every country is unknown",
        ]
    );
    assert_eq!(conf.datasets.len(), 4);
}

#[test]
fn what_captures_make_idle_is_told() {
    let conf = parse(
        "run_dir /var/lib/dsc;\n\
         interface eth0;\n\
         interface eth1;\n\
         output_format XML;\n\
         no_wait_interval;\n\
         dump_reports_on_exit;\n\
         output_user dsc;\n\
         minfree_bytes 1;\n\
         statistics_interval 30;\n\
         statistics_interval 60;\n\
         drop_ip_fragments;\n\
         match_vlan 1;\n\
         dns_port 53;\n",
    );
    let lines = |compat, writes_files, has_interval| {
        let how = Use {
            compat,
            writes_files,
            has_interval,
        };
        let idle = conf.idle(how).into_iter().map(|ignored| ignored.line);
        idle.collect::<Vec<_>>()
    };
    let always = [1, 2, 3, 4, 5, 6];
    let printed = [7, 8, 10];
    let exact = [11, 12];
    let files = lines(Compat::Dsc, true, false);
    assert_eq!(files, always);
    assert_eq!(
        lines(Compat::Dsc, true, true),
        [&always[..], &[10]].concat()
    );
    assert_eq!(
        lines(Compat::Dsc, false, false),
        [&always[..], &printed].concat()
    );
    assert_eq!(
        lines(Compat::None, true, false),
        [&always[..], &exact].concat()
    );
    let first = &conf.idle(Use {
        compat: Compat::Dsc,
        writes_files: true,
        has_interval: false,
    })[0];
    assert_eq!(
        first.to_string(),
        "line 1: `run_dir`: `--output` says where files are written"
    );
}

#[test]
fn all_errors_are_told_with_their_places_and_cures() {
    let text = "datset a dns All:null Q:qname;\n\
                dataset b dns All:nul Q:qtypes querys-only,any max-cels=1;\n\
                run_dir /a /b;\n\
                interface;\n\
                local_address 192.0.2.1 ffff::;\n\
                local_address 192.0.2.1 33;\n\
                output_format xml\n\
                run_dir \"/a\n\
                dns_port 0;\n\
                qname_filter any ^a;\n\
                response_time_mode log3;\n\
                no_wait_interval 1;\n\
                client_v4_mask ffff::;\n\
                output_mod 0888;\n\
                ;\n\
                run_dir \"/a\"b;\n";
    let expected = "\
dsc.conf:1:1: \"datset\" is not a statement of dsc.conf; did you mean `dataset`?
dsc.conf:2:19: \"nul\" is not an indexer; did you mean `null`?
dsc.conf:2:25: \"qtypes\" is not an indexer; did you mean `qtype`?
dsc.conf:2:32: \"querys-only\" is not a filter; did you mean `queries-only`?
dsc.conf:2:48: \"max-cels\" is not a parameter of datasets; did you mean `max-cells`?
dsc.conf:3:12: \"/b\" is too much: `run_dir` takes one argument; remove it, or write quotes around words that belong together
dsc.conf:4:1: \"interface\" has no argument; write `interface VALUE;`
dsc.conf:5:25: \"ffff::\" is not a mask of the address; write a number of bits, or a mask of the same family
dsc.conf:6:25: \"33\" is not a mask of the address; write a number of bits, or a mask of the same family
dsc.conf:7:18: a statement without an end; end it with `;`: a statement is one line
dsc.conf:8:9: a quote without an end; close it with `\"` on the same line
dsc.conf:9:10: \"0\" is not a number that fits; write one from 1 to 65535
dsc.conf:10:14: \"any\" is the name of another filter; rename it
dsc.conf:11:20: \"log3\" is not one of the choices; write one of `log10`, `log2`, `bucket`
dsc.conf:12:18: \"1\" is too much: `no_wait_interval` takes no argument; remove it
dsc.conf:13:16: \"ffff::\" is not an IPv4 mask; write one such as `255.255.255.0`
dsc.conf:14:12: \"0888\" is not the mode of a file; write octal digits such as `0664`
dsc.conf:15:1: a `;` without a statement; remove it
dsc.conf:16:13: text right behind a quoted word; write a blank or `;` between them; quotes cannot be escaped";
    assert_eq!(errors(text), expected);
}

#[test]
fn datasets_are_refused_for_their_names() {
    for (statements, expected) in [
        (
            "dataset a-b dns All:null Q:qname;",
            "1:9: \"a-b\" is not the name of a dataset; write letters, digits and `_`, a letter first",
        ),
        (
            "dataset a dns All:null Q:qname;\ndataset A dns All:null Q:qtype;",
            "2:9: \"A\" is the name of another dataset; rename one of them",
        ),
        (
            "dataset a dns V:null v:qname;",
            "1:22: \"v:qname\" has the label of the other dimension; give each dimension a label of its own",
        ),
        (
            "dataset a dns 1:null v:qname;",
            "1:15: \"1:null\" has no proper label; write letters, digits and `_`, a letter first",
        ),
        (
            "dataset a tcp All:null v:qname any max-cells=-1 any;",
            "1:11: \"tcp\" is not a layer; write `dns` or `ip`\n\
             dsc.conf:1:46: \"-1\" is not a number that fits; write one from 0 to 4294967295\n\
             dsc.conf:1:49: \"any\" is neither `min-count=N` nor `max-cells=N`; separate filters by commas, without blanks",
        ),
        (
            "dataset a dns All:null;",
            "1:1: \"dataset\" lacks arguments; write `dataset NAME LAYER LABEL:INDEXER LABEL:INDEXER FILTERS;`",
        ),
    ] {
        assert_eq!(errors(statements), format!("dsc.conf:{expected}"));
    }
}

/// Each takes one of 64 bits, as the filters do that need no declaration.
#[test]
fn only_so_many_qname_filters_are_taken() {
    let filters = |count: usize| {
        let lines = (1..=count).map(|n| {
            format!("qname_filter own{n} ^a{n};\ndataset own{n} dns All:null Q:qname own{n};\n")
        });
        lines.collect::<String>()
    };
    let conf = parse(&filters(MAX_QNAME_FILTERS));
    assert_eq!(conf.qname_filters.len(), MAX_QNAME_FILTERS);
    let plan = conf.plan(Compat::None).expect("no files");
    assert_eq!(plan.datasets().len(), MAX_QNAME_FILTERS);
    let complaint = errors(filters(70));
    let line = 2 * MAX_QNAME_FILTERS + 1;
    let expected = format!(
        "dsc.conf:{line}:14: \"own{}\" is a filter too many; remove filters: there is room for \
         {MAX_QNAME_FILTERS}\n",
        MAX_QNAME_FILTERS + 1
    );
    assert!(complaint.starts_with(&expected), "{complaint}");
}

#[test]
fn comments_need_not_be_utf8_but_words_must() {
    let folder = Path::new("");
    let conf = DscConf::parse(b"# caf\xe9\ndns_port 53; # \xff", "dsc.conf", folder);
    assert!(conf.is_ok());
    let complaint = errors(b"run_dir /caf\xe9;");
    assert_eq!(
        complaint,
        "dsc.conf:1:13: not UTF-8; save the file in UTF-8"
    );
}

proptest::proptest! {
    #[test]
    fn no_octets_are_a_panic(octets: Vec<u8>) {
        let _ = DscConf::parse(&octets, "dsc.conf", Path::new(""));
    }

    #[test]
    fn no_arguments_are_a_panic(
        index in 0..reader::Directive::COUNT,
        arguments in "[ -~]{0,40}",
    ) {
        let name = reader::Directive::ALL[index].label();
        let text = format!("{name} {arguments};");
        let _ = DscConf::parse(text.as_bytes(), "dsc.conf", Path::new(""));
    }
}
