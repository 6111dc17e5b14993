//! Why a packet that should have been DNS could not be read.

table! {
    /// The reason a packet was rejected: it claims to be something that its
    /// bytes are not. Counted, never logged.
    pub enum Reject {
        /// Shorter than its link-layer header.
        LinkHeader = "link_header",
        /// More than two VLAN tags.
        VlanDepth = "vlan_depth",
        /// IPv4 header with a wrong version or header length (RFC 791, section 3.1).
        Ipv4Header = "ipv4_header",
        /// IPv6 header cut short or with a wrong version (RFC 8200, section 3).
        Ipv6Header = "ipv6_header",
        /// More IPv6 extension headers than are followed, or a chain that runs past the packet (RFC 8200, section 4).
        Ipv6Extensions = "ipv6_extensions",
        /// IP length field smaller than the headers or larger than the frame.
        IpLength = "ip_length",
        /// Tunnel header cut short, of an unknown version, or with source routing (RFC 2784, RFC 2890).
        TunnelHeader = "tunnel_header",
        /// A tunnel within a tunnel.
        TunnelDepth = "tunnel_depth",
        /// UDP header cut short (RFC 768).
        UdpHeader = "udp_header",
        /// UDP length field smaller than its header or larger than the IP packet (RFC 768).
        UdpLength = "udp_length",
        /// TCP header cut short, or its data offset points outside of the segment (RFC 9293, section 3.1).
        TcpHeader = "tcp_header",
        /// Fewer than the 12 octets of a DNS header (RFC 1035, section 4.1.1).
        DnsHeader = "dns_header",
        /// Compression pointer in the first question, where nothing precedes it to point at (RFC 1035, section 4.1.4).
        NamePointer = "name_pointer",
        /// Label of a reserved or obsolete type, its first two bits 01 or 10 (RFC 6891, section 5).
        NameLabelType = "name_label_type",
        /// Name of more than 255 octets (RFC 1035, section 3.1).
        NameLength = "name_length",
        /// The message ends within the question's name.
        NameTruncated = "name_truncated",
        /// The message ends before QTYPE and QCLASS.
        QuestionTruncated = "question_truncated",
        /// The capture holds fewer bytes than the parser needs, though the packet on the wire had them.
        Snapped = "snapped",
    }
}
