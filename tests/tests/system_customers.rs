//! Customers from a real PostgreSQL: their reading, and a daemon that outlives
//! its database.

use anyhow::{Context as _, Result, ensure};
use integration_tests::network::{
    Network, daemon::Daemon, eventually, exposition::Samples, in_network, postgres::Postgres,
};
use xdsc::{
    enrich::customers::{Customers, postgres::Source},
    names::text,
    stats::{plan::Compat, qname::Qname},
};

const TABLE: &str = "CREATE TABLE customers (match text, customer text); \
     INSERT INTO customers VALUES ('example.com', 'Rows'), ('192.0.2.0/24', 'Rows')";

/// What a query gives, or why it gives nothing.
fn fetch(postgres: &Postgres<'_>, query: &str) -> Result<Result<Customers, String>> {
    let source = Source::new(&postgres.connection(), query)?;
    Ok(source.fetch_now().map_err(|error| error.to_string()))
}

#[test]
fn rows_are_read_whatever_their_types() -> Result<()> {
    in_network(|network| {
        let mut postgres = Postgres::create(network)?;
        postgres.start()?;
        postgres.run(
            "CREATE TABLE zones (zone varchar(255), id int, owner name); \
             INSERT INTO zones VALUES ('Bücher.example', 7, 'Bücher'), ('example.com', 8, 'Example'); \
             CREATE TABLE nets (net cidr, owner text); \
             INSERT INTO nets VALUES ('192.0.2.0/24', 'Example'), ('2001:db8::/32', 'Example')",
        )?;
        let query = "SELECT zone, owner FROM zones UNION ALL \
                     SELECT host(net) || '/' || masklen(net), owner FROM nets;";
        let customers = fetch(&postgres, query)?.map_err(anyhow::Error::msg)?;
        ensure!((customers.zones(), customers.prefixes()) == (2, 2));
        let mut name = Qname::default();
        name.set(&text::parse("www.bücher.example")?, Compat::None);
        let owner = customers.of_name(&name).context("a customer")?;
        ensure!(&**owner == "Bücher", "{owner}");
        let customers = fetch(&postgres, "SELECT net, id FROM nets, zones WHERE id = 7")?;
        let customers = customers.map_err(anyhow::Error::msg)?;
        let owner = customers.of_address("192.0.2.1".parse()?);
        ensure!(owner.is_some_and(|owner| &**owner == "7"), "{owner:?}");
        postgres.stop()
    })
}

#[test]
fn queries_that_cannot_be_used_say_why() -> Result<()> {
    in_network(|network| {
        let mut postgres = Postgres::create(network)?;
        postgres.start()?;
        postgres.run(TABLE)?;
        for (query, expected) in [
            (
                "SELECT match FROM customers",
                "customers.query: the rows have 1 columns; \
                 select two, a zone or a prefix, and a name",
            ),
            (
                "SELECT match, owner FROM customers",
                "customers.query: db error: ERROR: column \"owner\" does not exist",
            ),
            (
                "SELECT match, NULL FROM customers WHERE match = 'example.com'",
                "customers.postgres: row 1: has no name in its second column; write one",
            ),
            (
                "VALUES ('a', 'A'), ('192.0.2.1/24', 'B'), ('a.', 'C')",
                "customers.postgres: row 2: `192.0.2.1/24` has bits set after its prefix length; \
                 write `192.0.2.0/24` for the network, or `192.0.2.1` for one address\n\
                 customers.postgres: row 3: `a.` stands in row 1 already; leave one of them out",
            ),
            (
                "SELECT 1 || '.example', 'A' FROM generate_series(1, 2000000)",
                "customers.postgres: row 1000001: is one too many; \
                 a table has at most 1000000 rows",
            ),
            (
                "SELECT match, customer FROM customers; DELETE FROM customers",
                "customers.query: db error: ERROR: cannot execute DELETE in a read-only transaction",
            ),
        ] {
            let told = fetch(&postgres, query)?.map(drop);
            let told = told.err().with_context(|| query.to_owned())?;
            ensure!(told == expected, "{query}: {told}");
        }
        let rows = postgres.run("SELECT count(*) FROM customers")?;
        ensure!(rows.trim() == "2", "{rows}");
        postgres.stop()
    })
}

/// Entries and errors, as the daemon tells them.
fn told(samples: &Samples) -> Result<[u64; 4]> {
    let source = [("table", "customers"), ("source", "postgresql")];
    let error = [&source[..], &[("result", "error")]].concat();
    Ok([
        samples.count("xdsc_table_entries", &[("table", "customer_zones")])?,
        samples.count("xdsc_table_entries", &[("table", "customer_prefixes")])?,
        samples.count("xdsc_table_reloads_total", &error)?,
        samples.count("xdsc_table_stale", &source)?,
    ])
}

fn settings(network: &Network, postgres: &Postgres<'_>) -> Result<String> {
    let file = network.file("customers.csv", "example.com,File\nexample.net,File\n")?;
    let connection = postgres.connection();
    Ok(format!(
        "[customers]\nfile = {file:?}\npostgres = {connection:?}\nrefresh = \"10s\"\n"
    ))
}

#[test]
fn the_daemon_outlives_its_database() -> Result<()> {
    in_network(|network| {
        let mut postgres = Postgres::create(network)?;
        let daemon = Daemon::start(network, &settings(network, &postgres)?)?;
        eventually("the first attempt", || {
            let told = told(&daemon.scrape()?)?;
            ensure!(told == [2, 0, 1, 1], "{told:?}");
            Ok(())
        })?;
        postgres.start()?;
        postgres.run(TABLE)?;
        eventually("the rows", || {
            let told = told(&daemon.scrape()?)?;
            // An attempt may have come before the table.
            ensure!(matches!(told, [2, 1, 1..=2, 0]), "{told:?}");
            Ok(())
        })?;
        postgres.run("INSERT INTO customers VALUES ('example.org', 'other')")?;
        eventually("a row that cannot be", || {
            let told = told(&daemon.scrape()?)?;
            ensure!(matches!(told, [2, 1, 2..=9, 1]), "{told:?}");
            Ok(())
        })?;
        postgres.stop()?;
        let log = daemon.stop()?;
        for expected in [
            "customers.postgres: cannot connect: ",
            "customers.postgres: read 1 zones and 1 prefixes",
            "customers.postgres: 1 zones or prefixes have another customer in customers.file",
            "has the name `other`, which says something else in the metrics",
        ] {
            ensure!(log.matches(expected).count() == 1, "{expected}: {log}");
        }
        Ok(())
    })
}
