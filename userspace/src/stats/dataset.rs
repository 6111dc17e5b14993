//! What a dataset is: DSC's idea, kept because its users think in it.
//!
//! A dataset counts the messages that pass its filters, in cells of one or two
//! values; an indexer says which value a message has. This module only names
//! things: `plan` makes them ready to run, `engine` counts. The names are DSC's
//! (dsc.conf(5)), so that its configurations can be read; those without a DSC
//! counterpart follow them.

use std::num::{NonZeroU32, NonZeroU64};

/// What is counted, and by what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dataset {
    /// Its name: the array of a DSC file, a part of the family's name in
    /// Prometheus. Letters, digits and `_`.
    pub name: String,
    /// What it is fed with.
    pub layer: Layer,
    /// What is added up.
    pub measure: Measure,
    /// Rows, then columns. A dataset of one dimension has `null` rows.
    pub dimensions: [Dimension; 2],
    /// All of them must pass.
    pub filters: Vec<Filter>,
    /// Cells that count less are not written to DSC's files.
    pub min_count: Option<NonZeroU64>,
    /// So many columns of each row are written or exported, the biggest ones.
    pub max_cells: Option<NonZeroU32>,
}

/// One dimension of a dataset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dimension {
    /// The name of the dimension in DSC's files, as in `Qtype`; the label in
    /// Prometheus is the same in lower case.
    pub label: String,
    /// What gives the value.
    pub indexer: Indexer,
}

dns_wire::table! {
    /// What a dataset adds up.
    pub enum Measure {
        /// Messages, or packets.
        Messages = "messages",
        /// Octets of DNS messages. No DSC counterpart.
        Bytes = "bytes",
    }
}

dns_wire::table! {
    /// What a dataset is fed with.
    pub enum Layer {
        /// DNS messages.
        Dns = "dns",
        /// IP packets, DNS or not.
        Ip = "ip",
    }
}

/// A condition on a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Filter {
    /// One that is built in.
    Is(Predicate),
    /// A regular expression on QNAME: the n-th one that the configuration names.
    QnameMatches(usize),
}

dns_wire::table! {
    /// The conditions that are built in.
    pub enum Predicate {
        /// Always true.
        Any = "any",
        /// Queries.
        Queries = "queries-only",
        /// Responses.
        Replies = "replies-only",
        /// RCODE NXDOMAIN.
        Nxdomains = "nxdomains-only",
        /// RCODE SERVFAIL.
        Servfail = "servfail-only",
        /// QTYPE is one of A, NS, CNAME, SOA, PTR, MX, AAAA, SRV, A6, ANY.
        PopularQtypes = "popular-qtypes",
        /// A label of QNAME is an IDN A-label (RFC 5890).
        Idn = "idn-only",
        /// QTYPE is AAAA or A6.
        AaaaOrA6 = "aaaa-or-a6-only",
        /// QNAME is `X.root-servers.net`, X being one character.
        RootServersNet = "root-servers-net-only",
        /// QCLASS is CH.
        Chaos = "chaos-class",
        /// A priming query: QTYPE NS for the root (RFC 9609).
        Priming = "priming-query",
        /// AD is set.
        AuthenticData = "authentic-data-only",
        /// There is an OPT record of version 0.
        Edns0 = "edns0-only",
        /// A COOKIE option of a valid length (RFC 7873).
        Cookie = "edns0-cookie-only",
        /// An NSID option (RFC 5001).
        Nsid = "edns0-nsid-only",
        /// An EDNS Client Subnet option (RFC 7871).
        Ecs = "edns0-ecs-only",
        /// An Extended DNS Error option (RFC 8914).
        Ede = "edns0-ede-only",
        /// The observed host is the server: no DSC counterpart.
        Server = "server-only",
        /// The observed host is the client: no DSC counterpart.
        Client = "client-only",
        /// Anything but what a local address asks others: no DSC counterpart.
        Served = "served-only",
        /// QNAME lies in no delegated top-level domain: no DSC counterpart.
        UnknownTld = "unknown-tld-only",
    }
}

dns_wire::table! {
    /// What gives a message its value in a dimension.
    pub enum Indexer {
        /// `ALL`, for datasets of one dimension.
        Null = "null",
        /// Address of the client.
        Client = "client",
        /// Address of the server.
        Server = "server",
        /// Network of the client, by the configured masks.
        ClientSubnet = "client_subnet",
        /// Country of the client, as ISO 3166-1 alpha-2, or `??`.
        Country = "country",
        /// Number of the autonomous system of the client, or `??`.
        Asn = "asn",
        /// QNAME.
        Qname = "qname",
        /// The last two labels of QNAME, or one more than its public suffix.
        SecondLd = "second_ld",
        /// The last three labels of QNAME, or two more than its public suffix.
        ThirdLd = "third_ld",
        /// The last label of QNAME, or its public suffix.
        Tld = "tld",
        /// QTYPE.
        Qtype = "qtype",
        /// QCLASS.
        Qclass = "qclass",
        /// Octets of QNAME as text, without the final dot; 1 for the root.
        Qnamelen = "qnamelen",
        /// Labels of QNAME, without that of the root.
        LabelCount = "label_count",
        /// Octets of the message.
        Msglen = "msglen",
        /// OpCode.
        Opcode = "opcode",
        /// RCODE, of 12 bits where there is an OPT record.
        Rcode = "rcode",
        /// RD: recursion desired.
        RdBit = "rd_bit",
        /// TC: truncated.
        TcBit = "tc_bit",
        /// DO: DNSSEC answer OK (RFC 3225).
        DoBit = "do_bit",
        /// QR and AA together.
        QrAaBits = "qr_aa_bits",
        /// Whether QNAME holds an IDN A-label.
        IdnQname = "idn_qname",
        /// `localhost`, `X.root-servers.net`, or neither.
        CertainQnames = "certain_qnames",
        /// What is remarkable in a query.
        QueryClassification = "query_classification",
        /// EDNS version.
        EdnsVersion = "edns_version",
        /// EDNS UDP payload size, in bins of 512 octets.
        EdnsBufsiz = "edns_bufsiz",
        /// Whether there is a COOKIE option (RFC 7873).
        EdnsCookie = "edns_cookie",
        /// Octets of the COOKIE option.
        EdnsCookieLen = "edns_cookie_len",
        /// The client's cookie, in hexadecimal digits.
        EdnsCookieClient = "edns_cookie_client",
        /// The server's cookie, in hexadecimal digits.
        EdnsCookieServer = "edns_cookie_server",
        /// Whether there is an NSID option (RFC 5001).
        EdnsNsid = "edns_nsid",
        /// Octets of the NSID option.
        EdnsNsidLen = "edns_nsid_len",
        /// The NSID option in hexadecimal digits.
        EdnsNsidData = "edns_nsid_data",
        /// The NSID option as text.
        EdnsNsidText = "edns_nsid_text",
        /// Whether there is an EDNS Client Subnet option (RFC 7871).
        EdnsEcs = "edns_ecs",
        /// Its FAMILY.
        EdnsEcsFamily = "edns_ecs_family",
        /// Its SOURCE PREFIX-LENGTH.
        EdnsEcsSourcePrefix = "edns_ecs_source_prefix",
        /// Its SCOPE PREFIX-LENGTH.
        EdnsEcsScopePrefix = "edns_ecs_scope_prefix",
        /// Its ADDRESS as it is, in hexadecimal digits.
        EdnsEcsAddress = "edns_ecs_address",
        /// Its ADDRESS as an address.
        EdnsEcsSubnet = "edns_ecs_subnet",
        /// Whether there is an Extended DNS Error option (RFC 8914).
        EdnsEde = "edns_ede",
        /// INFO-CODE of the first one.
        EdnsEdeCode = "edns_ede_code",
        /// Octets of its EXTRA-TEXT.
        EdnsEdeTextlen = "edns_ede_textlen",
        /// Its EXTRA-TEXT.
        EdnsEdeText = "edns_ede_text",
        /// UDP or TCP.
        Transport = "transport",
        /// IP version of a DNS message.
        DnsIpVersion = "dns_ip_version",
        /// IP version of a packet.
        IpVersion = "ip_version",
        /// Source port.
        DnsSourcePort = "dns_source_port",
        /// Source port, in bins of 1024.
        DnsSportRange = "dns_sport_range",
        /// Time between query and response, and transactions without one.
        ResponseTime = "response_time",
        /// Whether a packet was sent or received, by the local addresses.
        IpDirection = "ip_direction",
        /// Protocol above IP.
        IpProto = "ip_proto",
        /// What encrypts the transport.
        Encryption = "encryption",
        /// AD: authentic data. No DSC counterpart, as all that follow.
        AdBit = "ad_bit",
        /// CD: checking disabled.
        CdBit = "cd_bit",
        /// RA: recursion available.
        RaBit = "ra_bit",
        /// CO: compact denial answers OK (RFC 9824).
        CoBit = "co_bit",
        /// DE: delegation extensions (DELEG).
        DeBit = "de_bit",
        /// Codes of all EDNS options in their order.
        EdnsOptions = "edns_options",
        /// TTL or hop limit of the packet.
        HopLimit = "hop_limit",
        /// The side of the exchange that the observed host is on.
        Role = "role",
        /// The served zone that QNAME lies in.
        Zone = "zone",
        /// Whether the top-level domain is delegated, of special use, or neither.
        TldState = "tld_state",
        /// What DSC's query_classification says.
        DscClassification = "dsc_classification",
        /// What DSC's idn_qname says: of the first label only.
        IdnFirstLabel = "idn_first_label",
        /// Continent of the client, of two letters, or `??`.
        Continent = "continent",
        /// Organisation that the autonomous system of the client belongs to, or `??`.
        AsOrg = "as_org",
        /// Network of the client, of those known by name, or `none`.
        Network = "network",
        /// Customer, by QNAME, or the client's or server's address, or `unassigned`.
        Customer = "customer",
    }
}

impl Indexer {
    /// The indexer of a name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|one| one.label() == name)
    }

    /// Whether DSC has it.
    #[must_use]
    pub const fn is_dsc(self) -> bool {
        self.index() < Self::AdBit.index()
    }

    /// Whether it reads the OPT record, which in a query stands where a record
    /// of the question tells of it, and in a response behind others.
    #[must_use]
    pub const fn reads_opt(self) -> bool {
        matches!(
            self,
            Self::EdnsVersion | Self::EdnsBufsiz | Self::DoBit | Self::CoBit | Self::DeBit
        )
    }

    /// Whether it reads the contents of EDNS options.
    #[must_use]
    pub fn reads_options(self) -> bool {
        self.label().starts_with("edns_") && !self.reads_opt()
    }

    /// Whether its values come of what is known of an address.
    #[must_use]
    pub const fn reads_place(self) -> bool {
        self.reads_geo() || matches!(self, Self::Network | Self::Customer)
    }

    /// Whether its values come of databases of addresses.
    #[must_use]
    pub const fn reads_geo(self) -> bool {
        matches!(
            self,
            Self::Country | Self::Continent | Self::Asn | Self::AsOrg
        )
    }

    /// Whether IP packets have a value, too.
    #[must_use]
    pub const fn suits_ip(self) -> bool {
        matches!(
            self,
            Self::Null | Self::IpVersion | Self::IpDirection | Self::IpProto
        )
    }
}

impl Measure {
    /// The measure of a name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|one| one.label() == name)
    }
}

impl Predicate {
    /// The filter of a name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|one| one.label() == name)
    }

    /// Whether it reads the contents of EDNS options.
    #[must_use]
    pub fn needs_whole_message(self) -> bool {
        matches!(self, Self::Cookie | Self::Nsid | Self::Ecs | Self::Ede)
    }
}

impl Dataset {
    /// Whether records of the question alone do not suffice for it.
    ///
    /// Extended RCODEs are read where they are used: in responses without other
    /// records.
    #[must_use]
    pub fn needs_whole_message(&self) -> bool {
        let has = |wanted: fn(Predicate) -> bool| {
            self.filters.iter().any(|filter| match filter {
                Filter::Is(predicate) => wanted(*predicate),
                Filter::QnameMatches(_) => false,
            })
        };
        let queries_only = has(|predicate| predicate == Predicate::Queries);
        has(Predicate::needs_whole_message)
            || self.dimensions.iter().any(|dimension| {
                let indexer = dimension.indexer;
                indexer.reads_options() || indexer.reads_opt() && !queries_only
            })
    }

    /// Whether a dimension has one of these indexers.
    #[must_use]
    pub fn is_by(&self, wanted: impl Fn(Indexer) -> bool) -> bool {
        let mut dimensions = self.dimensions.iter();
        dimensions.any(|dimension| wanted(dimension.indexer))
    }

    /// Whether the rows are one: the dataset has one dimension.
    #[must_use]
    pub fn is_flat(&self) -> bool {
        self.dimensions[0].indexer == Indexer::Null
    }
}
