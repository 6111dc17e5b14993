//! Keeps the tables up to date while they are read.
//!
//! One thread looks at the files and asks PostgreSQL; what it reads anew takes the
//! place of the set before as a whole. A table that cannot be read leaves the one
//! before in its place. What was replaced is freed here, too, once no reader has
//! it any more: to free a large table takes time that a reader does not have.

use std::{
    ffi::OsStr,
    io,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    thread::{self, JoinHandle},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use tokio::{
    sync::{Notify, mpsc},
    time::{MissedTickBehavior, interval, sleep},
};
use tracing::{error, info, warn};

use super::{
    customers::{
        Customers,
        postgres::{PostgresError, Source},
    },
    geo::DatabaseState,
    networks::Networks,
    tables::{SharedTables, Tables, TablesErrors, database_paths, from_files, path, shared},
    watch::Watched,
};
use crate::config::Config;

/// How often replaced tables are looked at, whether they can go.
const REAP: Duration = Duration::from_secs(1);
/// Where rows come from that are in no file.
const POSTGRESQL: &str = "postgresql";

/// A table, as it is named in metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Table {
    /// Countries and autonomous systems.
    Geoip,
    /// Networks known by name.
    Networks,
    /// Customers.
    Customers,
}

impl Table {
    /// Its name.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Geoip => "geoip",
            Self::Networks => "networks",
            Self::Customers => "customers",
        }
    }
}

/// How the tables are, and their reading goes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TablesState {
    /// Where they come from.
    pub sources: Vec<SourceState>,
    /// How many entries there are of each kind.
    pub entries: Vec<(&'static str, usize)>,
    /// The databases of countries and autonomous systems.
    pub databases: Vec<DatabaseAge>,
}

/// How old a database is.
#[derive(Clone, Debug, PartialEq)]
pub struct DatabaseAge {
    /// Its file without folder and ending; with them where two files would have
    /// the same name.
    pub name: String,
    /// What it calls itself.
    pub database_type: String,
    /// When it was built, in seconds since the Unix epoch.
    pub built_s: f64,
    /// Seconds since then.
    pub age_s: f64,
    /// Octets of memory that it takes.
    pub bytes: u64,
}

/// How the reading of one source goes.
#[derive(Clone, Debug, PartialEq)]
pub struct SourceState {
    /// What it is a part of.
    pub table: Table,
    /// The file, or `postgresql`.
    pub source: String,
    /// When what is used was read, in seconds since the Unix epoch; 0 before that.
    pub loaded_s: f64,
    /// Times that it was read again.
    pub reloads: u64,
    /// Times that it could not be read again.
    pub errors: u64,
    /// Whether it could not be read the last time.
    pub is_stale: bool,
}

impl TablesState {
    /// A state with one of everything.
    #[must_use]
    pub fn example() -> Self {
        Self {
            sources: vec![SourceState::new(Table::Networks, "/etc/xdsc/networks.csv")],
            entries: vec![("networks", 0)],
            databases: vec![DatabaseAge {
                name: "GeoLite2-Country".to_owned(),
                database_type: "GeoLite2-Country".to_owned(),
                built_s: 0.0,
                age_s: 0.0,
                bytes: 0,
            }],
        }
    }
}

impl SourceState {
    fn new(table: Table, source: &str) -> Self {
        Self {
            table,
            source: source.to_owned(),
            loaded_s: 0.0,
            reloads: 0,
            errors: 0,
            is_stale: false,
        }
    }

    fn of_file(table: Table, file: &Path) -> Self {
        Self {
            loaded_s: unix_time(),
            ..Self::new(table, &file.display().to_string())
        }
    }
}

/// Reads the states of the sources.
#[derive(Clone, Debug)]
pub struct States {
    sources: Arc<Mutex<Vec<SourceState>>>,
    tables: SharedTables,
}

impl States {
    /// As they are now.
    #[must_use]
    pub fn get(&self) -> TablesState {
        let sources = self.sources.lock();
        let sources = sources.unwrap_or_else(PoisonError::into_inner).clone();
        let has = |table| sources.iter().any(|state| state.table == table);
        let tables = self.tables.load();
        let mut entries = Vec::new();
        if has(Table::Networks) {
            entries.push(("networks", tables.networks.len()));
        }
        if has(Table::Customers) {
            entries.push(("customer_zones", tables.customers.zones()));
            entries.push(("customer_prefixes", tables.customers.prefixes()));
        }
        TablesState {
            sources,
            entries,
            databases: ages(&tables.geo.states()),
        }
    }
}

/// Reads tables again when they have changed.
#[derive(Debug)]
pub struct Reloader {
    tables: SharedTables,
    /// In the order of the states; PostgreSQL has the last one.
    files: Vec<(Table, Watched)>,
    sources: Arc<Mutex<Vec<SourceState>>>,
    look: Duration,
    postgres: Option<(Source, Duration)>,
    /// The customers by where they come from.
    file_customers: Arc<Customers>,
    postgres_customers: Arc<Customers>,
    /// Sets that a reader may still have.
    retired: Vec<Arc<Tables>>,
}

/// The thread; it ends when this is dropped.
#[derive(Debug)]
pub struct ReloadThread {
    thread: Option<JoinHandle<()>>,
    stop: Arc<Notify>,
}

impl Reloader {
    /// Reads the files that a configuration names. PostgreSQL is asked when the
    /// thread starts, as it may be away.
    ///
    /// # Errors
    /// All that cannot be used.
    pub fn open(config: &Config) -> Result<Self, TablesErrors> {
        // Before they are read, so that no change is missed.
        let files = watched(config);
        let (tables, postgres) = from_files(config)?;
        let mut sources: Vec<_> = files
            .iter()
            .map(|(table, watched)| SourceState::of_file(*table, watched.file()))
            .collect();
        if postgres.is_some() {
            sources.push(SourceState::new(Table::Customers, POSTGRESQL));
        }
        Ok(Self {
            file_customers: Arc::clone(&tables.customers),
            postgres_customers: Arc::default(),
            tables: shared(tables),
            files,
            sources: Arc::new(Mutex::new(sources)),
            look: config.geoip.reload_interval,
            postgres: postgres.map(|source| (source, config.customers.refresh)),
            retired: Vec::new(),
        })
    }

    /// The tables, now and later.
    #[must_use]
    pub const fn tables(&self) -> &SharedTables {
        &self.tables
    }

    /// The states, now and later.
    #[must_use]
    pub fn states(&self) -> States {
        States {
            sources: Arc::clone(&self.sources),
            tables: Arc::clone(&self.tables),
        }
    }

    /// Starts the thread, where there is anything to look at.
    ///
    /// # Errors
    /// When there can be no thread.
    pub fn start(self) -> io::Result<ReloadThread> {
        let stop = Arc::new(Notify::new());
        if self.files.is_empty() && self.postgres.is_none() {
            return Ok(ReloadThread { thread: None, stop });
        }
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let stopping = Arc::clone(&stop);
        let thread = thread::Builder::new()
            .name("tables".to_owned())
            .spawn(move || {
                runtime.block_on(self.run(&stopping));
                // PostgreSQL may be on its way; nobody waits for it now.
                runtime.shutdown_background();
            })?;
        Ok(ReloadThread {
            thread: Some(thread),
            stop,
        })
    }

    async fn run(mut self, stop: &Notify) {
        let mut looks = interval(self.look);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (sender, mut fetched) = mpsc::channel(1);
        if let Some((source, refresh)) = self.postgres.clone() {
            tokio::spawn(ask(source, refresh, sender));
        } else {
            drop(sender);
        }
        loop {
            tokio::select! {
                () = stop.notified() => break,
                _ = looks.tick() => self.look(),
                Some(rows) = fetched.recv() => self.take_rows(rows),
                () = sleep(REAP), if !self.retired.is_empty() => {}
            }
            self.free();
        }
    }

    /// Looks at all files, and reads again what has changed.
    fn look(&mut self) {
        for index in 0..self.files.len() {
            let Some((table, watched)) = self.files.get_mut(index) else {
                return;
            };
            if !watched.look() {
                continue;
            }
            let (table, file) = (*table, watched.file().to_owned());
            let read = self.read(table, &file);
            match &read {
                Ok(()) => info!("{} has changed and was read again", file.display()),
                Err(cause) => warn!(
                    "{} has changed and cannot be used, so what it was before goes on: {cause}",
                    file.display()
                ),
            }
            self.account(index, read.is_ok());
        }
    }

    fn read(&mut self, table: Table, file: &Path) -> Result<(), String> {
        let mut tables = Tables::clone(&self.tables.load());
        match table {
            Table::Geoip => {
                let replaced = tables.geo.with_replaced(file);
                tables.geo = Arc::new(replaced.map_err(|error| error.to_string())?);
            }
            Table::Networks => {
                let read = Networks::read(file);
                tables.networks = Arc::new(read.map_err(|error| error.to_string())?);
            }
            Table::Customers => {
                let read = Customers::read(file);
                self.file_customers = Arc::new(read.map_err(|error| error.to_string())?);
                tables.customers = self.customers();
            }
        }
        self.replace(tables);
        Ok(())
    }

    /// Takes what PostgreSQL said.
    fn take_rows(&mut self, rows: Result<Customers, PostgresError>) {
        let index = self.files.len();
        let read = match rows {
            Ok(rows) => {
                self.take_customers(rows);
                true
            }
            Err(cause) => {
                // Once, and not with every attempt.
                if !self.is_stale(index) {
                    warn!("{cause}; the customers of before go on, and it is tried again");
                }
                false
            }
        };
        self.account(index, read);
    }

    fn take_customers(&mut self, rows: Customers) {
        let is_first = !self.was_loaded(self.files.len());
        if !is_first && self.postgres_customers.says_the_same(&rows) {
            return;
        }
        let (zones, prefixes) = (rows.zones(), rows.prefixes());
        info!("customers.postgres: read {zones} zones and {prefixes} prefixes");
        let conflicts = self.file_customers.conflicts(&rows);
        if conflicts > 0 {
            warn!(
                "customers.postgres: {conflicts} zones or prefixes have another customer in \
                 customers.file, which counts; leave them out of one of the two"
            );
        }
        self.postgres_customers = Arc::new(rows);
        let mut tables = Tables::clone(&self.tables.load());
        tables.customers = self.customers();
        self.replace(tables);
    }

    /// The customers of both sources.
    fn customers(&self) -> Arc<Customers> {
        let (file, postgres) = (&self.file_customers, &self.postgres_customers);
        if postgres.is_empty() {
            Arc::clone(file)
        } else if file.is_empty() {
            Arc::clone(postgres)
        } else {
            Arc::new(file.with(postgres))
        }
    }

    fn replace(&mut self, tables: Tables) {
        self.retired.push(self.tables.swap(Arc::new(tables)));
    }

    /// Frees sets that no reader has any more: nobody can get at one from here.
    fn free(&mut self) {
        self.retired.retain(|tables| Arc::strong_count(tables) > 1);
    }

    fn account(&self, index: usize, was_read: bool) {
        self.with_state(index, |state| {
            state.is_stale = !was_read;
            if was_read {
                // The first rows of a database are no reload.
                state.reloads += u64::from(state.loaded_s > 0.0);
                state.loaded_s = unix_time();
            } else {
                state.errors += 1;
            }
        });
    }

    fn is_stale(&self, index: usize) -> bool {
        self.with_state(index, |state| state.is_stale)
            .unwrap_or(false)
    }

    fn was_loaded(&self, index: usize) -> bool {
        self.with_state(index, |state| state.loaded_s > 0.0)
            .unwrap_or(false)
    }

    fn with_state<T>(&self, index: usize, look: impl FnOnce(&mut SourceState) -> T) -> Option<T> {
        let mut sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        sources.get_mut(index).map(look)
    }
}

impl Drop for ReloadThread {
    fn drop(&mut self) {
        self.stop.notify_one();
        if self
            .thread
            .take()
            .is_some_and(|thread| thread.join().is_err())
        {
            error!("the thread that reads tables again panicked");
        }
    }
}

/// Asks PostgreSQL at once and then again and again, as long as somebody listens.
async fn ask(
    source: Source,
    refresh: Duration,
    rows: mpsc::Sender<Result<Customers, PostgresError>>,
) {
    loop {
        if rows.send(source.fetch().await).await.is_err() {
            return;
        }
        sleep(refresh).await;
    }
}

fn watched(config: &Config) -> Vec<(Table, Watched)> {
    let databases = database_paths(config);
    let databases = databases.iter().map(|file| (Table::Geoip, file.as_path()));
    let networks = path(&config.networks.file).map(|file| (Table::Networks, file));
    let customers = path(&config.customers.file).map(|file| (Table::Customers, file));
    databases
        .chain(networks)
        .chain(customers)
        .map(|(table, file)| (table, Watched::new(file)))
        .collect()
}

fn ages(states: &[DatabaseState]) -> Vec<DatabaseAge> {
    let stem = |state: &DatabaseState| state.file.file_stem().map(OsStr::to_owned);
    let age = |state: &DatabaseState| {
        let namesakes = states.iter().filter(|other| stem(other) == stem(state));
        let name = match stem(state) {
            Some(stem) if namesakes.count() == 1 => stem.to_string_lossy().into_owned(),
            _ => state.file.display().to_string(),
        };
        let built_s = state.build_epoch as f64;
        DatabaseAge {
            name,
            database_type: state.database_type.clone(),
            built_s,
            age_s: (unix_time() - built_s).max(0.0),
            bytes: state.size,
        }
    };
    states.iter().map(age).collect()
}

fn unix_time() -> f64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH);
    since_epoch.unwrap_or_default().as_secs_f64()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// Tables in a folder of their own.
    struct Scene {
        folder: tempfile::TempDir,
        reloader: Reloader,
    }

    const NETWORKS: &str = "networks.csv";
    const CUSTOMERS: &str = "customers.csv";

    impl Scene {
        fn new() -> Self {
            let folder = tempfile::tempdir().expect("a folder");
            let path = |name: &str| folder.path().join(name).display().to_string();
            let mut config = Config::default();
            config.networks.file = path(NETWORKS);
            config.customers.file = path(CUSTOMERS);
            fs::write(&config.networks.file, "192.0.2.0/24,one\n").expect("a file");
            fs::write(&config.customers.file, "192.0.2.0/24,File\n").expect("a file");
            let reloader = Reloader::open(&config).expect("two tables");
            Self { folder, reloader }
        }

        /// As `cp` does it.
        fn write(&self, name: &str, text: &str) {
            fs::write(self.folder.path().join(name), text).expect("a file");
        }

        /// As careful programs do it.
        fn rename(&self, name: &str, text: &str) {
            self.write("new", text);
            let path = |name| self.folder.path().join(name);
            fs::rename(path("new"), path(name)).expect("to be renamed");
        }

        /// Two looks, after which a change has come to rest.
        fn look(&mut self) {
            self.reloader.look();
            self.reloader.look();
        }

        fn names(&self) -> (Option<String>, Option<String>) {
            let address = "192.0.2.1".parse().expect("an address");
            let tables = self.reloader.tables().load();
            let network = tables.networks.find(address);
            let customer = tables.customers.of_address(address);
            (
                network.map(ToString::to_string),
                customer.map(ToString::to_string),
            )
        }

        fn knows(&self, network: &str, customer: &str) {
            let expected = (Some(network.to_owned()), Some(customer.to_owned()));
            assert_eq!(self.names(), expected);
        }

        /// Reloads, errors, and whether it is stale.
        fn account(&self, source: &str) -> (u64, u64, bool) {
            let states = self.reloader.states().get().sources;
            let state = states.iter().find(|state| state.source.ends_with(source));
            let state = state.expect(source);
            (state.reloads, state.errors, state.is_stale)
        }
    }

    fn rows(rows: &[(&str, &str)]) -> Customers {
        Customers::of_rows("row ", rows.iter().copied()).expect("rows")
    }

    #[test]
    fn a_file_that_stays_is_not_read_again() {
        let mut scene = Scene::new();
        let before = scene.reloader.tables().load_full();
        scene.look();
        scene.look();
        assert!(Arc::ptr_eq(&before, &scene.reloader.tables().load_full()));
        assert_eq!(scene.account(NETWORKS), (0, 0, false));
    }

    #[test]
    fn a_file_that_is_replaced_is_read_again() {
        let mut scene = Scene::new();
        scene.rename(NETWORKS, "192.0.2.0/25,two\n");
        scene.look();
        scene.knows("two", "File");
        scene.write(NETWORKS, "192.0.2.0/26,third\n");
        scene.look();
        scene.knows("third", "File");
        scene.write(CUSTOMERS, "192.0.2.0/28,Other\n");
        scene.look();
        scene.knows("third", "Other");
        assert_eq!(scene.account(NETWORKS), (2, 0, false));
        assert_eq!(scene.account(CUSTOMERS), (1, 0, false));
    }

    #[test]
    fn a_broken_file_leaves_the_table_before() {
        let mut scene = Scene::new();
        for (errors, broken) in [(1, "192.0.2.0/2"), (2, "192.0.2.0/2\n\n"), (3, "")] {
            scene.write(NETWORKS, broken);
            scene.look();
            scene.look();
            scene.knows("one", "File");
            assert_eq!(scene.account(NETWORKS), (0, errors, true), "{broken}");
        }
        scene.write(CUSTOMERS, "192.0.2.0/24,Other\n");
        scene.look();
        scene.knows("one", "Other");
        assert_eq!(scene.account(NETWORKS), (0, 3, true), "told once");
        scene.rename(NETWORKS, "192.0.2.0/24,two\n");
        scene.look();
        scene.knows("two", "Other");
        assert_eq!(scene.account(NETWORKS), (1, 3, false));
    }

    #[test]
    fn a_file_that_vanishes_leaves_the_table_before() {
        let mut scene = Scene::new();
        fs::remove_file(scene.folder.path().join(CUSTOMERS)).expect("away");
        scene.look();
        scene.look();
        scene.knows("one", "File");
        assert_eq!(scene.account(CUSTOMERS), (0, 1, true));
    }

    #[test]
    fn what_was_replaced_is_freed_when_no_reader_has_it() {
        let mut scene = Scene::new();
        let reader = scene.reloader.tables().load_full();
        let before = Arc::downgrade(&reader);
        scene.write(NETWORKS, "192.0.2.0/25,two\n");
        scene.look();
        scene.reloader.free();
        assert_eq!(scene.reloader.retired.len(), 1, "a reader has it");
        drop(reader);
        assert!(before.upgrade().is_some(), "the reader did not free it");
        scene.reloader.free();
        assert!(before.upgrade().is_none() && scene.reloader.retired.is_empty());
    }

    #[test]
    fn rows_and_files_are_one_table_in_which_files_win() {
        let mut scene = Scene::new();
        let postgres = SourceState::new(Table::Customers, POSTGRESQL);
        scene
            .reloader
            .sources
            .lock()
            .expect("a lock")
            .push(postgres);
        let both = [("192.0.2.0/24", "Rows"), ("example.com", "Rows")];
        scene.reloader.take_rows(Ok(rows(&both)));
        scene.knows("one", "File");
        assert_eq!(scene.account(POSTGRESQL), (0, 0, false));
        let entries = [
            ("networks", 1),
            ("customer_zones", 1),
            ("customer_prefixes", 1),
        ];
        assert_eq!(scene.reloader.states().get().entries, entries);
        scene.write(CUSTOMERS, "example.net,File\n");
        scene.look();
        scene.knows("one", "Rows");
        scene.reloader.take_rows(Err(PostgresError::Slow));
        scene.reloader.take_rows(Err(PostgresError::Slow));
        scene.knows("one", "Rows");
        assert_eq!(scene.account(POSTGRESQL), (0, 2, true));
    }

    #[test]
    fn rows_that_stay_leave_the_tables_alone() {
        let mut scene = Scene::new();
        let postgres = SourceState::new(Table::Customers, POSTGRESQL);
        scene
            .reloader
            .sources
            .lock()
            .expect("a lock")
            .push(postgres);
        let same = [("example.com", "Rows")];
        scene.reloader.take_rows(Ok(rows(&same)));
        let before = scene.reloader.tables().load_full();
        scene.reloader.take_rows(Ok(rows(&same)));
        assert!(Arc::ptr_eq(&before, &scene.reloader.tables().load_full()));
        assert_eq!(scene.account(POSTGRESQL), (1, 0, false));
    }

    #[test]
    fn the_thread_looks_by_itself_and_ends_when_it_is_dropped() {
        let mut scene = Scene::new();
        scene.reloader.look = Duration::from_millis(5);
        let tables = Arc::clone(scene.reloader.tables());
        let Scene { folder, reloader } = scene;
        let thread = reloader.start().expect("a thread");
        let file = folder.path().join(NETWORKS);
        fs::write(file, "192.0.2.0/24,two\n192.0.3.0/24,three\n").expect("a file");
        let start = std::time::Instant::now();
        while tables.load().networks.len() != 2 {
            assert!(start.elapsed() < Duration::from_secs(30), "not read again");
            thread::sleep(Duration::from_millis(5));
        }
        drop(thread);
        assert_eq!(Arc::strong_count(&tables), 1);
    }

    #[test]
    fn databases_are_named_by_their_files() {
        let state = |file: &str| DatabaseState {
            file: file.into(),
            database_type: "Country".to_owned(),
            build_epoch: 1_700_000_000,
            loaded: UNIX_EPOCH,
            size: 7,
            records: 0,
            knows_country: true,
            knows_asn: false,
        };
        let states = ["/a/City.mmdb", "/a/ASN.mmdb", "/b/ASN.mmdb"].map(state);
        let ages = ages(&states);
        let names: Vec<_> = ages.iter().map(|age| age.name.as_str()).collect();
        assert_eq!(names, ["City", "/a/ASN.mmdb", "/b/ASN.mmdb"]);
        assert!(
            ages.iter()
                .all(|age| age.built_s == 1.7e9 && age.bytes == 7)
        );
        let until_2023 = unix_time() - 1.7e9;
        assert!(ages.iter().all(|age| (age.age_s - until_2023).abs() < 60.0));
    }

    #[test]
    fn there_is_no_thread_without_tables() {
        let reloader = Reloader::open(&Config::default()).expect("nothing");
        assert_eq!(reloader.states().get(), TablesState::default());
        assert!(reloader.start().expect("none").thread.is_none());
    }
}
