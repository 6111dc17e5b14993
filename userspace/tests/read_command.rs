//! `xdsc read` and `xdsc config` as a user has them: arguments in, output,
//! complaints and status out.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use serde_json::Value;

/// A query for the root over UDP, as a raw IPv4 packet.
const PACKET: [u8; 45] = [
    0x45, 0, 0, 45, 0, 0, 0, 0, 64, 17, 0, 0, 192, 0, 2, 1, 192, 0, 2, 53, // IPv4
    4, 0, 0, 53, 0, 25, 0, 0, // UDP
    0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 1, // DNS: . IN NS
];

/// A capture with so many queries, a second apart.
fn capture(link: u32, queries: u32) -> Vec<u8> {
    capture_from(1_700_000_000, link, queries)
}

/// A capture that begins at this second.
fn capture_from(begin: u32, link: u32, queries: u32) -> Vec<u8> {
    let mut file = Vec::new();
    let head = [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 65_535, link];
    let packets = (0..queries).flat_map(|number| [begin + number, 0, 45, 45]);
    file.extend(head.iter().flat_map(|word| word.to_le_bytes()));
    for (place, word) in packets.enumerate() {
        file.extend(word.to_le_bytes());
        if place % 4 == 3 {
            file.extend(PACKET);
        }
    }
    file
}

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder"))
    }

    fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.0.path().join(name);
        fs::write(&path, bytes).expect("a file");
        path
    }
}

fn xdsc(args: &[&str], files: &[&Path]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xdsc"));
    let output = command.args(args).args(files).output();
    output.expect("xdsc starts")
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).expect("JSON")
}

fn complaint(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_capture_becomes_a_summary() {
    let folder = Folder::new();
    let good = folder.file("good.pcap", &capture(101, 3));
    let output = xdsc(&["read"], &[&good]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(
        (output.status.code(), complaint(&output)),
        (Some(0), String::new())
    );
    for line in [
        "Time      2023-11-14T22:13:20Z to 2023-11-14T22:13:22Z, 2.00 s",
        "Packets   3 (1.5/s), 135 octets",
        "Messages  3 (1.5/s)",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}: {text}");
    }
}

#[test]
fn a_broken_capture_is_reported_as_far_as_it_goes() {
    let folder = Folder::new();
    let whole = capture(101, 3);
    let broken = folder.file("broken.pcap", &whole[..whole.len() - 1]);
    let good = folder.file("good.pcap", &whole);
    let missing = folder.0.path().join("missing.pcap");
    let output = xdsc(&["read", "--format=json"], &[&broken, &missing, &good]);
    assert_eq!(output.status.code(), Some(1));
    let document = json(&output);
    assert_eq!(document["packets"]["total"], 5);
    assert_eq!(document["files"][0]["packets"], 2);
    assert_eq!(document["files"][2]["packets"], 3);
    assert_eq!(document["messages"][0]["messages"], 5);
    assert_eq!(document["qtypes"][0]["value"], "NS");
    let complaints = complaint(&output);
    assert!(
        complaints.contains("broken.pcap: is truncated"),
        "{complaints}"
    );
    assert!(
        complaints.contains("missing.pcap: cannot be opened"),
        "{complaints}"
    );
    assert_eq!(complaints.lines().count(), 2, "{complaints}");
}

#[test]
fn an_unknown_link_type_is_named_once() {
    let folder = Folder::new();
    let wlan = folder.file("wlan.pcap", &capture(105, 3));
    let output = xdsc(&["read", "--format=json"], &[&wlan]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(json(&output)["files"][0]["skipped"], 3);
    let complaints = complaint(&output);
    assert!(
        complaints.contains("skipped 3 packets of link type LINKTYPE 105"),
        "{complaints}"
    );
    assert_eq!(complaints.lines().count(), 1, "{complaints}");
}

#[test]
fn metrics_are_those_of_a_scrape() {
    let folder = Folder::new();
    let good = folder.file("good.pcap", &capture(101, 3));
    let output = xdsc(&["read", "--format=prometheus"], &[&good]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let line = r#"xdsc_packet_outcomes_total{hook="ingress",outcome="dns"} 3"#;
    assert!(text.lines().any(|found| found == line), "{text}");
    assert!(!text.contains("# EOF"), "{text}");
}

#[test]
fn a_closed_output_ends_it_quietly() {
    let folder = Folder::new();
    let good = folder.file("good.pcap", &capture(101, 3));
    let mut child = Command::new(env!("CARGO_BIN_EXE_xdsc"))
        .args(["read", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("xdsc starts");
    // Nobody reads before it has anything to say: it waits for its input.
    drop(child.stdout.take());
    let mut stdin = child.stdin.take().expect("stdin is piped");
    let bytes = fs::read(good).expect("the capture");
    std::io::Write::write_all(&mut stdin, &bytes).expect("xdsc reads");
    drop(stdin);
    let output = child.wait_with_output().expect("xdsc ends");
    assert_eq!(
        (output.status.code(), complaint(&output)),
        (Some(0), String::new())
    );
}

#[test]
fn usage_errors_have_status_2() {
    assert_eq!(xdsc(&["read"], &[]).status.code(), Some(2));
}

#[test]
fn a_configuration_is_checked() {
    let folder = Folder::new();
    let good = folder.file("good.toml", &xdsc(&["config", "show"], &[]).stdout);
    let output = xdsc(&["config", "check"], &[&good]);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(said, format!("{}: ok\n", good.display()));
    assert_eq!(output.status.code(), Some(0));
    let bad = folder.file("bad.toml", b"nod = \"x\"\n[web]\ntelemetry_path = 5\n");
    let output = xdsc(&["config", "check"], &[&bad]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        complaint(&output).lines().count(),
        2,
        "{}",
        complaint(&output)
    );
}

/// The spans of intervals, and the messages of their first dataset.
fn spans(output: &Output) -> Vec<[i64; 3]> {
    let document = json(output);
    let interval = |interval: &Value| {
        let messages = &interval["datasets"][0]["messages"];
        [&interval["start"], &interval["stop"], messages].map(|n| n.as_i64().expect("a number"))
    };
    let intervals = document.as_array().expect("intervals");
    intervals.iter().map(interval).collect()
}

#[test]
fn captures_out_of_order_are_told_and_have_intervals_of_their_own() {
    let folder = Folder::new();
    let later = folder.file("later.pcap", &capture_from(1_700_000_130, 101, 3));
    let earlier = folder.file("earlier.pcap", &capture_from(1_700_000_000, 101, 2));
    let args = ["read", "--dataset=qtype", "--format=json", "--interval=10"];
    let output = xdsc(&args, &[&later, &earlier]);
    assert_eq!(output.status.code(), Some(1));
    let complaints = complaint(&output);
    assert!(
        complaints.contains("earlier.pcap: begins at 2023-11-14T22:13:20Z, before the interval"),
        "{complaints}"
    );
    assert_eq!(complaints.lines().count(), 1, "{complaints}");
    let expected = [
        [1_700_000_130, 1_700_000_132, 3],
        [1_700_000_000, 1_700_000_001, 2],
    ];
    assert_eq!(spans(&output), expected);

    let output = xdsc(&args, &[&earlier, &later]);
    assert_eq!(
        (output.status.code(), complaint(&output)),
        (Some(0), String::new())
    );
    let output = xdsc(&args[..3], &[&later, &earlier]);
    assert_eq!(
        (output.status.code(), complaint(&output)),
        (Some(0), String::new())
    );
    assert_eq!(spans(&output), [[1_700_000_000, 1_700_000_132, 5]]);
}

#[test]
fn what_dsc_does_not_know_is_refused_with_its_answers() {
    let folder = Folder::new();
    let good = folder.file("good.pcap", &capture(101, 3));
    for (args, named) in [
        (&["--ports=53,5353"][..], "more than one of --ports"),
        (&["--service-address=192.0.2.53"], "--service-address"),
        (&["--decapsulate"], "--decapsulate"),
    ] {
        let args = [&["read", "--compat=dsc"], args].concat();
        let output = xdsc(&args, &[&good]);
        assert_eq!(output.status.code(), Some(1), "{args:?}");
        let expected = format!("--compat dsc does not go with {named}: ");
        assert!(
            complaint(&output).contains(&expected),
            "{}",
            complaint(&output)
        );
        assert!(output.stdout.is_empty());
    }
    let output = xdsc(&["read", "--compat=dsc", "--ports=5353"], &[&good]);
    assert_eq!(output.status.code(), Some(0), "{}", complaint(&output));
}

#[test]
fn nothing_to_tell_is_told() {
    let folder = Folder::new();
    let empty = folder.file("empty.pcap", &capture(101, 0));
    let good = folder.file("good.pcap", &capture(101, 3));
    let conf = folder.file("dsc.conf", b"");
    let output = xdsc(&["read", "--dataset=qtype"], &[&empty]);
    let told = "xdsc: no packets, and so no interval\n";
    assert_eq!(
        (output.status.code(), complaint(&output)),
        (Some(0), told.to_owned())
    );
    let conf_arg = format!("--dsc-conf={}", conf.display());
    let output = xdsc(&["read", &conf_arg], &[&good]);
    let told = format!(
        "xdsc: {} has no `dataset`: nothing is counted\n",
        conf.display()
    );
    assert_eq!((output.status.code(), complaint(&output)), (Some(0), told));
}

#[test]
fn a_folder_that_cannot_be_written_to_is_named_once() {
    let folder = Folder::new();
    let good = folder.file("good.pcap", &capture(101, 3));
    let args = [
        "read",
        "--dataset=qtype",
        "--format=dsc-xml",
        "--output=/proc/self",
    ];
    let output = xdsc(&args, &[&good]);
    assert_ne!(output.status.code(), Some(0));
    let complaint = complaint(&output);
    assert_eq!(complaint.matches("/proc/self").count(), 1, "{complaint}");
}

#[test]
fn what_of_a_dsc_conf_has_no_effect_is_told() {
    let folder = Folder::new();
    let good = folder.file("good.pcap", &capture(101, 3));
    let conf = b"interface eth0;\ndataset q dns All:null Q:qtype any;\npid_file /run/dsc.pid;\n";
    let conf = folder.file("dsc.conf", conf);
    let output = xdsc(
        &["read", &format!("--dsc-conf={}", conf.display())],
        &[&good],
    );
    assert_eq!(output.status.code(), Some(0));
    let complaint = complaint(&output);
    let lines: Vec<_> = complaint.lines().skip(1).map(str::trim).collect();
    assert_eq!(
        lines,
        [
            "line 1: `interface`: the captures take its place",
            "line 3: `pid_file`: xdsc writes no pid file; its service manager knows the process",
        ]
    );
}

#[test]
fn a_configuration_brings_its_tables_and_its_privacy() {
    let folder = Folder::new();
    let capture = folder.file("good.pcap", &capture(101, 3));
    let networks = folder.file("networks.csv", b"192.0.2.0/24,example-resolver\n");
    let customers = folder.file("customers.csv", b"192.0.2.1,Example\n");
    let config = |more: &str| {
        let (networks, customers) = (networks.display(), customers.display());
        let text = format!(
            "[networks]\nfile = \"{networks}\"\n[customers]\nfile = \"{customers}\"\n{more}"
        );
        folder.file("xdsc.toml", text.as_bytes())
    };
    let read = |config: &Path, names: &[&str]| {
        let config = config.display().to_string();
        let names = names.iter().flat_map(|name| ["--dataset", *name]);
        let args = ["read", "--format", "json", "--config", &config];
        xdsc(
            &args.into_iter().chain(names).collect::<Vec<_>>(),
            &[&capture],
        )
    };

    let output = read(&config(""), &["network", "customer_bytes", "client_subnet"]);
    assert_eq!(complaint(&output), "");
    let datasets = &json(&output)[0]["datasets"];
    let cell = |value: &str, measure: &str, amount: u64| serde_json::json!([{ "values": ["ALL", value], measure: amount }]);
    assert_eq!(
        datasets[0]["cells"],
        cell("example-resolver", "messages", 3)
    );
    // DNS messages of 17 octets.
    assert_eq!(datasets[1]["cells"], cell("Example", "bytes", 51));
    assert_eq!(datasets[1]["bytes"], 51);
    assert_eq!(datasets[2]["cells"], cell("192.0.2.0/24", "messages", 3));

    let all = read(&config(""), &[]);
    let datasets = json(&all)[0]["datasets"].clone();
    let names = datasets.as_array().expect("datasets").iter();
    let names: Vec<_> = names.filter_map(|one| one["name"].as_str()).collect();
    assert!(
        names.contains(&"customer_vs_qname") && names.contains(&"tld"),
        "{names:?}"
    );

    let refused = read(&config(""), &["client"]);
    assert_eq!(refused.status.code(), Some(1));
    assert_eq!(
        complaint(&refused),
        "xdsc: `client` has `client`, but clients are shown as prefixes; take `client_subnet`, \
         or set `privacy.clients` to \"pseudonym\" or \"address\"\n"
    );

    let key = folder.file("key", b"0123456789abcdef");
    let privacy = format!(
        "[privacy]\nclients = \"pseudonym\"\nkey_file = \"{}\"\n",
        key.display()
    );
    let output = read(&config(&privacy), &["client", "client_subnet"]);
    let datasets = json(&output)[0]["datasets"].clone();
    let shown = |index: usize| {
        let value = &datasets[index]["cells"][0]["values"][1];
        value.as_str().expect("a value").to_owned()
    };
    let (client, subnet) = (shown(0), shown(1));
    assert_ne!(client, "192.0.2.1");
    // The network of a pseudonym is the pseudonym of the network.
    let (network, _) = client.rsplit_once('.').expect("IPv4");
    assert_eq!(subnet, format!("{network}.0/24"));

    // Without a configuration nobody has asked for anything else.
    let output = xdsc(
        &["read", "--format", "json", "--dataset", "client"],
        &[&capture],
    );
    assert_eq!(
        json(&output)[0]["datasets"][0]["cells"],
        cell("192.0.2.1", "messages", 3)
    );
}

#[test]
fn a_configuration_with_a_broken_table_reads_nothing() {
    let folder = Folder::new();
    let capture = folder.file("good.pcap", &capture(101, 3));
    let text = b"[geoip]\ndatabases = [\"/absent/country.mmdb\"]\n[customers]\nfile = \"/absent/customers\"\n";
    let config = folder.file("xdsc.toml", text);
    let output = xdsc(
        &["read", "--config", &config.display().to_string()],
        &[&capture],
    );
    let complaint = complaint(&output);
    assert_eq!(output.status.code(), Some(1), "{complaint}");
    for expected in ["/absent/country.mmdb", "/absent/customers"] {
        assert!(complaint.contains(expected), "{complaint}");
    }
}

#[test]
fn shells_learn_every_command() {
    for shell in ["bash", "zsh", "fish"] {
        let output = xdsc(&["completions", shell], &[]);
        let script = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{}", complaint(&output));
        for command in ["run", "read", "tail", "top", "rssac002", "config"] {
            assert!(script.contains(command), "{shell}: {command}");
        }
    }
    let mut bash = Command::new("bash");
    let script = xdsc(&["completions", "bash"], &[]).stdout;
    let folder = Folder::new();
    let script = folder.file("xdsc.bash", &script);
    let loaded = bash.arg("-n").arg(script).status().expect("bash starts");
    assert!(loaded.success());
}

#[test]
fn every_command_has_a_manual_page() {
    let folder = Folder::new();
    let pages = folder.0.path().join("share/man/man1");
    let output = xdsc(&["man"], &[&pages]);
    assert!(output.status.success(), "{}", complaint(&output));
    for page in ["xdsc.1", "xdsc-run.1", "xdsc-top.1", "xdsc-config-check.1"] {
        let text = fs::read_to_string(pages.join(page)).expect(page);
        assert!(
            text.contains(".SH NAME") && text.contains(".SH OPTIONS"),
            "{page}: {text}"
        );
    }
    let taken = folder.file("taken", b"");
    let output = xdsc(&["man"], &[&taken]);
    assert!(!output.status.success());
    assert!(
        complaint(&output).contains("cannot write into"),
        "{}",
        complaint(&output)
    );
}
