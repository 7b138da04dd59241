//! Changes a job's state. The job, its history and the event for clients change together or not at all.

use serde_json::json;

use crate::store;
use crate::store::events::NewEvent;
use crate::store::ids::JobId;
use crate::store::jobs::{JobState, StateNote};
use crate::store::transitions::Actor;
use crate::time::now;

/// A change of a job's state.
#[derive(Debug, Clone, Copy)]
pub(super) struct Change<'a> {
    pub(super) from: JobState,
    pub(super) to: JobState,
    pub(super) actor: Actor,
    /// The reason, as shown in the history.
    pub(super) reason: &'a str,
    /// The explanation for the user if the job failed or is on hold.
    pub(super) note: StateNote<'a>,
}

/// Makes the change. Returns false if the job is not in the state `from`.
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

/// Records a change of state, a new job or the replacement of a worker.
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
