//! The link types we know by name.

use std::fmt;

/// What a captured packet begins with: a `LINKTYPE_` value of the tcpdump
/// group's registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LinkType(pub u16);

macro_rules! link_types {
    ($($(#[$doc:meta])* $name:ident = $value:literal,)*) => {
        impl LinkType {
            $($(#[$doc])* pub const $name: Self = Self($value);)*

            /// Its name in the registry, without `LINKTYPE_`.
            pub fn name(self) -> Option<&'static str> {
                match self {
                    $(Self::$name => Some(stringify!($name)),)*
                    Self(_) => None,
                }
            }
        }
    };
}

link_types! {
    /// BSD loopback: the address family, in the byte order of the capturing host.
    NULL = 0,
    /// Ethernet.
    ETHERNET = 1,
    /// PPP, with or without HDLC's address and control.
    PPP = 9,
    /// IPv4 or IPv6: `DLT_RAW` of most systems, written into files by mistake.
    RAW_BSD = 12,
    /// IPv4 or IPv6: `DLT_RAW` of OpenBSD, written into files by mistake.
    RAW_OPENBSD = 14,
    /// IPv4 or IPv6, told apart by the version.
    RAW = 101,
    /// OpenBSD loopback: the address family in network byte order.
    LOOP = 108,
    /// Linux's "any" interface: a header of 16 bytes.
    LINUX_SLL = 113,
    /// IPv4.
    IPV4 = 228,
    /// IPv6.
    IPV6 = 229,
    /// Linux's "any" interface, second version: a header of 20 bytes.
    LINUX_SLL2 = 276,
}

impl fmt::Display for LinkType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "LINKTYPE {}", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::LinkType;

    #[test]
    fn known_link_types_have_a_name_and_others_a_number() {
        assert_eq!(LinkType(1).to_string(), "ETHERNET");
        assert_eq!(LinkType(276).to_string(), "LINUX_SLL2");
        assert_eq!(LinkType(105).to_string(), "LINKTYPE 105");
    }
}
