//! The clients' TCP connections: one lane per family, each a thread with a
//! persistent connection that it renews from another address now and then.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{self, Scope};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use hickory_proto::op::Message;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrStorage, bind, connect, socket};

use super::super::addresses::{clients, server_for};
use super::super::queries::{Layout, Query};
use super::super::responder::{prefixed, take_message};
use super::super::tally::{Family, Flow, Transport};
use super::{Account, PATIENCE};

/// Jobs done on one connection.
const JOBS_PER_CONNECTION: usize = 50;
/// Between two writes that are to become two segments.
const BETWEEN_WRITES: Duration = Duration::from_millis(2);

/// Queries that go together.
pub(super) struct Job {
    pub(super) queries: Vec<Query>,
    pub(super) layout: Layout,
}

/// A handle to both lanes; they end with its last clone.
#[derive(Clone)]
pub(super) struct Lanes {
    ipv4: Sender<Job>,
    ipv6: Sender<Job>,
}

impl Lanes {
    pub(super) fn open<'scope>(scope: &'scope Scope<'scope, '_>, account: &'scope Account) -> Self {
        let lane = |family| {
            let (sender, jobs) = mpsc::channel();
            scope.spawn(move || Lane::new(family, account).work(&jobs));
            sender
        };
        Self {
            ipv4: lane(Family::Ipv4),
            ipv6: lane(Family::Ipv6),
        }
    }

    pub(super) fn ask(&self, family: Family, job: Job) {
        let lane = match family {
            Family::Ipv4 => &self.ipv4,
            Family::Ipv6 => &self.ipv6,
        };
        // A lane outlives all of its senders.
        drop(lane.send(job));
    }
}

struct Lane<'a> {
    account: &'a Account,
    flow: Flow,
    addresses: Vec<IpAddr>,
    connection: Option<Connection>,
    jobs_done: usize,
    next_id: u16,
}

impl<'a> Lane<'a> {
    fn new(family: Family, account: &'a Account) -> Self {
        Self {
            account,
            flow: Flow {
                family,
                transport: Transport::Tcp,
            },
            addresses: clients()
                .into_iter()
                .filter(|&address| Family::of(address) == family)
                .collect(),
            connection: None,
            jobs_done: 0,
            next_id: 0,
        }
    }

    /// A job that fails leaves its queries as timeouts, and the next one gets
    /// a new connection.
    fn work(mut self, jobs: &Receiver<Job>) {
        for job in jobs {
            let mut answers = 0;
            if self.do_job(&job, &mut answers).is_err() {
                self.connection = None;
                let lost = job.queries.len() - answers;
                self.account.lock().timeouts += u64::try_from(lost).unwrap_or(u64::MAX);
            }
        }
    }

    fn do_job(&mut self, job: &Job, answers: &mut usize) -> Result<()> {
        if self.jobs_done.is_multiple_of(JOBS_PER_CONNECTION) || self.connection.is_none() {
            let address = self
                .addresses
                .get(self.jobs_done / JOBS_PER_CONNECTION % self.addresses.len());
            self.connection = None;
            self.connection = Some(Connection::open(*address.context("no client address")?)?);
        }
        self.jobs_done += 1;
        let connection = self.connection.as_mut().context("no connection")?;
        let mut bytes = Vec::new();
        for query in &job.queries {
            self.next_id = self.next_id.wrapping_add(1);
            bytes.extend(
                prefixed(&query.with_id(self.next_id)).context("a query too long for TCP")?,
            );
        }
        connection.send(&bytes, job.layout)?;
        for query in &job.queries {
            self.account.lock().sent(self.flow, &query.qtype);
        }
        while *answers < job.queries.len() {
            let response = connection.receive()?;
            self.account.received(self.flow, &response);
            *answers += 1;
        }
        Ok(())
    }
}

struct Connection {
    stream: TcpStream,
    received: Vec<u8>,
}

impl Connection {
    fn open(address: IpAddr) -> Result<Self> {
        let stream =
            connect_from(address).with_context(|| format!("no connection from {address}"))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self {
            stream,
            received: Vec::new(),
        })
    }

    fn send(&mut self, bytes: &[u8], layout: Layout) -> Result<()> {
        let first = match layout {
            Layout::Whole | Layout::Pipelined => 0,
            Layout::Split(at) => at,
        };
        let (first, rest) = bytes
            .split_at_checked(first)
            .context("a query shorter than its part")?;
        if !first.is_empty() {
            self.stream.write_all(first)?;
            thread::sleep(BETWEEN_WRITES);
        }
        Ok(self.stream.write_all(rest)?)
    }

    fn receive(&mut self) -> Result<Message> {
        loop {
            if let Some(message) = take_message(&mut self.received) {
                return Message::from_vec(&message).context("an answer that cannot be read");
            }
            let mut buffer = [0; 4096];
            let len = self.stream.read(&mut buffer)?;
            if len == 0 {
                bail!("the responder closed the connection");
            }
            self.received
                .extend_from_slice(buffer.get(..len).unwrap_or_default());
        }
    }
}

/// What the standard library lacks: a connection from a given address.
fn connect_from(address: IpAddr) -> Result<TcpStream> {
    let family = if address.is_ipv4() {
        AddressFamily::Inet
    } else {
        AddressFamily::Inet6
    };
    let socket: OwnedFd = socket(family, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?;
    bind(
        socket.as_raw_fd(),
        &SockaddrStorage::from(SocketAddr::new(address, 0)),
    )?;
    connect(
        socket.as_raw_fd(),
        &SockaddrStorage::from(server_for(address)),
    )?;
    Ok(TcpStream::from(socket))
}
