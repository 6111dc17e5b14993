//! The sockets to listen on: bound by us, or handed over by systemd.
//!
//! They are opened before anything runs, so that a wrong address stops the
//! start with a message that says what to do.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, ToSocketAddrs as _};

use listenfd::ListenFd;
use socket2::{Domain, SockRef, Socket, Type};

/// Clients that may wait to be accepted; the kernel may allow fewer.
const BACKLOG: i32 = 1024;

/// Listening sockets, ready to be served.
#[derive(Debug)]
pub struct Listeners(Vec<TcpListener>);

/// Why there is nothing to listen on.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// The configuration names no address.
    #[error("no address to listen on; give one with --web.listen-address, such as `:9953`")]
    NoAddress,
    /// A host name has no address.
    #[error(
        "cannot listen on {address}: the host name does not resolve ({source}); write an IP address, or leave the host out to listen on all"
    )]
    Resolve {
        /// The address as given.
        address: String,
        /// The resolver's reason.
        source: io::Error,
    },
    /// The port is taken.
    #[error(
        "cannot listen on {address}: address already in use; another xdsc or exporter holds the port (see `ss -ltnp`); choose another with --web.listen-address"
    )]
    InUse {
        /// The address as given.
        address: String,
        /// The kernel's reason.
        source: io::Error,
    },
    /// The port is reserved for root.
    #[error(
        "cannot listen on {address}: permission denied; ports below 1024 need CAP_NET_BIND_SERVICE; choose another with --web.listen-address"
    )]
    Permission {
        /// The address as given.
        address: String,
        /// The kernel's reason.
        source: io::Error,
    },
    /// The address is not this machine's.
    #[error(
        "cannot listen on {address}: no interface of this machine has that address (see `ip address`)"
    )]
    NotLocal {
        /// The address as given.
        address: String,
        /// The kernel's reason.
        source: io::Error,
    },
    /// Anything else that the kernel says.
    #[error("cannot listen on {address}: {source}")]
    Other {
        /// The address as given.
        address: String,
        /// The kernel's reason.
        source: io::Error,
    },
    /// No socket came from systemd.
    #[error(
        "systemd handed over no socket (LISTEN_FDS is not set for this process); start xdsc by its .socket unit, or use --web.listen-address instead of --web.systemd-socket"
    )]
    NoSystemdSocket,
    /// What came from systemd does not listen for TCP.
    #[error(
        "socket {index} from systemd is not a listening TCP socket ({source}); use ListenStream= with a port or an IP address and a port in the .socket unit"
    )]
    NotTcp {
        /// The socket's place among those handed over, from 0.
        index: usize,
        /// What is wrong with it.
        source: io::Error,
    },
}

impl Listeners {
    /// Binds every address: a host, or none for all of this machine's
    /// addresses, and a port.
    ///
    /// # Errors
    /// At the first address that cannot be bound; nothing stays bound then.
    pub fn bind<H: AsRef<str>>(
        addresses: impl IntoIterator<Item = (Option<H>, u16)>,
    ) -> Result<Self, ListenError> {
        let mut sockets = Vec::new();
        for (host, port) in addresses {
            let address = Address {
                host: host.as_ref().map(AsRef::as_ref),
                port,
            };
            sockets.extend(address.bind()?);
        }
        if sockets.is_empty() {
            return Err(ListenError::NoAddress);
        }
        Ok(Self(sockets))
    }

    /// Takes over the sockets that systemd opened, by its `LISTEN_FDS`
    /// protocol. The variables are removed from the environment, so call this
    /// once, and before there are other threads.
    ///
    /// # Errors
    /// When there is no socket, or one that does not listen for TCP.
    pub fn from_systemd() -> Result<Self, ListenError> {
        let mut handed_over = ListenFd::from_env();
        let sockets: Vec<_> = (0..handed_over.len())
            .map(|index| take(&mut handed_over, index))
            .collect::<Result<_, _>>()?;
        if sockets.is_empty() {
            return Err(ListenError::NoSystemdSocket);
        }
        Ok(Self(sockets))
    }

    /// Where clients can connect, with the ports that the kernel chose for 0.
    ///
    /// # Errors
    /// When the kernel does not say.
    pub fn local_addresses(&self) -> io::Result<Vec<SocketAddr>> {
        self.0.iter().map(TcpListener::local_addr).collect()
    }

    pub(super) fn into_tokio(self) -> io::Result<Vec<tokio::net::TcpListener>> {
        self.0.into_iter().map(into_tokio).collect()
    }
}

fn into_tokio(socket: TcpListener) -> io::Result<tokio::net::TcpListener> {
    socket.set_nonblocking(true)?;
    tokio::net::TcpListener::from_std(socket)
}

fn take(handed_over: &mut ListenFd, index: usize) -> Result<TcpListener, ListenError> {
    let not_tcp = |source| ListenError::NotTcp { index, source };
    let socket = handed_over.take_tcp_listener(index).map_err(not_tcp)?;
    let socket = socket.ok_or(ListenError::NoSystemdSocket)?;
    match SockRef::from(&socket).is_listener() {
        Ok(true) => Ok(socket),
        Ok(false) => Err(not_tcp(io::Error::other("it is not listening"))),
        Err(error) => Err(not_tcp(error)),
    }
}

/// An address as the operator gave it.
#[derive(Clone, Copy)]
struct Address<'a> {
    host: Option<&'a str>,
    port: u16,
}

impl fmt::Display for Address<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let port = self.port;
        match self.host.map(unbracketed) {
            None => write!(f, ":{port}"),
            Some(host) if host.contains(':') => write!(f, "[{host}]:{port}"),
            Some(host) => write!(f, "{host}:{port}"),
        }
    }
}

impl Address<'_> {
    fn bind(self) -> Result<Vec<TcpListener>, ListenError> {
        let bound = match self.host.map(unbracketed) {
            None | Some("") => bind_all_interfaces(self.port).map(|socket| vec![socket]),
            Some(host) => bind_some(&self.resolve(host)?),
        };
        bound.map_err(|source| self.error(source))
    }

    fn resolve(self, host: &str) -> Result<Vec<SocketAddr>, ListenError> {
        let resolved = (host, self.port).to_socket_addrs();
        let address = self.to_string();
        Ok(resolved
            .map_err(|source| ListenError::Resolve { address, source })?
            .collect())
    }

    fn error(self, source: io::Error) -> ListenError {
        let address = self.to_string();
        match source.raw_os_error() {
            Some(libc::EADDRINUSE) => ListenError::InUse { address, source },
            Some(libc::EACCES) => ListenError::Permission { address, source },
            Some(libc::EADDRNOTAVAIL) => ListenError::NotLocal { address, source },
            _ => ListenError::Other { address, source },
        }
    }
}

fn unbracketed(host: &str) -> &str {
    let inner = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    inner.unwrap_or(host)
}

/// One IPv6 socket takes IPv4 clients as well; a kernel booted without IPv6
/// gets an IPv4 one.
fn bind_all_interfaces(port: u16) -> io::Result<TcpListener> {
    match bind((Ipv6Addr::UNSPECIFIED, port).into()) {
        Err(error) if is_absent(&error) => bind((Ipv4Addr::UNSPECIFIED, port).into()),
        bound => bound,
    }
}

/// A name such as `localhost` may resolve to an address of a family that this
/// machine has not got; the others are enough.
fn bind_some(addresses: &[SocketAddr]) -> io::Result<Vec<TcpListener>> {
    let mut sockets = Vec::new();
    let mut absent = None;
    for &address in addresses {
        match bind(address) {
            Ok(socket) => sockets.push(socket),
            Err(error) if is_absent(&error) => absent = Some(error),
            Err(error) => return Err(error),
        }
    }
    match absent {
        Some(error) if sockets.is_empty() => Err(error),
        _ => Ok(sockets),
    }
}

fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    // A restart need not wait for the connections of the instance before.
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        // net.ipv6.bindv6only must not decide what `:PORT` means.
        socket.set_only_v6(address.ip() != IpAddr::V6(Ipv6Addr::UNSPECIFIED))?;
    }
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Whether the address or its whole family is not on this machine.
fn is_absent(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::EADDRNOTAVAIL | libc::EAFNOSUPPORT)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    type Outcome = Result<(), Box<dyn std::error::Error>>;

    fn loopback() -> (Option<&'static str>, u16) {
        (Some("127.0.0.1"), 0)
    }

    #[track_caller]
    fn message(bound: Result<Listeners, ListenError>) -> String {
        bound.expect_err("binding must fail").to_string()
    }

    #[test]
    fn a_taken_port_is_explained() -> Outcome {
        let first = Listeners::bind([(None::<&str>, 0)])?;
        let port = first.local_addresses()?[0].port();
        assert_eq!(
            message(Listeners::bind([(None::<&str>, port)])),
            format!(
                "cannot listen on :{port}: address already in use; another xdsc or exporter holds the port (see `ss -ltnp`); choose another with --web.listen-address"
            )
        );
        Ok(())
    }

    #[test]
    fn an_address_of_another_machine_is_explained() {
        // RFC 5737 and RFC 3849 reserve these for documentation.
        assert_eq!(
            message(Listeners::bind([(Some("192.0.2.1"), 9953)])),
            "cannot listen on 192.0.2.1:9953: no interface of this machine has that address (see `ip address`)"
        );
        let error = message(Listeners::bind([(Some("[2001:db8::1]"), 9953)]));
        assert!(
            error.starts_with("cannot listen on [2001:db8::1]:9953: "),
            "{error}"
        );
    }

    #[test]
    fn an_unknown_host_is_explained() {
        // RFC 6761: such a name never resolves.
        let error = message(Listeners::bind([(Some("xdsc.invalid"), 9953)]));
        assert!(
            error.starts_with(
                "cannot listen on xdsc.invalid:9953: the host name does not resolve ("
            ),
            "{error}"
        );
    }

    #[test]
    fn no_address_is_an_error() {
        let error = message(Listeners::bind::<&str>([]));
        assert!(error.starts_with("no address to listen on"), "{error}");
    }

    #[test]
    fn several_addresses_give_several_sockets() -> Outcome {
        let listeners = Listeners::bind([loopback(), loopback()])?;
        let addresses = listeners.local_addresses()?;
        assert_eq!(addresses.len(), 2);
        assert!(
            addresses
                .iter()
                .all(|address| address.ip().is_loopback() && address.port() != 0)
        );
        Ok(())
    }

    #[test]
    fn one_wrong_address_among_several_fails_all() {
        let error = message(Listeners::bind([loopback(), (Some("192.0.2.1"), 1)]));
        assert!(
            error.starts_with("cannot listen on 192.0.2.1:1: "),
            "{error}"
        );
    }

    #[test]
    fn a_name_listens_on_the_addresses_it_has_here() -> Outcome {
        let addresses = Listeners::bind([(Some("localhost"), 0)])?.local_addresses()?;
        assert!(!addresses.is_empty());
        assert!(addresses.iter().all(|address| address.ip().is_loopback()));
        Ok(())
    }

    #[test]
    fn a_missing_family_is_skipped_where_another_one_serves() -> Outcome {
        let here = SocketAddr::from(([127, 0, 0, 1], 0));
        let elsewhere = SocketAddr::from(([192, 0, 2, 1], 0));
        assert_eq!(bind_some(&[elsewhere, here])?.len(), 1);
        assert!(bind_some(&[elsewhere]).is_err());
        Ok(())
    }

    #[test]
    fn only_a_missing_address_or_family_is_absence() {
        let cases = [
            (libc::EAFNOSUPPORT, true),
            (libc::EADDRNOTAVAIL, true),
            (libc::EADDRINUSE, false),
            (libc::EACCES, false),
            (libc::EMFILE, false),
        ];
        for (errno, expected) in cases {
            assert_eq!(
                is_absent(&io::Error::from_raw_os_error(errno)),
                expected,
                "errno {errno}"
            );
        }
    }
}
