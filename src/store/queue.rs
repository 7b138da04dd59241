//! The `job` table as a queue.

use sqlx::SqliteExecutor;

use super::ids::JobId;
use super::jobs::JobState;

/// Returns the jobs that hold a device, oldest first.
///
/// # Errors
///
/// Any database error.
pub async fn active(db: impl SqliteExecutor<'_>) -> sqlx::Result<Vec<JobId>> {
    sqlx::query_scalar!(
        r#"
        select id as "id: JobId" from job
        where device is not null and state in ('running', 'pausing', 'stopping', 'cancelling')
        order by id
        "#
    )
    .fetch_all(db)
    .await
}

/// A device that jobs can run on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceSlot {
    /// The device: `cpu`, or a GPU such as `cuda:0`.
    pub device: String,
    /// Maximum number of concurrent jobs.
    pub capacity: i64,
    /// Whether it takes jobs that let the server choose the device.
    pub takes_auto: bool,
}

/// Gives the next job in the queue to a device with a free slot, and returns the job with its new state. Jobs that only
/// need to be stopped go first. The others are ordered by priority, then place in the queue, then age. This is a single
/// statement, so no job is claimed twice.
///
/// # Errors
///
/// Any database error.
pub async fn claim_next(
    db: impl SqliteExecutor<'_>,
    slot: &DeviceSlot,
) -> sqlx::Result<Option<(JobId, JobState)>> {
    let claimed = sqlx::query!(
        r#"
        update job
        set state = case state when 'queued' then 'running' else state end, device = ?1,
            started_at = coalesce(started_at, strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
        where id = (
                select id from job
                where (state = 'queued' or (state = 'stopping' and device is null))
                    and (not_before is null or state = 'stopping'
                        or not_before <= strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
                    and (wanted_device = ?1 or (?2 and wanted_device = 'auto'))
                order by state = 'stopping' desc, priority desc, place, id limit 1)
            and ?3 > (
                select count(*) from job
                where device = ?1 and state in ('running', 'pausing', 'stopping', 'cancelling'))
        returning id as "id: JobId", state as "state: JobState"
        "#,
        slot.device,
        slot.takes_auto,
        slot.capacity
    );
    Ok(claimed.fetch_optional(db).await?.map(|row| (row.id, row.state)))
}

/// Moves a queued job ahead of all others with its priority. Returns false if it is not queued.
///
/// # Errors
///
/// Any database error.
pub async fn move_to_front(db: impl SqliteExecutor<'_>, id: JobId) -> sqlx::Result<bool> {
    let moved = sqlx::query!(
        "
        update job
        set place = (
            select min(other.place) - 1 from job other
            where other.state = 'queued' and other.priority = job.priority)
        where id = ?1 and state = 'queued'
        ",
        id
    );
    Ok(moved.execute(db).await?.rows_affected() == 1)
}

/// Whether the device has a free slot and the queue has a job for it.
///
/// # Errors
///
/// Any database error.
pub async fn has_work_for(db: impl SqliteExecutor<'_>, slot: &DeviceSlot) -> sqlx::Result<bool> {
    sqlx::query_scalar!(
        r#"
        select exists (
            select 1 from job
            where (state = 'queued' or (state = 'stopping' and device is null))
                and (not_before is null or state = 'stopping'
                    or not_before <= strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
                and (wanted_device = ?1 or (?2 and wanted_device = 'auto'))
            ) and ?3 > (
                select count(*) from job
                where device = ?1 and state in ('running', 'pausing', 'stopping', 'cancelling'))
            as "has_work!: bool"
        "#,
        slot.device,
        slot.takes_auto,
        slot.capacity
    )
    .fetch_one(db)
    .await
}

/// Returns the jobs that the server paused until there is room on the disk, oldest first.
///
/// # Errors
///
/// Any database error.
pub async fn waiting_for_room(db: impl SqliteExecutor<'_>) -> sqlx::Result<Vec<JobId>> {
    sqlx::query_scalar!(
        r#"select id as "id: JobId" from job where state = 'paused' and hold = 'disk_full' order by id"#
    )
    .fetch_all(db)
    .await
}

#[cfg(test)]
mod tests {
    use super::super::jobs::tests::queue;
    use super::super::jobs::{StateNote, set_state};
    use super::*;
    use crate::store::Db;
    use crate::store::tests::empty;

    fn slot(device: &str, capacity: i64, takes_auto: bool) -> DeviceSlot {
        DeviceSlot { device: device.to_owned(), capacity, takes_auto }
    }

    async fn claimed(db: &Db, slot: &DeviceSlot) -> Option<JobId> {
        claim_next(db, slot).await.unwrap().map(|(id, _)| id)
    }

    #[tokio::test]
    async fn concurrent_claims_take_every_job_exactly_once() {
        let (_folder, db) = empty().await;
        let mut queued = Vec::new();
        for _ in 0..20 {
            queued.push(queue(&db, "auto", 0).await);
        }
        let mut claimers = tokio::task::JoinSet::new();
        for _ in 0..8 {
            let db = db.clone();
            claimers.spawn(async move {
                let slot = slot("cpu", 1000, true);
                let mut mine = Vec::new();
                while let Some(id) = claimed(&db, &slot).await {
                    mine.push(id);
                }
                mine
            });
        }
        let mut all = Vec::new();
        for ids in claimers.join_all().await {
            let texts: Vec<_> = ids.iter().map(ToString::to_string).collect();
            assert!(texts.is_sorted(), "oldest first");
            all.extend(texts);
        }
        all.sort();
        assert_eq!(all, queued.iter().map(ToString::to_string).collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn a_device_takes_no_more_jobs_than_it_has_slots() {
        let (_folder, db) = empty().await;
        let first = queue(&db, "cpu", 0).await;
        let second = queue(&db, "cpu", 0).await;
        let cpu = slot("cpu", 1, true);
        assert_eq!(claimed(&db, &cpu).await, Some(first));
        assert_eq!(claimed(&db, &cpu).await, None);
        let said = StateNote { error: Some("no"), ..StateNote::default() };
        let failed = set_state(&db, first, JobState::Running, JobState::Failed, said);
        assert!(failed.await.unwrap());
        assert_eq!(claimed(&db, &cpu).await, Some(second));
    }

    #[tokio::test]
    async fn jobs_run_by_priority_on_the_device_that_they_request() {
        let (_folder, db) = empty().await;
        let low = queue(&db, "auto", 0).await;
        let high = queue(&db, "cuda:0", 5).await;
        let cpu = queue(&db, "cpu", 9).await;
        let gpu = slot("cuda:0", 9, true);
        assert_eq!(claimed(&db, &gpu).await, Some(high));
        assert_eq!(claimed(&db, &gpu).await, Some(low));
        assert_eq!(claimed(&db, &gpu).await, None);
        assert_eq!(claimed(&db, &slot("cpu", 9, false)).await, Some(cpu));
    }

    #[tokio::test]
    async fn a_job_can_move_ahead_of_others_with_its_priority() {
        let (_folder, db) = empty().await;
        let first = queue(&db, "cpu", 0).await;
        let second = queue(&db, "cpu", 0).await;
        let third = queue(&db, "cpu", 0).await;
        let high = queue(&db, "cpu", 1).await;
        assert!(move_to_front(&db, third).await.unwrap());
        assert!(move_to_front(&db, second).await.unwrap());
        let cpu = slot("cpu", 9, true);
        for expected in [high, second, third, first] {
            assert_eq!(claimed(&db, &cpu).await, Some(expected));
        }
        assert!(!move_to_front(&db, first).await.unwrap(), "a running job cannot be moved");
    }

    #[tokio::test]
    async fn a_job_waits_for_its_start_time_without_delaying_others() {
        let (_folder, db) = empty().await;
        let early = queue(&db, "cpu", 9).await;
        let late = queue(&db, "cpu", 0).await;
        let later = "update job set not_before = '2999-01-01T00:00:00.000Z' where id = ?";
        sqlx::query(later).bind(early).execute(&db).await.unwrap();
        let cpu = slot("cpu", 9, true);
        assert_eq!(claimed(&db, &cpu).await, Some(late));
        assert!(!has_work_for(&db, &cpu).await.unwrap());
        let past = "update job set not_before = '2020-01-01T00:00:00.000Z' where id = ?";
        sqlx::query(past).bind(early).execute(&db).await.unwrap();
        assert!(has_work_for(&db, &cpu).await.unwrap());
        assert_eq!(claimed(&db, &cpu).await, Some(early));
    }

    #[tokio::test]
    async fn a_job_that_only_needs_to_be_stopped_goes_first_and_keeps_its_state() {
        let (_folder, db) = empty().await;
        let held = queue(&db, "cpu", 0).await;
        let other = queue(&db, "cpu", 9).await;
        let (queued, stopping) = (JobState::Queued, JobState::Stopping);
        assert!(set_state(&db, held, queued, stopping, StateNote::default()).await.unwrap());
        assert!(active(&db).await.unwrap().is_empty());
        let cpu = slot("cpu", 2, true);
        assert_eq!(claim_next(&db, &cpu).await.unwrap(), Some((held, stopping)));
        assert_eq!(claim_next(&db, &cpu).await.unwrap(), Some((other, JobState::Running)));
        assert_eq!(active(&db).await.unwrap(), [held, other]);
    }

    #[tokio::test]
    async fn only_time_with_a_device_counts_as_running_time() {
        let (_folder, db) = empty().await;
        let id = queue(&db, "cpu", 0).await;
        let find = async || crate::store::jobs::find(&db, id).await.unwrap().unwrap().ran_s;
        assert_eq!(find().await, 0.0);
        claimed(&db, &slot("cpu", 1, true)).await;
        let ago =
            "update job set active_since = strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '-60 seconds')";
        sqlx::query(ago).execute(&db).await.unwrap();
        assert!((59.0..90.0).contains(&find().await), "{}", find().await);
        let (running, queued) = (JobState::Running, JobState::Queued);
        set_state(&db, id, running, queued, StateNote::default()).await.unwrap();
        let ran = find().await;
        assert!((59.0..90.0).contains(&ran));
        assert_eq!(find().await, ran);
    }
}
