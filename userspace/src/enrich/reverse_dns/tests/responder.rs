//! A name server on loopback that answers as a test tells it to, and remembers
//! what it was asked.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex},
    time::Instant,
};

use hickory_resolver::proto::{
    op::{Message, MessageType, OpCode, ResponseCode},
    rr::{
        Name, RData, Record, RecordType,
        rdata::{A, CNAME, PTR, SOA},
    },
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, UdpSocket},
    task::AbortHandle,
};

/// What is answered to a question.
#[derive(Clone, Debug)]
pub(super) enum Reply {
    /// PTR records with these names and a TTL.
    Names(Vec<Name>, u32),
    /// An alias, without what it leads to.
    Alias(Name, u32),
    /// An address record.
    Address(Ipv4Addr, u32),
    /// The same as the other, but by UDP only that it is too long.
    Long(Box<Self>),
    /// NXDOMAIN, with this minimum in its SOA record.
    NxDomain(u32),
    /// No records, with this minimum in the SOA record.
    NoData(u32),
    /// This RCODE and nothing else.
    Code(ResponseCode),
    /// A message that breaks off.
    Broken,
    /// Nothing.
    Silence,
}

/// A question, as it came.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) at: Instant,
    pub(super) name: String,
    pub(super) record_type: RecordType,
    pub(super) tcp: bool,
}

type Zone = Arc<dyn Fn(&str, RecordType) -> Reply + Send + Sync>;

/// The server; it ends with this.
pub(super) struct Responder {
    pub(super) address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
    tasks: [AbortHandle; 2],
}

impl Responder {
    pub(super) async fn start(
        zone: impl Fn(&str, RecordType) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let (udp, tcp) = sockets().await;
        let address = udp.local_addr().expect("an address");
        let asked = Arc::default();
        let zone: Zone = Arc::new(zone);
        let tasks = [
            tokio::spawn(by_udp(udp, Arc::clone(&zone), Arc::clone(&asked))).abort_handle(),
            tokio::spawn(by_tcp(tcp, zone, Arc::clone(&asked))).abort_handle(),
        ];
        Self {
            address,
            asked,
            tasks,
        }
    }

    /// Answers all questions alike.
    pub(super) async fn always(reply: Reply) -> Self {
        Self::start(move |_, _| reply.clone()).await
    }

    pub(super) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().expect("no panic").clone()
    }
}

impl Drop for Responder {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}

/// Both at the same port.
async fn sockets() -> (UdpSocket, TcpListener) {
    loop {
        let udp = UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
        let address = udp.local_addr().expect("an address");
        if let Ok(tcp) = TcpListener::bind(address).await {
            return (udp, tcp);
        }
    }
}

async fn by_udp(socket: UdpSocket, zone: Zone, asked: Arc<Mutex<Vec<Asked>>>) {
    let mut buffer = [0; 4096];
    loop {
        let (len, from) = socket.recv_from(&mut buffer).await.expect("a query");
        if let Some(response) = answer(&buffer[..len], &zone, &asked, false) {
            socket.send_to(&response, from).await.expect("sent");
        }
    }
}

async fn by_tcp(listener: TcpListener, zone: Zone, asked: Arc<Mutex<Vec<Asked>>>) {
    loop {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        let (zone, asked) = (Arc::clone(&zone), Arc::clone(&asked));
        tokio::spawn(async move {
            while let Ok(len) = stream.read_u16().await {
                let mut query = vec![0; len.into()];
                stream.read_exact(&mut query).await.expect("a query");
                if let Some(response) = answer(&query, &zone, &asked, true) {
                    let len = u16::try_from(response.len()).expect("a short message");
                    stream.write_u16(len).await.expect("sent");
                    stream.write_all(&response).await.expect("sent");
                }
            }
        });
    }
}

fn answer(query: &[u8], zone: &Zone, asked: &Mutex<Vec<Asked>>, tcp: bool) -> Option<Vec<u8>> {
    let query = Message::from_vec(query).expect("a query");
    let question = query.queries.first().expect("a question").clone();
    let name = question.name().to_ascii();
    let record_type = question.query_type();
    asked.lock().expect("no panic").push(Asked {
        at: Instant::now(),
        name: name.clone(),
        record_type,
        tcp,
    });
    let mut response = Message::new(query.id, MessageType::Response, OpCode::Query);
    response.add_query(question.clone());
    let mut reply = zone(&name, record_type);
    if let Reply::Long(whole) = reply {
        response.metadata.truncation = !tcp;
        reply = if tcp {
            *whole
        } else {
            Reply::Code(ResponseCode::NoError)
        };
    }
    let broken = matches!(reply, Reply::Broken);
    fill(&mut response, question.name(), reply)?;
    let mut octets = response.to_vec().expect("a message");
    if broken {
        // One answer is announced, and none is there.
        octets[7] = 1;
    }
    Some(octets)
}

/// `None`: nothing is answered.
fn fill(response: &mut Message, owner: &Name, reply: Reply) -> Option<()> {
    let record = |ttl, rdata| Record::from_rdata(owner.clone(), ttl, rdata);
    match reply {
        Reply::Names(names, ttl) => {
            for name in names {
                response.add_answer(record(ttl, RData::PTR(PTR(name))));
            }
        }
        Reply::Alias(to, ttl) => {
            response.add_answer(record(ttl, RData::CNAME(CNAME(to))));
        }
        Reply::Address(address, ttl) => {
            response.add_answer(record(ttl, RData::A(A(address))));
        }
        Reply::NxDomain(minimum) => {
            response.metadata.response_code = ResponseCode::NXDomain;
            response.add_authority(soa(minimum));
        }
        Reply::NoData(minimum) => {
            response.add_authority(soa(minimum));
        }
        Reply::Code(code) => response.metadata.response_code = code,
        Reply::Long(_) | Reply::Broken => {}
        Reply::Silence => return None,
    }
    Some(())
}

fn soa(minimum: u32) -> Record {
    let zone = name("2.0.192.in-addr.arpa.");
    let soa = SOA::new(
        name("ns.example."),
        name("admin.example."),
        1,
        2,
        3,
        4,
        minimum,
    );
    // RFC 2308, section 5: the smaller one of TTL and minimum counts.
    Record::from_rdata(zone, 86_400, RData::SOA(soa))
}

/// A name from text.
pub(super) fn name(text: &str) -> Name {
    Name::from_ascii(text).expect(text)
}
