//! Which files of ended jobs are deleted, by the settings in `[storage]`: a decision that needs no disk.

use crate::config::StorageSettings;
use crate::store::deletions::JobPart;
use crate::store::ids::JobId;
use crate::store::jobs::JobState;

/// A job that has ended, and the bytes of its files; 0 for files that are not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct EndedFiles {
    pub(super) id: JobId,
    pub(super) state: JobState,
    /// Something depends on its model, or the user wants to keep it.
    pub(super) is_needed: bool,
    pub(super) previous_checkpoint: u64,
    /// Including the previous one.
    pub(super) checkpoints: u64,
    /// Checkpoints and all else that is large.
    pub(super) files: u64,
}

impl EndedFiles {
    fn bytes(&self, part: JobPart) -> u64 {
        match part {
            JobPart::PreviousCheckpoint => self.previous_checkpoint,
            JobPart::Checkpoints => self.checkpoints,
            JobPart::Files => self.files,
        }
    }

    /// What to delete of the job at `rank`, counted from the newest, even if there is plenty of room.
    fn unwanted(&self, rank: usize, keep: &StorageSettings) -> Option<JobPart> {
        let is_old = keep.keep_jobs > 0 && rank >= keep.keep_jobs as usize;
        let part = match (self.state, keep.keep_checkpoints) {
            _ if is_old && !self.is_needed => JobPart::Files,
            (JobState::Completed, 0) => JobPart::Checkpoints,
            (JobState::Completed, 1) => JobPart::PreviousCheckpoint,
            _ => return None,
        };
        Some(part).filter(|&part| self.bytes(part) > 0)
    }
}

/// What to delete: at most one part of each job.
///
/// * `jobs`: newest first.
/// * `used`: bytes of the whole data folder.
/// * `room`: bytes of `max_bytes` that must be free.
pub(super) fn choose(
    jobs: &[EndedFiles],
    keep: &StorageSettings,
    used: u64,
    room: u64,
) -> Vec<(JobId, JobPart)> {
    let mut parts: Vec<Option<JobPart>> =
        jobs.iter().enumerate().map(|(rank, job)| job.unwanted(rank, keep)).collect();
    let freed = |job: &EndedFiles, part: Option<JobPart>| part.map_or(0, |part| job.bytes(part));
    let freed_so_far: u64 = jobs.iter().zip(&parts).map(|(job, &part)| freed(job, part)).sum();
    let mut used = used.saturating_sub(freed_so_far);
    let limit = keep.max_bytes.saturating_sub(room);
    for (job, part) in jobs.iter().zip(&mut parts).rev() {
        if keep.max_bytes == 0 || used <= limit {
            break;
        }
        if !job.is_needed && job.files > 0 {
            used = used.saturating_sub(job.files - freed(job, *part));
            *part = Some(JobPart::Files);
        }
    }
    jobs.iter().zip(parts).filter_map(|(job, part)| Some((job.id, part?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(state: JobState) -> EndedFiles {
        EndedFiles {
            id: JobId::new(),
            state,
            is_needed: false,
            previous_checkpoint: 10,
            checkpoints: 20,
            files: 100,
        }
    }

    fn completed(count: usize) -> Vec<EndedFiles> {
        (0..count).map(|_| job(JobState::Completed)).collect()
    }

    /// What is chosen, by the job's place among `jobs`.
    fn chosen(jobs: &[EndedFiles], keep: &StorageSettings, used: u64) -> Vec<(usize, JobPart)> {
        let place = |id| jobs.iter().position(|job| job.id == id).unwrap();
        choose(jobs, keep, used, 0).into_iter().map(|(id, part)| (place(id), part)).collect()
    }

    fn keep(keep_checkpoints: u32, keep_jobs: u32, max_bytes: u64) -> StorageSettings {
        StorageSettings { keep_checkpoints, keep_jobs, max_bytes, ..StorageSettings::default() }
    }

    #[test]
    fn without_limits_everything_is_kept() {
        assert_eq!(chosen(&completed(3), &keep(2, 0, 0), u64::MAX), []);
    }

    #[test]
    fn completed_jobs_keep_as_many_checkpoints_as_the_setting_says() {
        let mut jobs = completed(1);
        jobs.push(job(JobState::Failed)); // It may be resumed.
        assert_eq!(chosen(&jobs, &keep(1, 0, 0), 0), [(0, JobPart::PreviousCheckpoint)]);
        assert_eq!(chosen(&jobs, &keep(0, 0, 0), 0), [(0, JobPart::Checkpoints)]);
        jobs[0].previous_checkpoint = 0;
        assert_eq!(chosen(&jobs, &keep(1, 0, 0), 0), [], "already deleted");
    }

    #[test]
    fn the_newest_jobs_keep_their_files_and_older_jobs_only_files_that_are_needed() {
        let mut jobs = completed(4);
        jobs[2].is_needed = true;
        assert_eq!(chosen(&jobs, &keep(2, 1, 0), 0), [(1, JobPart::Files), (3, JobPart::Files)]);
        jobs[3].files = 0;
        assert_eq!(chosen(&jobs, &keep(2, 1, 0), 0), [(1, JobPart::Files)]);
    }

    #[test]
    fn the_oldest_files_go_first_until_the_folder_is_small_enough() {
        let mut jobs = completed(4);
        jobs[3].is_needed = true;
        assert_eq!(chosen(&jobs, &keep(2, 0, 1000), 1000), []);
        assert_eq!(chosen(&jobs, &keep(2, 0, 1000), 1001), [(2, JobPart::Files)]);
        let two = [(1, JobPart::Files), (2, JobPart::Files)];
        assert_eq!(chosen(&jobs, &keep(2, 0, 1000), 1101), two);
        let all = [(0, JobPart::Files), (1, JobPart::Files), (2, JobPart::Files)];
        assert_eq!(chosen(&jobs, &keep(2, 0, 1000), 9999), all, "needed files are never deleted");
    }

    #[test]
    fn parts_that_are_deleted_anyway_count_before_more_is_deleted() {
        let jobs = completed(2);
        let both = [(0, JobPart::PreviousCheckpoint), (1, JobPart::PreviousCheckpoint)];
        assert_eq!(chosen(&jobs, &keep(1, 0, 1000), 1020), both);
        let more = [(0, JobPart::PreviousCheckpoint), (1, JobPart::Files)];
        assert_eq!(chosen(&jobs, &keep(1, 0, 1000), 1021), more);
        assert_eq!(choose(&jobs, &keep(2, 0, 1000), 950, 50), []);
        assert_eq!(choose(&jobs, &keep(2, 0, 1000), 950, 51).len(), 1, "makes room");
    }
}
