//! Which files of jobs that have ended are kept, by the settings in `[storage]`: a decision without a disk.

use crate::config::Storage;
use crate::store::deletions::Part;
use crate::store::ids::JobId;
use crate::store::jobs::JobState;

/// A job that has ended, and the bytes of what it left; 0 is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Left {
    pub(super) id: JobId,
    pub(super) state: JobState,
    /// Something depends on its model, or the user wants to keep it.
    pub(super) is_needed: bool,
    pub(super) previous_checkpoint: u64,
    /// The previous one included.
    pub(super) checkpoints: u64,
    /// Checkpoints and all else that is large.
    pub(super) files: u64,
}

impl Left {
    fn bytes(&self, part: Part) -> u64 {
        match part {
            Part::PreviousCheckpoint => self.previous_checkpoint,
            Part::Checkpoints => self.checkpoints,
            Part::Files => self.files,
        }
    }

    /// What is not kept of the job that is `rank` from the newest, whatever room there is.
    fn surplus(&self, rank: usize, keep: &Storage) -> Option<Part> {
        let is_old = keep.keep_jobs > 0 && rank >= keep.keep_jobs as usize;
        let part = match (self.state, keep.keep_checkpoints) {
            _ if is_old && !self.is_needed => Part::Files,
            (JobState::Completed, 0) => Part::Checkpoints,
            (JobState::Completed, 1) => Part::PreviousCheckpoint,
            _ => return None,
        };
        Some(part).filter(|&part| self.bytes(part) > 0)
    }
}

/// What to delete, one part of a job at most.
///
/// * `jobs`: newest first.
/// * `used`: bytes of the whole data folder.
/// * `room`: bytes that are to be free of those that it may take.
pub(super) fn surplus(jobs: &[Left], keep: &Storage, used: u64, room: u64) -> Vec<(JobId, Part)> {
    let mut parts: Vec<Option<Part>> =
        jobs.iter().enumerate().map(|(rank, job)| job.surplus(rank, keep)).collect();
    let freed = |job: &Left, part: Option<Part>| part.map_or(0, |part| job.bytes(part));
    let freed_so_far: u64 = jobs.iter().zip(&parts).map(|(job, &part)| freed(job, part)).sum();
    let mut used = used.saturating_sub(freed_so_far);
    let limit = keep.max_bytes.saturating_sub(room);
    for (job, part) in jobs.iter().zip(&mut parts).rev() {
        if keep.max_bytes == 0 || used <= limit {
            break;
        }
        if !job.is_needed && job.files > 0 {
            used = used.saturating_sub(job.files - freed(job, *part));
            *part = Some(Part::Files);
        }
    }
    jobs.iter().zip(parts).filter_map(|(job, part)| Some((job.id, part?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(state: JobState) -> Left {
        Left {
            id: JobId::new(),
            state,
            is_needed: false,
            previous_checkpoint: 10,
            checkpoints: 20,
            files: 100,
        }
    }

    fn completed(count: usize) -> Vec<Left> {
        (0..count).map(|_| job(JobState::Completed)).collect()
    }

    /// By the job's place among `jobs`.
    fn chosen(jobs: &[Left], keep: &Storage, used: u64) -> Vec<(usize, Part)> {
        let place = |id| jobs.iter().position(|job| job.id == id).unwrap();
        surplus(jobs, keep, used, 0).into_iter().map(|(id, part)| (place(id), part)).collect()
    }

    fn keep(keep_checkpoints: u32, keep_jobs: u32, max_bytes: u64) -> Storage {
        Storage { keep_checkpoints, keep_jobs, max_bytes, ..Storage::default() }
    }

    #[test]
    fn without_limits_everything_is_kept() {
        assert_eq!(chosen(&completed(3), &keep(2, 0, 0), u64::MAX), []);
    }

    #[test]
    fn of_completed_jobs_as_many_checkpoints_are_kept_as_was_asked_for() {
        let mut jobs = completed(1);
        jobs.push(job(JobState::Failed)); // It may be resumed.
        assert_eq!(chosen(&jobs, &keep(1, 0, 0), 0), [(0, Part::PreviousCheckpoint)]);
        assert_eq!(chosen(&jobs, &keep(0, 0, 0), 0), [(0, Part::Checkpoints)]);
        jobs[0].previous_checkpoint = 0;
        assert_eq!(chosen(&jobs, &keep(1, 0, 0), 0), [], "it is gone already");
    }

    #[test]
    fn the_newest_jobs_keep_their_files_and_older_ones_where_they_are_needed() {
        let mut jobs = completed(4);
        jobs[2].is_needed = true;
        assert_eq!(chosen(&jobs, &keep(2, 1, 0), 0), [(1, Part::Files), (3, Part::Files)]);
        jobs[3].files = 0;
        assert_eq!(chosen(&jobs, &keep(2, 1, 0), 0), [(1, Part::Files)]);
    }

    #[test]
    fn the_oldest_files_go_first_until_the_folder_is_small_enough() {
        let mut jobs = completed(4);
        jobs[3].is_needed = true;
        assert_eq!(chosen(&jobs, &keep(2, 0, 1000), 1000), []);
        assert_eq!(chosen(&jobs, &keep(2, 0, 1000), 1001), [(2, Part::Files)]);
        let two = [(1, Part::Files), (2, Part::Files)];
        assert_eq!(chosen(&jobs, &keep(2, 0, 1000), 1101), two);
        let all = [(0, Part::Files), (1, Part::Files), (2, Part::Files)];
        assert_eq!(chosen(&jobs, &keep(2, 0, 1000), 9999), all, "never what is needed");
    }

    #[test]
    fn what_goes_in_any_case_is_counted_before_more_goes() {
        let jobs = completed(2);
        let both = [(0, Part::PreviousCheckpoint), (1, Part::PreviousCheckpoint)];
        assert_eq!(chosen(&jobs, &keep(1, 0, 1000), 1020), both);
        let more = [(0, Part::PreviousCheckpoint), (1, Part::Files)];
        assert_eq!(chosen(&jobs, &keep(1, 0, 1000), 1021), more);
        assert_eq!(surplus(&jobs, &keep(2, 0, 1000), 950, 50), []);
        assert_eq!(surplus(&jobs, &keep(2, 0, 1000), 950, 51).len(), 1, "room is made for more");
    }
}
