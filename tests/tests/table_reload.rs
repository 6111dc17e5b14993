//! Databases that are replaced while they are asked: no lookup fails, and one that
//! is broken does not take the place of the one before.

use std::{
    fs,
    net::IpAddr,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use integration_tests::{mmdb::Mmdb, network::eventually};
use serde_json::json;
use xdsc::{
    config::Config,
    enrich::{
        geo::RecordCache,
        reload::{ReloadThread, Reloader, States},
        tables::SharedTables,
    },
};

/// Lies in the network of all databases here.
const CLIENT: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

/// Databases in a folder, and the thread that reads them.
struct Scene {
    folder: tempfile::TempDir,
    tables: SharedTables,
    states: States,
    _thread: ReloadThread,
}

impl Scene {
    fn new() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let path = |name: &str| folder.path().join(name);
        write(&path("country.mmdb"), &country("AA", 1_600_000_000))?;
        let asn = Mmdb::new("Test-ASN").network(
            "192.0.2.0/24",
            json!({"autonomous_system_number": 64496, "autonomous_system_organization": "Example"}),
        );
        write(&path("asn.mmdb"), &asn.encode())?;
        let mut config = Config::default();
        let names = ["country.mmdb", "asn.mmdb"];
        config.geoip.databases = names.map(|name| path(name).display().to_string()).into();
        config.geoip.reload_interval = Duration::from_millis(10);
        let reloader = Reloader::open(&config)?;
        Ok(Self {
            tables: Arc::clone(reloader.tables()),
            states: reloader.states(),
            _thread: reloader.start()?,
            folder,
        })
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("country.mmdb")
    }

    /// As `cp` does it, over the file that is there.
    fn copy(&self, octets: &[u8]) -> Result<()> {
        write(&self.path(), octets)
    }

    /// As `mv` does it.
    fn rename(&self, octets: &[u8]) -> Result<()> {
        let new = self.folder.path().join("new");
        write(&new, octets)?;
        Ok(fs::rename(new, self.path())?)
    }

    fn country(&self) -> Option<[u8; 2]> {
        locate(&self.tables).0
    }

    /// Reloads, errors, and whether it is stale.
    fn account(&self) -> Result<(u64, u64, bool)> {
        let state = self.states.get();
        let mut sources = state.sources.into_iter();
        let source = sources.find(|source| source.source.ends_with("country.mmdb"));
        let source = source.context("a database")?;
        Ok((source.reloads, source.errors, source.is_stale))
    }

    fn becomes(&self, country: [u8; 2], account: (u64, u64, bool)) -> Result<()> {
        eventually("the table", || {
            let now = (self.country(), self.account()?);
            ensure!(now == (Some(country), account), "{now:?}");
            Ok(())
        })
    }

    /// As above, where half a copy may have been seen and refused on the way.
    fn recovers_to(&self, country: [u8; 2]) -> Result<()> {
        eventually("the table", || {
            let now = (self.country(), self.account()?.2);
            ensure!(now == (Some(country), false), "{now:?}");
            Ok(())
        })
    }
}

fn write(path: &Path, octets: &[u8]) -> Result<()> {
    Ok(fs::write(path, octets)?)
}

fn country(code: &str, built: u64) -> Vec<u8> {
    let record = json!({"country": {"iso_code": code}});
    let database = Mmdb::new("Test-Country").built(built);
    database.network("192.0.2.0/24", record).encode()
}

fn locate(tables: &SharedTables) -> (Option<[u8; 2]>, Option<u32>) {
    let mut cache = RecordCache::default();
    let location = tables.load().geo.locate(CLIENT, &mut cache);
    (location.country, location.asn)
}

#[test]
fn a_database_is_replaced_by_rename_and_by_copy() -> Result<()> {
    let scene = Scene::new()?;
    ensure!(scene.country() == Some(*b"AA"));
    scene.rename(&country("BB", 1_700_000_000))?;
    scene.becomes(*b"BB", (1, 0, false))?;
    let built: Vec<_> = scene.states.get().databases.into_iter().collect();
    let names: Vec<_> = built.iter().map(|age| age.name.as_str()).collect();
    ensure!(names == ["country", "asn"], "{names:?}");
    ensure!(built[0].built_s == 1.7e9, "{built:?}");
    scene.copy(&country("CC", 1_700_000_001))?;
    scene.recovers_to(*b"CC")
}

#[test]
fn a_broken_database_does_not_take_the_place_of_a_good_one() -> Result<()> {
    let scene = Scene::new()?;
    let good = country("BB", 1_700_000_000);
    // Cut in place, under the eyes of those who look things up in it.
    fs::File::options()
        .write(true)
        .open(scene.path())?
        .set_len(good.len() as u64 / 2)?;
    scene.becomes(*b"AA", (0, 1, true))?;
    scene.rename(b"no database")?;
    scene.becomes(*b"AA", (0, 2, true))?;
    fs::remove_file(scene.path())?;
    scene.becomes(*b"AA", (0, 3, true))?;
    scene.copy(&good)?;
    scene.recovers_to(*b"BB")
}

#[test]
fn no_lookup_fails_while_a_database_is_replaced() -> Result<()> {
    let scene = Scene::new()?;
    let codes = ["AA", "BB", "CC", "DD"];
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let readers: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    let mut lookups = 0_u64;
                    while !stop.load(Ordering::Relaxed) {
                        let (country, asn) = locate(&scene.tables);
                        let country = country.context("no country")?;
                        let code = std::str::from_utf8(&country)?;
                        ensure!(
                            codes.contains(&code) && asn == Some(64496),
                            "{code} {asn:?}"
                        );
                        lookups += 1;
                    }
                    Ok(lookups)
                })
            })
            .collect();
        let replaced = replace_often(&scene, &codes);
        stop.store(true, Ordering::Relaxed);
        for reader in readers {
            let lookups = reader.join().map_err(|_| anyhow::anyhow!("a panic"))??;
            ensure!(lookups > 0);
        }
        replaced
    })
}

fn replace_often(scene: &Scene, codes: &[&str]) -> Result<()> {
    for (round, code) in (0..).zip(codes.iter().cycle().take(20)) {
        let octets = country(code, 1_700_000_000 + round);
        let (reloads, ..) = scene.account()?;
        if round % 2 == 0 {
            scene.rename(&octets)?;
        } else {
            scene.copy(&octets)?;
        }
        eventually("the next database", || {
            ensure!(scene.account()?.0 > reloads);
            Ok(())
        })?;
    }
    Ok(())
}
