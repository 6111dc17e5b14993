//! A small name server over real sockets, so that the demonstration needs none
//! installed. Its answers come from `zone`.
//!
//! One socket per address and transport: replies leave from the address that
//! was asked. Plain threads are enough for the rates of a demonstration.

use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::mpsc;
use std::thread;

use anyhow::{Context as _, Result};
use clap::Args;
use nix::sys::socket::{setsockopt, sockopt};

use super::addresses::SERVERS;
use super::tally::Transport;
use super::zone::answer;

/// Room for a second of a fast generator.
pub(super) const SOCKET_BUFFER: usize = 16 << 20;
/// What the responder prints when all its sockets are open.
pub(super) const READY: &str = "ready";

/// Answer DNS queries on the demonstration's addresses, until killed
#[derive(Args)]
pub(crate) struct Responder {
    /// Address to answer on instead [repeatable]
    #[arg(long, value_name = "IP")]
    address: Vec<IpAddr>,
    #[arg(long, default_value_t = 53)]
    port: u16,
}

impl Responder {
    pub(crate) fn run(&self) -> Result<()> {
        let addresses = if self.address.is_empty() {
            &SERVERS[..]
        } else {
            &self.address
        };
        let (failure, failures) = mpsc::channel();
        for &address in addresses {
            let address = SocketAddr::new(address, self.port);
            let udp = udp_socket(address)?;
            let tcp = TcpListener::bind(address)
                .with_context(|| format!("cannot listen on {address}, TCP"))?;
            spawn(&failure, move || serve_udp(&udp));
            spawn(&failure, move || serve_tcp(&tcp));
        }
        println!("{READY}");
        io::stdout().flush()?;
        failures.recv()?.context("a socket of the responder failed")
    }
}

fn spawn(
    failure: &mpsc::Sender<io::Result<()>>,
    serve: impl FnOnce() -> io::Result<()> + Send + 'static,
) {
    let failure = failure.clone();
    // Nobody listens any more when the responder is ending anyway.
    thread::spawn(move || drop(failure.send(serve())));
}

fn udp_socket(address: SocketAddr) -> Result<UdpSocket> {
    let socket = UdpSocket::bind(address).with_context(|| format!("cannot bind {address}, UDP"))?;
    enlarge_buffers(&socket)?;
    Ok(socket)
}

/// Makes room in both directions; beyond the system's limit where allowed.
pub(super) fn enlarge_buffers(socket: &UdpSocket) -> Result<()> {
    setsockopt(socket, sockopt::RcvBufForce, &SOCKET_BUFFER)
        .or_else(|_| setsockopt(socket, sockopt::RcvBuf, &SOCKET_BUFFER))
        .and_then(|()| setsockopt(socket, sockopt::SndBuf, &SOCKET_BUFFER))
        .context("cannot enlarge a socket's buffers")
}

fn serve_udp(socket: &UdpSocket) -> io::Result<()> {
    let mut buffer = vec![0; 65_536];
    loop {
        let (len, client) = socket.recv_from(&mut buffer)?;
        let request = buffer.get(..len).unwrap_or_default();
        if let Some(reply) = answer(request, Transport::Udp) {
            socket.send_to(&reply, client)?;
        }
    }
}

fn serve_tcp(listener: &TcpListener) -> io::Result<()> {
    loop {
        let (connection, _) = listener.accept()?;
        // A connection that ends early is the client's affair.
        thread::spawn(move || drop(serve_connection(connection)));
    }
}

/// Answers what has arrived in one write, so that pipelined queries give
/// pipelined replies.
fn serve_connection(mut connection: TcpStream) -> io::Result<()> {
    connection.set_nodelay(true)?;
    let mut received = Vec::new();
    let mut buffer = vec![0; 65_536];
    loop {
        let len = connection.read(&mut buffer)?;
        if len == 0 {
            return Ok(());
        }
        received.extend_from_slice(buffer.get(..len).unwrap_or_default());
        let mut replies = Vec::new();
        while let Some(request) = take_message(&mut received) {
            replies.extend(
                answer(&request, Transport::Tcp)
                    .as_deref()
                    .and_then(prefixed)
                    .unwrap_or_default(),
            );
        }
        connection.write_all(&replies)?;
    }
}

/// The message behind its length (RFC 1035, section 4.2.2), where it fits.
pub(super) fn prefixed(message: &[u8]) -> Option<Vec<u8>> {
    let len = u16::try_from(message.len()).ok()?;
    Some([&len.to_be_bytes(), message].concat())
}

/// Takes the first message out of a stream's octets, if it is there wholly.
pub(super) fn take_message(stream: &mut Vec<u8>) -> Option<Vec<u8>> {
    let prefix = stream.first_chunk::<2>()?;
    let end = 2 + usize::from(u16::from_be_bytes(*prefix));
    let message = stream.get(2..end)?.to_vec();
    stream.drain(..end);
    Some(message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_taken_from_a_stream_when_whole() {
        let mut stream = vec![0];
        assert_eq!(take_message(&mut stream), None, "half a prefix");
        stream.extend([2, 7]);
        assert_eq!(take_message(&mut stream), None, "half a message");
        stream.extend([8, 0, 0, 0, 1]);
        assert_eq!(take_message(&mut stream), Some(vec![7, 8]));
        assert_eq!(take_message(&mut stream), Some(vec![]), "an empty message");
        assert_eq!(take_message(&mut stream), None);
        assert_eq!(stream, [0, 1], "the next one's prefix stays");
    }

    #[test]
    fn prefix_is_the_length_in_network_order() {
        assert_eq!(
            prefixed(&[9; 258]).expect("a short message")[..3],
            [1, 2, 9]
        );
        assert_eq!(prefixed(&[0; 65_536]), None);
    }
}
