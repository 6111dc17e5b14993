//! Customers from a PostgreSQL database: whose rows are read into the same table.
//!
//! A database that is slow or away must cost nothing but the freshness of its
//! rows, so all that is asked of it has a bound: time, and the number of rows. It
//! is asked in the simple protocol, where every type comes as text: a column may
//! be `text` as well as `cidr`. TLS is not spoken; a socket of the same host, or
//! a tunnel, is the way.

use std::{pin::pin, time::Duration};

use tokio::time::{error::Elapsed, timeout};
use tokio_postgres::{
    Client, Config, NoTls, SimpleQueryMessage,
    config::{Host, SslMode},
};

use super::Customers;
use crate::enrich::table_file::{MAX_ROWS, RowErrors};

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(10);
/// How long all of it may take.
const ALL: Duration = Duration::from_secs(120);
/// How long a good-bye may take.
const END: Duration = Duration::from_secs(1);
/// What is sent in front of the query: the database ends it when it is slow, and
/// lets it change nothing.
const BEGIN: &str = "BEGIN READ ONLY; SET LOCAL statement_timeout = '30s'; \
     DECLARE customers NO SCROLL CURSOR FOR ";
/// Rows come in portions, so that they are counted while they come.
const FETCH: &str = "FETCH 10000 FROM customers";
/// What stands in front of the number of a row.
const ORIGIN: &str = "customers.postgres: row ";

/// Where the rows come from.
#[derive(Clone, Debug)]
pub struct Source {
    connection: Config,
    query: String,
}

/// Why there are no rows.
#[derive(Debug, thiserror::Error)]
pub enum PostgresError {
    /// The connection string is none.
    #[error(
        "customers.postgres: {0}; write it as in `host=/run/postgresql dbname=billing user=xdsc`"
    )]
    Connection(String),
    /// TLS is asked for.
    #[error(
        "customers.postgres: xdsc speaks no TLS with PostgreSQL; leave `sslmode` out, and use a socket of this host or a tunnel"
    )]
    Tls,
    /// No connection.
    #[error(
        "customers.postgres: cannot connect: {0}; is PostgreSQL running there, and does it let this user in?"
    )]
    Connect(String),
    /// The query failed.
    #[error("customers.query: {0}")]
    Query(String),
    /// It took too long.
    #[error("customers.postgres: no end after {} s; make customers.query faster, or its rows fewer", ALL.as_secs())]
    Slow,
    /// Other columns than two.
    #[error(
        "customers.query: the rows have {0} columns; select two, a zone or a prefix, and a name"
    )]
    Columns(usize),
    /// Rows that are wrong.
    #[error(transparent)]
    Rows(#[from] RowErrors),
    /// No thread or socket.
    #[error("customers.postgres: {0}")]
    System(#[from] std::io::Error),
}

impl Source {
    /// A database by its connection string, and the query whose rows are taken.
    ///
    /// # Errors
    /// When the string is none, names no host, or asks for TLS.
    pub fn new(connection: &str, query: &str) -> Result<Self, PostgresError> {
        let mut connection: Config = connection
            .parse()
            .map_err(|error| PostgresError::Connection(with_causes(&error)))?;
        if connection.get_hosts().is_empty() && connection.get_hostaddrs().is_empty() {
            let told = "it names no host".to_owned();
            return Err(PostgresError::Connection(told));
        }
        if connection.get_ssl_mode() == SslMode::Require {
            return Err(PostgresError::Tls);
        }
        if connection.get_connect_timeout().is_none() {
            connection.connect_timeout(CONNECT);
        }
        if connection.get_application_name().is_none() {
            connection.application_name("xdsc");
        }
        Ok(Self {
            connection,
            query: query.to_owned(),
        })
    }

    /// Where the database is, without what is secret.
    #[must_use]
    pub fn place(&self) -> String {
        let hosts = self.connection.get_hosts().iter().map(|host| match host {
            Host::Tcp(name) => name.clone(),
            Host::Unix(path) => path.display().to_string(),
        });
        let addresses = self.connection.get_hostaddrs().iter();
        let mut places = hosts.chain(addresses.map(ToString::to_string));
        places.next().unwrap_or_default()
    }

    /// Reads the table.
    ///
    /// # Errors
    /// When there is no connection, the query fails, or rows are wrong.
    pub async fn fetch(&self) -> Result<Customers, PostgresError> {
        let rows = timeout(ALL, self.rows()).await;
        let rows = rows.map_err(|Elapsed { .. }| PostgresError::Slow)??;
        let rows = rows.iter().map(|(key, name)| (&**key, &**name));
        Ok(Customers::of_rows(ORIGIN, rows)?)
    }

    /// Reads the table while the caller waits.
    ///
    /// # Errors
    /// Those of [`Self::fetch`].
    pub fn fetch_now(&self) -> Result<Customers, PostgresError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let fetched = runtime.block_on(self.fetch());
        // The name of a host may still be looked up.
        runtime.shutdown_background();
        fetched
    }

    async fn rows(&self) -> Result<Vec<(String, String)>, PostgresError> {
        let connected = self.connection.connect(NoTls).await;
        let (client, connection) =
            connected.map_err(|error| PostgresError::Connect(with_causes(&error)))?;
        let mut connection = pin!(connection);
        let rows = tokio::select! {
            rows = query(&client, &self.query) => rows,
            ended = &mut connection => {
                let cause = ended.err().map_or_else(String::new, |error| with_causes(&error));
                Err(PostgresError::Query(format!("the connection ended {cause}")))
            }
        };
        drop(client);
        // Says good-bye, or else the server's log tells of a lost client.
        let _ended = timeout(END, connection).await;
        rows
    }
}

async fn query(client: &Client, query: &str) -> Result<Vec<(String, String)>, PostgresError> {
    let failed = |error| PostgresError::Query(with_causes(&error));
    let begin = format!("{BEGIN}{query}");
    client.batch_execute(&begin).await.map_err(failed)?;
    let mut rows = Vec::new();
    loop {
        let before = rows.len();
        for message in client.simple_query(FETCH).await.map_err(failed)? {
            let SimpleQueryMessage::Row(row) = message else {
                continue;
            };
            if row.len() != 2 {
                return Err(PostgresError::Columns(row.len()));
            }
            let column = |index| row.get(index).unwrap_or_default().to_owned();
            rows.push((column(0), column(1)));
        }
        // One more than there may be is enough to be refused.
        if rows.len() == before || rows.len() as u64 > MAX_ROWS {
            break;
        }
    }
    client.batch_execute("ROLLBACK").await.map_err(failed)?;
    Ok(rows)
}

/// An error and its causes in one line.
fn with_causes(error: &dyn std::error::Error) -> String {
    let mut told = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        told.push_str(": ");
        told.push_str(&error.to_string());
        cause = error.source();
    }
    told.replace('\n', "; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_that_cannot_be_are_told_at_once() {
        for (connection, expected) in [
            (
                "host",
                "customers.postgres: invalid connection string: unexpected EOF; \
                 write it as in `host=/run/postgresql dbname=billing user=xdsc`",
            ),
            (
                "dbname=billing",
                "customers.postgres: it names no host; \
                 write it as in `host=/run/postgresql dbname=billing user=xdsc`",
            ),
            (
                "host=192.0.2.1 sslmode=require",
                "customers.postgres: xdsc speaks no TLS with PostgreSQL; \
                 leave `sslmode` out, and use a socket of this host or a tunnel",
            ),
        ] {
            let error = Source::new(connection, "").expect_err(connection);
            assert_eq!(error.to_string(), expected);
        }
    }

    #[test]
    fn both_forms_of_a_connection_are_read() {
        for (connection, place) in [
            ("host=/run/postgresql dbname=a user=b", "/run/postgresql"),
            ("postgresql://b:secret@db.example.com/a", "db.example.com"),
            ("hostaddr=192.0.2.1 user=b", "192.0.2.1"),
        ] {
            let source = Source::new(connection, "").expect(connection);
            assert_eq!(source.place(), place);
            assert!(!format!("{source:?}").contains("secret"), "{source:?}");
        }
    }

    #[test]
    fn a_server_that_is_away_is_told() {
        let folder = tempfile::tempdir().expect("a folder");
        let connection = format!("host={} user=xdsc", folder.path().display());
        let source = Source::new(&connection, "SELECT 1").expect("a source");
        let told = source.fetch_now().expect_err("nobody there").to_string();
        assert!(
            told.starts_with("customers.postgres: cannot connect: ")
                && told.contains("No such file"),
            "{told}"
        );
    }
}
