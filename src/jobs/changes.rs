//! Changes a job's state: the job, its history and the event for clients, all or nothing.

use serde_json::json;

use crate::store;
use crate::store::events::NewEvent;
use crate::store::ids::JobId;
use crate::store::jobs::{JobState, StateNote};
use crate::store::transitions::Actor;
use crate::time::now;

/// A change.
#[derive(Debug, Clone, Copy)]
pub(super) struct Change<'a> {
    pub(super) from: JobState,
    pub(super) to: JobState,
    pub(super) actor: Actor,
    /// The reason, for the history.
    pub(super) reason: &'a str,
    /// What the user reads about a job that failed or is on hold.
    pub(super) note: StateNote<'a>,
}

/// Makes the change. Returns false when the job is not in the state `from`.
pub(super) async fn change(
    db: &mut store::Connection,
    id: JobId,
    change: Change<'_>,
) -> store::Result<bool> {
    let Change { from, to, note, .. } = change;
    if !store::jobs::set_state(&mut *db, id, from, to, note).await? {
        return Ok(false);
    }
    if to.is_terminal() {
        store::events::thin(&mut *db, id).await?;
    }
    record(db, id, Some(from), change).await?;
    Ok(true)
}

/// Records a change, a new job, or a worker that was replaced.
pub(super) async fn record(
    db: &mut store::Connection,
    id: JobId,
    from: Option<JobState>,
    change: Change<'_>,
) -> store::Result<()> {
    let Change { to, actor, reason, note, .. } = change;
    store::transitions::insert(&mut *db, id, from, to, actor, reason).await?;
    let body =
        json!({"state": to, "error": note.error, "reason": reason, "actor": actor, "time": now()});
    let event = NewEvent { kind: "state", epoch: None, body: &body };
    store::events::insert(db, id, event).await
}
