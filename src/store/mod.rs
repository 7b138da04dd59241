//! Everything that is in the database: one file a table, one statement a function.
//!
//! Functions that take `&SqlitePool` or any executor stand alone; those that take a connection are
//! steps of a transaction that a caller began with [`begin`].

pub mod artifacts;
pub mod datasets;
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

use sqlx::Connection as _;
use sqlx::Sqlite;
use sqlx::SqliteConnection;
use sqlx::SqlitePool;
use sqlx::Transaction;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};

pub use sqlx::{Error, Result};

/// The database.
pub type Db = SqlitePool;
/// The database, in a transaction.
pub type Connection = SqliteConnection;

/// How long a statement waits for another's write lock.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);
/// Readers do not wait for each other or for the one writer.
const CONNECTIONS: u32 = 8;

/// Opens the database, makes it if there is none, and brings its tables up to date.
///
/// # Errors
///
/// A file that cannot be opened, or was made by a newer version.
pub async fn open(path: &Path) -> anyhow::Result<SqlitePool> {
    let pool = connect(path).await?;
    sqlx::migrate!().run(&pool).await?;
    Ok(pool)
}

async fn connect(path: &Path) -> sqlx::Result<SqlitePool> {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Normal)
        .foreign_keys(true)
        .busy_timeout(BUSY_TIMEOUT);
    SqlitePoolOptions::new()
        .max_connections(CONNECTIONS)
        // A commit that failed, on a full disk for example, leaves a connection that begins no other.
        .after_release(|connection, _| Box::pin(async move { Ok(!connection.is_in_transaction()) }))
        .connect_with(options)
        .await
}

/// Begins a transaction that takes the write lock at once, so that what it reads stays true.
///
/// # Errors
///
/// When the database cannot be used, or is locked for too long.
pub async fn begin(db: &SqlitePool) -> sqlx::Result<Transaction<'static, Sqlite>> {
    db.begin_with("BEGIN IMMEDIATE").await
}

/// Whether an error says that there is no room on the disk: `SQLITE_FULL`.
pub fn is_full(error: &Error) -> bool {
    error.as_database_error().is_some_and(|error| error.code().is_some_and(|code| code == "13"))
}

/// Whether the database answers.
///
/// # Errors
///
/// When it does not.
pub async fn ping(db: &SqlitePool) -> sqlx::Result<()> {
    sqlx::query_scalar!("select 1").fetch_one(db).await.map(|_| ())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// An empty database, with the folder that it lives in.
    pub(crate) async fn empty() -> (tempfile::TempDir, SqlitePool) {
        let folder = tempfile::tempdir().unwrap();
        let db = open(&folder.path().join("test.sqlite")).await.unwrap();
        (folder, db)
    }

    #[tokio::test]
    async fn a_database_opens_again_with_what_it_held() {
        let (folder, db) = empty().await;
        let id = ids::DatasetId::new();
        datasets::insert(&db, id, "faces").await.unwrap();
        db.close().await;
        let db = open(&folder.path().join("test.sqlite")).await.unwrap();
        assert_eq!(datasets::find(&db, id).await.unwrap().unwrap().name, "faces");
        ping(&db).await.unwrap();
    }

    #[tokio::test]
    async fn jobs_from_before_there_were_evaluations_are_kept_with_what_belongs_to_them() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("test.sqlite");
        let db = connect(&path).await.unwrap();
        sqlx::migrate!().run_to(2, &db).await.unwrap();
        let id = ids::JobId::new();
        let job =
            "insert into job (id, name, params, wanted_device) values (?, 'old', '{}', 'cpu')";
        sqlx::query(job).bind(id).execute(&db).await.unwrap();
        let queued = jobs::JobState::Queued;
        let sql = "insert into transition (job_id, to_state, reason) values (?, ?, 'submitted')";
        sqlx::query(sql).bind(id).bind(queued).execute(&db).await.unwrap();
        db.close().await;
        let db = open(&path).await.unwrap();
        let job = jobs::find(&db, id).await.unwrap().unwrap();
        assert_eq!((job.kind, job.name.as_str()), (job_kind::JobKind::Train, "old"));
        assert_eq!(transitions::of_job(&db, id).await.unwrap()[0].to, queued);
    }
}
