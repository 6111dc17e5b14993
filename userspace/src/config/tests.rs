//! The configuration as its users see it: files, and what is said about them.

use proptest::prelude::*;

use super::*;

/// What is said about a file named `f`.
fn complaint(text: &str) -> String {
    match Config::from_toml(text, "f") {
        Ok(config) => panic!("accepted: {config:?}"),
        Err(errors) => errors.to_string(),
    }
}

#[track_caller]
fn assert_complaints(table: &[(&str, &str)]) {
    for (text, expected) in table {
        assert_eq!(complaint(text), *expected, "of {text:?}");
    }
}

fn strings(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

fn parsed<T: std::str::FromStr<Err: std::fmt::Debug>>(text: &str) -> T {
    text.parse().expect(text)
}

/// By hand, not by the declarations.
fn all_defaults() -> Config {
    Config {
        interfaces: vec![],
        node: String::new(),
        site: String::new(),
        probe: Probe {
            ports: vec![53],
            decapsulate: false,
            xdp_mode: XdpMode::Auto,
            egress: EgressMode::Auto,
            service_addresses: vec![],
            run_time_stats: RunTimeStats::Sampled,
        },
        ring: Ring {
            bytes: None,
            drain_threads: None,
            cpu_budget: None,
            poll_min: Duration::from_micros(500),
            poll_max: Duration::from_millis(20),
        },
        pairing: Pairing {
            one_in: 8,
            full_below: 20_000,
            timeout: Duration::from_secs(5),
            capacity: 65_536,
        },
        tcp: Tcp {
            streams: 16_384,
            memory: 16_777_216,
            idle_timeout: Duration::from_secs(30),
        },
        statistics: Statistics {
            datasets: vec![parsed("default")],
            client_v4_prefix: 24,
            client_v6_prefix: 48,
            suffix_list: String::new(),
            known_tlds: String::new(),
            zones: String::new(),
            cells: 20_480,
            top_candidates: 4096,
        },
        geoip: Geoip {
            databases: vec![],
            cache: 65_536,
            reload_interval: Duration::from_secs(10),
        },
        networks: Networks {
            file: String::new(),
        },
        customers: Customers {
            file: String::new(),
            postgres: String::new(),
            query: "SELECT match, customer FROM customers".to_owned(),
            refresh: Duration::from_secs(300),
            by: vec![CustomerBy::Zone, CustomerBy::Client],
        },
        reverse_dns: ReverseDns {
            enabled: false,
            resolvers: vec![],
            queries_per_second: 20,
            burst: 20,
            in_flight: 16,
            timeout: Duration::from_secs(2),
            queue: 1024,
            min_seen: 3,
            deny: vec![],
            allow: vec![],
            confirm: false,
            cache: 65_536,
            ttl_min: Duration::from_secs(300),
            ttl_max: Duration::from_secs(86_400),
            negative_ttl_min: Duration::from_secs(300),
            negative_ttl_max: Duration::from_secs(3600),
            cache_file: String::new(),
            redis: String::new(),
        },
        privacy: Privacy {
            clients: ClientsShown::Prefix,
            key_file: String::new(),
        },
        stream: Stream {
            max_rate: 5_000,
            queue: 8_192,
            buffer: 4_096,
            subscribers: 16,
        },
        export: Export {
            max_series: 20_000,
            max_cells: 200,
            idle_expiry: Duration::from_secs(3600),
        },
        rssac002: Rssac002 {
            directory: String::new(),
            service: String::new(),
            secret_file: String::new(),
        },
        dsc: Dsc {
            conf: String::new(),
            directory: String::new(),
            formats: vec![],
            interval: None,
            cells: 262_144,
        },
        datasets: vec![],
        web: Web {
            listen_addresses: vec![ListenAddress {
                host: ListenHost::Any,
                port: 9953,
            }],
            telemetry_path: "/metrics".to_owned(),
        },
        log: Log {
            level: LogLevel::Info,
        },
    }
}

const OTHER_THAN_DEFAULT: &str = r#"
interfaces = ["eth0", "eth1"]
node = "ns1.example.net"
site = "Zürich"

[probe]
ports = [53, 5353]
decapsulate = true
xdp_mode = "generic"
egress = "clsact"
service_addresses = ["192.0.2.53", "2001:db8::/48"]
run_time_stats = "off"

[ring]
bytes = "2 MiB"
drain_threads = 3
cpu_budget = 25
poll_min = "1ms"
poll_max = "1s"

[pairing]
one_in = 1
full_below = 0
timeout = "250ms"
capacity = 1024

[tcp]
streams = 100
memory = 65536
idle_timeout = "60s"

[statistics]
datasets = ["qtype", "all"]
client_v4_prefix = 32
client_v6_prefix = 0
suffix_list = "/etc/xdsc/public_suffix_list.dat"
known_tlds = "tlds.txt"
zones = "/etc/nsd/zones"
cells = 256
top_candidates = 64

[geoip]
databases = ["country.mmdb", "asn.mmdb"]
cache = 1024
reload_interval = "1s"

[networks]
file = "networks.csv"

[customers]
file = "customers.csv"
postgres = "host=/run/postgresql"
query = "SELECT zone, name FROM zones"
refresh = "10s"
by = ["server"]

[reverse_dns]
enabled = true
resolvers = ["192.0.2.1", "[2001:db8::1]:5353"]
queries_per_second = 5
burst = 1
in_flight = 2
timeout = "500ms"
queue = 16
min_seen = 1
deny = ["198.51.100.0/24"]
allow = ["10.0.0.0/8"]
confirm = true
cache = 1024
ttl_min = "1s"
ttl_max = "60s"
negative_ttl_min = "2s"
negative_ttl_max = "30s"
cache_file = "/var/lib/xdsc/names"
redis = "redis://192.0.2.1/0"

[privacy]
clients = "pseudonym"
key_file = "/etc/xdsc/privacy.key"

[stream]
max_rate = 10
queue = 256
buffer = 64
subscribers = 0

[export]
max_series = 1000
max_cells = 20
idle_expiry = "60s"

[rssac002]
directory = "/srv/rssac002"
service = "a.root-servers.net"
secret_file = "/etc/rssac002.secret"

[dsc]
conf = "/etc/dsc.conf"
directory = "/var/lib/dsc"
formats = ["json", "xml"]
interval = "300s"
cells = 1024

[[dataset]]
name = "mail"
dimensions = ["zone", "type:qtype"]
filters = ["queries-only", "server-only"]
measure = "bytes"
max_cells = 50

[[dataset]]
name = "bits"
dimensions = ["ad_bit"]

[web]
listen_addresses = ["127.0.0.1:8080", "[::1]:8080", "localhost:0"]
telemetry_path = "/dns/metrics"

[log]
level = "trace"
"#;

fn other_than_default() -> Config {
    let at = |host, port| ListenAddress { host, port };
    Config {
        interfaces: strings(&["eth0", "eth1"]),
        node: "ns1.example.net".to_owned(),
        site: "Zürich".to_owned(),
        probe: Probe {
            ports: vec![53, 5353],
            decapsulate: true,
            xdp_mode: XdpMode::Generic,
            egress: EgressMode::Clsact,
            service_addresses: vec![
                IpPrefix::new([192, 0, 2, 53].into(), 32).expect("a host"),
                IpPrefix::new([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0].into(), 48).expect("a network"),
            ],
            run_time_stats: RunTimeStats::Off,
        },
        ring: Ring {
            bytes: Some(2_097_152),
            drain_threads: Some(3),
            cpu_budget: Some(25),
            poll_min: Duration::from_millis(1),
            poll_max: Duration::from_secs(1),
        },
        pairing: Pairing {
            one_in: 1,
            full_below: 0,
            timeout: Duration::from_millis(250),
            capacity: 1024,
        },
        tcp: Tcp {
            streams: 100,
            memory: 65_536,
            idle_timeout: Duration::from_secs(60),
        },
        statistics: Statistics {
            datasets: vec![parsed("qtype"), parsed("all")],
            client_v4_prefix: 32,
            client_v6_prefix: 0,
            suffix_list: "/etc/xdsc/public_suffix_list.dat".to_owned(),
            known_tlds: "tlds.txt".to_owned(),
            zones: "/etc/nsd/zones".to_owned(),
            cells: 256,
            top_candidates: 64,
        },
        geoip: Geoip {
            databases: strings(&["country.mmdb", "asn.mmdb"]),
            cache: 1024,
            reload_interval: Duration::from_secs(1),
        },
        networks: Networks {
            file: "networks.csv".to_owned(),
        },
        customers: Customers {
            file: "customers.csv".to_owned(),
            postgres: "host=/run/postgresql".to_owned(),
            query: "SELECT zone, name FROM zones".to_owned(),
            refresh: Duration::from_secs(10),
            by: vec![CustomerBy::Server],
        },
        reverse_dns: ReverseDns {
            enabled: true,
            resolvers: strings(&["192.0.2.1", "[2001:db8::1]:5353"]),
            queries_per_second: 5,
            burst: 1,
            in_flight: 2,
            timeout: Duration::from_millis(500),
            queue: 16,
            min_seen: 1,
            deny: vec![IpPrefix::new([198, 51, 100, 0].into(), 24).expect("a network")],
            allow: vec![IpPrefix::new([10, 0, 0, 0].into(), 8).expect("a network")],
            confirm: true,
            cache: 1024,
            ttl_min: Duration::from_secs(1),
            ttl_max: Duration::from_secs(60),
            negative_ttl_min: Duration::from_secs(2),
            negative_ttl_max: Duration::from_secs(30),
            cache_file: "/var/lib/xdsc/names".to_owned(),
            redis: "redis://192.0.2.1/0".to_owned(),
        },
        privacy: Privacy {
            clients: ClientsShown::Pseudonym,
            key_file: "/etc/xdsc/privacy.key".to_owned(),
        },
        stream: Stream {
            max_rate: 10,
            queue: 256,
            buffer: 64,
            subscribers: 0,
        },
        export: Export {
            max_series: 1000,
            max_cells: 20,
            idle_expiry: Duration::from_secs(60),
        },
        rssac002: Rssac002 {
            directory: "/srv/rssac002".to_owned(),
            service: "a.root-servers.net".to_owned(),
            secret_file: "/etc/rssac002.secret".to_owned(),
        },
        dsc: Dsc {
            conf: "/etc/dsc.conf".to_owned(),
            directory: "/var/lib/dsc".to_owned(),
            formats: vec![DscFormat::Json, DscFormat::Xml],
            interval: Some(Duration::from_secs(300)),
            cells: 1024,
        },
        datasets: vec![
            DatasetSettings {
                name: "mail".to_owned(),
                dimensions: vec![parsed("zone"), parsed("type:qtype")],
                filters: vec![parsed("queries-only"), parsed("server-only")],
                measure: DatasetMeasure::Bytes,
                max_cells: Some(50),
            },
            DatasetSettings {
                name: "bits".to_owned(),
                dimensions: vec![parsed("ad_bit")],
                filters: vec![],
                measure: DatasetMeasure::Messages,
                max_cells: None,
            },
        ],
        web: Web {
            listen_addresses: vec![
                at(ListenHost::Address([127, 0, 0, 1].into()), 8080),
                at(ListenHost::Address([0, 0, 0, 0, 0, 0, 0, 1].into()), 8080),
                at(ListenHost::Name("localhost".to_owned()), 0),
            ],
            telemetry_path: "/dns/metrics".to_owned(),
        },
        log: Log {
            level: LogLevel::Trace,
        },
    }
}

#[test]
fn an_empty_file_gives_the_defaults() {
    assert_eq!(Config::from_toml("", "f"), Ok(all_defaults()));
    assert_eq!(
        Config::from_toml("[probe]\n[web]\n", "f"),
        Ok(all_defaults())
    );
    assert_eq!(Config::default(), all_defaults());
    assert_eq!(Ring::default(), all_defaults().ring);
}

#[test]
fn every_key_is_accepted_with_another_value() {
    assert_eq!(
        Config::from_toml(OTHER_THAN_DEFAULT, "f"),
        Ok(other_than_default())
    );
}

#[test]
fn the_file_of_other_values_leaves_no_key_out() {
    let document = Document::parse(OTHER_THAN_DEFAULT).expect("TOML");
    for section in declared().sections {
        let table = match section.name {
            "" => document.as_table(),
            "dataset" => document["dataset"][0].as_table().expect("tables"),
            name => document[name].as_table().expect(name),
        };
        for field in section.fields {
            let value = table[field.key].as_value().expect(field.key);
            assert_ne!(value.to_string().trim(), field.default, "{}", field.key);
        }
    }
}

#[test]
fn inline_tables_and_dotted_keys_are_sections_too() {
    let inline = "ring = { drain_threads = 2 }\ntcp.streams = 99\n";
    let mut expected = all_defaults();
    expected.ring.drain_threads = Some(2);
    expected.tcp.streams = 99;
    assert_eq!(Config::from_toml(inline, "f"), Ok(expected));
}

#[test]
fn numbers_may_be_left_to_the_daemon() {
    for ring in [
        "bytes = 0\ndrain_threads = 0",
        "bytes = \"auto\"\ndrain_threads = \"auto\"",
    ] {
        let text = format!("[ring]\n{ring}\n");
        assert_eq!(Config::from_toml(&text, "f"), Ok(all_defaults()), "{ring}");
    }
}

#[test]
fn sizes_are_bytes_or_have_a_unit() {
    for (text, bytes) in [
        ("65536", 65_536),
        ("\"64 KiB\"", 65_536),
        ("\"16MiB\"", 16_777_216),
    ] {
        let config = Config::from_toml(&format!("[ring]\nbytes = {text}\n"), "f");
        assert_eq!(config.map(|c| c.ring.bytes), Ok(Some(bytes)), "{text}");
    }
}

#[test]
fn the_example_states_the_defaults() {
    let example = example();
    assert_eq!(Config::from_toml(&example, "example"), Ok(all_defaults()));
    let stated = example
        .lines()
        .filter(|line| line.contains(" = ") && !line.starts_with('#'));
    assert_eq!(stated.count(), 76, "one line for each key");
    assert!(example.lines().all(|line| line.len() <= 80), "{example}");
}

#[test]
fn the_reference_has_every_key_and_the_example() {
    let reference = reference();
    for section in declared().sections {
        for field in section.fields {
            let row = format!(
                "| `{}` | {} | `{}` | ",
                field.key, field.kind, field.default
            );
            assert!(reference.contains(&row), "{row}");
            assert!(field.doc.ends_with('.'), "{}: {}", field.key, field.doc);
        }
    }
    assert!(reference.contains(&format!("```toml\n{}```\n", example())));
}

#[test]
fn the_reference_in_docs_is_current() {
    let docs = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/config.md");
    let written = std::fs::read_to_string(docs).unwrap_or_default();
    assert!(
        written == reference(),
        "docs/config.md is out of date: cargo run -p xdsc -- config reference > docs/config.md"
    );
}

#[test]
fn unknown_names_get_the_nearest_known_one() {
    assert_complaints(&[
        (
            "nodes = \"x\"\n",
            "f:1:1: `nodes` is not a known key; did you mean `node`?",
        ),
        (
            "[prob]\nports = [53]\n",
            "f:1:2: `[prob]` is not a known section; did you mean `probe`?",
        ),
        (
            "[probe]\n  port = [53]\n",
            "f:2:3: `probe.port` is not a known key; did you mean `ports`?",
        ),
        (
            "[web]\nlisten_address = \":1\"\n",
            "f:2:1: `web.listen_address` is not a known key; did you mean `listen_addresses`?",
        ),
    ]);
}

#[test]
fn keys_in_the_wrong_section_are_sent_home() {
    assert_complaints(&[
        (
            "listen_addresses = [\":1\"]\n",
            "f:1:1: `listen_addresses` is not a known key; it belongs in `[web]`",
        ),
        (
            "[log]\nsite = \"x\"\n",
            "f:2:1: `log.site` is not a known key; it belongs above the first section",
        ),
    ]);
}

#[test]
fn names_like_no_other_get_the_list() {
    assert_complaints(&[
        (
            "[log]\ncolour = true\n",
            "f:2:1: `log.colour` is not a known key; the keys here are `level`",
        ),
        (
            "[kafka]\n",
            "f:1:2: `[kafka]` is not a known section; the sections are \
             `probe`, `ring`, `pairing`, `tcp`, `statistics`, `geoip`, `networks`, `customers`, `reverse_dns`, `privacy`, `stream`, `export`, `rssac002`, `dsc`, `web`, `log`, `dataset`",
        ),
        (
            "zzz = 1\n",
            "f:1:1: `zzz` is not a known key; the keys here are `interfaces`, `node`, `site`, \
             `probe`, `ring`, `pairing`, `tcp`, `statistics`, `geoip`, `networks`, `customers`, \
             `reverse_dns`, `privacy`, `stream`, `export`, `rssac002`, `dsc`, `web`, `log`, `dataset`",
        ),
        (
            "[log.xyz]\n",
            "f:1:6: `[log.xyz]` is not a known section; the keys here are `level`",
        ),
        (
            "\"a\\u001b[31m\" = 1\n",
            "f:1:1: `a\\u{1b}[31m` is not a known key; the keys here are `interfaces`, `node`, \
             `site`, `probe`, `ring`, `pairing`, `tcp`, `statistics`, `geoip`, `networks`, `customers`, \
             `reverse_dns`, `privacy`, `stream`, `export`, `rssac002`, `dsc`, `web`, `log`, `dataset`",
        ),
    ]);
}

#[test]
fn sections_are_written_as_sections() {
    assert_complaints(&[
        (
            "probe = 1\n",
            "f:1:1: `probe` is an integer, not a section; \
             write `[probe]` once, and its keys on the lines below",
        ),
        (
            "[[probe]]\nports = [53]\n",
            "f:1:3: `probe` is an array of tables, not a section; \
             write `[probe]` once, and its keys on the lines below",
        ),
        (
            "[probe.ports]\n",
            "f:1:8: `probe.ports` is a table; \
             write a list of 1 to 8 values, each an integer from 1 to 65535",
        ),
    ]);
}

#[test]
fn values_of_the_wrong_type_say_what_to_write() {
    assert_complaints(&[
        (
            "interfaces = \"eth0\"\n",
            "f:1:14: `interfaces` is \"eth0\"; \
             write a list of up to 64 values, each the name of an interface, in quotes",
        ),
        ("node = 1\n", "f:1:8: `node` is 1; write a text, in quotes"),
        (
            "[probe]\ndecapsulate = \"yes\"\n",
            "f:2:15: `probe.decapsulate` is \"yes\"; write `true` or `false`",
        ),
        (
            "[probe]\nxdp_mode = true\n",
            "f:2:12: `probe.xdp_mode` is true; \
             write one of \"auto\", \"native\", \"generic\", \"tcx\"",
        ),
        (
            "[pairing]\ntimeout = 5\n",
            "f:2:11: `pairing.timeout` is 5; \
             write a duration from \"100ms\" to \"60s\" (in us, ms or s)",
        ),
        (
            "[pairing]\ncapacity = 1e6\n",
            "f:2:12: `pairing.capacity` is a float; write an integer from 1024 to 16777216",
        ),
    ]);
}

#[test]
fn values_out_of_bounds_say_what_to_write() {
    assert_complaints(&[
        (
            "[ring]\nbytes = \"32 KiB\"\n",
            "f:2:9: `ring.bytes` is \"32 KiB\"; write \"auto\" (or 0), or a power of two: \
             a size from \"64 KiB\" to \"16 MiB\" (in KiB, MiB, or a number of bytes)",
        ),
        (
            "[ring]\nbytes = 100000\n",
            "f:2:9: `ring.bytes` is 100000; write \"auto\" (or 0), or a power of two: \
             a size from \"64 KiB\" to \"16 MiB\" (in KiB, MiB, or a number of bytes)",
        ),
        (
            "[ring]\ndrain_threads = 65\n",
            "f:2:17: `ring.drain_threads` is 65; \
             write \"auto\" (or 0), or an integer from 1 to 64",
        ),
        (
            "[pairing]\none_in = 12\n",
            "f:2:10: `pairing.one_in` is 12; \
             write a power of two: an integer from 1 to 1024",
        ),
        (
            "[pairing]\none_in = 2048\n",
            "f:2:10: `pairing.one_in` is 2048; \
             write a power of two: an integer from 1 to 1024",
        ),
        (
            "[pairing]\ncapacity = -1\n",
            "f:2:12: `pairing.capacity` is -1; write an integer from 1024 to 16777216",
        ),
        (
            "[pairing]\ntimeout = \"61s\"\n",
            "f:2:11: `pairing.timeout` is \"61s\"; \
             write a duration from \"100ms\" to \"60s\" (in us, ms or s)",
        ),
        (
            "[tcp]\nmemory = \"16 MB\"\n",
            "f:2:10: `tcp.memory` is \"16 MB\"; \
             write a size from \"64 KiB\" to \"65536 MiB\" (in KiB, MiB, or a number of bytes)",
        ),
        (
            "[web]\nlisten_addresses = []\n",
            "f:2:20: `web.listen_addresses` has 0 values; \
             write a list of 1 to 16 values, each HOST:PORT, [IPv6]:PORT or :PORT, in quotes",
        ),
    ]);
}

#[test]
fn words_get_the_nearest_known_one() {
    assert_complaints(&[
        (
            "[probe]\nxdp_mode = \"nativ\"\n",
            "f:2:12: `probe.xdp_mode` is \"nativ\"; did you mean \"native\"?",
        ),
        (
            "[probe]\negress = \"none\"\n",
            "f:2:10: `probe.egress` is \"none\"; \
             write one of \"auto\", \"tcx\", \"clsact\", \"off\"",
        ),
        (
            "[log]\nlevel = \"warning\"\n",
            "f:2:9: `log.level` is \"warning\"; did you mean \"warn\"?",
        ),
    ]);
}

#[test]
fn texts_with_a_syntax_say_what_breaks_it() {
    assert_complaints(&[
        (
            "[probe]\nservice_addresses = [\"192.0.2.1/24\"]\n",
            "f:2:22: `probe.service_addresses[0]` is \"192.0.2.1/24\", \
             which has bits set after its prefix length; \
             write `192.0.2.0/24` for the network, or `192.0.2.1` for one address",
        ),
        (
            "[web]\nlisten_addresses = [\":9953\", \"9953\"]\n",
            "f:2:30: `web.listen_addresses[1]` is \"9953\", which has no port; \
             write `HOST:PORT`, `[IPv6]:PORT`, or `:PORT` for all addresses",
        ),
        (
            "[web]\ntelemetry_path = \"/\"\n",
            "f:2:18: `web.telemetry_path` is \"/\", which is the path of the landing page; \
             write a path such as `/metrics`, of letters, digits and `-._~/`",
        ),
    ]);
}

#[test]
fn lists_report_each_faulty_element() {
    assert_complaints(&[(
        "[probe]\nports = [\n  53,\n  0,\n  \"dns\",\n  53,\n]\n",
        "f:4:3: `probe.ports[1]` is 0; write an integer from 1 to 65535\n\
         f:5:3: `probe.ports[2]` is \"dns\"; write an integer from 1 to 65535\n\
         f:6:3: `probe.ports[3]` is 53 once more; name each value once",
    )]);
}

#[test]
fn the_shortest_poll_must_not_exceed_the_longest() {
    assert_complaints(&[
        (
            "[ring]\npoll_max = \"1ms\"\npoll_min = \"2ms\"\n",
            "f:2:1: `ring.poll_min` is 2ms, longer than `ring.poll_max`, which is 1ms; \
             lower `poll_min` or raise `poll_max`",
        ),
        (
            "[ring]\npoll_min = \"50ms\"\n",
            "f:2:1: `ring.poll_min` is 50ms, longer than `ring.poll_max`, which is 20ms; \
             lower `poll_min` or raise `poll_max`",
        ),
        (
            "[ring]\npoll_max = \"100us\"\n",
            "f:2:1: `ring.poll_min` is 500us, longer than `ring.poll_max`, which is 100us; \
             lower `poll_min` or raise `poll_max`",
        ),
    ]);
    assert_complaints(&[(
        "[rssac002]\ndirectory = \"days\"\n",
        "f:2:1: `rssac002.service` is missing, but `rssac002.directory` is given; \
         name the service, as in \"a.root-servers.net\"",
    )]);
    let equal = "[ring]\npoll_min = \"2ms\"\npoll_max = \"2ms\"\n";
    assert!(Config::from_toml(equal, "f").is_ok());
}

#[test]
fn a_faulty_value_is_not_compared_with_another() {
    assert_complaints(&[(
        "[ring]\npoll_min = \"50ms\"\npoll_max = \"2h\"\n",
        "f:3:12: `ring.poll_max` is \"2h\"; \
         write a duration from \"50us\" to \"1s\" (in us, ms or s)",
    )]);
}

#[test]
fn datasets_say_what_to_write() {
    assert_complaints(&[
        (
            "[statistics]\ndatasets = [\"qtyp\"]\n",
            "f:2:13: `statistics.datasets[0]` is \"qtyp\", which is no built-in dataset; \
             did you mean `qtype`?",
        ),
        (
            "[statistics]\ndatasets = [\"direction_vs_ipproto\"]\n",
            "f:2:13: `statistics.datasets[0]` is \"direction_vs_ipproto\", which counts packets, \
             which the kernel does not hand on; \
             xdsc_packets_total and xdsc_not_dns_packets_total have them",
        ),
        (
            "[[dataset]]\nname = \"a b\"\ndimensions = [\"qtipe\", \"response_time\"]\n\
             filters = [\"queries-onli\"]\n",
            "f:2:8: `dataset[0].name` is \"a b\", which cannot be a part of a metric's name; \
             write up to 64 letters, digits and `_`, a letter first, as in `qtype_vs_tld`\n\
             f:3:15: `dataset[0].dimensions[0]` is \"qtipe\", which names no indexer; \
             did you mean `qtype`?\n\
             f:3:24: `dataset[0].dimensions[1]` is \"response_time\", which is no dataset \
             of its own here; xdsc_response_time_seconds has the response times\n\
             f:4:12: `dataset[0].filters[0]` is \"queries-onli\", which is no filter; \
             did you mean `queries-only`?",
        ),
        (
            "[[dataset]]\nname = \"x\"\ndimensions = [\"9x:tld\"]\n",
            "f:3:15: `dataset[0].dimensions[0]` is \"9x:tld\", which has a label that Prometheus \
             does not take; write a label of letters, digits and `_`, as in `tld:second_ld`",
        ),
    ]);
}

#[test]
fn datasets_fit_together() {
    assert_complaints(&[
        (
            "[[dataset]]\n[[dataset]]\nname = \"x\"\n",
            "f:1:3: `dataset[0].name` is missing; name the dataset, as in `qtype_vs_tld`\n\
             f:1:3: `dataset[0].dimensions` is missing; \
             name one or two indexers, as in [\"qtype\", \"tld\"]\n\
             f:1:3: `dataset[1].dimensions` is missing; \
             name one or two indexers, as in [\"qtype\", \"tld\"]",
        ),
        (
            "[[dataset]]\nname = \"tld\"\ndimensions = [\"tld\"]\n",
            "f:2:1: `dataset[0].name` is \"tld\", the name of another dataset; \
             give each a name of its own",
        ),
        (
            "[[dataset]]\nname = \"uncounted\"\ndimensions = [\"tld\"]\n\
             [[dataset]]\nname = \"ErrorBound\"\ndimensions = [\"tld\"]\n",
            "f:2:1: `dataset[0].name` is \"uncounted\", \
             but xdsc_dataset_uncounted_messages is a metric already; give it another name\n\
             f:5:1: `dataset[1].name` is \"ErrorBound\", \
             but xdsc_dataset_error_bound_messages is a metric already; give it another name",
        ),
        (
            "[[dataset]]\nname = \"x\"\ndimensions = [\"tld\"]\n\
             filters = [\"queries-only\", \"chaos-class\", \"replies-only\"]\n",
            "f:4:1: `dataset[0].filters` have `queries-only` and `replies-only`, \
             which no message passes; leave out one of them",
        ),
        (
            "[[dataset]]\nname = \"x\"\ndimensions = [\"tld\", \"TLD:second_ld\"]\n",
            "f:3:1: `dataset[0].dimensions` have the same label; \
             put labels before them, as in `qname:qname` and `tld:tld`",
        ),
        (
            "[[dataset]]\nname = \"x\"\ndimensions = [\"zone\"]\n",
            "f:3:1: `dataset[0].dimensions` have `zone`, but no zones are known; \
             name a file or folder in `statistics.zones`",
        ),
        (
            "[statistics]\ndatasets = [\"country_code\", \"customer_bytes\", \"client\"]\n",
            "f:2:1: `statistics.datasets[0]` is \"country_code\", which has what databases of \
             addresses tell, but there is none; name MMDB files in `geoip.databases`\n\
             f:2:1: `statistics.datasets[1]` is \"customer_bytes\", which has `customer`, but no \
             customers are known; name a file in `customers.file`, or a database in \
             `customers.postgres`\n\
             f:2:1: `statistics.datasets[2]` is \"client\", which has `client`, but clients are \
             shown as prefixes; take `client_subnet`, or set `privacy.clients` to \"pseudonym\" \
             or \"address\"",
        ),
        (
            "[[dataset]]\nname = \"x\"\ndimensions = [\"as_org\"]\n\
             [[dataset]]\nname = \"y\"\ndimensions = [\"network\"]\n\
             [[dataset]]\nname = \"z\"\ndimensions = [\"client\"]\n",
            "f:3:1: `dataset[0].dimensions` have what databases of addresses tell, but there is \
             none; name MMDB files in `geoip.databases`\n\
             f:6:1: `dataset[1].dimensions` have `network`, but no networks are known; \
             name a file in `networks.file`\n\
             f:9:1: `dataset[2].dimensions` have `client`, but clients are shown as prefixes; \
             take `client_subnet`, or set `privacy.clients` to \"pseudonym\" or \"address\"",
        ),
        (
            "[[dataset]]\nname = \"uncounted\"\ndimensions = [\"tld\"]\nmeasure = \"bytes\"\n",
            "f:2:1: `dataset[0].name` is \"uncounted\", \
             but xdsc_dataset_uncounted_bytes is a metric already; give it another name",
        ),
        (
            "[export]\nmax_series = 16\n",
            "f:2:1: `export.max_series` is too low for the datasets, \
             which have 54 series at least; raise it, or name fewer datasets",
        ),
        (
            "dataset = 1\n",
            "f:1:1: `dataset` is an integer, not an array of tables; \
             write `[[dataset]]` for each, and its keys on the lines below",
        ),
    ]);
}

#[test]
fn all_errors_are_reported_in_the_order_of_the_file() {
    let text = "\
# A comment with an umlaut: ä
nod = \"x\"
[web]
telemetry_path = \"metrics\"
[ring]
poll_min = \"30ms\"
drain_thread = 1
[probe]
ports = [53, 0]   # ä
xdp_mode = \"fast\"
";
    assert_complaints(&[(
        text,
        "f:2:1: `nod` is not a known key; did you mean `node`?\n\
         f:4:18: `web.telemetry_path` is \"metrics\", which does not begin with `/`; \
         write a path such as `/metrics`, of letters, digits and `-._~/`\n\
         f:6:1: `ring.poll_min` is 30ms, longer than `ring.poll_max`, which is 20ms; \
         lower `poll_min` or raise `poll_max`\n\
         f:7:1: `ring.drain_thread` is not a known key; did you mean `drain_threads`?\n\
         f:9:14: `probe.ports[1]` is 0; write an integer from 1 to 65535\n\
         f:10:12: `probe.xdp_mode` is \"fast\"; \
         write one of \"auto\", \"native\", \"generic\", \"tcx\"",
    )]);
    let errors = Config::from_toml(text, "f").expect_err("six errors").errors;
    let keys: Vec<_> = errors.iter().map(|error| error.key.as_str()).collect();
    assert_eq!(
        keys,
        [
            "nod",
            "web.telemetry_path",
            "ring.poll_min",
            "ring.drain_thread",
            "probe.ports[1]",
            "probe.xdp_mode"
        ]
    );
}

#[test]
fn columns_count_characters() {
    assert_complaints(&[
        (
            "ring = { \"ä\" = 1, bytes = 1 }\n",
            "f:1:10: `ring.ä` is not a known key; the keys here are \
             `bytes`, `drain_threads`, `cpu_budget`, `poll_min`, `poll_max`\n\
             f:1:27: `ring.bytes` is 1; write \"auto\" (or 0), or a power of two: \
             a size from \"64 KiB\" to \"16 MiB\" (in KiB, MiB, or a number of bytes)",
        ),
        (
            "\u{feff}nod = 1\r\nnodee = 1\r\n",
            "f:1:1: `nod` is not a known key; did you mean `node`?\n\
             f:2:1: `nodee` is not a known key; did you mean `node`?",
        ),
    ]);
}

#[test]
fn what_is_not_toml_is_shown_with_its_line() {
    assert_complaints(&[
        (
            "[log]\n  level = \"info\n",
            "f:2:16: not TOML: invalid basic string, expected `\"`; in the line `level = \"info`",
        ),
        (
            "[log]\nlevel info\n",
            "f:2:7: not TOML: key with no value, expected `=`; in the line `level info`",
        ),
        (
            "[log]\nlevel = \"info\"\nlevel = \"warn\"\n",
            "f:3:1: not TOML: duplicate key; in the line `level = \"warn\"`",
        ),
        (
            "[log]\n[tcp]\n[log]\n",
            "f:3:2: not TOML: duplicate key; in the line `[log]`",
        ),
        (
            "x = [",
            "f:1:6: not TOML: unclosed array, expected `]`; in the line `x = [`",
        ),
        (
            "[tcp]\nstreams = 99999999999999999999\n",
            "f:2:11: not TOML: integer number overflowed; \
             in the line `streams = 99999999999999999999`",
        ),
    ]);
}

#[test]
fn foreign_text_in_messages_is_cut_and_escaped() {
    let long = "ä".repeat(100);
    let excerpt = format!("{}...", "ä".repeat(80));
    assert_eq!(
        complaint(&format!("[log]\nlevel = '{long}\u{9b}'\n")),
        format!(
            "f:2:9: `log.level` is \"{excerpt}\"; \
             write one of \"error\", \"warn\", \"info\", \"debug\", \"trace\""
        )
    );
    assert_eq!(
        complaint("[log]\nlevel = \"a\u{1b}[2J\"\n"),
        "f:2:11: not TOML: invalid basic string, expected non-double-quote visible characters, \
         `\\`; in the line `level = \"a\\u{1b}[2J\"`"
    );
}

#[test]
fn files_are_loaded_by_path() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("x.toml");
    std::fs::write(&path, OTHER_THAN_DEFAULT).expect("written");
    assert_eq!(Config::load(&path).expect("loaded"), other_than_default());

    std::fs::write(&path, "nod = 1\n").expect("written");
    let error = Config::load(&path).expect_err("unknown key").to_string();
    let expected = ":1:1: `nod` is not a known key; did you mean `node`?";
    assert_eq!(error, format!("{}{expected}", path.display()));

    std::fs::write(&path, b"site = \"x\"\nnode = \"\xe4\"\n").expect("written");
    let error = Config::load(&path).expect_err("Latin-1").to_string();
    let expected = ":2:9: not UTF-8; save the file in UTF-8";
    assert_eq!(error, format!("{}{expected}", path.display()));
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let error = Config::load(Path::new("/nonexistent/x.toml")).expect_err("no file");
    assert_eq!(
        error.to_string(),
        "cannot read the configuration /nonexistent/x.toml: \
         No such file or directory (os error 2); check the path and its permissions"
    );
}

/// Whatever the text, each error has a place in it and one line of its own.
fn assert_judged(text: &str) {
    let Err(errors) = Config::from_toml(text, "f") else {
        return;
    };
    assert_eq!(errors.to_string().lines().count(), errors.errors.len());
    assert!(!errors.errors.is_empty());
    let lines: Vec<&str> = text.split('\n').collect();
    for error in errors.errors {
        let line = lines.get(error.line - 1).expect("a line of the text");
        assert!(
            (1..=line.chars().count() + 1).contains(&error.column),
            "{error}"
        );
    }
}

proptest! {
    #[test]
    fn any_text_is_judged(text in "\\PC*") {
        assert_judged(&text);
    }

    #[test]
    fn any_bytes_are_judged(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        assert_judged(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn any_damage_to_a_file_is_judged(
        start in 0..OTHER_THAN_DEFAULT.len(),
        removed in 0_usize..20,
        inserted in "[-\\[\\]{}=\".,#a-z0-9ä\u{0} \\n\\r\\t\\\\]{0,6}",
    ) {
        let start = OTHER_THAN_DEFAULT.floor_char_boundary(start);
        let end = OTHER_THAN_DEFAULT.ceil_char_boundary(start + removed);
        let mut text = OTHER_THAN_DEFAULT.to_owned();
        text.replace_range(start..end.min(OTHER_THAN_DEFAULT.len()), &inserted);
        assert_judged(&text);
    }

    #[test]
    fn any_value_of_any_key_is_judged(
        key in prop::sample::select(all_keys()),
        value in "(-?[0-9]{1,22}|[0-9]\\.[0-9]|true|\"[-0-9a-z:/.\\[\\]% ]{0,12}\"|\\[(\"[0-9:/]{0,5}\",|[0-9]{1,5},){0,10}\\]|\\{\\})",
    ) {
        assert_judged(&format!("{key} = {value}\n"));
    }
}

fn all_keys() -> Vec<String> {
    let paths = declared().sections.into_iter().flat_map(|section| {
        let prefix = match section.name {
            "" => String::new(),
            name => format!("{name}."),
        };
        section
            .fields
            .into_iter()
            .map(move |field| format!("{prefix}{}", field.key))
    });
    paths.collect()
}
