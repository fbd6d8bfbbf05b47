//! Compression of event bodies: zstd with a dictionary trained on the project's own events, which takes a third of the
//! space of plain zstd and is faster both ways. A dictionary is never deleted while events name it.

use crate::StoreError;
use db::{Db, Tx, Val};
use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use stdx::Timestamp;
use zstd::zstd_safe::{self, CCtx, CDict, DCtx, DDict};

/// zstd's default: higher levels cost four times the time for a few percent.
const LEVEL: i32 = 3;
/// Size of a dictionary; larger ones gain nothing on 10 KB events.
const DICTIONARY_BYTES_MAX: usize = 112 << 10;
/// Stored events a dictionary is trained on, at most and at least.
pub const SAMPLES_MAX: usize = 1_000;
pub const SAMPLES_MIN: usize = 200;
/// Bytes of all samples together.
const SAMPLE_BYTES_MAX: usize = 12 << 20;
/// The largest body there can be: an event of 1 MiB, repaired (each byte at most tripled), and its header line.
pub const BODY_BYTES_MAX: usize = 4 << 20;
/// Dictionaries held ready, each about half a megabyte with its tables.
const READY_MAX: usize = 32;
/// Projects whose newest dictionary is remembered.
const PROJECTS_MAX: usize = 10_000;

/// A dictionary made ready for both directions.
struct Ready {
    compress: CDict<'static>,
    decompress: DDict<'static>,
}

/// All dictionaries of a store; shared by every thread.
pub struct Dictionaries {
    db: Db,
    /// The newest dictionary of each project; 0 = none yet.
    current: RwLock<HashMap<i64, i64>>,
    /// The last used is at the end.
    ready: Mutex<Vec<(i64, Arc<Ready>)>>,
}

thread_local! {
    static COMPRESSOR: RefCell<CCtx<'static>> = RefCell::new(CCtx::create());
    static DECOMPRESSOR: RefCell<DCtx<'static>> = RefCell::new(DCtx::create());
}

impl Dictionaries {
    pub fn new(db: Db) -> Self {
        Dictionaries { db, current: RwLock::default(), ready: Mutex::default() }
    }

    /// Compresses a body with its project's dictionary. Returns the dictionary's id (0 = none yet) and the bytes.
    ///
    /// # Errors
    /// `TooLarge` beyond `BODY_BYTES_MAX`, which nothing could read back; else if the dictionary cannot be read.
    pub fn compress(&self, project_id: i64, body: &[u8]) -> Result<(i64, Vec<u8>), StoreError> {
        if body.len() > BODY_BYTES_MAX {
            return Err(StoreError::TooLarge { what: "event body", bytes: body.len(), bytes_max: BODY_BYTES_MAX });
        }
        let id = self.current_of(project_id)?;
        let mut out = Vec::with_capacity(zstd_safe::compress_bound(body.len()));
        let done = match id {
            0 => COMPRESSOR.with_borrow_mut(|context| context.compress(&mut out, body, LEVEL)),
            id => {
                let ready = self.ready(id)?;
                COMPRESSOR.with_borrow_mut(|context| context.compress_using_cdict(&mut out, body, &ready.compress))
            }
        };
        done.map_err(|code| damaged("compress a body", code))?;
        out.shrink_to_fit();
        Ok((id, out))
    }

    /// Returns the body that `compress` was given.
    ///
    /// # Errors
    /// `Damaged` if the bytes are not a whole frame of at most `BODY_BYTES_MAX`.
    pub fn decompress(&self, dictionary_id: i64, bytes: &[u8]) -> Result<Vec<u8>, StoreError> {
        let length = zstd_safe::get_frame_content_size(bytes).ok().flatten().unwrap_or(u64::MAX);
        let length = usize::try_from(length).ok().filter(|length| *length <= BODY_BYTES_MAX);
        let length = length.ok_or_else(|| StoreError::Damaged { what: "decompress a body".to_owned() })?;
        let mut out = Vec::with_capacity(length);
        let done = match dictionary_id {
            0 => DECOMPRESSOR.with_borrow_mut(|context| context.decompress(&mut out, bytes)),
            id => {
                let ready = self.ready(id)?;
                DECOMPRESSOR
                    .with_borrow_mut(|context| context.decompress_using_ddict(&mut out, bytes, &ready.decompress))
            }
        };
        done.map_err(|code| damaged("decompress a body", code))?;
        Ok(out)
    }

    /// Trains and stores a dictionary from sample bodies. Returns its id, or `None` if the samples are too few or too
    /// alike for one.
    ///
    /// # Errors
    /// If it cannot be stored.
    pub fn train(&self, project_id: i64, samples: &[Vec<u8>], now: Timestamp) -> Result<Option<i64>, StoreError> {
        let (mut all, mut sizes) = (Vec::new(), Vec::new());
        for sample in samples.iter().take(SAMPLES_MAX) {
            if all.len() + sample.len() > SAMPLE_BYTES_MAX {
                break;
            }
            all.extend_from_slice(sample);
            sizes.push(sample.len());
        }
        if sizes.len() < SAMPLES_MIN {
            return Ok(None);
        }
        let Ok(bytes) = zstd::dict::from_continuous(&all, &sizes, DICTIONARY_BYTES_MAX) else {
            return Ok(None);
        };
        let count = sizes.len() as i64;
        let id = self.db.write_blocking(|tx| insert(tx, project_id, &bytes, count, now))?;
        self.write_current().insert(project_id, id);
        Ok(Some(id))
    }

    /// Tells whether a project has a dictionary.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn has_one(&self, project_id: i64) -> Result<bool, StoreError> {
        Ok(self.current_of(project_id)? != 0)
    }

    fn current_of(&self, project_id: i64) -> Result<i64, StoreError> {
        if let Some(id) = self.current.read().unwrap_or_else(PoisonError::into_inner).get(&project_id) {
            return Ok(*id);
        }
        let id = self.db.read_blocking(|tx| newest(tx, project_id))?;
        let mut current = self.write_current();
        if current.len() >= PROJECTS_MAX {
            current.clear();
        }
        // What another thread has trained since the read stays.
        Ok(*current.entry(project_id).or_insert(id))
    }

    fn write_current(&self) -> std::sync::RwLockWriteGuard<'_, HashMap<i64, i64>> {
        self.current.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn ready(&self, id: i64) -> Result<Arc<Ready>, StoreError> {
        let mut ready = self.ready.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(index) = ready.iter().position(|(known, _)| *known == id) {
            let entry = ready.remove(index);
            let found = entry.1.clone();
            ready.push(entry);
            return Ok(found);
        }
        let bytes = self.db.read_blocking(|tx| bytes_of(tx, id))?;
        let made = Arc::new(Ready { compress: CDict::create(&bytes, LEVEL), decompress: DDict::create(&bytes) });
        if ready.len() >= READY_MAX {
            ready.remove(0);
        }
        ready.push((id, made.clone()));
        Ok(made)
    }
}

fn damaged(what: &str, code: usize) -> StoreError {
    StoreError::Damaged { what: format!("{what}: {}", zstd_safe::get_error_name(code)) }
}

fn newest(tx: &mut Tx<'_>, project_id: i64) -> Result<i64, StoreError> {
    let row: Option<(i64,)> = tx.query_opt(
        "SELECT id FROM event_dictionary WHERE project_id = $1 ORDER BY id DESC LIMIT 1",
        &[Val::Int(project_id)],
    )?;
    Ok(row.map_or(0, |(id,)| id))
}

fn bytes_of(tx: &mut Tx<'_>, id: i64) -> Result<Vec<u8>, StoreError> {
    let row: Option<(Vec<u8>,)> = tx.query_opt("SELECT bytes FROM event_dictionary WHERE id = $1", &[Val::Int(id)])?;
    row.map(|(bytes,)| bytes).ok_or_else(|| StoreError::Missing { what: format!("dictionary {id}") })
}

fn insert(
    tx: &mut Tx<'_>,
    project_id: i64,
    bytes: &[u8],
    sample_count: i64,
    now: Timestamp,
) -> Result<i64, StoreError> {
    let (id,): (i64,) = tx.query_one(
        "INSERT INTO event_dictionary (project_id, bytes, sample_count, created_at) VALUES ($1, $2, $3, $4)
         RETURNING id",
        &[Val::Int(project_id), Val::Blob(bytes), Val::Int(sample_count), Val::from(now)],
    )?;
    Ok(id)
}
