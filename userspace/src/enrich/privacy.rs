//! How clients' addresses are shown: as prefixes, as pseudonyms, or as they are.
//!
//! It is the last step: countries, networks and customers are looked up by the
//! address itself, and only what is printed goes through here. A pseudonym is an
//! address again, and what two addresses have in common at their beginning, their
//! pseudonyms have, too (`ipcrypt-pfx` of draft-denis-ipcrypt): a network stays a
//! network. Whoever has the secret can turn it back.

use std::{
    fmt, fs, io,
    net::IpAddr,
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
};

use hkdf::Hkdf;
use ipcrypt_rs::IpcryptPfx;
use sha2::Sha256;

use crate::config::{ClientsShown, Config};

/// Octets of a secret at least.
const SHORTEST_SECRET: usize = 16;
/// What the key is derived for: another use of the secret gets another key.
const PURPOSE: &[u8] = b"xdsc pseudonyms of clients, ipcrypt-pfx";

/// How an address is shown.
#[derive(Clone, Debug)]
pub enum Privacy {
    /// Its network, of so many bits.
    Prefix {
        /// Of IPv4.
        ipv4: u8,
        /// Of IPv6.
        ipv6: u8,
    },
    /// An address that stands for it.
    Pseudonym(Pseudonyms),
    /// As it is.
    Address,
}

/// A secret that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PrivacyError {
    /// The file cannot be read.
    #[error("privacy.key_file: cannot read {}: {cause}", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// Whoever wants to could find it out.
    #[error(
        "privacy.key_file: {} has {octets} octets, which is too short for a secret; write at least {SHORTEST_SECRET} random ones, as of `openssl rand -hex 32`",
        file.display()
    )]
    Short {
        /// The file.
        file: PathBuf,
        /// Octets in it, without blanks at its end.
        octets: usize,
    },
    /// The system has no random octets.
    #[error(
        "privacy.clients: cannot make up a secret: {0}; name a file with one in `privacy.key_file`"
    )]
    Random(getrandom::Error),
}

impl Privacy {
    /// As the configuration says.
    ///
    /// Without a file, the secret is made up once for the process.
    ///
    /// # Errors
    /// When the secret cannot be read, or is too short.
    pub fn from_config(config: &Config) -> Result<Self, PrivacyError> {
        Ok(match config.privacy.clients {
            ClientsShown::Prefix => Self::Prefix {
                ipv4: config.statistics.client_v4_prefix,
                ipv6: config.statistics.client_v6_prefix,
            },
            ClientsShown::Pseudonym => Self::Pseudonym(match &*config.privacy.key_file {
                "" => Pseudonyms::of_secret(&made_up_secret()?),
                file => Pseudonyms::of_file(Path::new(file))?,
            }),
            ClientsShown::Address => Self::Address,
        })
    }

    /// The address as it is shown, with the length of its prefix where it is one.
    #[must_use]
    pub fn show(&self, address: IpAddr) -> String {
        let shown = self.shown(address);
        match (self, address) {
            (Self::Prefix { ipv4, .. }, IpAddr::V4(_)) => format!("{shown}/{ipv4}"),
            (Self::Prefix { ipv6, .. }, IpAddr::V6(_)) => format!("{shown}/{ipv6}"),
            (Self::Pseudonym(_) | Self::Address, _) => shown.to_string(),
        }
    }

    /// The address that is shown, of a prefix the first one.
    #[must_use]
    pub fn shown(&self, address: IpAddr) -> IpAddr {
        match self {
            Self::Prefix { ipv4, ipv6 } => network(address, *ipv4, *ipv6),
            Self::Pseudonym(_) | Self::Address => self.alias(address),
        }
    }

    /// What stands for an address, or for a network by its first one: itself
    /// where there are no pseudonyms. Of a network, the first bits only count.
    #[must_use]
    pub fn alias(&self, address: IpAddr) -> IpAddr {
        match self {
            Self::Pseudonym(pseudonyms) => pseudonyms.of(address),
            Self::Prefix { .. } | Self::Address => address,
        }
    }
}

/// What makes pseudonyms: of one secret.
#[derive(Clone)]
pub struct Pseudonyms(Arc<IpcryptPfx>);

impl Pseudonyms {
    /// With the secret in a file; blanks and line breaks at its end do not count.
    ///
    /// # Errors
    /// When it cannot be read, or is shorter than 16 octets.
    pub fn of_file(file: &Path) -> Result<Self, PrivacyError> {
        let secret = fs::read(file).map_err(|cause| PrivacyError::Read {
            file: file.to_owned(),
            cause,
        })?;
        let secret = secret.trim_ascii_end();
        if secret.len() < SHORTEST_SECRET {
            return Err(PrivacyError::Short {
                file: file.to_owned(),
                octets: secret.len(),
            });
        }
        Ok(Self::of_secret(secret))
    }

    /// With this secret: the key is HKDF-SHA-256 of it (RFC 5869) without a salt,
    /// so that all who have the secret have the key.
    #[must_use]
    pub fn of_secret(secret: &[u8]) -> Self {
        let mut key = [0; IpcryptPfx::KEY_BYTES];
        let derived = Hkdf::<Sha256>::new(None, secret).expand(PURPOSE, &mut key);
        debug_assert!(derived.is_ok(), "HKDF gives 255 times as much");
        Self::of_key(key)
    }

    fn of_key(key: [u8; IpcryptPfx::KEY_BYTES]) -> Self {
        Self(Arc::new(IpcryptPfx::new(key)))
    }

    /// The pseudonym of an address, of the same family.
    #[must_use]
    pub fn of(&self, address: IpAddr) -> IpAddr {
        self.0.encrypt_ipaddr(address)
    }
}

/// Without the key.
impl fmt::Debug for Pseudonyms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pseudonyms")
    }
}

/// The same for all parts of a process, or they would speak of different clients.
fn made_up_secret() -> Result<[u8; 32], PrivacyError> {
    static SECRET: OnceLock<[u8; 32]> = OnceLock::new();
    if let Some(secret) = SECRET.get() {
        return Ok(*secret);
    }
    let mut secret = [0; 32];
    getrandom::fill(&mut secret).map_err(PrivacyError::Random)?;
    Ok(*SECRET.get_or_init(|| secret))
}

/// The first address of the network of so many bits.
fn network(address: IpAddr, ipv4: u8, ipv6: u8) -> IpAddr {
    match address {
        IpAddr::V4(address) => {
            let host = u32::MAX.checked_shr(ipv4.into()).unwrap_or(0);
            IpAddr::V4((u32::from(address) & !host).into())
        }
        IpAddr::V6(address) => {
            let host = u128::MAX.checked_shr(ipv6.into()).unwrap_or(0);
            IpAddr::V6((u128::from(address) & !host).into())
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use proptest::prelude::*;

    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect(text)
    }

    /// Of `ipcrypt-pfx`, draft-denis-ipcrypt, appendix of test vectors.
    #[test]
    fn pseudonyms_are_those_of_the_draft() {
        let octets = |digits: &str| {
            let octet = |n: usize| u8::from_str_radix(&digits[2 * n..2 * n + 2], 16);
            std::array::from_fn(|n| octet(n).expect("two digits"))
        };
        let one = "0123456789abcdeffedcba98765432101032547698badcfeefcdab8967452301";
        let other = "2b7e151628aed2a6abf7158809cf4f3ca9f5ba40db214c3798f2e1c23456789a";
        for (key, address, expected) in [
            (one, "0.0.0.0", "151.82.155.134"),
            (one, "255.255.255.255", "94.185.169.89"),
            (one, "192.0.2.1", "100.115.72.131"),
            (one, "2001:db8::1", "c180:5dd4:2587:3524:30ab:fa65:6ab6:f88"),
            (other, "10.0.0.47", "19.214.210.244"),
        ] {
            let pseudonyms = Pseudonyms::of_key(octets(key));
            assert_eq!(pseudonyms.of(ip(address)), ip(expected), "{address}");
        }
    }

    #[test]
    fn an_address_is_shown_as_asked_for() {
        let prefix = Privacy::Prefix { ipv4: 24, ipv6: 48 };
        let nothing = Privacy::Prefix { ipv4: 0, ipv6: 0 };
        let all = Privacy::Prefix {
            ipv4: 32,
            ipv6: 128,
        };
        for (privacy, address, expected) in [
            (&prefix, "192.0.2.53", "192.0.2.0/24"),
            (&prefix, "2001:db8:1:2::3", "2001:db8:1::/48"),
            (&nothing, "192.0.2.53", "0.0.0.0/0"),
            (&nothing, "2001:db8::1", "::/0"),
            (&all, "192.0.2.53", "192.0.2.53/32"),
            (&all, "2001:db8::1", "2001:db8::1/128"),
            (&Privacy::Address, "192.0.2.53", "192.0.2.53"),
            (&Privacy::Address, "2001:db8::1", "2001:db8::1"),
        ] {
            assert_eq!(privacy.show(ip(address)), expected);
        }
    }

    #[test]
    fn whoever_has_the_secret_has_the_same_pseudonyms() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("secret");
        let show = |text: &str| {
            fs::write(&file, text).expect("a file");
            let mut config = Config::default();
            config.privacy.clients = ClientsShown::Pseudonym;
            config.privacy.key_file = file.display().to_string();
            let privacy = Privacy::from_config(&config).map_err(|error| error.to_string())?;
            Ok::<_, String>(privacy.show(ip("192.0.2.1")))
        };
        let first = show("a secret of 24 octets ..").expect("a secret");
        assert_eq!(show("a secret of 24 octets ..\n").as_ref(), Ok(&first));
        assert_ne!(show("another one of 24 octets").as_ref(), Ok(&first));
        assert_ne!(first, "192.0.2.1");
        let error = show("short one\n").expect_err("9 octets");
        assert!(error.contains("has 9 octets") && error.contains("at least 16"));
        fs::remove_file(&file).expect("it was there");
        let error = Pseudonyms::of_file(&file).expect_err("no file").to_string();
        assert!(
            error.starts_with("privacy.key_file: cannot read "),
            "{error}"
        );
    }

    #[test]
    fn a_secret_that_is_made_up_is_that_of_the_process() {
        let mut config = Config::default();
        config.privacy.clients = ClientsShown::Pseudonym;
        let show = || {
            let privacy = Privacy::from_config(&config).expect("random octets");
            assert_eq!(format!("{privacy:?}"), "Pseudonym(Pseudonyms)");
            privacy.show(ip("192.0.2.1"))
        };
        assert_eq!(show(), show());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        /// What two addresses have in common is as long as before.
        #[test]
        fn pseudonyms_keep_prefixes(secret: [u8; 32], one: u128, bit in 0_u32..128, noise: u128) {
            let pseudonyms = Pseudonyms::of_secret(&secret);
            let bit = bit.min(127);
            let tail = noise & (u128::MAX >> bit >> 1);
            let other = one ^ (1 << (127 - bit)) ^ tail;
            let common = |a: u128, b: u128| (a ^ b).leading_zeros();
            let v6 = |words: u128| match pseudonyms.of(Ipv6Addr::from(words).into()) {
                IpAddr::V6(address) => u128::from(address),
                IpAddr::V4(address) => panic!("{address} of IPv6"),
            };
            prop_assert_eq!(common(v6(one), v6(other)), bit);

            let (one, other) = ((one >> 96) as u32, (other >> 96) as u32);
            let v4 = |word: u32| match pseudonyms.of(Ipv4Addr::from(word).into()) {
                IpAddr::V4(address) => u32::from(address),
                IpAddr::V6(address) => panic!("{address} of IPv4"),
            };
            prop_assert_eq!((v4(one) ^ v4(other)).leading_zeros(), bit.min(32));
        }
    }
}
