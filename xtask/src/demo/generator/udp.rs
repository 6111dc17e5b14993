//! The clients' UDP sockets: several per address, so that source ports vary.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::AsFd as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use hickory_proto::op::Message;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::super::addresses::{clients, server_for};
use super::super::queries::{Layout, Mix, Query};
use super::super::responder::enlarge_buffers;
use super::super::tally::{Family, Flow, Transport};
use super::tcp::{Job, Lanes};
use super::{Account, TICK};

const SOCKETS_PER_ADDRESS: usize = 4;
/// How often the receiver looks whether it is to end.
const LOOK: u16 = 50;

pub(super) struct UdpClients {
    sockets: Vec<ClientSocket>,
    /// Questions without an answer yet, by socket and ID.
    pending: Mutex<HashMap<(usize, u16), Query>>,
}

struct ClientSocket {
    socket: UdpSocket,
    family: Family,
}

impl UdpClients {
    pub(super) fn open() -> Result<Self> {
        let sockets = clients()
            .into_iter()
            .flat_map(|address| [address; SOCKETS_PER_ADDRESS])
            .map(ClientSocket::open)
            .collect::<Result<_>>()?;
        Ok(Self {
            sockets,
            pending: Mutex::default(),
        })
    }

    /// Sends a query from any client of the family.
    pub(super) fn ask(
        &self,
        mix: &mut Mix,
        family: Family,
        query: Query,
        account: &Account,
    ) -> Result<()> {
        let (index, client) = self.client(mix, family)?;
        let qtype = query.qtype.clone();
        let message = {
            let mut pending = self.pending();
            let (id, place) = free_id(mix, &mut pending, index);
            let message = query.with_id(id);
            place.insert_entry(query);
            message
        };
        client.send(&message)?;
        account.lock().sent(client.flow(), &qtype);
        Ok(())
    }

    /// Sends what is no message from any client of the family.
    pub(super) fn send_malformed(&self, mix: &mut Mix, family: Family, bytes: &[u8]) -> Result<()> {
        self.client(mix, family)?.1.send(bytes)
    }

    fn client(&self, mix: &mut Mix, family: Family) -> Result<(usize, &ClientSocket)> {
        let of_family = || {
            self.sockets
                .iter()
                .enumerate()
                .filter(|(_, client)| client.family == family)
        };
        let chosen = mix.client(of_family().count());
        of_family().nth(chosen).context("a client of the family")
    }

    /// Receives answers until told to end. Truncated ones are asked for again
    /// over TCP.
    pub(super) fn receive(&self, account: &Account, lanes: &Lanes, end: &AtomicBool) -> Result<()> {
        let mut waiting: Vec<_> = self
            .sockets
            .iter()
            .map(|client| PollFd::new(client.socket.as_fd(), PollFlags::POLLIN))
            .collect();
        while !end.load(Ordering::Relaxed) {
            poll(&mut waiting, PollTimeout::from(LOOK)).context("cannot wait for answers")?;
            for (index, client) in self.sockets.iter().enumerate() {
                if waiting
                    .get(index)
                    .is_some_and(|waiting| waiting.any() == Some(true))
                {
                    self.receive_from(index, client, account, lanes)?;
                }
            }
        }
        Ok(())
    }

    fn receive_from(
        &self,
        index: usize,
        client: &ClientSocket,
        account: &Account,
        lanes: &Lanes,
    ) -> Result<()> {
        let mut buffer = [0; 4096];
        loop {
            let len = match client.socket.recv(&mut buffer) {
                Ok(len) => len,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error).context("the responder is gone"),
            };
            let response = Message::from_vec(buffer.get(..len).unwrap_or_default())
                .context("an answer that cannot be read")?;
            account.received(client.flow(), &response);
            let asked = self.pending().remove(&(index, response.metadata.id));
            if let (Some(query), true) = (asked, response.metadata.truncation) {
                lanes.ask(
                    client.family,
                    Job {
                        queries: vec![query],
                        layout: Layout::Whole,
                    },
                );
            }
        }
    }

    /// Waits until everything is answered, or for as long as patience lasts.
    pub(super) fn await_answers(&self, patience: Duration) {
        let start = Instant::now();
        while self.unanswered() > 0 && start.elapsed() < patience {
            thread::sleep(TICK);
        }
    }

    pub(super) fn unanswered(&self) -> u64 {
        u64::try_from(self.pending().len()).unwrap_or(u64::MAX)
    }

    fn pending(&self) -> MutexGuard<'_, HashMap<(usize, u16), Query>> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An ID that no pending question of the socket has.
fn free_id<'a>(
    mix: &mut Mix,
    pending: &'a mut HashMap<(usize, u16), Query>,
    socket: usize,
) -> (u16, Entry<'a, (usize, u16), Query>) {
    let mut id = mix.id();
    while pending.contains_key(&(socket, id)) {
        id = id.wrapping_add(1);
    }
    (id, pending.entry((socket, id)))
}

impl ClientSocket {
    fn open(address: IpAddr) -> Result<Self> {
        let socket = UdpSocket::bind(SocketAddr::new(address, 0))
            .with_context(|| format!("{address} is no address of this network namespace"))?;
        socket.connect(server_for(address))?;
        socket.set_nonblocking(true)?;
        enlarge_buffers(&socket)?;
        Ok(Self {
            socket,
            family: Family::of(address),
        })
    }

    fn flow(&self) -> Flow {
        Flow {
            family: self.family,
            transport: Transport::Udp,
        }
    }

    fn send(&self, bytes: &[u8]) -> Result<()> {
        self.socket
            .send(bytes)
            .map(drop)
            .context("cannot send a query")
    }
}
