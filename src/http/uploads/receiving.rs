//! Which uploads are being received. After a broken connection, the server may not know yet that the old request is
//! dead when the client continues, so a new request takes over from the old one.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::OwnedMutexGuard;
use tokio_util::sync::CancellationToken;

use crate::store::ids::DatasetId;

/// The uploads that requests are working on.
#[derive(Debug, Default)]
pub(in crate::http) struct Receiving(Mutex<HashMap<DatasetId, Slot>>);

#[derive(Debug, Clone, Default)]
struct Slot {
    lock: Arc<tokio::sync::Mutex<()>>,
    /// Ends the newest request.
    stop: CancellationToken,
}

/// The right to change an upload.
#[derive(Debug)]
pub(super) struct Turn {
    _lock: OwnedMutexGuard<()>,
    /// Cancelled when another request takes over.
    pub(super) stop: CancellationToken,
}

impl Receiving {
    /// Ends the request that is working on an upload, and waits until it has.
    pub(super) async fn take_over(&self, id: DatasetId) -> Turn {
        let stop = CancellationToken::new();
        let lock = {
            let mut slots = self.slots();
            slots.retain(|&other, slot| other == id || Arc::strong_count(&slot.lock) > 1);
            let slot = slots.entry(id).or_default();
            std::mem::replace(&mut slot.stop, stop.clone()).cancel();
            slot.lock.clone()
        };
        Turn { _lock: lock.lock_owned().await, stop }
    }

    fn slots(&self) -> MutexGuard<'_, HashMap<DatasetId, Slot>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_new_request_ends_the_old_one_and_waits_for_it() {
        let receiving = Arc::new(Receiving::default());
        let id = DatasetId::new();
        let first = receiving.take_over(id).await;
        let next = tokio::spawn({
            let receiving = receiving.clone();
            async move { receiving.take_over(id).await }
        });
        first.stop.cancelled().await;
        assert!(!next.is_finished());
        drop(first);
        assert!(!next.await.unwrap().stop.is_cancelled());
        receiving.take_over(DatasetId::new()).await;
        assert_eq!(receiving.slots().len(), 1, "ended uploads are forgotten");
    }
}
