//! All embedded stores of one data directory, opened together.

use crate::blobs::Blobs;
use crate::days::OpenDay;
use crate::dictionaries::{Dictionaries, SAMPLES_MAX};
use crate::events::{EventStore, ListQuery, SqliteEvents, StoredEvent, day_of_file};
use crate::options::{self, OptionRow};
use crate::{StoreError, copies, days};
use db::{Db, Migration, SqliteConfig};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use stdx::Timestamp;

pub(crate) const METADATA_FILE: &str = "metadata.sqlite";
pub(crate) const EVENTS_FOLDER: &str = "events";
pub(crate) const BLOBS_FOLDER: &str = "blobs";

/// A script by the name that it is noted under, which is its file's.
macro_rules! migration {
    ($number:literal, $name:literal) => {
        Migration { number: $number, name: $name, sql: include_str!(concat!("../migrations/sqlite/", $name, ".sql")) }
    };
}

/// Numbered scripts, applied in order; each engine has its own folder with the same numbers.
const MIGRATIONS: &[Migration] = &[
    migration!(1, "0001_first"),
    migration!(2, "0002_conservation"),
    migration!(3, "0003_project_option"),
    migration!(4, "0004_retention"),
    migration!(5, "0005_strands"),
    migration!(6, "0006_permissions_and_audit"),
    migration!(7, "0007_runtime_option"),
    migration!(8, "0008_spent_bodies"),
    migration!(9, "0009_governor"),
    migration!(10, "0010_internal_hour"),
    migration!(11, "0011_issue_deletion"),
    migration!(12, "0012_withdrawn"),
    migration!(13, "0013_retention_tally"),
    migration!(14, "0014_spool"),
];

/// The migration that made the table of runtime options.
const OPTIONS_SINCE: &str = "0007_runtime_option";

/// The stores of a data directory.
pub struct Stores {
    pub db: Db,
    pub events: Arc<dyn EventStore>,
    pub dictionaries: Dictionaries,
    pub blobs: Blobs,
    pub data_dir: PathBuf,
}

impl Stores {
    /// Opens the stores, creating the directory (0700) and migrating as needed.
    ///
    /// # Errors
    /// If the directory cannot be used, or the stores are of a newer release.
    pub fn open(data_dir: &Path, now: Timestamp) -> Result<Stores, StoreError> {
        create_private(data_dir)?;
        copies::refuse_unfinished(data_dir)?;
        refuse_headless(data_dir)?;
        let db = Db::open_sqlite(&data_dir.join(METADATA_FILE), SqliteConfig::default())?;
        db::migrate::run(&db, MIGRATIONS, now)?;
        Ok(Stores {
            events: Arc::new(SqliteEvents::open(&data_dir.join(EVENTS_FOLDER))?),
            dictionaries: Dictionaries::new(db.clone()),
            blobs: Blobs::open(&data_dir.join(BLOBS_FOLDER))?,
            data_dir: data_dir.to_owned(),
            db,
        })
    }

    /// Returns the names of the migrations that `open` would apply.
    ///
    /// # Errors
    /// As `open`.
    pub fn pending_migrations(data_dir: &Path) -> Result<Vec<&'static str>, StoreError> {
        let path = data_dir.join(METADATA_FILE);
        if !path.exists() {
            return Ok(MIGRATIONS.iter().map(|migration| migration.name).collect());
        }
        let db = Db::open_sqlite(&path, SqliteConfig::default())?;
        Ok(db::migrate::pending(&db, MIGRATIONS)?)
    }

    /// Brings the metadata of a data directory to this release's shape, creating both. Returns what was applied.
    ///
    /// # Errors
    /// As `open`.
    pub fn migrate(data_dir: &Path, now: Timestamp) -> Result<Vec<&'static str>, StoreError> {
        create_private(data_dir)?;
        copies::refuse_unfinished(data_dir)?;
        refuse_headless(data_dir)?;
        let db = Db::open_sqlite(&data_dir.join(METADATA_FILE), SqliteConfig::default())?;
        Ok(db::migrate::run(&db, MIGRATIONS, now)?)
    }

    /// Returns the number of the newest migration that this release knows.
    pub fn newest_migration() -> u32 {
        MIGRATIONS.iter().map(|migration| migration.number).max().unwrap_or_default()
    }

    /// Tells whether the data directory holds a store.
    pub fn exist(data_dir: &Path) -> bool {
        data_dir.join(METADATA_FILE).exists()
    }

    /// Returns the runtime options of a data directory; none where there is no store yet, or one that is older than they
    /// are. Nothing is created or migrated.
    ///
    /// # Errors
    /// As `open`.
    pub fn peek_options(data_dir: &Path) -> Result<Vec<OptionRow>, StoreError> {
        if !Stores::exist(data_dir) {
            return Ok(Vec::new());
        }
        let path = data_dir.join(METADATA_FILE);
        let db = Db::open_sqlite(&path, SqliteConfig::default())?;
        if db::migrate::pending(&db, MIGRATIONS)?.contains(&OPTIONS_SINCE) {
            return Ok(Vec::new());
        }
        db.read_blocking(options::list)
    }

    /// Answers if the metadata store can be written: a lock that somebody holds on it stops all work.
    ///
    /// # Errors
    /// If it cannot.
    pub async fn ping(&self) -> Result<(), StoreError> {
        self.db.write(|_tx| Ok::<_, StoreError>(())).await
    }

    /// Returns a stored event's body: the header line and the payload.
    ///
    /// # Errors
    /// If its dictionary is not there or the bytes are damaged.
    pub fn body(&self, event: &StoredEvent) -> Result<Vec<u8>, StoreError> {
        self.dictionaries.decompress(event.dictionary_id, &event.body)
    }

    /// Trains the project's dictionary from its newest events, unless it has one. Returns whether one was made.
    ///
    /// # Errors
    /// If a store fails.
    pub fn train_dictionary(&self, project_id: i64, now: Timestamp) -> Result<bool, StoreError> {
        if self.dictionaries.has_one(project_id)? {
            return Ok(false);
        }
        let open = self.db.read_blocking(days::list_open)?;
        let mut samples = Vec::new();
        for day in open.iter().take(2) {
            samples.extend(self.newest_bodies(day, project_id, SAMPLES_MAX - samples.len())?);
        }
        Ok(self.dictionaries.train(project_id, &samples, now)?.is_some())
    }

    fn newest_bodies(&self, day: &OpenDay, project_id: i64, limit: usize) -> Result<Vec<Vec<u8>>, StoreError> {
        let query = ListQuery { project_id, group_keys: None, bound: None, newest_first: true, limit };
        self.events.list(day, &query)?.iter().map(|event| self.body(event)).collect()
    }

    /// Returns what the metadata takes on disk without its log, as `du` counts.
    pub fn metadata_bytes(&self) -> u64 {
        use std::os::unix::fs::MetadataExt;
        self.data_dir.join(METADATA_FILE).metadata().map_or(0, |file| file.blocks() * 512)
    }

    /// Folds all write-ahead logs into their files; for quiet times.
    ///
    /// # Errors
    /// If a log cannot be folded.
    pub fn checkpoint_truncate(&self) -> Result<(), StoreError> {
        self.events.checkpoint_truncate()?;
        Ok(self.db.checkpoint_truncate()?)
    }
}

/// Days of events beside no metadata: whoever began anew over them would have the events removed as nobody's.
fn refuse_headless(data_dir: &Path) -> Result<(), StoreError> {
    let is_empty = |name: &str| data_dir.join(name).metadata().map_or(0, |file| file.len()) == 0;
    // What was written last may be in the log alone.
    if !is_empty(METADATA_FILE) || !is_empty(&format!("{METADATA_FILE}-wal")) {
        return Ok(());
    }
    let events = data_dir.join(EVENTS_FOLDER);
    let entries = std::fs::read_dir(&events).into_iter().flatten().flatten();
    let days = entries.filter(|entry| day_of_file(&entry.file_name().to_string_lossy()).is_some()).count();
    if days == 0 { Ok(()) } else { Err(StoreError::Headless { data_dir: data_dir.to_owned(), files: days }) }
}

/// The stores hold what people sent: only their owner may look.
fn create_private(folder: &Path) -> Result<(), StoreError> {
    use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
    let failed = |source| StoreError::File { what: format!("use the data directory {}", folder.display()), source };
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed)?;
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o700)).map_err(failed)
}
