//! The database: one file per table, one SQL statement per function.
//!
//! Functions that take `&SqlitePool` or any executor can be called on their own. Functions that take a connection are
//! steps of a transaction that the caller began with [`begin`].

pub mod artifacts;
pub mod datasets;
pub mod deletions;
pub mod epochs;
pub mod events;
pub mod folder;
pub mod idempotency;
pub mod ids;
pub mod job_kind;
pub mod jobs;
pub mod models;
pub mod queue;
pub mod transitions;

use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use anyhow::bail;
use anyhow::ensure;
use sqlx::Connection as _;
use sqlx::Sqlite;
use sqlx::SqliteConnection;
use sqlx::SqlitePool;
use sqlx::Transaction;
use sqlx::migrate::MigrateError;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};

pub use sqlx::{Error, Result};

use crate::disk;

/// A pool of connections to the database.
pub type Db = SqlitePool;
/// A connection to the database, in a transaction.
pub type Connection = SqliteConnection;

/// How long a statement waits for the write lock.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);
/// Maximum size in bytes of the write-ahead log after SQLite truncates it.
const WAL_BYTES: &str = "67108864";
/// Size of the connection pool. Readers wait neither for each other nor for the one writer.
const CONNECTIONS: u32 = 8;

/// Opens the database, or creates it if it is missing, and applies new migrations.
///
/// # Errors
///
/// Fails if the file cannot be opened, is damaged, or was made by a newer version.
pub async fn open(path: &Path) -> anyhow::Result<SqlitePool> {
    let pool = connect(path, true).await?;
    let migrated = migrate(&pool).await;
    if migrated.is_err() {
        pool.close().await; // A dropped pool would keep the files open for a while.
    }
    migrated.map(|()| pool)
}

/// Checks that the database is not damaged, then applies new migrations.
async fn migrate(pool: &SqlitePool) -> anyhow::Result<()> {
    let found: String = sqlx::query_scalar("pragma quick_check(1)").fetch_one(pool).await?;
    ensure!(
        found == "ok",
        "the database is damaged ({found}); stop the server and restore a backup"
    );
    match sqlx::migrate!().run(pool).await {
        Err(MigrateError::VersionMissing(version)) => bail!(
            "the database was made by a newer version of Blazetune (schema {version}); \
             start that version, or choose another folder with --data"
        ),
        done => Ok(done?),
    }
}

/// Copies the database to a new file. The copy is consistent even if a server is running.
///
/// # Errors
///
/// Fails if the database is missing or unreadable, or if `to` exists or cannot be written.
pub async fn backup(path: &Path, to: &Path) -> anyhow::Result<()> {
    ensure!(!to.exists(), "{} already exists; choose another file", to.display());
    let pool = connect(path, false).await?;
    let mut partial = to.as_os_str().to_owned();
    partial.push(".partial");
    disk::remove_file(Path::new(&partial))?;
    let name = partial.to_str().context("the file name is not UTF-8")?;
    sqlx::query("vacuum into ?").bind(name).execute(&pool).await?;
    pool.close().await;
    std::fs::File::open(&partial)?.sync_all()?;
    std::fs::rename(&partial, to)?;
    let folder = to.parent().filter(|folder| !folder.as_os_str().is_empty());
    disk::sync_folder(folder.unwrap_or(Path::new(".")))?;
    Ok(())
}

async fn connect(path: &Path, creates: bool) -> sqlx::Result<SqlitePool> {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(creates)
        .journal_mode(SqliteJournalMode::Wal)
        // A commit reaches the disk before anything that relies on it happens: a response to a client, or the deletion
        // of a file.
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .pragma("journal_size_limit", WAL_BYTES)
        .busy_timeout(BUSY_TIMEOUT);
    SqlitePoolOptions::new()
        .max_connections(CONNECTIONS)
        // A connection whose commit failed, for example on a full disk, cannot begin another transaction.
        .after_release(|connection, _| Box::pin(async move { Ok(!connection.is_in_transaction()) }))
        .connect_with(options)
        .await
}

/// Begins a transaction that takes the write lock immediately, so that what it reads stays current.
///
/// # Errors
///
/// Any database error, including a lock that another writer holds for too long.
pub async fn begin(db: &SqlitePool) -> sqlx::Result<Transaction<'static, Sqlite>> {
    db.begin_with("BEGIN IMMEDIATE").await
}

/// Whether the error means that the disk is full (`SQLITE_FULL`).
pub fn is_full(error: &Error) -> bool {
    error.as_database_error().is_some_and(|error| error.code().is_some_and(|code| code == "13"))
}

/// Checks that the database responds.
///
/// # Errors
///
/// Any database error.
pub async fn ping(db: &SqlitePool) -> sqlx::Result<()> {
    sqlx::query_scalar!("select 1").fetch_one(db).await.map(|_| ())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Creates an empty database in a temporary folder.
    pub(crate) async fn empty() -> (tempfile::TempDir, SqlitePool) {
        let folder = tempfile::tempdir().unwrap();
        let db = open(&folder.path().join("test.sqlite")).await.unwrap();
        (folder, db)
    }

    #[tokio::test]
    async fn a_reopened_database_keeps_its_content() {
        let (folder, db) = empty().await;
        let id = ids::DatasetId::new();
        datasets::insert(&db, id, "faces", &crate::data::LabelOptions::default()).await.unwrap();
        db.close().await;
        let db = open(&folder.path().join("test.sqlite")).await.unwrap();
        assert_eq!(datasets::find(&db, id).await.unwrap().unwrap().name, "faces");
        ping(&db).await.unwrap();
    }

    #[tokio::test]
    async fn migrating_from_every_earlier_version_keeps_jobs_and_their_data() {
        let migrator = sqlx::migrate!();
        let versions: Vec<i64> = migrator.iter().map(|migration| migration.version).collect();
        assert!(versions.len() >= 4);
        for version in versions {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("test.sqlite");
            let db = connect(&path, true).await.unwrap();
            migrator.run_to(version, &db).await.unwrap();
            let id = ids::JobId::new();
            let job =
                "insert into job (id, name, params, wanted_device) values (?, 'old', '{}', 'cpu')";
            sqlx::query(job).bind(id).execute(&db).await.unwrap();
            for old in [
                "insert into transition (job_id, to_state, reason) values (?, 'queued', 'submitted')",
                "insert into epoch (job_id, epoch, row) values (?, 0, '{}')",
                "insert into model (id, name, kind, job_id, files) values ('01970000-0000-7000-8000-000000000000', 'm', 'trained', ?, '[]')",
            ] {
                sqlx::query(old).bind(id).execute(&db).await.unwrap();
            }
            if version >= 2 {
                let mixed = "insert into model (id, name, kind, parent_id, files) values ('01970000-0000-7000-8000-000000000001', 'm', 'mixed', '01970000-0000-7000-8000-000000000000', '[]')";
                sqlx::query(mixed).execute(&db).await.unwrap();
            }
            db.close().await;
            let db = open(&path).await.unwrap();
            let job = jobs::find(&db, id).await.unwrap().unwrap();
            assert_eq!((job.kind, job.name.as_str()), (job_kind::JobKind::Train, "old"));
            let history = transitions::of_job(&db, id).await.unwrap();
            assert_eq!(history[0].to, jobs::JobState::Queued, "from version {version}");
            assert_eq!(epochs::of_job(&db, id).await.unwrap().len(), 1);
            let trained = job.model_id.unwrap();
            if version >= 2 {
                let mixed = "01970000-0000-7000-8000-000000000001".parse().unwrap();
                let mixed = models::find(&db, mixed).await.unwrap().unwrap();
                assert_eq!(mixed.parent_id.map(|id| id.to_string()), Some(trained.to_string()));
            }
        }
    }

    #[tokio::test]
    async fn a_newer_or_damaged_database_is_refused_with_the_reason() {
        let (folder, db) = empty().await;
        let newer = "insert into _sqlx_migrations (version, description, success, checksum, execution_time) values (9999, 'newer', true, x'00', 0)";
        sqlx::query(newer).execute(&db).await.unwrap();
        db.close().await;
        let path = folder.path().join("test.sqlite");
        let text = open(&path).await.unwrap_err().to_string();
        assert!(text.contains("newer version of Blazetune") && text.contains("9999"), "{text}");

        let mut bytes = std::fs::read(&path).unwrap();
        let end = bytes.len();
        bytes[4096..end].fill(0xa5);
        std::fs::write(&path, bytes).unwrap();
        let text = format!("{:#}", open(&path).await.unwrap_err());
        assert!(text.contains("damaged") || text.contains("malformed"), "{text}");
    }

    #[tokio::test]
    async fn a_backup_made_during_a_write_is_a_complete_database() {
        let (folder, db) = empty().await;
        let id = ids::DatasetId::new();
        datasets::insert(&db, id, "faces", &crate::data::LabelOptions::default()).await.unwrap();
        let mut tx = begin(&db).await.unwrap(); // A concurrent writer.
        datasets::insert(
            &mut *tx,
            ids::DatasetId::new(),
            "not yet",
            &crate::data::LabelOptions::default(),
        )
        .await
        .unwrap();
        let (path, to) = (folder.path().join("test.sqlite"), folder.path().join("copy.sqlite"));
        backup(&path, &to).await.unwrap();
        tx.commit().await.unwrap();
        let text = backup(&path, &to).await.unwrap_err().to_string();
        assert!(text.contains("already exists"), "{text}");
        let copy = open(&to).await.unwrap();
        let names: Vec<_> = datasets::page(&copy, None, 9).await.unwrap();
        assert_eq!(names.iter().map(|set| set.name.as_str()).collect::<Vec<_>>(), ["faces"]);
    }

    #[tokio::test]
    async fn the_database_refuses_an_illegal_state_change() {
        let (_folder, db) = empty().await;
        let id = jobs::tests::queue(&db, "cpu", 0).await;
        let wrong = "update job set state = 'pausing' where id = ?";
        let error = sqlx::query(wrong).bind(id).execute(&db).await.unwrap_err().to_string();
        assert!(error.contains("cannot change from this state to that one"), "{error}");
    }
}
